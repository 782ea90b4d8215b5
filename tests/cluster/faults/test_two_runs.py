"""One run at a time: who holds the mesh is named, and who is dead holds nothing."""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
import os
import socket
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from nksmesh.adapters import processes
from nksmesh.sandbox.failures import Failure
from nksmesh.sandbox.sandbox import Sandbox
from tests.cluster.faults.expectations import GATEWAY, LEASE, assert_complete, difference
from tests.cluster.faults.runs import started
from tests.cluster.program import Program
from tests.cluster.reader import Reader

pytestmark = pytest.mark.cluster

LEASES = LEASE.rpartition("/")[0]


def lease(host: str, process: int, started_at: int, *, renewed: datetime) -> dict[str, Any]:
    """Write a Lease as a run on some machine would have left it."""
    here = processes.this_run("install")
    holder = {"host": host, "process": process, "started": started_at, "user": "kim", "command": "install", "helm": []}
    holder |= {"boot": here.boot, "namespace": here.namespace}
    return {
        "metadata": {"name": "nksmesh", "annotations": {"nksmesh/holder": json.dumps(holder)}},
        "spec": {
            "holderIdentity": f"kim@{host}/{process}/{started_at}",
            "leaseDurationSeconds": 15,
            "renewTime": renewed.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        },
    }


def packed(release: dict[str, Any]) -> str:
    """Write a release as Helm stores it."""
    inner = base64.b64encode(gzip.compress(json.dumps(release).encode()))
    return base64.b64encode(inner).decode()


def test_the_second_of_two_is_refused_and_the_first_completes(mesh: Program, cluster: Reader, sandbox: Sandbox) -> None:
    asyncio.run(sandbox.fail(Failure.UNREADY, selector=GATEWAY))
    with started(mesh, "install", "--region", "kr1") as first:
        first.until("istio-ingressgateway: warning: ")
        before = cluster.everything()
        for command in (("install", "--region", "kr2"), ("uninstall", "--yes")):
            refused = mesh(*command, code=8)
            assert refused.seconds < 10
            assert refused.error["code"] == "held"
            assert f"(process {first.process.pid}, install)" in refused.error["message"]
            assert socket.gethostname() in refused.error["message"]
            assert refused.error["hint"]
        changed = {ref for ref in difference(before, cluster.everything()) if ref.kind in {"Secret", "Deployment"}}
        assert not changed
        assert mesh("plan").changes == {}
        asyncio.run(sandbox.heal())
        first.end(0)
    assert_complete(cluster)


def test_a_lease_of_a_dead_process_of_this_machine_is_taken_over_at_once(mesh: Program, cluster: Reader) -> None:
    dead = processes.start_of(os.getpid()) or 0
    # The process id is that of a living process, which began at another time: it was given out again.
    cluster.post(LEASES, lease(socket.gethostname(), os.getpid(), dead - 1, renewed=datetime.now(UTC)))
    ran = mesh("install", "--region", "kr1")
    assert ran.seconds < 12
    assert_complete(cluster)


def test_a_lease_of_a_living_process_of_this_machine_holds(mesh: Program, cluster: Reader) -> None:
    now = datetime.now(UTC)
    cluster.post(LEASES, lease(socket.gethostname(), os.getpid(), processes.start_of(os.getpid()) or 0, renewed=now))
    before = cluster.everything()
    ran = mesh("install", "--region", "kr1", code=8)
    assert f"kim on {socket.gethostname()} (process {os.getpid()}, install)" in ran.error["message"]
    assert difference(before, cluster.everything()) == {}


def test_a_lease_of_another_machine_holds_for_fifteen_seconds(mesh: Program, cluster: Reader) -> None:
    now = datetime.now(UTC)
    cluster.post(LEASES, lease("far-away", 1, 1, renewed=now - timedelta(seconds=7)))
    ran = mesh("install", "--region", "kr1", code=8)
    assert "kim on far-away (process 1, install)" in ran.error["message"]
    cluster.merge(LEASE, {"spec": {"renewTime": (now - timedelta(seconds=16)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")}})
    mesh("install", "--region", "kr1")
    assert_complete(cluster)


def test_a_release_left_pending_by_another_machine_is_let_settle(mesh: Program, cluster: Reader) -> None:
    """Its Helm cannot be seen from here: it is given its time, from Helm's last word on the release."""
    mesh("install", "--region", "kr1")
    stored = "/api/v1/namespaces/istio-system/secrets/sh.helm.release.v1.istiod.v1"
    release = cluster.helm_release("istiod")
    release["info"]["status"] = "pending-install"
    release["info"]["last_deployed"] = (datetime.now(UTC) - timedelta(seconds=10)).isoformat()
    cluster.merge(stored, {"metadata": {"labels": {"status": "pending-install"}}, "data": {"release": packed(release)}})
    cluster.post(LEASES, lease("far-away", 1, 1, renewed=datetime.now(UTC) - timedelta(seconds=16)))
    ran = mesh("install")
    assert "istiod to settle: Helm may still be changing it" in ran.stderr
    assert ran.changes == {"istiod": "install"}
    assert_complete(cluster)


def test_a_run_whose_lease_was_taken_stops(mesh: Program, cluster: Reader, sandbox: Sandbox) -> None:
    asyncio.run(sandbox.fail(Failure.UNREADY, selector=GATEWAY))
    with started(mesh, "install", "--region", "kr1") as run:
        run.until("istio-ingressgateway: warning: ")
        cluster.merge(LEASE, lease("far-away", 1, 1, renewed=datetime.now(UTC)))
        ran = run.end(8)
    assert ran.seconds < 20
    assert "kim on far-away (process 1, install)" in ran.error["message"]
    assert "istiod" in str(ran.error)
    assert cluster.get(LEASE)["spec"]["holderIdentity"] == "kim@far-away/1/1"


def test_its_own_renewal_that_was_not_answered_takes_no_lease_away(
    mesh: Program, cluster: Reader, sandbox: Sandbox
) -> None:
    """The API server ends between writing a renewal and answering it: the Lease has another version than is known."""
    asyncio.run(sandbox.fail(Failure.UNREADY, selector=GATEWAY))
    with started(mesh, "install", "--region", "kr1") as run:
        run.until("istio-ingressgateway: warning: ")
        renewed = cluster.get(LEASE)["spec"]["renewTime"]
        cluster.merge(LEASE, {"metadata": {"labels": {"version": "another"}}})
        while cluster.get(LEASE)["spec"]["renewTime"] == renewed:
            assert run.process.poll() is None
        asyncio.run(sandbox.heal())
        run.end(0)
    assert_complete(cluster)
