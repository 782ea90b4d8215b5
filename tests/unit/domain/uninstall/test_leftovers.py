from __future__ import annotations

import pytest

from nksmesh.domain.kube.objects import ObjectRef
from nksmesh.domain.kube.workloads import Workload
from nksmesh.domain.uninstall.leftovers import (
    Labelled,
    Leftover,
    few,
    in_words,
    labels_in_words,
    next_steps,
    sidecars_in_words,
)


def crd(name: str, objects: int = 0, stays: str = "") -> Leftover:
    ref = ObjectRef("apiextensions.k8s.io/v1", "CustomResourceDefinition", name)
    return Leftover(ref=ref, holds=f"{objects} of them" if objects else "", objects=objects, stays=stays)


def certificate(namespace: str, stays: str = "") -> Leftover:
    return Leftover(ref=ObjectRef("v1", "ConfigMap", "istio-ca-root-cert", namespace), stays=stays)


def lease(name: str) -> Leftover:
    return Leftover(ref=ObjectRef("coordination.k8s.io/v1", "Lease", name, "istio-system"))


def workload(name: str, namespace: str, why_not: str = "") -> Workload:
    return Workload(
        namespace=namespace,
        kind="Deployment",
        name=name,
        pods=2,
        proxies=("p:1",),
        istio_revisions=("default",),
        restartable=not why_not,
        not_restartable=why_not,
    )


def test_what_many_have_is_one_line_and_what_holds_something_has_its_own() -> None:
    left = [crd("a.istio.io"), crd("b.istio.io", 3), crd("c.istio.io"), crd("d.istio.io", stays="another needs it")]
    left += [lease("istio-leader"), certificate("x"), certificate("y"), certificate("z", "why"), lease("istio-b")]
    assert in_words(left) == (
        "2 CustomResourceDefinitions of Istio without objects",
        "CustomResourceDefinition b.istio.io (3 of them)",
        "CustomResourceDefinition d.istio.io (another needs it)",
        "2 Leases in istio-system: istio-leader, istio-b",
        "ConfigMap istio-ca-root-cert in 2 namespaces: x, y",
        "ConfigMap z/istio-ca-root-cert (why)",
    )


def test_labels_are_told_by_what_they_say() -> None:
    on, canary = {"istio-injection": "enabled"}, {"istio.io/rev": "1-22-8"}
    labelled = [
        Labelled(namespace="a", labels=on),
        Labelled(namespace="b", labels=canary),
        Labelled(namespace="c", labels=on),
        Labelled(namespace="d", labels=on, stays="why"),
    ]
    assert labels_in_words(labelled) == (
        "label istio-injection=enabled of 2 namespaces: a, c",
        "label istio.io/rev=1-22-8 of namespace b",
        "label istio-injection=enabled of namespace d (why)",
    )


@pytest.mark.parametrize(
    ("names", "words"), [(6, "0, 1, 2, 3, 4, 5"), (7, "0, 1, 2, 3, 4 and 2 more"), (1, "0"), (0, "")]
)
def test_a_long_list_is_cut_where_that_makes_it_shorter(names: int, words: str) -> None:
    assert few([str(one) for one in range(names)]) == words


def test_sidecars_are_counted_and_how_they_go_is_said_for_each_namespace() -> None:
    some = [workload("cart", "shop"), workload("pay", "shop"), workload("tool", "shop", "nobody would make it again")]
    assert sidecars_in_words(some) == (
        "3 workloads (6 pods) run a sidecar: Deployment shop/cart, Deployment shop/pay, Deployment shop/tool",
    )
    assert next_steps(some) == (
        "kubectl rollout restart -n shop deployment/cart deployment/pay",
        "Deployment shop/tool: nobody would make it again",
    )
    assert sidecars_in_words(()) == next_steps(()) == ()


def test_steps_for_very_many_are_shown_for_a_few() -> None:
    steps = next_steps([workload("w", f"ns-{number}") for number in range(5)])
    assert (len(steps), steps[-1]) == (4, "the same in 2 more namespaces")
    held = next_steps([workload(f"w{number}", "a", "no") for number in range(7)])
    assert (len(held), held[-1]) == (6, "2 more that kubectl rollout restart cannot restart")
