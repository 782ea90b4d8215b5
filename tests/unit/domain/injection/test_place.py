"""Which injector is called for a pod, and why one gets no proxy: against the selectors of Istio's own chart."""

from __future__ import annotations

from typing import Any

import pytest

from nksmesh.domain.common.findings import Finding, Level
from nksmesh.domain.injection.place import Place
from tests.unit.fakes.injectors import injector

SERVICES = frozenset({("istio-system", "istiod"), ("istio-system", "istiod-1-22-8")})
INJECTORS = (injector(), injector("1-22-8"), injector("1-22-8", tag="prod"))
ENABLED = {"istio-injection": "enabled"}


def place(labels: dict[str, str], name: str = "shop", *, injectors: Any = INJECTORS, services: Any = SERVICES) -> Place:
    return Place(name=name, labels=labels, injectors=injectors, services=services)


def pod(labels: dict[str, str] | None = None, annotations: dict[str, str] | None = None, **spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": "cart", "labels": labels or {}, "annotations": annotations or {}}, "spec": spec}


def reason(found: Finding | None) -> tuple[str, Level]:
    assert found is not None
    return found.id, found.level


@pytest.mark.parametrize(
    ("labels", "own", "revision"),
    [
        (ENABLED, {}, "default"),
        ({"istio.io/rev": "1-22-8"}, {}, "1-22-8"),
        ({"istio.io/rev": "prod"}, {}, "1-22-8"),
        ({"istio.io/rev": "default"}, {}, "default"),
        ({**ENABLED, "istio.io/rev": "1-22-8"}, {}, "default"),
        ({}, {}, ""),
        ({}, {"sidecar.istio.io/inject": "true"}, "default"),
        ({}, {"istio.io/rev": "prod"}, "1-22-8"),
        ({"istio-injection": "disabled"}, {"sidecar.istio.io/inject": "true"}, ""),
        (ENABLED, {"sidecar.istio.io/inject": "false"}, ""),
        ({"istio.io/rev": "1-24-6"}, {}, ""),
    ],
)
def test_the_selectors_say_who_injects(labels: dict[str, str], own: dict[str, str], revision: str) -> None:
    assert place(labels).revision_of(own) == revision


def test_the_last_of_several_injectors_wins() -> None:
    both = (injector(), injector("1-22-8", tag="default"))
    assert place(ENABLED, injectors=both).revision_of({}) == "default"  # "sidecar-injector" comes after "revision-tag"


def test_a_mesh_may_inject_every_namespace() -> None:
    assert place({}, injectors=(injector(every=True),)).revision_of({}) == "default"


@pytest.mark.parametrize(
    ("labels", "item", "rule", "level"),
    [
        ({}, pod(), "inject.namespace-off", Level.NOTE),
        ({"istio-injection": "disabled"}, pod(), "inject.namespace-off", Level.NOTE),
        (ENABLED, pod({"sidecar.istio.io/inject": "false"}), "inject.pod-opted-out", Level.NOTE),
        (ENABLED, pod(None, {"sidecar.istio.io/inject": "False"}), "inject.pod-opted-out", Level.NOTE),
        (ENABLED, pod(hostNetwork=True), "inject.host-network", Level.NOTE),
        ({"istio.io/rev": "1-24-6"}, pod(), "inject.no-istiod", Level.WARNING),
        ({}, pod({"istio.io/rev": "1-24-6"}), "inject.no-istiod", Level.WARNING),
    ],
)
def test_a_pod_without_a_proxy_has_a_reason(
    labels: dict[str, str], item: dict[str, Any], rule: str, level: Level
) -> None:
    assert reason(place(labels).why_not(item)) == (rule, level)


def test_what_is_injected_has_none() -> None:
    assert place(ENABLED).why_not(pod()) is None
    assert place(ENABLED).why_not(pod(None, {"sidecar.istio.io/inject": ""})) is None
    assert place(ENABLED).why_not(pod({"sidecar.istio.io/inject": "true"}, {"sidecar.istio.io/inject": "no"})) is None


def test_a_namespace_that_istiod_ignores_is_said() -> None:
    assert reason(place(ENABLED, "kube-system").why_not(pod())) == ("inject.ignored-namespace", Level.NOTE)
    assert place(ENABLED, "kube-system").revision_of({}) == ""


def test_an_injector_without_its_istiod_is_said() -> None:
    found = place(ENABLED, services=frozenset()).why_not(pod())
    assert found is not None
    assert found.message == (
        "injector istio-sidecar-injector-default calls Service istio-system/istiod, which does not exist"
    )
    assert place(ENABLED, services=None).why_not(pod()) is None  # the Services may not be read


def test_what_is_served_is_named() -> None:
    found = place({"istio.io/rev": "1-24-6"}).why_not(pod())
    assert found is not None
    assert found.message.endswith("(Istio revisions and tags that are served: 1-22-8, default, prod)")


def test_other_labels_of_a_namespace_stay() -> None:
    assert place({**ENABLED, "team": "a"}).labelled({"istio.io/rev": "prod"}).labels == {
        "team": "a",
        "istio.io/rev": "prod",
    }
