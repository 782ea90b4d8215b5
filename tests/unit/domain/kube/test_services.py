"""Which pods a Service sends to, and to which of their ports."""

from __future__ import annotations

from typing import Any

import pytest

from nksmesh.domain.common.errors import ConfigError
from nksmesh.domain.kube.services import port_of, ready_pods

KIALI: dict[str, Any] = {
    "metadata": {"name": "kiali"},
    "spec": {
        "selector": {"app": "kiali"},
        "ports": [
            {"name": "dns", "port": 53, "protocol": "UDP"},
            {"name": "http", "port": 20001},
            {"name": "http-metrics", "port": 9090, "targetPort": "metrics", "protocol": "TCP"},
        ],
    },
}


def pod(name: str, *, born: str = "2026-01-01T00:00:00Z", ready: str = "True", **metadata: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "labels": {"app": "kiali"}, "creationTimestamp": born, **metadata},
        "spec": {"containers": [{"name": "kiali", "ports": [{"name": "metrics", "containerPort": 9191}]}]},
        "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": ready}]},
    }


def test_a_port_is_chosen_by_name_or_number_and_the_first_tcp_port_without() -> None:
    assert [port_of(KIALI, wanted).number for wanted in ("", "http", "9090")] == [20001, 20001, 9090]


def test_a_port_has_a_number_in_the_pod_also_where_it_is_named() -> None:
    assert port_of(KIALI).in_pod(pod("kiali-1")) == 20001
    assert port_of(KIALI, "http-metrics").in_pod(pod("kiali-1")) == 9191
    assert port_of(KIALI, "http-metrics").in_pod({"spec": {"containers": [{"name": "other"}]}}) is None


@pytest.mark.parametrize(("wanted", "words"), [("dns", "no TCP port 'dns'"), ("80", "no TCP port '80'")])
def test_a_port_that_is_none_is_refused_with_those_there_are(wanted: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words) as refused:
        port_of(KIALI, wanted)
    assert refused.value.hint == "Pass --service-port with one of its ports: 20001 (http), 9090 (http-metrics)."


def test_only_pods_that_are_selected_alive_and_ready_are_sent_to_the_oldest_first() -> None:
    pods = [
        pod("new", born="2026-01-02T00:00:00Z"),
        pod("old"),
        pod("starting", ready="False"),
        pod("ending", deletionTimestamp="2026-01-02T00:00:00Z"),
        {**pod("evicted"), "status": {"phase": "Failed", "conditions": [{"type": "Ready", "status": "True"}]}},
        pod("other", labels={"app": "grafana"}),
    ]
    assert [found["metadata"]["name"] for found in ready_pods(KIALI, pods)] == ["old", "new"]
    assert ready_pods({"metadata": {"name": "kiali"}, "spec": {}}, pods) == ()
