"""How ``nksmesh canary`` looks."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console
from rich.text import Text

from nksmesh.commands.canary.move import MovePlan, MoveResult
from nksmesh.commands.canary.plan import CanaryPlan, CanaryResult
from nksmesh.commands.canary.start import StartResult
from nksmesh.commands.canary.status import CanaryStatus, NamespaceStatus
from nksmesh.domain.kube.workloads import Workload
from nksmesh.report.common import labels_in_words, objects_in_words, show_addresses, show_moves, show_restarts
from nksmesh.report.layout import DOUBTFUL, FAINT, GOOD, facts, gap, rows, sentence
from nksmesh.report.plan import show_plan
from nksmesh.report.text import renders


@renders(StartResult)
def _start(result: StartResult, console: Console, verbose: bool) -> None:
    if result.installed.dry_run:
        sentence(console, f"canary {result.istio_revision}, beside {result.beside}, which stays unchanged:", "bold")
        show_plan(result.installed.plan, console, verbose=verbose)
        return
    version = result.installed.plan.mesh.version
    ending = (
        "installed; injection verified" if result.installed.plan.changes else "already installed: nothing was changed"
    )
    console.print(
        Text.assemble((f"canary {result.istio_revision} (Istio {version}) beside {result.beside}: {ending}", GOOD))
    )
    unused = "Nothing uses it yet. " if result.installed.plan.changes else ""
    sentence(console, f"{unused}Next: nksmesh canary move NAMESPACE, then nksmesh canary promote or abort.")


@renders(CanaryStatus)
def _status(result: CanaryStatus, console: Console, _verbose: bool) -> None:
    canary = result.canary
    on = "is being promoted" if canary and canary.promoting else "is installed"
    sentence(console, f"canary {canary.istio_revision} {on}" if canary else "No canary is installed.", "bold")
    facts(
        console,
        [
            ("default", f"{result.istio_revision}, Istio {result.version}"),
            ("canary", f"{canary.istio_revision}, Istio {canary.version}" if canary else ""),
        ],
    )
    own = ((gateway.namespace, "its own gateway", "", *_workload(gateway)) for gateway in result.gateways)
    lines: list[tuple[str, ...]] = list(own)
    for namespace in result.namespaces:
        lines += _namespace_lines(namespace)
    if lines:
        gap(console)
    rows(console, ["namespace", "label", "follows", "workload", "on", "proxy"], lines)


@renders(MovePlan)
def _move_plan(plan: MovePlan, console: Console, _verbose: bool) -> None:
    sentence(
        console, f"To Istio revision {plan.istio_revision} (Istio {plan.version}), with {plan.proxy_image}:", "bold"
    )
    show_moves(plan.moves, console)
    for words in plan.passed_over:
        sentence(console, words, FAINT)


@renders(MoveResult)
def _moved(result: MoveResult, console: Console, verbose: bool) -> None:
    if not result.agreed:
        sentence(console, "Nothing was moved.")
        return
    if result.plan.empty:
        sentence(console, f"Nothing to move: everything is on {result.plan.istio_revision}.")
        _move_plan(result.plan, console, verbose)
        return
    names = ", ".join(move.namespace for move in result.plan.moves)
    complete = result.restarts.complete
    where = f"{'on' if complete else 'labelled for'} {result.plan.istio_revision} (Istio {result.plan.version})"
    sentence(console, f"{names}: {where}", GOOD if complete else DOUBTFUL)
    show_restarts(result.restarts.restarts, console)


@renders(CanaryPlan)
def _canary_plan(plan: CanaryPlan, console: Console, _verbose: bool) -> None:
    verb = "Promote" if plan.promote else "Remove"
    sentence(console, f"{verb} the canary: {plan.staying} stays, {plan.going} is removed.", "bold")
    if plan.promote and plan.status.gateways:
        sentence(console, f"gateways get new pods, one by one: {objects_in_words(plan.status.gateways)}")
    if plan.returning:
        sentence(console, f"namespaces get their former labels back: {', '.join(plan.returning)}")
    if plan.restarting:
        sentence(console, f"workloads are restarted: {objects_in_words(plan.restarting)}")
    if plan.left:
        sentence(console, f"workloads keep the proxy of {plan.going}: {objects_in_words(plan.left)}", DOUBTFUL)
    if plan.stranded:
        sentence(console, f"namespaces stay labelled for {plan.going}: {', '.join(plan.stranded)}", DOUBTFUL)


@renders(CanaryResult)
def _canary_result(result: CanaryResult, console: Console, verbose: bool) -> None:
    plan = result.plan
    if not result.agreed or result.installed is None:
        sentence(console, "Nothing was changed.")
        return
    version = result.installed.plan.mesh.version
    words = "promoted" if plan.promote else "removed"
    sentence(
        console,
        f"canary {words}: {plan.staying} (Istio {version}) is the mesh's own istiod; {plan.going} was removed",
        GOOD,
    )
    if verbose:
        rows(
            console,
            ["step", "action", "result"],
            [(row.step.name, row.step.action.value, row.message) for row in result.installed.progress.outcomes],
        )
    show_restarts(result.restarts.restarts, console)
    show_addresses(result.installed.progress.addresses, console)
    for newer in result.newer:
        sentence(console, newer)


def _namespace_lines(namespace: NamespaceStatus) -> Iterable[tuple[str, ...]]:
    label = labels_in_words(namespace.labels) + (" (moved)" if namespace.moved else "")
    first: tuple[str, ...] = (namespace.name, label, namespace.follows)
    for workload in namespace.workloads:
        yield (*first, *_workload(workload))
        first = ("", "", "")
    if not namespace.workloads:
        yield (*first, "", "", "")


def _workload(workload: Workload) -> tuple[str, str, str]:
    name = f"{workload.kind} {workload.name}"
    return name, ", ".join(workload.istio_revisions), ", ".join(image.rpartition("/")[2] for image in workload.proxies)
