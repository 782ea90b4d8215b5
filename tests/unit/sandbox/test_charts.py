from __future__ import annotations

import asyncio
import tarfile
from pathlib import Path

import pytest

from nksmesh.adapters.charts.archive import digest_of
from nksmesh.domain.common.errors import ConfigError
from nksmesh.sandbox.builds import CACHE_VARIABLE, ISTIO, ISTIO_VERSION
from nksmesh.sandbox.charts import package_charts
from nksmesh.sandbox.results import PackagedCharts

NAMES = ("base", "istiod", "gateway", "cni", "ztunnel")
FOLDERS = ("base", "istio-control/istio-discovery", "gateway", "istio-cni", "ztunnel")


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put what a build of Istio leaves into the cache."""
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    for name in (*ISTIO.packages, "envoy_bootstrap.json"):
        ISTIO.folder.mkdir(parents=True, exist_ok=True)
        (ISTIO.folder / name).write_text("")
    for name, folder in zip(NAMES, FOLDERS, strict=True):
        chart = ISTIO.folder / "charts" / folder
        (chart / "templates").mkdir(parents=True)
        (chart / "Chart.yaml").write_text(f"name: {name}\n# shipped\nversion: 1.0.0\nappVersion: 1.0.0\n")
        (chart / "values.yaml").write_text("a:\n  tag: ''\n  global:\n    tag: latest\n    note: latest\n")
        (chart / "templates" / "one.yaml").write_text("tag: latest\nversion: 1.0.0\n")
    (ISTIO.folder / "samples" / "bookinfo").mkdir(parents=True)
    (ISTIO.folder / "samples" / "bookinfo" / "bookinfo.yaml").write_text("kind: List\n")
    return tmp_path


def package(folder: Path, *, with_samples: bool = False) -> PackagedCharts:
    return asyncio.run(package_charts(folder, with_samples=with_samples))


def test_charts_are_packaged_as_istios_release_does_it(module: Path) -> None:
    packaged = package(module / "charts")
    assert [chart.file for chart in packaged.charts] == [f"{name}-{ISTIO_VERSION}.tgz" for name in NAMES]
    with tarfile.open(module / "charts" / f"istiod-{ISTIO_VERSION}.tgz") as archive:
        names = archive.getnames()
        texts = {name: archive.extractfile(name).read().decode() for name in names}  # type: ignore[union-attr]  # all are files
    assert names == ["istiod/Chart.yaml", "istiod/templates/one.yaml", "istiod/values.yaml"]
    assert texts["istiod/Chart.yaml"].endswith(f"\nversion: {ISTIO_VERSION}\nappVersion: {ISTIO_VERSION}\n")
    assert texts["istiod/values.yaml"] == f"a:\n  tag: ''\n  global:\n    tag: {ISTIO_VERSION}\n    note: latest\n"
    assert texts["istiod/templates/one.yaml"] == "tag: latest\nversion: 1.0.0\n"


def test_archives_are_the_same_bytes_each_time_and_samples_come_on_request(module: Path) -> None:
    first = package(module / "first")
    assert first.samples is None
    assert not (module / "first" / "samples").exists()
    second = package(module / "second", with_samples=True)
    assert second.charts == first.charts
    assert second.samples == module / "second" / "samples"
    assert (second.samples / "bookinfo" / "bookinfo.yaml").read_text() == "kind: List\n"
    assert package(module / "second", with_samples=True) == second
    for chart in second.charts:
        assert digest_of((module / "second" / chart.file).read_bytes()) == chart.digest


def test_a_folder_that_cannot_be_written_is_named(module: Path) -> None:
    (module / "charts").write_text("a file")
    with pytest.raises(ConfigError, match=r"cannot be written into .*/charts: "):
        package(module / "charts")
