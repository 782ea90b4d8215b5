"""Making a plan: read the cluster and the charts, render, check everything that can be checked, write nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from nksmesh.domain.charts.chart import Chart
from nksmesh.domain.charts.installed import InstalledRelease
from nksmesh.domain.charts.releases import BASE, ISTIOD, Component, Release
from nksmesh.domain.common.events import Event, EventKind
from nksmesh.domain.common.findings import Finding, Level, refuse_failures
from nksmesh.domain.common.spelling import counted
from nksmesh.domain.kube.images import proxy_image
from nksmesh.domain.kube.objects import ObjectRef
from nksmesh.domain.mesh.mesh import Mesh
from nksmesh.domain.mesh.record import Record
from nksmesh.domain.mesh.revisions import kept_name
from nksmesh.domain.plan.injection import Surrounding, check_injection
from nksmesh.domain.plan.ordering import make_steps
from nksmesh.domain.plan.plan import Plan, ReleaseChange, Step
from nksmesh.domain.plan.rendered import moved_images
from nksmesh.domain.plan.upgrade_path import another_version
from nksmesh.engine import observation
from nksmesh.engine.checks import check_before_writing
from nksmesh.engine.crds import leave_newer_crds, survey_crds
from nksmesh.engine.dry_runs import dry_run_changes
from nksmesh.engine.hidden_releases import check_elsewhere, check_hidden
from nksmesh.engine.images import prove_images
from nksmesh.engine.load_balancers import survey_load_balancers
from nksmesh.engine.location import about_the_place
from nksmesh.engine.ownership import check_owners, ending_of
from nksmesh.engine.pipeline import fetch_charts, render_mesh, resolve_mesh
from nksmesh.engine.ports import Cluster
from nksmesh.engine.pull_secrets import new_pull_secret, survey_pull_secrets
from nksmesh.engine.rendering import InstalledState
from nksmesh.engine.request import ClusterState, MeshRequest
from nksmesh.engine.rollouts import with_stale_pods
from nksmesh.engine.runtime import Runtime
from nksmesh.engine.unrecorded import check_unrecorded
from nksmesh.engine.version_change import Former, version_before

PLAN_STEP: Final = "plan"


@dataclass(frozen=True, kw_only=True)
class MeshState:
    """What a plan reads once it knows the mesh.

    Attributes:
        charts: The chart of each component.
        installed: What Helm has of the mesh's releases and of those recorded, by (namespace, name).
        namespaces: The mesh's namespaces as they are; None where one does not exist.
    """

    charts: Mapping[str, Chart]
    installed: Mapping[tuple[str, str], InstalledRelease]
    namespaces: Mapping[ObjectRef, Mapping[str, Any] | None]


async def make_plan(request: MeshRequest, runtime: Runtime) -> Plan:
    """Plan what would bring a cluster to the mesh that a request describes.

    Raises:
        ConfigError: The request contradicts itself, names what does not exist, or would change the version unasked.
        CheckError: The version is not supported.
        ChartError: A chart cannot be had or rendered, or names an image outside the hub.
        ClusterError: The cluster cannot be reached, or an object belongs to somebody else.
    """
    runtime.listener(Event(step=PLAN_STEP, kind=EventKind.STARTED, message="reading the cluster"))
    found = await resolve_mesh(request, runtime.cluster)
    mesh, record = found.resolved.mesh, found.record
    versions = request.judge_version(mesh, found.kubernetes)
    refuse_failures(versions)
    if record is None:  # a first install writes; of another run this is known only when the cluster was read
        _begin_registries(request, mesh, runtime)
    read = await _read(request, found, runtime)
    refuse_failures(await check_elsewhere(read.installed.values(), runtime.cluster))
    before = version_before(mesh, read.installed)
    if before and not request.allow_version_change:
        sources = (request.options, request.environment, record.settings if record else None)
        asked = any(source.version for source in sources if source)
        refuse_failures(another_version(before, mesh.version, asked=asked))
    base = read.installed.get(_only(mesh, BASE).key)
    mesh = await leave_newer_crds(mesh, read.charts[BASE.name], runtime.cluster.objects)
    writing = bool(before) or any(release.key not in read.installed for release in mesh.releases)
    if writing and record is not None:
        _begin_registries(request, mesh, runtime)
    runtime.listener(Event(step=PLAN_STEP, kind=EventKind.WAITING, message="Helm to render the charts"))
    seen = InstalledState(kubernetes=found.kubernetes, installed=read.installed, record=record)
    beside = record.settings.version if request.scope and record else ""  # a canary's own istiod was never there
    former = Former(version=before or beside, charts=runtime.charts, lock=request.lock, forced=request.force_version)
    rendered = await render_mesh(mesh, read.charts, seen, runtime.helm, runtime.cluster, former)
    changes = rendered.changes
    if before and request.scope is None and not request.take_over:
        refuse_failures(await check_unrecorded(before, mesh, changes, record, runtime.cluster))
    missing = frozenset(ref.name for ref, live in read.namespaces.items() if live is None)
    new = await new_pull_secret(request, mesh, runtime)
    looking = request.check_images and any(change.reasons for change in changes.values())
    if looking:
        looked_for = f"the images in {mesh.hub} to be found"
        runtime.listener(Event(step=PLAN_STEP, kind=EventKind.WAITING, message=looked_for))
    crds, owned, secrets, refused, (pulled, held), _ = await asyncio.gather(
        survey_crds(
            read.charts[BASE.name],
            runtime.cluster.objects,
            applied_digest=_applied_crds(record),
            at_least=base.chart_version if base else "",
        ),
        check_owners(changes, runtime.cluster, take_over=request.take_over),
        survey_pull_secrets(changes.values(), mesh, runtime.cluster, absent=missing, new=new),
        dry_run_changes(changes.values(), runtime.cluster, runtime.helm),
        asyncio.gather(
            prove_images(
                changes.values() if looking else (),
                mesh,
                runtime,
                later=request.later_versions,
                new=new,
                offline=request.offline,
            ),
            _held_to(request, changes, mesh, runtime.cluster),
        ),
        runtime.cluster.live.follow(
            query for change in changes.values() for query in observation.queries_of(change.release, change.manifests)
        ),
    )
    refuse_failures((*owned.findings, *refused))
    if not request.take_over:
        refuse_failures(await check_hidden(owned.not_shown, runtime.cluster))
    injection = check_injection(owned.changes.values(), _around(runtime.cluster, read.namespaces))
    refuse_failures((*injection, *held, *pulled))
    proxy = proxy_image(changes[_only(mesh, ISTIOD).name].manifests)
    changes = {
        name: with_stale_pods(change, runtime.cluster, runtime.helm, proxy) for name, change in owned.changes.items()
    }
    unwanted = tuple(extra for extra in _recorded(record) if extra not in mesh.releases and extra.key in read.installed)
    unwanted = () if request.scope and request.scope.components else unwanted
    stored = {release: read.installed[release.key] for release in unwanted}
    going = stored if request.prune else {}
    balanced = await survey_load_balancers(changes.values(), going, runtime.cluster, runtime.helm)
    steps = make_steps(
        mesh,
        changes,
        crds,
        missing_namespaces=missing,
        unwanted=going,
        proxy_image=proxy,
        take_over=request.take_over,
        pull_secrets=secrets.steps,
    )
    runtime.listener(Event(step=PLAN_STEP, kind=EventKind.DONE, message=_summary(steps)))
    return Plan(
        mesh=mesh,
        steps=steps,
        releases=changes,
        crds=crds,
        proxy_image=proxy,
        kubernetes=found.kubernetes,
        findings=(
            *request.findings,
            *versions,
            *about_the_place(request, found),
            *rendered.findings,
            *injection,
            *refused,
            *secrets.findings,
            *held,
            *pulled,
            *balanced,
            *_about_the_name(mesh, moved=before not in {"", mesh.version}),
        ),
        notes=(*found.resolved.notes, *moved_images(mesh)),
        unwanted=unwanted,
        stored=tuple(stored.values()),
        recorded=record,
        ending=(*ending_of(read.namespaces), *owned.ending),
        keep=request.scope.keep if request.scope else None,
    )


def _begin_registries(request: MeshRequest, mesh: Mesh, runtime: Runtime) -> None:
    if request.check_images and runtime.registries is not None:
        runtime.registries.begin(mesh.hub)


async def _held_to(
    request: MeshRequest, changes: Mapping[str, ReleaseChange], mesh: Mesh, cluster: Cluster
) -> tuple[Finding, ...]:
    """Judge a cluster by the checks that whatever writes a mesh is held to; nothing where nothing is to be written."""
    if request.skipped_checks is None or not any(change.reasons for change in changes.values()):
        return ()
    return await check_before_writing(changes, mesh, cluster, skipped=request.skipped_checks)


async def _read(request: MeshRequest, found: ClusterState, runtime: Runtime) -> MeshState:
    """Fetch the charts, read what is installed, and begin to follow the mesh's namespaces, all at once."""
    mesh = found.resolved.mesh
    namespaces = tuple(dict.fromkeys((mesh.namespace, *(release.namespace for release in mesh.releases))))
    recorded = _recorded(found.record)
    charts, others, live, _ = await asyncio.gather(
        fetch_charts(request, mesh, runtime.charts, runtime.listener),
        runtime.cluster.storage.installed(release for release in mesh.releases if release not in recorded),
        runtime.cluster.objects.get_all(
            (ObjectRef("v1", "Namespace", name) for name in namespaces), metadata_only=True
        ),
        runtime.cluster.live.follow(observation.queries_for(namespaces, mesh.namespace)),
    )
    return MeshState(charts=charts, installed={**found.installed, **others}, namespaces=live)


def _around(cluster: Cluster, namespaces: Mapping[ObjectRef, Mapping[str, Any] | None]) -> Surrounding:
    """Return what the live view and the mesh's namespaces show beside the renders."""
    labels = {ref.name: (live or {"metadata": {}})["metadata"].get("labels") or {} for ref, live in namespaces.items()}
    services = [service["metadata"] for name in labels for service in cluster.live.find("Service", name)]
    return Surrounding(
        injectors=cluster.live.find("MutatingWebhookConfiguration"),
        services=frozenset((str(service["namespace"]), str(service["name"])) for service in services),
        namespaces=labels,
    )


def _about_the_name(mesh: Mesh, *, moved: bool) -> tuple[Finding, ...]:
    """Say that an Istio revision is not called after its version: loud where this plan makes it so, else on demand."""
    found = kept_name(mesh.revisions.istio_revision, mesh.version)
    return () if found is None else (found if moved else replace(found, level=Level.NOTE),)


def _recorded(record: Record | None) -> tuple[Release, ...]:
    return tuple(recorded.release for recorded in record.releases) if record else ()


def _applied_crds(record: Record | None) -> str:
    """Return the digest of the chart whose CRDs the last run applied, or empty."""
    found = (row.chart_digest for row in (record.releases if record else ()) if row.release.component == BASE.name)
    return next(found, "")


def _only(mesh: Mesh, component: Component) -> Release:
    return next(release for release in mesh.releases if release.component == component.name)


def _summary(steps: Iterable[Step]) -> str:
    changing = sum(step.changes for step in steps)
    return f"{counted(changing, 'step changes', 'steps change')} something" if changing else "nothing to change"
