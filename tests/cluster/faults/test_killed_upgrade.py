"""An upgrade killed at any moment: the next run goes on from there, or goes back, and ends with the mesh whole.

One mesh goes up a patch version with each test: what the charts hold is the same, what is written is not.
"""

from __future__ import annotations

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
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import pytest

from nksmesh.sandbox.sandbox import Sandbox
from tests.cluster.faults.expectations import LEASE, assert_complete, pending, statuses
from tests.cluster.faults.runs import Run, children_named, kill, started
from tests.cluster.faults.webhooks import Policy, policy
from tests.cluster.installed import installed_in
from tests.cluster.program import Program
from tests.cluster.reader import Object, Reader, packed
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
class UpgradedMesh:
    """An installed mesh, and the version it is at."""

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
        kept = base64.b64decode(self.cluster.get(HISTORY)["data"]["history"])
        found = json.loads(gzip.decompress(kept))["runs"][-number:]
        return [(run["command"], run["outcome"]) for run in reversed(found)]


@pytest.fixture(scope="module")
def standing(
    module_sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory, example_charts: Path
) -> Iterator[UpgradedMesh]:
    """Install a mesh into an empty cluster, for the tests of this module."""
    folder = tmp_path_factory.mktemp("upgrades")
    charts = charts_of(example_charts, folder / "charts", [f"1.20.{patch}" for patch in range(20)])
    with installed_in(module_sandbox, folder, charts, "--hub", HUB, "--version", "1.20.0") as installed:
        yield UpgradedMesh(installed.mesh, installed.cluster)


def killed(run: Run) -> None:
    run.send(signal.SIGKILL)
    run.process.wait()


@pytest.mark.parametrize("moment", MOMENTS)
def test_killed_at_a_step_the_next_run_completes(standing: UpgradedMesh, moment: str) -> None:
    wanted = standing.next
    with started(standing.mesh, "upgrade", "--to", wanted) as run:
        run.until(moment)
        killed(run)
    standing.mesh("upgrade", "--to", wanted)
    standing.assert_at(wanted)
    assert standing.runs(2) == [("upgrade", "done"), ("upgrade", "interrupted")]


class Holdup:
    """Holds whoever writes an object up, or as many as come after: long enough to kill what waits for it."""

    def __init__(self, name: str, *, passing: int = 0) -> None:
        self.name = name
        self.reached = threading.Event()
        self._passing = passing

    def __call__(self, found: Object) -> str:
        if found["metadata"]["name"].startswith(self.name):
            self._passing -= 1
            if self._passing < 0:
                self.reached.set()
                time.sleep(SLOW)
        return ""


@dataclass(frozen=True)
class Note:
    """What the program itself writes down, where it is killed at that.

    Attributes:
        name: Of the object.
        operation: What is done with it.
        passing: How often that is let pass before.
        runs: What the history has then of this run and the next.
        resource: The object's kind; its API group.
    """

    name: str
    operation: str
    runs: list[tuple[str, str]]
    passing: int = 0
    resource: tuple[str, str] = ("secrets", "")


TWICE = [("upgrade", "done"), ("upgrade", "interrupted")]
NOTES = {
    "the mesh is held, and nothing is written": Note("nksmesh.history.", "UPDATE", [("upgrade", "done")]),
    "the history has the run, and the record is of before": Note("nksmesh.istio-system", "UPDATE", TWICE),
    "all is done, and the record does not say so": Note("nksmesh.istio-system", "UPDATE", TWICE, passing=1),
    "all is told, and the mesh is still held": Note(
        "nksmesh", "DELETE", [("upgrade", "done")], resource=("leases", "coordination.k8s.io")
    ),
}


@pytest.mark.parametrize("note", NOTES.values(), ids=NOTES)
def test_killed_between_the_steps_the_next_run_completes(standing: UpgradedMesh, tmp_path: Path, note: Note) -> None:
    wanted, runs = standing.next, standing.runs(20)
    holdup = Holdup(note.name, passing=note.passing)
    resource, group = note.resource
    held = policy(
        standing.cluster,
        tmp_path,
        holdup,
        namespace="kube-system",
        resource=resource,
        group=group,
        operation=note.operation,
        failure_policy="Ignore",
    )
    with held, started(standing.mesh, "upgrade", "--to", wanted) as run:
        assert holdup.reached.wait(30)
        killed(run)
    assert standing.cluster.find(LEASE)
    standing.mesh("upgrade", "--to", wanted)
    standing.assert_at(wanted)
    assert standing.runs(20) == [*note.runs, *runs][:20]


AGAIN: tuple[str, ...] = ("upgrade", "--to")
BACK: tuple[str, ...] = ("rollback", "--yes")


def helm_killed_at(run: Run, step: str, holdup: Holdup) -> None:
    """Kill the program and its Helm, which is held up at a step."""
    run.until(f"{step}: started")
    assert holdup.reached.wait(30)
    helms = children_named(run.process.pid, "helm")
    killed(run)
    for helm in helms:
        kill(helm)


def held_up(standing: UpgradedMesh, folder: Path, holdup: Holdup, resource: str) -> AbstractContextManager[Policy]:
    return policy(
        standing.cluster,
        folder,
        holdup,
        resource=resource,
        operation="UPDATE",
        failure_policy="Ignore",
        spares_dry_runs=True,  # a plan's own
    )


@pytest.mark.parametrize(
    ("release", "resource", "name", "ways"),
    [
        ("istio-base", "secrets", "sh.helm.release.v1.istio-base.", [BACK]),
        ("istiod", "configmaps", "istio-sidecar-injector", [BACK, AGAIN]),
        ("istio-ingressgateway", "services", "istio-ingressgateway", [BACK]),
        ("istio-ingressgateway", "secrets", "sh.helm.release.v1.istio-ingressgateway.", [AGAIN]),
    ],
    ids=[
        "before base's release is told deployed",
        "in the middle of istiod",
        "in the middle of the gateway",
        "before the gateway's release is told deployed",
    ],
)
def test_helm_killed_too_the_next_run_goes_back_or_completes(
    standing: UpgradedMesh, tmp_path: Path, release: str, resource: str, name: str, ways: list[tuple[str, ...]]
) -> None:
    wanted, before = standing.next, state_of(standing.cluster)
    for way in ways:
        holdup = Holdup(name)
        with (
            held_up(standing, tmp_path, holdup, resource),
            started(standing.mesh, "upgrade", "--to", wanted) as run,
        ):
            helm_killed_at(run, release, holdup)
        assert any(release in one for one in pending(standing.cluster))
        again = standing.mesh(*way, *([wanted] if way == AGAIN else []))
        assert f"{release} to settle" not in again.stderr, "our own dead run's are put right at once"
        standing.assert_at(wanted if way == AGAIN else standing.version)
        if way == BACK:
            assert not changed(before, state_of(standing.cluster))


@pytest.mark.parametrize(
    ("helm_too", "way"),
    [(False, BACK), (True, BACK), (True, AGAIN)],
    ids=["the program alone", "and Helm", "and Helm, and the upgrade is wanted again"],
)
def test_a_rollback_that_is_killed_is_gone_on_with_or_given_up(
    standing: UpgradedMesh, tmp_path: Path, helm_too: bool, way: tuple[str, ...]
) -> None:
    wanted, before = standing.next, state_of(standing.cluster)
    standing.mesh("upgrade", "--to", wanted)
    holdup = Holdup("istio-sidecar-injector")
    with held_up(standing, tmp_path, holdup, "configmaps"), started(standing.mesh, "rollback", "--yes") as run:
        if helm_too:
            helm_killed_at(run, "istiod", holdup)
            assert statuses(standing.cluster)["istiod"] == "pending-rollback"
        else:
            run.until("istiod: started")
            assert holdup.reached.wait(30)
            killed(run)
    standing.mesh(*way, *([wanted] if way == AGAIN else []))
    standing.assert_at(wanted if way == AGAIN else standing.version)
    if way == BACK:
        assert not changed(before, state_of(standing.cluster))
        assert standing.runs(3) == [("rollback", "done"), ("rollback", "interrupted"), ("upgrade", "rolled back")]


def leave_pending(cluster: Reader, release: str) -> None:
    """Leave a release as another Helm does that was killed an hour ago."""
    prefix = f"sh.helm.release.v1.{release}.v"
    newest = max(int(name.removeprefix(prefix)) for name in cluster.helm_revisions() if name.startswith(prefix))
    secret = cluster.get(f"{SECRETS}/{prefix}{newest}")
    stored = cluster.helm_release(release, newest)
    stored["version"] = newest + 1
    stored["info"] |= {"status": "pending-upgrade", "last_deployed": "2026-01-01T00:00:00.000000000Z"}
    labels = {**secret["metadata"]["labels"], "status": "pending-upgrade", "version": str(newest + 1)}
    metadata = {"name": f"{prefix}{newest + 1}", "labels": labels}
    cluster.post(SECRETS, {"type": secret["type"], "metadata": metadata, "data": {"release": packed(stored)}})


def test_what_somebody_elses_helm_left_pending_is_cleared_on_the_users_word(standing: UpgradedMesh) -> None:
    leave_pending(standing.cluster, "istiod")
    refused = standing.mesh("install", code=5)
    assert (
        "release istiod is pending-upgrade: another Helm process is changing it, or was killed"
        in refused.error["message"]
    )
    assert "--yes" in refused.error["hint"]
    assert "ago" in refused.error["detail"]
    assert pending(standing.cluster)
    shown = standing.mesh("plan", "--exit-code", code=10)
    assert "left it pending-upgrade" in str(shown.reasons["istiod"])
    standing.mesh("install", "--yes")
    standing.assert_at(standing.version)
