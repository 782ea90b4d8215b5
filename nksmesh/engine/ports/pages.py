"""Web pages, asked for as a user's browser would: the port."""

from __future__ import annotations

from typing import Protocol

from nksmesh.domain.gateways.answers import Answer


class Pages(Protocol):
    """What asks web servers."""

    async def ask(self, url: str, *, host: str = "") -> Answer:
        """Ask for a page, by another host name than the URL's where one is given."""
