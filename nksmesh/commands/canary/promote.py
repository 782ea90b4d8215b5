"""Promoting a canary: it becomes the mesh's own istiod.

The order leaves no moment without an injector, a validator or a ready gateway:

1. the canary's istiod gets the tag ``default`` (and the old one's tags), and base's validator calls it;
2. the old injector goes, and a pod that names no Istio revision is proved to come back with the new proxy;
3. namespaces get their labels from before: they mean the new istiod now, so nothing is restarted for them;
4. the gateways get the new chart and new pods, and when they are ready the old istiod is removed.
"""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import replace
from typing import Final

from nksmesh.commands.canary.handover import tag_of
from nksmesh.commands.canary.plan import CANARY_STEP, CanaryPlan, CanaryResult, names_one_of, plan_removal
from nksmesh.commands.canary.start import (
    CONTROL_PLANE,
    canary_of,
    install_scope,
    own_istiod,
    recorded_mesh,
    with_canary,
)
from nksmesh.commands.canary.status import status
from nksmesh.commands.canary.steps import TagsStep, promote_steps
from nksmesh.domain.charts.releases import Release
from nksmesh.domain.common.errors import ChartError
from nksmesh.domain.common.findings import Finding, refuse_failures
from nksmesh.domain.mesh.record import Canary, Keep, Record
from nksmesh.domain.mesh.revisions import DEFAULT_TAG, spoken_revision
from nksmesh.domain.plan.plan import Plan
from nksmesh.engine import observation
from nksmesh.engine.agreement import agreed
from nksmesh.engine.executor.executor import Executor
from nksmesh.engine.ports import Cluster
from nksmesh.engine.request import MeshRequest, ReleaseScope
from nksmesh.engine.runtime import Runtime

FIRST_HALF: Final = "canary promote (1 of 2: default)"
SECOND_HALF: Final = "canary promote (2 of 2: gateways)"
"""What the history calls them: namespaces and workloads come between, so they are two plans, and two runs."""


async def plan_promote(cluster: Cluster, namespace: str, *, restart: bool, force: bool) -> CanaryPlan:
    """See what promoting the canary would do; nothing is written.

    Args:
        namespace: The control plane's namespace, or empty.
        restart: Restart the workloads that follow the default and were not moved.
        force: Go on where workloads keep the old istiod's proxy.

    Raises:
        ConfigError: No canary is on.
        CheckError: Workloads are on the old istiod still, or namespaces are labelled for it.
        ClusterError: The cluster cannot be reached, or refuses.
    """
    record, found = await recorded_mesh(cluster, namespace), await status(cluster, namespace)
    canary, old = canary_of(record), own_istiod(record)
    before = spoken_revision(old.istio_revision)
    return plan_removal(
        found,
        promote=True,
        istiods=(canary.release, old),
        uses=lambda workload: not workload.istio_revisions or before in workload.istio_revisions,
        pinned=lambda namespace: bool(old.istio_revision) and names_one_of(namespace, {old.istio_revision}),
        restart=restart,
        force=force,
        hint="Move their namespaces first (nksmesh canary move NAMESPACE). Or pass "
        "--restart-workloads to restart those that use the default istiod, or --force "
        "to leave them with their old proxies.",
    )


async def promote(shown: CanaryPlan, request: MeshRequest, runtime: Runtime) -> CanaryResult:
    """Make the canary the mesh's own istiod. Run again it goes on from what is there.

    Raises:
        ClusterError: There is more to do now than was shown; or the cluster cannot be reached, or refuses.
        MeshError: As ``plan_promote`` and ``install`` say; or a workload did not come off the old istiod, which
            stays.
    """
    cluster, namespace = runtime.cluster, request.options.namespace

    def again() -> Awaitable[CanaryPlan]:
        return plan_promote(cluster, namespace, restart=shown.restart, force=shown.force)

    async with agreed(shown, again, runtime, command="canary promote", step=CANARY_STEP) as plan:
        record = await recorded_mesh(cluster, namespace)
        canary, old = canary_of(record), own_istiod(record)
        new, tags = canary.release, _tags_of(record, canary)
        await Executor([TagsStep(tags=record.settings.revisions.tags, old=old, new=new)], runtime, account=False).run()
    revisions = replace(canary.settings.revisions, default_revision=new.istio_revision, tags=tags)
    settings = replace(canary.settings, revisions=revisions)
    first = ReleaseScope(settings=settings, keep=_promoting(new, old), components=CONTROL_PLANE)
    injected = [recorded.release for recorded in record.releases if recorded.release.kind.injected]
    gateways = [replace(release, istio_revision="") for release in injected or [new]]
    control_plane = await install_scope(request, first, runtime, FIRST_HALF)
    refuse_failures(check_default_tag(control_plane.plan, new))
    async with cluster.lease.held("canary promote"):
        namespaces = dict.fromkeys((new.namespace, *(release.namespace for release in gateways)))
        await cluster.live.follow(observation.queries_for(tuple(namespaces), new.namespace))
        steps = promote_steps(plan, new, old, gateways, proxy_image=control_plane.plan.proxy_image)
        progress = await Executor(steps, runtime, account=False).run()
    whole = ReleaseScope(settings=settings, keep=_promoted(new, old))
    done = await install_scope(request, whole, runtime, SECOND_HALF)
    return CanaryResult(plan=plan, installed=done, restarts=progress.restarted)


def _tags_of(record: Record, canary: Canary) -> tuple[str, ...]:
    """List the tags of the mesh's istiod once the canary is it: the default one, the old istiod's, its own."""
    return tuple(dict.fromkeys((DEFAULT_TAG, *record.settings.revisions.tags, *canary.settings.revisions.tags)))


def _promoting(new: Release, old: Release) -> Keep:
    """Record a promotion that is under way: what Helm has of the old istiod is not what its chart renders any more."""

    def keep(before: Record | None, after: Record, done: bool) -> Record:  # noqa: ARG001 - the type of Keep
        kept = with_canary(before or after, after, new, promoting=True)
        unproved = (replace(entry, helm_revision=0) if entry.release == old else entry for entry in kept.releases)
        return replace(kept, releases=tuple(unproved))

    return keep


def _promoted(new: Release, old: Release) -> Keep:
    """Record a promotion that is done: the canary is the mesh's own istiod, and there is no canary any more."""
    under_way = _promoting(new, old)

    def keep(before: Record | None, after: Record, done: bool) -> Record:
        return after if done else under_way(before, after, done)

    return keep


def check_default_tag(plan: Plan, istiod: Release) -> tuple[Finding, ...]:
    """Find an istiod without the default tag, before the injector that has been the default goes: a failure.

    A value of the user's leaves the tag out, or a chart that knows no tags.
    """
    if DEFAULT_TAG in {tag_of(manifest) for manifest in plan.releases[istiod.name].manifests}:
        return ()
    finding = Finding(
        id="charts.missing-default-tag",
        subject=istiod.name,
        message=f"release {istiod.name} renders no tag {DEFAULT_TAG}: its value revisionTags is "
        "set to something else, or its chart has no tags; the old injector stays",
        hint="Remove revisionTags from your values (-f, --set), and run nksmesh canary promote again.",
        error=ChartError,
    )
    return (finding,)
