"""Both profiles on every version of Istio's real charts."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from nksmesh.adapters.charts.store import ChartStore
from nksmesh.adapters.files.catalog import load_catalog
from nksmesh.adapters.files.folders import ValuesFolders
from nksmesh.domain.charts.chart import Chart, ChartRef
from nksmesh.domain.charts.known_keys import unknown_keys
from nksmesh.domain.charts.lock import Lock
from nksmesh.domain.charts.releases import Release
from nksmesh.domain.mesh.mesh import Mesh
from nksmesh.domain.mesh.request import Request
from nksmesh.domain.mesh.resolve import resolve
from nksmesh.domain.values.layers import Layer, compose

FOLDER = os.environ.get("NKSMESH_TEST_CHARTS", "")
VERSIONS = (
    sorted(path.name.removesuffix(".tgz").split("-", 1)[1] for path in Path(FOLDER).glob("base-*.tgz"))
    if FOLDER
    else []
)
HELM = shutil.which("helm") or ""
PROFILES = ("default", "demo")

pytestmark = [
    pytest.mark.conformance,
    pytest.mark.skipif(not VERSIONS, reason="NKSMESH_TEST_CHARTS names no folder of Istio's charts"),
]


def mesh_of(version: str, profile: str, **more: Any) -> Mesh:
    return resolve(Request(region="kr1", version=version, profile=profile, **more), load_catalog(ValuesFolders())).mesh


async def charts_of(version: str, cache: Path) -> dict[str, Chart]:
    refs = {name: ChartRef(name=name, version=version, source=FOLDER) for name in ("base", "istiod", "gateway")}
    fetched = await ChartStore(cache=cache).fetch(list(refs.values()), lock=Lock())
    return {name: fetched[ref] for name, ref in refs.items()}


def rendered(release: Release, chart: Chart, mesh: Mesh) -> list[dict[str, Any]]:
    done = subprocess.run(
        [HELM, "template", release.name, str(chart.folder), "-n", release.namespace, "-f", "-"],
        input=json.dumps(compose(mesh.layers[release.name]).values),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [one for one in yaml.load_all(done.stdout, Loader=yaml.CSafeLoader) if one]


def service_of(objects: list[dict[str, Any]]) -> Mapping[str, Any]:
    return next(one for one in objects if one["kind"] == "Service")


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("version", VERSIONS)
async def test_a_profile_warns_of_nothing_even_as_a_users_own(version: str, profile: str, tmp_path: Path) -> None:
    charts, mesh = await charts_of(version, tmp_path), mesh_of(version, profile, namespace="mesh")
    for release in mesh.releases:
        layers = [replace(layer, ours=False) for layer in mesh.layers[release.name]]
        assert unknown_keys(layers, charts[release.component]) == ()


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_misspelt_key_is_found_on_every_version(version: str, tmp_path: Path) -> None:
    istiod = (await charts_of(version, tmp_path))["istiod"]
    layer = Layer(name="-f istiod=x.yaml", values={"pilot": {"traceSamplng": 1}, "global": {"proxy": {"imgae": "x"}}})
    assert [finding.hint for finding in unknown_keys([layer], istiod)] == [
        "Did you mean pilot.traceSampling?",
        "Did you mean global.proxy.image?",
    ]


@pytest.mark.skipif(not HELM, reason="there is no helm on PATH")
@pytest.mark.parametrize("version", VERSIONS)
async def test_demo_is_as_the_guides_install_it(version: str, tmp_path: Path) -> None:
    charts, mesh = await charts_of(version, tmp_path), mesh_of(version, "demo")
    objects = {release.name: rendered(release, charts[release.component], mesh) for release in mesh.releases}
    kinds = {name: {one["kind"] for one in found} for name, found in objects.items()}
    assert list(objects) == ["istio-base", "istiod", "istio-ingressgateway", "istio-egressgateway"]
    assert all("HorizontalPodAutoscaler" not in found for found in kinds.values())
    budgets = {name for name, found in kinds.items() if "PodDisruptionBudget" in found}
    # From 1.28 on the charts make no budget for a single replica.
    many = {"istiod", "istio-ingressgateway", "istio-egressgateway"}
    assert budgets == (set() if tuple(map(int, version.split(".")[:2])) >= (1, 28) else many)

    istiod = next(one for one in objects["istiod"] if one["kind"] == "Deployment")["spec"]["template"]["spec"]
    (container,) = istiod["containers"]
    assert container["image"] == f"{mesh.hub}/pilot:{version}"
    assert container["resources"]["requests"] == {"cpu": "10m", "memory": "100Mi"}
    assert {"name": "PILOT_TRACE_SAMPLING", "value": "100"} in container["env"]
    config = next(one for one in objects["istiod"] if one["kind"] == "ConfigMap" and one["metadata"]["name"] == "istio")
    assert yaml.safe_load(config["data"]["mesh"])["accessLogFile"] == "/dev/stdout"
    assert "istio-validator-istio-system" in {one["metadata"]["name"] for one in objects["istiod"]}

    ingress, egress = service_of(objects["istio-ingressgateway"]), service_of(objects["istio-egressgateway"])
    for service, word in ((ingress, "ingressgateway"), (egress, "egressgateway")):
        assert service["metadata"]["name"] == f"istio-{word}"
        assert service["spec"]["selector"] == {"app": f"istio-{word}", "istio": word}
    assert [(port["port"], port["targetPort"]) for port in ingress["spec"]["ports"]] == [
        (15021, 15021),
        (80, 8080),
        (443, 8443),
        (31400, 31400),
        (15443, 15443),
    ]
    assert (ingress["spec"]["type"], egress["spec"]["type"]) == ("LoadBalancer", "ClusterIP")
    assert [(port["port"], port["targetPort"]) for port in egress["spec"]["ports"]] == [(80, 8080), (443, 8443)]


@pytest.mark.skipif(not HELM, reason="there is no helm on PATH")
@pytest.mark.parametrize("version", VERSIONS)
async def test_default_is_istiod_and_one_ingress_gateway(version: str, tmp_path: Path) -> None:
    charts, mesh = await charts_of(version, tmp_path), mesh_of(version, "default")
    assert [release.name for release in mesh.releases] == ["istio-base", "istiod", "istio-ingressgateway"]
    for release in mesh.releases:
        assert rendered(release, charts[release.component], mesh) or release.component == "base"
    gateway = mesh.releases[-1]
    service = service_of(rendered(gateway, charts["gateway"], mesh))
    assert service["spec"]["selector"] == {"app": "istio-ingressgateway", "istio": "ingressgateway"}
