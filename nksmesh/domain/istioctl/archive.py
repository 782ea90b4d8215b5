"""Istio's release archives: what they are called, which one a machine needs, and what is in one."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from nksmesh.domain.common.errors import IstioctlError

TOOL: Final = "istioctl-tool"
"""The repository below a hub that the artifacts are in (NKS guide, "Istio 설치", step 1)."""

RELEASES: Final = "https://github.com/istio/istio/releases/download"
"""Where Istio publishes its archives, with a .sha256 beside each (istio.io, "Download the Istio release")."""

PROGRAM: Final = "bin/istioctl"
SAMPLES: Final = "samples"

_ARCHITECTURES: Final = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}
_ELF_MACHINES: Final = {62: "linux-amd64", 183: "linux-arm64"}
"""e_machine of the ELF header (elf(5)): EM_X86_64 and EM_AARCH64."""

_NAME: Final = re.compile(
    r"istio-(?P<version>\d{1,4}\.\d{1,4}\.\d{1,4}(?:-[0-9A-Za-z.]{1,40})?)-(?P<platform>linux-(?:amd64|arm64))\.tar\.gz"
)
HEADER_BYTES: Final = 20
"""How much of a program's file ``check_program`` reads."""


@dataclass(frozen=True, kw_only=True, order=True)
class IstioctlArchive:
    """An archive of Istio, as Istio calls it.

    Attributes:
        version: Such as ``1.20.0``.
        platform: ``linux-amd64`` or ``linux-arm64``.
    """

    version: str
    platform: str

    @property
    def folder(self) -> str:
        """The top folder in it."""
        return f"istio-{self.version}"

    @property
    def name(self) -> str:
        """The file's name."""
        return f"{self.folder}-{self.platform}.tar.gz"


@dataclass(frozen=True, kw_only=True)
class Origin:
    """Where an archive came from, and what it must be.

    Attributes:
        source: A hub, the URL of a folder of releases, or the path of a file.
        digest: ``sha256:<hex>`` of the archive.
        manifest: ``sha256:<hex>`` of the artifact's manifest; empty where it came from no registry.
    """

    source: str
    digest: str
    manifest: str = ""


@dataclass(frozen=True, kw_only=True)
class FetchedIstioctl:
    """An archive that lies unpacked in the cache.

    Attributes:
        folder: What it is unpacked to.
    """

    archive: IstioctlArchive
    origin: Origin
    folder: Path

    @property
    def program(self) -> Path:
        """The program istioctl."""
        return self.folder / PROGRAM

    @property
    def samples(self) -> Path:
        """Istio's samples, Bookinfo and the add-ons among them."""
        return self.folder / SAMPLES


def platform_of(system: str, machine: str) -> str:
    """Name the platform of a machine, as Istio's archives do.

    Args:
        system: The operating system as ``uname -s`` says it.
        machine: The processor as ``uname -m`` says it.

    Raises:
        IstioctlError: Istio publishes no archive that nksmesh can use there.
    """
    architecture = _ARCHITECTURES.get(machine.lower())
    if system != "Linux" or architecture is None:
        raise IstioctlError(
            f"there is no istioctl for this machine ({system} {machine})",
            hint="Run the command on Linux with an x86_64 or aarch64 processor.",
        )
    return f"linux-{architecture}"


def archive_named(name: str) -> IstioctlArchive | None:
    """Read the name of an archive's file; None where Istio names none so."""
    found = _NAME.fullmatch(name)
    return IstioctlArchive(version=found["version"], platform=found["platform"]) if found else None


def archive_of_file(name: str) -> IstioctlArchive:
    """Read the name of an archive's file that a user gave.

    Raises:
        IstioctlError: Istio names none so.
    """
    found = archive_named(name)
    if found is None:
        raise IstioctlError(
            f"{name} is not the name of an Istio release archive",
            hint="Rename the file to istio-X.Y.Z-linux-amd64.tar.gz (or -linux-arm64), as Istio publishes it.",
        )
    return found


def check_contents(archive: IstioctlArchive, top: str, header: bytes, title: str) -> None:
    """Hold what an archive contains against what it was taken for.

    Args:
        top: The name of its top folder.
        header: The first bytes of its istioctl.
        title: What errors call the archive.

    Raises:
        IstioctlError: It is of another version, or for another platform.
    """
    if top != archive.folder:
        raise IstioctlError(
            f"{title} holds the folder {top}, not {archive.folder}: it is another version",
            hint="The archive was not used. Pass the --version that it is of, or another --from.",
        )
    machine = int.from_bytes(header[18:20], "little")
    found = _ELF_MACHINES.get(machine, "another platform") if header.startswith(b"\x7fELF") else "no Linux program"
    if found != archive.platform:
        what = f"is for {found}" if found in _ELF_MACHINES.values() else f"is {found}"
        raise IstioctlError(
            f"the istioctl in {title} {what}, and {archive.platform} is needed",
            hint="The archive was not used. Get the archive for this platform, or pass another --from.",
        )
