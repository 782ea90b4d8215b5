"""Plan and template: what an install would do, and what it would apply; nothing is written."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from nksmesh.commands.upgrade.path import survey_upgrade_path
from nksmesh.domain.common.data import data_of
from nksmesh.domain.common.errors import CHANGES_PENDING
from nksmesh.domain.common.events import Listener
from nksmesh.domain.common.findings import Finding, warnings_of
from nksmesh.domain.kube.objects import Manifest
from nksmesh.domain.kube.workloads import Workload
from nksmesh.domain.mesh.mesh import Mesh
from nksmesh.domain.plan.diff import ObjectDiff, diff_manifests
from nksmesh.domain.plan.plan import NamespaceStep, Plan, ReleaseChange, RemovalStep
from nksmesh.domain.plan.rendered import moved_images
from nksmesh.domain.plan.upgrade_path import UpgradePath
from nksmesh.domain.values.layers import dotted
from nksmesh.engine.observation import crd_ref
from nksmesh.engine.pipeline import render_offline
from nksmesh.engine.planning import make_plan
from nksmesh.engine.ports import Charts, Cluster, Helm
from nksmesh.engine.request import MeshRequest
from nksmesh.engine.runtime import Runtime
from nksmesh.engine.workloads import injected_workloads

_CRD_LINE: Final = "(applied server-side, from the crds/ folder of the chart base)"
"""Instead of the CRD itself: what the server makes of it takes the live object to tell, and is long."""


@dataclass(frozen=True, kw_only=True)
class ChartMove:
    """The chart of a release, installed and wanted.

    Attributes:
        installed: The version that is installed; empty where none is.
        pinned: charts.lock has that digest.
    """

    release: str
    chart: str
    installed: str
    wanted: str
    digest: str
    pinned: bool


@dataclass(frozen=True, kw_only=True)
class PlanResult:
    """A plan, for a reader.

    Attributes:
        diff: How each object of each release changes, where that was asked for.
        exit_code: 10 where changes are pending and the exit code was asked for, else 0.
        road: The steps in place to another version, where that was asked about.
        charts: The charts of both versions, where another one was asked about.
    """

    plan: Plan
    diff: tuple[ObjectDiff, ...] | None = None
    exit_code: int = 0
    road: UpgradePath | None = None
    charts: tuple[ChartMove, ...] = ()

    def json_form(self) -> dict[str, Any]:
        """Return what JSON has: the plan's keys, who set each value, and what was asked for beside that."""
        data: dict[str, Any] = {
            **data_of(self.plan),
            "values": {
                name: [{"key": dotted(path), "layer": layer} for path, _, layer in change.composed.leaves()]
                for name, change in self.plan.releases.items()
            },
        }
        if self.diff is not None:
            data["diff"] = self.diff
        if self.road is not None:
            data |= {"road": self.road, "charts": self.charts}
        return data


@dataclass(frozen=True, kw_only=True)
class TemplateResult:
    """Rendered manifests, in install order.

    Attributes:
        manifests: YAML documents: namespaces, CRDs, then each release's.
        findings: Warnings about versions, keys and images, as a plan has them.
        notes: How the mesh was resolved, a sentence each.
        moved: Which of the region's own settings a stronger layer sets otherwise.
    """

    mesh: Mesh
    manifests: str
    findings: tuple[Finding, ...] = ()
    notes: tuple[str, ...] = ()
    moved: tuple[str, ...] = ()

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a reader of the manifests should know."""
        return (*warnings_of(self.findings), *self.moved)

    def json_form(self) -> dict[str, Any]:
        """Return what JSON has: the manifests, and of the mesh what they are made from."""
        return {
            "version": self.mesh.version,
            "hub": self.mesh.hub,
            "manifests": self.manifests,
            "findings": self.findings,
            "notes": (*self.notes, *self.moved),
        }


async def preview(request: MeshRequest, runtime: Runtime, *, diff: bool, exit_code: bool) -> PlanResult:
    """Plan an install, or an upgrade where the request lets the version change: to its end, whatever the steps there.

    Raises:
        MeshError: As ``make_plan`` says.
    """
    road = None
    reading = asyncio.create_task(_workloads(request, runtime.cluster))  # beside the plan: there may be many pods
    try:
        plan = await make_plan(request, runtime)
        if request.allow_version_change:
            road, _ = await survey_upgrade_path(
                request, plan.mesh, plan.kubernetes, runtime.cluster, runtime.charts, reading
            )
    finally:
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
    return PlanResult(
        plan=plan,
        diff=tuple(_differences(plan, runtime.helm)) if diff else None,
        exit_code=CHANGES_PENDING if exit_code and plan.changes else 0,
        road=road,
        charts=tuple(_move(change, request) for change in plan.releases.values()) if road else (),
    )


async def _workloads(request: MeshRequest, cluster: Cluster) -> tuple[Workload, ...]:
    return await injected_workloads(cluster) if request.allow_version_change else ()


async def template(request: MeshRequest, helm: Helm, charts: Charts, *, listener: Listener) -> TemplateResult:
    """Render what an install would apply, without a cluster.

    Raises:
        MeshError: As ``render_offline`` says.
    """
    offline = await render_offline(request, helm, charts, listener=listener)
    mesh = offline.resolved.mesh
    namespaces = dict.fromkeys((mesh.namespace, *(release.namespace for release in mesh.releases)))
    parts = [helm.dump(_namespace(name)) for name in namespaces]
    parts += [helm.dump(crd) for chart in offline.charts.values() for crd in chart.crds]
    documents = "".join(f"---\n{part}" for part in parts)
    return TemplateResult(
        mesh=mesh,
        manifests=documents + "".join(change.text for change in offline.rendered.changes.values()),
        findings=offline.rendered.findings,
        notes=offline.resolved.notes,
        moved=moved_images(mesh),
    )


def _move(change: ReleaseChange, request: MeshRequest) -> ChartMove:
    return ChartMove(
        release=change.release.name,
        chart=change.chart.ref.name,
        installed=change.installed.chart_version if change.installed else "",
        wanted=change.chart.ref.version,
        digest=change.chart.digest,
        pinned=request.lock.digest(change.chart.ref) == change.chart.digest,
    )


def _differences(plan: Plan, helm: Helm) -> Iterator[ObjectDiff]:
    """Say how every object that an install would touch changes, in the order of the steps."""
    created = [_namespace(step.namespace) for step in plan.steps if isinstance(step, NamespaceStep) and step.changes]
    yield from diff_manifests((), created, "", helm.dump)
    for crd in plan.crds:
        if crd.differs or not crd.exists:
            yield ObjectDiff(ref=crd_ref(crd.name), change="changed" if crd.exists else "added", lines=(_CRD_LINE,))
    for change in plan.releases.values():
        if change.reasons:
            old = helm.parse(change.installed.manifest) if change.installed else ()
            yield from diff_manifests(old, change.manifests, change.release.namespace, helm.dump)
    removed = {step.release for step in plan.steps if isinstance(step, RemovalStep)}
    for release, stored in zip(plan.unwanted, plan.stored, strict=True):
        if release in removed:
            yield from diff_manifests(helm.parse(stored.manifest), (), release.namespace, helm.dump)


def _namespace(name: str) -> Manifest:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
