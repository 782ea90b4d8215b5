"""Push small images, of a few hundred bytes, under the names that are read from stdin: what a demonstration mirrors.

Istio's own images have hundreds of megabytes and need Docker Hub. Each image here is an index with one for
linux/amd64 and one for linux/arm64, as Istio's are; nothing could run in it. The login is Docker's (DOCKER_CONFIG).
"""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import sys
from collections.abc import AsyncGenerator
from dataclasses import replace
from hashlib import sha256
from typing import Any, Final

from nksmesh.adapters.registry.credentials import Credentials
from nksmesh.adapters.registry.registries import Registries
from nksmesh.domain.images.manifest import Descriptor, Manifest
from nksmesh.domain.images.reference import Reference, parse_reference

_OCI: Final = "application/vnd.oci.image"
_PROCESSORS: Final = ("amd64", "arm64")


async def push(image: Reference, registries: Registries) -> None:
    """Push one image: the two that its index lists first, as a registry demands."""
    login = await registries.login(image)
    registry = registries.at(image, login)

    async def blob(content: bytes, kind: str) -> dict[str, Any]:
        async def whole() -> AsyncGenerator[bytes, None]:
            yield content

        digest = f"sha256:{sha256(content).hexdigest()}"
        await registry.push(image, Descriptor(digest=digest, size=len(content)), whole)
        return {"mediaType": f"{_OCI}.{kind}", "digest": digest, "size": len(content)}

    async def manifest(kind: str, at: Reference | None, **body: Any) -> dict[str, Any]:
        media_type = f"{_OCI}.{kind}.v1+json"
        content = json.dumps({"schemaVersion": 2, "mediaType": media_type, **body}).encode()
        written = Manifest(content=content, media_type=media_type)
        await registry.write(at or replace(image, tag="", digest=written.digest), written)
        return {"mediaType": media_type, "digest": written.digest, "size": len(content)}

    manifests = []
    for processor in _PROCESSORS:
        layer = await blob(gzip.compress(f"{image} for {processor}".encode(), mtime=0), "layer.v1.tar+gzip")
        config = await blob(json.dumps({"os": "linux", "architecture": processor}).encode(), "config.v1+json")
        found = await manifest("manifest", None, config=config, layers=[layer])
        manifests.append({**found, "platform": {"os": "linux", "architecture": processor}})
    await manifest("index", image, manifests=manifests)


async def main() -> None:
    """Push an image for each line of stdin."""
    names = [line.strip() for line in sys.stdin if line.strip()]
    async with Registries(os.environ, Credentials(os.environ)) as registries:
        await asyncio.gather(*(push(parse_reference(name), registries) for name in names))
    sys.stdout.write(f"{len(names)} small images pushed\n")


if __name__ == "__main__":
    asyncio.run(main())
