"""Look for images, and print the seconds that it took: ``looking.py at-once|in-turn IMAGE...``.

A process of its own: its interpreter shares nothing with the servers of the bench.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time

from nksmesh.adapters.registry.credentials import Credentials
from nksmesh.adapters.registry.registries import Registries
from nksmesh.domain.images.reference import parse_reference


async def look(names: list[str], *, at_once: bool) -> float:
    """Look for each image, and return the seconds."""
    images = [parse_reference(name) for name in names]
    async with Registries(os.environ, Credentials({})) as registries:
        began = time.monotonic()
        if at_once:
            await asyncio.gather(*(registries.find(image, None) for image in images))
        else:
            for image in images:
                await registries.find(image, None)
        return time.monotonic() - began


if __name__ == "__main__":
    print(asyncio.run(look(sys.argv[2:], at_once=sys.argv[1] == "at-once")))
