"""Keeping CRDs that Helm would remove with base, and with them every object a user has of them.

base 1.24.0 to 1.28.1 renders ``workloadgroups.networking.istio.io`` without ``helm.sh/resource-policy: keep``
(istio-facts 5). Helm goes by the manifest it has stored, so it is there that the annotation is added: nothing is
removed and made again, and a run that dies half way has lost nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any, Final

from nksmesh.domain.charts.installed import InstalledRelease
from nksmesh.domain.kube.objects import Manifest, ref_of
from nksmesh.engine import observation
from nksmesh.engine.ports import Cluster, Helm

POLICY: Final = "helm.sh/resource-policy"
"""The annotation that has Helm leave an object when it removes its release: ``keep``."""


async def keep_crds(installed: InstalledRelease, cluster: Cluster, helm: Helm) -> tuple[str, ...]:
    """Have Helm keep every CRD of a release when it removes the release; return those it would have removed.

    Raises:
        ClusterError: The cluster cannot be reached, or refuses.
    """
    manifests = helm.parse(installed.manifest) if observation.CRDS.kind in installed.manifest else ()
    losing = tuple(str(manifest["metadata"]["name"]) for manifest in manifests if _is_lost(manifest))
    if losing:
        kept = [_kept(manifest) if _is_lost(manifest) else manifest for manifest in manifests]
        await cluster.storage.replace_manifest(installed, "".join(f"---\n{helm.dump(manifest)}" for manifest in kept))
    return losing


async def keep_dropped_crds(
    installed: InstalledRelease, manifests: Iterable[Manifest], cluster: Cluster, helm: Helm
) -> tuple[str, ...]:
    """Have Helm keep the CRDs that a release has and its next Helm revision does not; return those it would remove.

    An upgrade or rollback to a chart up to 1.23, which has its CRDs in crds/, drops every one. What Helm removes then
    it looks up in the cluster first, so it is there that the annotation is added.

    Args:
        installed: What Helm has of the release.
        manifests: What it is to have next.

    Raises:
        ClusterError: The cluster cannot be reached, or refuses.
    """
    if observation.CRDS.kind not in installed.manifest:
        return ()
    staying = set(observation.crd_names(manifests))
    losing = [crd for crd in helm.parse(installed.manifest) if _is_lost(crd) and crd["metadata"]["name"] not in staying]
    patch = {"metadata": {"annotations": {POLICY: "keep"}}}
    live = await cluster.objects.get_all((ref_of(crd) for crd in losing), metadata_only=True)
    there = [ref for ref, crd in live.items() if crd is not None]
    await asyncio.gather(*(cluster.objects.merge(patch, ref) for ref in there))
    return tuple(ref.name for ref in there)


def _is_lost(manifest: Manifest) -> bool:
    annotations = manifest["metadata"].get("annotations") or {}
    return manifest.get("kind") == observation.CRDS.kind and annotations.get(POLICY) != "keep"


def _kept(manifest: Manifest) -> dict[str, Any]:
    metadata = manifest["metadata"]
    annotations = {**(metadata.get("annotations") or {}), POLICY: "keep"}
    return {**manifest, "metadata": {**metadata, "annotations": annotations}}
