"""``nksmesh images check``: a real cluster, a real registry, and the pull secret that lies between them.

The images are small ones of these tests under Istio's names.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.adapters.registry.servers import Pusher, Server, passwords, registry
from tests.cluster.program import Program
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
