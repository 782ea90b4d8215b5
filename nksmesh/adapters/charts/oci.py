"""Charts in a registry of container images, pulled by the user's own Helm.

Helm reads the logins that ``docker login`` and ``helm registry login`` keep, and says the digest of what it pulled.
"""

from __future__ import annotations

import asyncio
import os
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from nksmesh.adapters import processes
from nksmesh.adapters.charts.archive import MIB, MOST_ARCHIVE
from nksmesh.adapters.charts.sources import Registry
from nksmesh.adapters.helm.program import find_helm
from nksmesh.domain.charts.chart import ChartRef
from nksmesh.domain.common.addresses import is_loopback
from nksmesh.domain.common.errors import ChartError

WHOLE_SECONDS: Final = 300.0
_DIGEST: Final = re.compile(r"^Digest: (sha256:[0-9a-f]{64})$", re.MULTILINE)
_DENIED: Final = re.compile(r"\b(401|403|unauthorized|denied|forbidden|basic credential not found)\b", re.IGNORECASE)
_MISSING: Final = re.compile(r"\bnot found\b|\b404\b|could not locate a version", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class Pulled:
    """A chart that was pulled.

    Attributes:
        manifest: The digest of its manifest, ``sha256:<hex>``.
    """

    archive: bytes
    manifest: str


async def pull(ref: ChartRef, registry: Registry, *, helm: str) -> Pulled:
    """Pull a chart's archive. A registry on this machine is spoken to in plain HTTP.

    Args:
        helm: The Helm to run, as ``--helm`` names it; empty for the one that is found.

    Raises:
        ChartError: It is not there, cannot be pulled, or is too large.
        ConfigError: There is no Helm to pull it with.
    """
    program = await find_helm(helm)
    with tempfile.TemporaryDirectory(prefix="nksmesh-pull-") as folder:
        arguments = ["pull", f"{registry.url}/{ref.name}", "--version", ref.version, "--destination", folder]
        if is_loopback(registry.host):
            arguments.append("--plain-http")
        said = await _run(program.path, arguments, ref, registry)
        found = _DIGEST.search(said)
        content = await asyncio.to_thread(_only_archive, Path(folder))
        if content is None or found is None:
            raise _failed(ref, registry, "Helm did not say what it pulled", said)
    if len(content) > MOST_ARCHIVE:
        raise ChartError(
            f"chart {ref} from {registry.url} is larger than {MOST_ARCHIVE // MIB} MiB, the limit for a chart",
            hint="Pass another source with --charts.",
        )
    return Pulled(archive=content, manifest=found[1])


def _only_archive(folder: Path) -> bytes | None:
    """Read the one archive of a folder, or one byte more than an archive may have."""
    archives = list(folder.glob("*.tgz"))
    if len(archives) != 1:
        return None
    with archives[0].open("rb") as file:
        return file.read(MOST_ARCHIVE + 1)


async def _run(program: Path, arguments: list[str], ref: ChartRef, registry: Registry) -> str:
    """Run Helm and return what it said on both streams: which of them has the digest differs between 3 and 4."""
    environ = {key: text for key, text in os.environ.items() if key != "HELM_DEBUG"}
    try:
        ended = await processes.run_to_end(program, arguments, environ=environ, seconds=WHOLE_SECONDS, together=True)
    except TimeoutError:
        raise _failed(ref, registry, f"it took longer than {WHOLE_SECONDS:.0f} s", "") from None
    except OSError as error:
        raise _failed(ref, registry, f"{program} cannot be started: {error.strerror or error}", "") from error
    said = ended.out.decode(errors="replace")
    if ended.code:
        raise _refused(ref, registry, said)
    return said


def _refused(ref: ChartRef, registry: Registry, said: str) -> ChartError:
    if _DENIED.search(said):
        return ChartError(
            f"{registry.host} refuses to give chart {ref} from {registry.url}",
            hint=f"Run docker login {registry.host} or helm registry login {registry.host}; Helm uses that login.",
            detail=said.strip(),
        )
    if _MISSING.search(said):
        return ChartError(
            f"there is no chart {ref} in {registry.url}",
            hint=f"Push it: helm push {ref.name}-{ref.version}.tgz {registry.url} Or pass another source: --charts.",
            detail=said.strip(),
        )
    return _failed(ref, registry, "Helm failed", said)


def _failed(ref: ChartRef, registry: Registry, problem: str, said: str) -> ChartError:
    return ChartError(
        f"chart {ref} could not be pulled from {registry.url}: {problem}",
        hint=f"Check that this machine can reach {registry.host}. Without it, pass a folder: --charts FOLDER.",
        detail=said.strip(),
    )
