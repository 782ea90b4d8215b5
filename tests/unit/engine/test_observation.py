from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from nksmesh.domain.charts.releases import Release
from nksmesh.domain.kube.diagnosis import Cause
from nksmesh.domain.kube.objects import Manifest, Query
from nksmesh.domain.kube.readiness import failed, ready, waiting
from nksmesh.engine import observation
from tests.unit.domain.meshes import INGRESS, ISTIOD
from tests.unit.fakes.cluster import FakeLive
from tests.unit.fakes.meshes import (
    NAMESPACE,
    PROXY,
    answering,
    crd,
    deployment,
    endpoints,
    event,
    pod,
    pulling,
    replica_set,
    rolled_out,
    root_cert,
    webhook,
)

RENDER = (deployment(INGRESS.name),)


@pytest.fixture
def live() -> FakeLive:
    return FakeLive()


def gateway(live: FakeLive) -> object:
    return observation.gateway_ready(live, INGRESS, RENDER, PROXY)


def test_a_gateway_is_ready_with_its_pods_on_the_plans_proxy(live: FakeLive) -> None:
    live.show(*rolled_out(INGRESS.name, pod(INGRESS.name)))
    assert gateway(live) == ready(f"1 pod of {INGRESS.name} on {PROXY}")


def test_a_rollout_whose_pods_are_not_seen_yet_proves_nothing(live: FakeLive) -> None:
    """Deployments and pods come by different watches: the one may be ahead of the other."""
    live.show(*rolled_out(INGRESS.name))
    assert gateway(live) == waiting(f"1 of 1 pods of {INGRESS.name} to appear")


def test_an_evicted_pod_is_no_pod_any_more(live: FakeLive) -> None:
    evicted = pod(INGRESS.name, image="old/proxyv2:1")
    live.show(
        *rolled_out(INGRESS.name),
        pod(INGRESS.name),
        {**evicted, "metadata": {**evicted["metadata"], "name": "evicted"}, "status": {"phase": "Failed"}},
    )
    assert gateway(live) == ready(f"1 pod of {INGRESS.name} on {PROXY}")


def test_a_gateway_scaled_to_nothing_is_ready(live: FakeLive) -> None:
    scaled = {**deployment(INGRESS.name), "spec": {"replicas": 0}, "status": {"observedGeneration": 1}}
    live.show(scaled)
    assert gateway(live) == ready(f"0 pods of {INGRESS.name} on {PROXY}")


def test_a_gateway_that_rolls_out_is_waited_for_before_its_pods_are_looked_at(live: FakeLive) -> None:
    live.show(deployment(INGRESS.name, available=False), pod(INGRESS.name))
    assert gateway(live) == waiting(f"Deployment {INGRESS.name}: 0 of 1 replicas available")


def test_a_release_without_deployments_is_installed(live: FakeLive) -> None:
    assert observation.rollout_of(live, INGRESS, ()) == ready("installed")


def test_pods_belong_to_a_release_by_their_owners_and_not_by_their_names(live: FakeLive) -> None:
    stranger: Manifest = {
        **pod(INGRESS.name, name="stranger"),
        "metadata": {"name": "stranger", "namespace": NAMESPACE},
    }
    ending = pod(INGRESS.name, name="ending")
    ending["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    auto, old = pod(INGRESS.name, name="auto", image="auto"), pod(INGRESS.name, name="old", image="old:1")
    live.show(*rolled_out(INGRESS.name, pod(INGRESS.name), auto, old), stranger, ending)
    names = [one["metadata"]["name"] for one in observation.pods_of(live, INGRESS, RENDER)]
    assert names == [f"{INGRESS.name}-1-x", "auto", "old"]
    assert observation.pods_without_proxy(live, INGRESS, RENDER) == [auto]
    assert observation.pods_on_other_proxy(live, INGRESS, RENDER, PROXY) == [auto, old]


CONFIGURED = {
    "everything there": (answering(), ready("caBundles are set")),
    "no configuration": (
        (root_cert(), endpoints()),
        waiting("a MutatingWebhookConfiguration of Istio revision default"),
    ),
    "another mesh's configuration": (
        (webhook(namespace="other"), endpoints()),
        waiting("a MutatingWebhookConfiguration of Istio revision default"),
    ),
    "another revision's": (
        (webhook(revision="canary"), endpoints()),
        waiting("a MutatingWebhookConfiguration of Istio revision default"),
    ),
    "another bundle than istiod's root: others keep the CA": (
        (webhook(bundle="b2xk"), root_cert(), endpoints()),
        ready("caBundles are set"),
    ),
    "no published root: a plugged-in CA": ((webhook(bundle="b2xk"), endpoints()), ready("caBundles are set")),
    "no endpoint": (
        (webhook(), root_cert(), endpoints(ready=False)),
        waiting("Service istiod to have a ready endpoint"),
    ),
    "another Service's endpoint": (
        (webhook(), root_cert(), endpoints("istiod-canary")),
        waiting("Service istiod to have a ready endpoint"),
    ),
}


@pytest.mark.parametrize(("shown", "answer"), CONFIGURED.values(), ids=CONFIGURED)
def test_webhook(live: FakeLive, shown: tuple[Manifest, ...], answer: object) -> None:
    live.show(*shown)
    assert observation.webhook_configured(live, ISTIOD) == answer


def test_without_a_dry_run_the_bundle_must_be_istiods_own_root(live: FakeLive) -> None:
    live.show(webhook(bundle="b2xk"), root_cert(), endpoints())
    answer = observation.webhook_configured(live, ISTIOD, trusted=True)
    assert answer == waiting("istiod to renew the caBundle of istio-sidecar-injector")


def test_a_revisions_webhook_has_the_revisions_service(live: FakeLive) -> None:
    live.show(webhook(revision="canary"), endpoints("istiod-canary"))
    canary = replace(ISTIOD, istio_revision="canary")
    assert observation.webhook_configured(live, canary).ready


def test_crds_are_counted_and_a_conflict_comes_first(live: FakeLive) -> None:
    live.show(crd("a.istio.io"), crd("b.istio.io", established=False))
    names = ["a.istio.io", "b.istio.io", "c.istio.io"]
    assert observation.crds_established(live, names[:1]) == ready("1 CRD is Established")
    assert observation.crds_established(live, names) == waiting(
        "2 of 3 CRDs to be Established", ["b.istio.io", "c.istio.io"]
    )
    taken = crd("c.istio.io")
    taken["status"] = {"conditions": [{"type": "NamesAccepted", "status": "False", "message": "taken"}]}
    live.show(taken)
    assert observation.crds_established(live, names) == failed("CRD c.istio.io: its names conflict: taken")


def test_troubles_are_those_of_the_newest_replica_set(live: FakeLive) -> None:
    live.show(deployment(INGRESS.name, available=False), replica_set(INGRESS.name, failure="exceeded quota"))
    live.show(replica_set(INGRESS.name, revision="0", failure="exceeded quota"))
    found = observation.troubles_of(live, INGRESS, RENDER)
    assert [trouble.subject for trouble in found] == [f"ReplicaSet {NAMESPACE}/{INGRESS.name}-1"]


def test_a_deployment_that_is_not_observed_has_no_troubles_of_its_own_yet(live: FakeLive) -> None:
    changed = deployment(INGRESS.name)
    changed["metadata"]["generation"] = 2
    live.show(changed, replica_set(INGRESS.name, failure="exceeded quota"))
    assert observation.troubles_of(live, INGRESS, RENDER) == []
    assert observation.troubles_of(FakeLive(), INGRESS, RENDER) == []


def daemon_set(*, available: int = 2) -> dict[str, Any]:
    status = {"observedGeneration": 1, "desiredNumberScheduled": 2, "updatedNumberScheduled": 2}
    return {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {
            "name": "istio-cni-node",
            "namespace": NAMESPACE,
            "uid": "set-istio-cni-node-1",
            "generation": 1,
            "annotations": {"deprecated.daemonset.template.generation": "2"},
        },
        "status": {**status, "numberAvailable": available},
    }


def on_node(name: str, generation: str) -> dict[str, Any]:
    """A pod of it that cannot pull its image."""
    one = pulling("istio-cni-node", "manifest unknown")
    labels = {"pod-template-generation": generation}
    return {**one, "metadata": {**one["metadata"], "name": name, "uid": name, "labels": labels}}


def test_a_release_on_every_node_is_judged_by_its_daemon_set(live: FakeLive) -> None:
    cni = Release(component="cni", name="istio-cni", namespace=NAMESPACE)
    render = (daemon_set(),)
    assert observation.rollout_of(live, cni, render) == waiting("DaemonSet istio-cni-node to be created")
    live.show(daemon_set(available=1), on_node("old", "1"), on_node("new", "2"))
    assert observation.rollout_of(live, cni, render) == waiting("DaemonSet istio-cni-node: available on 1 of 2 nodes")
    # pods of an older template are on their way out
    assert [trouble.subject for trouble in observation.troubles_of(live, cni, render)] == [f"Pod {NAMESPACE}/new"]
    assert {one["metadata"]["name"] for one in observation.pods_of(live, cni, render)} == {"old", "new"}
    live.show(daemon_set())
    answer = observation.rollout_of(live, cni, render)
    assert answer == ready("DaemonSet istio-cni-node is available on every node")


def refused(about: Manifest, words: str, at: str) -> Manifest:
    return {**event(about, words, at=at), "reason": "FailedCreate"}


FORBIDDEN = 'Error creating: pods "istio-cni-node-x" is forbidden: violates PodSecurity "restricted:latest"'


def test_a_daemon_set_whose_pods_are_refused_says_why(live: FakeLive) -> None:
    cni = Release(component="cni", name="istio-cni", namespace=NAMESPACE)
    short = daemon_set(available=1)
    live.show(short, refused(short, FORBIDDEN, "2026-01-01T00:00:09Z"))
    (trouble,) = observation.troubles_of(live, cni, (short,))
    assert (trouble.cause, trouble.subject) == (Cause.POLICY, f"DaemonSet {NAMESPACE}/istio-cni-node")
    assert trouble.words == FORBIDDEN
    # a pod that was made since shows that the refusal is over
    made = on_node("made", "2")
    made["metadata"]["creationTimestamp"] = "2026-01-01T00:00:10Z"
    live.show({**made, "status": {}})
    assert observation.troubles_of(live, cni, (short,)) == []


def test_what_is_ready_has_no_refusals_however_late_their_events(live: FakeLive) -> None:
    cni = Release(component="cni", name="istio-cni", namespace=NAMESPACE)
    live.show(daemon_set(), refused(daemon_set(), FORBIDDEN, "2026-01-01T00:00:09Z"))
    assert observation.troubles_of(live, cni, (daemon_set(),)) == []


def stateful_set(**status: Any) -> dict[str, Any]:
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": {"name": "edge", "namespace": "elsewhere", "uid": "edge", "generation": 1},
        "spec": {"replicas": 2},
        "status": {"observedGeneration": 1, "currentRevision": "a", "updateRevision": "b", **status},
    }


def test_a_stateful_set_in_a_namespace_of_its_own_is_followed_and_judged_there(live: FakeLive) -> None:
    render = (stateful_set(),)
    assert Query("apps/v1", "StatefulSet", "elsewhere") in observation.queries_of(INGRESS, render)
    assert Query("v1", "Pod", "elsewhere") in observation.queries_of(INGRESS, render)
    assert observation.rollout_of(live, INGRESS, render) == waiting("StatefulSet edge to be created")
    rolling = stateful_set(updatedReplicas=1, readyReplicas=2)
    live.show(rolling, refused(rolling, "exceeded quota: small", "2026-01-01T00:00:09Z"))
    assert observation.rollout_of(live, INGRESS, render) == waiting("StatefulSet edge: 1 of 2 replicas updated")
    (trouble,) = observation.troubles_of(live, INGRESS, render)
    assert (trouble.cause, trouble.subject) == (Cause.QUOTA, "StatefulSet elsewhere/edge")
    live.show(stateful_set(updateRevision="a", readyReplicas=2))
    assert observation.rollout_of(live, INGRESS, render) == ready("StatefulSet edge is available")


def test_pods_of_a_stateful_set_are_looked_at_by_their_revision(live: FakeLive) -> None:
    pods = []
    for name, revision in (("edge-0", "a"), ("edge-1", "b")):
        one = pulling("edge", "manifest unknown")
        owner = [{"uid": "edge", "kind": "StatefulSet", "name": "edge"}]
        labels = {"controller-revision-hash": revision}
        metadata = {"name": name, "namespace": "elsewhere", "uid": name, "labels": labels, "ownerReferences": owner}
        pods.append({**one, "metadata": metadata})
    live.show(stateful_set(), *pods)
    assert [one["metadata"]["name"] for one in observation.pods_of(live, INGRESS, (stateful_set(),))] == [
        "edge-0",
        "edge-1",
    ]
    assert [trouble.subject for trouble in observation.troubles_of(live, INGRESS, (stateful_set(),))] == [
        "Pod elsewhere/edge-1"
    ]


def test_events_are_those_about_the_object_oldest_first(live: FakeLive) -> None:
    one, other = pod("a"), pod("b")
    live.show(event(one, "late", at="2026-01-03"), event(other, "of another", at="2026-01-02"))
    live.show(event(one, "early", at="2026-01-01"))
    assert [found["message"] for found in observation.events_of(live, one)] == ["early", "late"]


def test_what_is_followed_is_followed_once_a_namespace() -> None:
    queries = observation.queries_for([NAMESPACE, NAMESPACE, "edge"], NAMESPACE)
    assert len(set(queries)) == len(queries) == 3 + 2 * 6
