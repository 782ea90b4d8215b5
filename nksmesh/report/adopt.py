"""How ``nksmesh adopt`` looks."""

from __future__ import annotations

from typing import Final

from rich.console import Console
from rich.text import Text

from nksmesh.commands.adopt.adopt import AdoptResult
from nksmesh.commands.adopt.description import AdoptedRelease
from nksmesh.commands.adopt.from_istioctl import TakeoverResult
from nksmesh.commands.adopt.istioctl_settings import FormerValues
from nksmesh.domain.adoption.takeover import TakenObject
from nksmesh.domain.common.spelling import counted
from nksmesh.domain.mesh.mesh import Mesh
from nksmesh.report.common import mesh_title, show_addresses
from nksmesh.report.layout import DOUBTFUL, FAINT, GOOD, facts, gap, rows, sentence, warnings
from nksmesh.report.text import renders

_SHOWN_CHANGES: Final = 3


@renders(AdoptResult)
def _adopted(result: AdoptResult, console: Console, verbose: bool) -> None:
    plan = result.plan
    _mesh(plan.mesh, console)
    if plan.releases:
        gap(console)
        headers = ["release", "component", "namespace", "chart", "own values", "pinned"]
        rows(console, headers, [_row(row) for row in plan.releases])
    if verbose:
        for row in plan.releases:
            for key in row.kept_keys:
                sentence(console, f"{row.release.name}: {key}", FAINT)
    gap(console)
    for note in plan.notes:
        sentence(console, note, FAINT)
    if not result.agreed:
        sentence(console, f"Not confirmed: nothing was {'written' if plan.recorded else 'recorded'}.")
    elif result.dry_run:
        sentence(console, "This would be recorded; nothing was changed." if not plan.recorded else "Nothing to record.")
    elif not plan.recorded:
        console.print(Text("Recorded: nksmesh now manages this mesh. Nothing else in the cluster was changed.", GOOD))
    for name in result.files:
        sentence(console, f"written: {result.folder}/{name}")
    warnings(console, plan.warnings)


def _row(row: AdoptedRelease) -> list[str | Text]:
    kept = len(row.kept_keys)
    return [
        row.release.name,
        row.release.component,
        row.release.namespace,
        row.installed.chart_version,
        str(kept) if kept else Text("-", style=FAINT),
        ", ".join(row.kept.pins) or Text("-", style=FAINT),
    ]


@renders(TakeoverResult)
def _taken_over(result: TakeoverResult, console: Console, verbose: bool) -> None:
    plan = result.plan
    _mesh(plan.plan.mesh, console)
    _values(plan.values, console)
    if result.dry_run or verbose:
        _objects(result, console, verbose=verbose)
    if not result.agreed:
        sentence(console, "Not confirmed: nothing was taken over.")
    elif plan.empty:
        sentence(console, "Nothing to take over.")
    elif not result.dry_run:
        console.print(Text("Taken over: plain Helm releases, installed and ready.", GOOD))
    show_addresses(result.progress.addresses, console)
    for removed in result.removed:
        sentence(console, f"removed: {removed}")
    left = [ref for ref in plan.orphans if str(ref) not in result.removed]
    if left:
        gap(console)
        goes = plan.prune and result.dry_run
        words = "removed at the end" if goes else "stays; --prune removes it"
        sentence(console, f"leftovers of istioctl that belong to no release ({words}):")
        for ref in left:
            sentence(console, f"  {ref}")
    warnings(console, result.warnings)


def _mesh(mesh: Mesh, console: Console) -> None:
    sentence(console, mesh_title(mesh), "bold")
    facts(console, [("hub", mesh.hub), ("namespace", mesh.namespace)])


def _values(values: FormerValues, console: Console) -> None:
    """Show which values keep the mesh what it was, and what istioctl was told that none stands for."""
    for name, keys in values.kept.items():
        sentence(console, f"kept unchanged: {name}: {', '.join(keys)}")
    for name, keys in values.carried.items():
        sentence(console, f"carried over from istioctl's settings: {name}: {', '.join(keys)}")
    for setting, why in values.left.items():
        console.print(Text("not carried over: ", DOUBTFUL) + Text(f"{setting}: {why}"))
    if values.left:
        sentence(
            console, "  These settings are lost. If the charts have a value for one, set it with -f or --set.", FAINT
        )


def _objects(result: TakeoverResult, console: Console, *, verbose: bool) -> None:
    """Show what is taken, and the plan's steps."""
    plan = result.plan
    gap(console)
    shown = [taken for taken in plan.objects if verbose or _told(taken)]
    for taken in shown:
        _object(taken, console, verbose=verbose)
    if others := len(plan.objects) - len(shown):
        more = "more " if shown else ""
        change = counted(others, f"{more}object changes", f"{more}objects change")
        sentence(console, f"{change} in labels and annotations only (-v lists them)")
    gap(console)
    rows(
        console,
        ["step", "action", "reason"],
        [(step.name, step.action.value, "; ".join(step.reasons)) for step in plan.plan.steps],
    )
    for ref in plan.replaced:
        sentence(console, f"removed at the end, replaced by the release's own: {ref}")
    sentence(
        console,
        "The mesh's CA (istio-ca-secret) and the gateways' Services stay unchanged: the addresses are the same.",
    )


def _told(taken: TakenObject) -> list[str]:
    return [path for path in taken.changes if not path.startswith("metadata.")]


def _object(taken: TakenObject, console: Console, *, verbose: bool) -> None:
    changes = list(taken.changes) if verbose else _told(taken)
    shown = changes if verbose else changes[:_SHOWN_CHANGES]
    more = f" and {len(changes) - len(shown)} more" if len(changes) > len(shown) else ""
    managers = f" ({', '.join(taken.managers)})" if taken.managers else ""
    pods = Text(", its pods are replaced", style=DOUBTFUL) if taken.replaces_pods else Text("")
    if taken.made_anew:
        pods = Text(", is recreated under its name, and its pods are replaced one by one", style=DOUBTFUL)
    console.print(Text(f"{taken.ref}: from {taken.owner}{managers} to {taken.release}") + pods)
    if shown:
        sentence(console, f"  changes: {', '.join(map(_short, shown))}{more}", FAINT)


def _short(path: str) -> str:
    return path.replace("spec.template.spec.", "pod ").replace("spec.template.metadata.", "pod ")
