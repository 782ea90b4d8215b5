"""A gateway that cannot become ready: the run ends early, says why, and the next one completes."""

from __future__ import annotations

import asyncio

import pytest

from nksmesh.sandbox.failures import Failure
from nksmesh.sandbox.sandbox import Sandbox
from tests.cluster.faults.expectations import GATEWAY, PROXY, assert_complete, wait_for_gateway
from tests.cluster.faults.runs import started
from tests.cluster.installed import InstalledMesh
from tests.cluster.program import Program, Ran
from tests.cluster.reader import Reader

pytestmark = pytest.mark.cluster

ENOUGH = 20.0
"""Seconds, of the five minutes that each component is given here, after which an early end is none."""

UNTIMED = ("--timeout", "5m")


def failed(mesh: Program, *arguments: str) -> Ran:
    """Run, and check that it ended early, as a pod is not ready, and tells of it in full."""
    return failed_on(mesh, "Pod istio-system/istio-ingressgateway-", *arguments)


def failed_on(mesh: Program, subject: str, *arguments: str) -> Ran:
    """The same of whatever is not ready."""
    ran = mesh("install", *UNTIMED, *arguments, code=6)
    assert ran.seconds < ENOUGH, str(ran)
    assert ran.error["code"] == "not-ready"
    assert subject in ran.error["message"]
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
    standing: InstalledMesh, reason: str, shown: str, words: str, advice: str
) -> None:
    standing.fail(Failure.IMAGE, reason)
    ran = failed(standing.mesh)
    assert f"{shown} of image {PROXY}" in ran.error["message"]
    assert "cannot become ready" in ran.error["message"]
    assert words in ran.error["detail"]
    assert advice in ran.error["hint"]


def test_an_image_that_has_come_to_the_registry_is_pulled_by_the_next_run(standing: InstalledMesh) -> None:
    """The kubelet waits up to five minutes before it pulls again, and shows the old error until then."""
    standing.fail(Failure.IMAGE)
    failed(standing.mesh)
    (before,) = standing.cluster.pods(GATEWAY)
    # nobody has mended anything: another pod is given a try, and fails as early
    again = failed(standing.mesh)
    (between,) = standing.cluster.pods(GATEWAY)
    assert between["metadata"]["uid"] != before["metadata"]["uid"]
    assert f"ErrImagePull of image {PROXY}" in again.error["message"]
    assert f"deleted pod {before['metadata']['name']}: its image could not be pulled before this run" in again.stderr

    standing.mend_the_registry()
    ran = standing.mesh("install", *UNTIMED)
    assert ran.seconds < ENOUGH, str(ran)
    assert ran.changes == {}
    assert f"deleted pod {between['metadata']['name']}" in str(ran.data["warnings"])
    (after,) = standing.cluster.pods(GATEWAY)
    assert after["metadata"]["uid"] != between["metadata"]["uid"]


def test_a_quota_that_was_raised_lets_the_next_run_complete(standing: InstalledMesh) -> None:
    """The ReplicaSet shows its old failure until its controller tries again, which takes longer each time."""
    path = "/api/v1/namespaces/istio-system/resourcequotas"
    standing.cluster.post(path, {"metadata": {"name": "small"}, "spec": {"hard": {"pods": "1"}}})
    standing.cluster.until(path, lambda found: bool(found[0].get("status", {}).get("hard")))
    for pod in standing.cluster.pods(GATEWAY):
        standing.cluster.delete(f"/api/v1/namespaces/istio-system/pods/{pod['metadata']['name']}")
    standing.cluster.until(
        "/apis/apps/v1/namespaces/istio-system/replicasets",
        lambda found: any(
            (one["status"].get("conditions") or [{}])[0].get("type") == "ReplicaFailure" for one in found
        ),
    )
    ran = failed_on(standing.mesh, "ReplicaSet istio-system/istio-ingressgateway-")
    assert "was restarted to retry at once" in ran.stderr
    assert "exceeded quota: small" in ran.error["detail"]
    standing.cluster.delete(f"{path}/small")
    standing.mesh("install", *UNTIMED)


def test_a_pull_that_may_heal_is_given_its_grace(standing: InstalledMesh) -> None:
    standing.fail(Failure.IMAGE, "unknown")
    ran = failed(standing.mesh, "--grace", "pull=2s")
    assert f"of image {PROXY}" in ran.error["message"]
    assert "is not ready after" in ran.error["message"]
    assert "i/o timeout" in ran.error["detail"]
    assert "istio-ingressgateway: warning: Pod istio-system/istio-ingressgateway-" in ran.stderr


def test_a_crash_loop_shows_its_exit_code_and_its_last_words(standing: InstalledMesh) -> None:
    standing.fail(Failure.CRASH)
    ran = failed(standing.mesh, "--grace", "crash=3s")
    assert "CrashLoopBackOff" in ran.error["message"]
    assert "exit code 255" in ran.error["detail"]
    last = ran.error["detail"].partition("last lines of container istio-proxy:\n")[2]
    assert last.endswith("Error: exit status 255")
    assert "istio-ingressgateway: warning: Pod istio-system/istio-ingressgateway-" in ran.stderr


def test_a_probe_that_fails(standing: InstalledMesh) -> None:
    standing.fail(Failure.UNREADY)
    ran = failed(standing.mesh, "--grace", "probe=3s")
    assert "Unhealthy" in ran.error["message"]
    assert "Readiness probe failed" in ran.error["detail"]
    assert "kubectl logs -n istio-system istio-ingressgateway-" in ran.error["hint"]


def test_a_pod_that_no_node_takes(standing: InstalledMesh) -> None:
    standing.fail(Failure.UNSCHEDULABLE)
    ran = failed(standing.mesh, "--grace", "unschedulable=3s")
    assert "Unschedulable" in ran.error["message"]
    assert "nodes are available" in ran.error["detail"]
    assert "requests" in ran.error["hint"]


def test_a_trouble_that_heals_within_its_grace_is_only_a_warning(standing: InstalledMesh) -> None:
    standing.fail(Failure.UNREADY)
    with started(standing.mesh, "install") as run:
        run.until("istio-ingressgateway: warning: ")
        standing.heal()
        ran = run.end(0)
    assert "Readiness probe failed" in str(ran.data["warnings"])


def test_a_timeout_says_what_was_waited_for(standing: InstalledMesh) -> None:
    standing.fail(Failure.UNREADY)
    ran = standing.mesh("install", "--timeout", "2s", code=6)
    assert ran.seconds < 8, str(ran)
    assert "is not ready after 2.0s" in ran.error["message"]
    assert "Readiness probe failed" in str(ran.error)


def test_a_first_install_whose_gateway_never_pulls(mesh: Program, cluster: Reader, sandbox: Sandbox) -> None:
    asyncio.run(sandbox.fail(Failure.IMAGE, selector=GATEWAY))
    ran = failed(mesh, "--region", "kr1")
    assert f"ErrImagePull of image {PROXY}" in ran.error["message"]
    (told,) = [note for note in ran.error["notes"] if note.startswith("done: ")]
    done = told.removeprefix("done: ").partition(";")[0].split(", ")
    assert set(done) == {"namespace istio-system", "CRDs", "istio-base", "istiod", "injection webhook"}
    asyncio.run(sandbox.heal())
    wait_for_gateway(cluster)
    again = mesh("install")
    assert again.changes == {}
    assert_complete(cluster)
