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
    "nksmesh.workflows.adoption.adopt": "nksmesh.report.adopt",
    "nksmesh.workflows.canaries.start": "nksmesh.report.canary",
    "nksmesh.workflows.canaries.status": "nksmesh.report.canary",
    "nksmesh.workflows.catalog": "nksmesh.report.catalog",
    "nksmesh.workflows.charts": "nksmesh.report.charts",
    "nksmesh.workflows.drift.drift": "nksmesh.report.drift",
    "nksmesh.workflows.environments": "nksmesh.report.environments",
    "nksmesh.workflows.runs.history": "nksmesh.report.history",
    "nksmesh.workflows.install": "nksmesh.report.mesh",
    "nksmesh.workflows.canaries.moving": "nksmesh.report.canary",
    "nksmesh.workflows.preview": "nksmesh.report.mesh",
    "nksmesh.workflows.canaries.ending": "nksmesh.report.canary",
    "nksmesh.workflows.drift.repair": "nksmesh.report.drift",
    "nksmesh.workflows.rollbacks.rollback": "nksmesh.report.history",
    "nksmesh.workflows.rollbacks.plan": "nksmesh.report.history",
    "nksmesh.workflows.status": "nksmesh.report.status",
    "nksmesh.workflows.adoption.takeover": "nksmesh.report.adopt",
    "nksmesh.workflows.canaries.tags": "nksmesh.report.canary",
    "nksmesh.workflows.upgrades.upgrade": "nksmesh.report.upgrade",
    "nksmesh.workflows.removal.uninstall": "nksmesh.report.uninstall",
    "nksmesh.workflows.removal.plan": "nksmesh.report.uninstall",
    "nksmesh.workflows.values": "nksmesh.report.values",
    "nksmesh.sandbox.commands": "nksmesh.report.sandbox",
    "nksmesh.sandbox.failures": "nksmesh.report.sandbox",
    "nksmesh.sandbox.results": "nksmesh.report.sandbox",
}
"""The module of a result's type, and the module that knows how it looks."""


def show(result: object, console: Console, *, verbose: bool = False) -> str:
    """Lay a result out on a console.

    Args:
        result: What a workflow returned.
        console: Where it is laid out.
        verbose: Show what ``-v`` adds.

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
