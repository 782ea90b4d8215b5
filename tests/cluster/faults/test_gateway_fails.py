"""A gateway that cannot become ready: the run ends early, says why, and the next one completes."""

from __future__ import annotations

import asyncio

import pytest

from nksmesh.sandbox.failures import Failure
from nksmesh.sandbox.sandbox import Sandbox
from tests.cluster.faults.conftest import Standing
from tests.cluster.faults.expectations import GATEWAY, PROXY, assert_complete, wait_for_gateway
from tests.cluster.faults.runs import started
from tests.cluster.program import Program, Ran
from tests.cluster.reader import Reader

pytestmark = pytest.mark.cluster

ENOUGH = 20.0
"""Seconds, of the five minutes that each component is given here, after which an early end is none."""

UNTIMED = ("--timeout", "5m")


def failed(mesh: Program, *arguments: str) -> Ran:
    """Run, and check that it ended early, as not ready, and tells of it in full."""
    ran = mesh("install", *UNTIMED, *arguments, code=6)
    assert ran.seconds < ENOUGH, str(ran)
    assert ran.error["code"] == "not-ready"
    assert "Pod istio-system/istio-ingressgateway-" in ran.error["message"]
    assert ran.error["hint"]
    assert "istio-ingressgateway: failed" in ran.stderr
    return ran


@pytest.mark.parametrize(
    ("reason", "shown", "words", "advice"),
    [
        ("not-found", "ErrImagePull", f"{PROXY}: not found", "that the registry has this image"),
        ("unauthorized", "ErrImagePull", "401 Unauthorized", "pull secret"),
        ("invalid-name", "InvalidImageName", "invalid reference format", "image"),
    ],
    ids=["not-found", "unauthorized", "invalid-name"],
)
def test_an_image_that_certainly_never_pulls(
    standing: Standing, reason: str, shown: str, words: str, advice: str
) -> None:
    standing.fail(Failure.IMAGE, reason)
    ran = failed(standing.mesh)
    assert f"{shown} of image {PROXY}" in ran.error["message"]
    assert "cannot become ready" in ran.error["message"]
    assert words in ran.error["detail"]
    assert advice in ran.error["hint"]


def test_a_pull_that_may_heal_is_given_its_grace(standing: Standing) -> None:
    standing.fail(Failure.IMAGE, "unknown")
    ran = failed(standing.mesh, "--grace", "pull=2s")
    assert f"of image {PROXY}" in ran.error["message"]
    assert "is not ready after" in ran.error["message"]
    assert "i/o timeout" in ran.error["detail"]
    assert "istio-ingressgateway: warning: Pod istio-system/istio-ingressgateway-" in ran.stderr


def test_a_crash_loop_shows_its_exit_code_and_its_last_words(standing: Standing) -> None:
    standing.fail(Failure.CRASH)
    ran = failed(standing.mesh, "--grace", "crash=3s")
    assert "CrashLoopBackOff" in ran.error["message"]
    assert "exit code 255" in ran.error["detail"]
    last = ran.error["detail"].partition("last lines of container istio-proxy:\n")[2]
    assert last.endswith("Error: exit status 255")
    assert "istio-ingressgateway: warning: Pod istio-system/istio-ingressgateway-" in ran.stderr


def test_a_probe_that_fails(standing: Standing) -> None:
    standing.fail(Failure.UNREADY)
    ran = failed(standing.mesh, "--grace", "probe=3s")
    assert "Unhealthy" in ran.error["message"]
    assert "Readiness probe failed" in ran.error["detail"]
    assert "kubectl logs -n istio-system istio-ingressgateway-" in ran.error["hint"]


def test_a_pod_that_no_node_takes(standing: Standing) -> None:
    standing.fail(Failure.UNSCHEDULABLE)
    ran = failed(standing.mesh, "--grace", "unschedulable=3s")
    assert "Unschedulable" in ran.error["message"]
    assert "nodes are available" in ran.error["detail"]
    assert "requests" in ran.error["hint"]


def test_a_trouble_that_heals_within_its_grace_is_only_a_warning(standing: Standing) -> None:
    standing.fail(Failure.UNREADY)
    with started(standing.mesh, "install") as run:
        run.until("istio-ingressgateway: warning: ")
        standing.heal()
        ran = run.end(0)
    assert "Readiness probe failed" in str(ran.data["warnings"])


def test_a_timeout_says_what_was_waited_for(standing: Standing) -> None:
    standing.fail(Failure.UNREADY)
    ran = standing.mesh("install", "--timeout", "2s", code=6)
    assert ran.seconds < 8, str(ran)
    assert "is not ready after 2.0s" in ran.error["message"]
    assert "Readiness probe failed" in str(ran.error)


def test_a_first_install_whose_gateway_never_pulls(mesh: Program, cluster: Reader, sandbox: Sandbox) -> None:
    asyncio.run(sandbox.fail(Failure.IMAGE, selector=GATEWAY))
    ran = failed(mesh, "--region", "kr1")
    assert f"ErrImagePull of image {PROXY}" in ran.error["message"]
    assert "done: namespace istio-system, CRDs, istio-base, istiod, injection webhook" in str(ran.error)
    asyncio.run(sandbox.heal())
    wait_for_gateway(cluster)
    again = mesh("install")
    assert again.changes == {}
    assert_complete(cluster)
