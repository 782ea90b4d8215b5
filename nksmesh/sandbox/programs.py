"""The programs of a sandbox as the cache has them: what is missing is downloaded or built, once."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import time
from collections.abc import Awaitable, Callable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Final

from nksmesh.domain.common.errors import ClusterError, ConfigError
from nksmesh.domain.common.events import Event, EventKind, Listener, unheard
from nksmesh.domain.common.spelling import sized
from nksmesh.sandbox import go_build
from nksmesh.sandbox.builds import CACHE_VARIABLE, DATA_PLANE, HELM, ISTIO, KWOK, REGISTRY, Build, control_plane
from nksmesh.sandbox.releases import Kubernetes
from nksmesh.sandbox.results import Built

if TYPE_CHECKING:
    from nksmesh.sandbox.published import Publishers

_LOCK_SECONDS: Final = 3600


class Source(StrEnum):
    """Where programs come from."""

    DOWNLOAD = "download"
    GO = "go"


async def build_programs(
    kubernetes: Kubernetes,
    *,
    with_registry: bool,
    with_helm4: bool,
    with_data_plane: bool = False,
    source: Source = Source.DOWNLOAD,
    listener: Listener = unheard,
) -> Built:
    """Get a sandbox's programs, and on request a registry, a data plane and Helm 4, unless the cache has them."""
    found = await sandbox_programs(
        kubernetes, with_registry=with_registry, with_data_plane=with_data_plane, source=source, listener=listener
    )
    if with_helm4:
        found["helm4"] = await helm4(listener)
    return Built(programs={name: str(path) for name, path in found.items()})


async def sandbox_programs(
    kubernetes: Kubernetes,
    *,
    with_registry: bool = False,
    with_data_plane: bool = False,
    source: Source = Source.DOWNLOAD,
    listener: Listener = unheard,
) -> dict[str, Path]:
    """Return where each program of a sandbox is, getting what is missing."""
    found: dict[str, Path] = {}
    optional = [*([REGISTRY] if with_registry else []), *([ISTIO, DATA_PLANE] if with_data_plane else [])]
    for build in (control_plane(kubernetes), KWOK, *optional):
        folder = await ensure(build, listener, source=source)
        found.update({name: folder / name for name in build.packages})
    if with_data_plane:
        from nksmesh.sandbox.data_plane.machine import envoy
        from nksmesh.sandbox.workloads import productpage

        found["productpage"] = await productpage.ensure(listener)
        found["envoy"] = envoy()
    return found


async def helm4(listener: Listener = unheard) -> Path:
    """Return Helm 4, building it where it is missing."""
    return await ensure(HELM, listener) / "helm"


async def ensure(
    build: Build,
    listener: Listener = unheard,
    *,
    source: Source = Source.DOWNLOAD,
    publishers: Publishers | None = None,
) -> Path:
    """Return the folder of a build's programs; where they are missing they are downloaded, or else built.

    Args:
        source: ``DOWNLOAD`` downloads what is published, and builds what cannot be had so.
        publishers: Where downloads come from; None for the projects themselves.

    Raises:
        ConfigError: There is no Go to build with, or the cache cannot be written.
        ClusterError: The build failed, or a program that came is not what its project published.
    """
    if build.built:
        return build.folder
    downloads = bool(build.published) and source is Source.DOWNLOAD
    if not downloads:
        go_build.find_go(build.go)

    async def get(results: Path) -> None:
        await _get(build, results, listener, downloads=downloads, publishers=publishers)

    return await kept(build.folder, build.title, get, built=lambda: build.built)


async def kept(folder: Path, title: str, make: Callable[[Path], Awaitable[None]], *, built: Callable[[], bool]) -> Path:
    """Return a folder of the cache, which one process makes and the others wait for.

    Args:
        folder: Where it is kept, once it is whole.
        title: What is in it.
        make: Fills the empty folder that it is given.
        built: Whether it is there and whole.

    Raises:
        ConfigError: The cache cannot be written.
        ClusterError: Another process has been making it for too long.
    """
    if built():
        return folder
    from filelock import AsyncFileLock, Timeout

    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        async with AsyncFileLock(f"{folder}.lock", timeout=_LOCK_SECONDS):
            if not built():
                with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as scratch:
                    results = _emptied(Path(scratch, "results"))
                    await make(results)
                    with contextlib.suppress(FileNotFoundError):
                        shutil.rmtree(folder)
                    results.rename(folder)
    except Timeout as error:
        raise ClusterError(
            f"another process has been getting {title} for an hour",
            hint=f"End that process, or remove {folder}.lock.",
        ) from error
    except OSError as error:
        raise ConfigError(
            f"{title} cannot be kept in {folder.parent}: {error.strerror}",
            hint=f"Free some space there, or set {CACHE_VARIABLE} to another folder.",
        ) from error
    return folder


async def _get(
    build: Build, results: Path, listener: Listener, *, downloads: bool, publishers: Publishers | None
) -> None:
    """Download programs, or build them; what a download left behind is not used."""
    if downloads and await _downloaded(build, results, listener, publishers):
        return
    work = _emptied(results.with_name("module"))
    await go_build.build_with_go(build, work, _emptied(results), listener)


async def _downloaded(build: Build, folder: Path, listener: Listener, publishers: Publishers | None) -> bool:
    """Download programs; tell why where that cannot be."""
    # httpx takes a tenth of a second to import, and is needed once
    from nksmesh.adapters.downloads import ChecksumError, DownloadError
    from nksmesh.sandbox.published import Publishers

    begun, came = time.monotonic(), 0

    def tell(kind: EventKind, message: str) -> None:
        listener(Event(step=f"download {build.title}", kind=kind, message=message))

    def told(number: int) -> None:
        nonlocal came
        came += number
        tell(EventKind.PROGRESS, sized(came))

    tell(EventKind.STARTED, "")
    try:
        await (publishers or Publishers()).download(build, folder, told)
    except ChecksumError as error:
        raise ClusterError(
            f"{build.title} are not what was published: nothing that came is used",
            hint="Run nksmesh sandbox build --from go to build them here, or try again later.",
            detail=str(error),
        ) from error
    except DownloadError as error:
        tell(EventKind.WARNING, f"{error}; they are built with Go")
        tell(EventKind.DONE, "not possible")
        return False
    tell(EventKind.DONE, f"{sized(came)}, {time.monotonic() - begun:.0f} s")
    return True


def _emptied(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    return folder
