"""The guide walked on a real API server: as far as pods without processes let it, and taken back object by object."""

from __future__ import annotations

import pytest

from tests.cluster.program import Program
from tests.cluster.reader import Reader
from tests.cluster.test_applications import SAMPLE

pytestmark = pytest.mark.cluster


def test_it_stops_where_a_proof_fails_and_leaves_nothing_behind(mesh: Program, cluster: Reader) -> None:
    samples = mesh.folder / "samples"
    for file, text in SAMPLE.items():
        path = samples / "bookinfo" / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    before = cluster.everything()
    guide = ("guide", "--region", "kr1", "--version", "1.20.0", "--samples", str(samples), "--wait", "1s")

    assert mesh(*guide, code=2).error["message"].startswith("cannot ask for confirmation without a terminal")
    assert cluster.everything() == before
    walked = mesh(*guide, "--yes", code=7)
    steps = [(step["title"].split(" ", 1)[0], step["proved"]) for step in walked.data["steps"]]
    # in a pod that only counts as running, nobody answers curl
    assert steps == [("Install", True), ("Look", True), ("Have", True), ("Deploy", True), ("Verify", False)]
    checks = {check["id"]: check["status"] for check in walked.data["steps"][-1]["result"]["checks"]}
    assert (checks["sample.pods"], checks["sample.page-inside"]) == ("ok", "failure")
    assert [line.split()[1] for line in walked.data["remaining"]] == ["gateway", "traffic", "traffic", "traffic"]
    assert "$ nksmesh inject enable default --yes\n" in walked.stderr

    refused = mesh(*guide, "--yes", code=7).error
    assert refused["message"].startswith("Istio 1.20.0 is installed in istio-system")
    assert "nksmesh guide --undo" in refused["hint"]
    shop = "/api/v1/namespaces/shop"
    cluster.post("/api/v1/namespaces", {"metadata": {"name": "shop", "labels": {"istio-injection": "enabled"}}})
    assert "namespace shop; nothing was removed" in mesh("guide", "--undo", "--yes", code=7).error["message"]
    cluster.merge(shop, {"metadata": {"labels": {"istio-injection": None}}})

    undone = mesh("guide", "--undo", "--yes", "--print", output="")
    assert "## 1. Delete Bookinfo and its Gateway" in undone.stdout
    assert "    $ nksmesh uninstall --purge --yes\n" in undone.stdout
    left = {ref: digest for ref, digest in cluster.everything().items() if "shop" not in {ref.name, ref.namespace}}
    assert left == before
    assert mesh("guide", "--undo").data["steps"] == []
