"""Rollback on Istio's own charts: whatever failed, the mesh is what it was before, object by object."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from nksmesh.sandbox.failures import Failure
from nksmesh.sandbox.sandbox import Sandbox
from tests.cluster.faults.expectations import GATEWAY, LEASE, pending, statuses, wait_for_gateway
from tests.cluster.faults.webhooks import Verdict, policy
from tests.cluster.installed import installed_in
from tests.cluster.program import Program
from tests.cluster.reader import Object, Reader, Ref, unpacked
from tests.cluster.state import changed, state_of

pytestmark = pytest.mark.cluster

RECORD = "/api/v1/namespaces/kube-system/secrets/nksmesh.istio-system"
SAYS = "1.20.0 is not let through"
OF_HELM = "helm.sh/release.v1"


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


@dataclass(frozen=True)
class Case:
    """A step of the upgrade from 1.19.0 to 1.20.0, and how it is made to fail there, and only there.

    Attributes:
        step: The step.
        resource: What a policy of somebody else's no longer lets through, once it is of 1.20.0.
        group: The API group of that.
        operation: What is done with it.
        name: The policy's.
        of: Only objects whose name begins so.
        sign: How an object of 1.20.0 is known.
        spares_dry_runs: The policy refuses nothing that is not to be written.
        at_once: The run itself takes back what it did; else ``nksmesh rollback`` does.
    """

    step: str
    resource: str
    group: str = ""
    operation: str = "UPDATE"
    name: str = "versions.policy.example"
    of: str = ""
    sign: str = "1.20.0"
    spares_dry_runs: bool = True
    at_once: bool = False

    def verdict(self) -> Verdict:
        def judge(found: Object) -> str:
            name = found["metadata"].get("name", "")
            stored = unpacked(found)["chart"]["metadata"] if found.get("type") == OF_HELM else found
            barred = name.startswith(self.of) and self.sign in json.dumps(stored)
            return SAYS if barred else ""

        return judge


CASES = (
    Case("CRDs", "customresourcedefinitions", group="apiextensions.k8s.io"),
    Case("istio-base", "secrets", operation="CREATE", of="sh.helm.release.v1.istio-base."),
    # Helm has done all its work, and cannot tell: the release stays pending-upgrade
    Case("istio-base", "secrets", of="sh.helm.release.v1.istio-base.", at_once=True),
    Case("istiod", "deployments", group="apps", of="istiod"),
    # Helm calls it deployed, and its pods never come
    Case("istiod", "pods", operation="CREATE", sign="pilot:1.20.0", at_once=True),
    Case(
        "injection webhook",
        "pods",
        operation="CREATE",
        name="all.sidecar-injector.istio.io",
        sign="proxyv2:1.20.0",
        spares_dry_runs=False,
    ),
    Case("istio-ingressgateway", "services", of="istio-ingressgateway", at_once=True),
    Case("restart istio-ingressgateway", "pods", operation="CREATE", sign="proxyv2:1.20.0"),
)


@dataclass(frozen=True)
class RestoredMesh:
    """A mesh of 1.19.0, and what there was when it was installed."""

    mesh: Program
    cluster: Reader
    before: dict[Ref, Object]


@pytest.fixture(scope="module")
def standing(
    module_sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory, real_charts: Path
) -> Iterator[RestoredMesh]:
    """Install a mesh into an empty cluster, for every case."""
    folder = tmp_path_factory.mktemp("rollbacks")
    with installed_in(module_sandbox, folder, real_charts, "--region", "kr1", "--version", "1.19.0") as installed:
        yield RestoredMesh(installed.mesh, installed.cluster, state_of(installed.cluster))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.step)
def test_an_upgrade_that_fails_at_each_step_is_taken_back(standing: RestoredMesh, tmp_path: Path, case: Case) -> None:
    mesh, cluster = standing.mesh, standing.cluster
    barred = policy(
        cluster,
        tmp_path,
        case.verdict(),
        name=case.name,
        resource=case.resource,
        group=case.group,
        operation=case.operation,
        spares_dry_runs=case.spares_dry_runs,
    )
    options = ["--grace", "not-injected=1s", *(["--rollback-on-failure"] if case.at_once else [])]
    with barred:
        ran = mesh("upgrade", "--to", "1.20.0", *options, code=None)
        assert f"{case.step}: failed" in ran.stderr, str(ran)
        assert SAYS in str(ran.error), str(ran)
        assert not ran.error["message"].startswith("restart "), "a step is nothing that becomes ready"
        assert (ran.error["code"] == "rolled-back") is case.at_once, str(ran)
        if not case.at_once:
            assert "nksmesh rollback" in str(ran.error["notes"])
            back = mesh("rollback", "--yes")
            assert list(back.actions)[:2] == ["istiod", "injection webhook"]
            assert SAYS in str(back.data)
    assert_back(cluster, standing.before)
    assert outcomes(mesh)[-2:] == [("upgrade", "rolled back"), ("rollback", "done")]


def test_nothing_is_left_to_do_or_to_take_back(standing: RestoredMesh) -> None:
    # Helm itself keeps ten, which all this is more than: what stood before the first of the runs is still there
    assert "sh.helm.release.v1.istiod.v1" in standing.cluster.helm_revisions()
    assert standing.mesh("plan", "--exit-code").changes == {}
    ran = standing.mesh("rollback", "--yes", code=2)
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
