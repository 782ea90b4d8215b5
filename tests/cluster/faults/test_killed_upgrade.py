"""An upgrade killed at any moment: the next run goes on from there, or goes back, and ends with the mesh whole.

One mesh goes up a patch version with each test: what the charts hold is the same, what is written is not.
"""

from __future__ import annotations

import asyncio
import base64
import gzip
import itertools
import json
import re
import shutil
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from nksmesh.sandbox.sandbox import Sandbox
from tests.cluster.faults.expectations import assert_complete, pending
from tests.cluster.faults.runs import Run, children_named, kill, started
from tests.cluster.faults.webhooks import policy
from tests.cluster.program import Program
from tests.cluster.reader import Object, Reader, reader_of
from tests.cluster.state import changed, state_of

pytestmark = pytest.mark.cluster

HUB = "registry.example.com/istio"
MOMENTS = (
    "CRDs: started",
    "istio-base: started",
    "istiod: waiting for Deployment istiod",
    "injection webhook: started",
    "istio-ingressgateway: started",
    "restart istio-ingressgateway: started",
)
SLOW = 2.5
"""Seconds that Helm is held up."""

SECRETS = "/api/v1/namespaces/istio-system/secrets"
HISTORY = "/api/v1/namespaces/kube-system/secrets/nksmesh.history.istio-system"


def charts_of(example_charts: Path, folder: Path, versions: list[str]) -> Path:
    """Give our own charts several versions, side by side."""
    for version, chart in itertools.product(versions, example_charts.iterdir()):
        copied = shutil.copytree(chart, folder / f"{chart.name}-{version}") / "Chart.yaml"
        copied.write_text(re.sub(r"(?m)^((?:appV|v)ersion): .*$", rf"\1: {version}", copied.read_text()))
    return folder


@dataclass
class Standing:
    """A mesh, and the version it is at."""

    mesh: Program
    cluster: Reader
    version: str = "1.20.0"

    @property
    def next(self) -> str:
        return f"1.20.{int(self.version.rpartition('.')[2]) + 1}"

    def assert_at(self, version: str) -> None:
        self.version = version
        assert_complete(self.cluster, proxy=f"{HUB}/proxyv2:{version}")
        assert self.cluster.images("app=istiod") == {f"{HUB}/pilot:{version}"}

    def runs(self, number: int) -> list[tuple[str, str]]:
        """List the newest runs as they are kept, newest first."""
        packed = base64.b64decode(self.cluster.get(HISTORY)["data"]["history"])
        found = json.loads(gzip.decompress(packed))["runs"][-number:]
        return [(run["command"], run["outcome"]) for run in reversed(found)]


@pytest.fixture(scope="module")
def standing(
    shared_sandbox: Sandbox, _used: set[str], tmp_path_factory: pytest.TempPathFactory, example_charts: Path
) -> Iterator[Standing]:
    """Install a mesh into an empty cluster, for the tests of this module."""
    if shared_sandbox.layout.name in _used:
        asyncio.run(shared_sandbox.reset())
    _used.add(shared_sandbox.layout.name)
    folder = tmp_path_factory.mktemp("upgrades")
    charts = charts_of(example_charts, folder / "charts", [f"1.20.{patch}" for patch in range(12)])
    mesh = Program(kubeconfig=shared_sandbox.kubeconfig, folder=folder, charts=str(charts))
    mesh("install", "--hub", HUB, "--version", "1.20.0")
    with reader_of(shared_sandbox.kubeconfig) as cluster:
        yield Standing(mesh, cluster)


def killed(run: Run) -> None:
    run.send(signal.SIGKILL)
    run.process.wait()


@pytest.mark.parametrize("moment", MOMENTS)
def test_killed_at_a_step_the_next_run_completes(standing: Standing, moment: str) -> None:
    wanted = standing.next
    with started(standing.mesh, "upgrade", "--to", wanted) as run:
        run.until(moment)
        killed(run)
    standing.mesh("upgrade", "--to", wanted)
    standing.assert_at(wanted)
    assert standing.runs(2) == [("upgrade", "done"), ("upgrade", "interrupted")]


class Holdup:
    """Holds Helm up at an object: long enough to kill what waits for it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.reached = threading.Event()

    def __call__(self, found: Object) -> str:
        if found["metadata"]["name"].startswith(self.name):
            self.reached.set()
            time.sleep(SLOW)
        return ""


@pytest.mark.parametrize(
    ("release", "resource", "name"),
    [
        ("istiod", "configmaps", "istio-sidecar-injector"),
        ("istio-ingressgateway", "secrets", "sh.helm.release.v1.istio-ingressgateway."),
    ],
    ids=["in the middle of istiod", "before the gateway's release is told deployed"],
)
def test_helm_killed_too_the_next_run_goes_back_or_completes(
    standing: Standing, tmp_path: Path, release: str, resource: str, name: str
) -> None:
    wanted, before = standing.next, state_of(standing.cluster)
    for command in (("rollback", "--yes"), ("upgrade", "--to", wanted)):
        holdup = Holdup(name)
        with (
            policy(standing.cluster, tmp_path, holdup, resource=resource, operation="UPDATE", failure_policy="Ignore"),
            started(standing.mesh, "upgrade", "--to", wanted) as run,
        ):
            run.until(f"{release}: started")
            assert holdup.reached.wait(30)
            helms = children_named(run.process.pid, "helm")
            killed(run)
            for helm in helms:
                kill(helm)
        assert any(release in one for one in pending(standing.cluster))
        again = standing.mesh(*command)
        assert f"{release} to settle" not in again.stderr, "our own dead run's are put right at once"
        standing.assert_at(wanted if "upgrade" in command else standing.version)
        if "rollback" in command:
            assert not changed(before, state_of(standing.cluster))


def leave_pending(cluster: Reader, release: str) -> None:
    """Leave a release as another Helm does that was killed an hour ago."""
    prefix = f"sh.helm.release.v1.{release}.v"
    newest = max(int(name.removeprefix(prefix)) for name in cluster.helm_revisions() if name.startswith(prefix))
    secret = cluster.get(f"{SECRETS}/{prefix}{newest}")
    stored = cluster.helm_release(release, newest)
    stored["version"] = newest + 1
    stored["info"] |= {"status": "pending-upgrade", "last_deployed": "2026-01-01T00:00:00.000000000Z"}
    packed = base64.b64encode(base64.b64encode(gzip.compress(json.dumps(stored).encode()))).decode()
    labels = {**secret["metadata"]["labels"], "status": "pending-upgrade", "version": str(newest + 1)}
    metadata = {"name": f"{prefix}{newest + 1}", "labels": labels}
    cluster.post(SECRETS, {"type": secret["type"], "metadata": metadata, "data": {"release": packed}})


def test_what_somebody_elses_helm_left_pending_is_cleared_on_the_users_word(standing: Standing) -> None:
    leave_pending(standing.cluster, "istiod")
    refused = standing.mesh("install", code=5)
    assert "release istiod is pending-upgrade: another Helm is at work on it, or was killed" in refused.error["message"]
    assert "--yes" in refused.error["hint"]
    assert "ago" in refused.error["detail"]
    assert pending(standing.cluster)
    shown = standing.mesh("plan", "--exit-code", code=10)
    assert "left it pending-upgrade" in str(shown.reasons["istiod"])
    standing.mesh("install", "--yes")
    standing.assert_at(standing.version)
