from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from nksmesh.domain.common.errors import ClusterError, NotReadyError, RefusedError, UnreachableError
from nksmesh.domain.common.events import EventKind
from nksmesh.domain.kube.diagnosis import Cause
from nksmesh.domain.kube.objects import Manifest
from nksmesh.engine.executor.gate import PROBE_POD, Gate, Probe, pass_gate, where_labels_decide
from nksmesh.engine.waiting import WaitOptions
from tests.unit.domain.meshes import ISTIOD
from tests.unit.fakes.cluster import FakeCluster, Heard
from tests.unit.fakes.meshes import NAMESPACE, PROXY, answering, endpoints, injected, root_cert, webhook
from tests.unit.fakes.runtime import runtime_of

GATE = Gate(step="injection webhook", istiod=ISTIOD, probes=(Probe(NAMESPACE),), proxy_image=PROXY)
PROVED = f"a dry-run pod in {NAMESPACE} gets {PROXY}"


def now() -> float:
    return asyncio.get_running_loop().time()


async def passes(cluster: FakeCluster, heard: Heard, gate: Gate = GATE, waits: WaitOptions | None = None) -> str:
    return await pass_gate(gate, runtime_of(cluster, waits=waits or WaitOptions(), listener=heard))


def refused(words: str, *, status: int = 500) -> RefusedError:
    return RefusedError("no", hint="", status=status, reason="InternalError", detail=words)


NOT_YET = refused(
    'Internal error occurred: failed calling webhook "rev.namespace.sidecar-injector.istio.io": connection refused'
)


async def test_the_proof_is_a_pod_that_comes_back_with_the_plans_own_proxy(cluster: FakeCluster, heard: Heard) -> None:
    probes: list[Manifest] = []

    def admit(manifest: Manifest) -> dict[str, Any]:
        probes.append(manifest)
        return injected(manifest)

    cluster.live.show(*answering())
    cluster.objects.admit = admit
    assert await passes(cluster, heard) == PROVED
    (probe,) = probes
    assert probe["metadata"]["labels"] == {"sidecar.istio.io/inject": "true"}
    assert cluster.objects.asked("create") == [f"Pod {NAMESPACE}/{PROBE_POD}"]
    assert heard.events == []


@pytest.mark.parametrize("labelled", [True, False])
async def test_a_revisions_injector_is_asked_by_its_label_or_as_the_default(
    cluster: FakeCluster, heard: Heard, *, labelled: bool
) -> None:
    istiod = replace(ISTIOD, istio_revision="canary")
    labels: list[Any] = []

    def admit(manifest: Manifest) -> dict[str, Any]:
        labels.append(manifest["metadata"]["labels"])
        return injected(manifest)

    cluster.objects.admit = admit
    cluster.live.show(webhook(revision="canary"), webhook(revision="default", name="other", bundle=""))
    cluster.live.show(endpoints("istiod-canary"))
    gate = replace(GATE, istiod=istiod, probes=(Probe(NAMESPACE, "canary" if labelled else ""),))
    assert await passes(cluster, heard, gate) == PROVED
    named = {"istio.io/rev": "canary"} if labelled else {}
    assert labels == [{"sidecar.istio.io/inject": "true", **named}]


async def test_nothing_is_probed_before_bundle_and_endpoint_are_there(cluster: FakeCluster, heard: Heard) -> None:
    cluster.objects.admit = injected
    loop = asyncio.get_running_loop()
    loop.call_at(1, lambda: cluster.live.show(webhook(bundle="")))
    loop.call_at(2, lambda: cluster.live.show(*answering()[:2], endpoints(ready=False)))
    loop.call_at(3, lambda: cluster.live.show(endpoints()))
    assert await passes(cluster, heard) == PROVED
    assert now() == 3
    assert len(cluster.objects.asked("create")) == 1
    assert heard.said(EventKind.WAITING) == [
        "a MutatingWebhookConfiguration of Istio revision default",
        "istiod to set the caBundle of istio-sidecar-injector",
        "Service istiod to have a ready endpoint",
    ]


async def test_an_injector_that_does_not_answer_yet_is_asked_again_at_growing_intervals(
    cluster: FakeCluster, heard: Heard
) -> None:
    cluster.live.show(*answering())
    cluster.objects.admit = injected
    cluster.objects.fails["create"] = NOT_YET
    asyncio.get_running_loop().call_at(20, cluster.objects.fails.clear)
    assert await passes(cluster, heard) == PROVED
    assert 20 <= now() <= 21
    assert len(cluster.objects.asked("create")) < 35  # about once a second, after a quick beginning
    (words,) = heard.said(EventKind.WAITING)
    assert words.startswith("the injector to answer: ")


async def test_an_injector_that_never_answers_ends_in_time(cluster: FakeCluster, heard: Heard) -> None:
    cluster.live.show(*answering())
    cluster.objects.fails["create"] = NOT_YET
    with pytest.raises(NotReadyError, match="does not answer after 30s") as caught:
        await passes(cluster, heard, waits=WaitOptions(component=30))
    assert 30 <= now() < 32
    assert "connection refused" in caught.value.message
    assert "15017" in caught.value.hint


async def test_a_webhook_that_never_comes_ends_in_time(cluster: FakeCluster, heard: Heard) -> None:
    with pytest.raises(NotReadyError, match="a MutatingWebhookConfiguration"):
        await passes(cluster, heard, waits=WaitOptions(component=10))


async def test_an_old_istiod_that_still_injects_the_old_image_is_waited_out(cluster: FakeCluster, heard: Heard) -> None:
    cluster.live.show(*answering())
    cluster.objects.admit = lambda manifest: injected(manifest, "old.example/proxyv2:1.19.0")
    asyncio.get_running_loop().call_at(4, lambda: setattr(cluster.objects, "admit", injected))
    assert await passes(cluster, heard) == PROVED
    assert heard.said(EventKind.WAITING) == [
        f"istiod to inject {PROXY} (it injects old.example/proxyv2:1.19.0)",
    ]


async def test_a_namespace_that_the_injector_leaves_alone_fails_after_its_grace(
    cluster: FakeCluster, heard: Heard
) -> None:
    cluster.live.show(*answering())  # and admit gives the probe back as it came
    waits = WaitOptions(graces={Cause.NOT_INJECTED: 12.0})
    with pytest.raises(NotReadyError, match=f"does not inject pods in namespace {NAMESPACE}") as caught:
        await passes(cluster, heard, waits=waits)
    assert 12 <= now() <= 14
    assert "istio-injection" in caught.value.hint


async def test_a_namespace_that_is_taken_within_its_grace_heals(cluster: FakeCluster, heard: Heard) -> None:
    cluster.live.show(*answering())
    asyncio.get_running_loop().call_at(5, lambda: setattr(cluster.objects, "admit", injected))
    assert await passes(cluster, heard) == PROVED


async def test_every_gateways_namespace_is_probed_and_the_first_unready_told(
    cluster: FakeCluster, heard: Heard
) -> None:
    cluster.live.show(*answering())
    spaces: list[str] = []

    def admit(manifest: Manifest) -> dict[str, Any]:
        spaces.append(manifest["metadata"]["namespace"])
        return injected(manifest, PROXY if now() > 1 or spaces[-1] == NAMESPACE else "old:1")

    cluster.objects.admit = admit
    await passes(cluster, heard, replace(GATE, probes=(Probe(NAMESPACE), Probe("edge"))))
    assert {*spaces} == {NAMESPACE, "edge"}
    assert heard.said(EventKind.WAITING) == [f"istiod to inject {PROXY} (it injects old:1)"]


async def test_an_injector_that_refuses_pods_for_good_fails_after_its_grace(cluster: FakeCluster, heard: Heard) -> None:
    cluster.live.show(*answering())
    words = 'admission webhook "object.sidecar-injector.istio.io" denied the request: template: inject: no such field'
    cluster.objects.fails["create"] = refused(words, status=400)
    with pytest.raises(NotReadyError, match=r"the injector refuses pods: .*no such field"):
        await passes(cluster, heard, waits=WaitOptions(graces={Cause.NOT_INJECTED: 12.0}))
    assert 12 <= now() <= 14


async def test_where_the_dry_run_is_refused_an_older_bundle_is_no_proof(cluster: FakeCluster, heard: Heard) -> None:
    cluster.live.show(webhook(bundle="b2xk"), root_cert(), endpoints())
    cluster.objects.fails["create"] = refused('admission webhook "policy.example" denied the request', status=403)
    asyncio.get_running_loop().call_at(4, lambda: cluster.live.show(webhook()))
    assert (
        await passes(cluster, heard)
        == "caBundle and endpoint are verified; dry-run pods were rejected by another webhook"
    )
    assert now() >= 4


DENIALS = {
    'admission webhook "validate.kyverno.svc" denied the request: no probes': (
        "admission webhook validate.kyverno.svc",
        400,
    ),
    'admission webhook "policy.example" denied the request: serviceAccountName is required': (
        "admission webhook policy.example",
        403,
    ),
    'pods "x" is forbidden: violates PodSecurity "restricted:latest"': ("an admission rule", 403),
    'admission webhook "legacy.example" does not support dry run': ("admission webhook legacy.example", 400),
}


@pytest.mark.parametrize(("words", "who"), DENIALS.items(), ids=[who for who, _ in DENIALS.values()])
async def test_somebody_elses_refusal_leaves_bundle_and_endpoint_as_the_proof(
    cluster: FakeCluster, heard: Heard, words: str, who: tuple[str, int]
) -> None:
    cluster.live.show(*answering())
    cluster.objects.fails["create"] = refused(words, status=who[1])
    assert (
        await passes(cluster, heard)
        == "caBundle and endpoint are verified; dry-run pods were rejected by another webhook"
    )
    (warning,) = heard.said(EventKind.WARNING)
    assert warning.startswith(f"{who[0]} rejects the dry-run pod")
    assert words in warning
    assert now() == 0


HEALING: dict[str, ClusterError] = {
    "the namespace's default service account is on its way": refused(
        'pods "x" is forbidden: error looking up service account edge/default: serviceaccount "default" not found',
        status=403,
    ),
    "a namespace that is ending is no policy": refused(
        'pods "x" is forbidden: unable to create new content in namespace edge because it is being terminated',
        status=403,
    ),
    "our own webhook denies": refused(
        'admission webhook "rev.namespace.sidecar-injector.istio.io" denied the request: not ready', status=400
    ),
    "something nobody has seen": refused("etcdserver: leader changed"),
    "the API server is away": UnreachableError("cannot reach the API server", hint=""),
}


@pytest.mark.parametrize("error", HEALING.values(), ids=HEALING)
async def test_what_heals_is_waited_for(cluster: FakeCluster, heard: Heard, error: ClusterError) -> None:
    cluster.live.show(*answering())
    cluster.objects.admit = injected
    cluster.objects.fails["create"] = error
    asyncio.get_running_loop().call_at(3, cluster.objects.fails.clear)
    assert await passes(cluster, heard) == PROVED
    assert heard.said(EventKind.WARNING) == []


async def test_a_namespace_where_the_probe_is_refused_is_warned_of_once_while_another_is_waited_for(
    cluster: FakeCluster, heard: Heard
) -> None:
    def admit(manifest: Manifest) -> dict[str, Any]:
        if manifest["metadata"]["namespace"] == "edge":
            raise refused('admission webhook "policy.example" denied the request', status=403)
        return injected(manifest, PROXY if now() > 3 else "old:1")

    cluster.live.show(*answering())
    cluster.objects.admit = admit
    assert await passes(cluster, heard, replace(GATE, probes=(Probe(NAMESPACE), Probe("edge")))) == PROVED
    assert len(heard.said(EventKind.WARNING)) == 1


@pytest.mark.parametrize(
    ("labelled", "where"),
    [
        ([], (NAMESPACE,)),
        ([NAMESPACE], ("default",)),
        ([NAMESPACE, "default"], ("shop",)),
        ([NAMESPACE, "default", "shop"], ()),
    ],
)
async def test_a_revision_is_asked_for_where_no_label_of_the_namespace_decides(
    cluster: FakeCluster, labelled: list[str], where: tuple[str, ...]
) -> None:
    for name in ("kube-system", "shop", "default", NAMESPACE):
        labels = {"istio-injection": "enabled"} if name in labelled else {"istio-injection-note": "x"}
        cluster.objects.put({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}})
    assert await where_labels_decide(NAMESPACE, cluster) == where


async def test_where_every_namespace_decides_the_bundle_is_the_proof(cluster: FakeCluster, heard: Heard) -> None:
    cluster.live.show(*answering())
    proved = await passes(cluster, heard, replace(GATE, probes=()))
    assert proved == "caBundle and endpoint are verified; dry-run pods were rejected by another webhook"
