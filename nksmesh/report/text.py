"""Results as people read them: one renderer a result, found by the result's type.

The report modules of the commands hold them. A module is imported when a result of its command is shown, and no
other: rich and the tables of one command are nothing to another.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from nksmesh.domain.common.data import data_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Console

R = TypeVar("R")
R_contra = TypeVar("R_contra", contravariant=True)


class Renderer(Protocol[R_contra]):
    """Lays a result out on a console; what it returns goes out behind that as it is (manifests)."""

    def __call__(self, result: R_contra, console: Console, verbose: bool, /) -> str | None:
        """Lay the result out."""


class Renderers:
    """The renderers of a report module, by the type of the result that each lays out."""

    def __init__(self) -> None:
        self.by_type: dict[type, Renderer[Any]] = {}

    def of(self, kind: type[R]) -> Callable[[Renderer[R]], Renderer[R]]:
        """Register a function as the renderer of a type; a function for another type does not pass mypy."""

        def register(renderer: Renderer[R]) -> Renderer[R]:
            self.by_type[kind] = renderer
            return renderer

        return register


def show(result: object, console: Console, *, verbose: bool = False) -> str:
    """Lay a result out on a console.

    Returns:
        A document that must go out as it is (manifests), beside what is on the console.
    """
    kind = type(result)
    return renderers_of(kind).by_type.get(kind, _keys)(result, console, verbose) or ""


def _keys(result: Any, console: Console, verbose: bool) -> None:
    """Lay out a result that has no renderer of its own: its data, key by key."""
    del verbose
    for key, value in data_of(result).items():
        console.print(f"{key}: {value}", soft_wrap=True)


def renderers_of(kind: type) -> Renderers:  # noqa: C901, PLR0912 - a table of imports that mypy reads
    """Import the renderers of the command (or of the sandbox) that a result's type is from; none for an unknown one."""
    _, floor, command, *_ = (*kind.__module__.split("."), "", "")
    match command if floor == "commands" else floor:
        case "adopt":
            from nksmesh.report.adopt import RENDERERS
        case "canary":
            from nksmesh.report.canary import RENDERERS
        case "catalog":
            from nksmesh.report.catalog import RENDERERS
        case "charts":
            from nksmesh.report.charts import RENDERERS
        case "drift":
            from nksmesh.report.drift import RENDERERS
        case "env":
            from nksmesh.report.env import RENDERERS
        case "history":
            from nksmesh.report.history import RENDERERS
        case "install":
            from nksmesh.report.install import RENDERERS
        case "plan":
            from nksmesh.report.plan import RENDERERS
        case "repair":
            from nksmesh.report.repair import RENDERERS
        case "rollback":
            from nksmesh.report.rollback import RENDERERS
        case "sandbox":
            from nksmesh.report.sandbox import RENDERERS
        case "status":
            from nksmesh.report.status import RENDERERS
        case "tag":
            from nksmesh.report.tag import RENDERERS
        case "uninstall":
            from nksmesh.report.uninstall import RENDERERS
        case "upgrade":
            from nksmesh.report.upgrade import RENDERERS
        case "values":
            from nksmesh.report.values import RENDERERS
        case _:
            return Renderers()
    return RENDERERS
