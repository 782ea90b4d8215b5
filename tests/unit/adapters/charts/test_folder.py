"""Charts from a folder, and what the cache makes of them."""

from __future__ import annotations

import asyncio
import io
import os
import tarfile
from pathlib import Path

import pytest

from nksmesh.adapters.charts.store import ChartStore
from nksmesh.domain.charts.chart import Chart, ChartRef
from nksmesh.domain.charts.lock import Lock
from nksmesh.domain.common.errors import ChartError, ConfigError

VALUES = "global:\n  hub: registry.invalid/istio\nports: {80: =}\n"
CRDS = "kind: A\n---\n---\nkind: B\n"


def write_chart(folder: Path, *, name: str = "base", version: str = "1.20.0", values: str = VALUES) -> Path:
    (folder / "crds").mkdir(parents=True)
    (folder / "Chart.yaml").write_text(f"apiVersion: v2\nname: {name}\nversion: {version}\nappVersion: {version}\n")
    (folder / "values.yaml").write_text(values)
    (folder / "crds/b.yaml").write_text(CRDS)
    (folder / "crds/a.json").write_text('{"kind": "First"}')
    (folder / "crds/README.md").write_text("not a manifest: [")
    return folder


def pack(chart: Path, archive: Path, top: str) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        tar.add(chart, arcname=top)
    archive.write_bytes(buffer.getvalue())
    return buffer.getvalue()


def ref(folder: Path, *, name: str = "base", version: str = "1.20.0") -> ChartRef:
    return ChartRef(name=name, version=version, source=str(folder))


async def fetch(store: ChartStore, wanted: ChartRef, *, lock: Lock | None = None, locked: bool = False) -> Chart:
    return (await store.fetch([wanted], lock=lock or Lock(), locked=locked))[wanted]


@pytest.mark.parametrize("named", ["base", "base-1.20.0"])
async def test_an_unpacked_chart_is_used_where_it_is(named: str, folder: Path, store: ChartStore) -> None:
    path = write_chart(folder / named)
    for _ in range(2):
        chart = await fetch(store, ref(folder))
        assert (chart.folder, chart.app_version, chart.from_archive) == (path, "1.20.0", False)
        assert chart.defaults == {"global": {"hub": "registry.invalid/istio"}, "ports": {"80": "="}}
        assert [crd["kind"] for crd in chart.crds] == ["First", "A", "B"]


async def test_a_changed_folder_is_read_anew(folder: Path, store: ChartStore) -> None:
    path = write_chart(folder / "base")
    before = await fetch(store, ref(folder))
    (path / "values.yaml").write_text("other: 1\n")
    after = await fetch(store, ref(folder))
    assert after.defaults == {"other": 1}
    assert after.digest != before.digest


async def test_an_archive_is_unpacked_into_the_cache(folder: Path, store: ChartStore, tmp_path: Path) -> None:
    pack(write_chart(tmp_path / "chart"), folder / "base-1.20.0.tgz", "base")
    first, second = [await fetch(store, ref(folder)) for _ in range(2)]
    assert first == second
    assert first.from_archive
    assert first.folder.is_relative_to(store.cache)
    assert [crd["kind"] for crd in first.crds] == ["First", "A", "B"]


async def test_a_file_url_is_a_folder(folder: Path, store: ChartStore) -> None:
    write_chart(folder / "base")
    wanted = ChartRef(name="base", version="1.20.0", source=folder.as_uri())
    assert (await fetch(store, wanted)).folder == folder / "base"


async def test_a_folder_that_was_damaged_in_the_cache_is_unpacked_again(
    folder: Path, store: ChartStore, tmp_path: Path
) -> None:
    pack(write_chart(tmp_path / "chart"), folder / "base-1.20.0.tgz", "base")
    chart = await fetch(store, ref(folder))
    parsed = chart.folder.parent / "parsed.json"
    for file, damage in (
        (chart.folder / "values.yaml", "evil: true\n"),
        (chart.folder / "values.yaml", None),
        (chart.folder / "more.yaml", "a: 1\n"),
        (parsed, "{"),
        (parsed, None),
    ):
        if damage is None:
            file.unlink()
        else:
            file.write_text(damage)
        assert await fetch(store, ref(folder)) == chart
        assert (chart.folder / "values.yaml").read_text() == VALUES
        assert not (chart.folder / "more.yaml").exists()


async def test_nothing_is_left_behind_in_the_cache(folder: Path, store: ChartStore, tmp_path: Path) -> None:
    pack(write_chart(tmp_path / "chart"), folder / "base-1.20.0.tgz", "base")
    await asyncio.gather(*(fetch(store, ref(folder)) for _ in range(8)))
    assert [path.name for path in store.cache.iterdir() if path.name.startswith(".")] == []


async def test_a_tampered_archive_is_refused_with_both_digests(folder: Path, store: ChartStore, tmp_path: Path) -> None:
    pack(write_chart(tmp_path / "good"), folder / "base-1.20.0.tgz", "base")
    good = await fetch(store, ref(folder))
    pack(write_chart(tmp_path / "bad", values="evil: true\n"), folder / "base-1.20.0.tgz", "base")
    bad = await fetch(store, ref(folder))
    with pytest.raises(ChartError) as refused:
        await fetch(store, ref(folder), lock=Lock().pin(good.ref, good.digest))
    assert good.digest in refused.value.detail
    assert bad.digest in refused.value.detail


async def test_a_tampered_archive_is_refused_before_it_is_unpacked(folder: Path, tmp_path: Path) -> None:
    pack(write_chart(tmp_path / "bad"), folder / "base-1.20.0.tgz", "base")
    store = ChartStore(cache=tmp_path / "untouched")
    with pytest.raises(ChartError, match="not the archive"):
        await fetch(store, ref(folder), lock=Lock(entries={ref(folder): "sha256:" + "1" * 64}))
    assert not store.cache.exists()


async def test_locked_wants_a_digest(folder: Path, store: ChartStore, tmp_path: Path) -> None:
    pack(write_chart(tmp_path / "chart"), folder / "base-1.20.0.tgz", "base")
    with pytest.raises(ChartError, match="--locked"):
        await fetch(store, ref(folder), locked=True)
    chart = await fetch(store, ref(folder))
    assert await fetch(store, ref(folder), lock=Lock().pin(chart.ref, chart.digest), locked=True) == chart


async def test_locked_refuses_a_folder(folder: Path, store: ChartStore) -> None:
    write_chart(folder / "base")
    with pytest.raises(ChartError, match="cannot pin"):
        await fetch(store, ref(folder), locked=True)


async def test_an_unknown_version_names_the_nearest(folder: Path, store: ChartStore, tmp_path: Path) -> None:
    chart = write_chart(tmp_path / "chart")
    for version in ("1.19.0", "1.20.0", "1.20.1", "1.28.10"):
        pack(chart, folder / f"base-{version}.tgz", "base")
    with pytest.raises(ChartError, match=r"no chart base 1\.20\.9") as refused:
        await fetch(store, ref(folder, version="1.20.9"))
    assert "1.20.1" in refused.value.hint
    with pytest.raises(ChartError) as refused:
        await fetch(store, ref(folder, name="istiod"))
    assert "It has no chart istiod." in refused.value.hint


async def test_another_version_in_the_folder_is_named(folder: Path, store: ChartStore) -> None:
    write_chart(folder / "base", version="1.19.0")
    with pytest.raises(ChartError) as refused:
        await fetch(store, ref(folder))
    assert "1.19.0" in refused.value.hint


async def test_a_chart_that_is_not_what_its_name_says_is_refused(
    folder: Path, store: ChartStore, tmp_path: Path
) -> None:
    pack(write_chart(tmp_path / "chart", version="1.19.0"), folder / "base-1.20.0.tgz", "base")
    with pytest.raises(ChartError, match=r"should be base 1\.20\.0, but its Chart\.yaml says base 1\.19\.0"):
        await fetch(store, ref(folder))


@pytest.mark.parametrize(
    ("file", "text", "words"),
    [
        ("values.yaml", "a: [", r"values\.yaml is not YAML"),
        ("values.yaml", "- a", r"values\.yaml is not a mapping"),
        ("values.yaml", "a: !!binary aGk=", "JSON"),
        ("values.yaml", b"a: \xff", r"values\.yaml is not YAML"),
        ("Chart.yaml", "name: base", "no version"),
        ("Chart.yaml", "name: base\nversion: 1.20", "no version"),
        ("Chart.yaml", "text", "not a mapping"),
        ("crds/b.yaml", "- a", r"crds/b\.yaml holds a document that is not a mapping"),
        ("crds/b.yaml", "a: b: c", r"crds/b\.yaml is not YAML"),
    ],
)
async def test_files_that_are_not_a_charts_are_refused(
    file: str, text: str | bytes, words: str, folder: Path, store: ChartStore
) -> None:
    (write_chart(folder / "base") / file).write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ChartError, match=words) as refused:
        await fetch(store, ref(folder))
    assert refused.value.hint


async def test_a_chart_without_values_has_no_defaults(folder: Path, store: ChartStore) -> None:
    path = write_chart(folder / "base")
    (path / "values.yaml").unlink()
    assert (await fetch(store, ref(folder))).defaults == {}


async def test_a_huge_archive_is_not_read(folder: Path, store: ChartStore) -> None:
    with (folder / "base-1.20.0.tgz").open("wb") as file:
        file.truncate(21 * 1024 * 1024)
    with pytest.raises(ChartError, match="larger than 20 MiB"):
        await fetch(store, ref(folder))


@pytest.mark.parametrize("source", ["/no/such/folder", "file:///no/such/folder"])
async def test_a_folder_that_is_not_there_is_said(source: str, store: ChartStore) -> None:
    with pytest.raises(ChartError, match="the folder does not exist"):
        await fetch(store, ChartRef(name="base", version="1.20.0", source=source))


@pytest.mark.parametrize("source", ["s3://host/charts", "ftp://host/charts", "https://", "https://u:s3cret@h:port/x"])
async def test_what_is_no_source_is_refused(source: str, store: ChartStore) -> None:
    with pytest.raises(ConfigError) as refused:
        await fetch(store, ChartRef(name="base", version="1.20.0", source=source))
    assert "s3cret" not in str(refused.value.__dict__)
    assert not store.cached(ChartRef(name="base", version="1.20.0", source=source), Lock())


async def test_a_cache_that_cannot_be_written_is_named(folder: Path, tmp_path: Path) -> None:
    pack(write_chart(tmp_path / "chart"), folder / "base-1.20.0.tgz", "base")
    (tmp_path / "file").write_text("in the way")
    store = ChartStore(cache=tmp_path / "file/cache")
    with pytest.raises(ChartError) as refused:
        await fetch(store, ref(folder))
    assert str(tmp_path / "file/cache") in refused.value.message
    assert "NKSMESH_CACHE" in refused.value.hint


async def test_an_unpacked_chart_needs_no_cache(folder: Path, tmp_path: Path) -> None:
    write_chart(folder / "base")
    (tmp_path / "file").write_text("in the way")
    chart = await fetch(ChartStore(cache=tmp_path / "file/cache"), ref(folder))
    assert chart.folder == folder / "base"


async def test_the_cache_is_where_the_environment_says(folder: Path, tmp_path: Path) -> None:
    pack(write_chart(tmp_path / "chart"), folder / "base-1.20.0.tgz", "base")
    store = ChartStore(environ={"NKSMESH_CACHE": str(tmp_path / "mine")})
    assert (await fetch(store, ref(folder))).folder.is_relative_to(tmp_path / "mine/charts")


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
async def test_an_archive_that_cannot_be_read_is_said(folder: Path, store: ChartStore) -> None:
    (folder / "base-1.20.0.tgz").touch(mode=0)
    with pytest.raises(ChartError, match="cannot be read"):
        await fetch(store, ref(folder))
