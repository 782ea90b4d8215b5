"""What several commands show alike: steps, what came of them, differences, and that there is no mesh of nksmesh's."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from nksmesh.commands.canary.relabelling import Move
from nksmesh.domain.checks.rule import Checked, Status
from nksmesh.domain.common.durations import spoken
from nksmesh.domain.kube.restarts import Restart
from nksmesh.domain.mesh.mesh import Mesh
from nksmesh.domain.plan.plan import Action, Step
from nksmesh.engine.discovery import Installation
from nksmesh.engine.executor.step_context import StepOutcome
from nksmesh.report.layout import BAD, DOUBTFUL, FAINT, GOOD, gap, rows, sentence
from nksmesh.report.redaction import redact

_STATUSES: Final = {Status.OK: GOOD, Status.WARNING: DOUBTFUL, Status.FAILURE: BAD}
_INDENT: Final = 11

_DIFF_STYLES: Final = {"+": GOOD, "-": BAD, "@": FAINT}


def mesh_title(mesh: Mesh) -> str:
    """Name a mesh: version, profile and region."""
    where = f", {mesh.region} {mesh.network.value}" if mesh.region else ""
    return f"Istio {mesh.version}, profile {mesh.profile}{where}"


def show_steps(steps: Iterable[Step], console: Console) -> None:
    """Show the steps of a plan, each with its reasons; those that change nothing are faint."""

    def styled(text: str, step: Step) -> Text:
        return Text(text, style=BAD if step.action is Action.REMOVE else "" if step.changes else FAINT)

    rows(
        console,
        ["step", "action", "reason"],
        [(styled(step.name, step), styled(step.action.value, step), "; ".join(step.reasons)) for step in steps],
    )


def show_diff(lines: Iterable[str], console: Console) -> None:
    """Show the lines of a unified diff."""
    for line in lines:
        console.print(Text(line, style=_DIFF_STYLES.get(line[:1], "")), soft_wrap=True)


def show_outcomes(outcomes: Sequence[StepOutcome], console: Console) -> None:
    """Show each step that was done, how long it took, and what was proved."""
    gap(console)
    rows(
        console,
        ["step", "action", "took", "result"],
        [(row.step.name, row.step.action.value, spoken(row.seconds), row.message) for row in outcomes],
    )


def show_addresses(addresses: Mapping[str, Sequence[str]], console: Console) -> None:
    """Show where gateways are reached; nothing where none has a LoadBalancer."""
    if not addresses:
        return
    gap(console)
    rows(
        console,
        ["gateway", "address"],
        [(name, ", ".join(found) or Text("pending", style=FAINT)) for name, found in addresses.items()],
    )


def without_mesh(console: Console, installation: Installation, otherwise: str) -> None:
    """Name the istiods of other tools, and what a user can do; where there are none, say something else.

    Args:
        installation: What was found, without a release.
        otherwise: What is said where no other tool has an istiod, either.
    """
    if installation.unseen:
        sentence(console, f"A mesh is in {installation.namespace}, but Helm shows no release of it here.", DOUBTFUL)
    elif not installation.foreign:
        sentence(console, otherwise)
    for istiod in installation.foreign:
        sentence(console, f"{istiod}. nksmesh did not install it and does not change it.", DOUBTFUL)
        sentence(console, istiod.way_on)


def show_restarts(restarts: Iterable[Restart], console: Console) -> None:
    """Show what came of restarting workloads."""
    rows(
        console,
        ["workload", "restart", "result"],
        [(str(restart.workload), restart.outcome.value, restart.message) for restart in restarts],
    )


def labels_in_words(labels: Mapping[str, str]) -> str:
    """Write labels for a table."""
    return ", ".join(f"{key}={label}" for key, label in labels.items()) or "-"


def objects_in_words(objects: Iterable[object]) -> str:
    """Name workloads, or other objects, one after the other."""
    return ", ".join(map(str, objects)) or "nothing"


def show_moves(moves: Iterable[Move], console: Console) -> None:
    """Show namespaces whose labels change, and the workloads that are restarted there."""
    rows(
        console,
        ["namespace", "label", "becomes", "restarts"],
        [
            (
                move.namespace,
                labels_in_words(move.before),
                labels_in_words(move.after),
                objects_in_words(move.workloads),
            )
            for move in moves
        ],
    )


def show_checked(found: Checked, console: Console) -> None:
    """Print an ok in one line; what needs a reader's attention with its sentence and what helps below it."""
    title = Text.assemble((f"  {found.status.value:9}", _STATUSES[found.status]), (found.id, "bold"))
    if found.status is Status.OK:
        console.print(title.append(f"  {redact(found.message)}", style="not bold"))
        return
    console.print(title)
    for text in filter(None, (found.message, found.hint)):
        console.print(Padding(Text(redact(text)), (0, 0, 0, _INDENT)))
