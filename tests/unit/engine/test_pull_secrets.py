"""Pull secrets that do not exist, as a plan sees them: metadata alone is read, and what is forbidden is no failure."""

from __future__ import annotations

import pytest

from nksmesh.domain.common.errors import RefusedError, UnreachableError
from nksmesh.domain.kube.objects import ObjectRef
from nksmesh.domain.plan.plan import ReleaseChange
from nksmesh.engine.cluster_checks import survey_pull_secrets
from tests.unit.domain.meshes import EDGE, HUB, ISTIOD, change
from tests.unit.domain.plan.test_pull_secrets import account, secret, workload
from tests.unit.fakes.cluster import FakeCluster

CHANGES: tuple[ReleaseChange, ...] = (
    change(ISTIOD, manifests=[account("ncr"), workload()]),
    change(EDGE, manifests=[workload("ncr")]),
)


def put(cluster: FakeCluster, ref: ObjectRef) -> None:
    metadata = {"name": ref.name, "namespace": ref.namespace}
    cluster.objects.put({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": {"x": "c2VjcmV0"}})


async def said(cluster: FakeCluster, *absent: str) -> list[str]:
    found = await survey_pull_secrets(CHANGES, cluster, hub=HUB, absent=absent)
    return [finding.message.partition(":")[0] for finding in found]


async def test_one_that_exists_in_every_namespace_is_nothing_to_say(cluster: FakeCluster) -> None:
    put(cluster, secret("ncr", ISTIOD.namespace))
    put(cluster, secret("ncr", "edge"))
    assert await said(cluster) == []


async def test_the_namespaces_that_lack_it_are_named(cluster: FakeCluster) -> None:
    assert await said(cluster) == ["pull secret ncr does not exist in namespaces istio-system, edge"]
    put(cluster, secret("ncr", ISTIOD.namespace))
    assert await said(cluster) == ["pull secret ncr does not exist in namespace edge"]


async def test_a_namespace_that_does_not_exist_is_not_asked(cluster: FakeCluster) -> None:
    put(cluster, secret("ncr", ISTIOD.namespace))
    assert await said(cluster, "edge") == ["pull secret ncr does not exist in namespace edge"]
    assert cluster.objects.asked("get") == [str(secret("ncr", ISTIOD.namespace))]


async def test_where_secrets_may_not_be_read_nothing_is_said(cluster: FakeCluster) -> None:
    cluster.objects.fails["get"] = RefusedError("no", hint="", status=403, reason="Forbidden")
    assert await said(cluster) == []


@pytest.mark.parametrize(
    "failure",
    [
        RefusedError("no", hint="", status=500, reason="InternalError"),
        UnreachableError("nothing answers", hint=""),
    ],
)
async def test_what_else_fails_is_said(cluster: FakeCluster, failure: RefusedError | UnreachableError) -> None:
    cluster.objects.fails["get"] = failure
    with pytest.raises(type(failure)):
        await said(cluster)
