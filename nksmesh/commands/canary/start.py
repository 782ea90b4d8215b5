"""A canary: a later istiod beside the mesh's own, as an Istio revision, and who is on which.

``start`` is an install of a part: base of the new version, whose validator still calls the old istiod, and the new
istiod with a name of its own. The old istiod, the gateways and the workloads are not touched.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final

from nksmesh.commands.install import InstallResult, install
from nksmesh.domain.charts.releases import BASE, ISTIOD, Release
from nksmesh.domain.common.data import data_of
from nksmesh.domain.common.errors import ConfigError
from nksmesh.domain.common.findings import Finding, refuse_failures
from nksmesh.domain.mesh.mesh import ISTIO_NAMESPACE, DeployedRevisions
from nksmesh.domain.mesh.record import Canary, Record, RecordedRelease
from nksmesh.domain.mesh.request import Recorded
from nksmesh.domain.mesh.revisions import check_canary, names_of, revision_of, spoken_revision
from nksmesh.domain.mesh.versions import newest
from nksmesh.engine.discovery import record_for
from nksmesh.engine.hidden_releases import check_shown
from nksmesh.engine.ports import Cluster
from nksmesh.engine.request import MeshRequest, ReleaseScope
from nksmesh.engine.runtime import Runtime

LABELS_BEFORE: Final = "nksmesh.io/labels-before-canary"
"""The annotation in which a namespace that was moved keeps the labels it had, as JSON."""

CONTROL_PLANE: Final = frozenset({BASE.name, ISTIOD.name})
"""What a canary is of: gateways stay with the default istiod until it is promoted."""


async def install_scope(
    request: MeshRequest, scope: ReleaseScope, runtime: Runtime, command: str, *, dry_run: bool = False
) -> InstallResult:
    """Install a part of the mesh; where it is the whole, what the mesh no longer has is removed.

    Raises:
        MeshError: As ``install`` says.
    """
    request = replace(request, scope=scope, allow_version_change=True, prune=not scope.components)
    return await install(request, runtime, dry_run=dry_run, command=command)


@dataclass(frozen=True, kw_only=True)
class StartResult:
    """What starting a canary did.

    Attributes:
        beside: The Istio revision it is beside.
    """

    installed: InstallResult
    istio_revision: str
    beside: str

    def json_form(self) -> dict[str, Any]:
        """Return what JSON has: of the install what concerns the canary."""
        installed = data_of(self.installed)
        keys = ("version", "dry_run", "changes", "steps", "findings", "notes", "done", "warnings")
        return {"istio_revision": self.istio_revision, "beside": self.beside, **{key: installed[key] for key in keys}}


async def start(request: MeshRequest, runtime: Runtime, *, dry_run: bool) -> StartResult:
    """Install a later istiod beside the mesh's own, and prove that it injects who asks for it by name.

    Run again it goes on from what is there.

    Args:
        request: What was asked for; its version is the canary's.

    Raises:
        ConfigError: No recorded mesh is installed, or another canary is on.
        CheckError: The version is not later than the mesh's own, or more than two minors ahead.
        MeshError: As ``install`` says.
    """
    record = await recorded_mesh(runtime.cluster, request.options.namespace)
    wanted, canary = request.options.version, record.canary
    unused = () if canary else check_canary_revision(record.settings, wanted)
    newer = check_canary(record.settings.version, wanted)
    refuse_failures((*_check_other_canary(canary, wanted), *newer, *check_own_revision(record), *unused))
    settings = canary.settings if canary else settings_of_canary(record, wanted)
    scope = ReleaseScope(settings=settings, keep=_beside, components=CONTROL_PLANE)
    done = await install_scope(request, scope, runtime, "canary start", dry_run=dry_run)
    beside = spoken_revision(record.settings.revisions.istio_revision)
    return StartResult(installed=done, istio_revision=revision_of(wanted), beside=beside)


def _check_other_canary(canary: Canary | None, wanted: str) -> tuple[Finding, ...]:
    """Judge the start of a canary: a failure where another one is on, or this one is being promoted."""
    if canary is None or (canary.version == wanted and not canary.promoting):
        return ()
    return (
        Finding(
            id="canary.running",
            message=f"a canary is already installed: Istio {canary.version}, Istio revision {canary.istio_revision}",
            hint="End it first with nksmesh canary promote or nksmesh canary abort.",
            error=ConfigError,
        ),
    )


def check_own_revision(record: Record) -> tuple[Finding, ...]:
    """Judge who names the mesh's istiod: a failure where the user's values do, for they would name the canary, too."""
    own = record.settings.revisions.istio_revision
    return tuple(
        Finding(
            id="canary.revision-in-values",
            message=f"the values set istiod's Istio revision to {release.istio_revision}: "
            "a canary would get the same one",
            hint="Run nksmesh upgrade --to X.Y.Z to upgrade in place, which keeps the Istio revision.",
            error=ConfigError,
        )
        for release in (recorded.release for recorded in record.releases)
        if release.component == ISTIOD.name and release.istio_revision != own and record.canary is None
    )


def check_canary_revision(settings: Recorded, version: str) -> tuple[Finding, ...]:
    """Judge a canary's Istio revision: a failure where the mesh's istiod has it, or a tag is called so.

    An istiod has it that went to that version and back in place.
    """
    revision, revisions = revision_of(version), settings.revisions
    if revision == revisions.istio_revision:
        message = f"the mesh's own istiod is already named {revision}, although it is Istio {settings.version}"
        hint = f"Run nksmesh upgrade --to {version} to upgrade in place."
    elif revision in revisions.tags:
        message = f"the canary would be named {revision}, which is already a revision tag of the mesh"
        hint = f"Run nksmesh tag remove {revision} first."
    else:
        return ()
    return (Finding(id="canary.revision-in-use", message=message, hint=hint, error=ConfigError),)


async def recorded_mesh(cluster: Cluster, namespace: str) -> Record:
    """Return the record of the mesh that is meant; an Istio revision is of a mesh that is known.

    Raises:
        ConfigError: There is none, or nothing of it is installed.
        ClusterError: Helm does not show its releases where they are looked for, though they live; or the cluster cannot
            be reached, or refuses.
    """
    record = record_for(namespace, await cluster.records.read_all())
    there = await cluster.storage.installed(entry.release for entry in record.releases) if record else {}
    refuse_failures(await check_shown(record, there.values(), cluster))
    if record is None or not there:
        where = f" in {namespace}" if namespace else ""
        raise ConfigError(
            f"nksmesh has no record of a mesh{where}",
            hint="Run nksmesh install to install one, or nksmesh adopt to adopt an existing one.",
        )
    return record


def canary_of(record: Record) -> Canary:
    """Return the canary that is on.

    Raises:
        ConfigError: None is on.
    """
    if record.canary is None:
        raise ConfigError("no canary is installed", hint="Run nksmesh canary start --to X.Y.Z to start one.")
    return record.canary


def own_istiod(record: Record) -> Release:
    """Return the release of the mesh's own istiod, which is not the canary's.

    Raises:
        ConfigError: The record has none.
    """
    revision = record.settings.revisions.istio_revision
    for entry in record.releases:
        if entry.release.component == ISTIOD.name and entry.release.istio_revision == revision:
            return entry.release
    raise ConfigError(
        f"the record has no istiod of Istio revision {spoken_revision(revision)}",
        hint="Run nksmesh install to repair the mesh.",
    )


def settings_of_canary(record: Record, version: str) -> Recorded:
    """Return what a canary is resolved from: what the mesh was, with an Istio revision of its own.

    The values that options brought to the old istiod hold for the new one; base's validator keeps to the old one.
    """
    settings, revision = record.settings, revision_of(version)
    names = {own_istiod(record).name: names_of(revision).release}
    revisions = DeployedRevisions(
        istio_revision=revision,
        default_revision=settings.revisions.default_revision,
        base_version=settings.revisions.base_version,
    )
    layers = {names.get(name, name): some for name, some in settings.layers.items()}
    return replace(settings, version=version, layers=layers, revisions=revisions)


def with_canary(record: Record, after: Record, release: Release, *, promoting: bool = False) -> Record:
    """Keep what a run on a canary left beside the mesh's own.

    Args:
        record: What was recorded before.
        after: What an install of the canary's part would record.
        release: The canary's istiod.
    """
    return replace(
        record,
        releases=merged(record, after),
        canary=Canary(settings=after.settings, release=release, promoting=promoting),
        written_by=after.written_by,
    )


def merged(record: Record, after: Record) -> tuple[RecordedRelease, ...]:
    """Return a record's releases, each as a later run left it, and those it brought."""
    new = {entry.release: entry for entry in after.releases}
    old = [new.pop(entry.release, entry) for entry in record.releases]
    return (*old, *new.values())


def _beside(before: Record | None, after: Record, done: bool) -> Record:
    """Record a canary beside the mesh's own, from before it is written."""
    del done
    release = next(entry.release for entry in after.releases if entry.release.component == ISTIOD.name)
    if before is None:
        raise ConfigError(
            f"the record of the mesh in {after.namespace or ISTIO_NAMESPACE} no longer exists",
            hint="Run nksmesh install with all its options, then start the canary.",
        )
    return with_canary(before, after, release)


async def later_base(record: Record, cluster: Cluster) -> str:
    """Return base's chart version, where it is later than the mesh's: it stays, for CRDs never go back.

    Raises:
        ClusterError: The cluster cannot be reached, or refuses.
    """
    base = [entry.release for entry in record.releases if entry.release.component == BASE.name]
    installed = (await cluster.storage.installed(base)).values()
    version = next((release.chart_version for release in installed), "")
    return version if version and newest([version, record.settings.version]) != record.settings.version else ""
