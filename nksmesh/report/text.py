"""Results as people read them: one renderer a result, found by the result's type.

Each stands in the report module that is called as its command. A module is imported when a result of its command is
shown, and no other: rich and the tables of one command are nothing to another.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

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


_RENDERERS: Final[dict[type, Renderer[Any]]] = {}


def renders(kind: type[R]) -> Callable[[Renderer[R]], Renderer[R]]:
    """Register a function as the renderer of a type; a function for another type does not pass mypy."""

    def register(renderer: Renderer[R]) -> Renderer[R]:
        _RENDERERS[kind] = renderer
        return renderer

    return register


def show(result: object, console: Console, *, verbose: bool = False) -> str:
    """Lay a result out on a console.

    Returns:
        A document that must go out as it is (manifests), beside what is on the console.
    """
    return renderer_of(type(result))(result, console, verbose) or ""


def _keys(result: Any, console: Console, verbose: bool) -> None:
    """Lay out a result that has no renderer of its own: its data, key by key."""
    del verbose
    for key, value in data_of(result).items():
        console.print(f"{key}: {value}", soft_wrap=True)


def module_of(kind: type) -> str:
    """Name the report module of the command, or of the sandbox, that a result's type is from."""
    _, floor, command, *_ = (*kind.__module__.split("."), "", "")
    return f"nksmesh.report.{command if floor == 'commands' else floor}"


def renderer_of(kind: type) -> Renderer[Any]:
    """Find the renderer of a type; one that has none is laid out key by key."""
    module = module_of(kind)
    try:
        importlib.import_module(module)
    except ModuleNotFoundError as missing:
        if missing.name != module:
            raise
    return _RENDERERS.get(kind, _keys)
