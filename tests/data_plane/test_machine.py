"""A machine that allows no data plane: said in a sentence, and the sandbox goes on simulated."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from nksmesh.sandbox.builds import DATA_PLANE, ISTIO
from nksmesh.sandbox.data_plane.machine import forbidden

pytestmark = [pytest.mark.cluster, pytest.mark.conformance]

NO_MORE_NAMESPACES = 'echo 0 > /proc/sys/user/max_user_namespaces && exec "$@"'


def in_a_strict_machine(*command: str) -> list[str]:
    """Run a command where no user namespace can be made: its own user namespace allows none below itself."""
    return ["unshare", "--user", "--map-root-user", "sh", "-c", NO_MORE_NAMESPACES, "sh", *command]


@pytest.fixture(autouse=True)
def _built() -> None:
    if not (DATA_PLANE.built and ISTIO.built):
        pytest.skip("the data plane's programs are not built: nksmesh sandbox build --data-plane")
    tried = subprocess.run(in_a_strict_machine("true"), capture_output=True, check=False)
    if tried.returncode:
        pytest.skip("no user namespace can be made here, in which to forbid more of them")


def test_it_is_said_why() -> None:
    program = DATA_PLANE.folder / "data-plane"
    asked = in_a_strict_machine(str(program), "-check")
    said = subprocess.run(asked, capture_output=True, text=True, check=False)

    assert said.returncode == 1
    assert said.stderr == 'the kernel answers "no space left on device"\n'
    assert forbidden(program) == ""


def test_the_sandbox_comes_up_simulated(sandbox_homes: Path) -> None:
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            in_a_strict_machine(sys.executable, "-m", "nksmesh", "sandbox", *arguments, "--name", "strict"),
            env={**os.environ, "COLUMNS": "300"},
            capture_output=True,
            text=True,
            check=False,
        )

    try:
        up = run("up", "--data-plane")
        assert up.returncode == 0, up.stderr
        assert "This machine allows no data plane, so every pod stays simulated" in up.stderr
        assert "running" in run("status").stdout
        assert "data plane" not in run("status").stdout
    finally:
        run("delete")
    assert not (sandbox_homes / "strict").exists()
