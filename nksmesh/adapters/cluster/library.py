"""The Kubernetes client's asyncio half, imported without the rest of its package.

``kubernetes/__init__.py`` imports the synchronous client, the dynamic one, exec streams and leader election, with
requests, urllib3, OAuth and websockets below them: a third of this import's time, for nothing that is used here.
"""

from __future__ import annotations

import importlib
import importlib.util
import ssl
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Final

_PACKAGES: Final = ("kubernetes", "kubernetes.aio")


def load() -> tuple[ModuleType, ModuleType]:
    """Return ``kubernetes.aio.config`` and ``kubernetes.aio.client``."""
    opened = [name for name in _PACKAGES if name not in sys.modules and _open(name)]
    try:
        with _without_default_authorities():
            import aiohttp  # noqa: F401, PLC0415 - what the client speaks HTTP with
        return importlib.import_module("kubernetes.aio.config"), importlib.import_module("kubernetes.aio.client")
    except (ImportError, AttributeError):
        if not opened:
            raise
        # A version that is cut otherwise: its packages as they are meant to be imported.
        for name in [name for name in sys.modules if name.partition(".")[0] == "kubernetes"]:
            del sys.modules[name]
        return importlib.import_module("kubernetes.aio.config"), importlib.import_module("kubernetes.aio.client")


@contextmanager
def _without_default_authorities() -> Iterator[None]:
    """Have no certificate authority of the system read.

    aiohttp makes a context for servers at large when it is imported, and reads every authority for it, in 45 ms. Only
    API servers are spoken to through it, each with the authority of its kubeconfig; whoever asked aiohttp for another
    server would be refused, for a context without authorities trusts none.
    """
    load = ssl.SSLContext.load_default_certs
    ssl.SSLContext.load_default_certs = lambda *_args, **_kwargs: None  # type: ignore[method-assign]  # put back below
    try:
        yield
    finally:
        ssl.SSLContext.load_default_certs = load  # type: ignore[method-assign]  # as it was


def _open(name: str) -> bool:
    """Make a package's modules importable without running its ``__init__``; False where it cannot be found."""
    spec = importlib.util.find_spec(name)
    if spec is None or spec.submodule_search_locations is None:
        return False
    bare = ModuleSpec(name, None, is_package=True)
    bare.submodule_search_locations = spec.submodule_search_locations
    module = importlib.util.module_from_spec(bare)
    sys.modules[name] = module
    return True
