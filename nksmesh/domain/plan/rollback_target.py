"""The way back: which runs a rollback takes back, to which Helm revisions, and in what order of steps."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from nksmesh.domain.charts.installed import InstalledRelease
from nksmesh.domain.charts.releases import BASE, COMPONENTS, GATEWAY, ISTIOD, OPTIONAL, Release, titles_of
from nksmesh.domain.common.errors import ConfigError
from nksmesh.domain.common.findings import Finding
from nksmesh.domain.mesh.mesh import Network
from nksmesh.domain.mesh.record import Record
from nksmesh.domain.plan.history import TAKEN_BACK, History, Run
from nksmesh.domain.plan.ordering import gate_step, release_step, removal_step, restart_step
from nksmesh.domain.plan.plan import GATE_STEP, Need, ReleaseChange, ReleaseStep, Step

_SEE: Final = "Run nksmesh history to see the runs."
_ORDER: Final = (ISTIOD.name, BASE.name, *OPTIONAL, GATEWAY.name)
_REMOVED: Final = tuple(reversed(COMPONENTS))

_UNINSTALL: Final = "uninstall"
_OTHER_WAYS: Final = {
    "canary start": "Run nksmesh canary abort to remove the canary.",
    _UNINSTALL: "Run nksmesh install to recreate the mesh.",
}
_ANOTHER_VERSION: Final = "Run nksmesh upgrade --to VERSION to change the version in place."


@dataclass(frozen=True, kw_only=True)
class RollbackTarget:
    """From what is there to what was there before some runs.

    Attributes:
        runs: The runs that are taken back, oldest first.
        targets: For each release that they were about, the Helm revision that stood before; 0 where there was none.
        before: The record as it was before.
        findings: A failure for each reason why the runs cannot be taken back.
    """

    runs: tuple[Run, ...]
    targets: Mapping[Release, int] = field(default_factory=dict)
    before: Record | None = field(default=None, repr=False)
    findings: tuple[Finding, ...] = ()

    @property
    def numbers(self) -> tuple[int, ...]:
        """The numbers of the runs."""
        return tuple(run.number for run in self.runs)

    @property
    def to_versions(self) -> tuple[str, ...]:
        """The versions that were installed before."""
        return self.runs[0].from_versions

    @property
    def failed(self) -> Run | None:
        """The newest run that did not reach its end."""
        return next((run for run in reversed(self.runs) if not run.whole), None)


def rollback_target(history: History, *, to_run: int | None = None) -> RollbackTarget:
    """Find the runs that are to be taken back.

    Without a number that is the last run and, where the runs before it did not reach their end, those as well: what
    such a run left was never proved, and the next one only went on with it.

    Args:
        to_run: Go back to how this run left the mesh.

    Raises:
        ConfigError: There is nothing to take back, or the run is not kept or did not finish the mesh.
    """
    runs = [run for run in history.runs if run.counts]
    if to_run is not None:
        wanted = history.of(to_run)
        if wanted is None or not wanted.whole:
            why = "is no longer stored" if wanted is None else f"did not finish the mesh: it is {wanted.outcome.value}"
            raise ConfigError(f"run {to_run} {why}", hint=_SEE)
        passed = _check_passed(history, wanted)
        undone = [run for run in runs if run.number > to_run]
        if not undone and not passed:
            raise ConfigError(f"the mesh is already as run {to_run} left it", hint=_SEE)
        target = _of(undone) if undone else RollbackTarget(runs=())
        return replace(target, findings=(*passed, *target.findings))
    if not runs:
        raise ConfigError(f"no stored run in {history.namespace} can be rolled back", hint=_SEE)
    return _of(list(history.unproved))


def written_since(history: History, changes: Iterable[ReleaseChange]) -> tuple[str, ...]:
    """Name what another Helm wrote after the newest run: to go back takes that, too, and no run tells of it."""
    last = history.runs[-1]
    left = {move.release: move.after for move in last.releases if move.after}
    return tuple(
        f"{change.release.name} was changed by another Helm process since run {last.number} (Helm revision "
        f"{left[change.release]} -> {now.helm_revision}): "
        "that change is rolled back, too"
        for change in changes
        if (now := change.installed) is not None and not now.pending
        if left.get(change.release, now.helm_revision) < now.helm_revision
    )


def way_back_of(run: Run) -> RollbackTarget:
    """Take back one run alone: the one that has just failed."""
    return _of([run])


def steps_back(
    changes: Mapping[str, ReleaseChange],
    removed: Mapping[Release, InstalledRelease],
    *,
    proxy_image: str,
    network: Network,
) -> tuple[Step, ...]:
    """Order the steps: istiod, the gate, then base and the gateways, their restarts, and what goes.

    Only the old injector brings the old proxy back, so all that has pods of it comes behind the gate.

    Args:
        changes: What goes back, by the release's title.
        removed: What was not there before, with what Helm has of it.
        proxy_image: The image that every gateway comes back to.
    """

    def back(title: str, change: ReleaseChange) -> ReleaseStep:
        return release_step(title, change, behind, proxy_image=proxy_image, network=network)

    behind: tuple[Need, ...] = ()
    some = sorted(changes.items(), key=lambda entry: _ORDER.index(entry[1].release.component))
    steps: list[Step] = [back(*entry) for entry in some if entry[1].release.component == ISTIOD.name]
    if steps:
        releases = (change.release for _, change in some)
        steps.append(gate_step(releases, (Need(step.name) for step in steps), proxy_image=proxy_image))
        behind = (Need(GATE_STEP),)
    others = [(title, change) for title, change in some if change.release.component != ISTIOD.name]
    steps += [back(title, change) for title, change in others]
    steps += [restart_step(back(title, change)) for title, change in others if change.stale_pods]
    titles = titles_of(removed)
    for release in sorted(removed, key=lambda release: _REMOVED.index(release.component)):
        needs = tuple(Need(step.name) for step in steps)
        steps.append(removal_step(titles[release], release, removed[release], needs, why="it did not exist before"))
    return tuple(steps)


def _check_passed(history: History, wanted: Run) -> tuple[Finding, ...]:
    """Judge a run to go back to: a failure where a later rollback went back behind it.

    To take back what came after it would not lead there.
    """
    return tuple(
        Finding(
            id="rollback.passed-run",
            message=f"run {run.number}, a rollback, went back further than run {wanted.number}, "
            "which can no longer be restored",
            hint=f"Run nksmesh upgrade --to {wanted.to_version} to return to its version. {_SEE}",
            error=ConfigError,
        )
        for run in history.runs
        if run.number > wanted.number and run.whole and any(number < wanted.number for number in run.undoes)
    )[:1]


def _of(runs: Sequence[Run]) -> RollbackTarget:
    targets: dict[Release, int] = {}
    for run in runs:
        for move in run.releases:
            targets.setdefault(move.release, move.before)
    target = RollbackTarget(runs=tuple(runs), targets=targets, before=runs[0].before)
    return replace(target, findings=tuple(_check_target(target)))


def _check_target(target: RollbackTarget) -> Iterator[Finding]:
    """Judge runs that are to be taken back: a failure for each reason why they cannot."""
    runs, first = target.runs, target.runs[0]
    blocker = next((run for run in reversed(runs) if run.command not in TAKEN_BACK), None)
    if blocker is not None:
        message = f"run {blocker.number} was nksmesh {blocker.command}, which rollback cannot undo"
        hint = f"{_instead(blocker, runs[-1])} {_SEE}"
        yield Finding(id="rollback.other-command", message=message, hint=hint, error=ConfigError)
    before = [revision for release, revision in target.targets.items() if release.component == ISTIOD.name]
    if any(run.whole for run in runs) and not any(before):
        message = f"there was no mesh before run {first.number}"
        hint = "Run nksmesh uninstall to remove the mesh. It asks first."
        yield Finding(id="rollback.no-mesh-before", message=message, hint=hint, error=ConfigError)
    if target.before and target.before.canary:
        message = f"before run {first.number} there was a canary, which cannot be restored"
        hint = f"{_ANOTHER_VERSION} {_SEE}"
        yield Finding(id="rollback.canary-before", message=message, hint=hint, error=ConfigError)


def _instead(blocker: Run, last: Run) -> str:
    """Say what leads on where a run is in the way that a rollback does not take back."""
    if blocker is last and (blocker.whole or blocker.command != _UNINSTALL):
        return _OTHER_WAYS.get(blocker.command, _ANOTHER_VERSION)
    if blocker.whole:
        return f"Pass --to-run {blocker.number}: the rollback can go back no further."
    if blocker.command == _UNINSTALL and not last.whole:
        return (
            "The uninstall did not finish. Run nksmesh install to restore what it removed, "
            "or nksmesh uninstall to remove the rest."
        )
    return f"It did not finish, so there is no complete mesh to return to. {_ANOTHER_VERSION}"
