"""Which mesh istioctl made, and with which values it stays what it was."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from nksmesh.commands.adopt.istioctl_mesh import Former, former_mesh
from nksmesh.domain.common.errors import CheckError, ConfigError
from nksmesh.domain.common.events import unheard
from nksmesh.domain.mesh.catalog import Environment, ValuesFile
from nksmesh.domain.mesh.request import Request
from nksmesh.domain.mesh.resolve import resolve
from nksmesh.domain.values.layers import compose
from nksmesh.domain.values.set_values import parse_set
from nksmesh.engine.request import MeshRequest
from tests.unit.domain.meshes import HUB, INGRESS, chart
from tests.unit.fakes.cluster import FakeCharts, FakeCluster
from tests.unit.fakes.runtime import runtime_of
from tests.unit.fakes.upgrades import CATALOG

DEFAULTS: dict[str, dict[str, Any]] = {
    "base": {"global": {}},
    "istiod": {"meshConfig": {}, "pilot": {"traceSampling": 1, "image": "pilot"}, "global": {"proxy": {}}},
    "gateway": {"resources": {}, "service": {"ports": []}, "autoscaling": {"minReplicas": 5, "maxReplicas": 5}},
}
CHARTS = FakeCharts(*(chart(name, defaults=some) for name, some in DEFAULTS.items()))
REQUEST = MeshRequest(options=Request(charts="charts"), catalog=CATALOG)


def deployment(name: str, component: str, image: str, **labels: str) -> dict[str, Any]:
    own = {"app": name, "operator.istio.io/component": component, "operator.istio.io/version": "1.20.0", **labels}
    selector = {"app": name, "istio": name.removeprefix("istio-")}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": name,
            "namespace": "istio-system",
            "labels": own,
            "managedFields": [{"manager": "istio-operator", "operation": "Apply", "fieldsV1": {}}],
        },
        "spec": {
            "selector": {"matchLabels": selector},
            "template": {"metadata": {"labels": selector}, "spec": {"containers": [{"image": image}]}},
        },
    }


def state(**spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "install.istio.io/v1alpha1",
        "kind": "IstioOperator",
        "metadata": {"name": "installed-state", "namespace": "istio-system"},
        "spec": spec,
    }


@pytest.fixture
def mesh(cluster: FakeCluster) -> FakeCluster:
    cluster.objects.put(deployment("istiod", "Pilot", f"{HUB}/pilot:1.20.0"))
    cluster.objects.put(deployment(INGRESS.name, "IngressGateways", f"{HUB}/proxyv2:1.20.0"))
    return cluster


async def former(cluster: FakeCluster, asked: MeshRequest = REQUEST) -> Former:
    return await former_mesh(asked, runtime_of(cluster, charts=CHARTS, listener=unheard))


def values_of(found: Former, release: str) -> Any:
    asked = found.request
    assert asked.scope is not None
    mesh = resolve(asked.options, asked.catalog, asked.environment, asked.scope.settings).mesh
    return compose(mesh.layers[release]).values


async def test_what_istioctl_was_told_holds_on_below_what_the_user_says(mesh: FakeCluster) -> None:
    mesh.objects.put(
        state(meshConfig={"accessLogFile": "/dev/stdout", "enableTracing": True}, addonComponents={"x": 1})
    )
    found = await former(mesh)
    assert found.values.carried == {"istiod": ("meshConfig.accessLogFile", "meshConfig.enableTracing")}
    assert list(found.values.left) == ["addonComponents.x"]
    assert values_of(found, "istiod")["meshConfig"] == {"accessLogFile": "/dev/stdout", "enableTracing": True}

    said = replace(REQUEST.options, sets=(parse_set("istiod:meshConfig.accessLogFile=/dev/null"),))
    found = await former(mesh, replace(REQUEST, options=said))
    assert values_of(found, "istiod")["meshConfig"] == {"accessLogFile": "/dev/null", "enableTracing": True}


async def test_an_environment_decides_and_what_it_says_otherwise_is_named(mesh: FakeCluster) -> None:
    mesh.objects.put(state(meshConfig={"accessLogFile": "/dev/stdout", "enableTracing": True}))
    file = ValuesFile(path="prod/istiod.yaml", values={"meshConfig": {"enableTracing": True}})
    prod = Environment(name="prod", path="prod/mesh.yaml", hub=HUB, files={"istiod": file})
    found = await former(mesh, replace(REQUEST, environment=prod))
    assert found.values.layers == {}
    assert list(found.values.left) == ["istiod: meshConfig.accessLogFile"]
    assert "environment prod" in found.values.left["istiod: meshConfig.accessLogFile"]


async def test_without_an_istio_operator_nobody_knows_what_it_was_told(mesh: FakeCluster) -> None:
    found = await former(mesh)
    assert (found.values.carried, found.values.left) == ({}, {})
    assert "no IstioOperator" in found.values.warnings[0]


async def test_of_several_istio_operators_the_last_that_istioctl_kept_is_taken(mesh: FakeCluster) -> None:
    for name, time, sampling in (("mine", "3", 3), ("installed-state", "1", 1), ("installed-state-mine", "2", 2)):
        one = state(values={"pilot": {"traceSampling": sampling + 10}})
        mesh.objects.put({**one, "metadata": {**one["metadata"], "name": name, "creationTimestamp": time}})
    found = await former(mesh)
    assert values_of(found, "istiod")["pilot"] == {"traceSampling": 12}
    assert "installed-state-mine is used" in found.values.warnings[0]


def named(made: dict[str, Any], name: str, namespace: str = "istio-system") -> dict[str, Any]:
    """Label an object with its IstioOperator, as istioctl does."""
    owner = "install.operator.istio.io/owning-resource"
    made["metadata"]["labels"] |= {owner: name, f"{owner}-namespace": namespace}
    return made


def called(made: dict[str, Any], name: str, namespace: str = "istio-system") -> dict[str, Any]:
    return {**made, "metadata": {**made["metadata"], "name": name, "namespace": namespace}}


def scaled(name: str, least: int, most: int) -> dict[str, Any]:
    k8s = {"hpaSpec": {"minReplicas": least, "maxReplicas": most}}
    return {"components": {"ingressGateways": [{"name": name, "enabled": True, "k8s": k8s}]}}


@pytest.fixture
def two(mesh: FakeCluster) -> FakeCluster:
    """A mesh of one IstioOperator, and a gateway of another one in another namespace."""
    mesh.objects.put(named(deployment("istiod", "Pilot", f"{HUB}/pilot:1.20.0"), "installed-state"))
    mesh.objects.put(named(deployment(INGRESS.name, "IngressGateways", f"{HUB}/proxyv2:1.20.0"), "installed-state"))
    team = named(deployment("team-gateway", "IngressGateways", f"{HUB}/proxyv2:1.20.0"), "team", "mesh-config")
    team["metadata"]["namespace"] = "edge"
    mesh.objects.put(team)
    mesh.objects.put(state(**scaled(INGRESS.name, 1, 3), meshConfig={"enableTracing": True}))
    return mesh


async def test_each_gateway_has_what_its_own_istio_operator_was_told(two: FakeCluster) -> None:
    said = {**scaled("team-gateway", 2, 4), "meshConfig": {"accessLogFile": "/dev/stdout"}, "profile": "empty"}
    two.objects.put(called(state(**said), "team", "mesh-config"))
    found = await former(two)
    assert found.values.carried == {
        "istiod": ("meshConfig.enableTracing",),
        INGRESS.name: ("autoscaling.maxReplicas", "autoscaling.minReplicas"),
        "team-gateway": ("autoscaling.maxReplicas", "autoscaling.minReplicas"),
    }
    assert values_of(found, "team-gateway")["autoscaling"] == {"minReplicas": 2, "maxReplicas": 4}
    assert values_of(found, INGRESS.name)["autoscaling"] == {"minReplicas": 1, "maxReplicas": 3}
    why = found.values.left["IstioOperator team: meshConfig.accessLogFile"]
    assert "IstioOperator installed-state owns istiod" in why
    assert found.values.warnings == ()


async def test_a_newer_istio_operator_of_a_gateway_is_not_taken_for_istiods(two: FakeCluster) -> None:
    newer = called(state(**scaled("team-gateway", 2, 4), profile="empty"), "team", "mesh-config")
    newer["metadata"]["creationTimestamp"] = "9"
    two.objects.put(newer)
    assert "istiod" in (await former(two)).values.carried


async def test_an_istio_operator_that_is_gone_is_said_of_its_gateway(two: FakeCluster) -> None:
    found = await former(two)
    assert "edge/team-gateway: its IstioOperator team no longer exists" in found.values.warnings[0]


async def test_an_istio_operator_that_owns_nothing_is_named(two: FakeCluster) -> None:
    two.objects.put(called(state(**scaled("team-gateway", 2, 4)), "team", "mesh-config"))
    two.objects.put(called(state(meshConfig={"enableTracing": False}), "old"))
    found = await former(two)
    assert "nothing is carried over" in found.values.left["IstioOperator old"]


async def test_an_image_that_istioctl_was_told_is_a_pin(mesh: FakeCluster) -> None:
    mesh.objects.put(state(values={"pilot": {"image": f"{HUB}/own:1"}}))
    found = await former(mesh)
    assert ["pilot.image is pinned" in words for words in found.values.warnings] == [True]


async def test_a_profile_of_istioctls_alone_has_the_gateways_that_are_there(cluster: FakeCluster) -> None:
    cluster.objects.put(deployment("istiod", "Pilot", f"{HUB}/pilot:1.20.0"))
    cluster.objects.put(state(profile="minimal"))
    found = await former(cluster)
    assert "no profile minimal" in found.values.warnings[0]
    assert found.request.scope is not None
    answers = found.request.scope.settings
    assert (answers.profile, answers.gateways) == ("default", ())


async def test_pull_secrets_are_every_releases(mesh: FakeCluster) -> None:
    mesh.objects.put(state(values={"global": {"imagePullSecrets": ["ncr"]}}))
    found = await former(mesh)
    assert values_of(found, "istiod")["global"]["imagePullSecrets"] == ["ncr"]
    assert values_of(found, INGRESS.name) == {"imagePullSecrets": [{"name": "ncr"}]}


async def test_an_operator_that_runs_would_put_everything_back(mesh: FakeCluster) -> None:
    mesh.objects.put(deployment("istio-operator", "Operator", f"{HUB}/operator:1.20.0"))
    with pytest.raises(CheckError, match="would revert what nksmesh takes over") as caught:
        await former(mesh)
    assert caught.value.hint == "Run kubectl delete deployment istio-operator -n istio-system first."


async def test_everything_that_keeps_a_mesh_from_being_taken_over_is_named(mesh: FakeCluster) -> None:
    mesh.objects.put(deployment("istio-operator", "Operator", f"{HUB}/operator:1.20.0"))
    mesh.objects.put({**deployment("istio-cni-node", "Cni", f"{HUB}/install-cni:1.20.0"), "kind": "DaemonSet"})
    later = deployment("istiod-1-21-0", "Pilot", f"{HUB}/pilot:1.21.0", **{"istio.io/rev": "1-21-0"})
    later["metadata"]["labels"]["app"] = "istiod"
    mesh.objects.put(later)
    with pytest.raises(CheckError) as caught:
        await former(mesh)
    assert caught.value.message.split("; ") == [
        "nksmesh takes over a mesh with one istiod and no Istio revision",
        "this one has istio-system/istiod, istio-system/istiod-1-21-0",
        "Deployment istio-system/istio-operator is running: it would revert what nksmesh takes over",
        "istioctl also installed istio-cni-node: nksmesh takes over only istiod and gateways",
    ]
    assert caught.value.hint.startswith("Finish the upgrade with istioctl first")


async def test_another_version_than_the_installed_one_is_an_upgrade(mesh: FakeCluster) -> None:
    with pytest.raises(ConfigError, match=r"--version 1\.21\.0 contradicts the installed version 1\.20\.0"):
        await former(mesh, replace(REQUEST, options=replace(REQUEST.options, version="1.21.0")))


async def test_every_gateway_that_selects_its_pods_by_other_labels_is_named(mesh: FakeCluster) -> None:
    for name in ("edge", "team"):
        gateway = deployment(name, "IngressGateways", f"{HUB}/proxyv2:1.20.0")
        gateway["spec"]["selector"] = {"matchExpressions": [{"key": "app", "operator": "Exists"}]}
        mesh.objects.put(gateway)
    with pytest.raises(CheckError) as caught:
        await former(mesh)
    told = [sentence for sentence in caught.value.message.split("; ") if sentence.startswith("Deployment ")]
    assert [sentence.split(" selects")[0] for sentence in told] == [
        "Deployment istio-system/edge",
        "Deployment istio-system/team",
    ]
