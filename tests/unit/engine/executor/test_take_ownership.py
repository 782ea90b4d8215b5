"""Taking objects over from istioctl: in which order, again after a conflict, and never somebody else's."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from nksmesh.commands.adopt.from_istioctl import TakeoverPlan
from nksmesh.domain.common.errors import ClusterError, RefusedError
from nksmesh.domain.common.events import unheard
from nksmesh.domain.common.findings import refuse_failures
from nksmesh.domain.kube.objects import HELM_MANAGER, Manifest, ObjectRef
from nksmesh.engine.agreement import check_agreed
from nksmesh.engine.executor.take_ownership import take_object, take_release
from nksmesh.engine.ownership import check_owners
from tests.unit.domain.meshes import ISTIOD, change, changes_of
from tests.unit.fakes.cluster import FakeCluster
from tests.unit.report.samples import MORE

PILOT = {"operator.istio.io/component": "Pilot"}
CONFLICT = RefusedError("refused", hint="Again.", status=409, reason="Conflict", detail="")


def made(kind: str, manager: str = "istio-operator", labels: dict[str, str] | None = None) -> dict[str, Any]:
    entry = {"manager": manager, "operation": "Apply", "apiVersion": "v1", "fieldsV1": {"f:spec": {}}}
    metadata: dict[str, Any] = {"name": "istiod", "namespace": "istio-system", "labels": labels or PILOT}
    return {"apiVersion": "v1", "kind": kind, "metadata": {**metadata, "managedFields": [entry]}}


def rendered(kind: str) -> Manifest:
    return {"apiVersion": "v1", "kind": kind, "metadata": {"name": "istiod", "namespace": "istio-system"}}


REF = ObjectRef("v1", "Service", "istiod", "istio-system")


async def test_what_runs_is_taken_last_and_what_is_missing_is_made(cluster: FakeCluster) -> None:
    for kind in ("Deployment", "ConfigMap"):
        cluster.objects.put(made(kind))
    kinds = ("Deployment", "ServiceAccount", "ConfigMap")
    one = change(ISTIOD, manifests=[rendered(kind) for kind in kinds])
    await take_release(one, cluster, timeout=1, listener=unheard)
    applied = cluster.objects.asked("apply")
    assert [line.split()[0] for line in applied] == ["ServiceAccount", "ConfigMap", "Deployment"]
    assert all(line.endswith(f"as {HELM_MANAGER}") for line in applied)
    assert len(cluster.objects.asked("merge")) == 2
    owned = cluster.objects.stored[ObjectRef("v1", "Deployment", "istiod", "istio-system")]["metadata"]
    assert owned["annotations"]["meta.helm.sh/release-name"] == "istiod"


def test_no_more_is_taken_over_than_was_shown() -> None:
    shown: TakeoverPlan = MORE["adopt, from istioctl"].plan
    one = change(ISTIOD)
    known = next(iter(shown.objects)).ref
    plan = replace(shown.plan, releases={one.release.name: replace(one, taken=(known,))})
    check_agreed(replace(shown, plan=plan), shown)
    more = replace(plan, releases={one.release.name: replace(one, taken=(known, REF))})
    with pytest.raises(
        ClusterError, match="take over more than was shown: Service istio-system/istiod; nothing was changed"
    ):
        check_agreed(replace(shown, plan=more), shown)


async def test_what_was_taken_before_is_only_applied(cluster: FakeCluster) -> None:
    cluster.objects.put(made("Service", manager="helm"))
    await take_object(rendered("Service"), REF, cluster.objects, manager=HELM_MANAGER)
    assert cluster.objects.asked("merge") == []
    assert len(cluster.objects.asked("apply")) == 1


async def test_a_conflict_is_tried_again_and_not_for_ever(cluster: FakeCluster) -> None:
    cluster.objects.put(made("Service"))
    cluster.objects.fails["merge"] = CONFLICT
    with pytest.raises(RefusedError):
        await take_object(rendered("Service"), REF, cluster.objects)
    assert len(cluster.objects.asked("get")) == len(cluster.objects.asked("merge")) > 1
    assert cluster.objects.asked("apply") == []


async def test_a_deployment_with_another_selector_is_made_anew_over_its_pods(cluster: FakeCluster) -> None:
    one = made("Deployment") | {"spec": {"replicas": 3, "selector": {"matchLabels": {"app": "x", "team": "y"}}}}
    cluster.objects.put(one)
    ref = ObjectRef("apps/v1", "Deployment", "istiod", "istio-system")
    cluster.objects.stored[ref] = cluster.objects.stored.pop(ObjectRef("v1", "Deployment", "istiod", "istio-system"))
    wanted = {**rendered("Deployment"), "apiVersion": "apps/v1", "spec": {"selector": {"matchLabels": {"app": "x"}}}}
    account = {**rendered("ServiceAccount")}
    await take_release(change(ISTIOD, manifests=[wanted, account]), cluster, timeout=1, listener=unheard)
    wrote = [(method, about) for method, about in cluster.objects.calls if method in {"delete", "apply"}]
    assert wrote == [
        ("apply", f"ServiceAccount istio-system/istiod as {HELM_MANAGER}"),
        ("delete", f"{ref}, alone"),
        ("apply", f"{ref} as {HELM_MANAGER}"),  # with as many pods as there were
        ("apply", str(ref)),
        ("apply", f"{ref} as {HELM_MANAGER}"),  # that number is not Helm's
    ]


async def test_one_that_a_killed_run_has_deleted_is_made_over_the_pods_it_left(cluster: FakeCluster) -> None:
    for name, owners, replicas in (("istiod-1", [], 2), ("istiod-2", [], 1), ("other", [{"uid": "x"}], 5)):
        metadata = {"name": name, "namespace": "istio-system", "labels": {"app": "x"}, "ownerReferences": owners}
        cluster.objects.put(
            {"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": metadata, "spec": {"replicas": replicas}}
        )
    wanted = {**rendered("Deployment"), "apiVersion": "apps/v1", "spec": {"selector": {"matchLabels": {"app": "x"}}}}
    counts: list[int | None] = []
    apply = cluster.objects.apply

    async def counted(manifest: Manifest, ref: ObjectRef, **said: Any) -> dict[str, Any]:
        counts.append(manifest["spec"].get("replicas"))
        return await apply(manifest, ref, **said)

    cluster.objects.apply = counted  # type: ignore[method-assign]
    await take_release(change(ISTIOD, manifests=[wanted]), cluster, timeout=1, listener=unheard)
    assert counts == [3, 3, None]  # what belongs to somebody is not counted
    assert cluster.objects.asked("delete") == []


async def test_only_an_adoption_takes_what_istioctl_made(cluster: FakeCluster) -> None:
    cluster.objects.put(made("Service"))
    changes = changes_of(change(ISTIOD, manifests=[rendered("Service")]))
    with pytest.raises(ClusterError) as refused:
        refuse_failures((await check_owners(changes, cluster)).findings)
    assert "adopt --from istioctl" in refused.value.hint
    owned = await check_owners(changes, cluster, take_over=True)
    assert owned.changes["istiod"].taken == (REF,)
    assert "takes ownership of 1 object that istioctl installed" in owned.changes["istiod"].reasons


async def test_what_a_killed_adoption_has_half_taken_is_taken_on(cluster: FakeCluster) -> None:
    cluster.objects.put(made("Service", manager="helm"))
    changes = changes_of(change(ISTIOD, manifests=[rendered("Service")]))
    assert (await check_owners(changes, cluster, take_over=True)).changes["istiod"].taken == (REF,)


async def test_an_adoption_leaves_alone_what_is_neithers(cluster: FakeCluster) -> None:
    cluster.objects.put(made("Service", manager="argocd", labels={}))
    with pytest.raises(ClusterError, match="another owner"):
        refuse_failures(
            (
                await check_owners(changes_of(change(ISTIOD, manifests=[rendered("Service")])), cluster, take_over=True)
            ).findings
        )
