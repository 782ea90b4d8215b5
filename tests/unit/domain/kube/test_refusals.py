"""Pods that the API server refuses to create."""

from __future__ import annotations

import pytest

from nksmesh.domain.kube.diagnosis import Cause, Trouble
from nksmesh.domain.kube.objects import Manifest
from nksmesh.domain.kube.refusals import _meaning, refusals_of, troubles_of_replica_set
from tests.unit.domain.manifests import read, read_all


def replica_set(status: str) -> dict[str, object]:
    return read(f"metadata: {{name: edge-1, namespace: istio-system}}\nstatus: {status}")


def test_a_replica_set_that_cannot_create_pods() -> None:
    failure = (
        'type: ReplicaFailure, status: "True", reason: FailedCreate, message: "pods edge is forbidden: exceeded quota"'
    )
    found = troubles_of_replica_set(replica_set(f"{{conditions: [{{{failure}}}]}}"))
    assert found == [
        Trouble(Cause.QUOTA, "ReplicaSet istio-system/edge-1", "FailedCreate", "pods edge is forbidden: exceeded quota")
    ]


@pytest.mark.parametrize("status", ["{}", '{conditions: [{type: ReplicaFailure, status: "False"}]}'])
def test_a_replica_set_without_a_failure(status: str) -> None:
    assert troubles_of_replica_set(replica_set(status)) == []


CREATION = {
    'pods "x" is forbidden: exceeded quota: compute, requested: cpu=1, used: cpu=4': Cause.QUOTA,
    'pods "x" is forbidden: failed quota: compute: must specify limits.cpu': Cause.QUOTA,
    'Internal error occurred: failed calling webhook "namespace.sidecar-injector.istio.io": connection refused': (
        Cause.WEBHOOK
    ),
    'Internal error occurred: no endpoints available for service "istiod"': Cause.WEBHOOK,
    "context deadline exceeded (Client.Timeout exceeded while awaiting headers)": Cause.WEBHOOK,
    'admission webhook "validate.kyverno.svc" denied the request: no root': Cause.POLICY,
    'admission webhook "limits.example" denied the request: timeoutSeconds must be set': Cause.POLICY,
    'pods "x" is forbidden: violates PodSecurity "restricted:latest"': Cause.POLICY,
    "pods is forbidden: insufficient quota to match these scopes: [{PriorityClass In [a]}]": Cause.QUOTA,
    'pods "x" is forbidden: maximum cpu usage per Container is 100m, but limit is 2': Cause.QUOTA,
    'pods "x" is forbidden: [minimum memory usage per Pod is 1Gi, but request is 128Mi]': Cause.QUOTA,
    'pods "x" is forbidden: cpu max limit to request ratio per Container is 2, but provided ratio is 20': Cause.QUOTA,
    'pods "x" is forbidden: no PriorityClass with name system-mesh was found': Cause.POLICY,
    'pods "x-" is forbidden: error looking up service account mesh/gw: serviceaccount "gw" not found': Cause.CONFIG,
    "something that nobody has seen": Cause.WEBHOOK,
}


@pytest.mark.parametrize(("words", "cause"), CREATION.items(), ids=CREATION)
def test_why_a_pod_was_not_created(words: str, cause: Cause) -> None:
    assert _meaning(words)[0] is cause


STEPS = {
    'pods "x" is forbidden: violates PodSecurity "restricted:latest": seccompProfile': (
        "kubectl label namespace edge pod-security.kubernetes.io/enforce=privileged --overwrite"
    ),
    "pods is forbidden: insufficient quota to match these scopes: [{PriorityClass In [a]}]": (
        "Create a ResourceQuota in namespace edge"
    ),
    'pods "x" is forbidden: maximum cpu usage per Container is 1': "Change the LimitRange of namespace edge",
    'pods "x" is forbidden: failed quota: small: must specify limits.cpu': "Set what the quota requires",
    'pods "x" is forbidden: exceeded quota: small': "Raise the namespace's quota",
    'pods "x" is forbidden: no PriorityClass with name a was found': "Create this PriorityClass",
    'pods "x-" is forbidden: error looking up service account edge/gw': "Create this ServiceAccount in namespace edge",
    'admission webhook "x" denied the request: {no} braces': "Ask the policy's owner",
}


@pytest.mark.parametrize(("words", "step"), STEPS.items(), ids=STEPS)
@pytest.mark.parametrize("kind", ["ReplicaSet", "DaemonSet"])
def test_the_next_step_fits_what_was_refused(kind: str, words: str, step: str) -> None:
    metadata = "{name: gw, namespace: edge}"
    if kind == "ReplicaSet":
        condition = read("{type: ReplicaFailure, status: 'True', reason: FailedCreate}") | {"message": words}
        (trouble,) = troubles_of_replica_set({**read(f"metadata: {metadata}"), "status": {"conditions": [condition]}})
    else:
        (trouble,) = refusals_of(read(f"kind: DaemonSet\nmetadata: {metadata}"), [refused(9, words)], [])
    assert step in trouble.next_step
    assert trouble.words == words


def refused(second: int, words: str = "exceeded quota: small", *, reason: str = "FailedCreate") -> Manifest:
    return {
        "metadata": {"name": "gw.1", "resourceVersion": str(second)},
        "reason": reason,
        "message": words,
        "lastTimestamp": f"2026-01-01T00:00:{second:02}Z",
    }


def pods(*seconds: int, status: str = "{}") -> list[dict[str, object]]:
    stamps = (f'"2026-01-01T00:00:{second:02}Z"' for second in seconds)
    return read_all("".join(f"---\nmetadata: {{creationTimestamp: {stamp}}}\nstatus: {status}\n" for stamp in stamps))


ON_NODES = "{kind: DaemonSet, metadata: {name: gw, namespace: edge}, status: {desiredNumberScheduled: 2}}"
REPLICAS = "{kind: StatefulSet, metadata: {name: gw, namespace: edge}, spec: {replicas: 2}}"


@pytest.mark.parametrize("controller", [ON_NODES, REPLICAS], ids=["DaemonSet", "StatefulSet"])
def test_refusals_tell_of_pods_that_are_missing_since(controller: str) -> None:
    one = read(controller)
    subject = f"{one['kind']} edge/gw"
    assert refusals_of(one, [refused(5, "denied"), refused(9)], []) == [
        Trouble(Cause.QUOTA, subject, "FailedCreate", "exceeded quota: small")
    ]
    assert refusals_of(one, [refused(9)], pods(9)), "the other pod may have been refused in the same second"
    assert refusals_of(one, [refused(9)], pods(10)) == [], "what was refused before a pod was made is over"
    assert refusals_of(one, [refused(9)], pods(9, 9)) == [], "every pod is there"
    assert refusals_of(one, [refused(9)], pods(9, 9, status="{phase: Failed}")), "pods that ended are none"
    assert refusals_of(one, [refused(9, reason="FailedDelete")], []) == []
    assert refusals_of(one, [], []) == []


def test_a_daemon_set_whose_first_pods_are_refused_may_not_know_its_nodes_yet() -> None:
    assert refusals_of(read("{kind: DaemonSet, metadata: {name: gw, namespace: edge}, status: {}}"), [refused(9)], [])
