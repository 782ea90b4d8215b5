"""What istioctl left over goes at the end of a takeover: what was shown, and no more."""

from __future__ import annotations

from typing import Any

from nksmesh.commands.adopt.from_istioctl import ORPHANS_STEP, OrphansStep, check_other_gateways
from nksmesh.domain.common.events import EventKind
from nksmesh.domain.kube.objects import ref_of
from nksmesh.domain.plan.plan import Action, Plan
from nksmesh.engine.executor.executor import Executor
from tests.unit.domain.meshes import INGRESS, mesh
from tests.unit.fakes.cluster import FakeCluster, Heard
from tests.unit.fakes.runtime import runtime_of

PLAN = Plan(mesh=mesh(), steps=(), releases={})


def budget(name: str, **annotations: str) -> dict[str, Any]:
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {
            "name": name,
            "namespace": "istio-system",
            "labels": {"operator.istio.io/component": "Pilot"},
            "annotations": annotations,
            "managedFields": [{"manager": "istio-operator", "operation": "Apply", "fieldsV1": {}}],
        },
    }


async def test_what_was_shown_goes_and_what_came_since_or_is_a_releases_stays(
    cluster: FakeCluster, heard: Heard
) -> None:
    shown, late, other = budget("istiod"), budget("late"), budget("other", **{"meta.helm.sh/release-name": "istiod"})
    cluster.objects.put(shown)
    cluster.objects.put(late)
    cluster.objects.put(other)
    refs = (ref_of(shown), ref_of(budget("gone")), ref_of(other))
    step = OrphansStep(name=ORPHANS_STEP, action=Action.REMOVE, plan=PLAN, shown=refs)
    progress = await Executor([step], runtime_of(cluster, listener=heard), account=False).run()
    assert progress.removed == ["PodDisruptionBudget istio-system/istiod"]
    assert set(cluster.objects.stored) == {ref_of(late), ref_of(other)}
    assert heard.said(EventKind.DONE) == ["1 object removed"]


def gateway(name: str, component: str = "IngressGateways") -> dict[str, Any]:
    made = budget(name)
    made["metadata"]["labels"] = {"operator.istio.io/component": component}
    return {**made, "apiVersion": "apps/v1", "kind": "Deployment"}


async def test_a_gateway_that_the_environment_leaves_out_is_named(cluster: FakeCluster) -> None:
    for deployment in (gateway("internal"), gateway(INGRESS.name), gateway("istiod", "Pilot")):
        cluster.objects.put({**deployment, "metadata": {**deployment["metadata"], "namespace": INGRESS.namespace}})
    plan = Plan(mesh=mesh(INGRESS), steps=(), releases={})
    (found,) = await check_other_gateways(plan, cluster.objects)
    assert (found.id, found.subject) == ("ownership.omitted-gateway", "internal")
    assert "istioctl installed one" in found.message
