"""``nksmesh istioctl -- ARGS``: istioctl's own command line; programs of this machine stand in its place."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from nksmesh.adapters.istioctl.program import this_platform
from tests.istio_archives import VERSION, archive

ROOT = Path(__file__).resolve().parents[3]


def environment(home: Path) -> dict[str, str]:
    home.mkdir(parents=True, exist_ok=True)
    return {"PATH": os.environ["PATH"], "HOME": str(home), "PYTHONPATH": str(ROOT), "NKSMESH_CACHE": str(home / "c")}


def istioctl(*arguments: str, env: dict[str, str], code: int = 0, stdin: str = "") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "nksmesh", "istioctl", *arguments]
    ended = subprocess.run(
        command, check=False, capture_output=True, text=True, env=env, cwd=env["HOME"], input=stdin, timeout=120
    )
    assert ended.returncode == code, ended.stderr
    return ended


def fetched(program: str, home: Path, version: str = VERSION) -> dict[str, str]:
    """Fetch an archive with a program in istioctl's place."""
    env = environment(home)
    this = this_platform()
    file = home / f"istio-{version}-{this}.tar.gz"
    file.write_bytes(archive(version, this, istioctl=Path(program).resolve().read_bytes()))
    istioctl("fetch", "--from", str(file), env=env)
    return env


def test_its_streams_and_its_exit_code_are_passed_through(tmp_path: Path) -> None:
    env = fetched("/bin/sh", tmp_path / "home")
    ended = istioctl("--", "-c", "cat; echo words >&2; exit 79", env=env, code=79, stdin="from here\n")
    assert (ended.stdout, ended.stderr) == ("from here\n", "words\n")


def test_it_is_told_the_cluster_that_nksmesh_works_on(tmp_path: Path) -> None:
    env = fetched("/bin/echo", tmp_path / "home")
    where = ("--kubeconfig", str(tmp_path / "config"), "--context", "prod", "-n", "mesh")
    ended = istioctl(*where, "--", "proxy-config", "all", "-o", "json", env=env)
    told = f"--kubeconfig={tmp_path}/config --context=prod --istioNamespace=mesh"
    assert ended.stdout == f"{told} proxy-config all -o json\n"
    assert istioctl("--", "fetch", "--", "x", env=env).stdout == "fetch -- x\n"


def test_an_environment_names_the_cluster(tmp_path: Path) -> None:
    env = fetched("/bin/echo", tmp_path / "home")
    folder = tmp_path / "mesh" / "values" / "environments" / "prod"
    folder.mkdir(parents=True)
    (tmp_path / "mesh" / "charts.lock").write_text("nksmesh: 1\ncharts: []\n")
    (folder / "mesh.yaml").write_text("hub: registry.example.com/istio\ncontext: closed\n")
    ended = istioctl("--dir", str(tmp_path / "mesh"), "-e", "prod", "--", "version", env=env)
    assert ended.stdout == "--context=closed version\n"
    refused = istioctl(
        "--dir", str(tmp_path / "mesh"), "-e", "prod", "--context", "x", "--", "version", env=env, code=2
    )
    assert "--context x contradicts environment prod" in refused.stderr


def test_a_version_is_chosen_or_it_is_the_last_one(tmp_path: Path) -> None:
    env = fetched("/bin/echo", tmp_path / "home")
    fetched("/bin/sh", tmp_path / "home", "1.19.0")
    assert istioctl("--version", VERSION, "--", "this", env=env).stdout == "this\n"
    assert istioctl("--", "-c", "exit 3", env=env, code=3).stdout == ""


@pytest.mark.parametrize(
    ("said", "words", "command"),
    [
        ((), "no istioctl is in the cache", "nksmesh istioctl fetch"),
        (("--version", "1.30.2"), "istioctl 1.30.2 is not in the cache", "nksmesh istioctl fetch --version 1.30.2"),
    ],
)
def test_without_one_the_command_that_fetches_it_is_named(
    said: tuple[str, ...], words: str, command: str, tmp_path: Path
) -> None:
    env = environment(tmp_path / "home")
    ended = istioctl(*said, "--", "version", env=env, code=3)
    assert ended.stderr == f"error: {words}\nhint: Run {command}\n"
    ended = istioctl("analyze", *said, "-o", "json", env=env, code=3)
    assert json.loads(ended.stdout)["errors"][0]["code"] == "istioctl"


def test_a_program_that_cannot_be_started_is_named(tmp_path: Path) -> None:
    env = fetched("/bin/echo", tmp_path / "home")
    (program,) = (tmp_path / "home").rglob("bin/istioctl")
    program.chmod(0o644)
    for command in (("--", "version"), ("analyze",)):  # without an x bit root may not execute it either
        assert f"{program} cannot be started" in istioctl(*command, env=env, code=3).stderr


def test_its_findings_and_exit_codes_are_ours(tmp_path: Path) -> None:
    env = fetched("/bin/false", tmp_path / "home")
    assert "istioctl analyze failed" in istioctl("analyze", env=env, code=3).stderr
    assert "istioctl proxy-status failed" in istioctl("proxy-status", env=env, code=3).stderr
