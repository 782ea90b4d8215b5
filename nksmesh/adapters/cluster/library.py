"""aiohttp, and what is used of the Kubernetes client over it: its settings and its REST client.

Every module here takes them from this one. The client's own ApiClient and its reader of kubeconfigs are left alone:
they import pydantic and the models of its answers, which takes an eighth of the processor time of a ``status``.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager

from nksmesh.adapters.bare_packages import import_from_bare


@contextmanager
def _without_default_authorities() -> Iterator[None]:
    """Have no certificate authority of the system read.

    aiohttp makes a context for servers at large when it is imported, and reads every authority for it, in 50 ms. Only
    API servers are spoken to through it, each with the authority of its kubeconfig; whoever asked aiohttp for another
    server would be refused, for a context without authorities trusts none.
    """
    load = ssl.SSLContext.load_default_certs
    ssl.SSLContext.load_default_certs = lambda *_args, **_kwargs: None  # type: ignore[method-assign]  # put back below
    try:
        yield
    finally:
        ssl.SSLContext.load_default_certs = load  # type: ignore[method-assign]  # as it was


with _without_default_authorities():
    import aiohttp

configuration, rest = import_from_bare(
    ("kubernetes", "kubernetes.aio"), "kubernetes.aio.client.configuration", "kubernetes.aio.client.rest"
)

__all__ = ["aiohttp", "configuration", "rest"]
