"""The program killed, at any moment: the next run goes on from there, and ends with the mesh whole."""

from __future__ import annotations

import signal
import time
from dataclasses import replace
from pathlib import Path

import pytest

from tests.cluster.faults.expectations import HUB, LEASE, assert_complete, pending, statuses
from tests.cluster.faults.runs import alive, children_named, kill, started
from tests.cluster.faults.webhooks import policy
from tests.cluster.program import Program
from tests.cluster.reader import Reader

pytestmark = pytest.mark.cluster

IN_TURN = ("CRDs: started", "istiod: started", "injection webhook: started", "istio-ingressgateway: started")
"""Moments that come in this order, whatever the killed run's Helms brought to their end on their own."""

MOMENTS = ("plan: started", "istio-base: started", "istiod: waiting for Deployment istiod")
"""Others."""

SLOW = 5.0
"""Seconds that a policy takes to let Helm's next object in: time enough to kill what waits for it."""


def slow(_object: object) -> str:
    time.sleep(SLOW)
    return ""


@pytest.mark.parametrize("moment", MOMENTS)
def test_killed_at_a_step_the_next_run_completes(mesh: Program, cluster: Reader, moment: str) -> None:
    with started(mesh, "install", "--region", "kr1") as run:
        run.until(moment)
        run.send(signal.SIGKILL)
        run.process.wait()
    again = mesh("install", "--region", "kr1")
    assert again.seconds < 15, str(again)
    assert_complete(cluster)


def test_killed_again_and_again_each_run_goes_on_from_the_last(mesh: Program, cluster: Reader) -> None:
    for moment in IN_TURN:
        with started(mesh, "install", "--region", "kr1") as run:
            run.until(moment)
            run.send(signal.SIGKILL)
            run.process.wait()
    mesh("install", "--region", "kr1")
    assert_complete(cluster)
    assert mesh("install").changes == {}


@pytest.mark.parametrize("moment", ["istiod: started", "istio-ingressgateway: started"])
def test_killed_on_istios_own_charts(istio: Program, cluster: Reader, moment: str) -> None:
    with started(istio, "install", "--region", "kr1", "--version", "1.20.0") as run:
        run.until(moment)
        run.send(signal.SIGKILL)
        run.process.wait()
    istio("install", "--region", "kr1", "--version", "1.20.0")
    assert_complete(cluster)
    assert istio("install").changes == {}


def namespace(cluster: Reader) -> None:
    cluster.post("/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "istio-system"}})


def test_a_helm_left_at_work_is_let_finish(mesh: Program, cluster: Reader, tmp_path: Path) -> None:
    namespace(cluster)
    with policy(cluster, tmp_path, slow, resource="services", failure_policy="Ignore") as engine:
        with started(mesh, "install", "--region", "kr1") as run:
            run.until("istiod: started")
            assert engine.asked.wait(20)
            helms = children_named(run.process.pid, "helm")
            run.send(signal.SIGKILL)
            run.process.wait()
        assert statuses(cluster)["istiod"] == "pending-install"
        assert any(map(alive, helms)), "Helm ends with the program"
        again = mesh("install", "--region", "kr1")
    assert "waiting for a Helm process that" in again.stderr
    assert not any(map(alive, helms))
    assert_complete(cluster)
    # What Helm finished is taken as it is: nothing was installed over it.
    assert {name.rpartition(".")[2] for name in cluster.helm_revisions()} == {"v1"}
    assert again.actions["istiod"] == "keep"


def test_a_helm_killed_too_is_put_right_at_once(mesh: Program, cluster: Reader, tmp_path: Path) -> None:
    namespace(cluster)
    with policy(cluster, tmp_path, slow, resource="services", failure_policy="Ignore") as engine:
        with started(mesh, "install", "--region", "kr1") as run:
            run.until("istiod: started")
            assert engine.asked.wait(20)
            helms = children_named(run.process.pid, "helm")
            run.send(signal.SIGKILL)
            run.process.wait()
            for helm in helms:
                kill(helm)
        assert pending(cluster) == ["sh.helm.release.v1.istiod.v1"]
    again = mesh("install", "--region", "kr1")
    assert again.seconds < 10, str(again)
    assert "a run that ended early left it pending-install" in str(again.reasons["istiod"])
    assert_complete(cluster)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_asked_to_stop_it_lets_helm_finish(
    mesh: Program, cluster: Reader, tmp_path: Path, number: signal.Signals
) -> None:
    namespace(cluster)
    with policy(cluster, tmp_path, slow, resource="services", failure_policy="Ignore") as engine:
        with started(mesh, "install", "--region", "kr1") as run:
            run.until("istiod: started")
            assert engine.asked.wait(20)
            helms = children_named(run.process.pid, "helm")
            run.send(number)
            ran = run.end(130)
        assert not any(map(alive, helms))
    assert ran.error["code"] == "interrupted"
    done, begun, left = (part.partition(": ")[2] for part in ran.error["detail"].split("; "))
    assert "namespace istio-system" in done
    assert "istiod" in begun.split(", ")
    assert "istio-ingressgateway" in left
    assert ran.error["hint"]
    assert statuses(cluster) == {"istio-base": "deployed", "istiod": "deployed"}
    assert cluster.find(LEASE) is None
    again = mesh("install", "--region", "kr1")
    assert again.actions["istiod"] == "keep"
    assert_complete(cluster)


def test_asked_to_stop_while_it_waits_for_pods(mesh: Program, cluster: Reader) -> None:
    with started(mesh, "install", "--region", "kr1") as run:
        run.until("istio-ingressgateway: waiting for Deployment")
        run.send(signal.SIGINT)
        ran = run.end(130)
    assert ran.seconds < 10
    assert not pending(cluster)
    assert cluster.find(LEASE) is None
    mesh("install")
    assert_complete(cluster)


def helm_script(folder: Path, helm3: str, before: str) -> str:
    """Make a Helm that does something before it begins to install istiod."""
    script = folder / "bin" / "helm"
    script.parent.mkdir()
    script.write_text(f'#!/bin/sh\ncase "$1 $2" in "install istiod") {before} ;; esac\nexec {helm3} "$@"\n')
    script.chmod(0o700)
    return str(script)


def test_killed_before_it_could_note_its_helm(mesh: Program, cluster: Reader, tmp_path: Path, helm3: str) -> None:
    """Helm begins to write only after the next run has begun: nothing in the cluster tells of it yet."""
    killing = helm_script(tmp_path, helm3, "kill -9 $PPID; sleep 5")
    with started(replace(mesh, helm=killing), "install", "--region", "kr1") as run:
        run.process.wait()
    again = mesh("install", "--region", "kr1")
    assert "waiting for a Helm process that" in again.stderr
    assert_complete(cluster)
    assert {name.rpartition(".")[2] for name in cluster.helm_revisions()} == {"v1"}


def test_uninstall_lets_a_helm_finish_too(mesh: Program, cluster: Reader, tmp_path: Path, helm3: str) -> None:
    """It begins to write only when the uninstall waits for it: what it brings was not shown, and not agreed to."""
    waited = tmp_path / "waited"
    held = f"kill -9 $PPID; for _ in $(seq 600); do [ -e {waited} ] && break; sleep 0.1; done"
    killing = helm_script(tmp_path, helm3, held)
    with started(replace(mesh, helm=killing), "install", "--region", "kr1") as run:
        run.process.wait()
    with started(mesh, "uninstall", "--yes") as run:
        run.until("waiting for a Helm process that")
        waited.touch()
        refused = run.end(4)
    assert "istiod" in refused.error["message"]
    assert "nothing was removed" in refused.error["message"]
    mesh("uninstall", "--yes")
    assert statuses(cluster) == {}
    assert cluster.find("/apis/apps/v1/namespaces/istio-system/deployments/istiod") is None


def test_a_helm_whose_program_is_killed_has_all_of_its_values(
    mesh: Program, cluster: Reader, tmp_path: Path, helm3: str
) -> None:
    """More values than a pipe holds: what was not yet read would be lost with the program that wrote it."""
    values = tmp_path / "istiod.yaml"
    values.write_text(f"global:\n  remarks: {'x' * 300_000}\nmeshConfig: {{accessLogFile: /dev/stdout}}\n")
    killing = helm_script(tmp_path, helm3, "kill -9 $PPID; sleep 0.2")
    with started(replace(mesh, helm=killing), "install", "--region", "kr1", "-f", f"istiod={values}") as run:
        run.process.wait()
    mesh("install", "--region", "kr1", "-f", f"istiod={values}")
    assert_complete(cluster)
    first = cluster.helm_release("istiod")
    assert first["config"]["global"]["hub"] == HUB
    assert len(first["config"]["global"]["remarks"]) == 300_000
