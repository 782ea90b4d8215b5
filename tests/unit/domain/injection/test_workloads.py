"""The pods of a workload against the labels of its namespace."""

from __future__ import annotations

from typing import Any

import pytest

from nksmesh.domain.common.data import data_of
from nksmesh.domain.common.findings import Level
from nksmesh.domain.injection.place import Place
from nksmesh.domain.injection.workloads import (
    NamespaceInjection,
    State,
    judge_namespace,
    labelled_at,
    missing_pull_secrets,
)
from nksmesh.domain.kube.workloads import Listed
from tests.unit.fakes.injectors import injector

Object = dict[str, Any]

ENABLED = {"istio-injection": "enabled"}
LABELLED = "2026-11-26T10:00:00Z"


def namespace(labels: dict[str, str]) -> Object:
    fields: Object = {"f:metadata": {"f:labels": {".": {}, **{f"f:{key}": {} for key in labels}}}}
    managed = [
        {"manager": "kubectl-create", "time": "2026-11-26T09:00:00Z", "fieldsV1": {"f:metadata": {"f:labels": {}}}},
        {"manager": "kubectl-label", "time": LABELLED, "fieldsV1": fields},
    ]
    return {"metadata": {"name": "shop", "labels": labels, "managedFields": managed}}


def pod(name: str, owner: str, *, revision: str = "", created: str = "2026-11-26T11:00:00Z", **metadata: Any) -> Object:
    annotations = {"istio.io/rev": revision} if revision else {}
    proxy = [{"name": "istio-proxy", "image": "proxyv2:1"}] if revision else []
    return {
        "metadata": {
            "name": name,
            "namespace": "shop",
            "creationTimestamp": created,
            "annotations": annotations,
            "ownerReferences": [{"kind": "Deployment", "name": owner, "controller": True}],
            **metadata,
        },
        "spec": {"containers": [{"name": "app", "image": "app:1"}, *proxy]},
        "status": {"phase": "Running"},
    }


def deployment(name: str, replicas: int = 1) -> Object:
    return {"kind": "Deployment", "metadata": {"name": name, "namespace": "shop"}, "spec": {"replicas": replicas}}


def judge(labels: dict[str, str], *pods: Object, owners: tuple[Object, ...] = ()) -> NamespaceInjection:
    place = Place(name="shop", labels=labels, injectors=(injector(), injector("1-22-8")))
    return judge_namespace(namespace(labels), place, Listed(pods=pods, owners=owners))


def rule(found: NamespaceInjection) -> str:
    return next((finding.id for finding in found.findings), "")


def test_what_is_injected_as_its_namespace_says_is_no_finding() -> None:
    found = judge(ENABLED, pod("cart-1", "cart", revision="default"), owners=(deployment("cart"),))
    (cart,) = found.workloads
    assert (cart.state, cart.why, cart.moves, found.findings) == (State.INJECTED, "", False, ())
    assert (found.istio_revision, found.labels) == ("default", ENABLED)


@pytest.mark.parametrize(
    ("created", "words"),
    [
        ("2026-11-26T09:59:59Z", "1 pod was created before the label of namespace shop"),
        ("2026-11-26T11:00:00Z", "1 pod was created before istiod injected namespace shop"),
    ],
)
def test_pods_older_than_the_label_want_a_restart(created: str, words: str) -> None:
    found = judge(ENABLED, pod("cart-1", "cart", created=created))
    (cart,) = found.workloads
    assert (rule(found), cart.why, cart.moves, cart.state) == ("inject.older-pods", words, True, State.NOT_INJECTED)
    assert found.findings[0].message == f"Deployment shop/cart: {words}"
    assert found.findings[0].hint == "Run nksmesh inject enable shop --restart to restart it."


def test_one_pod_without_a_proxy_beside_others_is_partly() -> None:
    found = judge(ENABLED, pod("cart-1", "cart", revision="default"), pod("cart-2", "cart"))
    (cart,) = found.workloads
    assert (cart.state, cart.injected, cart.pods, rule(found)) == (State.PARTLY, 1, 2, "inject.older-pods")


def test_a_pod_that_wants_no_proxy_is_not_restarted() -> None:
    found = judge(ENABLED, pod("cart-1", "cart", labels={"sidecar.istio.io/inject": "false"}))
    assert (rule(found), found.workloads[0].moves, found.findings[0].level) == (
        "inject.pod-opted-out",
        False,
        Level.NOTE,
    )


def test_a_proxy_that_new_pods_do_not_get_stays_until_a_restart() -> None:
    found = judge({}, pod("cart-1", "cart", revision="default"))
    (cart,) = found.workloads
    assert (rule(found), cart.moves) == ("inject.still-injected", True)
    assert cart.why == "1 pod still has a proxy, and new ones get none: namespace shop has no injection label"


def test_a_proxy_of_another_revision_is_said() -> None:
    found = judge({"istio.io/rev": "1-22-8"}, pod("cart-1", "cart", revision="default"))
    assert (rule(found), found.workloads[0].moves) == ("inject.other-revision", True)
    assert found.findings[0].hint == "Run kubectl rollout restart -n shop deployment/cart."


def test_a_revision_without_an_istiod_leaves_new_pods_without_a_proxy() -> None:
    found = judge({"istio.io/rev": "1-24-6"}, pod("cart-1", "cart", revision="1-24-6"))
    assert (rule(found), found.workloads[0].moves, found.istio_revision) == ("inject.no-istiod", False, "")
    assert found.workloads[0].why.startswith("new pods get no proxy: no istiod serves istio.io/rev=1-24-6")


def test_a_workload_whose_pods_are_not_created_is_seen() -> None:
    found = judge(ENABLED, owners=(deployment("cart", 2), deployment("idle", 0)))
    (cart,) = found.workloads
    assert (cart.name, cart.state, rule(found), cart.why) == (
        "cart",
        State.NO_PODS,
        "inject.no-pods",
        "it has none of its 2 pods",
    )


def test_what_has_ended_counts_for_nothing() -> None:
    ended = pod("job-1", "job")
    ended["status"]["phase"] = "Succeeded"
    assert judge(ENABLED, ended).workloads == ()


def test_a_missing_pull_secret_is_the_namespaces() -> None:
    found = missing_pull_secrets(judge(ENABLED), ["ncr"])
    assert (rule(found), found.findings[0].subject) == ("inject.missing-pull-secret", "shop/ncr")


def test_the_label_is_as_old_as_its_manager_says() -> None:
    assert labelled_at(namespace(ENABLED)) == LABELLED
    assert labelled_at({"metadata": {"name": "shop"}}) == ""


def test_json_names_the_rule() -> None:
    data = data_of(judge(ENABLED, pod("cart-1", "cart")))
    assert data["workloads"][0]["rule"] == "inject.older-pods"
    assert set(data) == {"name", "labels", "istio_revision", "workloads"}
