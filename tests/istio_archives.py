"""Istio's release archives for tests: of the real form, with a small program in the place of istioctl."""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

VERSION: Final = "1.20.0"
SAMPLE: Final = "samples/bookinfo/platform/kube/bookinfo.yaml"
MACHINES: Final = {"linux-amd64": 62, "linux-arm64": 183}


def program(platform: str = "linux-amd64", content: bytes = b"") -> bytes:
    """Make what has an ELF header for a platform, and cannot be run."""
    return b"\x7fELF" + bytes(14) + MACHINES[platform].to_bytes(2, "little") + content


def archive(
    version: str = VERSION,
    platform: str = "linux-amd64",
    *,
    istioctl: bytes | None = None,
    more: Mapping[str, bytes] | None = None,
    links: Mapping[str, str] | None = None,
) -> bytes:
    """Make an archive; the same parts make the same bytes.

    Args:
        istioctl: The program in it.
        more: Further files, by their paths in the archive.
        links: Symbolic links, by their paths, and where they lead.
    """
    top = f"istio-{version}"
    files = {
        f"{top}/bin/istioctl": program(platform) if istioctl is None else istioctl,
        f"{top}/{SAMPLE}": b"kind: Service\n",
        **(more or {}),
    }
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as tar:
        for path, content in files.items():
            entry = tarfile.TarInfo(path)
            entry.size, entry.mode = len(content), 0o755 if path.endswith("istioctl") else 0o644
            tar.addfile(entry, io.BytesIO(content))
        for path, target in (links or {}).items():
            entry = tarfile.TarInfo(path)
            entry.type, entry.linkname = tarfile.SYMTYPE, target
            tar.addfile(entry)
    return gzip.compress(made.getvalue(), mtime=0)


def digest_of(content: bytes) -> str:
    """Name bytes as registries do."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def names_in(folder: Path) -> list[str]:
    """List what is in a folder; nothing where it is not there."""
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []
