"""Aborting a canary: everybody goes back to where they were, then it is removed.

The order matters. Where its promotion had begun, the old istiod gets the default back first, for namespaces that are
labelled as they were would still get the canary's proxy; then the namespaces, each restarted; then the gateways; the
canary goes last. base and the CRDs stay at the later version: they never go back.
"""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import replace

from nksmesh.commands.canary.move import proxy_of
from nksmesh.commands.canary.plan import CANARY_STEP, CanaryPlan, CanaryResult, names_one_of, plan_removal
from nksmesh.commands.canary.start import (
    CONTROL_PLANE,
    canary_of,
    install_scope,
    later_base,
    merged,
    own_istiod,
    recorded_mesh,
)
from nksmesh.commands.canary.status import status
from nksmesh.commands.canary.steps import TagsStep, abort_steps
from nksmesh.domain.mesh.record import Canary, Keep, Record
from nksmesh.domain.mesh.revisions import DEFAULT_TAG
from nksmesh.engine.agreement import agreed
from nksmesh.engine.executor.executor import Executor
from nksmesh.engine.ports import Cluster
from nksmesh.engine.request import MeshRequest, ReleaseScope
from nksmesh.engine.runtime import Runtime


async def plan_abort(cluster: Cluster, namespace: str, *, force: bool) -> CanaryPlan:
    """See what aborting the canary would do; nothing is written.

    Args:
        namespace: The control plane's namespace, or empty.
        force: Go on where workloads keep the canary's proxy.

    Raises:
        ConfigError: No canary is on.
        CheckError: Workloads or namespaces were put on the canary by other means than ``canary move``.
        ClusterError: The cluster cannot be reached, or refuses.
    """
    record, found = await recorded_mesh(cluster, namespace), await status(cluster, namespace)
    canary, old = canary_of(record), own_istiod(record)
    returning = {DEFAULT_TAG, *record.settings.revisions.tags}  # a promotion that had begun may have taken them
    named = {canary.istio_revision, *(set(canary.settings.revisions.tags) - returning)}
    return plan_removal(
        found,
        promote=False,
        istiods=(old, canary.release),
        uses=lambda workload: canary.istio_revision in workload.istio_revisions,
        pinned=lambda namespace: not namespace.moved and names_one_of(namespace, named),
        restart=True,
        force=force,
        hint="nksmesh canary abort moves back what nksmesh canary move has moved. Restore "
        "the labels of namespaces that were labelled by hand and restart what is left, "
        "or pass --force to leave it.",
    )


async def abort(shown: CanaryPlan, request: MeshRequest, runtime: Runtime) -> CanaryResult:
    """Remove the canary, after everybody is where they were. Run again it goes on from what is there.

    Raises:
        ClusterError: There is more to do now than was shown; or the cluster cannot be reached, or refuses.
        MeshError: As ``plan_abort`` and ``install`` say; or a workload did not come off the canary, which stays.
    """
    cluster = runtime.cluster

    def again() -> Awaitable[CanaryPlan]:
        return plan_abort(cluster, request.options.namespace, force=shown.force)

    async with agreed(shown, again, runtime, command="canary abort", step=CANARY_STEP) as plan:
        record = await recorded_mesh(cluster, request.options.namespace)
        canary, old = canary_of(record), own_istiod(record)
        base_version = await later_base(record, cluster)
        revisions = replace(record.settings.revisions, base_version=base_version)
        settings = replace(record.settings, revisions=revisions)
        took = canary.promoting or bool(revisions.tags)  # a run that was stopped may have, and recorded nothing
        if took:
            await Executor([TagsStep(tags=revisions.tags, old=canary.release, new=old)], runtime, account=False).run()
    if took:
        back = ReleaseScope(settings=settings, keep=_returning(canary), components=CONTROL_PLANE)
        await install_scope(request, back, runtime, "canary abort (the default goes back)")
    async with cluster.lease.held("canary abort"):
        steps = abort_steps(plan, proxy_image=await proxy_of(old, cluster, runtime.helm))
        progress = await Executor(steps, runtime, account=False).run()
    done = await install_scope(request, ReleaseScope(settings=settings, keep=_aborted), runtime, "canary abort")
    newer = (f"base and the CRDs stay at {base_version}: they are never downgraded",) if base_version else ()
    return CanaryResult(plan=plan, installed=done, restarts=progress.restarted, newer=newer)


def _returning(canary: Canary) -> Keep:
    """Record that the default goes back to the old istiod; once it has, the canary is what it was."""

    def keep(before: Record | None, after: Record, done: bool) -> Record:
        revisions = canary.settings.revisions
        own = tuple(tag for tag in revisions.tags if tag != DEFAULT_TAG and tag not in after.settings.revisions.tags)
        revisions = replace(revisions, tags=own, default_revision=after.settings.revisions.default_revision)
        left = replace(canary, settings=replace(canary.settings, revisions=revisions), promoting=False)
        record = before or after
        return replace(record, releases=merged(record, after), canary=left if done else canary)

    return keep


def _aborted(before: Record | None, after: Record, done: bool) -> Record:
    """Record that the canary goes: until it has, it is still there to be removed."""
    return after if done or before is None else replace(before, releases=merged(before, after))
