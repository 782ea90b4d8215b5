"""What is copied from one registry to another: what each image needs, how it goes on, and what is to be told of it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final

from nksmesh.domain.common.errors import DeniedImageError, ImageError
from nksmesh.domain.common.events import Event, EventKind, Listener
from nksmesh.domain.common.findings import Finding, Level
from nksmesh.domain.common.spelling import sized
from nksmesh.domain.images.manifest import Descriptor, Manifest
from nksmesh.domain.images.reference import Reference
from nksmesh.engine.ports import ImageReader, Registry

_TOLD_EVERY: Final = 0.5
"""Seconds between two events that say how many bytes were moved."""


class CopyState(StrEnum):
    """What became of one image."""

    PLANNED = "planned"
    COPIED = "copied"
    THERE = "there"


_DEEPEST: Final = 3
"""Indexes in an index: one is what there is; a made-up one may name itself."""


@dataclass(frozen=True, kw_only=True)
class MirroredImage:
    """An image, or a chart, and its copy.

    Attributes:
        image: The copy's name.
        digest: The copy's digest.
        bytes: How large it is, each blob once; 0 where it was there and nothing of it was read.
        missing_bytes: What the target lacked of that.
        moved_bytes: What was sent, and stayed.
        mounted_bytes: What the target took from another repository of its own.
        verified: It was found again, with this digest.
    """

    source: str
    image: str
    digest: str
    state: CopyState
    bytes: int
    missing_bytes: int
    moved_bytes: int = 0
    mounted_bytes: int = 0
    verified: bool = False


@dataclass(frozen=True, kw_only=True)
class Original:
    """What is copied.

    Attributes:
        image: Its name where it is.
        copy: Its name where it goes.
        registry: Where it is read from.
        by_layers: A copy with the same layers is the same, whatever else its manifest says.
    """

    image: Reference
    copy: Reference
    registry: ImageReader
    by_layers: bool = False


@dataclass(frozen=True, kw_only=True)
class MirrorOptions:
    """How images are copied.

    Attributes:
        to: The hub that they go to.
        platforms: Which images of an index; all of them, and the index as it is, where empty.
        overwrite: A tag that stands for something else is written over.
        verify_as: The address through which copies are looked for in the end; empty for ``to``.
        dry_run: Nothing is written.
    """

    to: str
    platforms: Collection[str] = ()
    overwrite: bool = False
    verify_as: str = ""
    dry_run: bool = False


@dataclass(frozen=True, kw_only=True)
class Tree:
    """A manifest, and what it lists."""

    manifest: Manifest
    children: tuple[Tree, ...] = ()

    def blobs(self) -> tuple[Descriptor, ...]:
        """List all blobs, each once."""
        below = (blob for child in self.children for blob in child.blobs())
        return tuple(dict.fromkeys((*self.manifest.blobs, *below)))


async def read_tree(
    registry: ImageReader, image: Reference, platforms: Collection[str] = (), *, depth: int = _DEEPEST
) -> Tree:
    """Read an image's manifest, and those that it lists.

    Args:
        platforms: Which images of an index; all of them, and the index as it is, where empty.
        depth: How many indexes may stand in each other.

    Raises:
        ImageError: One cannot be read.
        LookupError: The index has no image for one of the platforms, which the error names.
        ValueError: One is no manifest that can be used.
    """
    manifest = (await registry.read(image)).only(platforms)
    if manifest.children and not depth:
        raise ValueError("its indexes stand in each other")
    children = await asyncio.gather(
        *(
            read_tree(registry, replace(image, tag="", digest=child.digest), depth=depth - 1)
            for child in manifest.children
        )
    )
    return Tree(manifest=manifest, children=tuple(children))


@dataclass(kw_only=True)
class CopyWork:
    """What one image needs.

    Attributes:
        digest: The copy's digest.
        tree: What is written; None where the copy is there.
        missing: The blobs that its repository lacks.
        readable: The login may read where it goes.
        sent: Bytes of each blob that were sent.
        done: All of it was written.
    """

    original: Original
    to: Registry
    digest: str = ""
    tree: Tree | None = None
    missing: tuple[Descriptor, ...] = ()
    readable: bool = True
    sent: dict[str, int] = field(default_factory=dict)
    mounted: int = 0
    done: bool = False
    verified: bool = False

    @property
    def result(self) -> MirroredImage:
        """How the image was left."""
        return MirroredImage(
            source=str(self.original.image),
            image=str(self.original.copy),
            digest=self.digest,
            state=CopyState.THERE if self.tree is None else CopyState.COPIED if self.done else CopyState.PLANNED,
            bytes=sum(blob.size for blob in self.tree.blobs()) if self.tree else 0,
            missing_bytes=sum(blob.size for blob in self.missing),
            moved_bytes=sum(self.sent.values()),
            mounted_bytes=self.mounted,
            verified=self.verified,
        )


class CopyProgress:
    """Tells how many bytes of an image were sent, and how fast."""

    def __init__(self, work: CopyWork, listener: Listener) -> None:
        self.size = sum(blob.size for blob in work.missing)
        self._work = work
        self._listener = listener
        self._begun = self._told = time.monotonic()

    def add(self, blob: Descriptor, size: int) -> None:
        """Count bytes of a blob that were sent, and tell of it now and then."""
        self._work.sent[blob.digest] += size
        now = time.monotonic()
        if now - self._told >= _TOLD_EVERY:
            self._told = now
            self._listener(Event(step=step_of(self._work), kind=EventKind.PROGRESS, message=self.told()))

    def told(self) -> str:
        """Say how much was sent, of how much, and how fast."""
        sent = sum(self._work.sent.values())
        rate = sent / max(time.monotonic() - self._begun, 0.001)
        mounted = f", {sized(self._work.mounted)} mounted" if self._work.mounted else ""
        return f"{sized(sent)} of {sized(self.size)}, {sized(rate)}/s{mounted}"


def step_of(work: CopyWork) -> str:
    """Name the step of an image: ``pilot:1.30.2``."""
    return str(work.original.copy).rpartition("/")[2]


def other_digest(work: CopyWork, there: str) -> Finding:
    """Refuse to replace a tag that stands for something else."""
    copy = work.original.copy
    return Finding(
        id="images.other-digest",
        subject=str(copy),
        message=f"{copy} exists, and is another image than {work.original.image}",
        hint="Pass --overwrite to replace it, or another --to.",
        detail=f"{copy} has {there}\n{work.original.image} has {work.digest}",
        error=ImageError,
    )


def no_platform(name: str, platform: str) -> Finding:
    """Say that an index has nothing for a platform that was chosen."""
    return Finding(
        id="images.missing-platform",
        subject=name,
        message=f"{name} has no image for {platform}",
        hint="Leave this --platform out, or write it as OS/ARCHITECTURE.",
        error=ImageError,
    )


def unverified(seen: Reference, error: DeniedImageError) -> Finding:
    """Warn of a login that may push and not look."""
    return Finding(
        id="images.unverified",
        level=Level.WARNING,
        subject=str(seen),
        message=f"{seen} was pushed and not verified: this login may push there, but not pull "
        "(NCR's role Image Uploader is one of these)",
        hint="Run nksmesh images check with a login that may pull.",
        detail=error.detail,
    )


def not_found_again(seen: Reference, problem: str, detail: str) -> Finding:
    """Say that what was pushed is not what nodes would get."""
    return Finding(
        id="images.not-found-after-push",
        subject=str(seen),
        message=f"{seen} was pushed, and is not found there afterwards: {problem}",
        hint="Check --verify-as, and that this machine reaches that address.",
        detail=detail,
        error=ImageError,
    )
