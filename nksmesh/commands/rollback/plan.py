"""Planning a rollback: from the history, and from what Helm has stored of then, to the steps that lead there."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Final

from nksmesh.domain.charts.chart import Chart, ChartRef
from nksmesh.domain.charts.installed import InstalledRelease
from nksmesh.domain.charts.releases import ISTIOD, Release, titles_of
from nksmesh.domain.common.errors import ReleaseError
from nksmesh.domain.common.events import Event, EventKind
from nksmesh.domain.common.findings import Finding, refuse_failures
from nksmesh.domain.kube.images import proxy_image
from nksmesh.domain.kube.workloads import Workload, on_other_proxy
from nksmesh.domain.mesh.mesh import Mesh, Network
from nksmesh.domain.mesh.record import Record, check_no_canary
from nksmesh.domain.plan.plan import Plan, ReleaseChange
from nksmesh.domain.plan.rollback_target import RollbackTarget, rollback_target, steps_back, written_since
from nksmesh.domain.values.layers import Composed
from nksmesh.engine import observation
from nksmesh.engine.dry_runs import dry_run_changes
from nksmesh.engine.hidden_releases import check_hidden, check_shown
from nksmesh.engine.ports import Cluster, Helm
from nksmesh.engine.rollouts import with_stale_pods
from nksmesh.engine.runs.history import history_for
from nksmesh.engine.runtime import Runtime
from nksmesh.engine.workloads import workloads_of_users

ROLLBACK_STEP: Final = "rollback"


@dataclass(frozen=True, kw_only=True)
class RollbackPlan:
    """What goes back, and what does not.

    Attributes:
        way: The runs that are taken back.
        lost: What does not come back, in sentences.
        overwritten: What somebody else's Helm wrote since, which goes as well, in sentences.
        workloads: Workloads that run another proxy than the one that comes back: a rollback does not restart them.
    """

    more: ClassVar[tuple[str, str]] = ("the rollback would now do", "rolled back")

    way: RollbackTarget
    plan: Plan
    lost: tuple[str, ...] = ()
    overwritten: tuple[str, ...] = ()
    workloads: tuple[Workload, ...] = ()

    @property
    def empty(self) -> bool:
        """Whether there is nothing to do: never, for a plan of nothing is not made."""
        return False

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a reader should know before he agrees."""
        return (*self.lost, *self.overwritten, *self._left_ahead())

    def _left_ahead(self) -> tuple[str, ...]:
        """Name the workloads; an istiod serves no proxy that is newer than it is (istio-facts 5)."""
        if not self.workloads:
            return ()
        words, them = ("workload keeps", "it is") if len(self.workloads) == 1 else ("workloads keep", "they are")
        proxy, version = self.plan.proxy_image.rpartition("/")[2], self.plan.mesh.version
        command = f"nksmesh upgrade --to {version} --restart-workloads"
        sentence = f"{len(self.workloads)} {words} another proxy than {proxy} until {them} restarted ({command})"
        return (f"{sentence}: {', '.join(map(str, self.workloads))}",)

    def beyond(self, shown: RollbackPlan) -> tuple[str, ...]:
        """Name what this plan does and an earlier one did not say; a Helm that ended meanwhile may leave less to do."""
        said = {(step.name, step.action) for step in shown.plan.steps}
        return (
            *(f"run {number}" for number in self.way.numbers if number not in shown.way.numbers),
            *(step.name for step in self.plan.steps if step.changes and (step.name, step.action) not in said),
            *(words for words in self.lost if words not in shown.lost),
        )

    def json_form(self) -> dict[str, Any]:
        """Return what JSON has: the runs and the plan in parts."""
        failed = self.way.failed
        return {
            "namespace": self.plan.mesh.namespace,
            "runs": [
                {"number": run.number, "command": run.command, "outcome": run.outcome, "reason": run.reason}
                for run in self.way.runs
            ],
            "evidence": failed.evidence if failed else "",
            "to_versions": self.way.to_versions,
            "proxy_image": self.plan.proxy_image,
            "changes": self.plan.changes,
            "steps": self.plan.steps,
            "lost": self.lost,
            "overwritten": self.overwritten,
            "workloads": self.workloads,
        }


async def plan_rollback(runtime: Runtime, namespace: str, *, to_run: int | None) -> RollbackPlan:
    """Plan the way back from the last run, or to a run; nothing is written.

    Args:
        namespace: The control plane's namespace; empty for istio-system's, or the only one there is.
        to_run: Go back to how this run left the mesh; None for the state before the last one.

    Raises:
        ConfigError: There is nothing to take back, or the run is not one to go back to.
        ReleaseError: Helm no longer has what is to come back.
        ClusterError: The cluster cannot be reached, or refuses.
    """
    runtime.listener(Event(step=ROLLBACK_STEP, kind=EventKind.STARTED, message="reading the history"))
    history = await history_for(runtime.cluster, namespace)
    target = rollback_target(history, to_run=to_run)
    plan = await plan_way_back(target, history.namespace, runtime.cluster, runtime.helm)
    refuse_failures(await dry_run_changes(plan.plan.releases.values(), runtime.cluster, runtime.helm))
    plan = replace(plan, overwritten=written_since(history, plan.plan.releases.values()))
    if proxy := plan.plan.proxy_image:
        plan = replace(plan, workloads=on_other_proxy(await workloads_of_users(plan.plan.mesh, runtime.cluster), proxy))
    runtime.listener(Event(step=ROLLBACK_STEP, kind=EventKind.DONE, message=f"undoes {_spoken(plan.way)}"))
    return plan


async def plan_way_back(way: RollbackTarget, namespace: str, cluster: Cluster, helm: Helm) -> RollbackPlan:
    """Read back what the releases were, and order what brings them there.

    Raises:
        ConfigError: The runs cannot be taken back, or a canary is on.
        ReleaseError: Helm no longer has what is to come back.
        ClusterError: The cluster cannot be reached, or refuses.
    """
    deployed = {release: helm_revision for release, helm_revision in way.targets.items() if helm_revision}
    namespaces = tuple(dict.fromkeys((namespace, *(release.namespace for release in way.targets))))
    records, kubernetes, installed, stored, _ = await asyncio.gather(
        cluster.records.read_all(),
        cluster.version(),
        cluster.storage.installed(way.targets),
        cluster.storage.at(deployed),
        cluster.live.follow(observation.queries_for(namespaces, namespace)),
    )
    recorded = records.get(namespace)
    shown = await check_shown(recorded, installed.values(), cluster)
    refuse_failures((*way.findings, *shown, *check_no_canary(recorded)))
    missing = [release for release in deployed if release.key not in installed]
    refuse_failures(await check_hidden(missing, cluster))
    changes, lost, gone = {}, list[str](), list[Finding]()
    titles = titles_of(deployed)
    for release, helm_revision in deployed.items():
        now = installed.get(release.key)
        target = stored.get(release)
        if now is None and release.component != ISTIOD.name:
            lost.append(_lost(release, way))
        elif now is None or target is None:
            gone.append(_not_to_be_had(release, helm_revision, way, now))
        else:
            changes[titles[release]] = _change(release, now, target, helm)
    refuse_failures(gone)
    await cluster.live.follow(
        query for change in changes.values() for query in observation.queries_of(change.release, change.manifests)
    )
    istiods = (change for change in changes.values() if change.release.component == ISTIOD.name)
    proxy = next((proxy_image(istiod.manifests) for istiod in istiods), "")
    changes = {name: with_stale_pods(change, cluster, helm, proxy) for name, change in changes.items()}
    removed = {
        release: now
        for release, helm_revision in way.targets.items()
        if not helm_revision and (now := installed.get(release.key)) is not None
    }
    mesh = _mesh(way, namespace, changes, recorded, proxy)
    plan = Plan(
        mesh=mesh,
        steps=steps_back(changes, removed, proxy_image=proxy, network=mesh.network),
        releases=changes,
        proxy_image=proxy,
        kubernetes=kubernetes,
        unwanted=tuple(removed),
        stored=tuple(removed.values()),
        recorded=recorded,
    )
    return RollbackPlan(way=way, plan=plan, lost=tuple(lost))


def _change(release: Release, now: InstalledRelease, target: InstalledRelease, helm: Helm) -> ReleaseChange:
    """See what brings a release back; nothing where it is there already."""
    reasons: tuple[str, ...] = ()
    if now.pending or not now.deployed:
        reasons = (f"Helm left it {now.status} (Helm revision {now.helm_revision})",)
    elif _content(now) != _content(target):
        reasons = (f"returns to Helm revision {target.helm_revision}",)
    if reasons and now.chart_version != target.chart_version:
        reasons = (*reasons, f"chart {now.chart_version} returns to {target.chart_version}")
    return ReleaseChange(
        release=release,
        chart=Chart(
            ref=ChartRef(name=target.chart, version=target.chart_version, source=""),
            folder=Path(),
            digest="",
            app_version=target.app_version,
            defaults={},
        ),
        layers=(),
        composed=Composed(values=target.values, origins={}),
        manifests=helm.parse(target.manifest),
        installed=now,
        reasons=reasons,
        back_to=target,
    )


def _content(installed: InstalledRelease) -> tuple[Any, ...]:
    return installed.chart_version, installed.manifest, dict(installed.values)


def _mesh(
    way: RollbackTarget, namespace: str, changes: Mapping[str, ReleaseChange], recorded: Record | None, proxy: str
) -> Mesh:
    """Describe the mesh of before, as far as steps and their report ask."""
    record = way.before or recorded
    settings = record.settings if record else None
    istiod = next((change for change in changes.values() if change.release.component == ISTIOD.name), None)
    return Mesh(
        version=istiod.chart.ref.version if istiod else "",
        profile=settings.profile if settings else "",
        hub=record.hub if record else proxy.rpartition("/")[0],
        region=settings.region if settings else "",
        network=(settings.network if settings else None) or Network.PUBLIC,
        namespace=namespace,
        chart_source=settings.charts if settings else "",
        releases=tuple(change.release for change in changes.values()),
        layers={},
    )


def _lost(release: Release, way: RollbackTarget) -> str:
    """Say what does not come back; the record of before has it, so that an install knows of it again."""
    anew = ". Run nksmesh install to recreate it." if way.before else ""
    return f"{release.name} cannot be restored: it was removed with its Helm history{anew}"


def _not_to_be_had(release: Release, helm_revision: int, way: RollbackTarget, now: InstalledRelease | None) -> Finding:
    """Say what Helm no longer has, and how the mesh of before is made anew without it."""
    version = next(reversed(way.to_versions), "")
    if now is None:
        message = f"{release.name} cannot be restored: it was removed with its Helm history"
        hint = f"Run nksmesh install{f' --version {version}' if version else ''} to recreate it."
        return Finding(id="rollback.removed-istiod", message=message, hint=hint, error=ReleaseError)
    changed = version and version != now.chart_version
    hint = (
        f"Run nksmesh upgrade --to {version} to return to the earlier version, with the "
        "current values and those that you pass."
        if changed
        else "Run nksmesh install with the earlier values (-f and --set) to recreate what Helm no longer has."
    )
    message = f"Helm no longer has Helm revision {helm_revision} of {release.name} in {release.namespace}"
    return Finding(id="rollback.missing-revision", message=message, hint=hint, error=ReleaseError)


def _spoken(way: RollbackTarget) -> str:
    runs = [f"{run.number} ({run.command}, {run.outcome.value})" for run in way.runs]
    return f"run {runs[0]}" if len(runs) == 1 else f"runs {', '.join(runs)}"
