"""``nksmesh istioctl fetch`` where nothing is said: the hub and the version are those of the installed mesh."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from nksmesh.adapters.istioctl.program import this_platform
from tests.adapters.registry.artifacts import artifact
from tests.cluster.program import Program
from tests.istio_archives import archive, digest_of

pytestmark = pytest.mark.cluster


def test_the_installed_mesh_says_which_istioctl_is_fetched(mesh: Program, tmp_path: Path) -> None:
    program = replace(mesh, environment={"NKSMESH_CACHE": str(tmp_path / "cache")})
    this = this_platform()
    content = archive("1.20.0", this, istioctl=Path("/bin/echo").resolve().read_bytes())
    with artifact({f"istio-1.20.0-{this}.tar.gz": content}) as host:
        program("install", "--hub", f"{host}/istio", "--version", "1.20.0")
        found = program("istioctl", "fetch").data
    assert (found["version"], found["source"], found["digest"]) == ("1.20.0", f"{host}/istio", digest_of(content))
    told = program("istioctl", "--", "version", output="").stdout
    assert told == "version\n"
    with_context = program("istioctl", "--context", "elsewhere", "--", "version", output="").stdout
    assert with_context == "--context=elsewhere version\n"
    assert json.loads(program("istioctl", "proxy-status", code=3).stdout)["errors"][0]["code"] == "istioctl"
