"""What istioctl left over goes at the end of a takeover: what was shown, and no more."""

from __future__ import annotations

from typing import Any

from nksmesh.commands.adopt.from_istioctl import ORPHANS_STEP, OrphansStep
from nksmesh.domain.common.events import EventKind
from nksmesh.domain.kube.objects import ref_of
from nksmesh.domain.plan.plan import Action, Plan
from nksmesh.engine.executor.executor import Executor
from tests.unit.domain.meshes import mesh
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
