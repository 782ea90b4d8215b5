"""Which IstioOperator owns istiod and which gateway: by labels, and by the specs where no label tells."""

from __future__ import annotations

from typing import Any

import pytest

from nksmesh.domain.adoption.former_states import states_of

LABEL = "install.operator.istio.io/owning-resource"


def deployment(name: str, owner: str = "", namespace: str = "istio-system") -> dict[str, Any]:
    """An object as istioctl labels it: with the name of its IstioOperator, or ``unknown``."""
    labels = {LABEL: owner or "unknown", f"{LABEL}-namespace": "istio-system", "operator.istio.io/managed": "Reconcile"}
    return {"metadata": {"name": name, "namespace": namespace, "labels": labels}}


def state(name: str, *gateways: dict[str, Any], pilot: bool = True, at: str = "1") -> dict[str, Any]:
    """An IstioOperator that istioctl keeps."""
    metadata = {"name": name, "namespace": "istio-system", "creationTimestamp": at}
    components = {"pilot": {"enabled": pilot}, "ingressGateways": list(gateways)}
    return {"metadata": metadata, "spec": {"components": components}}


INGRESS, TEAM = ("istio-system", "istio-ingressgateway"), ("edge", "team")
DEFAULT = {"name": INGRESS[1], "enabled": True}
OFF = {"name": INGRESS[1], "enabled": False}
MAIN = state("installed-state", DEFAULT)
OWN = {"name": TEAM[1], "namespace": TEAM[0]}
OF_TEAM = state("installed-state-team", OFF, OWN, pilot=False, at="2")

CASES = {
    "the labels name what istioctl keeps": ("installed-state", "installed-state-team", OF_TEAM),
    "the label names the user's own": ("installed-state", "team", OF_TEAM),
    "no label tells, but the specs do": ("", "", OF_TEAM),
    "only the gateway's label tells": ("", "team", state("installed-state-team", OWN, at="2")),
    "the gateway is listed without a namespace": (
        "",
        "",
        state("installed-state-team", OFF, {"name": TEAM[1]}, pilot=False, at="2"),
    ),
}


@pytest.mark.parametrize(("istiods", "teams", "of_team"), CASES.values(), ids=CASES)
@pytest.mark.parametrize("turned", [False, True])
def test_each_gateway_has_its_own(istiods: str, teams: str, of_team: dict[str, Any], *, turned: bool) -> None:
    gateways = [deployment(INGRESS[1], istiods), deployment(TEAM[1], teams, TEAM[0])]
    states = [of_team, MAIN] if turned else [MAIN, of_team]
    found = states_of(deployment("istiod", istiods), gateways, states)
    assert (found.own, found.beside) == (MAIN, ((of_team, frozenset({TEAM})),))
    assert (found.unseen, found.idle, found.guessed) == ({}, (), False)


def test_what_nobody_else_lists_is_of_istiods() -> None:
    elsewhere = state("installed-state-team", {**OWN, "namespace": "other"}, {**OWN, "enabled": False}, pilot=False)
    found = states_of(deployment("istiod"), [deployment(TEAM[1], "", TEAM[0])], [elsewhere, MAIN])
    assert (found.own, found.beside, found.idle) == (MAIN, (), (elsewhere,))


def test_an_istio_operator_that_is_gone_is_not_seen() -> None:
    gateways = [deployment(INGRESS[1], "gone"), deployment(TEAM[1], "gone", TEAM[0])]
    found = states_of(deployment("istiod"), gateways, [MAIN])
    assert found.unseen == {TEAM: "gone"}  # the other one is listed by istiod's


def test_of_several_with_istiod_the_last_that_istioctl_kept_is_taken() -> None:
    states = [state("mine", at="3"), state("installed-state", at="1"), state("installed-state-mine", at="2")]
    found = states_of(deployment("istiod"), [], states)
    assert (found.own, found.guessed, len(found.idle)) == (states[2], True, 2)


@pytest.mark.parametrize("spec", [{}, {"components": None}, {"components": {"ingressGateways": ["x"]}}])
def test_a_spec_of_another_shape_lists_nothing(spec: dict[str, Any]) -> None:
    odd = {"metadata": {"name": "odd", "namespace": "a"}, "spec": spec}
    assert states_of(deployment("istiod"), [deployment("x")], [odd]).own is odd
    assert states_of(deployment("istiod"), [deployment("x")], []).own is None
