"""Archives without a network: copied into a folder, and held against charts.lock."""

from __future__ import annotations

import gzip
import io
import tarfile
from pathlib import Path

import pytest

from nksmesh.adapters.charts.archive import digest_of
from nksmesh.adapters.charts.lockfile import LockFile
from nksmesh.adapters.charts.store import ChartStore
from nksmesh.commands.archives import ArchiveState, Verified, vendor_charts, verify_charts
from nksmesh.commands.charts import lock_charts
from nksmesh.domain.charts.chart import ChartRef
from nksmesh.domain.charts.lock import Lock
from nksmesh.domain.common.errors import ChartError, ConfigError
from nksmesh.domain.mesh.request import Request
from nksmesh.engine.request import MeshRequest
from tests.unit.fakes.world import CATALOG

NAMES = ("base", "gateway", "istiod")


def pack(name: str, version: str = "1.20.0", values: str = "a: 1\n") -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for file, text in (("Chart.yaml", f"name: {name}\nversion: {version}\n"), ("values.yaml", values)):
            info = tarfile.TarInfo(f"{name}/{file}")
            info.size = len(text)
            tar.addfile(info, io.BytesIO(text.encode()))
    return gzip.compress(buffer.getvalue(), mtime=0)


@pytest.fixture
def archives(folder: Path) -> str:
    """A folder with an archive of each chart."""
    for name in NAMES:
        (folder / f"{name}-1.20.0.tgz").write_bytes(pack(name))
    return str(folder)


@pytest.fixture
def locks(tmp_path: Path) -> LockFile:
    """An empty charts.lock."""
    file = LockFile(tmp_path / "charts.lock")
    file.write(Lock())
    return file


@pytest.fixture
async def pinned(archives: str, store: ChartStore, locks: LockFile) -> str:
    """The folder, pinned."""
    await lock_charts(["1.20.0"], source=archives, charts=store, locks=locks)
    return archives


def states(verified: Verified) -> dict[str, str]:
    return {row.name: row.state for row in verified.archives}


def ids(verified: Verified) -> list[str]:
    return [finding.id for finding in verified.findings]


async def test_the_lock_is_copied_into_a_folder(
    pinned: str, store: ChartStore, locks: LockFile, tmp_path: Path
) -> None:
    assert pinned
    vendored = await vendor_charts(tmp_path / "new/charts", charts=store, locks=locks)
    assert [(row.file, row.pinned) for row in vendored.charts] == [(f"{name}-1.20.0.tgz", True) for name in NAMES]
    assert sorted(path.name for path in (tmp_path / "new/charts").iterdir()) == [row.file for row in vendored.charts]
    for row in vendored.charts:
        assert digest_of((tmp_path / "new/charts" / row.file).read_bytes()) == row.digest


async def test_a_mesh_is_copied_whether_it_is_pinned_or_not(
    archives: str, store: ChartStore, locks: LockFile, tmp_path: Path
) -> None:
    options = Request(region="kr1", version="1.20.0", charts=archives)
    request = MeshRequest(options=options, catalog=CATALOG)
    vendored = await vendor_charts(tmp_path / "v", request=request, charts=store, locks=locks)
    assert [(row.ref.name, row.pinned) for row in vendored.charts] == [(name, False) for name in NAMES]
    with pytest.raises(ChartError, match="--locked requires it"):
        await vendor_charts(tmp_path / "v", request=request, charts=store, locks=locks, locked=True)


async def test_what_cannot_be_copied_is_said(pinned: str, store: ChartStore, locks: LockFile, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"has no chart of version 1\.99\.0"):
        await vendor_charts(tmp_path / "v", ["1.99.0"], charts=store, locks=locks)
    with pytest.raises(ConfigError, match="has no chart from https://charts"):
        await vendor_charts(tmp_path / "v", source="https://charts.example.com/", charts=store, locks=locks)
    elsewhere = ChartRef(name="base", version="1.20.0", source="https://charts.example.com")
    locks.write(Lock(entries={**locks.read().entries, elsewhere: None}))
    assert len((await vendor_charts(tmp_path / "pinned", charts=store, locks=locks)).charts) == len(NAMES)
    locks.write(locks.read().pin(elsewhere, digest_of(pack("base", values="other: 1\n"))))
    with pytest.raises(ConfigError, match=r"pins base 1\.20\.0 to several archives"):
        await vendor_charts(tmp_path / "v", charts=store, locks=locks)
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(ConfigError, match="file cannot be written"):
        await vendor_charts(tmp_path / "file", source=pinned, charts=store, locks=locks)
    (Path(pinned) / "istiod-1.20.0.tgz").write_bytes(pack("istiod", values="evil: 1\n"))
    with pytest.raises(ChartError, match=r"istiod 1\.20\.0 .* is not the archive"):
        await vendor_charts(tmp_path / "v", source=pinned, charts=store, locks=locks)
    assert not (tmp_path / "v").exists()
    locks.write(Lock())
    with pytest.raises(ConfigError, match="names no chart"):
        await vendor_charts(tmp_path / "v", charts=store, locks=locks)


async def test_an_unpacked_chart_has_no_archive(
    folder: Path, store: ChartStore, locks: LockFile, tmp_path: Path
) -> None:
    for name in NAMES:
        (folder / name).mkdir()
        (folder / name / "Chart.yaml").write_text(f"name: {name}\nversion: 1.20.0\n")
    request = MeshRequest(options=Request(region="kr1", version="1.20.0", charts=str(folder)), catalog=CATALOG)
    with pytest.raises(ChartError, match="has no archive that can be copied") as refused:
        await vendor_charts(tmp_path / "v", request=request, charts=store, locks=locks)
    assert "helm package" in refused.value.hint


async def test_a_folder_is_held_against_the_lock(pinned: str, store: ChartStore, locks: LockFile) -> None:
    verified = verify_charts(folder=pinned, charts=store, locks=locks)
    assert states(verified) == {f"{name} 1.20.0": "verified" for name in NAMES}
    assert verified.exit_code == 0

    home = Path(pinned)
    (home / "base-1.20.0.tgz").write_bytes(pack("base", values="evil: 1\n"))
    (home / "gateway-1.20.0.tgz").unlink()
    (home / "evil-1.0.0.tgz").write_bytes(b"anything")
    locks.write(Lock(entries={**locks.read().entries, ChartRef(name="cni", version="1.20.0", source=pinned): None}))
    found = verify_charts(folder=pinned, charts=store, locks=locks)
    assert states(found) == {
        "base 1.20.0": ArchiveState.DIFFERS,
        "gateway 1.20.0": ArchiveState.MISSING,
        "istiod 1.20.0": ArchiveState.VERIFIED,
        "evil-1.0.0.tgz": ArchiveState.FOREIGN,
    }
    assert ids(found) == [
        "charts.other-archive",
        "charts.missing-archive",
        "charts.foreign-archive",
        "charts.unpinned",
    ]
    assert found.exit_code == 3
    assert digest_of(pack("base", values="evil: 1\n")) in found.findings[0].detail
    (warning,) = found.warnings
    assert warning.startswith(f"1 chart of {locks.path} has no digest and cannot be verified: cni 1.20.0 (")


async def test_other_versions_are_not_missed_and_not_foreign(pinned: str, store: ChartStore, locks: LockFile) -> None:
    later = ChartRef(name="base", version="1.30.2", source=pinned)
    locks.write(locks.read().pin(later, digest_of(b"later")))
    (Path(pinned) / "base-1.30.2.tgz").write_bytes(b"later")
    assert verify_charts(["1.20.0"], folder=pinned, charts=store, locks=locks).exit_code == 0
    with pytest.raises(ConfigError, match=r"has no chart of version 1\.99\.0"):
        verify_charts(["1.99.0"], folder=pinned, charts=store, locks=locks)


async def test_the_cache_is_held_against_the_lock(store: ChartStore, locks: LockFile) -> None:
    ref = ChartRef(name="base", version="1.20.0")
    content = pack("base")
    locks.write(Lock().pin(ref, digest_of(content)))
    assert ids(verify_charts(charts=store, locks=locks)) == ["charts.missing-archive"]
    kept = store.cache / f"{digest_of(content).removeprefix('sha256:')}.tgz"
    kept.parent.mkdir(parents=True)
    kept.write_bytes(content)
    assert verify_charts(charts=store, locks=locks).exit_code == 0
    kept.write_bytes(content[:-1])
    assert ids(verify_charts(charts=store, locks=locks)) == ["charts.other-archive"]


async def test_a_lock_that_pins_nothing_verifies_nothing(store: ChartStore, locks: LockFile) -> None:
    locks.write(Lock(entries={ChartRef(name="base", version="1.20.0"): None}))
    for versions, words in (((), "pins no chart: "), (("1.20.0",), r"pins no chart of version 1\.20\.0: ")):
        with pytest.raises(ConfigError, match=words) as refused:
            verify_charts(versions, charts=store, locks=locks)
        assert "charts lock" in refused.value.hint


async def test_what_is_no_folder_is_refused(store: ChartStore, locks: LockFile) -> None:
    locks.write(Lock().pin(ChartRef(name="base", version="1.20.0"), digest_of(pack("base"))))
    with pytest.raises(ConfigError, match="it is not a folder"):
        verify_charts(folder="https://charts.example.com", charts=store, locks=locks)
    with pytest.raises(ChartError, match="the folder does not exist"):
        verify_charts(folder="/no/such/folder", charts=store, locks=locks)


async def test_pins_are_renewed_on_purpose(pinned: str, store: ChartStore, locks: LockFile) -> None:
    before = locks.read()
    (Path(pinned) / "istiod-1.20.0.tgz").write_bytes(changed := pack("istiod", values="a: 2\n"))
    with pytest.raises(ChartError, match="is not the archive") as refused:
        await lock_charts(charts=store, locks=locks)
    assert "charts lock --upgrade 1.20.0" in refused.value.hint
    renewed = await lock_charts(charts=store, locks=locks, upgrade=True)
    ref = ChartRef(name="istiod", version="1.20.0", source=pinned)
    assert (renewed.added, renewed.renewed) == (1, {"istiod 1.20.0": before.digest(ref)})
    assert locks.read().digest(ref) == digest_of(changed)
    assert len(locks.read().entries) == len(before.entries)
    assert (await lock_charts(charts=store, locks=locks, upgrade=True)).added == 0


async def test_a_pinned_chart_that_is_a_folder_now_keeps_its_pin(
    pinned: str, store: ChartStore, locks: LockFile
) -> None:
    before = locks.path.read_bytes()
    home = Path(pinned)
    (home / "base-1.20.0.tgz").unlink()
    (home / "base").mkdir()
    (home / "base/Chart.yaml").write_text("name: base\nversion: 1.20.0\n")
    assert (await lock_charts(charts=store, locks=locks, upgrade=True)).added == 0
    assert locks.path.read_bytes() == before


async def test_a_folder_is_locked_by_what_another_source_is_pinned_to(
    archives: str, store: ChartStore, locks: LockFile
) -> None:
    ref = ChartRef(name="base", version="1.20.0", source=archives)
    lock = locks.read().pin(ChartRef(name="base", version="1.20.0"), digest_of(pack("base", values="other: 1\n")))
    with pytest.raises(ChartError, match="--locked requires it"):
        await store.fetch([ref], lock=lock, locked=True)
    digest = digest_of((Path(archives) / "base-1.20.0.tgz").read_bytes())
    lock = locks.read().pin(ChartRef(name="base", version="1.20.0"), digest)
    assert (await store.fetch([ref], lock=lock, locked=True))[ref].from_archive
