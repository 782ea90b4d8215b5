from __future__ import annotations

from http import HTTPStatus
from typing import Any

import pytest

from nksmesh.sandbox.agent import kubelet
from nksmesh.sandbox.agent.admission import refusal
from nksmesh.sandbox.agent.agent import PENDING, PENDING_ANNOTATION, wanted_status
from nksmesh.sandbox.agent.https_server import Request
from nksmesh.sandbox.agent.kubelet import event_object, pod_events
from nksmesh.sandbox.stages import CRASH, FAILURE_ANNOTATION


def service(kind: str = "LoadBalancer", address: str = "", **annotations: str) -> dict[str, Any]:
    return {
        "metadata": {"namespace": "a", "name": "b", "annotations": annotations},
        "spec": {"type": kind},
        "status": {"loadBalancer": {"ingress": [{"ip": address}]} if address else {}},
    }


def first_address() -> str:
    status = wanted_status(service(), ())
    assert status
    return str(status["ingress"][0]["ip"])


def test_the_same_service_gets_the_same_address_unless_it_is_taken() -> None:
    assert first_address() == first_address()
    other = wanted_status(service(), {first_address()})
    assert other
    assert other["ingress"][0]["ip"] != first_address()


def test_an_address_is_taken_back_when_the_type_changes() -> None:
    assert wanted_status(service("ClusterIP", "203.0.113.9"), ()) == {"ingress": None}


@pytest.mark.parametrize(
    "settled",
    [
        service(address="203.0.113.9"),
        service("ClusterIP"),
        service(**{PENDING_ANNOTATION: PENDING}),
    ],
)
def test_what_is_right_is_left(settled: dict[str, Any]) -> None:
    assert wanted_status(settled, ()) is None


def test_no_address_is_given_when_all_are_taken() -> None:
    assert wanted_status(service(), {f"203.0.113.{last}" for last in range(256)}) is None


@pytest.mark.parametrize(
    ("kind", "spec", "words"),
    [
        ("Gateway", {}, "at least one server"),
        ("Gateway", {"servers": [{"port": {"number": 80}}]}, "at least one host"),
        ("Gateway", {"servers": [{"hosts": ["*"], "port": {"number": 80}}]}, ""),
        ("VirtualService", {"hosts": ["a"]}, "http, tcp or tls"),
        ("DestinationRule", {}, "invalid destination host"),
        ("ServiceEntry", {"hosts": ["a"]}, "at least one port"),
        ("PeerAuthentication", {"mtls": {"mode": "LOUD"}}, "LOUD"),
        ("AuthorizationPolicy", {"action": "PERHAPS"}, "PERHAPS"),
        ("EnvoyFilter", {}, ""),
    ],
)
def test_plainly_invalid_objects_are_refused(kind: str, spec: dict[str, Any], words: str) -> None:
    said = refusal({"kind": kind, "spec": spec})
    assert words in said
    assert bool(said) == bool(words)


def failing_pod(**state: Any) -> dict[str, Any]:
    return {
        "metadata": {"namespace": "n", "name": "p", "uid": "0123456789"},
        "spec": {"nodeName": "sandbox-1"},
        "status": {"containerStatuses": [{"name": "c", "image": "i:1", "ready": False, "state": state}]},
    }


@pytest.mark.parametrize(
    ("state", "reasons"),
    [
        ({"waiting": {"reason": "ErrImagePull", "message": "m"}}, ["Pulling", "Failed", "Failed"]),
        ({"waiting": {"reason": "ImagePullBackOff"}}, ["BackOff", "Failed"]),
        ({"waiting": {"reason": "InvalidImageName", "message": "m"}}, ["InspectFailed", "Failed"]),
        ({"waiting": {"reason": "CrashLoopBackOff"}}, ["BackOff"]),
        ({"running": {}}, ["Unhealthy"]),
        ({"waiting": {"reason": "ContainerCreating"}}, []),
    ],
)
def test_a_status_is_told_in_the_kubelets_events(state: dict[str, Any], reasons: list[str]) -> None:
    assert [event.reason for event in pod_events(failing_pod(**state))] == reasons


def test_an_event_points_at_its_pod_and_container() -> None:
    pod = failing_pod(waiting={"reason": "ImagePullBackOff"})
    body = event_object(pod, pod_events(pod)[0], 1)
    assert body["involvedObject"]["fieldPath"] == "spec.containers{c}"
    assert body["source"] == {"component": "kubelet", "host": "sandbox-1"}


def ask(target: str, pod: dict[str, Any] | None) -> tuple[HTTPStatus, str]:
    response = kubelet.answer(Request(target, b""), lambda _namespace, _name: pod)
    return response.status, response.body.decode()


def test_logs_of_a_crashing_pod_end_with_its_exit() -> None:
    pod = {"metadata": {"annotations": {FAILURE_ANNOTATION: CRASH}}}
    status, text = ask("/containerLogs/n/p/c?tailLines=1&previous=true", pod)
    assert (status, text) == (HTTPStatus.OK, "Error: exit status 255\n")


def test_what_a_node_does_not_do_is_said() -> None:
    assert ask("/exec/n/p/c", None)[0] is HTTPStatus.NOT_IMPLEMENTED
    assert ask("/containerLogs/n/p/c", None)[0] is HTTPStatus.NOT_FOUND
    assert "simulated" in ask("/containerLogs/n/p/c", {"metadata": {}})[1]
