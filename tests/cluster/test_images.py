"""Images that are looked for: a real cluster, a real registry, and the pull secret that lies between them.

The images are small ones of these tests under Istio's names.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.adapters.registry.servers import Pusher, Server, passwords, registry
from tests.cluster.program import Program, Ran
from tests.cluster.reader import Reader

pytestmark = pytest.mark.cluster

NODES = ("linux/amd64", "linux/arm64")
PASSWORD = "of the puller"  # noqa: S105 - of a registry that ends with the test


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with registry(tmp_path / "registry", auth=passwords(tmp_path / "registry", {"puller": PASSWORD})) as started:
        yield started


def test_images_are_looked_for_with_the_pods_pull_secret(mesh: Program, cluster: Reader, server: Server) -> None:
    authorization = "Basic " + base64.b64encode(f"puller:{PASSWORD}".encode()).decode()
    pusher = Pusher(server, {"Authorization": authorization})
    digests = {name: pusher.push(f"istio/{name}", "1.20.0", platforms=NODES) for name in ("pilot", "proxyv2")}
    hub = ("--charts", mesh.charts, "--hub", f"{server.host}/istio", "--set", "istiod:global.imagePullSecrets={key}")

    refused = mesh("images", "check", *hub, "--version", "1.20.0", code=3).data
    assert all("without a login" in image["findings"][0]["message"] for image in refused["images"])

    config = json.dumps({"auths": {server.host: {"username": "puller", "password": PASSWORD}}})
    cluster.post("/api/v1/namespaces", {"metadata": {"name": "istio-system"}})
    cluster.post(
        "/api/v1/namespaces/istio-system/secrets",
        {
            "metadata": {"name": "key"},
            "type": "kubernetes.io/dockerconfigjson",
            "data": {".dockerconfigjson": base64.b64encode(config.encode()).decode()},
        },
    )
    before = cluster.everything()
    checked = mesh("images", "check", *hub, "--version", "1.20.0")
    found = {image["image"].rpartition("/")[2]: image for image in checked.data["images"]}
    assert {name: image["found"]["digest"] for name, image in found.items()} == {
        f"{name}:1.20.0": digest for name, digest in digests.items()
    }
    assert {image["login"] for image in found.values()} == {"Secret istio-system/key"}
    assert PASSWORD not in checked.stdout + checked.stderr

    elsewhere = ("--charts", mesh.charts, "--hub", f"{server.host}/other", *hub[4:], "--version", "1.20.0")
    missing = mesh("images", "check", *elsewhere, code=3).data
    assert "other/proxyv2:1.20.0 does not exist" in missing["images"][0]["findings"][0]["message"]
    assert cluster.everything() == before


def test_an_install_looks_for_its_images_before_it_writes(istio: Program, cluster: Reader, tmp_path: Path) -> None:
    looking = replace(istio, environment={"NKSMESH_NO_CHECK_IMAGES": ""})
    with registry(tmp_path / "open") as server:
        hub = ("--hub", f"{server.host}/istio", "--version", "1.20.0")
        pusher = Pusher(server)
        pusher.push("istio/pilot", "1.20.0", platforms=NODES)
        before = cluster.everything()
        refused = looking("install", *hub, code=3).error
        assert refused["message"] == f"{server.host}/istio/proxyv2:1.20.0 does not exist"
        assert "--no-check-images" in refused["hint"]
        assert cluster.everything() == before

        pusher.push("istio/proxyv2", "1.20.0", platforms=NODES)
        installed = looking("install", *hub)
        assert warned(installed) == []
        assert installed.changes

        moved = looking("install", "--hub", f"{server.host}/other", "--version", "1.20.0", code=3).error
        assert "other/pilot:1.20.0 does not exist" in moved["message"]
        upgraded = looking("upgrade", "--to", "1.21.6", code=3).error
        assert "istio/pilot:1.21.6 does not exist" in upgraded["message"]
        canary = looking("canary", "start", "--to", "1.21.6", code=3).error
        assert "istio/pilot:1.21.6 does not exist" in canary["message"]
    elsewhere = ("install", "--hub", f"{server.host}/other", "--dry-run")
    assert [message.partition("; ")[2] for message in warned(looking(*elsewhere))] == ["its images were not looked for"]
    assert warned(looking(*elsewhere, "--no-check-images")) == []


def warned(ran: Ran) -> list[str]:
    return [finding["message"] for finding in ran.data["findings"] if finding["level"] == "warning"]
