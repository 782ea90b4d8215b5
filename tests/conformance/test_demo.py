"""``make demo-current``: from nothing to a ready, current Istio from an own registry."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from nksmesh.sandbox.sandbox import Sandbox
from tests.cluster.program import ROOT

pytestmark = [pytest.mark.cluster, pytest.mark.conformance]

SECONDS = 300


def test_a_current_istio_comes_from_an_own_registry(sandbox_homes: Path, real_charts: Path) -> None:
    assert sandbox_homes.is_dir()
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "CHARTS": str(real_charts), "VERSION": "1.30.2", "NO_COLOR": "1"}
    sandbox = Sandbox("current")
    try:
        ran = subprocess.run(
            [ROOT / "examples" / "own-registry.sh"],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        assert ran.returncode == 0, ran.stdout + ran.stderr
        hub = f"{sandbox.status().registry}/istio"
    finally:
        asyncio.run(sandbox.delete())
    shown = ran.stdout
    assert "2 small images pushed" in shown
    assert f"2 images of Istio 1.30.2 are in {hub}: 2 copied" in shown
    assert "Istio 1.30.2, profile default on Kubernetes v1.34.4: installed and ready" in shown
    assert re.search(r"^\d+ ok, 0 warnings, 0 failures$", shown, re.MULTILINE)
    assert shown.endswith(f"IMAGES IN USE\n{hub}/pilot:1.30.2\n{hub}/proxyv2:1.30.2\n")
