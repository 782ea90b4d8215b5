"""Adoption: a mesh that somebody made with Helm by hand becomes one of nksmesh's; nothing in the cluster changes."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

import nksmesh
from nksmesh.commands.adopt.description import AdoptedRelease, about_crds, charts_of, describe, differing_crds, notes_on
from nksmesh.domain.adoption.adoption import HelmMesh, check_options, environment_of, hub_of, settings_of_mesh
from nksmesh.domain.charts.releases import BASE, ISTIOD
from nksmesh.domain.common.data import MERGED
from nksmesh.domain.common.errors import ClusterError, ConfigError, ReleaseError
from nksmesh.domain.common.events import Event, EventKind, Listener
from nksmesh.domain.common.findings import Finding, Level, refuse_failures
from nksmesh.domain.common.spelling import counted
from nksmesh.domain.mesh.catalog import check_label
from nksmesh.domain.mesh.mesh import Mesh
from nksmesh.domain.mesh.record import Record, RecordedRelease, hash_of
from nksmesh.domain.mesh.request import Recorded, Request
from nksmesh.domain.mesh.resolve import resolve
from nksmesh.domain.plan.history import ReleaseMove, Run
from nksmesh.domain.plan.preserved_values import layer_of
from nksmesh.domain.values.layers import compose
from nksmesh.engine.discovery import Installation, find_installation
from nksmesh.engine.ports import Cluster, Helm, MeshFiles
from nksmesh.engine.request import MeshRequest
from nksmesh.engine.runs.history import recorded_run
from nksmesh.engine.runtime import Runtime

ADOPT_STEP: Final = "adopt"


@dataclass(frozen=True, kw_only=True)
class AdoptionPlan:
    """What is there, in nksmesh's words.

    Attributes:
        releases: Its releases, described; empty where it is recorded already.
        recorded: It is recorded already: nothing is written to the cluster.
        notes: What a reader should know, of less weight than the warnings.
        environment: The name of the environment that is to be written; empty for none.
        documents: The environment's files by their names.
    """

    mesh: Mesh
    releases: tuple[AdoptedRelease, ...]
    record: Record = field(repr=False)
    recorded: bool = False
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    environment: str = ""
    documents: Mapping[str, Mapping[str, Any]] = field(default_factory=dict, repr=False)

    @property
    def empty(self) -> bool:
        """Whether there is nothing to do."""
        return self.recorded and not self.environment

    def json_form(self) -> dict[str, Any]:
        """Return what JSON has: the mesh in parts, and no values."""
        mesh = self.mesh
        return {
            "from": "helm",
            "namespace": mesh.namespace,
            "version": mesh.version,
            "profile": mesh.profile,
            "region": mesh.region,
            "network": mesh.network,
            "hub": mesh.hub,
            "recorded_before": self.recorded,
            "releases": self.releases,
            "environment": self.environment,
            "warnings": self.warnings,
            "notes": self.notes,
        }


@dataclass(frozen=True, kw_only=True)
class AdoptResult:
    """What an adoption did.

    Attributes:
        dry_run: Nothing was written: the description alone was wanted.
        agreed: Whether the user agreed to it; nothing was done where not.
        files: The files of the environment that were written, relative to ``folder``.
    """

    plan: AdoptionPlan = field(metadata=MERGED)
    dry_run: bool = False
    agreed: bool = True
    folder: str = ""
    files: tuple[str, ...] = ()


async def plan_adoption(
    request: MeshRequest, runtime: Runtime, files: MeshFiles, *, environment: str = "", dry_run: bool = False
) -> AdoptionPlan:
    """Find a mesh by the charts of its Helm releases, and describe it; nothing is written.

    Args:
        environment: The environment that is to be written; empty for none.
        dry_run: It is to be described only: what cannot be adopted is described, too, and a note says why.

    Raises:
        ConfigError: There is no such mesh, it is none that nksmesh could have made, or the options contradict it; or
            the environment cannot be written.
        ReleaseError: Helm's last word on a release is not success.
        ClusterError: Helm does not show the releases where they are looked for; or the cluster cannot be reached, or
            refuses.
    """
    if environment:
        _check_environment(environment, files)
    runtime.listener(Event(step=ADOPT_STEP, kind=EventKind.STARTED, message="reading the cluster"))
    env = request.environment
    namespace = request.options.namespace or (env.namespace if env else "")
    kubernetes, installation = await asyncio.gather(
        runtime.cluster.version(), find_installation(runtime.cluster, namespace)
    )
    if not dry_run:
        refuse_failures(installation.findings)
    if installation.record is not None:
        plan = _recorded(installation.record, request, environment, runtime.cluster.context)
        return replace(plan, notes=(*plan.notes, *installation.notes))
    if installation.foreign and not any(release.component == ISTIOD.name for release in installation.releases):
        raise ConfigError(f"{installation.foreign[0]}", hint=installation.foreign[0].way_on)
    refuse_failures(_check_deployed(installation))
    found = _hand_made(installation, runtime.helm)
    settings = settings_of_mesh(found, request.options, request.catalog)
    refuse_failures(check_options(request.options, settings, hub_of(found.manifests[found.only(ISTIOD.name)])))
    bare = Request(namespace=found.namespace, charts=request.options.charts or (env.charts if env else ""))
    ours = resolve(bare, request.catalog, None, settings).mesh
    # Its layers lack the values given to Helm until they are described, and with them an Istio revision of their own.
    named = {release.key: release for release in found.releases}
    ours = replace(ours, releases=tuple(named[release.key] for release in ours.releases))
    warnings = [str(finding) for finding in request.judge_version(ours, kubernetes) if finding.level is not Level.NOTE]
    have, missing = await charts_of(ours, request, runtime.charts, runtime.listener)
    warnings += missing
    runtime.listener(Event(step=ADOPT_STEP, kind=EventKind.WAITING, message="Helm to render the described mesh"))
    described = await asyncio.gather(
        *(describe(release, found, ours, have, kubernetes, runtime.helm) for release in ours.releases)
    )
    differing = await differing_crds(have, runtime.cluster.objects)
    rows = [row for row, _ in described]
    warnings += [words for _, more in described for words in more]
    if differing:
        warnings.append(about_crds(differing, ours.version))
        rows = [replace(row, chart_digest="") if row.release.component == BASE.name else row for row in rows]
    layers = {row.release.name: layer_of(row.release, row.kept.beyond) for row in rows}
    mesh = resolve(bare, request.catalog, None, replace(settings, layers=layers)).mesh
    runtime.listener(
        Event(step=ADOPT_STEP, kind=EventKind.DONE, message=f"{counted(len(rows), 'release')} of Istio {mesh.version}")
    )
    return AdoptionPlan(
        mesh=mesh,
        releases=tuple(rows),
        record=_record_of(mesh, rows, runtime.cluster.storage.driver),
        warnings=tuple(warnings),
        notes=(*installation.notes, *(words for row in rows for words in notes_on(row))),
        environment=environment,
        documents=environment_of(mesh, runtime.cluster.context) if environment else {},
    )


async def adopt(plan: AdoptionPlan, cluster: Cluster, files: MeshFiles, *, listener: Listener) -> AdoptResult:
    """Write the record that describes a mesh, and the environment where one is wanted.

    Raises:
        ClusterError: The mesh is not as it was described any more; or the cluster cannot be reached, or refuses.
        ConfigError: The environment cannot be written; the record is.
    """
    if not plan.recorded:
        async with cluster.lease.held(ADOPT_STEP):
            await _write(plan, cluster)
        listener(Event(step=ADOPT_STEP, kind=EventKind.DONE, message="recorded"))
    written = files.write_environment(plan.environment, plan.documents) if plan.environment else ()
    return AdoptResult(plan=plan, files=written, folder=files.folder)


async def _write(plan: AdoptionPlan, cluster: Cluster) -> None:
    there = await cluster.storage.revisions(plan.mesh.releases)
    described = {row.release.key: (row.installed.helm_revision, row.installed.status) for row in plan.releases}
    if there != described:
        raise ClusterError(
            "the mesh has changed since it was described; nothing was recorded",
            hint="Run the same command again to describe the mesh as it is now.",
        )
    run = Run(
        command=ADOPT_STEP,
        namespace=plan.mesh.namespace,
        from_versions=(plan.mesh.version,),
        to_version=plan.mesh.version,
        values_hash=hash_of({row.release.name: dict(row.installed.values) for row in plan.releases}),
        releases=tuple(
            ReleaseMove(release=row.release, before=row.installed.helm_revision, after=row.installed.helm_revision)
            for row in plan.releases
        ),
    )
    async with recorded_run(cluster, run) as recorder:
        recorder.left(there)
        await cluster.records.write(plan.record)


def _check_environment(name: str, files: MeshFiles) -> None:
    check_label(name, "--write-env")
    if not files.folder:
        raise ConfigError(
            "--write-env: no folder to write the environment to",
            hint="Pass a folder with --dir, or run nksmesh init FOLDER to create one.",
        )
    if name in files.environment_names():
        raise ConfigError(
            f"--write-env: an environment {name!r} already exists, and adopt does not overwrite it",
            hint="Choose another name.",
        )


def _recorded(record: Record, request: MeshRequest, environment: str, context: str) -> AdoptionPlan:
    """Describe a mesh that nksmesh knows already: an environment may still be written of it."""
    mesh = resolve(Request(namespace=record.namespace), request.catalog, None, record.settings).mesh
    return AdoptionPlan(
        mesh=mesh,
        releases=(),
        record=record,
        recorded=True,
        notes=("nksmesh already has a record of this mesh: there is nothing to adopt",),
        environment=environment,
        documents=environment_of(mesh, context) if environment else {},
    )


def _check_deployed(installation: Installation) -> tuple[Finding, ...]:
    """Find releases that Helm did not finish, before they are described: a failure each."""
    return tuple(
        Finding(
            id="adopt.unfinished-release",
            subject=release.name,
            message=f"release {release.name} is {installed.status}: the cluster may not match what Helm has stored",
            hint=f"Repair it first: run helm rollback {release.name} -n {release.namespace}, or helm upgrade.",
            error=ReleaseError,
        )
        for release, installed in installation.releases.items()
        if not installed.deployed
    )


def _hand_made(installation: Installation, helm: Helm) -> HelmMesh:
    return HelmMesh(
        namespace=installation.namespace,
        releases=installation.releases,
        manifests={release: helm.parse(installed.manifest) for release, installed in installation.releases.items()},
    )


def _record_of(mesh: Mesh, rows: list[AdoptedRelease], helm_driver: str) -> Record:
    by_release = {row.release: row for row in rows}
    return Record(
        settings=Recorded.of(mesh),
        hub=mesh.hub,
        releases=tuple(
            RecordedRelease(
                release=release,
                chart_digest=by_release[release].chart_digest,
                values_hash=hash_of(compose(mesh.layers[release.name]).values),
                helm_revision=by_release[release].installed.helm_revision,
                layers=tuple((layer.name, hash_of(layer.values)) for layer in mesh.layers[release.name]),
            )
            for release in mesh.releases
        ),
        written_by=nksmesh.__version__,
        helm_driver=helm_driver,
    )
