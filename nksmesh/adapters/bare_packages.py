"""Modules of other people's packages, imported without the ``__init__`` of the package above them.

Such an ``__init__`` imports everything the package has: of pyhelm3 all of pydantic's models for a client that is not
used here, of kubernetes the synchronous client with requests, OAuth and websockets below it. That costs 0.2 s of
processor time each (``bench/bench.py --only startup``).
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Iterable
from importlib.machinery import ModuleSpec
from types import ModuleType


def import_from_bare(packages: Iterable[str], *names: str) -> tuple[ModuleType, ...]:
    """Import modules, without running the ``__init__`` of packages above them that are not imported yet.

    Args:
        packages: The packages, an outer one before those inside of it.
        names: The modules, with their whole names.

    Raises:
        ImportError: A module cannot be imported, also not through packages that are whole.
    """
    opened = [package for package in packages if package not in sys.modules and _open(package)]
    try:
        return tuple(importlib.import_module(name) for name in names)
    except (ImportError, AttributeError):
        if not opened:
            raise
        # A version that is cut otherwise: its packages as they are meant to be imported.
        for name in [name for name in sys.modules if name == opened[0] or name.startswith(f"{opened[0]}.")]:
            del sys.modules[name]
        return tuple(importlib.import_module(name) for name in names)


def _open(package: str) -> bool:
    """Make a package's modules importable without running its ``__init__``; False where it cannot be found."""
    spec = importlib.util.find_spec(package)
    if spec is None or spec.submodule_search_locations is None:
        return False
    bare = ModuleSpec(package, None, is_package=True)
    bare.submodule_search_locations = spec.submodule_search_locations
    sys.modules[package] = importlib.util.module_from_spec(bare)
    return True
