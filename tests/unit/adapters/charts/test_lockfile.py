from __future__ import annotations

from pathlib import Path

import pytest

from nksmesh.adapters.charts.lockfile import LockFile
from nksmesh.domain.charts.chart import OFFICIAL_SOURCE, ChartRef
from nksmesh.domain.charts.lock import Lock
from nksmesh.domain.common.errors import ConfigError

ROOT = Path(__file__).resolve().parents[4]
LOCK = Lock(entries={ChartRef(name="base", version="1.20.0"): "sha256:" + "1" * 64})


def test_what_was_written_is_read(tmp_path: Path) -> None:
    file = LockFile(tmp_path / "charts.lock")
    file.write(LOCK)
    assert file.read().entries == LOCK.entries
    assert file.read().file == str(file.path)
    assert [path.name for path in tmp_path.iterdir()] == ["charts.lock"]


def test_writing_keeps_the_files_mode(tmp_path: Path) -> None:
    file = LockFile(tmp_path / "charts.lock")
    file.write(LOCK)
    assert file.path.stat().st_mode & 0o777 == 0o644
    file.path.chmod(0o664)
    file.write(LOCK)
    assert file.path.stat().st_mode & 0o777 == 0o664


def test_a_lock_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    file = LockFile(tmp_path / "no/such/folder/charts.lock")
    with pytest.raises(ConfigError, match="cannot be written") as refused:
        file.write(LOCK)
    assert "--dir" in refused.value.hint
    with pytest.raises(ConfigError, match="cannot be read"):
        file.read()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"nksmesh: 1\ncharts: [\n", "line 3: it is not YAML"),
        (b"nksmesh: 1\n\xff\n", "line 2: it is not UTF-8"),
        (b"nksmesh: 1\nnksmesh: 1\ncharts: []\n", "line 2: the key 'nksmesh' appears twice"),
    ],
)
def test_what_is_not_yaml_is_said(text: bytes, words: str, tmp_path: Path) -> None:
    (tmp_path / "charts.lock").write_bytes(text)
    with pytest.raises(ConfigError, match=words):
        LockFile(tmp_path / "charts.lock").read()


def test_the_shipped_lock_names_the_official_charts_and_invents_no_digest() -> None:
    lock = LockFile(ROOT / "charts.lock").read()
    versions = ["1.19.0", "1.20.0", "1.20.1", "1.21.6", "1.22.8", "1.23.6", "1.24.6", "1.28.10", "1.29.6", "1.30.2"]
    names = ["base", "cni", "gateway", "istiod", "ztunnel"]
    assert set(lock.entries) == {ChartRef(name=n, version=v, source=OFFICIAL_SOURCE) for n in names for v in versions}
    assert set(lock.entries.values()) == {None}
    assert (ROOT / "charts.lock").read_text(encoding="utf-8") == lock.text()
