"""How ``nksmesh inject`` looks."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console
from rich.text import Text

from nksmesh.commands.inject import InjectionStatus, InjectPlan, InjectResult
from nksmesh.domain.injection.workloads import NamespaceInjection, State, WorkloadInjection
from nksmesh.report.common import labels_in_words, objects_in_words, show_moves, show_restarts
from nksmesh.report.layout import BAD, DOUBTFUL, FAINT, GOOD, Cell, rows, sentence
from nksmesh.report.text import renders

_STYLES = {State.INJECTED: GOOD, State.NOT_INJECTED: "", State.PARTLY: DOUBTFUL, State.NO_PODS: BAD}


@renders(InjectPlan)
def _plan(plan: InjectPlan, console: Console, _verbose: bool) -> None:
    words = f"get a proxy of Istio revision {plan.istio_revision}" if plan.on else "get no proxy"
    sentence(console, f"New pods {words}:", "bold")
    show_moves(plan.moves, console)
    _waiting(plan, console)


@renders(InjectResult)
def _result(result: InjectResult, console: Console, _verbose: bool) -> None:
    plan = result.plan
    if not result.agreed:
        sentence(console, "Nothing was changed.", FAINT)
        return
    for move in plan.moves:
        changed = move.namespace in result.moved
        label = labels_in_words(move.after)
        words = f"labelled {label}" if move.after else "no injection label"
        sentence(console, f"{move.namespace}: {words}" + ("" if changed else ", as before"), GOOD if changed else "")
    show_restarts(result.restarts.restarts, console)
    _waiting(plan, console)


@renders(InjectionStatus)
def _status(result: InjectionStatus, console: Console, _verbose: bool) -> None:
    if not result.namespaces:
        sentence(console, "No namespace has injection. Run nksmesh inject enable NAMESPACE.")
    rows(
        console,
        ["namespace", "label", "istiod", "workload", "state", "pods", "why"],
        [line for namespace in result.namespaces for line in _lines(namespace)],
    )


def _lines(namespace: NamespaceInjection) -> Iterable[tuple[Cell, ...]]:
    first = (namespace.name, labels_in_words(namespace.labels), namespace.istio_revision or "-")
    for workload in namespace.workloads:
        yield (*first, *_workload(workload))
        first = ("", "", "")
    if not namespace.workloads:
        yield (*first, "no workloads", "", "", "")


def _workload(workload: WorkloadInjection) -> tuple[Cell, ...]:
    state = Text(workload.state.value, style=_STYLES[workload.state])
    return f"{workload.kind} {workload.name}", state, f"{workload.injected}/{workload.pods}", workload.why


def _waiting(plan: InjectPlan, console: Console) -> None:
    if plan.waiting:
        get = "get a proxy" if plan.on else "lose their proxy"
        names = objects_in_words(plan.waiting)
        sentence(console, f"These {get} when they are restarted (--restart): {names}", DOUBTFUL)
