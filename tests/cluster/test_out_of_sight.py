"""Releases that Helm does not show where they are looked for, and an exit code 0 that removed nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.cluster.program import Program
from tests.cluster.reader import Reader

pytestmark = pytest.mark.cluster

FLUX = {"helm.toolkit.fluxcd.io/name": "mesh", "helm.toolkit.fluxcd.io/namespace": "flux-system"}
RECORD = "/api/v1/namespaces/kube-system/secrets/nksmesh.istio-system"

WRITERS: tuple[tuple[str, ...], ...] = (("install", "--region", "kr1"), ("uninstall", "--yes", "--purge"))
"""Of the commands that write the two that did most harm; the unit tests have every one."""


def move_records(cluster: Reader, source: str, target: str) -> None:
    """Move Helm's records, as Flux's helm-controller keeps them for a HelmRelease with a targetNamespace."""
    for one in cluster.items(f"/api/v1/namespaces/{source}/secrets", labelSelector="owner=helm"):
        metadata = {"name": one["metadata"]["name"], "labels": one["metadata"]["labels"]}
        moved = {"metadata": metadata, "type": one["type"], "data": one["data"]}
        cluster.post(f"/api/v1/namespaces/{target}/secrets", moved)
        cluster.delete(f"/api/v1/namespaces/{source}/secrets/{metadata['name']}")


def test_they_are_refused_by_all_that_writes_and_shown_by_all_that_looks(mesh: Program, cluster: Reader) -> None:
    mesh("install", "--region", "kr1")
    mesh("install", "--set", "istiod:pilot.traceSampling=7")
    before = cluster.everything()

    other = replace(mesh, environment={"HELM_DRIVER": "configmap"})
    for command in WRITERS:
        error = other(*command, code=4).error
        assert "HELM_DRIVER=secret, and this shell has HELM_DRIVER=configmap" in error["message"], command
        assert "HELM_DRIVER=secret nksmesh" in error["hint"]
    seen = other("status").data
    assert (seen["installed"], seen["ready"], seen["region"]) == (True, False, "kr1")
    assert "No mesh" not in other("status", output="text").stdout
    assert cluster.everything() == before

    cluster.post("/api/v1/namespaces", {"metadata": {"name": "flux-system"}})
    move_records(cluster, "istio-system", "flux-system")
    cluster.merge("/apis/apps/v1/namespaces/istio-system/deployments/istiod", {"metadata": {"labels": FLUX}})
    before = cluster.everything()
    for command in (*WRITERS, ("rollback", "--yes")):
        error = mesh(*command, code=4).error
        assert "is in namespace flux-system" in error["message"], command
        assert "Flux (HelmRelease flux-system/mesh)" in f"{error['message']}{error['detail']}"
    assert any("flux-system" in note for note in mesh("drift").data["notes"])

    cluster.delete(RECORD)
    before = cluster.everything()
    for command in (*WRITERS, ("adopt", "--yes")):
        assert "is in namespace flux-system" in mesh(*command, code=4).error["message"], command
    described = mesh("adopt", "--dry-run").data
    assert len(described["releases"]) == 3
    assert sum("is in namespace flux-system" in note for note in described["notes"]) == 3
    assert len(mesh("status").data["releases"]) == 3
    assert cluster.everything() == before

    # what the hint says: suspended, moved, adopted
    move_records(cluster, "flux-system", "istio-system")
    mesh("adopt", "--yes")
    assert mesh("plan", "--exit-code").changes == {}


@pytest.mark.parametrize("major", ["helm3", "helm4"])
def test_what_is_still_there_is_not_removed_and_nothing_is_purged(
    mesh: Program, cluster: Reader, request: pytest.FixtureRequest, tmp_path: Path, major: str
) -> None:
    helm = str(request.getfixturevalue(major))
    idle = tmp_path / "idle-helm"
    idle.write_text(f'#!/bin/sh\n[ "$1" = uninstall ] && exit 0\nexec {helm} "$@"\n')
    idle.chmod(0o755)
    mesh = replace(mesh, helm=helm)
    mesh("install", "--region", "kr1")
    crds = cluster.items("/apis/apiextensions.k8s.io/v1/customresourcedefinitions")
    ran = replace(mesh, helm=str(idle))("uninstall", "--yes", "--purge", code=5)
    assert "was not removed" in ran.error["message"]
    assert len(cluster.items("/apis/apiextensions.k8s.io/v1/customresourcedefinitions")) == len(crds)
    assert cluster.deployment("istiod")

    # an object that the policy keeps stays, and is said to; one with a finalizer is not gone before it is
    account = "/api/v1/namespaces/istio-system/serviceaccounts/istio-ingressgateway-service-account"
    found = cluster.find(account)
    service = "/api/v1/namespaces/istio-system/services/istio-ingressgateway"
    keep = {"metadata": {"annotations": {"helm.sh/resource-policy": "keep"}}}
    cluster.merge(account if found else service, keep)
    cluster.merge("/apis/apps/v1/namespaces/istio-system/deployments/istiod", {"metadata": {"finalizers": ["a.b/c"]}})
    held = mesh("uninstall", "--yes", "--timeout", "3s", code=6)
    assert "Deployment istio-system/istiod is still being deleted" in held.error["message"]
    cluster.merge("/apis/apps/v1/namespaces/istio-system/deployments/istiod", {"metadata": {"finalizers": None}})
