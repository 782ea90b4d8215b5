from __future__ import annotations

import pytest

from nksmesh.domain.kube.readiness import (
    Readiness,
    State,
    addresses_of,
    failed,
    first_unready,
    of_crd,
    of_daemon_set,
    of_deployment,
    of_endpoints,
    of_gateway_pods,
    of_stateful_set,
    of_webhooks,
    proxy_images,
    ready,
    waiting,
)
from tests.unit.domain.manifests import read, read_all

HUB = "registry.example/istio"

AVAILABLE = """
    metadata: {name: istiod, generation: 2}
    spec: {replicas: 2}
    status: {observedGeneration: 2, replicas: 2, updatedReplicas: 2, availableReplicas: 2}
"""

DEPLOYMENTS = {
    "all replicas updated and available": (AVAILABLE, ready("Deployment istiod: 2 of 2 replicas available")),
    "one replica where the chart leaves the number to Kubernetes": (
        """
        metadata: {name: istiod, generation: 1}
        spec: {}
        status: {observedGeneration: 1, replicas: 1, updatedReplicas: 1, availableReplicas: 1}
        """,
        ready("Deployment istiod: 1 of 1 replicas available"),
    ),
    "scaled to nothing": (
        """
        metadata: {name: istiod, generation: 1}
        spec: {replicas: 0}
        status: {observedGeneration: 1}
        """,
        ready("Deployment istiod: 0 of 0 replicas available"),
    ),
    "just created": (
        "{metadata: {name: istiod, generation: 1}, spec: {replicas: 1}}",
        waiting("Deployment istiod to be observed by its controller"),
    ),
    "status of an older generation": (
        AVAILABLE.replace("generation: 2}", "generation: 3}"),
        waiting("Deployment istiod to be observed by its controller"),
    ),
    "new replicas are still to come": (
        AVAILABLE.replace("updatedReplicas: 2", "updatedReplicas: 1"),
        waiting("Deployment istiod: 1 of 2 replicas updated"),
    ),
    "old replicas are still there": (
        AVAILABLE.replace(", replicas: 2", ", replicas: 3"),
        waiting("Deployment istiod: 1 old replica to end"),
    ),
    "updated and not available yet": (
        AVAILABLE.replace("availableReplicas: 2", "availableReplicas: 0"),
        waiting("Deployment istiod: 0 of 2 replicas available"),
    ),
    "past its progress deadline": (
        """
        metadata: {name: istiod, generation: 1}
        spec: {replicas: 1}
        status:
          observedGeneration: 1
          conditions: [{type: Progressing, status: "False", reason: ProgressDeadlineExceeded}]
        """,
        waiting("Deployment istiod: 0 of 1 replicas updated, past its progress deadline"),
    ),
    "progressing as it should": (
        """
        metadata: {name: istiod, generation: 1}
        spec: {replicas: 1}
        status:
          observedGeneration: 1
          replicas: 1
          updatedReplicas: 1
          conditions: [{type: Progressing, status: "True", reason: ReplicaSetUpdated}]
        """,
        waiting("Deployment istiod: 0 of 1 replicas available"),
    ),
}


@pytest.mark.parametrize(("text", "expected"), DEPLOYMENTS.values(), ids=DEPLOYMENTS)
def test_deployment(text: str, expected: Readiness) -> None:
    assert of_deployment(read(text), "istiod") == expected


def test_a_deployment_that_is_not_there_is_waited_for() -> None:
    assert of_deployment(None, "istiod") == waiting("Deployment istiod to be created")


def test_a_paused_deployment_that_is_waited_for_says_so() -> None:
    paused = {**read("metadata: {generation: 1}"), "spec": {"paused": True}, "status": {"observedGeneration": 1}}
    assert "paused (kubectl rollout resume)" in of_deployment(paused, "istiod").message


UPDATED = """
    metadata: {name: db, generation: 2}
    spec: {replicas: 3}
    status: {observedGeneration: 2, updatedReplicas: 3, readyReplicas: 3, currentRevision: b, updateRevision: b}
"""

STATEFUL_SETS = {
    "an update of a part of its pods is the user's own": (
        """
        metadata: {name: db, generation: 1}
        spec: {replicas: 2, updateStrategy: {rollingUpdate: {partition: 1}}}
        status: {observedGeneration: 1, updatedReplicas: 1, readyReplicas: 2, currentRevision: a, updateRevision: b}
        """,
        ready("StatefulSet db: 2 of 2 replicas ready"),
    ),
    "updated and ready": (UPDATED, ready("StatefulSet db: 3 of 3 replicas ready")),
    "an older generation": (
        UPDATED.replace("generation: 2}", "generation: 3}"),
        waiting("StatefulSet db to be observed by its controller"),
    ),
    "on the way": (
        UPDATED.replace("updatedReplicas: 3", "updatedReplicas: 1").replace("currentRevision: b", "currentRevision: a"),
        waiting("StatefulSet db: 1 of 3 replicas updated"),
    ),
    "complete, and no longer counted": (
        UPDATED.replace("updatedReplicas: 3", "updatedReplicas: 0"),
        ready("StatefulSet db: 3 of 3 replicas ready"),
    ),
    "updated and not ready": (
        UPDATED.replace("readyReplicas: 3", "readyReplicas: 2"),
        waiting("StatefulSet db: 2 of 3 replicas ready"),
    ),
}


@pytest.mark.parametrize(("text", "expected"), STATEFUL_SETS.values(), ids=STATEFUL_SETS)
def test_stateful_set(text: str, expected: Readiness) -> None:
    assert of_stateful_set(read(text), "db") == expected


EVERYWHERE = """
    metadata: {name: cni, generation: 2}
    status: {observedGeneration: 2, desiredNumberScheduled: 3, updatedNumberScheduled: 3, numberAvailable: 3}
"""

DAEMON_SETS = {
    "everywhere": (EVERYWHERE, ready("DaemonSet cni: available on 3 of 3 nodes")),
    "no node is meant": (
        "{metadata: {name: cni, generation: 1}, status: {observedGeneration: 1}}",
        ready("DaemonSet cni: available on 0 of 0 nodes"),
    ),
    "an older generation": (
        EVERYWHERE.replace("generation: 2}", "generation: 3}"),
        waiting("DaemonSet cni to be observed by its controller"),
    ),
    "on the way": (
        EVERYWHERE.replace("updatedNumberScheduled: 3", "updatedNumberScheduled: 1"),
        waiting("DaemonSet cni: updated on 1 of 3 nodes"),
    ),
    "its pods wait to be deleted": (
        EVERYWHERE.replace("updatedNumberScheduled: 3", "updatedNumberScheduled: 1")
        + "    spec: {updateStrategy: {type: OnDelete}}",
        ready("DaemonSet cni: available on 3 of 3 nodes"),
    ),
    "updated and not available": (
        EVERYWHERE.replace("numberAvailable: 3", "numberAvailable: 2"),
        waiting("DaemonSet cni: available on 2 of 3 nodes"),
    ),
}


@pytest.mark.parametrize(("text", "expected"), DAEMON_SETS.values(), ids=DAEMON_SETS)
def test_daemon_set(text: str, expected: Readiness) -> None:
    assert of_daemon_set(read(text), "cni") == expected


def test_workloads_that_are_not_there_are_waited_for() -> None:
    assert of_stateful_set(None, "db") == waiting("StatefulSet db to be created")
    assert of_daemon_set(None, "cni") == waiting("DaemonSet cni to be created")


CRDS = {
    "established": (
        'status: {conditions: [{type: NamesAccepted, status: "True"}, {type: Established, status: "True"}]}',
        ready("CRD x.istio.io is Established"),
    ),
    "names accepted alone": (
        'status: {conditions: [{type: NamesAccepted, status: "True"}, {type: Established, status: "False"}]}',
        waiting("CRD x.istio.io to be Established"),
    ),
    "no status yet": ("metadata: {name: x.istio.io}", waiting("CRD x.istio.io to be Established")),
    "names taken by another": (
        """
        status:
          conditions:
          - {type: NamesAccepted, status: "False", message: '"gateways" is already in use'}
          - {type: Established, status: "False"}
        """,
        failed('CRD x.istio.io: its names conflict: "gateways" is already in use'),
    ),
}


@pytest.mark.parametrize(("text", "expected"), CRDS.values(), ids=CRDS)
def test_crd(text: str, expected: Readiness) -> None:
    assert of_crd(read(text), "x.istio.io") == expected


def test_a_crd_that_is_not_there_is_waited_for() -> None:
    assert of_crd(None, "x.istio.io") == waiting("CRD x.istio.io to be created")


TRUSTING = """
    webhooks:
    - {name: a, clientConfig: {caBundle: cm9vdA==}}
    - {name: b, clientConfig: {caBundle: cm9vdA==}}
"""

WEBHOOKS = {
    "every webhook trusts the root": (TRUSTING, "cm9vdA==", ready("injector trusts istiod")),
    "a plugged-in CA: any bundle does": (TRUSTING, None, ready("injector trusts istiod")),
    "the root changed": (TRUSTING, "b3RoZXI=", waiting("istiod to renew the caBundle of injector")),
    "one webhook has no bundle": (
        "webhooks: [{clientConfig: {caBundle: cm9vdA==}}, {clientConfig: {}}]",
        "cm9vdA==",
        waiting("istiod to set the caBundle of injector"),
    ),
    "an empty bundle, as the chart renders it": (
        'webhooks: [{clientConfig: {caBundle: ""}}]',
        None,
        waiting("istiod to set the caBundle of injector"),
    ),
    "no clientConfig at all": ("webhooks: [{name: a}]", None, waiting("istiod to set the caBundle of injector")),
}


@pytest.mark.parametrize(("text", "bundle", "expected"), WEBHOOKS.values(), ids=WEBHOOKS)
def test_webhook_configuration(text: str, bundle: str | None, expected: Readiness) -> None:
    assert of_webhooks(read(text), "injector", bundle) == expected


def test_a_webhook_configuration_that_is_not_there_is_waited_for() -> None:
    assert of_webhooks(None, "injector", None) == waiting("webhook configuration injector to be created")


ENDPOINTS = {
    "one ready address": ("endpoints: [{addresses: [10.0.0.1], conditions: {ready: true}}]", True),
    "conditions left out mean ready": ("endpoints: [{addresses: [10.0.0.1]}]", True),
    "unready": ("endpoints: [{addresses: [10.0.0.1], conditions: {ready: false}}]", False),
    "ready without an address": ("endpoints: [{addresses: [], conditions: {ready: true}}]", False),
    "an empty slice": ("endpoints: null", False),
    "the second slice has it": (
        """
        endpoints: []
        ---
        endpoints: [{addresses: [10.0.0.1], conditions: {ready: false}}, {addresses: [10.0.0.2]}]
        """,
        True,
    ),
}


@pytest.mark.parametrize(("text", "there"), ENDPOINTS.values(), ids=ENDPOINTS)
def test_endpoints(text: str, *, there: bool) -> None:
    answer = of_endpoints(read_all(text), "istiod")
    assert answer == (
        ready("Service istiod has a ready endpoint") if there else waiting("Service istiod to have a ready endpoint")
    )


def test_no_slice_is_no_endpoint() -> None:
    assert not of_endpoints([], "istiod").ready


def pod(image: str, *, name: str = "edge-1", ending: bool = False) -> str:
    stamp = ', deletionTimestamp: "2026-01-01T00:00:00Z"' if ending else ""
    return f"""
---
metadata: {{name: {name}{stamp}}}
spec: {{containers: [{{name: istio-proxy, image: "{image}"}}]}}
"""


WANTED = f"{HUB}/proxyv2:1.20.0"

GATEWAY_PODS = {
    "one pod on the image": (pod(WANTED), ready(f"1 pod of edge on {WANTED}")),
    "two pods on the image": (pod(WANTED) + pod(WANTED, name="edge-2"), ready(f"2 pods of edge on {WANTED}")),
    "no pod (scaled to nothing)": ("", ready(f"0 pods of edge on {WANTED}")),
    "an ending pod no longer counts": (
        pod(WANTED) + pod("old:1", name="edge-0", ending=True),
        ready(f"1 pod of edge on {WANTED}"),
    ),
    "one pod on another image": (
        pod(WANTED) + pod("old:1", name="edge-2"),
        waiting(f"pod edge-2 of edge to run {WANTED} (it has old:1)"),
    ),
    "never injected": (pod("auto"), waiting(f"pod edge-1 of edge to run {WANTED} (it has auto)")),
    "no proxy container": (
        "{metadata: {name: edge-1}, spec: {containers: [{name: app, image: app:1}]}}",
        waiting(f"pod edge-1 of edge to run {WANTED} (it has no proxy)"),
    ),
}


@pytest.mark.parametrize(("text", "expected"), GATEWAY_PODS.values(), ids=GATEWAY_PODS)
def test_gateway_pods(text: str, expected: Readiness) -> None:
    assert of_gateway_pods(read_all(text), "edge", WANTED) == expected


def test_a_native_sidecar_is_a_proxy_too() -> None:
    found = proxy_images(
        read("spec: {initContainers: [{name: istio-proxy, image: p:1}], containers: [{name: app, image: a:1}]}")
    )
    assert found == {"p:1"}


ADDRESSES = {
    "an IP and a host name": (
        "status: {loadBalancer: {ingress: [{ip: 10.1.1.1}, {hostname: lb.example}]}}",
        ("10.1.1.1", "lb.example"),
    ),
    "pending": ("status: {loadBalancer: {}}", ()),
    "an entry with neither": ("status: {loadBalancer: {ingress: [{ports: []}]}}", ()),
    "no status": ("metadata: {name: x}", ()),
}


@pytest.mark.parametrize(("text", "expected"), ADDRESSES.values(), ids=ADDRESSES)
def test_addresses(text: str, expected: tuple[str, ...]) -> None:
    assert addresses_of(read(text)) == expected


def test_a_service_that_is_not_there_has_no_address() -> None:
    assert addresses_of(None) == ()


def test_a_failure_comes_before_what_is_waited_for() -> None:
    answers = [ready("a"), waiting("b"), failed("c"), failed("d")]
    assert first_unready(answers) == failed("c")
    assert first_unready([ready("a"), waiting("b"), waiting("c")]) == waiting("b")
    assert first_unready([ready("a")]) is None
    assert first_unready([]) is None


def test_an_answer_is_ready_in_one_state_alone() -> None:
    assert [one.ready for one in (ready(""), waiting(""), failed(""))] == [True, False, False]
    assert [one.state for one in (ready(""), waiting(""), failed(""))] == list(State)
