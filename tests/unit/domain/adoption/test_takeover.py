from __future__ import annotations

from typing import Any

import pytest

from nksmesh.domain.adoption.takeover import (
    TakenObject,
    changed_paths,
    former_managers,
    is_default_tag,
    left_over,
    of_istioctl,
    owned_manifest,
    renamed_managers,
    selector_values,
    service_values,
)
from nksmesh.domain.kube.objects import ObjectRef
from tests.unit.domain.meshes import INGRESS

PILOT = {"operator.istio.io/component": "Pilot"}


def entry(manager: str, fields: dict[str, Any], operation: str = "Apply", **more: str) -> dict[str, Any]:
    return {"manager": manager, "operation": operation, "apiVersion": "v1", "fieldsV1": fields, **more}


def live(*entries: dict[str, Any], labels: dict[str, str] | None = None, **content: Any) -> dict[str, Any]:
    metadata: dict[str, Any] = {"name": "x", "labels": labels or {}, "managedFields": list(entries)}
    return {"metadata": metadata, **content}


@pytest.mark.parametrize(
    ("labels", "manager", "expected"),
    [
        (PILOT, "istio-operator", True),
        (PILOT, "kubectl-client-side-apply", True),
        ({}, "istioctl", True),
        (PILOT, "helm", True),  # half taken: the marks of a release come with the second step
        ({}, "helm", True),
        ({"operator.istio.io/component": "Cni"}, "helm", False),
        (PILOT, "kube-controller-manager", False),
        ({"operator.istio.io/component": "Cni"}, "istio-operator", False),
    ],
)
def test_whose_an_object_is(labels: dict[str, str], manager: str, expected: bool) -> None:
    assert of_istioctl(live(entry(manager, {}), labels=labels)) is expected


OF_OTHERS = {
    "Argo CD's, after kubectl": ("argocd-controller", {}, {}),
    "Argo CD's by its mark": ("kubectl", {}, {"argocd.argoproj.io/tracking-id": "mesh:apps/Deployment:istio-system/x"}),
    "Flux's": ("kubectl", {"kustomize.toolkit.fluxcd.io/name": "infra"}, {}),
    "a chart's, rendered and applied": ("kubectl", {"release": "istiod"}, {}),
}


@pytest.mark.parametrize(("manager", "labels", "annotations"), OF_OTHERS.values(), ids=OF_OTHERS)
def test_what_another_tool_holds_is_never_istioctls(
    manager: str, labels: dict[str, str], annotations: dict[str, str]
) -> None:
    one = live(entry("kubectl-client-side-apply", {}), entry(manager, {}), labels={**PILOT, **labels})
    one["metadata"]["annotations"] = annotations
    assert not of_istioctl(one)
    one["metadata"]["managedFields"].append(entry("helm", {}))
    assert not of_istioctl(one)


def test_what_helm_owns_is_never_istioctls() -> None:
    one = live(entry("istio-operator", {}), labels=PILOT)
    assert not of_istioctl(owned_manifest(one, INGRESS))


def test_the_managers_become_one_that_holds_what_they_held() -> None:
    status = entry("istio-operator", {"f:status": {}}, "Update", subresource="status")
    istiod = entry("pilot-discovery", {"f:webhooks": {"f:caBundle": {}}}, "Update")
    one = live(
        entry("istio-operator", {"f:spec": {"f:a": {}, "f:both": {"f:x": {}}}}),
        istiod,
        entry("kubectl-client-side-apply", {"f:spec": {"f:b": {}, "f:both": {"f:y": {}}}}, "Update"),
        entry("helm", {"f:spec": {"f:c": {}}}),
        status,
    )
    first, *others = renamed_managers(one, "helm")
    assert (first["manager"], first["operation"]) == ("helm", "Apply")
    assert first["fieldsV1"] == {"f:spec": {"f:a": {}, "f:b": {}, "f:c": {}, "f:both": {"f:x": {}, "f:y": {}}}}
    assert others == [istiod, status]
    assert former_managers(live(first, *others)) == ()  # a status is nobody's to take
    assert renamed_managers(live(first, istiod), "helm") == [first, istiod]


def test_a_pull_policy_that_came_of_the_old_image_is_claimed_with_it() -> None:
    template = {"spec": {"containers": [{"name": "istio-proxy", "image": "h/proxyv2:1", "imagePullPolicy": "Always"}]}}
    one = live(entry("istio-operator", {"f:spec": {"f:replicas": {}}}), spec={"template": template})
    (own,) = renamed_managers(one, "helm")
    pods = own["fieldsV1"]["f:spec"]["f:template"]["f:spec"]
    assert pods == {"f:containers": {'k:{"name":"istio-proxy"}': {"f:imagePullPolicy": {}}}}
    assert "f:replicas" in own["fieldsV1"]["f:spec"]


def test_what_changes_is_named_by_paths() -> None:
    before = {
        "metadata": {"labels": {"release": "istio"}, "generation": 1, "managedFields": []},
        "spec": {"template": {"spec": {"containers": [{"name": "p", "image": "x", "args": ["a"]}]}}, "atomic": [1]},
        "status": {"ready": 1},
    }
    after = {
        "metadata": {"labels": {}, "generation": 2},
        "spec": {"template": {"spec": {"containers": [{"name": "p", "image": "auto"}]}}, "atomic": [2]},
    }
    assert list(changed_paths(before, after)) == [
        "metadata.labels.release",
        "spec.atomic",
        "spec.template.spec.containers.p.args",
        "spec.template.spec.containers.p.image",
    ]
    ref = ObjectRef("apps/v1", "Deployment", "x", "y")
    assert TakenObject(ref=ref, release="r", owner="o", changes=tuple(changed_paths(before, after))).replaces_pods
    assert not TakenObject(ref=ref, release="r", owner="o", changes=("spec.replicas",)).replaces_pods


PORTS = [{"name": "http2", "port": 80, "protocol": "TCP", "targetPort": 80}]


def service(owned: dict[str, Any], annotations: dict[str, str] | None = None, **spec: Any) -> dict[str, Any]:
    fields = {"f:spec": {f"f:{key}": {} for key in owned}, "f:metadata": {"f:annotations": {"f:lb/id": {}}}}
    one = live(entry("istio-operator", fields), spec={"ports": PORTS, **owned, **spec})
    one["metadata"]["annotations"] = annotations or {}
    return one


def test_a_service_as_the_chart_has_it_needs_no_values() -> None:
    under = {"service": {"type": "LoadBalancer", "ports": [dict(reversed(PORTS[0].items()))]}}
    assert service_values(service({"type": "LoadBalancer"}, nodePort=3), under) == {}
    assert service_values(service({"type": "LoadBalancer", "externalTrafficPolicy": "Cluster"}), under) == {}


def test_what_an_address_hangs_on_is_kept() -> None:
    ports = [{"name": "http2", "port": 80, "nodePort": 30001, "targetPort": 8080}]
    kept = service_values(
        service(
            {"type": "LoadBalancer", "loadBalancerIP": "10.0.0.1", "externalTrafficPolicy": "Local"},
            {"lb/id": "7", "cloud/own": "x"},
            ports=ports,
        ),
        {"service": {"type": "LoadBalancer", "loadBalancerIP": "", "ports": PORTS, "annotations": {}}},
    )
    assert kept == {
        "service": {
            "loadBalancerIP": "10.0.0.1",
            "externalTrafficPolicy": "Local",
            "annotations": {"lb/id": "7"},  # what a cloud wrote is its own, and stays without being said
            "ports": [{"name": "http2", "port": 80, "protocol": "TCP", "targetPort": 8080}],
        }
    }


@pytest.mark.parametrize(
    ("selector", "values"),
    [
        ({"app": "istio-ingressgateway", "istio": "ingressgateway"}, {}),
        ({"app": "mine", "istio": "edge"}, {"labels": {"app": "mine", "istio": "edge"}}),
        ({"app": "mine", "istio": "edge", "extra": "x"}, {"labels": {"app": "mine", "istio": "edge", "extra": "x"}}),
        ({"app": "mine"}, {"labels": {"app": "mine", "istio": "edge"}}),
        ({"app": "istio-ingressgateway", "istio": "ingressgateway", "extra": "x"}, {"labels": {"extra": "x"}}),
    ],
)
def test_a_selector_is_kept_where_the_chart_can(selector: dict[str, str], values: dict[str, Any]) -> None:
    template = {"metadata": {"labels": {"istio": "edge", **selector}}}
    deployment = {"spec": {"selector": {"matchLabels": selector}, "template": template}}
    assert selector_values(deployment, "istio-ingressgateway", {}) == values
    assert selector_values(deployment, "x", {"labels": {"istio": "edge", **selector}}) == {}


@pytest.mark.parametrize(
    ("selector", "labels"),
    [
        ({"matchLabels": {"app": "mine"}}, {"app": "mine"}),  # nothing that the chart selects by
        (
            {"matchLabels": {"app": "mine"}, "matchExpressions": [{"key": "x", "operator": "Exists"}]},
            {"app": "mine", "istio": "x"},
        ),
    ],
)
def test_a_selector_that_no_values_keep(selector: dict[str, Any], labels: dict[str, str]) -> None:
    deployment = {"spec": {"selector": selector, "template": {"metadata": {"labels": labels}}}}
    assert selector_values(deployment, "istio-ingressgateway", {}) is None


def test_what_no_release_has_is_left_over() -> None:
    mine = live(entry("istio-operator", {}), labels=PILOT)
    refs = [ObjectRef("rbac/v1", "Role", name, "istio-system") for name in ("istiod", "istio-ingressgateway-sds")]
    wanted = [ObjectRef("rbac/v1beta1", "Role", "istiod", "istio-system")]
    assert left_over([mine, mine], wanted, refs) == refs[1:]
    assert left_over([live(labels=PILOT)], [], refs[:1]) == []


def test_the_tag_that_istioctl_made_is_known() -> None:
    tag = live(labels={"istio.io/tag": "default"})
    assert is_default_tag(tag)
    assert not is_default_tag(owned_manifest(tag, INGRESS))
    assert not is_default_tag(live(labels={"istio.io/tag": "prod"}))
