"""Every version of Istio's charts, for every region, network and profile: all images in the region's hub."""

from __future__ import annotations

import asyncio
import json
import os
import re
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from nksmesh.adapters.charts.cache import cache_folder
from nksmesh.adapters.charts.store import ChartStore
from nksmesh.adapters.files.catalog import load_catalog
from nksmesh.adapters.files.folders import ValuesFolders
from nksmesh.adapters.helm.releases import Helm
from nksmesh.commands.images import list_images
from nksmesh.commands.plan import template
from nksmesh.domain.adoption.istio_operator import Target, carry_over
from nksmesh.domain.charts.chart import ChartRef
from nksmesh.domain.charts.known_keys import known_tree, unknown_keys
from nksmesh.domain.charts.lock import Lock
from nksmesh.domain.charts.releases import Release
from nksmesh.domain.common.errors import ChartError
from nksmesh.domain.common.events import unheard
from nksmesh.domain.mesh.catalog import Environment
from nksmesh.domain.mesh.mesh import Network
from nksmesh.domain.mesh.request import Request
from nksmesh.domain.mesh.resolve import resolve
from nksmesh.domain.plan.preserved_values import flat_defaults
from nksmesh.domain.values.set_values import parse_set
from nksmesh.engine.request import MeshRequest
from tests.cluster.plain_helm import documents

FOLDER = os.environ.get("NKSMESH_TEST_CHARTS", "")
VERSIONS = sorted(one.stem.removeprefix("istiod-") for one in Path(FOLDER).glob("istiod-*.tgz")) if FOLDER else []

pytestmark = [
    pytest.mark.conformance,
    pytest.mark.skipif(not VERSIONS, reason="NKSMESH_TEST_CHARTS names no folder of Istio's charts"),
]

HUBS = {
    ("kr1", "public"): "dfe965c3-kr1-registry.container.nhncloud.com/container_service/istio",
    ("kr1", "private"): "private-dfe965c3-kr1-registry.container.nhncloud.com/container_service/istio",
    ("kr2", "public"): "6e7f43c6-kr2-registry.container.cloud.toast.com/container_service/istio",
    ("kr2", "private"): "private-6e7f43c6-kr2-registry.container.cloud.toast.com/container_service/istio",
}
"""The NKS guide's table, word for word."""

GATEWAYS = {"default": ["istio-ingressgateway"], "demo": ["istio-egressgateway", "istio-ingressgateway"]}

IMAGE = re.compile(r"""^\s*(?:-\s+)?image:\s*["']?([^\s"'{}]+)["']?\s*$""", re.MULTILINE)
ELSEWHERE = re.compile(r"docker\.io|gcr\.io|quay\.io|registry\.istio\.io|ghcr\.io")


def helm() -> Helm:
    """Make a Helm that keeps renders, as the program does."""
    return Helm("", kubeconfig=None, context="", cache=cache_folder(os.environ))


def request_for(version: str, region: str, network: str, profile: str) -> MeshRequest:
    """Ask for one mesh; versions that the region's registry does not have are forced."""
    request = Request(region=region, network=Network(network), version=version, profile=profile, charts=FOLDER)
    return MeshRequest(options=request, catalog=load_catalog(ValuesFolders(user=None)), force_version=True)


async def rendered(wanted: MeshRequest) -> list[dict[str, Any]]:
    """Render what ``nksmesh template`` prints, without the CRDs, which name no image."""
    result = await template(wanted, helm(), ChartStore(), listener=unheard)
    return [one for one in documents(result.manifests) if one["kind"] != "CustomResourceDefinition"]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("profile", GATEWAYS)
async def test_every_image_is_in_the_regions_hub(version: str, profile: str) -> None:
    wanted = [request_for(version, region, network, profile) for region, network in HUBS]
    for hub, objects in zip(HUBS.values(), await asyncio.gather(*map(rendered, wanted)), strict=True):
        named = {(one["kind"], one["metadata"]["name"]): one for one in objects}
        text = json.dumps(objects)
        assert not ELSEWHERE.search(text), ELSEWHERE.search(text)

        # what pods run: istiod from the hub, gateways whatever istiod injects
        assert images_in(named["Deployment", "istiod"]) == [f"{hub}/pilot:{version}"]
        for gateway in GATEWAYS[profile]:
            assert images_in(named["Deployment", gateway]) == ["auto"]
        injector = named["ConfigMap", "istio-sidecar-injector"]["data"]
        settings = json.loads(injector["values"])["global"]
        assert (settings["hub"], settings["tag"]) == (hub, version)
        assert (settings["proxy"]["image"], settings["proxy_init"]["image"]) == ("proxyv2", "proxyv2")
        # the one image that a template writes out is for pods that ask for that template
        assert set(IMAGE.findall(injector["config"])) == {"busybox:1.28"}


def images_in(deployment: dict[str, Any]) -> list[str]:
    return [container["image"] for container in deployment["spec"]["template"]["spec"]["containers"]]


@pytest.mark.parametrize("version", VERSIONS)
async def test_every_image_of_cni_and_ztunnel_is_in_the_hub_too(version: str) -> None:
    told = Environment(name="nodes", path="mesh.yaml", components=("cni", "ztunnel"), pull_secrets=("key",))
    objects = await rendered(replace(request_for(version, "kr1", "public", "default"), environment=told))
    hub = HUBS["kr1", "public"]
    assert not ELSEWHERE.search(json.dumps(objects))
    on_nodes = {one["metadata"]["name"]: one for one in objects if one["kind"] == "DaemonSet"}
    assert {name: images_in(one) for name, one in on_nodes.items()} == {
        "istio-cni-node": [f"{hub}/install-cni:{version}"],
        "ztunnel": [f"{hub}/ztunnel:{version}"],
    }
    # Helm has them in the control plane's namespace, whether their manifests say so or not
    assert {one["metadata"].get("namespace", "istio-system") for one in on_nodes.values()} == {"istio-system"}
    secrets = {
        one["metadata"]["name"]: [secret["name"] for secret in one.get("imagePullSecrets") or ()]
        for one in objects
        if one["kind"] == "ServiceAccount"
    }
    assert secrets["istio-cni"] == secrets["ztunnel"] == ["key"]
    # istiod's injector leaves the privileged init container out
    injector = next(one for one in objects if one["metadata"]["name"] == "istio-sidecar-injector" and "data" in one)
    settings = json.loads(injector["data"]["values"])
    told_of = (settings.get("istio_cni") or {}, (settings.get("pilot") or {}).get("cni") or {})
    assert any(one.get("enabled") is True for one in told_of), told_of


@pytest.mark.parametrize("version", VERSIONS)
async def test_the_list_of_images_is_the_four_of_istio(version: str) -> None:
    everything = request_for(version, "kr1", "public", "demo").with_every_component()
    listed = await list_images(everything, helm(), ChartStore(), {}, listener=unheard)
    hub = HUBS["kr1", "public"]
    names = ("pilot", "proxyv2", "install-cni", "ztunnel")
    assert {row.image for row in listed.images if not row.opt_in} == {f"{hub}/{name}:{version}" for name in names}


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("profile", GATEWAYS)
async def test_services_have_the_guides_names_labels_and_ports(version: str, profile: str) -> None:
    objects = await rendered(request_for(version, "kr1", "public", profile))
    services = {one["metadata"]["name"]: one for one in objects if one["kind"] == "Service"}
    assert sorted(set(services) - {"istiod-revision-tag-default"}) == [*GATEWAYS[profile], "istiod"]
    for gateway in GATEWAYS[profile]:
        labels = {"app": gateway, "istio": gateway.removeprefix("istio-")}
        service = services[gateway]
        assert labels.items() <= service["metadata"]["labels"].items()
        assert service["spec"]["selector"] == labels
        pods = next(one for one in objects if (one["kind"], one["metadata"]["name"]) == ("Deployment", gateway))
        assert labels.items() <= pods["spec"]["template"]["metadata"]["labels"].items()
    ports = {
        port["name"]: (port["port"], port["targetPort"]) for port in services["istio-ingressgateway"]["spec"]["ports"]
    }
    assert services["istio-ingressgateway"]["spec"]["type"] == "LoadBalancer"
    assert ports["http2"] == ((80, 8080) if profile == "demo" else (80, 80))
    if profile == "demo":
        egress = services["istio-egressgateway"]["spec"]
        assert egress["type"] == "ClusterIP"
        assert [(port["port"], port["targetPort"]) for port in egress["ports"]] == [(80, 8080), (443, 8443)]
        mesh = next(one for one in objects if one["kind"] == "ConfigMap" and one["metadata"]["name"] == "istio")
        assert "accessLogFile: /dev/stdout" in mesh["data"]["mesh"]
        assert not [one for one in objects if one["kind"] == "HorizontalPodAutoscaler"]


@pytest.mark.parametrize("version", VERSIONS)
async def test_our_own_values_are_all_known_to_the_charts(version: str) -> None:
    refs = {name: ChartRef(name=name, version=version, source=FOLDER) for name in ("base", "istiod", "gateway")}
    charts = await ChartStore().fetch(list(refs.values()), lock=Lock())
    for profile, (region, network) in product(GATEWAYS, HUBS):
        wanted = request_for(version, region, network, profile)
        mesh = resolve(wanted.options, wanted.catalog).mesh
        for release in mesh.releases:
            layers = mesh.layers[release.name]
            assert layers or release.component in {"base", "gateway"}
            found = unknown_keys(layers, charts[refs[release.component]])
            assert list(found) == [], f"{release.name} of {profile}"


RULE = {"matchExpressions": [{"key": "pool", "operator": "Exists"}]}
SPREAD = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [RULE]}}}
OF_PODS: dict[str, Any] = {
    "tolerations": [{"key": "infra", "operator": "Exists"}],
    "affinity": SPREAD,
    "nodeSelector": {"pool": "infra"},
}
"""What istioctl is told of a component's pods: whether a chart's values.yaml lists the key differs by version."""


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("component", ["istiod", "gateway"])
async def test_what_istioctl_was_told_of_pods_is_in_them_again(version: str, component: str) -> None:
    ref = ChartRef(name=component, version=version, source=FOLDER)
    chart = (await ChartStore().fetch([ref], lock=Lock()))[ref]
    release = Release(component=component, name="one", namespace="istio-system")
    defaults = flat_defaults(chart.defaults)
    side = "ingressGateways" if component == "gateway" else ""
    target = Target(release=release, known=known_tree(chart), under=defaults, side=side)
    told = {"ingressGateways": [{"name": "one", "k8s": OF_PODS}]} if side else {"pilot": {"k8s": OF_PODS}}
    found = carry_over({"components": told}, [target], hub="registry.example.com/istio", version=version)
    assert found.left == {}
    text = await helm().render(release, chart, found.values["one"], upgrade=False)
    (pods,) = (one["spec"]["template"]["spec"] for one in documents(text) if one["kind"] == "Deployment")
    # istiod's chart has a toleration of its own before them from 1.22 on
    tolerated = [one for one in pods["tolerations"] if one["key"] != "cni.istio.io/not-ready"]
    assert {**{key: pods[key] for key in OF_PODS}, "tolerations": tolerated} == OF_PODS


@pytest.mark.skipif("1.28.10" not in VERSIONS, reason="the folder has no 1.28.10")
async def test_values_of_before_1_28_do_not_take_istiod_away() -> None:
    # what --reuse-values leaves unset, and the charts from 1.28 on render nothing without
    wanted = request_for("1.28.10", "kr1", "public", "default")
    emptied = replace(wanted.options, sets=(parse_set("istiod:global.resourceScope=null"),))
    with pytest.raises(ChartError, match="renders no istiod Deployment"):
        await rendered(replace(wanted, options=emptied))
    assert await rendered(wanted)
