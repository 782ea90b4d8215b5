"""Going back with one release: Helm's own rollback, with the CRDs left as they are."""

from __future__ import annotations

from nksmesh.domain.installed import InstalledRelease
from nksmesh.domain.objects import crds_of
from nksmesh.workflows import observation
from nksmesh.workflows.keeping import keep_dropped_crds
from nksmesh.workflows.ports import Helm
from nksmesh.workflows.work import Work


async def revert_release(work: Work) -> None:
    """Have Helm bring a release back to a Helm revision.

    An older CRD never goes over a newer one, and none is removed: objects may be stored that only the newer one knows.
    Helm takes what it applies from the Helm revision as it stored it, so from chart 1.24 on, where base has the CRDs,
    those of now are put there first.

    Raises:
        ReleaseError: Helm failed.
        ClusterError: The cluster cannot be reached, or refuses.
    """
    change, storage = work.change, work.cluster.storage
    target, installed = change.back_to, change.installed
    if target is None or installed is None:
        raise ValueError(f"release {change.release.name} has no way back")
    await keep_dropped_crds(installed, change.manifests, work.cluster, work.helm)
    manifest = _with_crds_of(installed, target, work.helm)
    if manifest != target.manifest:
        await storage.replace_manifest(target, manifest)
    await work.helm.rollback(change.release, target.helm_revision, timeout=work.patience.component)
    if change.left_pending is not None:  # Helm went by it until now, to see what it had made
        await storage.forget(change.left_pending)
    await work.look_at_deployments(change)


def _with_crds_of(installed: InstalledRelease, target: InstalledRelease, helm: Helm) -> str:
    """Return a Helm revision's manifest with the CRDs that it shares with the newest one as that has them."""
    if any(observation.CRDS.kind not in one.manifest for one in (installed, target)):
        return target.manifest
    now = {str(crd["metadata"]["name"]): crd for crd in crds_of(helm.parse(installed.manifest))}
    manifests = helm.parse(target.manifest)
    kept = [
        now.get(str(one["metadata"]["name"]), one) if one.get("kind") == observation.CRDS.kind else one
        for one in manifests
    ]
    return target.manifest if kept == list(manifests) else "".join(f"---\n{helm.dump(one)}" for one in kept)
