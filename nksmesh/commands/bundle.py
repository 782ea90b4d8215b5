"""``nksmesh bundle``: a mesh in one file, for a network without internet."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from nksmesh.commands.mirror import left_out
from nksmesh.domain.bundles.contents import (
    ISTIOCTL,
    LOCK,
    BundleContents,
    BundledChart,
    BundledImage,
    usable_path,
)
from nksmesh.domain.charts.chart import BUNDLED_SOURCE
from nksmesh.domain.charts.lock import Lock, public_ref, public_source
from nksmesh.domain.common.data import HIDDEN
from nksmesh.domain.common.errors import BundleError, ConfigError
from nksmesh.domain.common.events import Event, EventKind, Listener
from nksmesh.domain.common.findings import Finding, Level, has_failure, warnings_of
from nksmesh.domain.common.spelling import sized
from nksmesh.domain.images.mirroring import PackedChart
from nksmesh.domain.istioctl.archive import archive_named
from nksmesh.domain.mesh.catalog import check_hub
from nksmesh.domain.mesh.mesh import Mesh
from nksmesh.engine.bundles import (
    LayoutReader,
    Parts,
    check_layout,
    gather_images,
    image_in_bundle,
    name_at,
    part_of_file,
    parts_of,
    prove_file,
)
from nksmesh.engine.copies import MirroredImage, MirrorOptions, Original
from nksmesh.engine.istioctl import original_of
from nksmesh.engine.mirror import mirror
from nksmesh.engine.pipeline import OfflineMesh, render_offline
from nksmesh.engine.ports import Bundle, Bundles, Charts, Helm, Registries
from nksmesh.engine.request import MeshRequest

STEP: Final = "bundle"


@dataclass(frozen=True, kw_only=True)
class BundleShown:
    """A bundle, as it was made or found.

    Attributes:
        file: Its path.
        sha256: The digest of the whole file; empty where that was not wanted.
        bytes: Its size.
        verified: Every file in it was read, and is what the list says.
        created: It was made by this run.
    """

    file: str
    sha256: str
    bytes: int
    contents: BundleContents
    verified: bool = False
    created: bool = field(default=False, metadata=HIDDEN)
    findings: tuple[Finding, ...] = ()

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a reader should know."""
        return warnings_of(self.findings)


@dataclass(frozen=True, kw_only=True)
class BundlePushed:
    """The images of a bundle, in a registry.

    Attributes:
        next_command: What installs the mesh from there.
    """

    file: str
    to: str
    version: str
    images: tuple[MirroredImage, ...]
    findings: tuple[Finding, ...] = ()
    next_command: str = ""

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a reader should know."""
        return warnings_of(self.findings)

    @property
    def exit_code(self) -> int:
        """3 where a copy is not found again."""
        return BundleError.exit_code if has_failure(self.findings) else 0


@dataclass(frozen=True, kw_only=True)
class BundleOptions:
    """What goes into a bundle.

    Attributes:
        file: Where it is written.
        values: The files of the folder that --dir takes, by their path in it.
        secrets: What looks like a secret in them: a file and a key each.
        images: Take the images, too.
        source: The hub that images are read from; empty for the mesh's own.
        platforms: Which images of an index; all where empty.
        istioctl: An archive of istioctl; None for none.
        include_secrets: Values with secrets in them may go in.
    """

    file: Path
    values: Mapping[str, bytes] = field(repr=False)
    secrets: tuple[str, ...] = ()
    images: bool = False
    source: str = ""
    platforms: tuple[str, ...] = ()
    istioctl: Path | None = None
    include_secrets: bool = False


async def create(
    request: MeshRequest,
    helm: Helm,
    charts: Charts,
    registries: Callable[[str], AbstractAsyncContextManager[Registries]],
    bundles: Bundles,
    options: BundleOptions,
    *,
    listener: Listener,
) -> BundleShown:
    """Put a mesh into one file; the same inputs give the same bytes.

    Args:
        registries: Opens the registries, given the mesh's hub.

    Raises:
        ConfigError: Values have secrets in them, are not of the environment, or a file cannot be read or written.
        MeshError: As ``render_offline`` and ``gather_images`` say.
    """
    _check_request(request, options)
    offline = await render_offline(request, helm, charts, listener=listener)
    mesh = offline.resolved.mesh
    chosen, packed = _charts(offline, charts)
    pinned = {public_ref(chart.ref): chart.digest for chart in chosen}
    parts = parts_of({chart.path: packed[chart].archive for chart in chosen})
    parts = parts | parts_of({**options.values, LOCK: Lock(entries=pinned).text().encode()})
    images: tuple[BundledImage, ...] = ()
    findings = offline.rendered.findings
    if options.images:
        source = check_hub(options.source, "--from") if options.source else mesh.hub
        named = dict.fromkeys(name for change in offline.rendered.changes.values() for name in change.pulled)
        findings = (*findings, *(left_out(image, mesh) for image in named if not image.startswith(f"{mesh.hub}/")))
        async with registries(mesh.hub) as opened:
            images, layout = await gather_images(named, mesh.hub, source, opened, options.platforms)
            parts = parts | layout
            return await _written(mesh, chosen, images, parts, findings, bundles, options, listener)
    return await _written(mesh, chosen, images, parts, findings, bundles, options, listener)


async def _written(
    mesh: Mesh,
    charts: tuple[BundledChart, ...],
    images: tuple[BundledImage, ...],
    parts: Parts,
    findings: tuple[Finding, ...],
    bundles: Bundles,
    options: BundleOptions,
    listener: Listener,
) -> BundleShown:
    """Write the bundle, while the registries that its images come from are open."""
    if options.istioctl is not None:
        parts = parts | part_of_file(options.istioctl, f"{ISTIOCTL}/{options.istioctl.name}")
    contents = BundleContents(
        version=mesh.version,
        environment=mesh.environment,
        profile=mesh.profile,
        region="" if mesh.own_hub else mesh.region,
        network=mesh.network.value,
        hub=mesh.hub,
        charts=charts,
        images=images,
        istioctl=f"{ISTIOCTL}/{options.istioctl.name}" if options.istioctl else "",
        files=parts.files,
    )
    whole, written = sum(file.size for file in parts.files), 0

    def told(more: int) -> None:
        nonlocal written
        written += more
        listener(Event(step=STEP, kind=EventKind.PROGRESS, message=f"{sized(written)} of {sized(whole)}"))

    listener(Event(step=STEP, kind=EventKind.STARTED, message=sized(whole)))
    digest = await bundles.write(options.file, contents, parts.content, told, private=options.include_secrets)
    listener(Event(step=STEP, kind=EventKind.DONE, message=str(options.file)))
    return BundleShown(
        file=str(options.file),
        sha256=digest,
        bytes=options.file.stat().st_size,
        contents=contents,
        created=True,
        findings=findings,
    )


async def inspect(bundle: Bundle, *, verify: bool, sha256: str = "") -> BundleShown:
    """Show what a bundle says it holds, and hold all of it against that where it is wanted.

    Args:
        sha256: What the whole file must be; empty where nobody said it.

    Raises:
        BundleError: It is another file, or something in it is not what it says.
    """
    digest = bundle.digest()
    if sha256:
        prove_file(bundle, digest, sha256)
    if verify:
        await bundle.verify()
        await check_layout(bundle)
    return BundleShown(
        file=str(bundle.path), sha256=digest, bytes=bundle.size, contents=bundle.contents, verified=verify
    )


async def push(
    bundle: Bundle, to: str, registries: Registries, *, overwrite: bool, verify_as: str, listener: Listener
) -> BundlePushed:
    """Copy the images of a bundle and its istioctl into a registry, digests kept; what is there is not sent again.

    Raises:
        ConfigError: It has neither, or the hub is no path of a registry.
        MeshError: As ``mirror`` says.
    """
    hub = check_hub(to, "--to")
    tool = _istioctl_of(bundle, hub)
    if not bundle.contents.images and tool is None:
        raise ConfigError(f"{bundle.path} has no images", hint="Make it with nksmesh bundle create --images.")
    reader = LayoutReader(bundle)
    originals = [
        Original(image=image_in_bundle(image), copy=name_at(image, hub), registry=reader)
        for image in bundle.contents.images
    ]
    originals += [tool] if tool else []
    options = MirrorOptions(to=hub, overwrite=overwrite, verify_as=verify_as)
    images, findings = await mirror(originals, registries, options, listener=listener)
    if bundle.contents.istioctl and tool is None:
        findings = (*findings, _not_pushed(bundle))
    environment = f" -e {bundle.contents.environment}" if bundle.contents.environment else ""
    return BundlePushed(
        file=str(bundle.path),
        to=hub,
        version=bundle.contents.version,
        images=images,
        findings=findings,
        next_command=f"nksmesh install --bundle {bundle.path}{environment} --sha256 {bundle.digest()} --hub {hub}",
    )


def _istioctl_of(bundle: Bundle, hub: str) -> Original | None:
    """Describe the copy of a bundle's istioctl, as ``istioctl push`` makes it; None where it has none to push."""
    path = bundle.contents.istioctl
    archive = archive_named(path.rpartition("/")[2])
    listed = tuple(file for file in bundle.contents.files if path and file.path == path)
    if archive is None or not listed:
        return None
    return original_of(Parts(files=listed, content={path: lambda: bundle.stream(path)}), archive, hub, "bundle")


def _not_pushed(bundle: Bundle) -> Finding:
    return Finding(
        id="bundle.unnamed-istioctl",
        level=Level.WARNING,
        subject=bundle.contents.istioctl,
        message=f"{bundle.contents.istioctl} was not pushed: it is not named as Istio names its archives",
        hint="Make the bundle again with --istioctl istio-X.Y.Z-linux-amd64.tar.gz.",
    )


def _charts(offline: OfflineMesh, charts: Charts) -> tuple[tuple[BundledChart, ...], dict[BundledChart, PackedChart]]:
    """Return the charts of a mesh, each once, and their archives."""
    named = offline.resolved.mesh.chart_source
    # A folder of this machine means nothing where the bundle goes.
    source = public_source(named) if "://" in named else BUNDLED_SOURCE
    packed = {
        BundledChart(name=chart.ref.name, version=chart.ref.version, source=source, digest=chart.digest): charts.packed(
            chart
        )
        for chart in offline.charts.values()
    }
    return tuple(sorted(packed, key=lambda chart: (chart.name, chart.version))), packed


def _check_request(request: MeshRequest, options: BundleOptions) -> None:
    """Refuse what an install from the bundle would not have, or could not read.

    Raises:
        ConfigError: Values are given by options, have secrets in them, or a file's name is none for a bundle.
    """
    if request.options.values_files or request.options.sets:
        raise ConfigError(
            "-f and --set do not go into a bundle", hint="Write these values into files of the environment (-e)."
        )
    if options.secrets and not options.include_secrets:
        raise ConfigError(
            f"the values hold what looks like a secret: {', '.join(options.secrets)}",
            hint="Keep it in a Secret of the cluster, or pass --include-secrets.",
        )
    names = [*options.values, *([f"{ISTIOCTL}/{options.istioctl.name}"] if options.istioctl else [])]
    for name in names:
        if not usable_path(name):
            raise ConfigError(
                f"{name} cannot go into a bundle: its name has other characters than letters, digits and ._+@-",
                hint="Rename the file.",
            )
