from __future__ import annotations

import itertools
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from nksmesh.domain.charts.releases import Release
from nksmesh.domain.common.data import data_of
from nksmesh.domain.mesh.mesh import Network
from nksmesh.domain.plan.ordering import make_steps
from nksmesh.domain.plan.plan import (
    CRDS_STEP,
    GATE_STEP,
    Action,
    CrdChange,
    Need,
    Phase,
    Plan,
    RemovalStep,
    RestartStep,
    Step,
)
from tests.unit.domain.meshes import BASE, EDGE, INGRESS, ISTIOD, change, changes_of, installed, mesh

PROXY = "hub.example.com/proxyv2:1.20.0"
TELEMETRY = {"apiVersion": "telemetry.istio.io/v1alpha1", "kind": "Telemetry", "metadata": {"name": "x"}}
CRD = {"kind": "CustomResourceDefinition", "metadata": {"name": "gateways.networking.istio.io"}}
NEW_CRDS = (CrdChange(name="a.istio.io", manifest={}), CrdChange(name="b.istio.io", manifest={}))


def steps_of(*gateways: Release, crds: tuple[CrdChange, ...] = NEW_CRDS, istiod_runs: bool = False) -> dict[str, Step]:
    wanted = mesh(*gateways)
    found = installed(ISTIOD) if istiod_runs else None
    changes = changes_of(
        change(BASE), change(ISTIOD, installed=found), *(change(gateway) for gateway in gateways)
    )  # fmt: skip
    steps = make_steps(
        wanted, changes, crds, missing_namespaces=frozenset({"istio-system"}), unwanted={}, proxy_image=PROXY
    )
    return {step.name: step for step in steps}


def test_a_fresh_istiod_follows_its_crds_beside_base_and_gateways_wait_for_the_gate() -> None:
    steps = steps_of(INGRESS)
    assert list(steps) == [
        "namespace istio-system",
        CRDS_STEP,
        "istio-base",
        "istiod",
        GATE_STEP,
        "istio-ingressgateway",
    ]
    namespace = Need("namespace istio-system", Phase.WRITTEN)
    assert steps[CRDS_STEP].needs == ()
    assert steps["istio-base"].needs == (namespace,)
    assert steps["istiod"].needs == (namespace, Need(CRDS_STEP))
    assert steps[GATE_STEP].needs[:3] == (Need(CRDS_STEP), Need("istio-base"), Need("istiod"))
    assert steps["istio-ingressgateway"].needs == (Need(GATE_STEP), namespace)
    assert steps[GATE_STEP].reasons == ("gateways get their image from it",)
    assert steps_of()[GATE_STEP].reasons == ("pods get their proxy from it",)  # a canary has no gateways


def test_an_istiod_that_runs_already_is_upgraded_after_its_crds_and_base() -> None:
    steps = steps_of(INGRESS, istiod_runs=True)
    assert steps["istiod"].needs[1:] == (Need(CRDS_STEP), Need("istio-base"))
    assert steps[CRDS_STEP].needs == ()


def test_what_runs_on_every_node_waits_for_istiod_and_gateways_do_not_wait_for_it() -> None:
    cni, ztunnel = (
        Release(component=component, name=name, namespace="istio-system")
        for component, name in (("cni", "istio-cni"), ("ztunnel", "ztunnel"))
    )
    steps = steps_of(ztunnel, INGRESS, cni)
    assert list(steps)[-5:] == ["istiod", "istio-cni", "ztunnel", GATE_STEP, "istio-ingressgateway"]
    assert {Need("istiod"), Need(CRDS_STEP)} <= set(steps["istio-cni"].needs)
    assert {Need("istio-cni"), Need("istiod")} <= set(steps["ztunnel"].needs)
    assert not {"istio-cni", "ztunnel"} & {need.step for need in steps[GATE_STEP].needs}
    # and where istiod runs already, a new one does not go before its upgrade
    assert Need("istiod") in steps_of(cni, istiod_runs=True)["istio-cni"].needs


def test_a_fresh_istiod_follows_the_crds_that_base_renders_while_helm_is_still_at_work_on_base() -> None:
    changes = changes_of(change(BASE, manifests=[CRD]), change(ISTIOD))
    steps = make_steps(mesh(), changes, (), missing_namespaces=frozenset(), unwanted={}, proxy_image=PROXY)
    (istiod,) = [step for step in steps if step.name == "istiod"]
    assert istiod.needs[1:] == (Need("istio-base", Phase.ESTABLISHED),)
    # over a base that is there, a later istiod waits for all of it
    changes = changes_of(change(BASE, manifests=[CRD], installed=installed(BASE)), change(ISTIOD))
    steps = make_steps(mesh(), changes, (), missing_namespaces=frozenset(), unwanted={}, proxy_image=PROXY)
    (istiod,) = [step for step in steps if step.name == "istiod"]
    assert istiod.needs[1:] == (Need("istio-base"),)


def test_gateways_wait_for_nothing_of_each_other_and_each_for_its_own_namespace() -> None:
    steps = steps_of(INGRESS, EDGE)
    assert steps["namespace edge"].action is Action.KEEP
    assert steps["namespace istio-system"].action is Action.CREATE
    assert steps["edge"].needs == (Need(GATE_STEP), Need("namespace edge", Phase.WRITTEN))


def test_crds_say_what_becomes_of_them() -> None:
    crds = (
        CrdChange(name="new", manifest={}),
        CrdChange(name="same", manifest={}, exists=True, differs=False),
        CrdChange(name="taken", manifest={}, exists=True, taken_from=("helm", "kubectl")),
    )
    step = steps_of(crds=crds)[CRDS_STEP]
    assert step.action is Action.APPLY
    assert step.reasons == (
        "1 of 3 does not exist",
        "1 of 3 differs from the chart's",
        "takes ownership of fields from helm, kubectl",
    )
    newer = CrdChange(name="newer", manifest={}, exists=True, differs=False, newer="1.22.8")
    words = "of Istio 1.22.8, newer than the chart's"
    assert steps_of(crds=(newer,))[CRDS_STEP].reasons == (f"1 of 1 stays unchanged: it is {words}",)
    assert steps_of(crds=(newer, newer))[CRDS_STEP].reasons == (f"2 of 2 stay unchanged: they are {words}",)
    kept = steps_of(crds=crds[1:2])[CRDS_STEP]
    assert (kept.action, kept.reasons, kept.changes) == (Action.KEEP, (), False)
    assert CRDS_STEP not in steps_of(crds=())


def test_a_stale_gateway_is_restarted_when_it_is_written_and_the_gate_is_proved() -> None:
    changes = changes_of(
        change(BASE, reasons=()),
        change(ISTIOD, reasons=()),
        change(INGRESS, reasons=(), stale_pods=("pod a runs old",)),
    )
    steps = make_steps(mesh(INGRESS), changes, (), missing_namespaces=frozenset(), unwanted={}, proxy_image=PROXY)
    (restart,) = [step for step in steps if isinstance(step, RestartStep)]
    assert restart.reasons == ("pod a runs old",)
    assert restart.needs == (Need("istio-ingressgateway", Phase.WRITTEN), Need(GATE_STEP))
    assert [step.name for step in steps if step.changes] == ["restart istio-ingressgateway"]


def test_removals_come_last() -> None:
    changes = changes_of(change(BASE), change(ISTIOD))
    *before, removal = make_steps(
        mesh(), changes, (), missing_namespaces=frozenset(), unwanted={EDGE: installed(EDGE)}, proxy_image=PROXY
    )
    assert isinstance(removal, RemovalStep)
    assert (removal.name, removal.action, removal.release) == ("remove edge", Action.REMOVE, EDGE)
    assert {need.step for need in removal.needs} == {step.name for step in before}


def test_removals_of_the_same_name_in_two_namespaces_are_told_apart() -> None:
    changes = changes_of(change(BASE), change(ISTIOD))
    other = replace(EDGE, namespace="outer")
    unwanted = {release: installed(release) for release in (EDGE, other, INGRESS)}
    steps = make_steps(
        mesh(), changes, (), missing_namespaces=frozenset(), unwanted=unwanted, proxy_image=PROXY
    )  # fmt: skip
    names = [step.name for step in steps if isinstance(step, RemovalStep)]
    assert names == ["remove edge/edge", "remove outer/edge", f"remove {INGRESS.name}"]


def test_a_release_is_installed_where_helm_has_nothing_to_upgrade() -> None:
    pending = installed(ISTIOD, status="pending-install")
    stuck = installed(ISTIOD, status="pending-upgrade", helm_revision=2)
    failed = installed(ISTIOD, status="failed")
    assert change(ISTIOD).action is Action.INSTALL
    assert change(ISTIOD, installed=pending).action is Action.INSTALL
    assert change(ISTIOD, installed=pending).left_pending is pending
    assert change(ISTIOD, installed=stuck).action is Action.UPGRADE
    assert change(ISTIOD, installed=failed).action is Action.UPGRADE
    assert change(ISTIOD, installed=failed).left_pending is None
    assert change(ISTIOD, installed=installed(ISTIOD), reasons=()).action is Action.KEEP


def test_a_plan_as_data_has_no_values_and_no_manifests() -> None:
    changes = changes_of(change(BASE), change(ISTIOD, manifests=[TELEMETRY]))
    wanted = mesh(network=Network.PRIVATE)
    steps = make_steps(wanted, changes, NEW_CRDS, missing_namespaces=frozenset(), unwanted={}, proxy_image=PROXY)
    plan = Plan(mesh=wanted, steps=steps, releases=changes, crds=NEW_CRDS, unwanted=(EDGE,), notes=("a note",))
    data = data_of(plan)
    assert plan.changes
    assert data["changes"] is True
    assert data["network"] == "private"
    assert data["unwanted"] == ["edge"]
    assert [step["action"] for step in data["steps"]] == ["keep", "apply", "install", "install", "prove"]
    assert "Telemetry" not in repr(data) + repr(plan)


NAMES = st.from_regex(r"[a-z]{1,6}", fullmatch=True)
GATEWAYS = st.lists(
    st.builds(Release, component=st.just("gateway"), name=NAMES.map("gw-{}".format), namespace=NAMES),
    max_size=4,
    unique_by=lambda release: release.name,
)


@given(
    gateways=GATEWAYS,
    stale=st.booleans(),
    runs=st.booleans(),
    rendered=st.booleans(),
    crds=st.sampled_from([(), NEW_CRDS]),
    prune=st.booleans(),
)
def test_steps_always_stand_behind_what_they_need(
    gateways: list[Release], *, stale: bool, runs: bool, rendered: bool, crds: tuple[CrdChange, ...], prune: bool
) -> None:
    changes = changes_of(
        change(BASE, manifests=[CRD] if rendered else ()),
        change(ISTIOD, installed=installed(ISTIOD) if runs else None),
        *(change(release, stale_pods=("pod runs old",) if stale else ()) for release in gateways),
    )
    gone = Release(component="gateway", name="gone", namespace="edge")
    unwanted = {gone: installed(gone)} if prune else {}
    steps = make_steps(
        mesh(*gateways), changes, crds, missing_namespaces=frozenset(), unwanted=unwanted, proxy_image=PROXY
    )
    names = [step.name for step in steps]
    assert len(set(names)) == len(names)
    for step, before in zip(steps, itertools.accumulate(([name] for name in names), initial=[]), strict=False):
        assert {need.step for need in step.needs} <= set(before), step.name
    for gateway in gateways:
        (step,) = [one for one in steps if one.name == gateway.name]
        assert {need.step for need in step.needs} == {GATE_STEP, f"namespace {gateway.namespace}"}
