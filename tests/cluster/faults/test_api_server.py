"""The API server: gone for a while, not there at all, and not letting us in or do what we must."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from nksmesh.sandbox.control_plane import Part
from nksmesh.sandbox.failures import Failure
from nksmesh.sandbox.sandbox import Sandbox
from tests.cluster.faults import credentials
from tests.cluster.faults.expectations import GATEWAY, LEASE, assert_complete, difference, statuses
from tests.cluster.faults.runs import started
from tests.cluster.program import Program
from tests.cluster.reader import Reader

pytestmark = pytest.mark.cluster


def test_killed_and_restarted_in_the_middle_of_a_wait(mesh: Program, cluster: Reader, sandbox: Sandbox) -> None:
    asyncio.run(sandbox.fail(Failure.UNREADY, selector=GATEWAY))
    with started(mesh, "install", "--region", "kr1") as run:
        run.until("istio-ingressgateway: warning: ")
        asyncio.run(sandbox.stop_part(Part.API_SERVER))
        run.until("istio-ingressgateway: waiting for the API server to answer again")
        time.sleep(1)
        asyncio.run(sandbox.start_part(Part.API_SERVER))
        run.until("istio-ingressgateway: waiting for Deployment istio-ingressgateway")
        asyncio.run(sandbox.heal())
        ran = run.end(0)
    assert ran.data["done"][-1]["name"] == "istio-ingressgateway"
    assert_complete(cluster)


def test_killed_while_helm_writes_the_next_run_completes(mesh: Program, cluster: Reader, sandbox: Sandbox) -> None:
    with started(mesh, "install", "--region", "kr1") as run:
        run.until("istiod: started")
        asyncio.run(sandbox.stop_part(Part.API_SERVER))
        ran = run.end()
    assert ran.code in {4, 5}, str(ran)
    assert ran.error["hint"]
    asyncio.run(sandbox.start_part(Part.API_SERVER))
    # what Helm may have begun before the API server went is left alone for a while; a run has 60 s
    mesh("install", "--region", "kr1")
    assert_complete(cluster)


@pytest.fixture
def stray(shared_sandbox: Sandbox, tmp_path: Path, example_charts: Path) -> Program:
    """The program on a cluster that it will not get to."""
    return Program(kubeconfig=shared_sandbox.kubeconfig, folder=tmp_path, charts=str(example_charts))


def test_it_is_not_there(shared_sandbox: Sandbox, stray: Program, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: whoever connects is refused
        server = f"https://127.0.0.1:{taken.getsockname()[1]}"
        other = credentials.kubeconfig_with(
            shared_sandbox, tmp_path, credentials.own_user(shared_sandbox), server=server
        )
        ran = replace(stray, kubeconfig=other)("install", "--region", "kr1", code=4)
    assert ran.seconds < 5, str(ran)
    assert ran.error["message"] == f"cannot reach the API server at {server}"
    assert "nksmesh sandbox up" in ran.error["hint"]


def test_it_does_not_answer(shared_sandbox: Sandbox, stray: Program, tmp_path: Path) -> None:
    """A server that speaks no TLS: what a wrong port, or a proxy in between, looks like."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(30)  # a program that ends before it connects fails the test, and does not hold it up
        address = f"https://127.0.0.1:{server.getsockname()[1]}"
        other = credentials.kubeconfig_with(
            shared_sandbox, tmp_path, credentials.own_user(shared_sandbox), server=address
        )
        with started(replace(stray, kubeconfig=other), "install", "--region", "kr1") as run:
            while run.process.poll() is None and not run.lines:
                connection, _ = server.accept()
                connection.sendall(b"HTTP/1.0 400 Bad Request\r\n\r\n")
                connection.close()
                run.until("plan: started")
                server.settimeout(0.5)
                try:
                    while True:
                        server.accept()[0].close()
                except TimeoutError:
                    pass
            ran = run.end(4)
    assert ran.seconds < 10, str(ran)
    assert f"cannot reach the API server at {address}" in ran.error["message"]


@pytest.mark.parametrize("kind", ["expired", "stranger", "token"])
def test_credentials_that_are_not_accepted(shared_sandbox: Sandbox, stray: Program, tmp_path: Path, kind: str) -> None:
    users: dict[str, Callable[[], credentials.Object]] = {
        "expired": lambda: credentials.expired(shared_sandbox),
        "stranger": credentials.stranger,
        "token": lambda: {"token": "not-one-that-was-given-out"},
    }
    user = users[kind]()
    other = credentials.kubeconfig_with(shared_sandbox, tmp_path, user)
    ran = replace(stray, kubeconfig=other)("install", "--region", "kr1", code=4)
    assert ran.seconds < 10, str(ran)
    assert "does not accept the credentials of context nksmesh-sandbox-" in ran.error["message"]
    assert "expired" in ran.error["hint"]
    assert "not-one-that-was-given-out" not in ran.stdout + ran.stderr


@pytest.mark.parametrize(
    ("group", "resource", "verb", "code", "done"),
    [
        ("admissionregistration.k8s.io", "mutatingwebhookconfigurations", "create", 5, True),
        ("coordination.k8s.io", "leases", "create", 4, False),
        ("apiextensions.k8s.io", "customresourcedefinitions", "patch", 4, True),
    ],
    ids=["webhooks", "leases", "crds"],
)
def test_one_right_is_missing(
    sandbox: Sandbox,
    mesh: Program,
    cluster: Reader,
    tmp_path: Path,
    group: str,
    resource: str,
    verb: str,
    code: int,
    done: bool,
) -> None:
    token = credentials.token_of_account(cluster, "installer", credentials.everything_but(group, resource, verb))
    limited = replace(mesh, kubeconfig=credentials.kubeconfig_with(sandbox, tmp_path, {"token": token}))
    before = cluster.everything()
    foreseen = limited("install", "--region", "kr1", code=7).error
    assert f"may not {verb} {resource}" in foreseen["message"].lower()
    assert difference(before, cluster.everything()) == {}
    ran = limited("install", "--region", "kr1", "--skip-check", "cluster.permissions", code=code)
    assert resource in str(ran.error)
    assert "forbidden" in ran.error["detail"]
    assert "system:serviceaccount:default:installer" in ran.error["detail"]
    assert ran.error["hint"]
    assert token not in ran.stdout + ran.stderr
    assert done or difference(before, cluster.everything()) == {}
    assert cluster.find(LEASE) is None
    mesh("install", "--region", "kr1")
    assert_complete(cluster)


def test_nothing_may_be_read(sandbox: Sandbox, mesh: Program, cluster: Reader, tmp_path: Path) -> None:
    token = credentials.token_of_account(cluster, "nobody", [])
    limited = replace(mesh, kubeconfig=credentials.kubeconfig_with(sandbox, tmp_path, {"token": token}))
    ran = limited("install", "--region", "kr1", code=4)
    assert "is not allowed to read" in ran.error["message"]
    assert "forbidden" in ran.error["detail"]
    assert statuses(cluster) == {}
