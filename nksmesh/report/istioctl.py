"""How ``nksmesh istioctl`` looks."""

from __future__ import annotations

from typing import Final

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from nksmesh.commands.istioctl.fetch import IstioctlFetched
from nksmesh.commands.istioctl.push import IstioctlPushed
from nksmesh.commands.istioctl.reports import IstioctlAnalysis, ProxyStatuses
from nksmesh.domain.common.findings import Finding, Level
from nksmesh.domain.common.spelling import counted
from nksmesh.domain.istioctl.proxies import SYNCED
from nksmesh.report.charts import DIGEST, pin
from nksmesh.report.layout import BAD, DOUBTFUL, FAINT, GOOD, facts, failures, gap, rows, sentence
from nksmesh.report.mirror import facts_of
from nksmesh.report.redaction import redact
from nksmesh.report.text import renders

_STYLES: Final = {Level.FAILURE: BAD, Level.WARNING: DOUBTFUL, Level.NOTE: FAINT}
_INDENT: Final = 10


@renders(IstioctlFetched)
def _fetched(result: IstioctlFetched, console: Console, verbose: bool) -> None:
    was = "is in the cache" if result.fetched else "was in the cache"
    sentence(console, f"istioctl {result.version} for {result.platform} {was}", GOOD)
    facts(
        console,
        [
            ("program", str(result.program)),
            ("samples", str(result.samples or "")),
            ("source", result.source),
            ("digest", result.digest if verbose else result.digest[:DIGEST]),
            ("manifest", result.manifest if verbose else result.manifest[:DIGEST]),
            ("lock", pin(pinned=result.pinned)),
        ],
    )
    gap(console)
    sentence(console, "next: nksmesh istioctl -- version")


@renders(IstioctlPushed)
def _pushed(result: IstioctlPushed, console: Console, _verbose: bool) -> None:
    failed = [finding for finding in result.findings if finding.level is Level.FAILURE]
    sentence(console, f"istioctl {result.version} is in {result.to}", BAD if failed else GOOD)
    gap(console)
    console.print(Text(result.artifact.image, style="bold"), soft_wrap=True)
    console.print(Text(f"  {'; '.join(filter(None, facts_of(result.artifact)))}", style=FAINT), soft_wrap=True)
    for name in result.files:
        console.print(Text(f"  {name}", style=FAINT), soft_wrap=True)
    failures(console, failed)
    if not failed:
        gap(console)
        sentence(console, f"next: {result.next_command}")


@renders(IstioctlAnalysis)
def _analysis(result: IstioctlAnalysis, console: Console, _verbose: bool) -> None:
    for found in result.messages:
        _found(console, found.code, found.finding)
    if result.messages:
        gap(console)
    counts = {level: sum(found.finding.level is level for found in result.messages) for level in Level}
    told = ", ".join(counted(counts[level], level.value) for level in (Level.FAILURE, Level.WARNING, Level.NOTE))
    where = f"in namespace {result.namespace}" if result.namespace else "in all namespaces"
    sentence(console, f"istioctl {result.istioctl} {where}: {told}", BAD if counts[Level.FAILURE] else GOOD)


@renders(ProxyStatuses)
def _proxies(result: ProxyStatuses, console: Console, _verbose: bool) -> None:
    kinds = list(dict.fromkeys(kind for proxy in result.proxies for kind in proxy.types))
    rows(
        console,
        ["proxy", *kinds, "istiod", "version"],
        [
            [proxy.name, *(_state(proxy.types.get(kind, "")) for kind in kinds), proxy.istiod, proxy.version]
            for proxy in result.proxies
        ],
    )
    if result.proxies:
        gap(console)
    for finding in result.findings:
        _found(console, finding.id, finding)
    if result.findings:
        gap(console)
    where = f" in namespace {result.namespace}" if result.namespace else ""
    accepted = len(result.proxies) - len(result.findings)
    proxies = counted(len(result.proxies), "proxy", "proxies")
    sentence(
        console,
        f"{accepted} of {proxies}{where} accepted the configuration of istiod"
        if result.proxies
        else f"no proxy{where} is connected to istiod",
        BAD if result.exit_code else GOOD,
    )


def _found(console: Console, code: str, finding: Finding) -> None:
    """Print a finding: its level and its id, and below them what was found and what to do."""
    console.print(Text.assemble((f"{finding.level.value:{_INDENT}}", _STYLES[finding.level]), (code, "bold")))
    for text in filter(None, (finding.message, finding.hint)):
        console.print(Padding(Text(redact(text)), (0, 0, 0, _INDENT)))


def _state(state: str) -> Text:
    good = state.startswith((SYNCED, "NOT SENT", "IGNORED"))
    return Text(state, style="" if good else BAD if state.startswith("ERROR") else DOUBTFUL)
