"""load_balancer of mesh.yaml: the annotations it becomes, what contradicts itself, and the proxies' side."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from nksmesh.domain.common.errors import ConfigError
from nksmesh.domain.mesh.load_balancer import (
    ANNOTATIONS,
    LISTENER_ANNOTATIONS,
    PROXY_CONFIG,
    PROXY_PROTOCOL,
    load_balancer_values,
    problems_of,
    proxy_protocol_layer,
)
from nksmesh.domain.values.layers import Layer, LayerKind, compose, value_at

EVERYTHING: dict[str, Any] = {
    "internal": True,
    "address": "10.0.0.7",
    "subnet_id": "0a0a0a0a-1111-2222-3333-444444444444",
    "network_id": "0b0b0b0b-1111-2222-3333-444444444444",
    "name": "edge",
    "type": "dedicated",
    "algorithm": "SOURCE_IP",
    "session_persistence": "",
    "connection_limit": 1000,
    "keepalive_timeout": 0,
    "proxy_protocol": False,
    "listeners": {
        "80": {"protocol": "HTTP"},
        "443": {"protocol": "TERMINATED_HTTPS", "certificate_manager_name": "shop", "tls_version": "TLSv1.2"},
    },
    "health": {"type": "HTTP", "path": "/healthz/ready", "port": 32021, "interval": 5, "timeout": 3, "retries": 2},
}


def test_each_key_is_its_annotation_and_each_value_a_string() -> None:
    assert load_balancer_values(EVERYTHING) == {
        "service": {
            "loadBalancerIP": "10.0.0.7",
            "annotations": {
                "service.beta.kubernetes.io/openstack-internal-load-balancer": "true",
                "loadbalancer.openstack.org/subnet-id": "0a0a0a0a-1111-2222-3333-444444444444",
                "loadbalancer.openstack.org/network-id": "0b0b0b0b-1111-2222-3333-444444444444",
                "loadbalancer.nhncloud/loadbalancer-name": "edge",
                "loadbalancer.nhncloud/loadbalancer-type": "dedicated",
                "loadbalancer.nhncloud/pool-lb-method": "SOURCE_IP",
                "loadbalancer.nhncloud/pool-session-persistence": "",
                "loadbalancer.nhncloud/connection-limit": "1000",
                "loadbalancer.nhncloud/keepalive-timeout": "0",
                "loadbalancer.nhncloud/proxy-protocol": "false",
                "TCP-80.loadbalancer.nhncloud/listener-protocol": "HTTP",
                "TCP-443.loadbalancer.nhncloud/listener-protocol": "TERMINATED_HTTPS",
                "TCP-443.loadbalancer.nhncloud/listener-terminated-https-cert-manager-name": "shop",
                "TCP-443.loadbalancer.nhncloud/listener-terminated-https-tls-version": "TLSv1.2",
                "loadbalancer.nhncloud/healthmonitor-type": "HTTP",
                "loadbalancer.nhncloud/healthmonitor-http-url": "/healthz/ready",
                "loadbalancer.nhncloud/healthmonitor-health-check-port": "32021",
                "loadbalancer.nhncloud/healthmonitor-delay": "5",
                "loadbalancer.nhncloud/healthmonitor-timeout": "3",
                "loadbalancer.nhncloud/healthmonitor-max-retries": "2",
            },
        }
    }


def test_keep_address_is_an_annotation() -> None:
    annotations = {"loadbalancer.openstack.org/keep-floatingip": "true"}
    assert load_balancer_values({"keep_address": True}) == {"service": {"annotations": annotations}}


def test_no_key_is_left_without_a_test() -> None:
    said = load_balancer_values({**EVERYTHING, "keep_address": True})["service"]["annotations"]
    of_listeners = {f"TCP-443.{name}" for name in LISTENER_ANNOTATIONS.values()}
    assert {*ANNOTATIONS.values()} | of_listeners | {f"TCP-80.{LISTENER_ANNOTATIONS['protocol']}"} == {*said}


def test_what_says_nothing_sets_nothing() -> None:
    assert load_balancer_values({}) == {}
    assert load_balancer_values({"health": {}, "listeners": {"80": {}}}) == {}
    assert load_balancer_values({"address": "10.0.0.7"}) == {"service": {"loadBalancerIP": "10.0.0.7"}}


@pytest.mark.parametrize(
    ("said", "key", "words"),
    [
        ({"internal": True, "keep_address": False}, "keep_address", "no public address"),
        ({"health": {"interval": 10}}, "health.interval", "timeout (30 s) must be shorter than the interval (10 s)"),
        ({"health": {"timeout": 60}}, "health.timeout", "timeout (60 s) must be shorter than the interval (60 s)"),
        ({"health": {"interval": 5, "timeout": 9}}, "health.timeout", "shorter"),
        ({"health": {"path": "/x"}}, "health.path", "no effect on a TCP check"),
        ({"health": {"path": "/x", "type": "TCP"}}, "health.path", "no effect on a TCP check"),
        ({"listeners": {"443": {"protocol": "TERMINATED_HTTPS"}}}, "listeners.443", "certificate_manager_name"),
        (
            {"listeners": {"443": {"certificate_manager_name": "x"}}},
            "listeners.443.certificate_manager_name",
            "no effect on a TCP listener",
        ),
        ({"listeners": {"443": {"protocol": "HTTPS", "tls_version": "TLSv1.2"}}}, "listeners.443.tls_version", "HTTPS"),
        (
            {"proxy_protocol": True, "listeners": {"80": {"protocol": "HTTP"}}},
            "listeners.80.protocol",
            "cannot be HTTP with proxy_protocol",
        ),
    ],
)
def test_keys_that_contradict_each_other_are_found(said: Mapping[str, Any], key: str, words: str) -> None:
    ((path, problem, hint),) = problems_of(said)
    assert ".".join(path) == key
    assert words in problem
    assert hint


@pytest.mark.parametrize(
    "said",
    [
        {},
        EVERYTHING,
        {"internal": False, "keep_address": True},
        {"health": {"interval": 31}},
        {"proxy_protocol": True, "listeners": {"443": {"protocol": "HTTPS"}, "80": {}}},
    ],
)
def test_what_fits_together_is_let_through(said: Mapping[str, Any]) -> None:
    assert list(problems_of(said)) == []


def layers(*over: Mapping[str, Any], proxy_protocol: bool = True) -> list[Layer]:
    own = load_balancer_values({"proxy_protocol": proxy_protocol})
    files = [Layer(name=f"-f {number}", values=values, kind=LayerKind.FILE) for number, values in enumerate(over)]
    return [Layer(name="load_balancer", values=own, kind=LayerKind.LOAD_BALANCER), *files]


def envoy_side(some: list[Layer]) -> Any:
    layer = proxy_protocol_layer(some, json.loads)
    return json.loads(value_at(layer.values, ("podAnnotations", PROXY_CONFIG))) if layer else None


def test_the_proxies_side_is_set_with_the_load_balancers() -> None:
    assert envoy_side(layers()) == {"gatewayTopology": {"proxyProtocol": {}}}
    assert envoy_side(layers(proxy_protocol=False)) is None


def test_it_is_merged_with_what_the_user_has_there() -> None:
    config = {"holdApplicationUntilProxyStarts": True, "gatewayTopology": {"numTrustedProxies": 1}}
    some = layers({"podAnnotations": {PROXY_CONFIG: json.dumps(config), "mine": "stays"}})
    assert envoy_side(some) == {
        "holdApplicationUntilProxyStarts": True,
        "gatewayTopology": {"numTrustedProxies": 1, "proxyProtocol": {}},
    }
    layer = proxy_protocol_layer(some, json.loads)
    assert layer is not None
    assert compose([*some, layer]).values["podAnnotations"]["mine"] == "stays"
    assert envoy_side(layers({"podAnnotations": {PROXY_CONFIG: '{"gatewayTopology": null}'}})) == {
        "gatewayTopology": {"proxyProtocol": {}}
    }


def test_where_values_turn_it_off_the_proxies_are_left_alone() -> None:
    assert envoy_side(layers({"service": {"annotations": {PROXY_PROTOCOL: "false"}}})) is None


def test_an_annotation_that_the_user_wrote_is_the_users_own() -> None:
    annotated = Layer(name="-f", values={"service": {"annotations": {PROXY_PROTOCOL: "true"}}}, kind=LayerKind.FILE)
    assert proxy_protocol_layer([annotated], json.loads) is None


@pytest.mark.parametrize("text", ["[1]", "{", '"x"', "7", '{"gatewayTopology": 3}'])
def test_what_is_no_map_is_told_with_the_layer_that_set_it(text: str) -> None:
    with pytest.raises(ConfigError) as raised:
        proxy_protocol_layer(layers({"podAnnotations": {PROXY_CONFIG: text}}), json.loads)
    assert raised.value.message.startswith("-f 0: the pod annotation proxy.istio.io/config is not a map")
