"""Changes of a mesh that runs: what must be written is, nothing else, and the gateways end on the new images."""

from __future__ import annotations

import pytest
import yaml

from tests.cluster.program import Program, Ran
from tests.cluster.reader import Reader

pytestmark = pytest.mark.cluster

KR1 = "dfe965c3-kr1-registry.container.nhncloud.com/container_service/istio"
KR2 = "6e7f43c6-kr2-registry.container.cloud.toast.com/container_service/istio"
OWN = "registry.example.com/mirror/istio"
GATEWAY = "istio-ingressgateway"
RESTART = f"restart {GATEWAY}"


def revisions(cluster: Reader) -> dict[str, int]:
    """For each release, the newest of Helm's revisions."""
    parts = [name.removeprefix("sh.helm.release.v1.").rpartition(".v") for name in cluster.helm_revisions()]
    return {release: max(int(number) for name, _, number in parts if name == release) for release, _, _ in parts}


def line_of(ran: Ran, words: str) -> int:
    """Find the progress line that has these words."""
    return next(number for number, line in enumerate(ran.stderr.splitlines()) if words in line)


def test_another_region_network_or_hub_ends_on_its_images(mesh: Program, cluster: Reader) -> None:
    mesh("install", "--region", "kr1", "--profile", "demo")
    written = {"istio-base": 1, "istiod": 1, GATEWAY: 1, "istio-egressgateway": 1}
    assert revisions(cluster) == written
    moves = [
        (("--region", "kr2"), KR1, KR2),
        (("--network", "private"), KR2, f"private-{KR2}"),
        (("--hub", OWN), f"private-{KR2}", OWN),
        (("--region", "kr1", "--network", "public"), OWN, KR1),
    ]
    for number, (options, old, new) in enumerate(moves, start=2):
        planned = mesh("plan", *options, "--exit-code", code=10)
        assert planned.changes == {
            "istiod": "upgrade",
            RESTART: "restart",
            "restart istio-egressgateway": "restart",
        }, options
        (reason,) = planned.reasons[RESTART]
        assert f"{old}/proxyv2:1.20.0" in reason

        ran = mesh("install", *options)
        assert ran.data["hub"] == new
        for gateway in ("ingressgateway", "egressgateway"):
            assert cluster.images(f"istio={gateway}") == {f"{new}/proxyv2:1.20.0"}
        assert cluster.images("app=istiod") == {f"{new}/pilot:1.20.0"}
        # only istiod's release is written, and no gateway restarts before the new hub is proved to be injected
        assert revisions(cluster) == {**written, "istiod": number}
        assert line_of(ran, "injection webhook: done") < line_of(ran, f"{RESTART}: started")
        assert line_of(ran, f"{RESTART}: waiting for") < line_of(ran, f"{RESTART}: done")
        assert mesh("status").data["images_outside_hub"] == []
    assert mesh("plan", "--exit-code").changes == {}


def test_a_value_rewrites_only_the_release_it_is_for(mesh: Program, cluster: Reader) -> None:
    mesh("install", "--region", "kr1", "--profile", "demo")
    changed = mesh("install", "--set", "istio-egressgateway:resources.requests.cpu=33m")
    assert changed.changes == {"istio-egressgateway": "upgrade"}
    assert "resources.requests.cpu" in changed.reasons["istio-egressgateway"][0]
    assert revisions(cluster) == {"istio-base": 1, "istiod": 1, GATEWAY: 1, "istio-egressgateway": 2}
    container = cluster.deployment("istio-egressgateway")["spec"]["template"]["spec"]["containers"][0]
    assert container["resources"]["requests"]["cpu"] == "33m"

    both = mesh("plan", "--set", "gateway:terminationGracePeriodSeconds=40", "--diff")
    assert both.changes == {GATEWAY: "upgrade", "istio-egressgateway": "upgrade"}
    differing = {one["object"]: "\n".join(one["lines"]) for one in both.data["diff"]}
    assert all(name.startswith("Deployment ") for name in differing), differing
    assert any(
        "+" in line and "terminationGracePeriodSeconds: 40" in line for line in differing.popitem()[1].split("\n")
    )
    # a --set of before is no longer said: the plan tells that its value goes
    assert any("istio-egressgateway:resources.requests.cpu" in note for note in both.data["notes"])


def test_a_stray_image_is_refused_and_an_allowed_one_is_not(mesh: Program, cluster: Reader) -> None:
    stray = ("--set", "istiod:pilot.image=docker.io/somebody/pilot:1.20.0")
    empty = cluster.everything()
    refused = mesh("install", "--region", "kr1", *stray, code=3)
    assert refused.error["code"] == "chart"
    assert KR1 in refused.error["message"]
    detail = refused.error["detail"]
    assert "docker.io/somebody/pilot:1.20.0" in detail
    assert "Deployment istio-system/istiod" in detail
    assert "--set istiod:pilot.image" in detail
    assert "--allow-image" in refused.error["hint"]
    assert cluster.everything() == empty

    mesh("install", "--region", "kr1", *stray, "--allow-image", "docker.io/somebody")
    assert cluster.images("app=istiod") == {"docker.io/somebody/pilot:1.20.0"}
    assert cluster.images(f"app={GATEWAY}") == {f"{KR1}/proxyv2:1.20.0"}
    # both hold on
    assert mesh("install", charts="").changes == {}
    assert mesh("status").data["images_outside_hub"] == []

    # a stray proxy would be in the injector alone: no pod template names it
    injected = mesh("plan", "--set", "istiod:global.proxy.image=docker.io/istio/proxyv2:1.20.0", code=3)
    assert "ConfigMap istio-system/istio-sidecar-injector" in injected.error["detail"]


def test_full_image_paths_change_istiod_alone_for_the_images_are_the_same(mesh: Program, cluster: Reader) -> None:
    mesh("install", "--region", "kr1")
    pods = {pod["metadata"]["uid"] for pod in cluster.pods(f"app={GATEWAY}")}
    folder = mesh.folder / "meshes"
    mesh("init", str(folder))
    home = folder / "values" / "environments" / "full"
    home.mkdir(parents=True)
    (home / "mesh.yaml").write_text(yaml.safe_dump({"region": "kr1", "full_image_paths": True}))

    said = ("--dir", str(folder), "-e", "full")
    ran = mesh("install", *said)
    assert ran.changes == {"istiod": "upgrade"}
    given = cluster.helm_release("istiod", 2)["config"]["global"]
    assert (given["proxy"]["image"], given["proxy_init"]["image"]) == (f"{KR1}/proxyv2:1.20.0",) * 2
    assert {pod["metadata"]["uid"] for pod in cluster.pods(f"app={GATEWAY}")} == pods
    assert ran.data["proxy_image"] == f"{KR1}/proxyv2:1.20.0"

    # the private registry then needs the full paths to follow
    moved = mesh("install", *said, "--network", "private")
    assert moved.changes == {"istiod": "upgrade", RESTART: "restart"}
    assert cluster.images(f"app={GATEWAY}") == {f"private-{KR1}/proxyv2:1.20.0"}
    assert mesh("install").changes == {}
