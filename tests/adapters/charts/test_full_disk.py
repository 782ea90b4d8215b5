"""A cache on a disk that is full: a real file system of 64 KiB."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from nksmesh.adapters.charts.store import ChartStore
from nksmesh.domain.charts.chart import ChartRef
from nksmesh.domain.charts.lock import Lock
from nksmesh.domain.common.errors import ChartError


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    disk = tmp_path / "disk"
    disk.mkdir()
    if os.geteuid() != 0 or not shutil.which("mount"):
        pytest.skip("mounting a small file system needs root")
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", disk], capture_output=True, text=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"a small file system cannot be mounted here: {mounted.stderr.strip()}")
    try:
        yield disk
    finally:
        subprocess.run(["umount", disk], check=True)


async def test_a_full_disk_is_named_and_left_clean(full_disk: Path, tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content in {
            "base/Chart.yaml": b"name: base\nversion: 1.20.0\n",
            "base/big": bytes(1024 * 1024),
        }.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    (tmp_path / "base-1.20.0.tgz").write_bytes(buffer.getvalue())
    ref = ChartRef(name="base", version="1.20.0", source=str(tmp_path))
    with pytest.raises(ChartError) as refused:
        await ChartStore(cache=full_disk).fetch([ref], lock=Lock())
    assert f"{full_disk}/charts cannot be written: No space left on device" in refused.value.message
    assert "NKSMESH_CACHE" in refused.value.hint
    assert list((full_disk / "charts").iterdir()) == []
