"""``make demo-current`` and ``make demo-traffic``: from nothing to a current Istio, and to a page through a gateway."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from nksmesh.sandbox.builds import DATA_PLANE, ISTIO, ISTIO_VERSION
from nksmesh.sandbox.results import State
from nksmesh.sandbox.sandbox import Sandbox
from tests.cluster.program import ROOT

pytestmark = [pytest.mark.cluster, pytest.mark.conformance]

SECONDS = 300


def demonstrated(script: str, sandbox: Sandbox, **variables: str) -> str:
    """Run a demo's script, which leaves a sandbox behind, and return what it showed."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    ran = subprocess.run(
        [ROOT / "examples" / script],
        cwd=ROOT,
        env={**os.environ, "PATH": path, "NO_COLOR": "1", "COLUMNS": "200", **variables},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert sandbox.status().state is State.RUNNING
    return ran.stdout


def test_a_current_istio_comes_from_an_own_registry(sandbox_homes: Path, real_charts: Path) -> None:
    assert sandbox_homes.is_dir()
    sandbox = Sandbox("current")
    try:
        shown = demonstrated("own-registry.sh", sandbox, CHARTS=str(real_charts), VERSION="1.30.2")
        hub = f"{sandbox.status().registry}/istio"
    finally:
        asyncio.run(sandbox.delete())
    assert "2 small images pushed" in shown
    assert f"2 images of Istio 1.30.2 are in {hub}: 2 copied" in shown
    assert "Istio 1.30.2, profile default on Kubernetes v1.34.4: installed and ready" in shown
    assert re.search(r"^\d+ ok, 0 warnings, 0 failures$", shown, re.MULTILINE)
    assert shown.endswith(f"IMAGES IN USE\n{hub}/pilot:1.30.2\n{hub}/proxyv2:1.30.2\n")


def test_bookinfos_page_comes_through_the_gateway(sandbox_homes: Path) -> None:
    assert sandbox_homes.is_dir()
    if not (DATA_PLANE.built and ISTIO.built):
        pytest.skip("the data plane's programs are not built: nksmesh sandbox build --data-plane")
    sandbox = Sandbox("traffic")
    try:
        shown = demonstrated("traffic.sh", sandbox)
    finally:
        asyncio.run(sandbox.delete())
    assert f"Istio {ISTIO_VERSION}, profile demo on Kubernetes v1.34.4: installed and ready" in shown
    assert "bookinfo in namespace default works: http://203.0.113." in shown
    assert "<title>Simple Bookstore App</title>\nWilliam Shakespeare\n" in shown
    assert re.search(r"^Bookinfo answered through the gateway \d+ s after its install began\.$", shown, re.MULTILINE)
