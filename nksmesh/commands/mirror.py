"""``nksmesh images mirror``: the images of a mesh, copied to the registry that it will be installed from."""

from __future__ import annotations

import shlex
from collections.abc import AsyncGenerator, Iterable
from dataclasses import dataclass

from nksmesh.domain.charts.lock import public_source
from nksmesh.domain.common.errors import ConfigError, ImageError
from nksmesh.domain.common.events import Listener
from nksmesh.domain.common.findings import Finding, Level, has_failure, warnings_of
from nksmesh.domain.images.manifest import Descriptor
from nksmesh.domain.images.manifest import Manifest as ImageManifest
from nksmesh.domain.images.mirroring import PackedChart, in_hub, target_of
from nksmesh.domain.images.reference import Reference, parse_reference
from nksmesh.domain.kube.images import images_of
from nksmesh.domain.kube.objects import Manifest
from nksmesh.domain.mesh.catalog import check_hub
from nksmesh.domain.mesh.mesh import Mesh
from nksmesh.engine.copies import MirroredImage, MirrorOptions, Original
from nksmesh.engine.mirror import mirror
from nksmesh.engine.pipeline import render_offline
from nksmesh.engine.ports import Charts, Helm, Registries
from nksmesh.engine.request import MeshRequest


@dataclass(frozen=True, kw_only=True)
class ImageMirror:
    """What ``images mirror`` comes to.

    Attributes:
        source: The hub that images were read from.
        to: The hub that they went to.
        images: Each image, and each chart, with its copy.
        platforms: Which images of an index were copied; empty for all.
        next_command: What installs the mesh from there.
    """

    version: str
    source: str
    to: str
    images: tuple[MirroredImage, ...]
    platforms: tuple[str, ...] = ()
    dry_run: bool = False
    findings: tuple[Finding, ...] = ()
    next_command: str = ""

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a reader should know."""
        return warnings_of(self.findings)

    @property
    def exit_code(self) -> int:
        """3 where a copy is not found again."""
        return ImageError.exit_code if has_failure(self.findings) else 0


async def mirror_images(
    request: MeshRequest,
    helm: Helm,
    charts: Charts,
    registries: Registries,
    options: MirrorOptions,
    *,
    charts_too: bool,
    beside: Iterable[Manifest] = (),
    listener: Listener,
) -> ImageMirror:
    """Copy every image of a mesh's render; the cluster is not read.

    Args:
        request: The mesh, whose hub is where images are copied from.
        charts_too: Copy the charts of its releases, too.
        beside: The objects of samples and add-ons, whose images are copied, too: to where ``--image-hub`` finds them.

    Raises:
        ConfigError: The hub that images go to is the one that they are in.
        MeshError: As ``render_offline`` and ``mirror`` say.
    """
    to = check_hub(options.to, "--to")
    offline = await render_offline(request, helm, charts, listener=listener)
    mesh = offline.resolved.mesh
    if to == mesh.hub:
        raise ConfigError(f"--to {to} is where the images are", hint="Pass the registry of your own that they go to.")
    named = dict.fromkeys(name for change in offline.rendered.changes.values() for name in change.pulled)
    copies = {image: target_of(image, mesh.hub, to) for image in named}
    copies |= {image.image: in_hub(image.image, to) for image in images_of(beside, "") if image.image not in copies}
    originals = []
    for image, copy in copies.items():
        if copy is not None:
            source = parse_reference(image)
            registry = registries.at(source, await registries.login(source))
            originals.append(Original(image=source, copy=copy, registry=registry))
    if charts_too:
        packed = [charts.packed(chart) for chart in offline.charts.values()]
        originals += [_original(chart, to) for chart in {chart.name: chart for chart in packed}.values()]
    images, findings = await mirror(originals, registries, options, listener=listener)
    others = tuple(left_out(image, mesh) for image, copy in copies.items() if copy is None)
    return ImageMirror(
        version=mesh.version,
        source=mesh.hub,
        to=to,
        images=images,
        platforms=tuple(options.platforms),
        dry_run=options.dry_run,
        findings=(*offline.rendered.findings, *others, *findings),
        next_command=_next_command(request, mesh, to),
    )


def left_out(image: str, mesh: Mesh) -> Finding:
    """Say that an image outside of the hub was not taken along."""
    return Finding(
        id="images.left-out",
        level=Level.WARNING,
        subject=image,
        message=f"{image} is not in {mesh.hub}, and was not copied: pods pull it from where it is",
        hint="Copy it by hand where pods cannot.",
    )


def _next_command(request: MeshRequest, mesh: Mesh, to: str) -> str:
    said = {
        "-e": mesh.environment,
        "--hub": to,
        "--version": mesh.version,
        "--profile": request.options.profile,
        "--charts": public_source(request.options.charts),
    }
    words = [word for option, text in said.items() if text for word in (option, text)]
    return shlex.join(["nksmesh", "install", *words])


def _original(chart: PackedChart, to: str) -> Original:
    copy = chart.below(to)
    name = Reference("charts", chart.name, chart.version)
    return Original(image=name, copy=copy, registry=_Packed(chart), by_layers=True)


class _Packed:
    """A chart as a registry that has nothing else, and takes nothing."""

    def __init__(self, chart: PackedChart) -> None:
        self._manifest = chart.manifest
        self._blobs = chart.blobs

    async def digest(self, _image: Reference) -> str:
        return self._manifest.digest

    async def read(self, _image: Reference) -> ImageManifest:
        return self._manifest

    async def pull(self, _image: Reference, blob: Descriptor) -> AsyncGenerator[bytes, None]:
        yield self._blobs[blob]
