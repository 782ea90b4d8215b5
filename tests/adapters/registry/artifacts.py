"""A server that has one artifact, as oras pushes it: whatever its files are, it does not look into them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

from tests.adapters.registry.faulty import Answer, Asked, digest_of, failure, faulty
from tests.adapters.registry.servers import MANIFEST


def answers(files: dict[str, bytes], asked: Asked) -> Answer:
    """Answer as a registry that has one artifact, whatever its name."""
    layers = [
        {"digest": digest_of(content), "size": len(content), "annotations": {"org.opencontainers.image.title": name}}
        for name, content in files.items()
    ]
    body = json.dumps({"schemaVersion": 2, "config": {"digest": digest_of(b"{}"), "size": 2}, "layers": layers})
    blobs = {digest_of(content): content for content in files.values()}
    if "/manifests/" in asked.path:
        return Answer(200, body.encode(), {"Content-Type": MANIFEST, "docker-content-digest": digest_of(body.encode())})
    content = blobs.get(asked.path.rpartition("/")[2])
    return failure(404, "BLOB_UNKNOWN", "no such blob") if content is None else Answer(200, content)


@contextmanager
def artifact(files: dict[str, bytes]) -> Iterator[str]:
    """Serve an artifact with files; it is not looked into."""
    with faulty(lambda asked: answers(files, asked)) as server:
        yield server.host
