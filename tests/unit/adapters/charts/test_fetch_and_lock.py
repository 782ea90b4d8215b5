from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from nksmesh.adapters.charts.lockfile import LockFile
from nksmesh.adapters.charts.store import ChartStore
from nksmesh.commands.charts import fetch_charts, list_charts, lock_charts
from nksmesh.domain.charts.chart import ChartRef
from nksmesh.domain.charts.lock import Lock
from nksmesh.domain.common.data import data_of
from nksmesh.domain.common.errors import ChartError, ConfigError
from nksmesh.domain.common.events import Event, EventKind

EXAMPLES = Path(__file__).resolve().parents[4] / "examples/charts"
NAMES = ["base", "gateway", "istiod"]


@pytest.fixture
def locks(tmp_path: Path) -> LockFile:
    file = LockFile(tmp_path / "charts.lock")
    file.write(Lock())
    return file


@pytest.fixture
def archives(folder: Path) -> str:
    for name in NAMES:
        shutil.make_archive(str(folder / f"{name}-1.20.0"), "gztar", EXAMPLES, name)
        (folder / f"{name}-1.20.0.tar.gz").rename(folder / f"{name}-1.20.0.tgz")
    return str(folder)


async def test_fetch_names_every_component(archives: str, store: ChartStore, locks: LockFile) -> None:
    result = await fetch_charts(["1.20.0", "1.20.0"], source=archives, charts=store, locks=locks)
    data = data_of(result)
    assert [row["chart"] for row in data["charts"]] == NAMES
    assert {(row["version"], row["source"], row["pinned"], row["cached"]) for row in data["charts"]} == {
        ("1.20.0", archives, False, True)
    }
    assert all(chart.folder and chart.folder.is_relative_to(store.cache) for chart in result.charts)
    assert json.loads(json.dumps(data)) == data


def added_archive(folder: str, name: str) -> None:
    """Add an archive of another component's chart."""
    made = Path(folder) / "made" / name
    made.mkdir(parents=True)
    (made / "Chart.yaml").write_text(f"apiVersion: v2\nname: {name}\nversion: 1.20.0\n")
    archive = shutil.make_archive(str(Path(folder) / "made" / f"{name}-1.20.0"), "gztar", made.parent, name)
    Path(archive).rename(Path(folder) / f"{name}-1.20.0.tgz")
    shutil.rmtree(made)


async def test_fetch_takes_other_components_on_request(archives: str, store: ChartStore, locks: LockFile) -> None:
    added_archive(archives, "cni")
    some = await fetch_charts(["1.20.0"], source=archives, charts=store, locks=locks, components=["cni", "base"])
    assert [row.ref.name for row in some.charts] == ["base", "cni", "gateway", "istiod"]
    with pytest.raises(ChartError, match="ztunnel"):
        await fetch_charts(["1.20.0"], source=archives, charts=store, locks=locks, components=["cni", "ztunnel"])
    with pytest.raises(ConfigError, match="--component cnii: there is no such component") as refused:
        await fetch_charts(["1.20.0"], source=archives, charts=store, locks=locks, components=["cnii"])
    assert "base, istiod, cni, ztunnel, gateway" in refused.value.hint


async def test_lock_pins_other_components_on_request(archives: str, store: ChartStore, locks: LockFile) -> None:
    added_archive(archives, "cni")
    await lock_charts(["1.20.0"], source=archives, charts=store, locks=locks)
    later = await lock_charts(source=archives, charts=store, locks=locks, components=["cni"])
    assert (later.added, [row.ref.name for row in later.charts if row.pinned]) == (
        1,
        ["base", "cni", "gateway", "istiod"],
    )
    locks.write(Lock())
    at_once = await lock_charts(["1.20.0"], source=archives, charts=store, locks=locks, components=["cni"])
    assert at_once.added == 4


async def test_fetch_wants_a_version(store: ChartStore, locks: LockFile) -> None:
    with pytest.raises(ConfigError, match="no version"):
        await fetch_charts([], charts=store, locks=locks)


async def test_lock_pins_once(archives: str, store: ChartStore, locks: LockFile) -> None:
    first = await lock_charts(["1.20.0"], source=archives, charts=store, locks=locks)
    assert (first.added, first.lock) == (3, locks.path)
    text = locks.path.read_bytes()
    again = await lock_charts(source=archives, charts=store, locks=locks)
    assert (again.added, [row.pinned for row in again.charts]) == (0, [True] * 3)
    assert locks.path.read_bytes() == text
    assert (await fetch_charts(["1.20.0"], source=archives, charts=store, locks=locks, locked=True)).charts[0].pinned


async def test_lock_pins_what_the_lock_names_at_a_version(archives: str, store: ChartStore, locks: LockFile) -> None:
    locks.write(Lock(entries={ChartRef(name="base", version="1.20.0", source=archives): None}))
    result = await lock_charts(["1.20.0"], charts=store, locks=locks)
    assert [row.ref.name for row in result.charts] == ["base"]
    assert None not in locks.read().entries.values()


async def test_lock_refuses_an_archive_that_changed(archives: str, store: ChartStore, locks: LockFile) -> None:
    await lock_charts(["1.20.0"], source=archives, charts=store, locks=locks)
    text = locks.path.read_bytes()
    shutil.copyfile(f"{archives}/base-1.20.0.tgz", f"{archives}/istiod-1.20.0.tgz")
    with pytest.raises(ChartError, match=r"istiod 1\.20\.0 .* is not the archive"):
        await lock_charts(source=archives, charts=store, locks=locks)
    assert locks.path.read_bytes() == text


async def test_lock_with_nothing_to_pin_says_so(archives: str, store: ChartStore, locks: LockFile) -> None:
    with pytest.raises(ConfigError, match="has no chart"):
        await lock_charts(source=archives, charts=store, locks=locks)


async def test_unpacked_charts_are_not_pinned_and_it_is_said(store: ChartStore, locks: LockFile) -> None:
    heard: list[Event] = []
    result = await lock_charts(["1.20.0"], source=str(EXAMPLES), charts=store, locks=locks, listener=heard.append)
    assert result.added == 0
    assert sum(event.kind is EventKind.WARNING for event in heard) == 3
    assert locks.read().entries == {}


async def test_list_tells_what_is_pinned_and_cached(archives: str, store: ChartStore, locks: LockFile) -> None:
    await lock_charts(["1.20.0"], source=archives, charts=store, locks=locks)
    elsewhere = ChartRef(name="cni", version="1.19.0", source="https://mirror.example/charts")
    locks.write(Lock(entries={**locks.read().entries, elsewhere: None}))
    rows = {row.ref.name: row for row in list_charts(charts=store, locks=locks).charts}
    assert (rows["base"].pinned, rows["base"].cached) == (True, True)
    assert (rows["cni"].pinned, rows["cni"].cached, rows["cni"].digest) == (False, False, None)


def test_the_examples_are_what_git_would_ship() -> None:
    assert sorted(path.name for path in EXAMPLES.iterdir()) == NAMES
    assert not [path for path in EXAMPLES.rglob("*") if path.is_symlink()]
