"""The charts of the module that a data plane's istiod is built of, packaged as Istio's release does it."""

from __future__ import annotations

import asyncio
import gzip
import io
import re
import shutil
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from nksmesh.domain.common.errors import ConfigError
from nksmesh.domain.common.events import Listener, unheard
from nksmesh.sandbox.builds import ISTIO, ISTIO_VERSION
from nksmesh.sandbox.programs import ensure
from nksmesh.sandbox.results import PackagedChart, PackagedCharts

_CHARTS: Final[Mapping[str, str]] = {
    "base": "base",
    "istiod": "istio-control/istio-discovery",
    "gateway": "gateway",
    "cni": "istio-cni",
    "ztunnel": "ztunnel",
}
"""Each chart's name, and its folder in the module's manifests/charts."""

# What Istio's release replaces in a chart: placeholders that the sources have for the version and for the images' tag.
_PLACEHOLDERS: Final[Mapping[str, re.Pattern[bytes]]] = {
    "Chart.yaml": re.compile(rb"^((?:app)?[vV]ersion: )1\.0\.0$", re.MULTILINE),
    "values.yaml": re.compile(rb"^( *tag: )latest$", re.MULTILINE),
}


async def package_charts(folder: Path, *, with_samples: bool = False, listener: Listener = unheard) -> PackagedCharts:
    """Write the charts of the data plane's istiod into a folder that ``--charts`` reads; the same bytes each time.

    Args:
        folder: The folder; it is made where it is not there.
        with_samples: Copy Istio's samples beside them, into ``samples``.

    Raises:
        ConfigError: There is no Go to build with, or the folder or the cache cannot be written.
        ClusterError: Istio's module cannot be had.
    """
    source = await ensure(ISTIO, listener)
    return await asyncio.to_thread(_write, source, folder, with_samples=with_samples)


def _write(source: Path, folder: Path, *, with_samples: bool) -> PackagedCharts:
    from nksmesh.adapters.charts.archive import digest_of
    from nksmesh.adapters.charts.sources import Folder

    archives = {
        f"{name}-{ISTIO_VERSION}.tgz": _packaged(source / "charts" / path, name) for name, path in _CHARTS.items()
    }
    samples = folder / "samples" if with_samples else None
    try:
        Folder(folder).write(archives)
        if samples:
            shutil.copytree(source / "samples", samples, dirs_exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"the charts cannot be written into {folder}: {error.strerror or error}",
            hint="Name a folder that you may write: nksmesh sandbox charts DIR.",
        ) from error
    charts = tuple(PackagedChart(file=file, digest=digest_of(content)) for file, content in archives.items())
    return PackagedCharts(folder=folder, version=ISTIO_VERSION, charts=charts, samples=samples)


def _packaged(chart: Path, name: str) -> bytes:
    """Make a chart's archive: Chart.yaml first, as Helm does, without times and owners."""
    made = io.BytesIO()
    with gzip.GzipFile(fileobj=made, mode="wb", mtime=0) as zipped, tarfile.open(fileobj=zipped, mode="w") as archive:
        for path, content in _files(chart):
            member = tarfile.TarInfo(f"{name}/{path}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return made.getvalue()


def _files(chart: Path) -> Iterator[tuple[str, bytes]]:
    paths = [path for path in chart.rglob("*") if path.is_file()]
    for path in sorted(paths, key=lambda path: (path != chart / "Chart.yaml", path)):
        name = path.relative_to(chart).as_posix()
        content = path.read_bytes()
        if name in _PLACEHOLDERS:
            content = _PLACEHOLDERS[name].sub(rb"\g<1>" + ISTIO_VERSION.encode(), content)
        yield name, content
