"""The steps between the two installs of a promotion or an abort."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nksmesh.commands.canary.abort import plan_abort
from nksmesh.commands.canary.promote import plan_promote
from nksmesh.commands.canary.start import LABELS_BEFORE
from nksmesh.commands.canary.steps import InjectorRemovalStep, MovesBackStep, UnusedStep, abort_steps, promote_steps
from nksmesh.domain.common.errors import CheckError, NotReadyError
from nksmesh.domain.common.events import EventKind
from nksmesh.domain.kube.objects import ObjectRef
from nksmesh.domain.kube.restarts import Outcome, Restart
from nksmesh.domain.plan.plan import Action, Step
from nksmesh.engine.executor.executor import Executor
from nksmesh.engine.executor.step_context import Progress
from nksmesh.engine.runtime import Runtime
from tests.unit.domain.meshes import INGRESS, ISTIOD
from tests.unit.fakes.canaries import CART, LATER, MWC, NEW, namespace, on_proxies, webhook
from tests.unit.fakes.cluster import FakeCluster, Heard


def of_namespace(mesh: FakeCluster, name: str) -> tuple[dict[str, str], bool]:
    """Return a namespace's labels, and whether it remembers others."""
    metadata = mesh.objects.stored[ObjectRef("v1", "Namespace", name)]["metadata"]
    return {key: label for key, label in metadata["labels"].items() if label}, bool(
        (metadata.get("annotations") or {}).get(LABELS_BEFORE)
    )


def names(steps: tuple[Step, ...]) -> list[str]:
    """Return the names of steps, of which each needs the one before it."""
    assert [[need.step for need in step.needs] for step in steps] == [[], *([step.name] for step in steps[:-1])]
    return [step.name for step in steps]


async def test_an_abort_brings_the_labels_back_and_forgets_them_at_the_end(mesh: FakeCluster, runtime: Runtime) -> None:
    on_proxies(mesh)
    plan = await plan_abort(mesh, "", force=False)
    steps = abort_steps(plan, proxy_image="p:1")
    assert names(steps) == ["moved namespaces", "workloads of istiod-1-22-8", "former labels"]
    await Executor(steps[:1], runtime).run()
    assert of_namespace(mesh, "pay") == ({"istio-injection": "enabled"}, True)
    await Executor(steps, runtime).run()
    assert of_namespace(mesh, "pay") == ({"istio-injection": "enabled"}, False)


@pytest.mark.parametrize("force", [False, True])
async def test_an_istiod_that_is_still_used_stays_and_nothing_is_forgotten(
    mesh: FakeCluster, runtime: Runtime, *, force: bool
) -> None:
    on_proxies(mesh)
    plan = replace(await plan_abort(mesh, "", force=False), force=force)
    held = Progress(restarts=[Restart(workload=CART, outcome=Outcome.HELD_BACK, message="a budget allows 0")])
    run = Executor(abort_steps(plan, proxy_image="p:1"), runtime, progress=held, account=False).run
    if force:
        await run()
    else:
        with pytest.raises(CheckError, match="istiod-1-22-8 stays"):
            await run()
    assert of_namespace(mesh, "pay") == ({"istio-injection": "enabled"}, not force)


async def test_a_promotion_proves_the_new_istiod_before_anybody_follows_it(mesh: FakeCluster) -> None:
    plan = await plan_promote(mesh, "", restart=True, force=False)
    steps = promote_steps(plan, NEW, ISTIOD, [INGRESS], proxy_image="p:1")
    assert names(steps) == [
        "validator",
        "injector of istiod",
        "default Istio revision",
        "moved namespaces",
        "restart workloads of shop",
        "workloads of istiod",
    ]
    # an istiod with a revision is called for those alone who name it: its injector goes with its release
    later = promote_steps(plan, LATER, NEW, [INGRESS], proxy_image="p:1")
    assert not [step for step in later if isinstance(step, InjectorRemovalStep)]


async def test_a_namespace_whose_former_labels_name_the_old_istiod_keeps_those_of_the_canary(
    mesh: FakeCluster, runtime: Runtime
) -> None:
    mesh.objects.put(namespace("till", before={"istio.io/rev": "1-22-8"}, istio_rev="1-24-6"))
    back = MovesBackStep(name="back", action=Action.APPLY, staying="1-22-8")
    await Executor([back], runtime).run()
    assert of_namespace(mesh, "till") == ({"istio.io/rev": "1-24-6"}, False)
    assert of_namespace(mesh, "pay") == ({"istio-injection": "enabled"}, False)


async def test_the_old_injector_goes_once(mesh: FakeCluster, runtime: Runtime, heard: Heard) -> None:
    mesh.objects.put(webhook("istio-sidecar-injector", ISTIOD))
    step = InjectorRemovalStep(name="injector", action=Action.REMOVE, istiod=ISTIOD)
    await Executor([step], runtime).run()
    assert not [ref for ref in mesh.objects.stored if ref.kind == MWC]
    await Executor([step], runtime).run()
    assert heard.said(EventKind.DONE) == ["removed: the tag default takes its place", "was removed before"]


async def test_a_restart_that_failed_ends_the_run_with_its_own_error(runtime: Runtime) -> None:
    broken = NotReadyError("it broke", hint="h")
    failed = Progress(restarts=[Restart(workload=CART, outcome=Outcome.FAILED, message="it broke", error=broken)])
    step = UnusedStep(name="workloads", action=Action.PROVE, going="istiod", force=False)
    with pytest.raises(NotReadyError, match="it broke") as caught:
        await Executor([step], runtime, progress=failed, account=False).run()
    assert caught.value.__notes__ == ["istiod stays until no workload uses it"]
