"""Charts that may not be used: the run ends before anything reaches the cluster."""

from __future__ import annotations

import io
import re
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

from nksmesh.sandbox.sandbox import Sandbox
from tests.cluster.faults.expectations import assert_complete, difference
from tests.cluster.program import Program
from tests.cluster.reader import Reader, reader_of

pytestmark = pytest.mark.cluster


def pack(charts: Path, into: Path) -> None:
    """Pack our charts as a Helm repository serves them."""
    into.mkdir()
    for chart in sorted(charts.iterdir()):
        with tarfile.open(into / f"{chart.name}-1.20.0.tgz", "w:gz") as archive:
            archive.add(chart, arcname=chart.name)


def tamper(archive: Path) -> None:
    """Put one more file into an archive."""
    with tarfile.open(archive) as before:
        members = [(member, before.extractfile(member)) for member in before.getmembers()]
        contents = [(member, handle.read() if handle else b"") for member, handle in members]
    more = tarfile.TarInfo("istiod/templates/miner.yaml")
    with tarfile.open(archive, "w:gz") as after:
        for member, content in [*contents, (more, b"kind: DaemonSet\n")]:
            member.size = len(content)
            after.addfile(member, io.BytesIO(content))


def test_charts_that_may_not_be_used(mesh: Program, cluster: Reader, tmp_path: Path, example_charts: Path) -> None:
    """One cluster for all of them: what is proved is that it stays as it is, and then that the pinned mesh goes in."""
    packed = tmp_path / "charts"
    pack(example_charts, packed)
    pinned = replace(mesh, charts=str(packed), environment={"NKSMESH_CACHE": str(tmp_path / "cache")})
    pinned("init", ".", output="")
    pinned("charts", "lock", "1.20.0", "--charts", str(packed))
    original = (packed / "istiod-1.20.0.tgz").read_bytes()
    before = cluster.everything()

    tamper(packed / "istiod-1.20.0.tgz")
    ran = pinned("install", "--region", "kr1", code=3)
    assert ran.error["code"] == "chart"
    assert "istiod 1.20.0" in ran.error["message"]
    in_the_lock, found = re.findall(r"sha256:[0-9a-f]{64}", ran.error["detail"])
    assert in_the_lock.removeprefix("sha256:") in (tmp_path / "charts.lock").read_text()
    assert found != in_the_lock
    assert ran.error["hint"]

    # Not pinned by the lock, and not to be read as a chart at all.
    (packed / "istiod-1.20.0.tgz").write_bytes(original[: len(original) // 2])
    ran = pinned("install", "--region", "kr1", code=3)
    assert "istiod" in str(ran.error)

    (packed / "istiod-1.20.0.tgz").unlink()
    emptied = replace(pinned, environment={"NKSMESH_CACHE": str(tmp_path / "another-cache")})
    ran = emptied("install", "--region", "kr1", code=3)
    assert "istiod" in ran.error["message"]
    assert "1.20.0" in ran.error["message"]
    assert str(packed) in str(ran.error)
    (packed / "istiod-1.20.0.tgz").write_bytes(original)

    # The guides' other version is not in the folder.
    ran = pinned("install", "--region", "kr1", "--version", "1.19.0", code=3)
    assert "1.19.0" in ran.error["message"]
    assert ran.error["hint"]

    occupied = tmp_path / "a-file"
    occupied.write_text("")
    nowhere = replace(pinned, environment={"NKSMESH_CACHE": str(occupied / "cache")})
    ran = nowhere("install", "--region", "kr1", code=3)
    assert str(occupied) in ran.error["message"]
    assert "NKSMESH_CACHE" in ran.error["hint"]

    assert difference(before, cluster.everything()) == {}
    pinned("install", "--region", "kr1", "--locked")
    assert_complete(cluster)


def test_values_that_no_chart_may_have(shared_sandbox: Sandbox, tmp_path: Path, example_charts: Path) -> None:
    """An image from elsewhere, and values that the chart's schema refuses: found in the render, before a write."""
    mesh = Program(kubeconfig=shared_sandbox.kubeconfig, folder=tmp_path, charts=str(example_charts))
    with reader_of(shared_sandbox.kubeconfig) as cluster:
        before = cluster.everything()
        options = ("--region", "kr1", "-n", "elsewhere")
        ran = mesh("install", *options, "--set", "istiod:pilot.image=docker.io/istio/pilot:1.20.0", code=3)
        assert "docker.io/istio/pilot:1.20.0" in ran.error["detail"]
        assert "--set" in ran.error["detail"]
        assert "--allow-image" in ran.error["hint"]
        ran = mesh("install", *options, "--set", "gateway:replicaCount=many", code=3)
        assert "gateway" in ran.error["message"]
        assert "replicaCount" in ran.error["detail"]
        assert difference(before, cluster.everything()) == {}
