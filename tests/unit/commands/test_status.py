from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from nksmesh.commands.status import StatusResult, status
from nksmesh.domain.charts.installed import InstalledRelease
from nksmesh.domain.charts.releases import Release
from nksmesh.domain.common.data import data_of
from nksmesh.domain.common.errors import RefusedError
from nksmesh.domain.kube.objects import Manifest
from nksmesh.domain.mesh.mesh import DeployedRevisions, Network
from nksmesh.domain.mesh.record import Record, RecordedRelease
from nksmesh.domain.mesh.request import Recorded
from tests.unit.domain.meshes import BASE, HUB, INGRESS, ISTIOD, installed
from tests.unit.fakes.cluster import FakeCluster, FakeHelm
from tests.unit.fakes.meshes import (
    PROXY,
    answering,
    crd,
    daemon_set,
    deployment,
    endpoints,
    on_node,
    pod,
    pulling,
    replica_set,
    rolled_out,
    service,
    webhook,
)

INJECTOR = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"name": "istio-sidecar-injector"},
    "data": {"values": json.dumps({"global": {"hub": HUB, "tag": "1.20.0"}})},
}
RENDERS: dict[Release, list[Manifest]] = {
    BASE: [],
    ISTIOD: [deployment("istiod"), INJECTOR],
    INGRESS: [
        deployment(INGRESS.name),
        service(INGRESS.name),
        {"kind": "HorizontalPodAutoscaler", "metadata": {"name": "x"}},
    ],
}


def helm_has(release: Release, **changed: Any) -> InstalledRelease:
    return installed(release, **{"manifest": FakeHelm.text(RENDERS[release]), **changed})


@pytest.fixture
def mesh(cluster: FakeCluster) -> FakeCluster:
    """A whole mesh, ready."""
    cluster.records.kept["istio-system"] = Record(
        settings=Recorded(namespace="istio-system", version="1.20.0", region="kr1", network=Network.PUBLIC),
        hub=HUB,
        releases=tuple(
            RecordedRelease(release=release, chart_digest="d", values_hash="v", helm_revision=1) for release in RENDERS
        ),
    )
    cluster.storage.put(*(helm_has(release) for release in RENDERS))
    cluster.live.show(*rolled_out("istiod"), *answering(), *rolled_out(INGRESS.name, pod(INGRESS.name)))
    cluster.live.show(service(INGRESS.name, address="10.1.1.1"))
    cluster.objects.put(crd("gateways.networking.istio.io"))
    return cluster


async def looked(cluster: FakeCluster) -> StatusResult:
    return await status(cluster, FakeHelm(), "")


def messages(result: StatusResult) -> dict[str, str]:
    return {release.release.name: release.readiness.message for release in result.releases}


async def test_a_mesh_that_is_ready(mesh: FakeCluster) -> None:
    result = await looked(mesh)
    assert result.ready
    assert messages(result) == {
        "istio-base": "1 CRD is Established",
        "istiod": "Deployment istiod is available",
        INGRESS.name: f"1 pod of {INGRESS.name} on {PROXY}",
    }
    (gateway,) = result.gateways
    assert (gateway.service, gateway.kind, gateway.addresses, gateway.http) == (
        f"istio-system/{INGRESS.name}",
        "LoadBalancer",
        ("10.1.1.1",),
        "10.1.1.1:80",
    )
    data = data_of(result)
    assert (data["installed"], data["ready"], data["recorded"], data["hub"]) == (True, True, True, HUB)
    assert data["images_outside_hub"] == []


async def test_a_gateway_on_every_node_is_looked_at_with_the_rest_at_once(mesh: FakeCluster) -> None:
    mesh.storage.put(helm_has(INGRESS, manifest=FakeHelm.text([daemon_set(INGRESS.name), service(INGRESS.name)])))
    mesh.live.show(daemon_set(INGRESS.name), on_node(INGRESS.name))
    result = await looked(mesh)
    assert result.ready
    assert messages(result)[INGRESS.name] == f"1 pod of {INGRESS.name} on {PROXY}"
    assert [release.images for release in result.releases if release.release == INGRESS] == [(PROXY,)]
    (followed,) = mesh.live.asked("follow")
    assert followed.count("DaemonSet istio-system") == 1
    assert "StatefulSet" not in followed


async def test_only_what_is_rendered_is_followed(mesh: FakeCluster) -> None:
    await looked(mesh)
    (followed,) = mesh.live.asked("follow")
    assert "DaemonSet" not in followed
    assert "StatefulSet" not in followed


async def test_no_mesh_at_all(cluster: FakeCluster) -> None:
    result = await looked(cluster)
    data = data_of(result)
    assert (data["installed"], data["releases"], data["version"]) == (False, [], "")
    assert cluster.live.asked("follow") == []


async def test_an_available_istiod_whose_webhook_is_not_configured_is_not_ready(mesh: FakeCluster) -> None:
    mesh.live.show(webhook(bundle=""), endpoints())
    result = await looked(mesh)
    assert not result.ready
    assert messages(result)["istiod"] == "istiod to set the caBundle of istio-sidecar-injector"


async def test_a_release_that_helm_left_half_way_is_said(mesh: FakeCluster) -> None:
    mesh.storage.put(helm_has(ISTIOD, status="pending-upgrade"))
    result = await looked(mesh)
    assert not result.ready
    assert messages(result)["istiod"] == "Helm left it pending-upgrade: run nksmesh install again"


async def test_the_exit_code_says_not_ready_where_it_is_asked_for(mesh: FakeCluster) -> None:
    assert replace(await looked(mesh), asked_for_exit_code=True).exit_code == 0
    mesh.storage.put(helm_has(ISTIOD, status="pending-upgrade"))
    result = await looked(mesh)
    assert (result.exit_code, replace(result, asked_for_exit_code=True).exit_code) == (0, 6)


async def test_where_there_is_no_mesh_none_is_ready(cluster: FakeCluster) -> None:
    result = replace(await looked(cluster), asked_for_exit_code=True)
    assert (data_of(result)["installed"], result.ready, result.exit_code) == (False, False, 6)


async def test_a_release_that_is_gone_is_not_ready(mesh: FakeCluster) -> None:
    mesh.storage.kept.pop((ISTIOD.namespace, ISTIOD.name))
    result = await looked(mesh)
    assert (result.ready, result.installation.gone) == (False, (ISTIOD,))
    assert [one["name"] for one in data_of(result)["gone"]] == ["istiod"]
    assert messages(result)[INGRESS.name] == f"an istiod to say which proxy the pods of {INGRESS.name} should run"
    mesh.storage.put(helm_has(ISTIOD))
    mesh.storage.kept.pop((BASE.namespace, BASE.name))
    assert not (await looked(mesh)).ready, "though all that is there is ready"


async def test_troubles_and_strays_are_named(mesh: FakeCluster) -> None:
    mesh.live.show(
        deployment(INGRESS.name, available=False),
        replica_set(INGRESS.name),
        pulling(INGRESS.name, "manifest unknown", image="docker.io/istio/proxyv2:1"),
    )
    result = await looked(mesh)
    (gateway,) = [release for release in result.releases if release.release == INGRESS]
    assert "manifest unknown" in gateway.troubles[0]
    assert result.strays == ("docker.io/istio/proxyv2:1",)


async def test_an_admitted_image_is_no_stray(mesh: FakeCluster) -> None:
    record = mesh.records.kept["istio-system"]
    allowed = Recorded(namespace="istio-system", allow_images=("docker.io/istio/",))
    mesh.records.kept["istio-system"] = Record(settings=allowed, hub=HUB, releases=record.releases)
    mesh.live.show(pod(INGRESS.name, image="docker.io/istio/proxyv2:1"))
    assert (await looked(mesh)).strays == ()


async def test_without_a_load_balancers_address_a_nodes_port_leads_in(mesh: FakeCluster) -> None:
    mesh.live.show(service(INGRESS.name))
    (gateway,) = (await looked(mesh)).gateways
    assert (gateway.addresses, gateway.http) == ((), "10.0.0.9:30080")


async def test_a_gateway_whose_service_is_gone_or_has_no_http_port(mesh: FakeCluster) -> None:
    plain = service(INGRESS.name)
    mesh.live.show({**plain, "spec": {"type": "ClusterIP", "ports": [{"name": "tls", "port": 443}]}})
    assert [address.http for address in (await looked(mesh)).gateways] == [""]
    mesh.live.seen.pop(("Service", "istio-system", INGRESS.name))
    assert (await looked(mesh)).gateways == ()


async def test_base_is_ready_when_its_crds_are(mesh: FakeCluster) -> None:
    mesh.objects.put(crd("sidecars.networking.istio.io", established=False))
    mesh.objects.put(crd("somebodys.example.com", established=False))
    result = await looked(mesh)
    assert not result.ready
    assert messages(result)["istio-base"] == "CRD sidecars.networking.istio.io to be Established"


async def test_base_without_any_crd_is_not_ready(mesh: FakeCluster) -> None:
    mesh.objects.stored.clear()
    assert messages(await looked(mesh))["istio-base"] == "Istio's CRDs to be created: run nksmesh install again"


async def test_crds_that_base_renders_are_looked_for_by_name(mesh: FakeCluster) -> None:
    rendered = [crd("gateways.networking.istio.io"), crd("sidecars.networking.istio.io")]
    mesh.storage.put(helm_has(BASE, manifest=FakeHelm.text(rendered)))
    assert messages(await looked(mesh))["istio-base"] == "CRD sidecars.networking.istio.io to be created"
    mesh.objects.put(rendered[1])
    assert messages(await looked(mesh))["istio-base"] == "2 CRDs are Established"


async def test_whoever_may_not_read_the_record_is_told_so_and_sees_the_mesh(mesh: FakeCluster) -> None:
    mesh.records.fails["read_all"] = RefusedError("may not", hint="", status=403, reason="Forbidden")
    result = await looked(mesh)
    data = data_of(result)
    assert (data["installed"], data["recorded"]) == (True, False)
    assert "no permission to read the mesh's record" in data["notes"][0]
    mesh.records.fails["read_all"] = RefusedError("broken", hint="", status=500, reason="")
    with pytest.raises(RefusedError):
        await looked(mesh)


async def test_an_istiod_that_is_called_after_another_version_is_told(mesh: FakeCluster) -> None:
    release = Release(component="istiod", name="istiod-1-22-8", namespace="istio-system", istio_revision="1-22-8")
    mesh.storage.put(installed(release, chart_version="1.23.6"))
    record = mesh.records.kept["istio-system"]
    recorded = RecordedRelease(release=release, chart_digest="d", values_hash="v", helm_revision=1)
    mesh.records.kept["istio-system"] = replace(record, releases=(recorded, *record.releases))
    (note,) = data_of(await looked(mesh))["notes"]
    assert note.startswith("Istio revision 1-22-8 keeps its name at Istio 1.23.6")


async def test_beside_a_canary_gateways_are_held_against_the_meshs_own_istiod(
    mesh: FakeCluster, helm: FakeHelm
) -> None:
    canary = Release(component="istiod", name="istiod-1-9", namespace="istio-system", istio_revision="1-9")
    later = {**INJECTOR, "metadata": {"name": "istio-sidecar-injector-1-9"}}
    later["data"] = {"values": json.dumps({"global": {"hub": HUB, "tag": "1.9.0"}})}
    mesh.storage.put(installed(canary, manifest=FakeHelm.text([later])))
    record = mesh.records.kept["istio-system"]
    of_canary = RecordedRelease(release=canary, chart_digest="d", values_hash="v", helm_revision=1)
    for own, ready in (("", True), ("1-9", False)):
        settings = replace(record.settings, revisions=DeployedRevisions(istio_revision=own))
        mesh.records.kept["istio-system"] = replace(record, settings=settings, releases=(of_canary, *record.releases))
        (gateway,) = (release for release in (await status(mesh, helm, "")).releases if release.release == INGRESS)
        assert gateway.readiness.ready is ready, own
