"""How ``nksmesh registry`` looks."""

from __future__ import annotations

from rich.console import Console

from nksmesh.commands.registry import LoggedIn, LoggedOut
from nksmesh.report.layout import GOOD, sentence
from nksmesh.report.text import renders


@renders(LoggedIn)
def _logged_in(result: LoggedIn, console: Console, _verbose: bool) -> None:
    proved = "took the login" if result.proved else "was not asked whether it takes the login"
    sentence(console, f"{result.host} {proved} of {result.username}", GOOD if result.proved else "")
    sentence(console, f"stored in {result.stored_in}")
    if result.ncr:
        sentence(console, "For the pull secret of a cluster, use the key of a Service Viewer: it may pull, not push.")


@renders(LoggedOut)
def _logged_out(result: LoggedOut, console: Console, _verbose: bool) -> None:
    where = " and ".join(result.removed_from)
    sentence(console, f"removed the login for {result.host} from {where}" if where else f"no login for {result.host}")
