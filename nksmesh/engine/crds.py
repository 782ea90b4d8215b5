"""CRDs: what applying those of a chart's crds/ folder would do, which are newer and stay, and which Helm must keep.

Up to chart 1.23 the CRDs are in crds/, which Helm installs once and never upgrades, so they are applied here; from
1.24 base renders them. An older CRD never goes over a newer one: objects may be stored that only the newer one knows.

base 1.24.0 to 1.28.1 renders ``workloadgroups.networking.istio.io`` without ``helm.sh/resource-policy: keep``
(istio-facts 5). Helm goes by the manifest it has stored, so it is there that the annotation is added: nothing is
removed and made again, and a run that dies half way has lost nothing.

Every function that asks the cluster raises ClusterError where it cannot be reached, or refuses.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Final

from nksmesh.domain.charts.chart import Chart
from nksmesh.domain.charts.installed import InstalledRelease
from nksmesh.domain.charts.releases import BASE
from nksmesh.domain.common.errors import RefusedError
from nksmesh.domain.kube.objects import Manifest, ObjectRef, ref_of
from nksmesh.domain.mesh.mesh import Mesh
from nksmesh.domain.mesh.versions import is_newer
from nksmesh.domain.plan.plan import CrdChange
from nksmesh.domain.values.layers import Layer, LayerKind, compose
from nksmesh.engine import observation
from nksmesh.engine.ports import Cluster, Helm, Objects

VERSION_ANNOTATION: Final = "nksmesh/istio-version"
"""On every CRD that is applied here, the version of the chart it is from: crds/ itself does not say it."""

POLICY: Final = "helm.sh/resource-policy"
"""The annotation that has Helm leave an object when it removes its release: ``keep``."""

_VERSION_LABEL: Final = "app.kubernetes.io/version"
"""Where the CRDs that base renders, from 1.24 on, have their version."""

_OF_ISTIO: Final = ".istio.io"
"""How the name of a CRD of Istio's ends; other programs mark theirs with versions of their own."""

_HOLDER: Final = re.compile(r'conflicts? with "([^"]+)"')


async def survey_crds(
    chart: Chart, objects: Objects, *, applied_digest: str, at_least: str = ""
) -> tuple[CrdChange, ...]:
    """Ask, for each CRD of a chart, what applying it would change; nothing is written.

    Args:
        chart: The chart of base.
        applied_digest: The digest of the chart whose CRDs the last run applied, or empty: those of the same
            chart need no asking.
        at_least: The version of the base that is installed, which CRDs that say no version of their own are taken
            to be of; empty where none is.
    """
    crds = [marked(crd, chart.ref.version) for crd in chart.crds]
    refs = [ref_of(crd) for crd in crds]
    live = await objects.get_all(refs, metadata_only=True)
    same = applied_digest == chart.digest
    return tuple(
        await asyncio.gather(
            *(
                _survey(crd, ref, found, objects, same=same, newer=newer_version(found, chart.ref.version, at_least))
                for crd, ref in zip(crds, refs, strict=True)
                for found in [live[ref]]
            )
        )
    )


async def leave_newer_crds(mesh: Mesh, chart: Chart, objects: Objects) -> Mesh:
    """Take those CRDs out of base's render that are newer in the cluster than the chart has them (from chart 1.24).

    The cluster alone knows: Helm's record of base may be of an older chart than its CRDs, after a rollback, and a base
    that was removed left them behind.

    Args:
        chart: The chart of base.

    Returns:
        The mesh, with one more layer of base's values where anything stays.
    """
    if chart.crds:
        return mesh
    live = await istio_crds(objects)
    newer = {str(crd["metadata"]["name"]) for crd in live if newer_version(crd, chart.ref.version, "")}
    base = next(release for release in mesh.releases if release.component == BASE.name)
    layers = mesh.layers[base.name]
    values = compose(layers).values.get("base") or {}
    own, without_templates = _left_out(values), values.get("enableCRDTemplates") is False
    if not newer or (newer <= set(own) and not without_templates):
        return mesh
    left_out: dict[str, Any] = {"excludedCRDs": sorted({*own, *newer})}
    if without_templates:  # such a base renders every CRD, whatever is to be left out (istio-facts 5)
        left_out["enableCRDTemplates"] = True
    layer = Layer(
        name="CRDs that are newer than the chart's", values={"base": left_out}, kind=LayerKind.MESH, ours=True
    )
    return replace(mesh, layers={**mesh.layers, base.name: (*layers, layer)})


async def istio_crds(objects: Objects) -> list[dict[str, Any]]:
    """List the metadata of Istio's CRDs that are in the cluster, whoever brought them."""
    listed = await objects.list(observation.CRDS.api_version, observation.CRDS.kind, metadata_only=True)
    return [crd for crd in listed if str(crd["metadata"]["name"]).endswith(_OF_ISTIO)]


async def objects_of_crd(crd: ObjectRef, objects: Objects) -> list[dict[str, Any]]:
    """List the metadata of all objects of a CRD; none where the CRD is not there."""
    live = await objects.get(crd)
    if live is None:
        return []
    spec = live["spec"]
    version = next((str(entry["name"]) for entry in spec["versions"] if entry.get("served")), "")
    return await objects.list(f"{spec['group']}/{version}", str(spec["names"]["kind"]), metadata_only=True)


def _left_out(values: Mapping[str, Any]) -> tuple[str, ...]:
    found = values.get("excludedCRDs")
    return tuple(str(name) for name in found) if isinstance(found, list) else ()


def marked(crd: Manifest, version: str) -> dict[str, Any]:
    """Write on a CRD of crds/ which version of the chart it is from."""
    metadata = crd["metadata"]
    return {
        **crd,
        "metadata": {**metadata, "annotations": {**(metadata.get("annotations") or {}), VERSION_ANNOTATION: version}},
    }


def newer_version(live: Mapping[str, Any] | None, version: str, at_least: str) -> str:
    """Return the version of a CRD in the cluster where it is newer than a chart, else nothing."""
    if live is None:
        return ""
    newest = version_of(live) or at_least
    return newest if is_newer(newest, than=version) else ""


def version_of(crd: Mapping[str, Any]) -> str:
    """Return the version of the chart that a CRD says it is from, the newest where it says two; else nothing."""
    metadata = crd["metadata"]
    ours = str((metadata.get("annotations") or {}).get(VERSION_ANNOTATION, ""))
    rendered = str((metadata.get("labels") or {}).get(_VERSION_LABEL, ""))
    return ours if not rendered or is_newer(ours, than=rendered) else rendered


async def _survey(
    crd: Manifest, ref: ObjectRef, live: dict[str, Any] | None, objects: Objects, *, same: bool, newer: str
) -> CrdChange:
    if live is None:
        return CrdChange(name=ref.name, manifest=crd)
    if same or newer:
        return CrdChange(name=ref.name, manifest=crd, exists=True, differs=False, newer=newer)
    try:
        after = await objects.apply(crd, ref, dry_run=True, force=False)
    except RefusedError as exc:
        if exc.reason != "Conflict":
            raise
        holders = tuple(sorted(set(_HOLDER.findall(exc.detail))))
        return CrdChange(name=ref.name, manifest=crd, exists=True, taken_from=holders)
    return CrdChange(name=ref.name, manifest=crd, exists=True, differs=state_of(after) != state_of(live))


def state_of(crd: Manifest) -> tuple[Any, ...]:
    """Return what tells two states of a CRD apart: the API server counts changes of its spec in generation."""
    metadata = crd["metadata"]
    return metadata.get("generation"), metadata.get("labels"), metadata.get("annotations")


async def keep_crds(installed: InstalledRelease, cluster: Cluster, helm: Helm) -> tuple[str, ...]:
    """Have Helm keep every CRD of a release when it removes the release; return those it would have removed."""
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
