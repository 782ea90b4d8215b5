"""Istio's real charts, from the folder that NKSMESH_TEST_CHARTS names."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from nksmesh.adapters.charts.store import ChartStore
from nksmesh.domain.charts.chart import ChartRef
from nksmesh.domain.charts.lock import Lock

FOLDER = os.environ.get("NKSMESH_TEST_CHARTS", "")
ARCHIVES = sorted(path.name.removesuffix(".tgz").split("-", 1) for path in Path(FOLDER).glob("*.tgz")) if FOLDER else []

pytestmark = [
    pytest.mark.conformance,
    pytest.mark.skipif(not ARCHIVES, reason="NKSMESH_TEST_CHARTS names no folder of Istio's charts"),
]


@pytest.mark.parametrize(("name", "version"), ARCHIVES)
async def test_every_archive_is_what_its_name_says(name: str, version: str, tmp_path: Path) -> None:
    ref = ChartRef(name=name, version=version, source=FOLDER)
    cold, warm = [(await ChartStore(cache=tmp_path).fetch([ref], lock=Lock()))[ref] for _ in range(2)]
    assert cold == warm
    assert cold.app_version == version
    assert cold.defaults
    assert (cold.folder / "Chart.yaml").is_file()
    kinds = {crd["kind"] for crd in cold.crds}
    minor = tuple(map(int, version.split(".")[:2]))
    assert kinds == ({"CustomResourceDefinition"} if name == "base" and minor < (1, 24) else set())


async def test_all_of_them_are_fetched_at_once(tmp_path: Path) -> None:
    refs = [ChartRef(name=name, version=version, source=FOLDER) for name, version in ARCHIVES]
    fetched = await ChartStore(cache=tmp_path).fetch(refs, lock=Lock())
    assert list(fetched) == sorted(refs)
    assert len({chart.digest for chart in fetched.values()}) == len(refs)


async def test_the_crds_of_1_20_are_the_fifteen_of_istio(tmp_path: Path) -> None:
    if ["base", "1.20.0"] not in ARCHIVES:
        pytest.skip("the folder has no base 1.20.0")
    ref = ChartRef(name="base", version="1.20.0", source=FOLDER)
    crds = (await ChartStore(cache=tmp_path).fetch([ref], lock=Lock()))[ref].crds
    assert len(crds) == 15
    assert {crd["spec"]["group"].removesuffix(".istio.io") for crd in crds} == {
        "extensions",
        "install",
        "networking",
        "security",
        "telemetry",
    }
