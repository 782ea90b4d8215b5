"""How ``nksmesh plan`` and ``template`` look."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from nksmesh.commands.plan import ChartMove, PlanResult, TemplateResult
from nksmesh.domain.charts.lock import public_source
from nksmesh.domain.common.findings import Level
from nksmesh.domain.plan.plan import Action, Plan
from nksmesh.report.common import mesh_title, show_diff, show_steps
from nksmesh.report.layout import FAINT, facts, gap, rows, sentence, warnings
from nksmesh.report.text import renders
from nksmesh.report.values import show_layers


@renders(PlanResult)
def _plan_result(result: PlanResult, console: Console, verbose: bool) -> None:
    show_plan(result.plan, console, verbose=verbose)
    if result.road is not None and len(result.road.hops) > 1:
        gap(console)
        sentence(console, f"upgrade takes {len(result.road.hops)} steps to get there, with --step or --all:")
        for line in result.road.told():
            sentence(console, line)
    if result.charts:
        gap(console)
        headers = ["release", "chart", "installed", "wanted", *(["digest"] if verbose else []), "charts.lock"]
        rows(console, headers, [_chart(move, verbose=verbose) for move in result.charts])
    for change in result.diff or ():
        gap(console)
        console.print(Text(f"{change.change} {change.ref}", style="bold"))
        show_diff(change.lines, console)
    if result.diff == ():
        gap(console)
        sentence(console, "No manifest differs.")


def _chart(move: ChartMove, *, verbose: bool) -> tuple[str, ...]:
    digest = (move.digest,) if verbose else ()
    pin = "pinned" if move.pinned else "not pinned"
    return move.release, move.chart, move.installed or "-", move.wanted, *digest, pin


@renders(TemplateResult)
def _template(result: TemplateResult, _console: Console, _verbose: bool) -> str:
    return result.manifests


def show_plan(plan: Plan, console: Console, *, verbose: bool) -> None:
    """Lay a plan out: what it is for, its steps with their reasons, what is not right."""
    sentence(console, plan_title(plan), "bold")
    show_resolved(plan, console)
    gap(console)
    show_steps(plan.steps, console)
    for crd in plan.crds:
        if crd.differs and crd.taken_from:
            sentence(console, f"CRD {crd.name}: takes ownership of fields from {', '.join(crd.taken_from)}")
    gap(console)
    changing = sum(step.changes for step in plan.steps)
    many = "changes" if changing == 1 else "change"
    sentence(console, f"{changing} of {len(plan.steps)} steps {many} something." if changing else "Nothing to change.")
    if plan.unwanted:
        names = ", ".join(release.name for release in plan.unwanted)
        removed = any(step.action is Action.REMOVE for step in plan.steps)
        sentence(console, f"No longer in the mesh: {names}" + ("" if removed else " (--prune removes it)"))
    warnings(console, (str(finding) for finding in plan.findings if finding.level is not Level.NOTE))
    if verbose:
        for finding in plan.findings:
            if finding.level is Level.NOTE:
                sentence(console, str(finding), FAINT)
        for name, change in plan.releases.items():
            gap(console)
            sentence(console, f"values of {name}", "bold")
            show_layers(change.composed, console)


def plan_title(plan: Plan) -> str:
    """Name what a plan is for: version, profile, region and Kubernetes."""
    return mesh_title(plan.mesh) + (f" on Kubernetes {plan.kubernetes}" if plan.kubernetes else "")


def show_resolved(plan: Plan, console: Console) -> None:
    """Lay out what a mesh was resolved to, and how."""
    mesh = plan.mesh
    facts(
        console,
        [
            ("hub", mesh.hub),
            ("charts", public_source(mesh.chart_source)),
            ("namespace", mesh.namespace),
            ("environment", mesh.environment),
        ],
    )
    for note in plan.notes:
        sentence(console, note, FAINT)
