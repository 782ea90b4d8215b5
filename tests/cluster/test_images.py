"""Images that are looked for: a real cluster, a real registry, and the pull secret that lies between them.

The images are small ones of these tests under Istio's names.
"""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
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


KIALI = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: kiali, namespace: istio-system}
spec:
  selector: {matchLabels: {app: kiali}}
  template:
    metadata: {labels: {app: kiali}}
    spec: {containers: [{name: kiali, image: "quay.io/kiali/kiali:v1.76"}]}
"""


def test_an_install_looks_for_its_images_before_it_writes(istio: Program, cluster: Reader, tmp_path: Path) -> None:
    file = tmp_path / "samples" / "addons" / "kiali.yaml"
    file.parent.mkdir(parents=True)
    file.write_text(KIALI)
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

        own = f"{server.host}/istio"
        addon = ("addons", "install", "kiali", "--samples", str(file.parents[1]), "--image-hub", own, "--yes")
        before = cluster.everything()
        absent = looking(*addon, code=3).error
        assert absent["message"] == f"{own}/kiali:v1.76 does not exist"
        assert absent["hint"].startswith(f"Run nksmesh images mirror --to {own} --samples FOLDER")
        assert cluster.everything() == before
        pusher.push("istio/kiali", "v1.76", platforms=NODES)
        checked = looking("images", "check", *hub, "--charts", istio.charts, "--addons", str(file), "--image-hub", own)
        assert f"{own}/kiali:v1.76" in {image["image"] for image in checked.data["images"]}
        assert looking(*addon).data["done"][-1]["message"] == "1 pod is ready"

        moved = looking("install", "--hub", f"{server.host}/other", "--version", "1.20.0", code=3).error
        assert "other/pilot:1.20.0 does not exist" in moved["message"]
        upgraded = looking("upgrade", "--to", "1.21.6", code=3).error
        assert "istio/pilot:1.21.6 does not exist" in upgraded["message"]
        canary = looking("canary", "start", "--to", "1.21.6", code=3).error
        assert "istio/pilot:1.21.6 does not exist" in canary["message"]
    elsewhere = ("install", "--hub", f"{server.host}/other", "--dry-run")
    assert [message.partition("; ")[2] for message in warned(looking(*elsewhere))] == ["its images were not looked for"]
    assert warned(looking(*elsewhere, "--no-check-images")) == []


def test_a_pull_secret_is_made_shown_before_and_removed_again(istio: Program, cluster: Reader, server: Server) -> None:
    authorization = "Basic " + base64.b64encode(f"puller:{PASSWORD}".encode()).decode()
    for name in ("pilot", "proxyv2"):
        Pusher(server, {"Authorization": authorization}).push(f"istio/{name}", "1.20.0", platforms=NODES)
    cluster.post("/api/v1/namespaces", {"metadata": {"name": "shop", "labels": {"istio-injection": "enabled"}}})
    for kind in ("serviceaccounts", "configmaps"):
        cluster.until(f"/api/v1/namespaces/shop/{kind}", bool)
    hub = ("--hub", f"{server.host}/istio", "--version", "1.20.0")
    login = {"NKSMESH_REGISTRY_USERNAME": "puller", "NKSMESH_REGISTRY_PASSWORD": PASSWORD}
    looking = replace(istio, environment={"NKSMESH_NO_CHECK_IMAGES": ""})
    with_login = replace(looking, environment={**looking.environment, **login})

    before = cluster.everything()
    assert "without a login" in looking("install", *hub, code=3).error["message"]
    assert looking("install", *hub, "--create-pull-secret", code=2).error["hint"].startswith("Set NKSMESH_REGISTRY")
    wrong = replace(looking, environment={**looking.environment, **login, "NKSMESH_REGISTRY_PASSWORD": "wrong"})
    refused = wrong("install", *hub, "--create-pull-secret", "--yes", code=3)
    assert "refuses the login" in refused.error["message"]
    unasked = with_login("install", *hub, "--create-pull-secret", code=2)
    assert "without a terminal" in unasked.error["message"]
    wide = replace(with_login, environment={**with_login.environment, "COLUMNS": "200"})
    planned = wide("install", *hub, "--create-pull-secret", "--dry-run", output="")
    assert f"account puller of {server.host}, from NKSMESH_REGISTRY_USERNAME" in planned.stdout
    assert cluster.everything() == before

    made = with_login("install", *hub, "--create-pull-secret", "--yes")
    secrets = {step: action for step, action in made.actions.items() if step.startswith("pull secret")}
    assert secrets == {
        "pull secret nksmesh-pull-secret in istio-system": "create",
        "pull secret nksmesh-pull-secret in shop": "create",
    }
    assert {image["login"] for image in looking("images", "check", "--charts", istio.charts).data["images"]} == {
        "Secret istio-system/nksmesh-pull-secret"
    }
    # the name is kept: what comes after does not ask for it again
    assert looking("install").changes == {}
    assert with_login("install", "--create-pull-secret").changes == {}
    typed = at_a_terminal(
        looking, "install", "--create-pull-secret", "--no-check-images", answers=("kim", "of kim", "y")
    )
    assert "it has another login; account kim" in " ".join(typed.split())
    assert "ready" in typed

    gone = istio("uninstall", "--yes")
    assert "Secret nksmesh-pull-secret in 2 namespaces: istio-system, shop" in gone.data["removed"]
    for namespace in ("istio-system", "shop"):
        assert cluster.find(f"/api/v1/namespaces/{namespace}/secrets/nksmesh-pull-secret") is None
    for ran in (refused, unasked, planned, made, gone, typed):
        assert not any(word in f"{ran}" for word in (PASSWORD, authorization.partition(" ")[2], "of kim"))


def at_a_terminal(program: Program, *arguments: str, answers: Iterable[str]) -> str:
    """Run the program on a terminal of its own, and answer each of its questions."""
    own = ["setsid", "--ctty", "--wait", sys.executable, "-m", "nksmesh"]
    command = [*own, *program.arguments(*arguments, output="text")]
    leader, terminal = os.openpty()
    run = subprocess.Popen(
        command, cwd=program.folder, env=program.env, stdin=terminal, stdout=terminal, stderr=terminal
    )
    os.close(terminal)
    said = ""
    waiting = list(answers)
    asked = re.compile(r"(: |\[y/N\] )$")
    with suppress(OSError):  # a terminal whose program has ended
        while part := os.read(leader, 4096).decode(errors="replace"):
            said += part
            if waiting and asked.search(said):
                os.write(leader, f"{waiting.pop(0)}\n".encode())
    os.close(leader)
    assert run.wait(60) == 0, said
    return said


def warned(ran: Ran) -> list[str]:
    return [finding["message"] for finding in ran.data["findings"] if finding["level"] == "warning"]
