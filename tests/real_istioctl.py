"""A real istioctl for tests: the one that the data plane's build brings, or NKSMESH_TEST_ISTIOCTL's."""

from __future__ import annotations

import json
import os
import subprocess
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

from nksmesh.adapters.istioctl.program import this_platform
from nksmesh.sandbox.builds import ISTIO
from tests.cluster.program import Program


def with_istioctl(program: Program, folder: Path) -> Program:
    """Give a program a cache of its own, with a real istioctl in it that was fetched from a release archive.

    Args:
        folder: Where archive and cache are made.
    """
    with_cache = replace(program, environment={**program.environment, "NKSMESH_CACHE": str(folder / "cache")})
    with_cache("istioctl", "fetch", "--from", str(release_archive(folder)))
    return with_cache


def release_archive(folder: Path, version: str = "", samples: Path | None = None) -> Path:
    """Pack a real istioctl as Istio's release archives are.

    Args:
        folder: Where the archive is made.
        version: What it is called after; empty for istioctl's own version.
        samples: The samples that go into it; None for none.
    """
    named = os.environ.get("NKSMESH_TEST_ISTIOCTL")
    istioctl = Path(named) if named else ISTIO.folder / "istioctl"
    if not istioctl.exists():
        pytest.skip("there is no istioctl: nksmesh sandbox build --data-plane")
    if not version:
        said = subprocess.run([istioctl, "version", "--remote=false", "-o", "json"], check=True, capture_output=True)
        version = json.loads(said.stdout)["clientVersion"]["version"]
    archive = folder / f"istio-{version}-{this_platform()}.tar.gz"
    with tarfile.open(archive, "w:gz", compresslevel=1) as tar:
        tar.add(istioctl, f"istio-{version}/bin/istioctl")
        if samples is not None:
            tar.add(samples, f"istio-{version}/samples/{samples.name}")
    return archive
