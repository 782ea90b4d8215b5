"""How ``nksmesh traffic`` looks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rich.console import Console
from rich.text import Text

from nksmesh.commands.traffic.change import TrafficPlan, TrafficResult
from nksmesh.commands.traffic.recipes import RecipeList
from nksmesh.commands.traffic.show import LiveSplit, TrafficShown
from nksmesh.domain.common.data import data_of
from nksmesh.domain.common.findings import Level, warnings_of
from nksmesh.domain.common.spelling import counted
from nksmesh.domain.traffic.recipes import Recipe
from nksmesh.domain.traffic.split import Interval, VersionSplit
from nksmesh.report.common import show_diff, show_outcomes
from nksmesh.report.documents import yaml_text
from nksmesh.report.layout import BAD, FAINT, GOOD, facts, gap, rows, sentence, warnings
from nksmesh.report.text import renders

_MOST_CALLERS: Final = 10


@renders(RecipeList)
def _recipes(result: RecipeList, console: Console, _verbose: bool) -> None:
    if result.one:
        _recipe(result.recipes[0], console)
        return
    rows(console, ["recipe", "what it does"], [(recipe.name, recipe.title) for recipe in result.recipes])
    gap(console)
    sentence(console, "Run nksmesh traffic recipes RECIPE to see its parameters.", FAINT)
    sentence(console, "TCP, gRPC and WebSocket need no recipe: proxies pass them on.", FAINT)


def _recipe(recipe: Recipe, console: Console) -> None:
    sentence(console, recipe.title, "bold")
    facts(
        console,
        [
            ("for", "a Service, or a namespace ('*')" if recipe.of_namespace else "a Service"),
            ("needs", ", ".join(recipe.needs)),
            ("effect", recipe.effect),
            ("follows", recipe.follows),
        ],
    )
    gap(console)
    rows(
        console,
        ["parameter", "value", "default", "what it is"],
        [
            (
                parameter.name,
                parameter.bounds or parameter.kind.value,
                Text("required", style=BAD) if parameter.required else parameter.default or "",
                parameter.description + (f" Example: {parameter.example}" if parameter.example else ""),
            )
            for parameter in recipe.parameters
        ],
    )


@renders(TrafficPlan)
def _plan(plan: TrafficPlan, console: Console, verbose: bool) -> None:
    """Show what is to be written, before the question."""
    for change in plan.diff:
        console.print(Text(f"{change.change} {change.ref}", style="bold"))
        show_diff(change.lines, console)
        gap(console)
    warnings(console, warnings_of(plan.findings))
    _notes(plan, console, verbose=verbose)


@renders(TrafficResult)
def _result(result: TrafficResult, console: Console, verbose: bool) -> str | None:
    plan = result.plan
    if not plan.write or plan.refused:
        return _document(plan)
    if not result.agreed:
        sentence(console, "Nothing was written.", FAINT)
    elif not plan.steps:
        sentence(console, f"{plan.subject} is already as you asked: nothing was written.", GOOD)
    else:
        show_outcomes(result.progress.outcomes, console)
        _notes(plan, console, verbose=verbose)
        for effect in plan.effects:
            sentence(console, effect)
    return None


def _notes(plan: TrafficPlan, console: Console, *, verbose: bool) -> None:
    for finding in plan.findings:
        if verbose and finding.level is Level.NOTE:
            sentence(console, str(finding), FAINT)


def _document(plan: TrafficPlan) -> str:
    """Write the objects as YAML documents, and as comments what a reader of the repository should know."""
    lines = [f"# {plan.subject}: {entry}" for entry in plan.recipes]
    lines += [f"# Effect: {effect}" for effect in plan.effects]
    lines += [f"# Remove from the repository: {ref}" for ref in plan.removed]
    if not plan.recipes and not plan.removed:
        lines.append(f"# {plan.subject}: no recipe is applied")
    return "".join(f"{line}\n" for line in lines) + "".join(
        f"---\n{yaml_text(data_of(manifest))}" for manifest in plan.objects
    )


@renders(TrafficShown)
def _shown(result: TrafficShown, console: Console, _verbose: bool) -> None:
    if not result.services:
        sentence(console, f"No recipe is applied in namespace {result.namespace}.")
    for service in result.services:
        sentence(console, f"{result.namespace}/{service.service}", "bold")
        facts(
            console,
            [
                ("recipes", "\n".join(map(str, service.recipes)) or "none"),
                ("objects", "\n".join(map(str, service.objects))),
                (
                    "versions",
                    ", ".join(f"{version.name} ({version.ready}/{version.pods} ready)" for version in service.versions),
                ),
            ],
        )
    if result.live is not None:
        gap(console)
        _live(result.live, console)


def _live(live: LiveSplit, console: Console) -> None:
    callers = f"{len(live.callers)} of {counted(live.proxies, 'proxy', 'proxies')} sent requests"
    sentence(console, f"{counted(live.requests, 'request')} in {live.seconds:g} s; {callers}", "bold")
    if not live.requests:
        sentence(console, "Nothing was sent to this Service, so there is no split to show.")
        return
    rows(
        console,
        ["version", "requests", "share", "95 % interval", "weight", "errors", "rate", "95 % interval"],
        [_version(version) for version in live.versions],
    )
    gap(console)
    busiest = sorted(live.callers, key=lambda caller: -caller.requests)
    rows(
        console,
        ["caller", "requests", "errors"],
        [
            (f"{caller.namespace}/{caller.pod}", str(caller.requests), str(caller.errors))
            for caller in busiest[:_MOST_CALLERS]
        ],
    )
    if len(busiest) > _MOST_CALLERS:
        sentence(console, f"and {len(busiest) - _MOST_CALLERS} more", FAINT)


def _version(row: VersionSplit) -> Sequence[Text | str]:
    weight = "" if row.wanted is None else f"{row.wanted} %"
    style = "" if row.as_wanted is None else GOOD if row.as_wanted else BAD
    return (
        row.version or "(none)",
        str(row.requests),
        _percent(row.part.share),
        _spread(row.part),
        Text(weight, style=style),
        str(row.errors),
        _percent(row.error_rate.share) if row.requests else "",
        _spread(row.error_rate) if row.requests else "",
    )


def _spread(interval: Interval) -> str:
    return f"{100 * interval.low:.1f}-{_percent(interval.high)}"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
