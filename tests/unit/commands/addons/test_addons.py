"""Add-ons installed, shown, exposed and removed: in order, and exactly what was applied."""

from __future__ import annotations

from typing import Any

import pytest

from nksmesh.commands.addons.change import AddonsOrder, AddonsPlan, follow, plan_install, plan_remove
from nksmesh.commands.addons.expose import ExposeOrder, expose, plan_expose
from nksmesh.commands.addons.status import list_addons
from nksmesh.domain.addons.addons import ADDONS
from nksmesh.domain.common.errors import CheckError, ClusterError, ConfigError, ImageError, RefusedError
from nksmesh.domain.images.login import Login
from nksmesh.domain.kube.objects import Manifest, ObjectRef
from nksmesh.domain.plan.plan import Need, ObjectStep
from nksmesh.domain.samples.object_set import SAMPLE_LABEL
from nksmesh.engine.executor.object_steps import EstablishedStep, LaterServedStep
from nksmesh.engine.waiting import WaitOptions
from tests.unit.fakes.canaries import namespace
from tests.unit.fakes.cluster import FakeCluster, FakeHelm, Heard
from tests.unit.fakes.meshes import crd, deployment, pod, replica_set
from tests.unit.fakes.registries import istio
from tests.unit.fakes.runtime import runtime_of

Object = dict[str, Any]
SYSTEM = "istio-system"
KIALI = ADDONS["kiali"]
IMAGE = "quay.io/kiali/kiali:v1.76"

ACCOUNT: Object = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "kiali"}}
ROLE: Object = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "kiali"}}
SERVICE: Object = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "kiali", "namespace": SYSTEM},
    "spec": {"selector": {"app": "kiali"}, "ports": [{"name": "http", "port": 20001}]},
}
DEPLOYMENT: Object = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "kiali", "namespace": SYSTEM},
    "spec": {"template": {"spec": {"containers": [{"name": "kiali", "image": IMAGE}]}}},
}
CRD: Object = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "monitoringdashboards.monitoring.kiali.io"},
    "spec": {
        "group": "monitoring.kiali.io",
        "names": {"kind": "MonitoringDashboard"},
        "versions": [{"name": "v1alpha1", "storage": True}],
    },
}
CUSTOM: Object = {
    "apiVersion": "monitoring.kiali.io/v1alpha1",
    "kind": "MonitoringDashboard",
    "metadata": {"name": "envoy", "namespace": SYSTEM},
}
OBJECTS = (ACCOUNT, ROLE, SERVICE, DEPLOYMENT)


def order(*manifests: Manifest, **more: Any) -> AddonsOrder:
    return AddonsOrder(addons=(KIALI,), manifests={KIALI: manifests or OBJECTS}, **more)


@pytest.fixture
def mesh(cluster: FakeCluster) -> FakeCluster:
    cluster.objects.put(namespace(SYSTEM))
    plain = pod("kiali")
    plain["spec"]["containers"] = [{"name": "kiali", "image": IMAGE}]
    cluster.live.show(deployment("kiali"), replica_set("kiali"), plain)
    return cluster


def applied(cluster: FakeCluster) -> None:
    """Let what nksmesh applied have what the API server notes."""
    for item in cluster.objects.stored.values():
        if SAMPLE_LABEL in (item["metadata"].get("labels") or {}):
            item["metadata"]["managedFields"] = [{"manager": "nksmesh"}]


def actions(plan: AddonsPlan) -> dict[str, str]:
    return {step.name: step.action.value for step in plan.steps}


async def installed(mesh: FakeCluster, heard: Heard, wanted: AddonsOrder | None = None) -> None:
    runtime, wanted = runtime_of(mesh, listener=heard), wanted or order()
    await follow(await plan_install(wanted, runtime), wanted, runtime)
    applied(mesh)


async def test_an_add_on_is_applied_with_its_cluster_scoped_objects_and_awaited(
    mesh: FakeCluster, heard: Heard
) -> None:
    wanted = order(image_hub="registry.example.com/istio")
    runtime = runtime_of(mesh, listener=heard)
    plan = await plan_install(wanted, runtime)
    assert actions(plan) == {
        "ServiceAccount istio-system/kiali": "create",
        "ClusterRole kiali": "create",
        "Service istio-system/kiali": "create",
        "Deployment istio-system/kiali": "create",
        "pods": "prove",
    }
    assert plan.images == ("registry.example.com/istio/kiali:v1.76",)
    assert [finding.id for finding in plan.findings] == ["addons.no-prometheus"]
    (workload,) = (step for step in plan.steps if step.name.startswith("Deployment"))
    assert workload.needs == (Need("ServiceAccount istio-system/kiali"), Need("ClusterRole kiali"))
    result = await follow(plan, wanted, runtime)
    assert result.progress.outcomes[-1].message == "1 pod is ready"
    role = mesh.objects.stored[ObjectRef(ROLE["apiVersion"], "ClusterRole", "kiali")]
    assert role["metadata"] == {"name": "kiali", "labels": {SAMPLE_LABEL: "kiali"}}
    applied(mesh)
    assert set(actions(await plan_install(wanted, runtime)).values()) == {"keep", "prove"}


async def test_images_are_looked_for_once_before_anything_is_written(mesh: FakeCluster, heard: Heard) -> None:
    wanted, registries = order(image_hub="registry.example/mine"), istio([])
    runtime = runtime_of(mesh, listener=heard, registries=registries)
    with pytest.raises(ImageError, match=r"registry\.example/mine/kiali:v1\.76 does not exist") as missing:
        await plan_install(wanted, runtime)
    assert missing.value.hint.startswith("Run nksmesh images mirror --to registry.example/mine --samples FOLDER")
    registries.down = True
    plan = await plan_install(wanted, runtime)
    assert plan.findings[0].message == "the registry registry.example cannot be reached; its images were not looked for"
    asked = len(registries.asked)
    result = await follow(plan, wanted, runtime)
    assert result.warnings[-1] == str(plan.findings[0])
    assert len(registries.asked) == asked
    applied(mesh)
    await plan_install(wanted, runtime)  # what is there already is not looked for
    assert len(registries.asked) == asked


async def test_a_login_that_an_account_of_add_ons_lacks_is_said(mesh: FakeCluster) -> None:
    registries = istio(["kiali"])
    registries.lets_in, registries.own = {"kim"}, Login(source="config.json", username="kim", password="of kim")  # noqa: S106 - nobody's
    plan = await plan_install(order(image_hub="registry.example/mine"), runtime_of(mesh, registries=registries))
    assert plan.findings[0].id == "images.no-pull-secret"
    assert "imagePullSecrets" in plan.findings[0].hint


async def test_only_what_was_applied_is_removed(mesh: FakeCluster, heard: Heard) -> None:
    mesh.objects.put({**ROLE, "metadata": {"name": "of-others"}})
    mesh.objects.put({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "mine", "namespace": SYSTEM}})
    before = set(mesh.objects.stored)
    await installed(mesh, heard)
    removal, runtime = AddonsOrder(addons=(KIALI,)), runtime_of(mesh, listener=heard)
    plan = await plan_remove(removal, runtime)
    assert set(actions(plan).values()) == {"remove"}
    await follow(plan, removal, runtime)
    assert set(mesh.objects.stored) == before
    assert (await plan_remove(removal, runtime)).empty


async def test_an_add_on_of_somebody_else_is_neither_changed_nor_removed(mesh: FakeCluster) -> None:
    foreign = {**SERVICE, "metadata": {**SERVICE["metadata"], "managedFields": [{"manager": "kubectl-create"}]}}
    mesh.objects.put(foreign)
    with pytest.raises(ClusterError, match="Service istio-system/kiali belongs to") as refused:
        await plan_install(order(), runtime_of(mesh))
    assert refused.value.hint == "Delete it where it comes from."
    assert (await plan_remove(AddonsOrder(addons=(KIALI,)), runtime_of(mesh))).empty


async def test_what_cannot_be_changed_is_to_be_removed_first(mesh: FakeCluster) -> None:
    mesh.objects.fails["ask"] = RefusedError(
        "refused", hint="See above.", status=422, reason="Invalid", detail="spec.selector: field is immutable"
    )
    with pytest.raises(RefusedError) as refused:
        await plan_install(order(), runtime_of(mesh))
    assert refused.value.hint == "Run nksmesh addons remove kiali, then the same command again."


async def test_several_add_ons_are_awaited_in_one_step(mesh: FakeCluster, heard: Heard) -> None:
    plain = pod("grafana")
    plain["spec"]["containers"] = [{"name": "grafana", "image": "grafana/grafana:9"}]
    mesh.live.show(deployment("grafana"), replica_set("grafana"), plain)
    grafana = {**DEPLOYMENT, "metadata": {"name": "grafana"}}
    both = AddonsOrder(addons=(KIALI, ADDONS["grafana"]), manifests={KIALI: OBJECTS, ADDONS["grafana"]: (grafana,)})
    runtime = runtime_of(mesh, listener=heard)
    result = await follow(await plan_install(both, runtime), both, runtime)
    assert result.progress.outcomes[-1].message == "2 pods are ready"


async def test_a_namespace_is_needed_and_no_other_is_taken(mesh: FakeCluster) -> None:
    with pytest.raises(ConfigError, match="not for shop"):
        await plan_install(order(namespace="shop"), runtime_of(mesh))
    mesh.objects.stored.clear()
    with pytest.raises(ConfigError, match="there is no namespace istio-system"):
        await plan_install(order(), runtime_of(mesh))


async def test_an_object_that_is_no_add_ons_is_refused(mesh: FakeCluster) -> None:
    for manifest in ({**SERVICE, "metadata": {"name": "x", "namespace": "kube-system"}}, namespace("other")):
        with pytest.raises(ConfigError, match="is no object that nksmesh applies"):
            await plan_install(order(manifest), runtime_of(mesh))


async def test_crds_come_first_and_what_they_define_when_it_is_served(
    mesh: FakeCluster, heard: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted, runtime = order(CUSTOM, CRD), runtime_of(mesh, listener=heard)
    plan = await plan_install(wanted, runtime)
    assert mesh.objects.asked("ask") == ["CustomResourceDefinition monitoringdashboards.monitoring.kiali.io"]
    kinds = {type(step): step for step in plan.steps}
    assert kinds[EstablishedStep].needs == (Need(kinds[ObjectStep].name),)
    assert kinds[LaterServedStep].needs == (Need("CRDs of kiali"),)
    mesh.live.show(crd(CRD["metadata"]["name"]))
    apply, refused = mesh.objects.apply, RefusedError("not served", hint="Look.", status=404, reason="NotFound")

    async def later(manifest: Manifest, ref: ObjectRef, **more: Any) -> Object:
        if ref.kind == "MonitoringDashboard" and len(mesh.objects.asked("forget")) < 2:
            raise refused
        return await apply(manifest, ref, **more)

    monkeypatch.setattr(mesh.objects, "apply", later)
    await follow(plan, wanted, runtime)
    assert ObjectRef(CUSTOM["apiVersion"], "MonitoringDashboard", "envoy", SYSTEM) in mesh.objects.stored


async def test_what_is_refused_for_another_reason_is_not_tried_again(
    mesh: FakeCluster, heard: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted, runtime = order(CUSTOM, CRD), runtime_of(mesh, listener=heard)
    plan = await plan_install(wanted, runtime)
    mesh.live.show(crd(CRD["metadata"]["name"]))
    apply = mesh.objects.apply

    async def invalid(manifest: Manifest, ref: ObjectRef, **more: Any) -> Object:
        if ref.kind == "MonitoringDashboard":
            raise RefusedError("spec.title is required", hint="Look.", status=422, reason="Invalid")
        return await apply(manifest, ref, **more)

    monkeypatch.setattr(mesh.objects, "apply", invalid)
    with pytest.raises(RefusedError, match=r"spec\.title is required"):
        await follow(plan, wanted, runtime)
    assert not mesh.objects.asked("forget")


async def test_a_crd_stays_that_has_objects_of_others(mesh: FakeCluster, heard: Heard) -> None:
    mesh.live.show(crd(CRD["metadata"]["name"]))
    await installed(mesh, heard, order(CRD))
    removal = AddonsOrder(addons=(KIALI,))
    assert set(actions(await plan_remove(removal, runtime_of(mesh)))) == {
        "CustomResourceDefinition monitoringdashboards.monitoring.kiali.io"
    }
    mesh.objects.put({**CUSTOM, "metadata": {"name": "mine", "namespace": "shop"}})
    mesh.objects.put({**ACCOUNT, "metadata": {"name": "kiali", "namespace": SYSTEM, "labels": {SAMPLE_LABEL: "kiali"}}})
    applied(mesh)
    plan = await plan_remove(removal, runtime_of(mesh))
    assert set(actions(plan)) == {"ServiceAccount istio-system/kiali"}
    assert [finding.id for finding in plan.findings] == ["sample.crd-in-use"]


async def test_volumes_that_stay_are_said(mesh: FakeCluster) -> None:
    claim = {"apiVersion": "v1", "kind": "PersistentVolumeClaim"}
    mesh.objects.put({**claim, "metadata": {"name": "storage-loki-0", "namespace": SYSTEM}})
    loki = {**ACCOUNT, "metadata": {"name": "loki", "namespace": SYSTEM, "labels": {SAMPLE_LABEL: "loki"}}}
    mesh.objects.put(loki)
    applied(mesh)
    plan = await plan_remove(AddonsOrder(addons=(ADDONS["loki"], KIALI)), runtime_of(mesh))
    assert [finding.id for finding in plan.findings] == ["addons.kept-volumes"]


async def test_the_state_of_every_add_on_is_shown_whoever_made_it(mesh: FakeCluster, heard: Heard) -> None:
    await installed(mesh, heard)
    mesh.objects.put({**DEPLOYMENT, **deployment("grafana")})
    rows = {row.name: row for row in (await list_addons(mesh)).addons}
    assert set(rows) == set(ADDONS)
    assert (rows["kiali"].owner, rows["kiali"].state, rows["kiali"].images) == ("nksmesh", "not ready", (IMAGE,))
    assert rows["grafana"].state == "ready"
    assert rows["grafana"].owner != "nksmesh"
    assert rows["loki"].state == "not installed"


def strategy(name: str) -> Object:
    text = FakeHelm.text([{"auth": {"strategy": name}}])
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "kiali", "namespace": SYSTEM},
        "data": {"config.yaml": text},
    }


async def test_a_load_balancer_is_made_beside_the_service_and_its_address_awaited(
    mesh: FakeCluster, heard: Heard
) -> None:
    mesh.objects.put(SERVICE)
    runtime = runtime_of(mesh, listener=heard)
    wanted = ExposeOrder(addon=KIALI)
    plan = await plan_expose(wanted, runtime)
    assert [step.name for step in plan.steps] == ["Service istio-system/kiali-load-balancer"]
    made = ObjectRef("v1", "Service", "kiali-load-balancer", SYSTEM)
    status = {"status": {"loadBalancer": {"ingress": [{"ip": "10.0.0.7"}]}}}
    mesh.live.show({**SERVICE, "metadata": {"name": made.name, "namespace": SYSTEM}, **status})
    result = await expose(plan, wanted, runtime)
    assert (result.url, result.exit_code) == ("http://10.0.0.7:20001/kiali", 0)
    assert mesh.objects.stored[made]["spec"]["type"] == "LoadBalancer"
    assert mesh.objects.stored[ObjectRef("v1", "Service", "kiali", SYSTEM)] == SERVICE


async def test_a_load_balancer_without_an_address_in_time_is_said(mesh: FakeCluster, heard: Heard) -> None:
    mesh.objects.put(SERVICE)
    runtime = runtime_of(mesh, listener=heard, waits=WaitOptions(component=1))
    wanted = ExposeOrder(addon=KIALI)
    result = await expose(await plan_expose(wanted, runtime), wanted, runtime)
    assert (result.url, result.exit_code) == ("", 6)


async def test_a_public_address_is_refused_while_kiali_is_anonymous(mesh: FakeCluster) -> None:
    mesh.objects.put(SERVICE)
    public = ExposeOrder(addon=KIALI, public=True)
    for config in (None, strategy("anonymous")):
        if config:
            mesh.objects.put(config)
        with pytest.raises(CheckError, match="everyone on the internet could use it"):
            await plan_expose(public, runtime_of(mesh))
    mesh.objects.put(strategy("token"))
    assert (await plan_expose(public, runtime_of(mesh))).steps


async def test_an_add_on_without_a_page_is_not_exposed(mesh: FakeCluster) -> None:
    for name, words in (("loki", "loki has no page"), ("kiali", "Service istio-system/kiali does not exist")):
        with pytest.raises(ConfigError, match=words):
            await plan_expose(ExposeOrder(addon=ADDONS[name]), runtime_of(mesh))
