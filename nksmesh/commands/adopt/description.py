"""Describing releases that were made by hand: what of their values is their own, proved by rendering."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from nksmesh.domain.adoption.adoption import HelmMesh
from nksmesh.domain.charts.chart import Chart
from nksmesh.domain.charts.installed import InstalledRelease
from nksmesh.domain.charts.releases import BASE, Release
from nksmesh.domain.common.errors import ChartError
from nksmesh.domain.common.events import Listener
from nksmesh.domain.common.spelling import counted, first_few
from nksmesh.domain.kube.objects import Manifest, ObjectRef, ref_of
from nksmesh.domain.mesh.mesh import Mesh
from nksmesh.domain.plan.preserved_values import Kept, layer_of, pinned, said_to_helm, sort_out
from nksmesh.domain.values.layers import compose, dotted, leaves, merge
from nksmesh.domain.values.set_integers import all_kept, set_integers
from nksmesh.engine.crds import state_of
from nksmesh.engine.pipeline import fetch_charts
from nksmesh.engine.ports import Charts, Helm, Objects
from nksmesh.engine.request import MeshRequest

_SHOWN_KEYS: Final = 4


@dataclass(frozen=True, kw_only=True)
class AdoptedRelease:
    """One release, described.

    Attributes:
        copied: How many of its values only repeat the chart's defaults, and were left out.
        chart_digest: The digest of the chart it renders from; empty where that is not proved.
    """

    release: Release
    installed: InstalledRelease
    kept: Kept
    copied: int = 0
    chart_digest: str = ""

    def json_form(self) -> dict[str, Any]:
        """Return what JSON has: the release in parts, and keys without their values."""
        return {
            "name": self.release.name,
            "component": self.release.component,
            "namespace": self.release.namespace,
            "chart_version": self.installed.chart_version,
            "helm_revision": self.installed.helm_revision,
            "kept": self.kept_keys,
            "added": self.kept.added,
            "pins": self.kept.pins,
            "copied": self.copied,
        }

    @property
    def kept_keys(self) -> list[str]:
        """The keys that keep what they have, dotted."""
        return [".".join(path) for path, _, _ in compose(layer_of(self.release, self.kept.beyond)).leaves()]


async def charts_of(
    mesh: Mesh, request: MeshRequest, charts: Charts, listener: Listener
) -> tuple[Mapping[str, Chart], list[str]]:
    """Fetch the charts of the version that is installed; without them the adoption goes on, and says so."""
    try:
        return await fetch_charts(request, mesh, charts, listener), []
    except ChartError as exc:
        words = (
            f"the description is not verified, because the charts are not available: {exc.message} (--charts SOURCE)"
        )
        return {}, [words]


async def describe(
    release: Release, found: HelmMesh, ours: Mesh, charts: Mapping[str, Chart], kubernetes: str, helm: Helm
) -> tuple[AdoptedRelease, list[str]]:
    """Sort a release's values out, and prove by rendering that nothing of it is lost."""
    installed = found.releases[release]
    below = compose(ours.layers[release.name]).values
    whole = sort_out(installed.values, below)
    row = AdoptedRelease(release=release, installed=installed, kept=whole)
    warnings = [pinned(release.name, whole.beyond, key) for key in whole.pins]
    chart = charts.get(release.component)
    if installed.chart_version != ours.version:
        words = f"{release.name} uses chart {installed.chart_version}: the next install changes it to {ours.version}"
        return row, [*warnings, words]
    if chart is None:
        return row, warnings
    stored = said_to_helm(installed, chart.defaults)
    if stored != installed.values:
        whole = sort_out(stored, below)
        row = replace(row, kept=whole)
        warnings = [pinned(release.name, whole.beyond, key) for key in whole.pins]

    async def renders(kept: Kept) -> list[ObjectRef]:
        values = merge(below, kept.beyond)
        return await _differing(release, chart, values, found.manifests[release], installed, kubernetes, helm)

    marked = all_kept(stored)
    if set_integers(marked) and await renders(whole) and not await renders(sort_out(marked, below)):
        stored, whole = marked, sort_out(marked, below)
        row = replace(row, kept=whole)
    lean = sort_out(stored, below, chart.defaults)
    if lean.beyond != whole.beyond and not await renders(lean):
        copied = len(tuple(leaves(whole.beyond))) - len(tuple(leaves(lean.beyond)))
        warnings = [pinned(release.name, lean.beyond, key) for key in lean.pins]
        return replace(row, kept=lean, copied=copied, chart_digest=chart.digest), warnings
    differing = await renders(whole)
    if differing:
        warnings.append(
            f"{release.name}: chart {chart.ref} with these values renders "
            f"{first_few(differing, 1)} differently from what Helm applied; the next change of "
            "this release applies that, too (was the chart itself edited?)"
        )
    return replace(row, chart_digest=chart.digest), warnings


async def differing_crds(charts: Mapping[str, Chart], objects: Objects) -> list[str]:
    """Name the CRDs of base's crds/ folder that applying them would change: Helm never upgrades those."""
    base = charts.get(BASE.name)
    if base is None:
        return []
    live = await objects.get_all((ref_of(crd) for crd in base.crds), metadata_only=True)

    async def differs(crd: Manifest) -> bool:
        before = live[ref_of(crd)]
        return before is None or state_of(await objects.apply(crd, ref_of(crd), dry_run=True)) != state_of(before)

    found = await asyncio.gather(*(differs(crd) for crd in base.crds))
    return [str(crd["metadata"]["name"]) for crd, changed in zip(base.crds, found, strict=True) if changed]


def about_crds(names: list[str], version: str) -> str:
    """Say that CRDs are not the chart's, and what becomes of that."""
    many = counted(len(names), "CRD differs", "CRDs differ")
    return (
        f"{many} from chart base {version} ({first_few(names, 1)}): Helm never upgrades CRDs; "
        "nksmesh plan shows the difference, and the next install applies it"
    )


def notes_on(row: AdoptedRelease) -> list[str]:
    """Say what was left out of a release's values, and what our own layers add to them."""
    notes, name = [], row.release.name
    if row.copied:
        notes.append(f"{name}: {row.copied} values only repeat the chart's defaults, and are left out")
    if integers := ", ".join(dotted(path) for path, _ in set_integers(row.kept.beyond)):
        notes.append(
            f"{name}: {integers} was set with helm --set, as an integer; put it in quotes "
            "in a values file, where Helm reads it as a float and prints 1e+06"
        )
    if row.kept.added:
        keys = first_few(row.kept.added, _SHOWN_KEYS)
        notes.append(f"{name}: its next change also sets {keys}, from nksmesh's own layers")
    return notes


async def _differing(
    release: Release,
    chart: Chart,
    values: Mapping[str, Any],
    applied: tuple[Manifest, ...],
    installed: InstalledRelease,
    kubernetes: str,
    helm: Helm,
) -> list[ObjectRef]:
    """Render a release in either of Helm's modes, and name the objects that differ from what was applied in both."""
    before = {ref_of(manifest): manifest for manifest in applied}
    differing: list[ObjectRef] = []
    for upgrade in dict.fromkeys((installed.helm_revision > 1, False)):
        text = await helm.render(release, chart, values, kubernetes=kubernetes, upgrade=upgrade)
        after = {ref_of(manifest): manifest for manifest in helm.parse(text)}
        differing = sorted(ref for ref in {*before, *after} if before.get(ref) != after.get(ref))
        if not differing:
            break
    return differing
