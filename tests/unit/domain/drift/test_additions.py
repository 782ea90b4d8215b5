"""What somebody wrote into an object beside its manifest: told from Helm's own, from defaults and from noise."""

from __future__ import annotations

import json
from typing import Any

import pytest

from nksmesh.domain.drift.additions import Addition, additions, holder_of, without
from nksmesh.domain.kube.objects import Manifest

WANTED: dict[str, Any] = {
    "kind": "Deployment",
    "spec": {
        "template": {"spec": {"securityContext": {"fsGroup": 1}, "containers": [{"name": "discovery", "image": "a"}]}}
    },
}


def fields(path: str) -> dict[str, Any]:
    """Write a path as managedFields does: ``spec.containers[name=discovery].command``."""
    held: dict[str, Any] = {}
    for step in reversed(path.replace("[", ".[").split(".")):
        if step.startswith("["):
            key, _, text = step[1:-1].partition("=")
            held = {"k:" + json.dumps({key: text}): held}
        else:
            held = {f"f:{step}": held}
    return held


def live(manager: str, path: str, *more: tuple[str, str], kind: str = "Deployment", **entry: Any) -> Manifest:
    held = [{"manager": by, "operation": "Update", "fieldsV1": fields(one)} for by, one in more]
    container = {"name": "discovery", "image": "a", "command": ["sh"], "terminationMessagePath": "/dev/log"}
    pod = {
        "hostNetwork": True,
        "dnsPolicy": "ClusterFirst",
        "nodeSelector": {"a": "b"},
        "securityContext": {"fsGroup": 1, "runAsUser": 0},
        "containers": [container, {"name": "mine"}],
        "affinity": {"nodeAffinity": {"x": 1}},
    }
    first = {"manager": manager, "operation": "Update", "fieldsV1": fields(path), **entry}
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {"managedFields": [first, *held], "annotations": {"a": "b"}},
        "spec": {"replicas": 3, "paused": True, "template": {"metadata": {"labels": {"a": "b"}}, "spec": pod}},
    }


POD = "spec.template.spec"


@pytest.mark.parametrize(
    ("manager", "path", "found"),
    [
        ("kubectl-edit", f"{POD}.hostNetwork", f"{POD}.hostNetwork"),
        ("operator", f"{POD}.hostNetwork", f"{POD}.hostNetwork"),
        ("operator", f"{POD}.affinity.nodeAffinity.x", f"{POD}.affinity"),
        ("operator", f"{POD}.securityContext.runAsUser", f"{POD}.securityContext.runAsUser"),
        ("operator", f"{POD}.containers[name=discovery].command", f"{POD}.containers[discovery].command"),
        ("operator", f"{POD}.containers[name=mine].name", ""),  # an item of a list is found as one
        ("operator", f"{POD}.containers[name=discovery].image", ""),  # the manifest says it
        ("operator", f"{POD}.tolerations", ""),  # not there
        ("helm", f"{POD}.hostNetwork", ""),
        ("nksmesh", f"{POD}.hostNetwork", ""),
        ("operator", "spec.paused", ""),
        ("kubectl-rollout", "spec.paused", "spec.paused"),
        ("kubectl-edit", "spec.replicas", ""),  # an autoscaler may write it
        ("kubectl-edit", "spec.template.metadata.labels.a", ""),
        ("kubectl-edit", "metadata.annotations.a", ""),
    ],
)
def test_what_is_an_addition(manager: str, path: str, found: str) -> None:
    assert [(addition.field, addition.by) for addition in additions(WANTED, live(manager, path))] == (
        [(found, manager)] if found else []
    )


def test_what_a_status_or_another_version_or_a_crd_has_is_none() -> None:
    path = f"{POD}.hostNetwork"
    assert additions(WANTED, live("x", path, subresource="status")) == ()
    assert additions(WANTED, live("x", path, apiVersion="apps/v1beta1")) == ()
    assert additions(WANTED, live("kubectl", "spec.paused", kind="CustomResourceDefinition")) == ()
    assert [addition.field for addition in additions(WANTED, live("x", path, apiVersion="apps/v1"))] == [path]


def test_what_helm_holds_beside_somebody_else_is_helms_and_what_is_below_it_may_be_theirs() -> None:
    assert additions(WANTED, live("x", f"{POD}.dnsPolicy", ("helm", f"{POD}.dnsPolicy"))) == ()
    bare: dict[str, Any] = {"kind": "Deployment", "spec": {"template": {"spec": {}}}}
    (addition,) = additions(bare, live("x", f"{POD}.securityContext.runAsUser", ("helm", f"{POD}.securityContext")))
    assert addition.field == f"{POD}.securityContext.runAsUser"


def test_taken_away_a_field_is_null_in_a_map_and_not_there_in_a_list() -> None:
    some = [
        Addition(("spec", "hostNetwork"), "x"),
        Addition(("spec", "containers", {"name": "a"}, "command"), "x"),
        Addition(("spec", "none", "deeper"), "x"),
    ]
    body = {"spec": {"hostNetwork": True, "containers": [{"name": "a", "command": []}, {"name": "b", "command": []}]}}
    assert without(body, some) == {
        "spec": {"hostNetwork": None, "containers": [{"name": "a"}, {"name": "b", "command": []}]}
    }
    assert body["spec"]["hostNetwork"] is True


def test_who_holds_what_differs() -> None:
    some = [Addition(("spec", "affinity"), "kubectl-edit")]
    assert holder_of("spec.affinity", some) == holder_of("spec.affinity.nodeAffinity", some) == "kubectl-edit"
    assert holder_of("spec.affinityOfAnother", some) == ""
