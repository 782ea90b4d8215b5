"""Drift: what is live against what the releases' stored manifests say, asked of the API server by dry runs."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from nksmesh.commands.drift.apply import LOOKS, Wanted, put
from nksmesh.domain.charts.chart import OFFICIAL_SOURCE, ChartRef
from nksmesh.domain.charts.lock import Lock
from nksmesh.domain.charts.releases import BASE, Release
from nksmesh.domain.common.data import data_of, named
from nksmesh.domain.common.errors import CHANGES_PENDING, ClusterError, MeshError, RefusedError
from nksmesh.domain.common.events import unheard
from nksmesh.domain.common.spelling import counted
from nksmesh.domain.drift.additions import additions, holder_of, without
from nksmesh.domain.drift.drift import Change, ObjectDrift, autoscaled_by, diff_lines, differing, newer_crd, shown
from nksmesh.domain.kube.keyed_lists import merged
from nksmesh.domain.kube.objects import FIELD_MANAGER, Manifest, ObjectRef, crds_of, ref_of
from nksmesh.engine.crds import newer_version
from nksmesh.engine.discovery import Installation, find_installation
from nksmesh.engine.ports import Charts, Helm, Objects
from nksmesh.engine.runtime import Runtime


@dataclass(frozen=True, kw_only=True)
class Found:
    """An object that is not as it should be: what it should be, and what is the matter."""

    wanted: Wanted
    drift: ObjectDrift


@dataclass(frozen=True, kw_only=True)
class NotLookedAt:
    """An object that the API server does not let be compared, and its words."""

    ref: ObjectRef = field(metadata=named("object"))
    why: str


@dataclass(frozen=True, kw_only=True)
class Survey:
    """What a look at a mesh's objects found.

    Attributes:
        looked: How many objects were compared.
        found: What is not as it should be, in install order.
        unseen: What could not be compared.
        notes: What the look leaves out, in sentences.
    """

    looked: int = 0
    found: tuple[Found, ...] = ()
    unseen: tuple[NotLookedAt, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def errors(self) -> tuple[MeshError, ...]:
        """What was not looked at is a failure in part: no drift can be claimed of it."""
        if not self.unseen:
            return ()
        many = counted(len(self.unseen), "object was", "objects were")
        error = ClusterError(
            f"{many} not checked: the API server does not let this user read them or run a dry run on them",
            hint="Give the user the rights get and patch on them: a dry run needs the same rights as a change.",
            detail="\n".join(f"{skipped.ref}: {skipped.why}" for skipped in self.unseen),
        )
        return (error,)


@dataclass(frozen=True, kw_only=True)
class DriftResult:
    """The drift of a mesh.

    Attributes:
        diff: The differences were asked for, line by line.
        exit_code: 10 where there is drift and the exit code was asked for, else 0.

    A release that is gone as a whole is drift, too, and so is a mesh: nothing is left of it to compare.
    """

    installation: Installation
    survey: Survey = Survey()
    diff: bool = False
    exit_code: int = 0

    @property
    def errors(self) -> tuple[MeshError, ...]:
        """What could not be looked at."""
        return self.survey.errors

    def json_form(self) -> dict[str, Any]:
        """Return what JSON has: the mesh and the survey in parts, the diffs only where they were asked for."""
        drifts: list[dict[str, Any]] = data_of([found.drift for found in self.survey.found])
        return {
            "installed": bool(self.installation.releases),
            "namespace": self.installation.namespace,
            "releases": [
                {
                    "name": release.name,
                    "namespace": release.namespace,
                    "chart_version": installed.chart_version,
                    "helm_revision": installed.helm_revision,
                }
                for release, installed in self.installation.releases.items()
            ],
            "foreign": self.installation.foreign,
            "gone": self.installation.gone,
            "looked_at": self.survey.looked,
            "drift": [{key: drift[key] for key in drift if self.diff or key != "diff"} for drift in drifts],
            "not_looked_at": self.survey.unseen,
            "notes": self.survey.notes,
        }


async def drift(runtime: Runtime, namespace: str, *, lock: Lock, diff: bool, exit_code: bool) -> DriftResult:
    """Compare a mesh's live objects with its releases' manifests; nothing is written.

    Args:
        namespace: The control plane's namespace; empty for the mesh there is.

    Raises:
        ClusterError: The cluster cannot be reached, or refuses to show what is installed.
    """
    installation = await find_installation(runtime.cluster, namespace, without_record=True)
    survey = await survey_drift(installation, runtime, lock)
    drifted = survey.found or installation.gone or not installation.releases
    return DriftResult(
        installation=installation,
        survey=survey,
        diff=diff,
        exit_code=CHANGES_PENDING if exit_code and drifted else 0,
    )


async def survey_drift(
    installation: Installation, runtime: Runtime, lock: Lock, *, only: Collection[ObjectRef] | None = None
) -> Survey:
    """Look at every object that a mesh's releases and their crds/ have, or only at some.

    Raises:
        ClusterError: The cluster cannot be reached.
    """
    manifests = {release: runtime.helm.parse(stored.manifest) for release, stored in installation.releases.items()}
    crds, notes = await _crds_of_chart(installation, manifests, runtime.charts, lock)
    wanted = [
        *crds,
        *(spec for release, some in manifests.items() for spec in _of_release(release, some, installation)),
    ]
    asked = [spec for spec in wanted if only is None or spec.ref in only]
    answers = await asyncio.gather(*(_look(spec, runtime.cluster.objects, runtime.helm) for spec in asked))
    unseen = tuple(answer for answer in answers if isinstance(answer, NotLookedAt))
    halfway = (
        f"release {release.name} is {stored.status}, not deployed: it is compared with what Helm last tried to apply"
        for release, stored in installation.releases.items()
        if not stored.deployed
    )
    return Survey(
        looked=len(asked) - len(unseen),
        found=tuple(answer for answer in answers if isinstance(answer, Found)),
        unseen=unseen,
        notes=(*installation.notes, *halfway, *notes),
    )


async def _look(wanted: Wanted, objects: Objects, helm: Helm) -> Found | NotLookedAt | None:
    """Compare one object with what it should be."""
    try:
        for _ in range(LOOKS):
            live = await objects.get(wanted.ref)
            if live is None:
                return _found(wanted, Change.MISSING, None, wanted.over(None), helm)
            if live["metadata"].get("deletionTimestamp"):
                return _found(wanted, Change.ENDING, live, live, helm)
            if newer_crd(wanted.manifest, live) or (crds_of((live,)) and newer_version(live, wanted.chart_version, "")):
                return None  # an older CRD never goes over a newer one
            refusal = ""
            try:
                after = await put(wanted, live, objects, dry_run=True)
            except RefusedError as exc:
                if exc.status == HTTPStatus.FORBIDDEN:
                    raise
                refusal = exc.detail or exc.message
                body = wanted.over(live)
                after = without(merged(body, live), additions(body, live))
            found = _found(wanted, Change.DIFFERS, live, after, helm, refusal)
            if not found.drift.fields:
                return None
            if after["metadata"].get("resourceVersion") == live["metadata"].get("resourceVersion"):
                break
    except RefusedError as exc:
        return NotLookedAt(ref=wanted.ref, why=exc.detail or exc.message)
    return found


def _found(
    wanted: Wanted, change: Change, live: Manifest | None, after: Manifest, helm: Helm, refusal: str = ""
) -> Found:
    fields = tuple(differing(shown(live), shown(after))) if change is Change.DIFFERS and live is not None else ()
    beside = additions(wanted.over(live), live) if fields and live is not None else ()
    return Found(
        wanted=wanted,
        drift=ObjectDrift(
            ref=wanted.ref,
            release=wanted.owner.name if wanted.owner else "",
            change=change,
            fields=fields,
            added={path: by for path in fields if (by := holder_of(path, beside))},
            lines=tuple(diff_lines(wanted.ref, live, after, helm.dump)),
            refusal=refusal,
        ),
    )


def _of_release(release: Release, manifests: Iterable[Manifest], installation: Installation) -> list[Wanted]:
    some = tuple(manifests)
    scaled = autoscaled_by(some)
    return [
        Wanted(
            ref=ref,
            manifest=manifest,
            owner=release,
            chart_version=installation.releases[release].chart_version,
            autoscaled=(ref.kind, ref.name) in scaled,
        )
        for manifest in some
        for ref in [ref_of(manifest, release.namespace)]
    ]


async def _crds_of_chart(
    installation: Installation, manifests: dict[Release, tuple[Manifest, ...]], charts: Charts, lock: Lock
) -> tuple[list[Wanted], list[str]]:
    """Read the CRDs that base's chart has in crds/ (up to 1.23), where the chart can be had without the network."""
    base = next((release for release in manifests if release.component == BASE.name), None)
    if base is None or crds_of(manifests[base]):
        return [], []
    installed, record = installation.releases[base], installation.record
    source = (record.settings.charts if record else "") or OFFICIAL_SOURCE
    ref = ChartRef(name=BASE.name, version=installed.chart_version, source=source)
    if "://" in source and not charts.cached(ref, lock):
        return [], [f"the CRDs were not checked: chart {ref} is not on this machine (run nksmesh charts fetch)"]
    try:
        chart = (await charts.fetch([ref], lock=lock, listener=unheard))[ref]
    except MeshError as exc:
        return [], [f"the CRDs were not checked: {exc.message}"]
    crds = (
        Wanted(
            ref=ref_of(crd),
            manifest=crd,
            owner=None,
            chart_version=installed.chart_version,
            manager=FIELD_MANAGER,
        )
        for crd in chart.crds
    )
    return list(crds), []
