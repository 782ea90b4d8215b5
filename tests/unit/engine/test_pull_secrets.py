"""Pull secrets as a plan sees them: those that do not exist, and those that it makes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nksmesh.domain.common.errors import ConfigError, RefusedError, UnreachableError
from nksmesh.domain.images.login import Login
from nksmesh.domain.kube.objects import ObjectRef
from nksmesh.domain.mesh.catalog import Environment
from nksmesh.domain.plan.plan import Action, ReleaseChange
from nksmesh.domain.plan.pull_secrets import NewPullSecret, PullSecretOrder
from nksmesh.engine.pull_secrets import new_pull_secret, survey_pull_secrets
from tests.unit.domain.meshes import EDGE, ISTIOD, change, mesh
from tests.unit.domain.plan.test_pull_secrets import account, secret, workload
from tests.unit.fakes.cluster import FakeCluster
from tests.unit.fakes.registries import Table
from tests.unit.fakes.runtime import runtime_of
from tests.unit.fakes.world import REQUEST

CHANGES: tuple[ReleaseChange, ...] = (
    change(ISTIOD, manifests=[account("ncr"), workload()]),
    change(EDGE, manifests=[workload("ncr")]),
)

MESH = mesh(EDGE, pull_secrets=("ncr",))


def put(cluster: FakeCluster, ref: ObjectRef) -> None:
    metadata = {"name": ref.name, "namespace": ref.namespace}
    cluster.objects.put({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": {"x": "c2VjcmV0"}})


async def said(cluster: FakeCluster, *absent: str) -> list[str]:
    found = await survey_pull_secrets(CHANGES, MESH, cluster, absent=absent)
    return [finding.message.partition(":")[0] for finding in found.findings]


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


def put_namespace(cluster: FakeCluster, name: str, **labels: str) -> None:
    cluster.objects.put({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}})


INJECTED = {"istio-injection": "enabled"}


async def test_a_namespace_with_injection_needs_the_injectors_as_well(cluster: FakeCluster) -> None:
    for namespace in (ISTIOD.namespace, "edge"):
        put(cluster, secret("ncr", namespace))
    put_namespace(cluster, "shop", **INJECTED)
    put_namespace(cluster, "bank", **{"istio.io/rev": "default"})
    put_namespace(cluster, "other", **{"istio.io/rev": "1-22-8"})
    put_namespace(cluster, "plain")
    assert await said(cluster) == ["pull secret ncr does not exist in namespaces shop, bank"]
    put(cluster, secret("ncr", "bank"))
    assert await said(cluster) == ["pull secret ncr does not exist in namespace shop"]
    cluster.objects.refuses["Secret", ""] = RefusedError("no", hint="", status=403, reason="Forbidden")
    assert await said(cluster) == []


async def test_it_is_made_where_it_is_missing(cluster: FakeCluster) -> None:
    put_namespace(cluster, "shop", **INJECTED)
    put(cluster, secret("ncr", "edge"))
    login = Login(source="x", username="puller", password="of the puller")  # noqa: S106 - nobody's
    new = NewPullSecret(name="ncr", registry="registry.example", mesh=ISTIOD.namespace, login=login)
    found = await survey_pull_secrets(CHANGES, MESH, cluster, absent={ISTIOD.namespace}, new=new)
    assert {step.secret.namespace: step.action for step in found.steps} == {
        ISTIOD.namespace: Action.CREATE,
        "shop": Action.CREATE,
        "edge": Action.KEEP,
    }
    assert [finding.id for finding in found.findings] == ["images.pull-secret-account"]


OWN = Login(source="~/.docker/config.json", username="kim", password="of kim")  # noqa: S106 - nobody's
TYPED = Login(source="the terminal", username="puller", password="typed in")  # noqa: S106 - nobody's


async def order(
    cluster: FakeCluster, order: PullSecretOrder, table: Table, environment: Environment | None = None
) -> NewPullSecret | None:
    request = replace(REQUEST, pull_secret=order, environment=environment)
    return await new_pull_secret(request, MESH, runtime_of(cluster, registries=table))


async def test_a_stored_login_is_taken_only_where_that_is_said(cluster: FakeCluster) -> None:
    table = Table()
    table.own = OWN
    with pytest.raises(ConfigError, match=r"there is no login for registry\.example") as caught:
        await order(cluster, PullSecretOrder(), table)
    assert "--from-login" in caught.value.hint
    made = await order(cluster, PullSecretOrder(stored=True), table)
    assert made is not None
    assert (made.login, made.registry, made.name) == (OWN, "registry.example", "ncr")
    table.of_environment = replace(OWN, username="environment")
    made = await order(cluster, PullSecretOrder(), table)
    assert made is not None
    assert made.login.username == "environment"
    made = await order(cluster, PullSecretOrder(login=TYPED), table)
    assert made is not None
    assert made.login == TYPED


async def test_a_token_is_no_login_for_the_kubelet(cluster: FakeCluster) -> None:
    table = Table()
    table.own = Login(source="the credential helper x", token="secret token")  # noqa: S106 - nobody's
    with pytest.raises(ConfigError, match="the credential helper x holds a token") as caught:
        await order(cluster, PullSecretOrder(stored=True), table)
    assert "secret token" not in f"{caught.value.message}{caught.value.hint}"


async def test_an_environment_that_names_none_would_forget_it(cluster: FakeCluster) -> None:
    prod = Environment(name="prod", path="values/environments/prod/mesh.yaml")
    with pytest.raises(ConfigError, match="names no pull secret") as caught:
        await order(cluster, PullSecretOrder(login=TYPED), Table(), prod)
    assert caught.value.hint == "Add pull_secrets: [ncr] to values/environments/prod/mesh.yaml."
    assert await order(cluster, PullSecretOrder(login=TYPED), Table(), replace(prod, pull_secrets=("ncr",)))
