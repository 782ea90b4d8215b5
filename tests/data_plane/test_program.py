"""The data plane's own program: its form, what Go's checks say of it, and its own tests."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from nksmesh.sandbox.builds import DATA_PLANE, MODULES
from nksmesh.sandbox.go_build import find_go

SOURCES = MODULES / "data-plane"


@pytest.fixture(scope="module")
def go() -> Path:
    if not DATA_PLANE.built:
        pytest.skip("the data plane's program is not built: nksmesh sandbox build --data-plane")
    return find_go(DATA_PLANE.go)


def test_it_is_formatted(go: Path) -> None:
    formatter = go.with_name("gofmt")
    assert subprocess.run([formatter, "-l", "."], cwd=SOURCES, capture_output=True, text=True, check=True).stdout == ""


@pytest.mark.parametrize("command", [["vet", "."], ["test", "-count=1", "."]], ids=["vet", "test"])
def test_go_finds_nothing_wrong(go: Path, command: list[str]) -> None:
    # with the flags of its build, what that compiled is used
    environment = {**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "-mod=readonly -trimpath", "GOWORK": "off"}
    ran = subprocess.run(
        [go, *command], cwd=SOURCES, env=environment, capture_output=True, text=True, check=False, timeout=300
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
