"""Copying images from one registry to another: look first, refuse, move what is missing, and look again."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncGenerator, AsyncIterator, Collection, Coroutine, Iterable, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from typing import Final

from nksmesh.domain.common.errors import DeniedImageError, ImageError, MissingImageError
from nksmesh.domain.common.events import Event, EventKind, Listener
from nksmesh.domain.common.findings import Finding, refuse_failures
from nksmesh.domain.common.spelling import sized
from nksmesh.domain.images.manifest import Descriptor
from nksmesh.domain.images.mirroring import seen_through
from nksmesh.domain.images.reference import Reference
from nksmesh.domain.mesh.ncr import same_registry
from nksmesh.engine.copies import (
    CopyProgress,
    CopyWork,
    MirroredImage,
    MirrorOptions,
    Original,
    Tree,
    no_platform,
    not_found_again,
    other_digest,
    read_tree,
    step_of,
    unverified,
)
from nksmesh.engine.image_lookup import failure_of
from nksmesh.engine.ports import Registries

AT_ONCE: Final = 4
"""Blobs that are moved at the same time."""


async def mirror(
    originals: Sequence[Original], registries: Registries, options: MirrorOptions, *, listener: Listener
) -> tuple[tuple[MirroredImage, ...], tuple[Finding, ...]]:
    """Copy images; what is there is not moved again, and a tag appears when all that it stands for is there.

    Returns:
        Each image as it was left, and what is to be known of them: failures among it, where a copy that was written
        is not found again.

    Raises:
        ConfigError: This machine's logins cannot be read.
        ImageError: Something cannot be read or written, or a tag stands for something else: nothing was written then.
    """
    mirroring = _Mirroring(registries, options, listener)
    works = await mirroring.look(originals)
    if options.dry_run:
        return tuple(work.result for work in works), ()
    await _together(mirroring.copy(work) for work in works)
    findings = await asyncio.gather(*(mirroring.verify(work) for work in works))
    return tuple(work.result for work in works), tuple(finding for found in findings for finding in found)


class _Mirroring:
    """One run."""

    def __init__(self, registries: Registries, options: MirrorOptions, listener: Listener) -> None:
        self._registries = registries
        self._options = options
        self._listener = listener
        self._moving = asyncio.Semaphore(AT_ONCE)
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._has: defaultdict[str, set[str]] = defaultdict(set)  # repositories of the target, by a blob that they have

    async def look(self, originals: Sequence[Original]) -> list[CopyWork]:
        """See what is to be done, all failures together."""
        step = f"images in {self._options.to}"
        self._listener(Event(step=step, kind=EventKind.STARTED, message="looking for what is there"))
        looked = await asyncio.gather(*map(self._looked, originals))
        there = sum(isinstance(work, CopyWork) and work.tree is None for work in looked)
        self._listener(Event(step=step, kind=EventKind.DONE, message=f"{there} of {len(looked)} are there"))
        refuse_failures(finding for finding in looked if isinstance(finding, Finding))
        return [work for work in looked if isinstance(work, CopyWork)]

    async def _looked(self, original: Original) -> CopyWork | Finding:
        name, copy = str(original.image), original.copy
        login = await self._registries.login(copy)
        work = CopyWork(original=original, to=self._registries.at(copy, login))
        try:
            there, digest = await asyncio.gather(self._there(work), self._digest(original))
            if digest and digest == there:
                work.digest = there
                return work
            async with _of_source(original):
                work.tree = await read_tree(original.registry, original.image, self._platforms(original))
            work.digest = work.tree.manifest.digest
            if there and (there == work.digest or await self._same_content(work, there)):
                work.digest, work.tree = there, None
            elif there and not self._options.overwrite:
                return other_digest(work, there)
            if work.tree is not None:
                blobs = work.tree.blobs()
                has = await asyncio.gather(*(self._has_blob(work, blob) for blob in blobs))
                work.missing = tuple(blob for blob, there in zip(blobs, has, strict=True) if not there)
        except ImageError as error:
            return failure_of(name, error)
        except LookupError as error:
            return no_platform(name, str(error.args[0]))
        except ValueError as error:
            problem = ImageError(f"{name}: its manifest cannot be used: {error}", hint="Push the image again.")
            return failure_of(name, problem)
        return work

    async def _digest(self, original: Original) -> str:
        """Ask for the digest of what is copied; empty where that is not known before it is read."""
        if self._platforms(original):
            return ""
        async with _of_source(original):
            return await original.registry.digest(original.image)

    def _platforms(self, original: Original) -> Collection[str]:
        """Return which images are left of an index; one that is named by its digest stays as it is."""
        return () if original.image.digest else self._options.platforms

    async def _there(self, work: CopyWork) -> str:
        """Ask what stands at the target; an Image Uploader of NCR, who may not read there, finds nothing."""
        try:
            return await work.to.digest(work.original.copy)
        except MissingImageError:
            return ""
        except DeniedImageError as error:
            if await self._registries.login(work.original.copy) is None:
                error.hint = f"Run nksmesh registry login {work.original.copy.host}, as a user who may push there."
                raise
            work.readable = False
            return ""

    async def _same_content(self, work: CopyWork, there: str) -> bool:
        """Tell whether a chart is there with the same archive: the manifests that Helm writes hold the time."""
        if not work.original.by_layers or work.tree is None:
            return False
        found = await work.to.read(replace(work.original.copy, tag="", digest=there))
        return found.blobs[1:] == work.tree.manifest.blobs[1:]

    async def _has_blob(self, work: CopyWork, blob: Descriptor) -> bool:
        if not work.readable:
            return False
        has = await work.to.has(work.original.copy, blob)
        if has:
            self._has[blob.digest].add(work.original.copy.repository)
        return has

    async def copy(self, work: CopyWork) -> None:
        """Move what is missing of an image, then write its manifests, and its tag last."""
        step, progress = step_of(work), CopyProgress(work, self._listener)
        if work.tree is None:
            self._listener(Event(step=step, kind=EventKind.KEPT, message="it is there"))
            return
        self._listener(Event(step=step, kind=EventKind.STARTED, message=sized(progress.size)))
        try:
            await _together(self._copy_blob(work, blob, progress) for blob in work.missing)
            await self._write(work, work.tree, work.original.copy)
        except ImageError as error:
            self._listener(Event(step=step, kind=EventKind.FAILED, message=error.message))
            raise
        work.done = True
        self._listener(Event(step=step, kind=EventKind.DONE, message=progress.told()))

    async def _write(self, work: CopyWork, tree: Tree, image: Reference) -> None:
        await _together(
            self._write(work, child, replace(image, tag="", digest=child.manifest.digest)) for child in tree.children
        )
        if image.digest:
            await work.to.write(replace(image, tag=""), tree.manifest)
        if image.tag:
            await work.to.write(replace(image, digest=""), tree.manifest)

    async def _copy_blob(self, work: CopyWork, blob: Descriptor, progress: CopyProgress) -> None:
        original, copy = work.original, work.original.copy

        async def content() -> AsyncGenerator[bytes, None]:
            work.sent[blob.digest] = 0
            async with aclosing(original.registry.pull(original.image, blob)) as pieces:
                async for piece in pieces:
                    yield piece
                    progress.add(blob, len(piece))

        async with self._locks[blob.digest], self._moving:  # what two images share is moved once, then mounted
            repositories = self._has[blob.digest]
            if copy.repository in repositories:
                return
            beside = original.image.repository if original.image.server == copy.server else ""
            if await work.to.push(copy, blob, content, mount_from=next(iter(repositories), beside)):
                work.sent.pop(blob.digest, None)
                work.mounted += blob.size
            repositories.add(copy.repository)

    async def verify(self, work: CopyWork) -> tuple[Finding, ...]:
        """Look for a copy as nodes will."""
        copy = work.original.copy
        seen = seen_through(copy, self._options.to, self._options.verify_as)
        login = await self._registries.login(seen)
        if login is None and same_registry(seen.host, copy.host):
            login = await self._registries.login(copy)
        try:
            found = await self._registries.at(seen, login).digest(seen)
        except DeniedImageError as error:
            return (unverified(seen, error),)
        except ImageError as error:
            return (not_found_again(seen, error.message, error.detail),)
        if found != work.digest:
            return (not_found_again(seen, f"{seen} has another digest", f"pushed: {work.digest}\nfound: {found}"),)
        work.verified = True
        return ()


@asynccontextmanager
async def _of_source(original: Original) -> AsyncIterator[None]:
    """Name the next step where what is copied cannot be had."""
    try:
        yield
    except (MissingImageError, DeniedImageError) as error:
        error.hint = (
            "Check the version, or pass another --from."
            if isinstance(error, MissingImageError)
            else f"Run nksmesh registry login {original.image.host}, as a user who may pull from there."
        )
        raise


async def _together(tasks: Iterable[Coroutine[None, None, None]]) -> None:
    """Await all of them; the first that fails ends the others, and is raised itself.

    Raises:
        MeshError: As the first does.
    """
    try:
        async with asyncio.TaskGroup() as group:
            for task in tasks:
                group.create_task(task)
    except BaseExceptionGroup as failed:
        raise failed.exceptions[0] from None
