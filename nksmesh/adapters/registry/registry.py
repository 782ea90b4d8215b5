"""One registry: what it has under an image's name, and what is put there.

The protocol is the OCI distribution specification 1.1; how real servers differ from it was tried against distribution
2.8 and 3.1.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING, Final

from nksmesh.adapters.registry.blobs import Blobs
from nksmesh.adapters.registry.requests import Requests, Stream
from nksmesh.domain.common.errors import ImageError
from nksmesh.domain.images.login import Login
from nksmesh.domain.images.manifest import INDEXES, MANIFESTS, Descriptor, FoundManifest, Manifest, platforms_of
from nksmesh.domain.images.reference import Reference

if TYPE_CHECKING:
    import httpx

ACCEPT: Final = ", ".join(sorted(INDEXES | MANIFESTS))
"""All four, always: distribution 2.8 answers an index with 404, or with another digest, where one is left out."""

_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}")


class Registry:
    """A registry and one login to it.

    Args:
        server: Where its API is: a host, with a port where it is not HTTPS's own.
        plain: It speaks HTTP. One on this machine may do so without being told, as Docker treats them.
        turns: Bounds how many requests that move no blob are under way.
    """

    def __init__(
        self,
        http: httpx.AsyncClient,
        server: str,
        login: Login | None,
        *,
        plain: bool = False,
        turns: asyncio.Semaphore | None = None,
    ) -> None:
        self._requests = Requests(http, server, login, plain=plain, turns=turns)
        self._transport = self._requests.transport
        self._blobs = Blobs(self._requests)

    async def prove_login(self) -> bool:
        """Try the login; tell whether the registry asked for one at all.

        Raises:
            DeniedImageError: The registry, or its token service, refuses the login.
            ImageError: The registry cannot be reached.
        """
        answer = await self._requests.send("GET", "/v2/", "", {})
        if not answer.is_success:
            raise self._transport.failure(answer, self._transport.server, to="log in")
        return self._requests.logged_in

    async def find(self, image: Reference) -> FoundManifest:
        """Look for an image: HEAD first, which Docker Hub does not count, then the index by its digest.

        Raises:
            MissingImageError: There is no such image.
            DeniedImageError: The registry refuses this login, or wants one.
            ImageError: The registry cannot be reached, or answers nonsense.
        """
        said, media_type = await self._head(image)
        if said and media_type in MANIFESTS:
            return FoundManifest(digest=said, media_type=media_type)
        manifest = await self._get(image, said)
        try:
            platforms = platforms_of(manifest.content) if manifest.media_type in INDEXES else ()
        except ValueError as error:
            raise ImageError(
                f"{image}: the registry's answer is not an index: {error}", hint="Push the image again."
            ) from error
        return FoundManifest(digest=manifest.digest, media_type=manifest.media_type, platforms=platforms)

    async def digest(self, image: Reference) -> str:
        """Return the digest of what an image's name stands for, by a HEAD where the registry tells it there.

        Raises:
            ImageError: As ``find`` says.
        """
        said, _ = await self._head(image)
        return said or (await self._get(image)).digest

    async def read(self, image: Reference) -> Manifest:
        """Read what an image's name stands for: the bytes as they are stored.

        Raises:
            ImageError: As ``find`` says.
        """
        return await self._get(image)

    async def write(self, image: Reference, manifest: Manifest) -> None:
        """Put a manifest under an image's name; what it consists of has to be there.

        Raises:
            DeniedImageError: This login may not push there.
            ImageError: The registry cannot be reached, or does not take it.
        """
        path, scope = f"/v2/{image.repository}/manifests/{image.at}", f"repository:{image.repository}:pull,push"
        headers = {"Content-Type": manifest.media_type}
        answer = await self._requests.send("PUT", path, scope, headers, content=manifest.content)
        if not answer.is_success:
            raise self._transport.failure(answer, str(image), to="push")
        _check_digest(image, answer.headers.get("docker-content-digest") or manifest.digest, asked_for=manifest.digest)

    async def has(self, image: Reference, blob: Descriptor) -> bool:
        """Tell whether an image's repository has a blob; a DeniedImageError says that this login may not ask.

        Raises:
            ImageError: The registry cannot be reached, or refuses.
        """
        return await self._blobs.has(image, blob)

    def pull(self, image: Reference, blob: Descriptor, begun: int = 0) -> AsyncGenerator[bytes, None]:
        """Read a blob of an image's repository, as ``Blobs.pull`` does."""
        return self._blobs.pull(image, blob, begun)

    async def push(
        self,
        image: Reference,
        blob: Descriptor,
        content: Stream,
        *,
        mount_from: str = "",
    ) -> bool:
        """Write a blob into an image's repository, as ``Blobs.push`` does."""
        return await self._blobs.push(image, blob, content, mount_from=mount_from)

    async def _head(self, image: Reference) -> tuple[str, str]:
        """Ask for digest and media type; the digest is empty where the registry does not tell it."""
        answer = await self._manifest("HEAD", image, image.at)
        said = answer.headers.get("docker-content-digest", "")
        said = said if _DIGEST.fullmatch(said) else ""
        if said:
            _check_digest(image, said, asked_for=image.digest)
        return said, _media_type(answer)

    async def _get(self, image: Reference, said: str = "") -> Manifest:
        answer = await self._manifest("GET", image, said or image.at)
        manifest = Manifest(content=answer.content, media_type=_media_type(answer))
        _check_digest(image, manifest.digest, asked_for=image.digest, said=said)
        if manifest.media_type not in INDEXES | MANIFESTS:
            raise ImageError(
                f"{image}: the registry's answer is not an image but {manifest.media_type or 'of no media type'}",
                hint="Check that this is the address of a registry, and that no sign-in page stands before it.",
            )
        return manifest

    async def _manifest(self, method: str, image: Reference, at: str) -> httpx.Response:
        path = f"/v2/{image.repository}/manifests/{at}"
        scope = f"repository:{image.repository}:pull"
        headers = {"Accept": ACCEPT, "Accept-Encoding": "identity"}  # a digest is that of the bytes as they are stored
        answer = await self._requests.send(method, path, scope, headers)
        if answer.is_success:
            return answer
        if method == "HEAD":  # its error has no words
            answer = await self._requests.send("GET", path, scope, headers)
            if answer.is_success:
                return answer
        raise self._transport.failure(answer, str(image))


def _check_digest(image: Reference, found: str, *, asked_for: str, said: str = "") -> None:
    for expected, whose in ((asked_for, "was asked for"), (said, "it says")):
        if expected not in {"", found}:
            raise ImageError(
                f"{image}: the registry's answer has another digest than {whose}",
                hint="Ask whoever runs the registry: what it stores may be damaged.",
                detail=f"{whose}: {expected}\nit is: {found}",
            )


def _media_type(answer: httpx.Response) -> str:
    return str(answer.headers.get("content-type", "")).partition(";")[0].strip()
