"""Where the guide may be walked, and what takes back what it made."""

from __future__ import annotations

from typing import Any

import pytest

from nksmesh.commands.guide import GUIDE, begin, plan_guide, plan_undo, walked
from nksmesh.domain.common.errors import CheckError, NotReadyError
from nksmesh.domain.guide.walk import Choices, GuideStep
from nksmesh.domain.samples.object_set import SAMPLE_LABEL
from nksmesh.domain.traffic.recipes import TRAFFIC_OF
from tests.unit.domain.meshes import BASE, INGRESS, ISTIOD, installed
from tests.unit.fakes.canaries import deployment, namespace, record
from tests.unit.fakes.cluster import FakeCluster
from tests.unit.fakes.runtime import runtime_of

CHOICES = Choices(install=("--profile", "demo"))
NETWORKING = "networking.istio.io/v1beta1"


def crd(kind: str, plural: str) -> dict[str, Any]:
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.networking.istio.io", "managedFields": [{"manager": "nksmesh"}]},
        "spec": {
            "group": "networking.istio.io",
            "names": {"kind": kind, "plural": plural},
            "versions": [{"name": "v1beta1", "served": True}],
        },
    }


def istio_object(kind: str, name: str, where: str = "default", **metadata: Any) -> dict[str, Any]:
    return {"apiVersion": NETWORKING, "kind": kind, "metadata": {"name": name, "namespace": where, **metadata}}


@pytest.fixture
def fresh(cluster: FakeCluster) -> FakeCluster:
    cluster.objects.put(namespace("default"))
    return cluster


@pytest.fixture
async def made(fresh: FakeCluster) -> FakeCluster:
    """What a walk leaves."""
    await begin(await plan_guide(CHOICES, runtime_of(fresh), ""), CHOICES, runtime_of(fresh))
    fresh.records.kept = {"istio-system": record()}
    fresh.storage.put(*(installed(release) for release in (BASE, ISTIOD, INGRESS)))
    put(fresh, namespace("default", istio_injection="enabled"))
    put(fresh, namespace("istio-system"), crd("Gateway", "gateways"), crd("VirtualService", "virtualservices"))
    put(fresh, istio_object("Gateway", "bookinfo-gateway", labels={SAMPLE_LABEL: "bookinfo"}))
    put(fresh, istio_object("VirtualService", "reviews", labels={TRAFFIC_OF: "reviews"}))
    put(fresh, *deployment("ratings-v1", "default", "default"))
    owner = deployment("ratings-v1", "default", "default")[0]
    put(fresh, {**owner, "metadata": {**owner["metadata"], "labels": {SAMPLE_LABEL: "bookinfo"}}})
    return fresh


def put(cluster: FakeCluster, *items: Any) -> None:
    for item in items:
        cluster.objects.put(item)


async def refusal(cluster: FakeCluster, *, undo: bool = False) -> str:
    with pytest.raises(CheckError) as caught:
        await (plan_undo if undo else plan_guide)(CHOICES, runtime_of(cluster), "")
    assert caught.value.hint
    return caught.value.message


async def test_a_walk_begins_with_a_run_in_the_history_and_nothing_else(fresh: FakeCluster) -> None:
    runtime, before = runtime_of(fresh), dict(fresh.objects.stored)
    plan = await plan_guide(CHOICES, runtime, "")
    assert (plan.context, plan.server, plan.undo) == (fresh.context, fresh.host, False)
    assert plan.steps[0].line == "nksmesh install --profile demo"
    assert fresh.histories.kept == {}
    await begin(plan, CHOICES, runtime)
    assert [run.command for run in fresh.histories.kept["istio-system"].runs] == [GUIDE]
    assert fresh.objects.stored == before


async def test_what_came_up_while_the_user_thought_is_not_walked_over(fresh: FakeCluster) -> None:
    plan = await plan_guide(CHOICES, runtime_of(fresh), "")
    put(fresh, namespace("default", istio_injection="enabled"))
    with pytest.raises(CheckError, match="has a label for injection"):
        await begin(plan, CHOICES, runtime_of(fresh))
    assert fresh.histories.kept == {}


async def test_a_mesh_is_not_walked_over(made: FakeCluster) -> None:
    message = await refusal(made)
    assert message.startswith("Istio 1.20.0 is installed in istio-system")


@pytest.mark.parametrize(
    ("there", "said"),
    [
        (crd("Gateway", "gateways"), "something is left of one: gateways.networking.istio.io"),
        (namespace("istio-system"), "something is left of one: namespace istio-system"),
        (namespace("default", istio_injection="disabled"), "istio-injection=disabled"),
        (istio_object("Gateway", "bookinfo-gateway", labels={SAMPLE_LABEL: "bookinfo"}), "objects of Bookinfo"),
        (
            {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "productpage", "namespace": "default"}},
            "objects of Bookinfo: Service default/productpage",
        ),
    ],
    ids=["CRDs", "namespace", "label", "sample", "sample of somebody else"],
)
async def test_what_is_left_or_is_somebody_elses_is_not_walked_over(
    fresh: FakeCluster, there: dict[str, Any], said: str
) -> None:
    put(fresh, there)
    assert said in await refusal(fresh)


async def test_what_a_walk_made_is_taken_back_the_last_first(made: FakeCluster) -> None:
    plan = await plan_undo(CHOICES, runtime_of(made), "")
    assert [step.words[:2] for step in plan.steps] == [
        ("traffic", "reset"),
        ("sample", "delete"),
        ("inject", "disable"),
        ("uninstall", "--purge"),
    ]


async def test_a_walk_that_stopped_early_is_taken_back_as_far_as_it_came(fresh: FakeCluster) -> None:
    await begin(await plan_guide(CHOICES, runtime_of(fresh), ""), CHOICES, runtime_of(fresh))
    plan = await plan_undo(CHOICES, runtime_of(fresh), "")
    assert [step.words[0] for step in plan.steps] == ["uninstall"]


async def test_without_a_walk_nothing_is_taken_back(fresh: FakeCluster) -> None:
    assert (await plan_undo(CHOICES, runtime_of(fresh), "")).empty


async def test_a_mesh_that_no_walk_made_is_not_taken_back(made: FakeCluster) -> None:
    made.histories.kept = {}
    assert "nksmesh guide has not made it" in await refusal(made, undo=True)


@pytest.mark.parametrize(
    ("there", "said"),
    [
        ((istio_object("Gateway", "mine", "shop"),), "Gateway shop/mine"),
        ((namespace("shop", istio_injection="enabled"),), "namespace shop"),
        (deployment("cart", "shop", "default"), "Deployment shop/cart"),
    ],
    ids=["Istio object", "namespace", "workload"],
)
async def test_what_somebody_else_uses_is_not_taken_back(
    made: FakeCluster, there: tuple[dict[str, Any], ...], said: str
) -> None:
    put(made, *there)
    assert f"is used by what the guide has not made: {said}; nothing was removed" in await refusal(made, undo=True)


def test_a_step_is_proved_by_the_json_of_its_command_alone() -> None:
    step = GuideStep(title="Look", words=("status",), proof=lambda data: data["words"])
    ready = walked(step, 0, [{"words": "ready"}], ())
    assert (ready.proof, ready.proved) == ("ready", True)
    assert not walked(step, 0, [{"words": ""}], ()).proved
    assert not walked(step, 6, [{"words": "ready"}], ()).proved
    error = NotReadyError("not ready", hint="Wait.")
    assert (walked(step, 6, (), [error]).error, walked(step, 0, (), ()).proved) == (error, False)
