"""The Kubernetes client's asyncio half, imported without what is not used of it."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

from nksmesh.adapters.bare_packages import import_from_bare


def load() -> tuple[ModuleType, ModuleType]:
    """Return ``kubernetes.aio.config`` and ``kubernetes.aio.client``."""
    with _without_default_authorities():
        import aiohttp  # noqa: F401, PLC0415 - what the client speaks HTTP with
    config, client = import_from_bare(
        ("kubernetes", "kubernetes.aio"), "kubernetes.aio.config", "kubernetes.aio.client"
    )
    return config, client


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
