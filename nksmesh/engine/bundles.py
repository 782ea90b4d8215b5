"""Bundles: what goes into one, and what comes out again: images into a registry, charts into the cache."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

from nksmesh.domain.bundles.contents import (
    INDEX,
    LAYOUT,
    BundledFile,
    BundledImage,
)
from nksmesh.domain.bundles.layout import VERSION, blob_path, index_of, manifest_of
from nksmesh.domain.charts.lock import Lock
from nksmesh.domain.common.errors import BundleError, ConfigError, ImageError
from nksmesh.domain.common.findings import Finding, Level
from nksmesh.domain.images.manifest import Descriptor, Manifest, platforms_of
from nksmesh.domain.images.mirroring import target_of
from nksmesh.domain.images.reference import Reference, parse_reference
from nksmesh.engine.copies import Tree, read_tree
from nksmesh.engine.ports import Bundle, Charts, ImageReader, Registries

Stream: TypeAlias = Callable[[], AsyncGenerator[bytes, None]]

_PIECE: Final = 1024 * 1024
_AGAIN: Final = "Copy it again, or make it again with nksmesh bundle create."


@dataclass(frozen=True, kw_only=True)
class Parts:
    """Files of a bundle and their contents.

    Attributes:
        files: What each must be.
        content: Its bytes, or what streams them.
    """

    files: tuple[BundledFile, ...] = ()
    content: Mapping[str, bytes | Stream]

    def __or__(self, other: Parts) -> Parts:
        """Put the parts of both together; what both have is the same."""
        files = {file.path: file for file in (*self.files, *other.files)}
        return Parts(files=tuple(files[path] for path in sorted(files)), content={**self.content, **other.content})


def parts_of(content: Mapping[str, bytes]) -> Parts:
    """Make parts of small files."""
    files = tuple(
        BundledFile(path=path, size=len(text), sha256=hashlib.sha256(text).hexdigest())
        for path, text in content.items()
    )
    return Parts(files=files, content=content)


def part_of_file(file: Path, path: str) -> Parts:
    """Make a part of a file as it is; it is read twice, and never as a whole.

    Args:
        path: Its path in the bundle.

    Raises:
        ConfigError: It cannot be read.
    """
    state, size = hashlib.sha256(), 0
    try:
        with file.open("rb") as content:
            while piece := content.read(_PIECE):
                state.update(piece)
                size += len(piece)
    except OSError as error:
        raise ConfigError(f"{file} cannot be read: {error.strerror}", hint="Check the path.") from error

    async def stream() -> AsyncGenerator[bytes, None]:
        with file.open("rb") as content:
            while piece := content.read(_PIECE):
                yield piece

    return Parts(files=(BundledFile(path=path, size=size, sha256=state.hexdigest()),), content={path: stream})


async def gather_images(
    names: Iterable[str], hub: str, source: str, registries: Registries, platforms: Iterable[str] = ()
) -> tuple[tuple[BundledImage, ...], Parts]:
    """Read the manifests of images, and say of their blobs where they come from; nothing larger is read yet.

    Args:
        names: The images, in a hub.
        source: The hub that they are read from.

    Returns:
        The images, and their OCI layout.

    Raises:
        ImageError: One cannot be read.
    """
    wanted = {name.removeprefix(f"{hub}/"): target_of(name, hub, source) for name in names}
    images = {name: image for name, image in sorted(wanted.items()) if image is not None}
    opened = [registries.at(image, await registries.login(image)) for image in images.values()]
    trees = await asyncio.gather(
        *(_tree(registry, image, tuple(platforms)) for registry, image in zip(opened, images.values(), strict=True))
    )
    bundled, parts = [], parts_of({LAYOUT: VERSION})
    for name, image, registry, tree in zip(images, images.values(), opened, trees, strict=True):
        manifest = tree.manifest
        bundled.append(
            BundledImage(
                name=name,
                source=str(image),
                digest=manifest.digest,
                media_type=manifest.media_type,
                platforms=platforms_of(manifest.content) if tree.children else (),
            )
        )
        parts = parts | _parts_of(tree, image, registry)
    index = index_of(zip(bundled, (tree.manifest for tree in trees), strict=True))
    return tuple(bundled), parts | parts_of({INDEX: index})


async def _tree(registry: ImageReader, image: Reference, platforms: tuple[str, ...]) -> Tree:
    try:
        return await read_tree(registry, image, platforms)
    except LookupError as error:
        raise ImageError(f"{image} has no image for {error.args[0]}", hint="Leave this --platform out.") from error
    except ValueError as error:
        raise ImageError(f"{image}: its manifest cannot be used: {error}", hint="Push the image again.") from error


def _parts_of(tree: Tree, image: Reference, registry: ImageReader) -> Parts:
    def manifests(of: Tree) -> Iterable[Manifest]:
        yield of.manifest
        for child in of.children:
            yield from manifests(child)

    parts = parts_of({blob_path(manifest.digest): manifest.content for manifest in manifests(tree)})
    blobs = tree.blobs()
    files = tuple(
        BundledFile(path=blob_path(blob.digest), size=blob.size, sha256=blob.digest.removeprefix("sha256:"))
        for blob in blobs
    )
    streams = {blob_path(blob.digest): _stream(registry, image, blob) for blob in blobs}
    return parts | Parts(files=files, content=streams)


def _stream(registry: ImageReader, image: Reference, blob: Descriptor) -> Stream:
    return lambda: registry.pull(image, blob)


class LayoutReader:
    """The images of a bundle, as a registry that has nothing else."""

    def __init__(self, bundle: Bundle) -> None:
        self._bundle = bundle
        self._images = {image.name: image for image in bundle.contents.images}

    async def digest(self, image: Reference) -> str:
        """Return the digest of what an image's name stands for."""
        return self._images[f"{image.repository}:{image.tag}"].digest

    async def read(self, image: Reference) -> Manifest:
        """Read the manifest or the index under an image's name.

        Raises:
            BundleError: It is not there, or is no manifest.
        """
        named = self._images.get(f"{image.repository}:{image.tag}")
        digest = image.digest or (named.digest if named else "")
        try:
            return manifest_of(self._bundle.read(blob_path(digest)), named.media_type if named else "")
        except ValueError as error:
            raise BundleError(
                f"{self._bundle.path}: {image} in it is no image: {error}", hint="Make the bundle again."
            ) from error

    def pull(self, _image: Reference, blob: Descriptor) -> AsyncGenerator[bytes, None]:
        """Read a blob in pieces."""
        return self._bundle.stream(blob_path(blob.digest))


def image_in_bundle(image: BundledImage) -> Reference:
    """Name an image of a bundle, for messages and for its reader."""
    repository, _, tag = image.name.rpartition(":")
    return Reference("bundle", repository, tag)


async def check_layout(bundle: Bundle) -> None:
    """Make sure that a bundle has everything that its images' manifests name.

    Raises:
        BundleError: A manifest or a blob is not there.
    """
    reader = LayoutReader(bundle)
    for image in bundle.contents.images:
        name = image_in_bundle(image)
        try:
            tree = await read_tree(reader, name)
        except ValueError as error:
            raise BundleError(f"{bundle.path}: {image.name} is no image: {error}", hint="Make it again.") from error
        lacking = [blob.digest for blob in tree.blobs() if not bundle.has(blob_path(blob.digest))]
        if lacking:
            raise BundleError(
                f"{bundle.path}: {image.name} lacks {lacking[0]}", hint="Make it again with nksmesh bundle create."
            )


def prove_file(bundle: Bundle, found: str, sha256: str) -> None:
    """Hold the digest of a whole bundle against the one that its user was told.

    Raises:
        BundleError: It is another file.
    """
    if found != sha256.removeprefix("sha256:").lower():
        raise BundleError(
            f"{bundle.path} is not the file that --sha256 names",
            hint="Copy it again, or ask whoever made it for its sha256.",
            detail=f"--sha256: {sha256}\nthe file: {found}",
        )


def admit(bundle: Bundle, outside: Lock, charts: Charts, *, sha256: str) -> tuple[Finding, ...]:
    """Find out who outside of a bundle vouches for it, then keep its charts.

    A chart that the lock pins, or of a file whose digest its user knows, is kept as if it had been fetched from its
    source. Another one is kept by its digest alone, for this run: it must not pass for the source's own later.

    Args:
        outside: A charts.lock that did not come with it.
        sha256: What the whole file must be; empty where nobody said it.

    Returns:
        A warning where nobody vouches for all of it: digests inside a file do not stop tampering.

    Raises:
        BundleError: The file is another one, or a chart in it is not what it lists.
        ChartError: The lock pins another chart, or a chart cannot be kept.
    """
    if sha256:
        prove_file(bundle, bundle.digest(), sha256)
    archives = {chart: bundle.read(chart.path) for chart in bundle.contents.charts}
    for chart, archive in archives.items():
        if f"sha256:{hashlib.sha256(archive).hexdigest()}" != chart.digest:
            raise BundleError(f"{bundle.path}: {chart.path} is not the chart that it lists", hint=_AGAIN)
        outside.check(chart.ref, chart.digest)
    unpinned = [chart for chart in archives if outside.digest(chart.ref) is None]
    for chart, archive in archives.items():
        charts.keep(chart.ref, archive, chart.digest, known=bool(sha256) or chart not in unpinned)
    if sha256:
        return ()
    contents = bundle.contents
    named = f"hub {contents.hub}" + (f", environment {contents.environment}" if contents.environment else "")
    covered = "not its charts either" if unpinned else "its charts alone"
    return (
        Finding(
            id="bundle.unverified",
            level=Level.WARNING,
            subject=str(bundle.path),
            message=f"{bundle.path} cannot be verified without --sha256: charts.lock covers {covered}, "
            f"and nothing covers its values ({named})",
            hint="Pass --sha256 with what nksmesh bundle create printed.",
        ),
    )


def name_at(image: BundledImage, hub: str) -> Reference:
    """Name an image of a bundle below a hub.

    Raises:
        ConfigError: The hub is no path of a registry.
    """
    return parse_reference(f"{hub.rstrip('/')}/{image.name}")
