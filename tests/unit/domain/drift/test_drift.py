"""What counts as drift, and what others rightly write."""

from __future__ import annotations

import json
from typing import Any

import pytest

from nksmesh.domain.charts.releases import Release
from nksmesh.domain.drift.drift import autoscaled_by, diff_lines, differing, intended, is_named, newer_crd, shown
from nksmesh.domain.drift.noise import NOISE
from nksmesh.domain.kube.keyed_lists import added_items, merged
from nksmesh.domain.kube.objects import Manifest, ObjectRef
from tests.unit.domain.manifests import read

ISTIOD = Release(component="istiod", name="istiod", namespace="istio-system")


def dump(manifest: Manifest) -> str:
    return json.dumps(manifest, indent=1, sort_keys=True)


def wanted(manifest: Manifest, live: Manifest | None, *, autoscaled: bool = False) -> dict[str, Any]:
    return intended(manifest, live, owner=None, autoscaled=autoscaled)


def webhook(kind: str, **fields: Any) -> dict[str, Any]:
    hook = {"name": "x.istio.io", "clientConfig": {"caBundle": ""}, "failurePolicy": "Fail", **fields}
    return {"kind": kind, "metadata": {"name": "w"}, "webhooks": [hook]}


SELECTOR = {"matchExpressions": [{"key": "istio-injection", "operator": "In", "values": ["enabled"]}]}
CLOUD = {"key": "kubernetes.azure.com/managedby", "operator": "NotIn", "values": ["aks"]}
MINE = {"key": "team", "operator": "NotIn", "values": ["a"]}


@pytest.mark.parametrize(
    ("manifest", "live", "left_alone"),
    [
        pytest.param(
            webhook("MutatingWebhookConfiguration"),
            webhook("MutatingWebhookConfiguration", clientConfig={"caBundle": "cm9vdA=="}),
            True,
            id="caBundle",
        ),
        pytest.param(
            webhook("ValidatingWebhookConfiguration", failurePolicy="Ignore"),
            webhook("ValidatingWebhookConfiguration"),
            True,
            id="istiod turns its validator on",
        ),
        pytest.param(
            webhook("ValidatingWebhookConfiguration"),
            webhook("ValidatingWebhookConfiguration", failurePolicy="Ignore"),
            False,
            id="somebody turns it off",
        ),
        pytest.param(
            webhook("MutatingWebhookConfiguration"),
            webhook("MutatingWebhookConfiguration", failurePolicy="Ignore"),
            False,
            id="the injector is never turned",
        ),
        pytest.param(
            webhook("MutatingWebhookConfiguration", namespaceSelector=SELECTOR),
            webhook(
                "MutatingWebhookConfiguration",
                namespaceSelector={"matchExpressions": [*SELECTOR["matchExpressions"], CLOUD]},
            ),
            True,
            id="a cloud keeps its namespaces out",
        ),
        pytest.param(
            webhook("MutatingWebhookConfiguration", namespaceSelector=SELECTOR),
            webhook(
                "MutatingWebhookConfiguration",
                namespaceSelector={"matchExpressions": [*SELECTOR["matchExpressions"], MINE]},
            ),
            False,
            id="somebody keeps namespaces out",
        ),
        pytest.param(
            webhook("MutatingWebhookConfiguration", namespaceSelector=SELECTOR),
            webhook("MutatingWebhookConfiguration", namespaceSelector={"matchExpressions": [CLOUD]}),
            False,
            id="what the chart selects is gone",
        ),
        pytest.param(
            read("{kind: Service, metadata: {}, spec: {clusterIP: '', ports: [{port: 80, nodePort: 0}]}}"),
            read("{kind: Service, metadata: {}, spec: {clusterIP: 10.0.0.1, ports: [{port: 80, nodePort: 30080}]}}"),
            True,
            id="addresses and node ports that nobody chose",
        ),
        pytest.param(
            read("{kind: Service, metadata: {}, spec: {ports: [{port: 80, nodePort: 30001}]}}"),
            read("{kind: Service, metadata: {}, spec: {ports: [{port: 80, nodePort: 30080}]}}"),
            False,
            id="a node port that the release chose",
        ),
    ],
)
def test_what_others_rightly_write_is_taken_as_it_is_live(manifest: Manifest, live: Manifest, left_alone: bool) -> None:
    assert (wanted(manifest, live) == live) is left_alone
    assert left_alone or wanted(manifest, live) == manifest
    assert wanted(manifest, None) == manifest


@pytest.mark.parametrize(("autoscaled", "replicas"), [(True, 5), (False, 1)])
def test_replicas_are_an_autoscalers_only_where_one_of_the_release_targets_them(
    autoscaled: bool, replicas: int
) -> None:
    manifest = read("{kind: Deployment, metadata: {name: istiod}, spec: {replicas: 1}}")
    live = read("{kind: Deployment, metadata: {name: istiod}, spec: {replicas: 5}}")
    assert wanted(manifest, live, autoscaled=autoscaled)["spec"]["replicas"] == replicas


def test_an_autoscaler_names_its_target() -> None:
    scaler = read("{kind: HorizontalPodAutoscaler, spec: {scaleTargetRef: {kind: Deployment, name: istiod}}}")
    assert autoscaled_by([scaler, read("{kind: Deployment, metadata: {name: other}}")]) == {("Deployment", "istiod")}


def test_every_line_of_the_table_has_a_source() -> None:
    assert all("(" in noise.source and noise.kinds and noise.path for noise in NOISE)


def test_an_object_is_wanted_with_its_owner_and_without_what_a_template_left_empty() -> None:
    manifest = read("{kind: ConfigMap, metadata: {name: x, labels: {a: b}, annotations: null}, data: {k: null, v: ''}}")
    assert intended(manifest, None, owner=ISTIOD, autoscaled=False) == {
        "kind": "ConfigMap",
        "metadata": {
            "name": "x",
            "labels": {"a": "b", "app.kubernetes.io/managed-by": "Helm"},
            "annotations": {"meta.helm.sh/release-name": "istiod", "meta.helm.sh/release-namespace": "istio-system"},
        },
        "data": {"v": ""},
    }
    assert manifest["metadata"]["annotations"] is None, "the manifest itself stays"


def test_a_crd_keeps_its_nulls_and_loses_its_status() -> None:
    crd = read("{kind: CustomResourceDefinition, metadata: {name: x}, spec: {default: null}, status: {a: b}}")
    assert wanted(crd, None) == {"kind": crd["kind"], "metadata": {"name": "x"}, "spec": {"default": None}}


def test_bookkeeping_and_a_restart_are_not_shown() -> None:
    live = read("""
        kind: Deployment
        metadata:
          {name: x, uid: u, generation: 3, resourceVersion: '7', annotations: {deployment.kubernetes.io/revision: '3'}}
        spec: {template: {metadata: {annotations: {kubectl.kubernetes.io/restartedAt: now, mine: stays}}}}
        status: {replicas: 1}
    """)
    assert shown(live) == {
        "apiVersion": "",
        "kind": "Deployment",
        "metadata": {"name": "x"},
        "spec": {"template": {"metadata": {"annotations": {"mine": "stays"}}}},
    }


def test_fields_are_named_by_key_and_order_is_no_difference() -> None:
    live = {"spec": {"containers": [{"name": "a", "env": [{"name": "X", "value": "1"}], "args": ["1"]}, {"name": "b"}]}}
    same = {"spec": {"containers": [{"name": "b"}, *live["spec"]["containers"][:1]]}}
    assert list(differing(live, same)) == []
    other: dict[str, Any] = {
        "metadata": {"labels": {"istio.io/rev": "x"}},
        "spec": {"containers": [{"name": "a", "env": [{"name": "X", "value": "2"}], "args": ["1", "2"]}]},
    }
    assert list(differing(live, other)) == [
        "metadata",
        "spec.containers[a].args",
        "spec.containers[a].env[X].value",
        "spec.containers[b]",
    ]
    labels = {"metadata": {"labels": {"istio.io/rev": "y", "app": "x"}}}
    assert list(differing(labels, other)) == ["metadata.labels.app", "metadata.labels[istio.io/rev]", "spec"]


def test_what_somebody_added_to_a_list_is_found_in_the_manifests_lists_alone() -> None:
    manifest = read("{spec: {ports: [{port: 80}], selector: {a: b}, containers: [{name: a, args: [x]}]}}")
    live = read("""
        spec:
          ports: [{port: 80, protocol: TCP, nodePort: 3}, {port: 80, protocol: UDP}]
          selector: {a: b, c: d}
          containers: [{name: a, args: [x, y], env: [{name: E}]}, {name: added}]
          volumes: [{name: v}]
    """)
    assert list(added_items(manifest, live)) == ["spec.ports[80/UDP]", "spec.containers[added]"]
    assert merged(manifest, live) == read("""
        spec:
          ports: [{port: 80, protocol: TCP, nodePort: 3}]
          selector: {a: b, c: d}
          containers: [{name: a, args: [x], env: [{name: E}]}]
          volumes: [{name: v}]
    """)


def test_a_list_whose_items_lack_their_key_or_share_it_is_taken_whole() -> None:
    servers = {"ports": [{"number": 80}]}
    assert list(added_items(servers, {"ports": [{"number": 80}, {"number": 81}]})) == []
    assert merged(servers, {"ports": [{"number": 81}]}) == servers
    twice = {"env": [{"name": "A"}, {"name": "A"}]}
    assert list(differing(twice, {"env": [{"name": "A"}]})) == ["env"]


def test_what_a_secret_holds_is_never_shown() -> None:
    ref = ObjectRef("v1", "Secret", "pull", "istio-system")
    live = read("{apiVersion: v1, kind: Secret, metadata: {name: pull}, data: {key: bGl2ZQ==}}")
    live["metadata"]["annotations"] = {
        "kubectl.kubernetes.io/last-applied-configuration": '{"data":{"key":"cGxhaW4="}}'
    }
    manifest = read("{apiVersion: v1, kind: Secret, metadata: {name: pull}, data: {key: d2FudGVk}}")
    assert list(differing(shown(live), shown(manifest))) == ["data.key"]
    text = "\n".join([*diff_lines(ref, live, manifest, dump), *diff_lines(ref, None, manifest, dump)])
    assert "(hidden) 8 characters, others" in text
    assert not any(secret in text for secret in ("bGl2ZQ==", "cGxhaW4=", "d2FudGVk"))


def test_a_password_in_the_open_is_not_shown_either() -> None:
    ref = ObjectRef("apps/v1", "Deployment", "istiod", "istio-system")
    live = read("{kind: Deployment, spec: {env: [{name: DB_PASSWORD, value: hunter2}, {name: PILOT_X, value: plain}]}}")
    text = "\n".join(diff_lines(ref, live, read("{kind: Deployment, spec: {env: []}}"), dump))
    assert ("hunter2" in text, "(hidden) 7 characters" in text, "plain" in text) == (False, True, True)


def test_a_crd_with_a_version_more_is_a_later_charts() -> None:
    old = read("{kind: CustomResourceDefinition, spec: {versions: [{name: v1beta1}]}}")
    new = read("{kind: CustomResourceDefinition, spec: {versions: [{name: v1}, {name: v1beta1}]}}")
    assert (newer_crd(old, new), newer_crd(new, old), newer_crd(old, old)) == (True, False, False)
    assert not newer_crd({**old, "kind": "Other"}, {**new, "kind": "Other"})


@pytest.mark.parametrize(
    ("text", "means"),
    [
        ("Service/edge", True),
        ("service/istio-system/edge", True),
        ("Service/default/edge", False),
        ("Service/other", False),
        ("edge", False),
        ("ConfigMap/edge", False),
    ],
)
def test_an_object_is_named_by_kind_and_name(text: str, means: bool) -> None:
    assert is_named(ObjectRef("v1", "Service", "edge", "istio-system"), text) is means
