"""Going back with one release: Helm's own rollback, with the CRDs left as they are."""

from __future__ import annotations

from nksmesh.domain.charts.installed import InstalledRelease
from nksmesh.domain.kube.objects import crds_of, ref_of
from nksmesh.domain.plan.plan import ReleaseStep
from nksmesh.engine import observation
from nksmesh.engine.crds import keep_dropped_crds, newer_version, version_of
from nksmesh.engine.executor.step_context import StepContext


async def revert_release(work: StepContext[ReleaseStep]) -> None:
    """Have Helm bring a release back to a Helm revision.

    An older CRD never goes over a newer one, and none is removed: objects may be stored that only the newer one knows.
    Helm takes what it applies from the Helm revision as it stored it, so from chart 1.24 on, where base has the CRDs,
    those of now are put there first.

    Raises:
        ReleaseError: Helm failed.
        ClusterError: The cluster cannot be reached, or refuses.
    """
    change, storage = work.step.change, work.cluster.storage
    target, installed = change.back_to, change.installed
    if target is None or installed is None:
        raise ValueError(f"release {change.release.name} has no revision to roll back to")
    await keep_dropped_crds(installed, change.manifests, work.cluster, work.helm)
    manifest = await _with_crds_of_now(installed, target, work)
    if manifest != target.manifest:
        await storage.replace_manifest(target, manifest)
    await work.helm.rollback(change.release, target.helm_revision, timeout=work.runtime.waits.component)
    if change.left_pending is not None:  # Helm went by it until now, to see what it had made
        await storage.forget(change.left_pending)
    await work.look_at_workloads(change)


async def _with_crds_of_now(
    installed: InstalledRelease, target: InstalledRelease, work: StepContext[ReleaseStep]
) -> str:
    """Return a Helm revision's manifest with no CRD older than it is now.

    What it shares with the newest Helm revision is as that has it. What that left out, for the cluster has it newer,
    is left out again.
    """
    if observation.CRDS.kind not in target.manifest:
        return target.manifest
    now = {str(crd["metadata"]["name"]): crd for crd in crds_of(work.helm.parse(installed.manifest))}
    manifests = work.helm.parse(target.manifest)
    others = {ref_of(crd): crd for crd in crds_of(manifests) if crd["metadata"]["name"] not in now}
    live = await work.cluster.objects.get_all(others, metadata_only=True)
    newer = {ref.name for ref, crd in others.items() if newer_version(live[ref], version_of(crd), "")}
    kept = []
    for manifest in manifests:
        name = str(manifest["metadata"]["name"]) if manifest.get("kind") == observation.CRDS.kind else ""
        if name not in newer:
            kept.append(now.get(name, manifest))
    if kept == list(manifests):
        return target.manifest
    return "".join(f"---\n{work.helm.dump(manifest)}" for manifest in kept)
