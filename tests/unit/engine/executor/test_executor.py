from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from nksmesh.domain.charts.releases import Release
from nksmesh.domain.common.errors import (
    ClusterError,
    InterruptedRunError,
    NotReadyError,
    RefusedError,
    ReleaseError,
    UnreachableError,
)
from nksmesh.domain.common.events import EventKind
from nksmesh.domain.kube.objects import Manifest, ref_of
from nksmesh.domain.mesh.mesh import Network
from nksmesh.domain.plan.ordering import make_steps
from nksmesh.domain.plan.plan import CRDS_STEP, GATE_STEP, CrdChange, Plan, ReleaseChange
from nksmesh.engine.executor.executor import Executor
from nksmesh.engine.executor.step_context import Progress
from nksmesh.engine.waiting import WaitOptions
from tests.unit.domain.meshes import BASE, EDGE, INGRESS, ISTIOD, change, changes_of, installed, mesh
from tests.unit.fakes.cluster import FakeCluster, FakeHelm, Heard
from tests.unit.fakes.meshes import (
    NAMESPACE,
    PROXY,
    answering,
    crd,
    daemon_set,
    deployment,
    event,
    injected,
    on_node,
    pod,
    pulling,
    refusal,
    replica_set,
    rolled_out,
    service,
)
from tests.unit.fakes.runtime import runtime_of

INGRESS_RENDER = (deployment(INGRESS.name), service(INGRESS.name))
CRD = CrdChange(name="gateways.istio.io", manifest=crd("gateways.istio.io", established=False))


class Run:
    """One plan, applied to fakes in which everything goes well unless a test says otherwise."""

    def __init__(self, cluster: FakeCluster, helm: FakeHelm, heard: Heard) -> None:
        self.cluster, self.helm, self.heard = cluster, helm, heard
        self.waits = WaitOptions()
        cluster.objects.admit = injected
        helm.then[ISTIOD.name] = lambda: cluster.live.show(*rolled_out(ISTIOD.name), *answering())
        helm.then[INGRESS.name] = lambda: self.show_gateway(INGRESS, service(INGRESS.name, address="10.1.1.1"))
        helm.then[EDGE.name] = lambda: self.show_gateway(EDGE)

    def show_gateway(self, release: Release, *more: Manifest, image: str = PROXY) -> None:
        place = release.namespace
        self.cluster.live.show(
            *rolled_out(release.name, pod(release.name, image=image, namespace=place), namespace=place), *more
        )

    def plan(
        self,
        *changes: ReleaseChange,
        gateways: Sequence[Release] = (INGRESS,),
        crds: tuple[CrdChange, ...] = (),
        missing: frozenset[str] = frozenset(),
        unwanted: tuple[Release, ...] = (),
        **of_mesh: Any,
    ) -> Plan:
        wanted = mesh(*gateways, **of_mesh)
        known = {
            **changes_of(change(BASE), change(ISTIOD, manifests=[deployment(ISTIOD.name)])),
            **changes_of(*(change(release, manifests=self.render(release)) for release in gateways)),
            **changes_of(*changes),
        }
        steps = make_steps(
            wanted,
            known,
            crds,
            missing_namespaces=missing,
            unwanted={release: installed(release) for release in unwanted},
            proxy_image=PROXY,
        )
        return Plan(mesh=wanted, steps=steps, releases=known, crds=crds, proxy_image=PROXY)

    @staticmethod
    def render(release: Release) -> Sequence[Manifest]:
        return INGRESS_RENDER if release == INGRESS else (deployment(release.name, namespace=release.namespace),)

    def applying(self, plan: Plan) -> Executor:
        runtime = runtime_of(self.cluster, helm=self.helm, waits=self.waits, listener=self.heard)
        return Executor(plan.steps, runtime, releases=plan.manifests)

    async def __call__(self, plan: Plan) -> Progress:
        return await self.applying(plan).run()


@pytest.fixture
def run(cluster: FakeCluster, helm: FakeHelm, heard: Heard) -> Run:
    return Run(cluster, helm, heard)


def now() -> float:
    return asyncio.get_running_loop().time()


async def test_a_fresh_mesh_is_installed_in_order_and_proved(run: Run) -> None:
    run.helm.then[CRD.name] = None  # type: ignore[assignment]  # no release is named so
    establish = asyncio.create_task(_establish(run.cluster))
    progress = await run(run.plan(crds=(CRD,), missing=frozenset({NAMESPACE})))
    await establish
    done = run.heard.order(EventKind.DONE)
    assert done.index("namespace istio-system") == 0
    assert done.index(CRDS_STEP) < done.index(GATE_STEP) < done.index(INGRESS.name)
    assert done.index("istiod") < done.index(GATE_STEP)
    messages = {outcome.step.name: outcome.message for outcome in progress.outcomes}
    assert messages == {
        "namespace istio-system": "created",
        CRDS_STEP: "1 CRD is Established",
        "istio-base": "installed",
        "istiod": "Deployment istiod is available",
        GATE_STEP: f"a dry-run pod in {NAMESPACE} gets {PROXY}",
        INGRESS.name: f"1 pod of {INGRESS.name} on {PROXY}, at 10.1.1.1",
    }
    assert progress.addresses == {INGRESS.name: ("10.1.1.1",)}
    assert progress.warnings == []
    assert progress.told(run.plan(crds=(CRD,)).steps).startswith(
        "done: namespace istio-system, CRDs, istio-base, istiod"
    )


async def _establish(cluster: FakeCluster) -> None:
    while not cluster.objects.asked("apply")[1:]:  # noqa: ASYNC110 - on a clock that does not wait
        await asyncio.sleep(0.1)
    await asyncio.sleep(2)
    cluster.live.show(crd(CRD.name))


async def test_releases_that_need_not_wait_are_written_at_the_same_time(run: Run) -> None:
    run.helm.seconds = {"istio-base": 5.0, "istiod": 5.0, INGRESS.name: 5.0, EDGE.name: 5.0}
    await run(run.plan(gateways=(INGRESS, EDGE)))
    assert now() == 10  # base and istiod at once, then both gateways at once


async def test_gateways_do_not_begin_before_the_gate_is_proved(run: Run) -> None:
    old = run.cluster.objects.admit
    run.cluster.objects.admit = lambda manifest: injected(manifest, PROXY if now() > 30 else "old:1")
    await run(run.plan())
    assert old is injected
    started = dict(zip(run.heard.events, run.heard.times, strict=True))
    (begun,) = [at for one, at in started.items() if one.step == INGRESS.name and one.kind is EventKind.STARTED]
    assert begun > 30


async def test_what_is_as_wanted_is_proved_and_not_written(run: Run) -> None:
    kept = [
        change(BASE, installed=installed(BASE), reasons=()),
        change(ISTIOD, manifests=[deployment("istiod")], installed=installed(ISTIOD), reasons=()),
        change(INGRESS, manifests=INGRESS_RENDER, installed=installed(INGRESS), reasons=()),
    ]
    run.cluster.live.show(*rolled_out("istiod"), *answering())
    run.show_gateway(INGRESS, service(INGRESS.name, address="10.1.1.1"))
    same = CrdChange(name="a", manifest={}, exists=True, differs=False)
    progress = await run(run.plan(*kept, crds=(same,)))
    assert run.helm.calls == []
    assert run.cluster.objects.asked("apply") == []
    assert now() == 0
    messages = {outcome.step.name: outcome.message for outcome in progress.outcomes}
    assert messages["namespace istio-system"] == "exists"
    assert messages[CRDS_STEP] == "1 CRD is as in the chart"


async def test_a_release_that_a_dead_run_left_pending_is_cleared_first(run: Run) -> None:
    pending = installed(ISTIOD, status="pending-upgrade", helm_revision=3)
    await run(run.plan(change(ISTIOD, manifests=[deployment("istiod")], installed=pending)))
    assert run.cluster.storage.asked("forget") == ["istiod 3"]
    assert run.helm.asked("upgrade") == ["istiod"]


async def test_crds_in_bases_templates_are_watched_and_looked_up(run: Run) -> None:
    named = crd("gateways.istio.io", established=False)
    run.cluster.objects.put(named)
    asyncio.get_running_loop().call_at(9, lambda: run.cluster.live.show(crd("gateways.istio.io")))
    progress = await run(run.plan(change(BASE, manifests=[named])))
    assert run.cluster.live.asked("follow_from_now") == ["CustomResourceDefinition"]
    (base,) = [outcome for outcome in progress.outcomes if outcome.step.name == "istio-base"]
    assert (base.message, base.seconds) == ("1 CRD is Established", 9.0)


async def test_istiod_follows_the_crds_of_base_while_helm_is_at_work_on_the_rest_of_base(run: Run) -> None:
    named = crd("gateways.istio.io", established=False)
    run.helm.seconds["istio-base"] = 9.0
    asyncio.get_running_loop().call_at(2, lambda: run.cluster.live.show(crd("gateways.istio.io")))
    await run(run.plan(change(BASE, manifests=[named])))
    begun = dict(zip(run.heard.events, run.heard.times, strict=True))
    (istiod,) = [at for event, at in begun.items() if (event.step, event.kind) == ("istiod", EventKind.STARTED)]
    assert istiod == 2
    assert run.heard.order(EventKind.DONE)[:3] == ["istiod", "istio-base", GATE_STEP]


async def test_a_deployment_is_seen_at_once_even_if_its_watch_event_is_late(run: Run) -> None:
    run.helm.then["istiod"] = lambda: run.cluster.objects.put(deployment("istiod"))
    asyncio.get_running_loop().call_at(1.5, lambda: run.cluster.live.show(*answering()))
    progress = await run(run.plan())
    (istiod,) = [outcome for outcome in progress.outcomes if outcome.step.name == "istiod"]
    assert istiod.seconds == 1.0


async def test_a_failed_step_stops_the_others_and_lets_helm_finish(run: Run) -> None:
    run.helm.fails_on[INGRESS.name] = ReleaseError("helm install istio-ingressgateway failed", hint="x", detail="words")
    run.helm.seconds["edge"] = 7.0
    with pytest.raises(ReleaseError, match="istio-ingressgateway failed") as caught:
        await run(run.plan(gateways=(INGRESS, EDGE)))
    assert run.helm.finished[-1] == "edge"
    assert run.helm.running == 0
    assert now() == 1 + 7
    assert run.heard.said(EventKind.FAILED) == ["helm install istio-ingressgateway failed"]
    assert caught.value.__notes__ == [
        (
            "done: namespace istio-system, namespace edge, istio-base, istiod, injection webhook; "
            "begun: istio-ingressgateway, edge"
        )
    ]


async def test_a_gateway_that_cannot_pull_ends_the_run_with_image_and_reason(run: Run) -> None:
    run.helm.then[INGRESS.name] = lambda: run.cluster.live.show(
        deployment(INGRESS.name, available=False), replica_set(INGRESS.name), pulling(INGRESS.name, "manifest unknown")
    )
    with pytest.raises(NotReadyError) as caught:
        await run(run.plan())
    assert now() == pytest.approx(2.0)
    assert PROXY in caught.value.message
    assert caught.value.detail == "manifest unknown"
    assert any("manifest unknown" in one for one in run.heard.said(EventKind.WARNING, INGRESS.name))


async def test_an_older_replica_sets_pod_is_nobodys_trouble(run: Run) -> None:
    newest = deployment(INGRESS.name)
    newest["metadata"]["annotations"]["deployment.kubernetes.io/revision"] = "2"
    run.helm.then[INGRESS.name] = lambda: run.cluster.live.show(
        {**newest, "status": {**newest["status"], "replicas": 2}},
        replica_set(INGRESS.name),
        pulling(INGRESS.name, "manifest unknown"),
        replica_set(INGRESS.name, revision="2"),
        pod(INGRESS.name, name="new", revision="2"),
    )

    def ended() -> None:
        run.cluster.live.show(
            newest, {**pulling(INGRESS.name, "x"), "metadata": {"name": "gone", "namespace": NAMESPACE}}
        )
        run.cluster.live.seen.pop(("Pod", NAMESPACE, f"{INGRESS.name}-1-x"))

    asyncio.get_running_loop().call_at(5, ended)
    run.waits = replace(run.waits, address=0)
    await run(run.plan())
    assert now() == 5


async def test_a_quota_that_is_full_ends_the_run_at_once(run: Run) -> None:
    run.helm.then["istiod"] = lambda: run.cluster.live.show(
        deployment("istiod", available=False), replica_set("istiod", failure="exceeded quota: compute")
    )
    with pytest.raises(NotReadyError, match="FailedCreate") as caught:
        await run(run.plan())
    assert caught.value.detail == "exceeded quota: compute"
    assert now() == 1


def stuck(run: Run, words: str = "manifest unknown") -> Manifest:
    """Show a mesh that is as wanted, but for a gateway's pod that an earlier run left without its image."""
    one = pulling(INGRESS.name, words)
    run.cluster.objects.put(one)
    run.cluster.live.show(*rolled_out(ISTIOD.name), *answering(), service(INGRESS.name, address="10.1.1.1"))
    run.cluster.live.show(deployment(INGRESS.name, available=False), replica_set(INGRESS.name), one)
    return one


def kept(run: Run) -> Plan:
    renders = {BASE: (), ISTIOD: (deployment(ISTIOD.name),), INGRESS: INGRESS_RENDER}
    return run.plan(
        *(
            change(release, manifests=some, installed=installed(release), reasons=())
            for release, some in renders.items()
        )
    )


@pytest.mark.parametrize("words", ["manifest unknown", "i/o timeout"])
async def test_an_image_that_was_not_pulled_before_the_run_is_tried_again_by_another_pod(run: Run, words: str) -> None:
    one = stuck(run, words)
    again = pod(INGRESS.name, name=f"{INGRESS.name}-1-y")
    show = (deployment(INGRESS.name), again)
    asyncio.get_running_loop().call_later(10, lambda: run.cluster.live.show(*show))
    progress = await run(kept(run))
    name = one["metadata"]["name"]
    assert run.cluster.objects.asked("delete") == [f"Pod {NAMESPACE}/{name}"]
    (told,) = [warning for warning in progress.warnings if "deleted pod" in warning]
    assert told.startswith(f"{INGRESS.name}: deleted pod {name}: its image could not be pulled before this run")


async def test_another_pod_that_does_not_pull_either_ends_the_run_at_once(run: Run) -> None:
    stuck(run)
    again = pulling(INGRESS.name, "manifest unknown")
    again["metadata"]["name"] += "-y"
    asyncio.get_running_loop().call_later(3, lambda: run.cluster.live.show(again))
    with pytest.raises(NotReadyError, match=r"cannot become ready: Pod istio-system/.*-y: ErrImagePull"):
        await run(kept(run))
    assert now() == 3
    assert len(run.cluster.objects.asked("delete")) == 1


async def test_a_pod_that_may_not_be_deleted_keeps_its_verdict_a_little_later(run: Run) -> None:
    stuck(run)
    run.cluster.objects.fails["delete"] = RefusedError("no", hint="ask", status=403, reason="Forbidden")
    with pytest.raises(NotReadyError, match=r"is not ready after 5\.0s: Pod .*: ErrImagePull"):
        await run(kept(run))
    assert len(run.cluster.objects.asked("delete")) == 1


async def test_pods_that_a_quota_refused_before_the_run_are_asked_for_again(run: Run) -> None:
    words = "pods is forbidden: exceeded quota: small"
    run.cluster.live.show(*rolled_out(ISTIOD.name), *answering(), service(INGRESS.name, address="10.1.1.1"))
    refused = replica_set(INGRESS.name, failure=words)
    run.cluster.live.show(deployment(INGRESS.name, available=False), refused)
    run.cluster.objects.put(refused)
    asyncio.get_running_loop().call_later(3, lambda: run.show_gateway(INGRESS))
    progress = await run(kept(run))
    assert run.cluster.objects.asked("merge") == [f"ReplicaSet {NAMESPACE}/{INGRESS.name}-1"]
    assert any("was restarted to retry at once" in warning for warning in progress.warnings)
    run.cluster.live.show(deployment(INGRESS.name, available=False), refused)
    run.cluster.live.remove(ref_of(pod(INGRESS.name)))
    with pytest.raises(NotReadyError, match=r"is not ready after 5\.0s: ReplicaSet"):
        await run(kept(run))


FORBIDDEN = 'Error creating: pods "x" is forbidden: violates PodSecurity "restricted:latest"'


def on_nodes(run: Run, **changed: Any) -> Plan:
    """Plan a gateway that is a DaemonSet; Helm has it unless it is said otherwise."""
    run.cluster.live.show(*rolled_out(ISTIOD.name), *answering())
    istiod = change(ISTIOD, manifests=(deployment(ISTIOD.name),), installed=installed(ISTIOD), reasons=())
    base = change(BASE, installed=installed(BASE), reasons=())
    fields: dict[str, Any] = {"manifests": (daemon_set(INGRESS.name),), "installed": installed(INGRESS), **changed}
    return run.plan(base, istiod, change(INGRESS, **fields))


async def test_a_daemon_set_whose_pods_are_forbidden_ends_the_run_at_once(run: Run) -> None:
    short = daemon_set(INGRESS.name, ready=0)
    run.helm.then[INGRESS.name] = lambda: run.cluster.live.show(short, refusal(short, FORBIDDEN))
    with pytest.raises(NotReadyError, match=f"DaemonSet {NAMESPACE}/{INGRESS.name}: FailedCreate") as caught:
        await run(on_nodes(run, installed=None))
    assert caught.value.detail == FORBIDDEN
    assert f"kubectl label namespace {NAMESPACE} pod-security.kubernetes.io/enforce=privileged" in caught.value.hint
    assert now() == 1


async def test_a_refusal_from_before_the_run_that_was_over_fails_no_rollout(run: Run) -> None:
    """A node that was refused a pod has left since: the event stays for an hour, and tells of nothing."""
    run.cluster.live.show(daemon_set(INGRESS.name), on_node(INGRESS.name), refusal(daemon_set(INGRESS.name), FORBIDDEN))
    loop = asyncio.get_running_loop()
    run.helm.then[INGRESS.name] = lambda: run.cluster.live.show(daemon_set(INGRESS.name, generation=2, ready=0))
    # the old pod takes its time to end, and only then is the new one made
    new = on_node(INGRESS.name, generation=2, made="2026-01-01T00:10:00Z")
    loop.call_at(40, lambda: run.cluster.live.remove(ref_of(on_node(INGRESS.name))))
    loop.call_at(41, lambda: run.cluster.live.show(daemon_set(INGRESS.name, generation=2), new))
    progress = await run(on_nodes(run))
    assert now() == 41
    assert progress.warnings == []


async def test_a_new_refusal_counts_though_there_was_an_old_one(run: Run) -> None:
    shown = daemon_set(INGRESS.name)
    run.cluster.live.show(shown, on_node(INGRESS.name), refusal(shown, "exceeded quota: old"))
    short = daemon_set(INGRESS.name, generation=2, ready=0)
    again = refusal(short, FORBIDDEN, at="2026-01-01T00:20:00Z")
    run.helm.then[INGRESS.name] = lambda: run.cluster.live.show(short, again)
    with pytest.raises(NotReadyError) as caught:
        await run(on_nodes(run))
    assert caught.value.detail == FORBIDDEN


async def test_a_daemon_set_that_was_refused_before_the_run_is_asked_to_try_again(run: Run) -> None:
    short = daemon_set(INGRESS.name, ready=0)
    run.cluster.live.show(short, refusal(short, FORBIDDEN))
    run.cluster.objects.put(short)
    made = on_node(INGRESS.name, made="2026-01-01T00:10:00Z")
    asyncio.get_running_loop().call_later(3, lambda: run.cluster.live.show(daemon_set(INGRESS.name), made))
    progress = await run(on_nodes(run, reasons=()))
    assert run.cluster.objects.asked("merge") == [f"DaemonSet {NAMESPACE}/{INGRESS.name}"]
    assert any("was restarted to retry at once" in warning for warning in progress.warnings)


async def test_a_daemon_set_that_nobody_may_restart_says_why_its_pods_stay(run: Run) -> None:
    by_hand = daemon_set(INGRESS.name)
    by_hand["spec"]["updateStrategy"] = {"type": "OnDelete"}
    run.cluster.objects.put(by_hand)
    run.cluster.live.show(by_hand, on_node(INGRESS.name, image="old:1"))
    run.waits = WaitOptions(component=20)
    with pytest.raises(NotReadyError, match=f"DaemonSet {INGRESS.name}: its update strategy is OnDelete: delete its"):
        await run(on_nodes(run, reasons=(), stale_pods=("pod x runs old:1",)))


async def test_what_is_waited_for_longer_than_its_timeout_ends_the_run(run: Run) -> None:
    run.helm.then["istiod"] = lambda: run.cluster.live.show(deployment("istiod", available=False))
    run.waits = WaitOptions(component=20)
    with pytest.raises(NotReadyError, match="istiod is not ready after 20s"):
        await run(run.plan())


async def test_a_pod_admitted_without_injection_is_deleted_once_and_said(run: Run) -> None:
    run.helm.then[INGRESS.name] = lambda: run.show_gateway(
        INGRESS, service(INGRESS.name, address="10.1.1.1"), image="auto"
    )

    async def replace_pod() -> None:
        while not run.cluster.objects.asked("delete"):  # noqa: ASYNC110 - on a clock that does not wait
            await asyncio.sleep(0.1)
        await asyncio.sleep(3)
        run.cluster.live.show(pod(INGRESS.name, name="injected"))

    replacing = asyncio.create_task(replace_pod())
    # the pod stays in the view until its deletion is seen
    run.cluster.live.remove = lambda ref: run.cluster.live.wake()  # type: ignore[method-assign]  # noqa: ARG005 - the port's name
    asyncio.get_running_loop().call_at(4, lambda: run.cluster.live.seen.pop(("Pod", NAMESPACE, f"{INGRESS.name}-1-x")))
    progress = await run(run.plan())
    await replacing
    assert run.cluster.objects.asked("delete") == [f"Pod {NAMESPACE}/{INGRESS.name}-1-x"]
    (warning,) = progress.warnings
    said = f"deleted pod {INGRESS.name}-1-x: it was created before the injector answered (image auto)"
    assert warning == f"{INGRESS.name}: {said}"
    assert run.heard.said(EventKind.WARNING, INGRESS.name) == [said]


async def test_a_pod_that_cannot_be_deleted_now_is_tried_again(run: Run) -> None:
    run.helm.then[INGRESS.name] = lambda: run.show_gateway(
        INGRESS, service(INGRESS.name, address="10.1.1.1"), image="auto"
    )
    run.cluster.objects.fails["delete"] = UnreachableError("gone", hint="")
    loop = asyncio.get_running_loop()
    loop.call_at(5, run.cluster.objects.fails.clear)
    loop.call_at(6, run.cluster.live.wake)
    loop.call_at(8, lambda: run.cluster.live.show(pod(INGRESS.name, name="injected")))
    progress = await run(run.plan())
    assert len(progress.warnings) == 1
    assert now() == 8


async def test_an_address_is_waited_for_as_long_as_was_asked_and_then_is_a_warning(run: Run) -> None:
    pending = service(INGRESS.name)
    run.helm.then[INGRESS.name] = lambda: run.show_gateway(
        INGRESS, pending, event(pending, "first"), event(pending, "quota of floating IPs", at="2026-01-02T00:00:00Z")
    )
    loop = asyncio.get_running_loop()
    for seconds in range(3, 12):
        loop.call_at(seconds, run.cluster.live.wake)
    run.waits = WaitOptions(address=12.0)
    progress = await run(run.plan())
    assert now() == 14
    words = f"Service {NAMESPACE}/{INGRESS.name} has no address yet: quota of floating IPs"
    assert progress.warnings == [f"{INGRESS.name}: {words}"]
    assert run.heard.said(EventKind.WARNING, INGRESS.name) == [words]
    awaited = f"an address for Service {INGRESS.name}"
    assert run.heard.said(EventKind.WAITING, INGRESS.name).count(awaited) == 1
    assert progress.outcomes[-1].message.endswith("no address yet")


@pytest.mark.parametrize(("network", "seconds"), [(Network.PUBLIC, 30), (Network.PRIVATE, 0)])
async def test_a_private_network_has_no_address_to_wait_for(run: Run, network: Network, seconds: float) -> None:
    run.helm.then[INGRESS.name] = lambda: run.show_gateway(INGRESS, service(INGRESS.name))
    await run(run.plan(network=network))
    assert now() == 2 + seconds


async def test_an_address_that_comes_is_taken(run: Run) -> None:
    run.helm.then[INGRESS.name] = lambda: run.show_gateway(INGRESS, service(INGRESS.name))
    asyncio.get_running_loop().call_at(6, lambda: run.cluster.live.show(service(INGRESS.name, address="10.9.9.9")))
    progress = await run(run.plan())
    assert (now(), progress.addresses) == (6, {INGRESS.name: ("10.9.9.9",)})


async def test_a_gateway_without_a_load_balancer_needs_no_address(run: Run) -> None:
    rendered = (deployment(INGRESS.name), service(INGRESS.name, kind="ClusterIP"))
    run.helm.then[INGRESS.name] = lambda: run.show_gateway(INGRESS)
    progress = await run(run.plan(change(INGRESS, manifests=rendered)))
    assert progress.addresses == {}
    assert progress.outcomes[-1].message == f"1 pod of {INGRESS.name} on {PROXY}"


async def test_stale_gateways_are_restarted_behind_the_gate_and_watched(run: Run) -> None:
    stale = change(
        INGRESS, manifests=INGRESS_RENDER, installed=installed(INGRESS), reasons=(), stale_pods=("pod a runs old:1",)
    )
    run.show_gateway(INGRESS, service(INGRESS.name, address="10.1.1.1"), image="old:1")
    run.cluster.objects.put(deployment(INGRESS.name))
    asyncio.get_running_loop().call_at(40, lambda: run.show_gateway(INGRESS))
    progress = await run(run.plan(stale))
    messages = {outcome.step.name: outcome.message for outcome in progress.outcomes}
    assert messages[INGRESS.name] == "written; its pods are restarted next"
    assert messages[f"restart {INGRESS.name}"] == f"1 pod of {INGRESS.name} on {PROXY}, at 10.1.1.1"
    assert run.cluster.objects.asked("merge") == [f"Deployment {NAMESPACE}/{INGRESS.name}"]
    assert run.heard.order(EventKind.DONE)[-1] == f"restart {INGRESS.name}"
    assert now() == 40


async def test_what_is_no_longer_wanted_goes_last(run: Run) -> None:
    progress = await run(run.plan(unwanted=(EDGE,)))
    assert run.helm.calls[-1] == ("uninstall", "edge")
    assert progress.outcomes[-1].message == "removed"


async def test_steps_of_the_same_name_are_refused_before_anything_is_done(run: Run) -> None:
    plan = run.plan()
    with pytest.raises(ValueError, match="several steps of the same name: istiod"):
        run.applying(replace(plan, steps=(*plan.steps, next(step for step in plan.steps if step.name == "istiod"))))


async def test_a_stopped_run_says_what_was_done_begun_and_not_begun(run: Run) -> None:
    run.helm.seconds["istiod"] = 10.0
    task = asyncio.create_task(run(run.plan(missing=frozenset({NAMESPACE}))))
    await asyncio.sleep(3)
    task.cancel("Ctrl-C")
    with pytest.raises(InterruptedRunError) as caught:
        await task
    assert caught.value.message == "Ctrl-C"
    assert caught.value.detail == (
        "done: namespace istio-system, istio-base; begun: istiod; not begun: injection webhook, istio-ingressgateway"
    )
    assert run.helm.finished == ["istio-base", "istiod"]  # Helm finished what it had begun
    assert now() == 10


async def test_a_run_stopped_without_a_word_says_so_itself(run: Run) -> None:
    task = asyncio.create_task(run(run.plan()))
    await asyncio.sleep(0.5)
    task.cancel()
    with pytest.raises(InterruptedRunError, match="stopped before the end"):
        await task


async def test_a_refused_namespace_ends_the_run_before_anything_is_written(run: Run) -> None:
    run.cluster.objects.fails["apply"] = RefusedError("no", hint="ask", status=403, reason="Forbidden")
    with pytest.raises(ClusterError, match="no"):
        await run(run.plan(missing=frozenset({NAMESPACE})))
    assert run.helm.calls == []


async def test_a_bug_is_not_dressed_up_as_an_error_of_the_mesh(run: Run) -> None:
    run.cluster.objects.fails["apply"] = ZeroDivisionError("a bug")
    with pytest.raises(ZeroDivisionError):
        await run(run.plan(missing=frozenset({NAMESPACE})))
