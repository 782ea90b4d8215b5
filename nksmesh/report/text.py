"""Results as people read them: one renderer a result, found by the result's type.

A renderer is registered in the module of its command group; RENDERERS names the module for the module a result's
type is from, so that showing one result imports nothing that belongs to another.
"""

from __future__ import annotations

import importlib
from functools import singledispatch
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from rich.console import Console

RENDERERS: Final[dict[str, str]] = {
    "nksmesh.commands.adopt.adopt": "nksmesh.report.adopt",
    "nksmesh.commands.canary.start": "nksmesh.report.canary",
    "nksmesh.commands.canary.status": "nksmesh.report.canary",
    "nksmesh.commands.catalog": "nksmesh.report.catalog",
    "nksmesh.commands.charts": "nksmesh.report.charts",
    "nksmesh.commands.drift.drift": "nksmesh.report.drift",
    "nksmesh.commands.env": "nksmesh.report.environments",
    "nksmesh.engine.runs.history": "nksmesh.report.history",
    "nksmesh.commands.install": "nksmesh.report.mesh",
    "nksmesh.commands.canary.move": "nksmesh.report.canary",
    "nksmesh.commands.plan": "nksmesh.report.mesh",
    "nksmesh.commands.canary.ending": "nksmesh.report.canary",
    "nksmesh.commands.repair.repair": "nksmesh.report.drift",
    "nksmesh.commands.rollback.rollback": "nksmesh.report.history",
    "nksmesh.commands.rollback.plan": "nksmesh.report.history",
    "nksmesh.commands.status": "nksmesh.report.status",
    "nksmesh.commands.adopt.from_istioctl": "nksmesh.report.adopt",
    "nksmesh.commands.tag": "nksmesh.report.canary",
    "nksmesh.commands.upgrade.upgrade": "nksmesh.report.upgrade",
    "nksmesh.commands.uninstall.uninstall": "nksmesh.report.uninstall",
    "nksmesh.commands.uninstall.plan": "nksmesh.report.uninstall",
    "nksmesh.commands.values": "nksmesh.report.values",
    "nksmesh.sandbox.commands": "nksmesh.report.sandbox",
    "nksmesh.sandbox.failures": "nksmesh.report.sandbox",
    "nksmesh.sandbox.results": "nksmesh.report.sandbox",
}
"""The module of a result's type, and the module that knows how it looks."""


def show(result: object, console: Console, *, verbose: bool = False) -> str:
    """Lay a result out on a console.

    Args:
        result: What a workflow returned.

    Returns:
        A document that must go out as it is (manifests), beside what is on the console.
    """
    for kind in type(result).__mro__:
        if kind.__module__ in RENDERERS:
            importlib.import_module(RENDERERS[kind.__module__])
    return render(result, console, verbose) or ""


@singledispatch
def render(result: Any, console: Console, verbose: bool) -> str | None:
    """Lay out a result that has no renderer of its own: its data, key by key."""
    del verbose
    for key, value in result.to_data().items():
        console.print(f"{key}: {value}", soft_wrap=True)
    return None
