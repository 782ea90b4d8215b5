"""How ``nksmesh upgrade`` looks."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from nksmesh.commands.upgrade.upgrade import UpgradeResult
from nksmesh.domain.common.durations import spoken
from nksmesh.domain.common.spelling import counted
from nksmesh.domain.kube.restarts import Outcome
from nksmesh.report.common import show_addresses
from nksmesh.report.layout import GOOD, gap, rows, sentence, warnings
from nksmesh.report.plan import show_plan, show_resolved
from nksmesh.report.text import renders


@renders(UpgradeResult)
def _upgrade(result: UpgradeResult, console: Console, verbose: bool) -> None:
    if result.dry_run:
        for line in result.road.told() if len(result.road.hops) > 1 else ():
            sentence(console, line)
        show_plan(result.steps[-1].plan, console, verbose=verbose)
        return
    last = result.steps[-1]
    changed = any(step.plan.changes for step in result.steps)
    ending = "upgraded and ready" if changed else "ready, and up to date: nothing was changed"
    moved = f"Istio {result.road.installed} -> {result.version}" if changed else f"Istio {result.version}"
    console.print(Text.assemble((f"{moved}: {ending}", GOOD)))
    show_resolved(last.plan, console)
    if verbose:
        gap(console)
        rows(
            console,
            ["version", "step", "action", "took", "result"],
            [
                (step.plan.mesh.version, row.step.name, row.step.action.value, spoken(row.seconds), row.message)
                for step in result.steps
                for row in step.progress.outcomes
            ],
        )
    show_addresses(last.progress.addresses, console)
    _workloads(result, console)
    if result.left:
        gap(console)
        way = " -> ".join((result.version, *result.left))
        sentence(console, f"Remaining steps: {way} (run the same command again, with --step or --all)")
    warnings(console, (warning for step in result.steps for warning in step.progress.warnings))


def _workloads(result: UpgradeResult, console: Console) -> None:
    if not result.behind:
        return
    gap(console)
    ended = {restart.workload: restart.outcome for restart in result.restarted.restarts} if result.restarted else {}
    rows(
        console,
        ["namespace", "workload", "pods", "proxy before" if ended else "proxy", *(["restart"] if ended else [])],
        [
            (
                workload.namespace,
                f"{workload.kind} {workload.name}",
                str(workload.pods),
                ", ".join(image.rpartition("/")[2] for image in workload.proxies),
                *([ended.get(workload, Outcome.NOT_BEGUN).value] if ended else []),
            )
            for workload in result.behind
        ],
    )
    if not ended:
        many = counted(len(result.behind), "workload runs", "workloads run")
        them = "it" if len(result.behind) == 1 else "them"
        command = f"nksmesh upgrade --to {result.version} --restart-workloads"
        sentence(console, f"{many} another proxy. Restart {them}, or have {them} restarted with {command}")
