"""The example charts, rendered by a real Helm: what nksmesh relies on in Istio's charts holds in them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

import pytest
import yaml

from nksmesh.adapters.charts.store import ChartStore
from nksmesh.domain.charts.chart import Chart, ChartRef
from nksmesh.domain.charts.lock import Lock
from tests.cluster.plain_helm import documents

EXAMPLES = Path(__file__).resolve().parents[3] / "examples/charts"
HUB = "mirror.example/istio"
Objects: TypeAlias = dict[tuple[str, str], dict[str, Any]]


def helm(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the Helm that a user would have: NKSMESH_HELM, or the one on PATH or beside Python."""
    path = os.pathsep.join([os.environ.get("PATH", ""), str(Path(sys.executable).parent)])
    program = os.environ.get("NKSMESH_HELM") or shutil.which("helm", path=path)
    if program is None:
        pytest.skip("there is no helm here")
    return subprocess.run([program, *arguments], capture_output=True, text=True, check=False, timeout=60)


def render(
    chart: str, release: str, values: Mapping[str, Any], tmp_path: Path, *options: str, folder: Path = EXAMPLES
) -> Objects:
    file = tmp_path / f"{release}.json"
    file.write_text(json.dumps(values))
    done = helm("template", release, str(folder / chart), "-n", "istio-system", "-f", str(file), *options)
    assert done.returncode == 0, done.stderr
    found = documents(done.stdout)
    return {(manifest["kind"], manifest["metadata"]["name"]): manifest for manifest in found}


async def example(name: str, tmp_path: Path) -> Chart:
    ref = ChartRef(name=name, version="1.20.0", source=str(EXAMPLES))
    return (await ChartStore(cache=tmp_path).fetch([ref], lock=Lock()))[ref]


@pytest.mark.parametrize("name", ["base", "istiod", "gateway"])
def test_helm_lint_is_content(name: str) -> None:
    done = helm("lint", "--strict", str(EXAMPLES / name))
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("name", "keys"),
    [
        ("base", ["defaultRevision", "global.istioNamespace", "global.imagePullSecrets", "global.configValidation"]),
        (
            "istiod",
            [
                *("revision", "global.hub", "global.tag", "global.istioNamespace", "global.imagePullSecrets"),
                *("global.configValidation", "global.proxy.image", "global.proxy_init.image"),
                *("global.proxy.resources.requests.cpu", "global.proxy.resources.limits.memory"),
                *("pilot.autoscaleEnabled", "pilot.traceSampling", "pilot.resources.requests.memory", "meshConfig"),
            ],
        ),
        (
            "gateway",
            [
                *("revision", "labels", "serviceAccount.name", "autoscaling.enabled", "podDisruptionBudget"),
                *("resources.requests.cpu", "resources.limits.memory", "service.type", "service.ports", "global"),
                "imagePullSecrets",
            ],
        ),
    ],
)
async def test_every_value_that_nksmesh_sets_has_a_default(name: str, keys: list[str], tmp_path: Path) -> None:
    defaults = (await example(name, tmp_path)).defaults
    for key in keys:
        place: Any = defaults
        for part in key.split("."):
            assert part in place, key
            place = place[part]


async def test_base_brings_its_crds_in_a_folder_of_their_own(tmp_path: Path) -> None:
    chart = await example("base", tmp_path)
    assert not chart.from_archive
    assert sorted(crd["metadata"]["name"] for crd in chart.crds) == [
        "destinationrules.networking.istio.io",
        "gateways.networking.istio.io",
        "virtualservices.networking.istio.io",
    ]
    for crd in chart.crds:
        assert {v["name"]: (v["served"], v["storage"]) for v in crd["spec"]["versions"]}["v1beta1"] == (True, True)
    assert not any(kind == "CustomResourceDefinition" for kind, _ in render("base", "istio-base", {}, tmp_path))


def test_bases_validator_follows_the_default_revision(tmp_path: Path) -> None:
    key = ("ValidatingWebhookConfiguration", "istiod-default-validator")
    (webhook,) = render("base", "istio-base", {}, tmp_path)[key]["webhooks"]
    assert (webhook["failurePolicy"], webhook["clientConfig"]["service"]["name"]) == ("Ignore", "istiod")
    (webhook,) = render("base", "istio-base", {"defaultRevision": "1-20"}, tmp_path)[key]["webhooks"]
    assert webhook["clientConfig"]["service"]["name"] == "istiod-1-20"
    assert list(render("base", "istio-base", {"defaultRevision": ""}, tmp_path)) == [
        ("ServiceAccount", "istio-reader-service-account")
    ]


def test_istiods_images_come_from_the_hub(tmp_path: Path) -> None:
    values = {"global": {"hub": HUB, "tag": "1.19.0", "imagePullSecrets": ["ncr"]}}
    objects = render("istiod", "istiod", values, tmp_path)
    (container,) = objects["Deployment", "istiod"]["spec"]["template"]["spec"]["containers"]
    assert container["image"] == f"{HUB}/pilot:1.19.0"
    injector = objects["ConfigMap", "istio-sidecar-injector"]["data"]
    injected = json.loads(injector["values"])["global"]
    assert (injected["hub"], injected["tag"]) == (HUB, "1.19.0")
    assert injected["proxy"]["image"] == injected["proxy_init"]["image"] == "proxyv2"
    assert set(yaml.safe_load(injector["config"])["templates"]) == {"sidecar", "gateway"}
    assert objects["ServiceAccount", "istiod"]["imagePullSecrets"] == [{"name": "ncr"}]
    assert "registry.invalid" not in str(objects)


def test_istiods_mesh_takes_meshconfig(tmp_path: Path) -> None:
    values = {"meshConfig": {"accessLogFile": "/dev/stdout"}, "pilot": {"traceSampling": 100}}
    mesh = yaml.safe_load(render("istiod", "istiod", values, tmp_path)["ConfigMap", "istio"]["data"]["mesh"])
    assert mesh["accessLogFile"] == "/dev/stdout"
    assert mesh["enablePrometheusMerge"] is True
    assert mesh["defaultConfig"]["tracing"]["sampling"] == 100


def test_istiod_scales_only_where_it_is_asked_to(tmp_path: Path) -> None:
    assert ("HorizontalPodAutoscaler", "istiod") in render("istiod", "istiod", {}, tmp_path)
    fixed = render("istiod", "istiod", {"pilot": {"autoscaleEnabled": False}}, tmp_path)
    assert ("HorizontalPodAutoscaler", "istiod") not in fixed
    assert fixed["Deployment", "istiod"]["spec"]["replicas"] == 1
    assert ("PodDisruptionBudget", "istiod") in fixed


def test_the_injectors_webhooks_select_what_istios_do(tmp_path: Path) -> None:
    key = ("MutatingWebhookConfiguration", "istio-sidecar-injector")
    config = render("istiod", "istiod", {}, tmp_path)[key]
    assert config["metadata"]["labels"]["istio.io/rev"] == "default"
    webhooks = {hook["name"].removesuffix(".sidecar-injector.istio.io"): hook for hook in config["webhooks"]}
    assert list(webhooks) == ["rev.namespace", "rev.object", "namespace", "object"]
    assert {hook["failurePolicy"] for hook in webhooks.values()} == {"Fail"}

    def said(hook: dict[str, Any]) -> list[str]:
        both = hook["namespaceSelector"]["matchExpressions"], hook["objectSelector"]["matchExpressions"]
        return [" ".join([one["key"], one["operator"], *one.get("values", [])]) for side in both for one in side]

    assert said(webhooks["object"]) == [
        "istio-injection DoesNotExist",
        "istio.io/rev DoesNotExist",
        "sidecar.istio.io/inject In true",
        "istio.io/rev DoesNotExist",
    ]
    assert said(webhooks["namespace"]) == ["istio-injection In enabled", "sidecar.istio.io/inject NotIn false"]
    assert said(webhooks["rev.namespace"])[0] == "istio.io/rev In default"


def test_a_revision_is_in_every_name_of_istiods(tmp_path: Path) -> None:
    values = {"revision": "1-20", "global": {"configValidation": True}}
    objects = render("istiod", "istiod-1-20", values, tmp_path)
    assert all("-1-20" in name for _, name in objects), list(objects)
    assert ("ValidatingWebhookConfiguration", "istio-validator-1-20-istio-system") in objects
    config = objects["MutatingWebhookConfiguration", "istio-sidecar-injector-1-20"]
    assert config["metadata"]["labels"]["istio.io/rev"] == "1-20"
    assert [hook["name"].split(".")[:2] for hook in config["webhooks"]] == [["rev", "namespace"], ["rev", "object"]]


def test_a_gateway_is_named_after_its_release(tmp_path: Path) -> None:
    objects = render("gateway", "istio-ingressgateway", {}, tmp_path)
    assert {kind for kind, _ in objects} == {
        *("Deployment", "Service", "ServiceAccount", "Role", "RoleBinding", "HorizontalPodAutoscaler")
    }
    assert {name for _, name in objects} == {"istio-ingressgateway"}
    template = objects["Deployment", "istio-ingressgateway"]["spec"]["template"]
    assert template["metadata"]["labels"]["app"] == "istio-ingressgateway"
    assert template["metadata"]["labels"]["istio"] == "ingressgateway"
    assert template["metadata"]["labels"]["sidecar.istio.io/inject"] == "true"
    assert template["metadata"]["annotations"]["inject.istio.io/templates"] == "gateway"
    assert template["spec"]["containers"][0]["image"] == "auto"
    assert objects["Service", "istio-ingressgateway"]["spec"]["type"] == "LoadBalancer"


def test_a_gateway_takes_the_demo_profiles_values(tmp_path: Path) -> None:
    values = {
        "labels": {"app": "istio-egressgateway", "istio": "egressgateway", "team": "mesh"},
        "serviceAccount": {"name": "istio-egressgateway-service-account"},
        "autoscaling": {"enabled": False},
        "podDisruptionBudget": {"minAvailable": 1},
        "service": {
            "type": "ClusterIP",
            "ports": [{"name": "http2", "port": 80, "protocol": "TCP", "targetPort": 8080}],
        },
        "imagePullSecrets": [{"name": "ncr"}],
        "revision": "1-20",
        "global": {"hub": HUB},
    }
    objects = render("gateway", "istio-egressgateway", values, tmp_path)
    assert ("HorizontalPodAutoscaler", "istio-egressgateway") not in objects
    assert ("ServiceAccount", "istio-egressgateway-service-account") in objects
    assert objects["PodDisruptionBudget", "istio-egressgateway"]["spec"]["minAvailable"] == 1
    service = objects["Service", "istio-egressgateway"]["spec"]
    assert (service["type"], service["ports"][0]["targetPort"]) == ("ClusterIP", 8080)
    pod = objects["Deployment", "istio-egressgateway"]["spec"]["template"]
    assert pod["metadata"]["labels"]["istio.io/rev"] == "1-20"
    assert pod["metadata"]["labels"]["team"] == "mesh"
    assert pod["spec"]["imagePullSecrets"] == [{"name": "ncr"}]


def test_a_gateway_refuses_what_its_schema_does_not_know() -> None:
    done = helm("template", "x", str(EXAMPLES / "gateway"), "--set", "hub=a")
    assert done.returncode != 0
    assert "hub" in done.stderr


def immutable(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Return what of an object no API server changes, of the kinds that these charts have."""
    spec = manifest.get("spec") or {}
    selector = spec.get("selector") if manifest["kind"] == "Deployment" else None
    return {"selector": selector, "roleRef": manifest.get("roleRef"), "clusterIP": spec.get("clusterIP")}


@pytest.mark.parametrize(
    ("chart", "release", "values"),
    [
        ("base", "base", {}),
        ("istiod", "istiod", {}),
        ("istiod", "istiod", {"revision": "1-20"}),
        ("gateway", "edge", {}),
    ],
)
def test_what_no_api_server_changes_is_as_in_istios_own_charts(
    chart: str, release: str, values: dict[str, str], tmp_path: Path
) -> None:
    folder = Path(os.environ.get("NKSMESH_TEST_CHARTS") or pytest.skip("NKSMESH_TEST_CHARTS names no folder"))
    ours = render(chart, release, values, tmp_path)
    archives = sorted(folder.glob(f"{chart}-*.tgz"))
    for archive in {archives[0], archives[-1]}:
        theirs = render(archive.name, release, values, tmp_path, "--kube-version", "1.29.0", folder=folder)
        shared = set(ours) & set(theirs)
        assert len(shared) >= len(ours) - 1, archive.name
        for key in shared:
            assert immutable(ours[key]) == immutable(theirs[key]), (archive.name, key)
