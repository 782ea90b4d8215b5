"""An istiod of another tool: every command says that it is there and whose it is, and none writes beside it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from nksmesh.commands.adopt.adopt import plan_adoption
from nksmesh.commands.adopt.istioctl_mesh import former_mesh
from nksmesh.commands.drift.drift import drift
from nksmesh.commands.status import status
from nksmesh.commands.uninstall.plan import plan_uninstall
from nksmesh.commands.uninstall.revision import plan_revision
from nksmesh.domain.adoption.foreign import foreign_istiod, version_of_istiod
from nksmesh.domain.charts.lock import Lock
from nksmesh.domain.common.data import data_of
from nksmesh.domain.common.errors import ClusterError, ConfigError, RefusedError
from nksmesh.domain.common.events import unheard
from nksmesh.domain.mesh.request import Request
from nksmesh.engine.discovery import find_installation
from nksmesh.engine.request import MeshRequest
from tests.unit.domain.meshes import BASE, HUB, ISTIOD, installed
from tests.unit.fakes.cluster import FakeCluster, FakeHelm, Heard
from tests.unit.fakes.meshes import crd, deployment, of_release
from tests.unit.fakes.runtime import runtime_of
from tests.unit.fakes.upgrades import CATALOG, Journeys, request_for

RENDERED = {
    "app": "istiod",
    "istio": "pilot",
    "istio.io/rev": "default",
    "release": "istiod",
    "install.operator.istio.io/owning-resource": "unknown",
    "operator.istio.io/component": "Pilot",
}
UMBRELLA = replace(ISTIOD, name="platform-mesh", namespace="platform")
REFUSED = RefusedError("no", hint="", status=403, reason="Forbidden")


def istiod(manager: str = "", *, namespace: str = "istio-system", **metadata: Any) -> dict[str, Any]:
    """The Deployment as the charts of 1.20.0 render it, applied by a field manager."""
    made = deployment("istiod", namespace=namespace, image=f"{HUB}/pilot:1.20.0")
    entries = [{"manager": manager, "operation": "Apply"}] if manager else []
    made["metadata"] |= {"labels": {**RENDERED, **metadata.pop("labels", {})}, "managedFields": entries, **metadata}
    return made


FOREIGN = {
    "Argo CD by its field manager": (istiod("argocd-controller"), "Argo CD", "argocd app delete NAME"),
    "Argo CD by its tracking id": (
        istiod("kubectl", annotations={"argocd.argoproj.io/tracking-id": "mesh:apps/Deployment:istio-system/istiod"}),
        "Argo CD (Application mesh)",
        "argocd app delete mesh",
    ),
    "Flux's Kustomization": (
        istiod(
            "kustomize-controller",
            labels={
                "kustomize.toolkit.fluxcd.io/name": "infra",
                "kustomize.toolkit.fluxcd.io/namespace": "flux-system",
            },
        ),
        "Flux (Kustomization flux-system/infra)",
        "flux delete kustomization infra -n flux-system",
    ),
    "kubectl": (istiod("kubectl-client-side-apply"), "kubectl apply", "kubectl delete -f FILE"),
    "Terraform": (istiod("Terraform"), "Terraform (its field manager)", "Continue with Terraform"),
    "an operator": (
        istiod("sail", ownerReferences=[{"kind": "IstioRevision", "name": "default", "controller": True}]),
        "IstioRevision default (its controller)",
        "the controller of IstioRevision",
    ),
    "an umbrella chart": (
        of_release(istiod("helm"), UMBRELLA),
        "Helm release platform-mesh in platform, chart platform-mesh 3.2.1",
        "helm uninstall platform-mesh -n platform",
    ),
    "in another namespace": (istiod("argocd-controller", namespace="mesh-b"), "Argo CD", "argocd app delete NAME"),
}


@pytest.fixture(params=list(FOREIGN.values()), ids=list(FOREIGN))
def foreign(request: pytest.FixtureRequest, cluster: FakeCluster) -> tuple[str, str, str]:
    """The cluster has such an istiod; return what is said of it, its owner, and what can be done."""
    made, owner, way = request.param
    cluster.objects.put(made)
    cluster.objects.put(crd("gateways.networking.istio.io"))
    cluster.storage.put(installed(UMBRELLA, chart="platform-mesh", chart_version="3.2.1", manifest="istio"))
    where = made["metadata"]["namespace"]
    return f"Istio 1.20.0 is installed in {where} (Deployment istiod) and belongs to {owner}", owner, way


@pytest.fixture
def world(cluster: FakeCluster, heard: Heard) -> Journeys:
    return Journeys(cluster, heard)


def wrote(world: Journeys) -> list[str]:
    return [name for name, _ in world.cluster.objects.calls if name in {"apply", "merge", "delete", "create"}]


async def test_what_reads_says_so(world: Journeys, foreign: tuple[str, str, str]) -> None:
    words, _, way = foreign
    found = await status(world.cluster, world.helm, "")
    (seen,) = found.installation.foreign
    assert (str(seen), found.ready) == (words, True)
    assert way in seen.way_on
    assert found.installation.namespace == seen.namespace
    data = data_of(found)
    assert (data["installed"], data["recorded"], data["foreign"][0]["version"]) == (True, False, "1.20.0")
    drifted = await drift(world.runtime, "", lock=Lock(), diff=False, exit_code=True)
    going = await plan_uninstall(world.cluster, "", purge=True, keep_crds=False)
    assert drifted.installation.foreign == going.installation.foreign == (seen,)
    assert (going.empty, going.going, going.going_namespaces) == (True, (), ())
    with pytest.raises(ConfigError, match="there is no istiod of Istio revision") as caught:
        await plan_revision(world.cluster, "", "default", yes=True)
    assert caught.value.hint.startswith(words)


async def test_install_plan_and_upgrade_refuse_before_they_write(
    world: Journeys, foreign: tuple[str, str, str]
) -> None:
    words, _, way = foreign
    for run in (world.install(request_for("1.20.0")), world.preview(request_for("1.20.0")), world.upgrade("1.20.0")):
        with pytest.raises(ClusterError) as caught:
            await run
        assert caught.value.message == f"{words}; nothing was changed"
        assert way in caught.value.hint
        assert "nksmesh" not in caught.value.hint.replace("nksmesh manages releases", "")
    assert (world.wrote(), wrote(world), world.charts.asked("fetch")) == ([], [], [])


async def test_adopt_sends_nobody_in_a_circle(world: Journeys, foreign: tuple[str, str, str]) -> None:
    words, _, way = foreign
    asked = MeshRequest(options=Request(charts="charts"), catalog=CATALOG)
    runs = (
        plan_adoption(asked, runtime_of(world.cluster, helm=world.helm, charts=world.charts, listener=unheard), None),  # type: ignore[arg-type]  # no folder is asked
        former_mesh(asked, runtime_of(world.cluster, charts=world.charts, listener=unheard)),
    )
    for run in runs:
        with pytest.raises(ConfigError) as caught:
            await run
        assert caught.value.message.removesuffix(", not to istioctl") == words
        assert way in caught.value.hint
        assert "adopt" not in caught.value.hint


async def test_what_istioctl_made_is_taken_over(world: Journeys) -> None:
    for made in (
        istiod("istio-operator", labels={"release": "istio"}),
        istiod("kubectl", labels={"release": "istio"}),  # istioctl manifest generate | kubectl apply
    ):
        world.cluster.objects.put(made)
        with pytest.raises(ClusterError, match=r"Istio 1\.20\.0 is installed in istio-system") as caught:
            await world.install(request_for("1.20.0"))
        assert caught.value.hint.startswith("Run nksmesh adopt --from istioctl to take it over.")
    beside = foreign_istiod(istiod("istio-operator", labels={"istio.io/rev": "1-20-0"}))
    assert ("Istio revision 1-20-0" in str(beside), beside.takeable) == (True, False)
    assert "-n mesh" in foreign_istiod(istiod("istioctl", namespace="mesh")).way_on


async def test_a_release_that_helm_does_not_show_is_said_to_be_of_another_driver(world: Journeys) -> None:
    world.cluster.objects.put(of_release(istiod("helm"), ISTIOD))
    (seen,) = (await find_installation(world.cluster, "")).foreign
    assert "HELM_DRIVER" in seen.way_on
    with pytest.raises(ClusterError, match="belongs to Helm release istiod in istio-system; nothing was changed"):
        await world.install(request_for("1.20.0"))


async def test_istios_own_charts_are_nobody_elses(world: Journeys) -> None:
    world.cluster.objects.put(of_release(istiod("helm"), ISTIOD))
    world.cluster.storage.put(installed(ISTIOD, manifest="istio"))
    found = await find_installation(world.cluster, "")
    assert (found.foreign, list(found.releases)) == ((), [ISTIOD])


async def test_beside_a_release_of_ours_it_is_a_note(world: Journeys) -> None:
    reader = {"kind": "ServiceAccount", "metadata": {"name": "istio-reader"}}
    world.cluster.storage.put(installed(BASE, manifest=FakeHelm.text([reader])))
    world.cluster.objects.put(istiod("argocd-controller"))
    found = await status(world.cluster, world.helm, "")
    assert [release.release for release in found.releases] == [BASE]
    assert any("belongs to Argo CD" in note for note in found.notes)


async def test_a_recorded_mesh_goes_on_beside_one_of_another_namespace(world: Journeys) -> None:
    world.cluster.objects.put(crd("gateways.networking.istio.io"))
    await world.install(request_for("1.20.0"))
    world.cluster.objects.put(istiod("argocd-controller", namespace="mesh-b"))
    await world.install(request_for("1.20.0"))
    found = await status(world.cluster, world.helm, "")
    assert [one.namespace for one in found.installation.foreign] == ["mesh-b"]
    assert any("installed in mesh-b" in note for note in found.notes)


async def test_whoever_may_not_list_them_is_told(world: Journeys) -> None:
    world.cluster.objects.refuses["Deployment", ""] = REFUSED
    found = await find_installation(world.cluster, "")
    assert found.notes == ("no permission to list Deployments: an istiod that another tool installed is not detected",)
    world.cluster.objects.put(crd("gateways.networking.istio.io"))
    await world.install(request_for("1.20.0"))


async def test_one_that_is_being_deleted_is_none(world: Journeys) -> None:
    world.cluster.objects.put(istiod("argocd-controller", deletionTimestamp="2026-01-01T00:00:00Z"))
    assert (await find_installation(world.cluster, "")).foreign == ()


VERSIONS = {
    "hub/pilot:1.20.0": "1.20.0",
    "hub/pilot:1.20.0-distroless": "1.20.0",
    "localhost:5000/pilot:1.20.0@sha256:00": "1.20.0",
    "localhost:5000/pilot@sha256:00": "",
    "": "",
}


@pytest.mark.parametrize(("image", "version"), VERSIONS.items())
def test_the_version_of_an_istiod(image: str, version: str) -> None:
    made = istiod()
    made["spec"]["template"]["spec"]["containers"][0]["image"] = image
    assert version_of_istiod(made) == version
    made["metadata"]["labels"]["app.kubernetes.io/version"] = "1.24.6"
    assert version_of_istiod(made) == (version or "1.24.6")
    made["metadata"]["labels"]["operator.istio.io/version"] = "1.19.0"
    assert version_of_istiod(made) == "1.19.0"


def test_an_istiod_without_a_version_is_said_to_be_there_all_the_same() -> None:
    made = istiod("Terraform")
    made["spec"] = {}
    assert str(foreign_istiod(made)).startswith("An Istio of unknown version is installed in istio-system")
