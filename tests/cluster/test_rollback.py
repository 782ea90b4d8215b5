"""Rollback on Istio's own charts: whatever failed, the mesh is what it was before, object by object."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from nksmesh.sandbox.failures import Failure
from nksmesh.sandbox.sandbox import Sandbox
from tests.cluster.faults.expectations import GATEWAY, LEASE, pending, statuses, wait_for_gateway
from tests.cluster.program import Program
from tests.cluster.reader import Object, Reader, Ref
from tests.cluster.state import changed, state_of

pytestmark = pytest.mark.cluster

ISTIOD = "app=istiod"
RECORD = "/api/v1/namespaces/kube-system/secrets/nksmesh.istio-system"


def outcomes(mesh: Program) -> list[tuple[str, str]]:
    """List the runs, oldest first: what each was and how it ended."""
    runs = mesh("history", "--limit", "20").data["runs"]
    return [(run["command"], run["outcome"]) for run in reversed(runs)]


def assert_back(cluster: Reader, before: dict[Ref, Object]) -> None:
    """Check that the mesh is what it was, and that nobody holds it."""
    assert not changed(before, state_of(cluster))
    assert set(statuses(cluster).values()) == {"deployed"}
    assert not pending(cluster)
    assert cluster.find(LEASE) is None


def fail(sandbox: Sandbox, selector: str) -> None:
    asyncio.run(sandbox.fail(Failure.IMAGE, selector=selector))


def test_an_upgrade_that_fails_at_each_step_is_taken_back_with_helm_3(
    istio: Program, cluster: Reader, sandbox: Sandbox
) -> None:
    istio("install", "--region", "kr1", "--version", "1.19.0")
    before = state_of(cluster)
    fail(sandbox, ISTIOD)
    ran = istio("upgrade", "--to", "1.20.0", "--rollback-on-failure", code=11)
    assert ran.error["code"] == "rolled-back"
    assert "istiod cannot become ready" in ran.error["message"]
    assert "pilot:1.20.0: not found" in ran.error["detail"]
    assert "begun: istiod" in str(ran.error["notes"])
    asyncio.run(sandbox.heal())
    assert_back(cluster, before)

    fail(sandbox, GATEWAY)
    ran = istio("upgrade", "--to", "1.20.0", code=6)
    assert "done: namespace istio-system, CRDs, istio-base, istiod, injection webhook" in str(ran.error["notes"])
    assert "nksmesh rollback" in str(ran.error["notes"])
    asyncio.run(sandbox.heal())
    ran = istio("rollback", "--yes")
    assert "proxyv2:1.20.0: not found" in ran.data["evidence"]
    assert ran.changes == {
        "istiod": "roll back",
        "istio-base": "roll back",
        "istio-ingressgateway": "roll back",
        "restart istio-ingressgateway": "restart",
    }
    assert list(ran.actions).index("injection webhook") == 1
    assert_back(cluster, before)
    assert outcomes(istio)[1:] == 2 * [("upgrade", "rolled back"), ("rollback", "done")]
    assert istio("plan").changes == {}
    ran = istio("rollback", "--yes", code=2)
    assert "nksmesh uninstall" in ran.error["hint"]


def test_a_rollback_that_fails_is_an_error_of_its_own_and_goes_on_later_with_helm_4(
    istio: Program, cluster: Reader, sandbox: Sandbox, helm4: str
) -> None:
    istio = replace(istio, helm=helm4)
    istio("install", "--region", "kr1", "--version", "1.19.0")
    before = state_of(cluster)
    fail(sandbox, GATEWAY)  # the gateway's pods fail on either proxy
    ran = istio("upgrade", "--to", "1.20.0", "--rollback-on-failure", code=12)
    assert ran.error["code"] == "rollback"
    assert "proxyv2:1.20.0: not found" in ran.error["detail"]
    assert "proxyv2:1.19.0: not found" in ran.error["detail"]
    asyncio.run(sandbox.heal())
    wait_for_gateway(cluster)
    ran = istio("rollback", "--to-run", "1", "--yes")
    assert [(run["number"], run["outcome"]) for run in ran.data["runs"]] == [(2, "failed")]
    assert ran.data["to_versions"] == ["1.19.0"]
    assert_back(cluster, before)
    assert outcomes(istio)[1:] == [("upgrade", "rolled back"), ("rollback", "failed"), ("rollback", "done")]


def test_a_first_install_that_fails_is_removed(mesh: Program, cluster: Reader, sandbox: Sandbox) -> None:
    fail(sandbox, GATEWAY)
    before = state_of(cluster)
    ran = mesh("install", "--region", "kr1", "--rollback-on-failure", code=11)
    assert "istio-ingressgateway cannot become ready" in ran.error["message"]
    assert statuses(cluster) == {}
    assert cluster.find(RECORD) is None
    left = {ref for ref, (was, _) in changed(before, state_of(cluster)).items() if was is None}
    assert {ref.kind for ref in left} <= {"Namespace", "ServiceAccount", "ConfigMap", "Secret"}
    assert {ref.name for ref in left if ref.kind in {"ServiceAccount", "Secret"}} <= {"default", "istio-ca-secret"}
    assert outcomes(mesh) == [("install", "rolled back"), ("rollback", "done")]
    asyncio.run(sandbox.heal())
    mesh("install", "--region", "kr1")
