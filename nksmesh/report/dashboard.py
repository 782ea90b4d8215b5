"""How ``nksmesh dashboard`` looks when it has ended."""

from __future__ import annotations

from rich.console import Console

from nksmesh.commands.dashboard import DashboardClosed
from nksmesh.domain.common.spelling import counted
from nksmesh.report.layout import sentence
from nksmesh.report.text import renders


@renders(DashboardClosed)
def _closed(result: DashboardClosed, console: Console, _verbose: bool) -> None:
    pods = f", into {counted(len(result.pods), 'pod')}: {', '.join(result.pods)}" if result.pods else ""
    sentence(
        console,
        f"{result.url} is closed. It led {counted(result.connections, 'connection')} to Service "
        f"{result.namespace}/{result.service}{pods}",
    )
