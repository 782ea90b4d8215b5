"""A later run: nothing is written where nothing changed, and what is not said is as installed."""

from __future__ import annotations

import subprocess

import pytest

from tests.cluster.program import Program
from tests.cluster.reader import Reader

pytestmark = pytest.mark.cluster

KR2 = "6e7f43c6-kr2-registry.container.cloud.toast.com/container_service/istio"


def test_a_second_run_writes_nothing_whatever_the_first_was_told(mesh: Program, cluster: Reader) -> None:
    own = mesh.folder / "own.yaml"
    own.write_text("resources: {requests: {cpu: 55m}}\n")
    said = ("--region", "kr2", "--network", "private", "--profile", "demo", "--version", "1.20.0")
    own_values = ("-f", f"gateway={own}", "--set", "istiod:pilot.traceSampling=3")
    first = mesh("install", *said, *own_values)
    assert first.data["hub"] == f"private-{KR2}"
    standing = cluster.everything()

    # neither options, nor where the charts came from, nor the values' file
    own.unlink()
    later = mesh("install", charts="")
    assert later.changes == {}
    for key in ("hub", "profile", "region", "network", "version", "chart_source", "namespace"):
        assert later.data[key] == first.data[key], key
    assert "region kr2, as installed" in later.data["notes"]
    assert any(note.startswith("values of ") and "--set" in note for note in later.data["notes"])
    assert mesh("plan", "--exit-code", charts="").changes == {}
    assert mesh("status").data["ready"] is True
    assert cluster.everything() == standing

    # what is said again is no change either, and what is said anew is the only one
    assert mesh("install", *said).changes == {}
    changed = mesh("plan", "--set", "istiod:pilot.traceSampling=4", charts="")
    assert changed.changes == {"istiod": "upgrade"}
    assert cluster.everything() == standing


def test_a_run_with_nothing_to_do_still_keeps_what_it_was_told(mesh: Program, cluster: Reader) -> None:
    said = ("--region", "kr2", "--allow-image", "docker.io/somebody")
    mesh("install", *said)
    record = "/api/v1/namespaces/kube-system/secrets/nksmesh.istio-system"
    kept = cluster.get(record)
    assert mesh("install", *said).changes == {}
    assert cluster.get(record)["metadata"]["resourceVersion"] == kept["metadata"]["resourceVersion"]

    cluster.delete(record)
    assert mesh("install", *said).changes == {}
    assert cluster.get(record)["data"] == kept["data"]
    assert mesh("plan", "--exit-code", charts="").data["region"] == "kr2"

    # a word that changes no manifest is one that a later run goes by, too
    assert mesh("install", "--allow-image", "quay.io/another").changes == {}
    stray = ("--set", "istiod:pilot.image=quay.io/another/pilot:1.20.0")
    assert mesh("plan", *stray).changes == {"istiod": "upgrade"}


def test_a_record_whose_releases_are_gone_counts_for_nothing(mesh: Program, cluster: Reader, helm3: str) -> None:
    mesh("install", "--region", "kr2", "--profile", "demo")
    for release in ("istio-ingressgateway", "istio-egressgateway", "istiod", "istio-base"):
        subprocess.run(
            [helm3, "uninstall", release, "-n", "istio-system", "--kubeconfig", str(mesh.kubeconfig)],
            check=True,
            capture_output=True,
        )
    assert cluster.helm_revisions() == {}

    refused = mesh("plan", code=2)
    assert refused.envelope["status"] == "error"
    assert "no region" in refused.error["message"]
    assert "kr1" in refused.error["hint"]
    planned = mesh("plan", "--region", "kr1")
    assert (planned.data["profile"], planned.data["unwanted"]) == ("default", [])
    assert mesh("status").data["installed"] is False
    assert mesh("install", "--region", "kr1").data["profile"] == "default"
    assert mesh("plan", "--exit-code").data["region"] == "kr1"


def test_what_somebody_took_away_is_put_back(mesh: Program, cluster: Reader) -> None:
    mesh("install", "--region", "kr1")
    cluster.delete("/api/v1/namespaces/istio-system/services/istio-ingressgateway")
    cluster.delete("/apis/apiextensions.k8s.io/v1/customresourcedefinitions/gateways.networking.istio.io")

    planned = mesh("plan", "--exit-code", code=10)
    assert planned.changes == {"CRDs": "apply", "istio-ingressgateway": "upgrade"}
    assert "is missing" in planned.reasons["istio-ingressgateway"][0]
    mesh("install")
    assert cluster.service("istio-ingressgateway")["status"]["loadBalancer"]["ingress"]
    assert cluster.get("/apis/apiextensions.k8s.io/v1/customresourcedefinitions/gateways.networking.istio.io")
    assert mesh("plan", "--exit-code").changes == {}
