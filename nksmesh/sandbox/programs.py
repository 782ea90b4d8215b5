"""The programs of a sandbox as the cache has them: what is missing is built once."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from nksmesh.domain.common.errors import ClusterError, ConfigError
from nksmesh.domain.common.events import Listener, unheard
from nksmesh.sandbox import go_build
from nksmesh.sandbox.builds import CACHE_VARIABLE, HELM, KWOK, REGISTRY, Build, control_plane
from nksmesh.sandbox.releases import Kubernetes
from nksmesh.sandbox.results import Built

_LOCK_SECONDS: Final = 3600


async def build_programs(
    kubernetes: Kubernetes, *, with_registry: bool, with_helm4: bool, listener: Listener = unheard
) -> Built:
    """Build a sandbox's programs, and the registry and Helm 4 on request, unless the cache has them."""
    found = await sandbox_programs(kubernetes, with_registry=with_registry, listener=listener)
    if with_helm4:
        found["helm4"] = await helm4(listener)
    return Built(programs={name: str(path) for name, path in found.items()})


async def sandbox_programs(
    kubernetes: Kubernetes, *, with_registry: bool = False, listener: Listener = unheard
) -> dict[str, Path]:
    """Return where each program of a sandbox is, building what is missing."""
    found: dict[str, Path] = {}
    for build in (control_plane(kubernetes), KWOK, *([REGISTRY] if with_registry else [])):
        folder = await ensure(build, listener)
        found.update({name: folder / name for name in build.packages})
    return found


async def helm4(listener: Listener = unheard) -> Path:
    """Return Helm 4, building it where it is missing."""
    return await ensure(HELM, listener) / "helm"


async def ensure(build: Build, listener: Listener = unheard) -> Path:
    """Return the folder of a build's programs, building them where they are missing.

    Raises:
        ConfigError: There is no Go to build with, or the cache cannot be written.
        ClusterError: The build failed.
    """
    if build.built:
        return build.folder
    go = go_build.find_go()
    from filelock import AsyncFileLock, Timeout

    try:
        build.folder.parent.mkdir(parents=True, exist_ok=True)
        async with AsyncFileLock(f"{build.folder}.lock", timeout=_LOCK_SECONDS):
            if not build.built:
                await go_build.build_with_go(build, go, listener)
    except Timeout as error:
        raise ClusterError(
            f"another process has been building {build.title} for an hour",
            hint=f"End that process, or remove {build.folder}.lock.",
        ) from error
    except OSError as error:
        raise ConfigError(
            f"{build.title} cannot be kept in {build.folder.parent}: {error.strerror}",
            hint=f"Free some space there, or set {CACHE_VARIABLE} to another folder.",
        ) from error
    return build.folder
