"""What a dry run asks, and what the API server's refusals mean: a failure, a note, or nothing."""

from __future__ import annotations

from typing import Any

import pytest

from nksmesh.domain.common.errors import RefusedError
from nksmesh.domain.common.findings import Finding, Level
from nksmesh.domain.kube.objects import Manifest, ObjectRef
from nksmesh.domain.plan.dry_runs import changed_objects, merge_patch, refusal
from tests.unit.domain.meshes import ISTIOD, change

DEPLOYMENT = ObjectRef("apps/v1", "Deployment", "istiod", "istio-system")
SELECTOR = (
    'Invalid value: v1.LabelSelector{MatchLabels:map[string]string{"istio":"pilot"}, '
    "MatchExpressions:[]v1.LabelSelectorRequirement(nil)}: field is immutable"
)
"""Kubernetes 1.28's words."""


def workload(labels: dict[str, str], selector: dict[str, str], kind: str = "Deployment") -> Manifest:
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {"name": "istiod"},
        "spec": {"selector": {"matchLabels": selector}, "template": {"metadata": {"labels": labels}}},
    }


OLD = workload({"app": "istiod", "istio": "pilot"}, {"app": "istiod", "istio": "pilot"})
NEW = workload({"app": "istiod", "istio": "pilot"}, {"istio": "pilot"})
OTHER = workload({"app": "mesh"}, {"app": "mesh"})


def refused(status: int, words: str = "no", *causes: tuple[str, str]) -> RefusedError:
    return RefusedError("refused", hint="", status=status, reason="", detail=words, causes=causes)


def judged(answer: RefusedError, ref: ObjectRef = DEPLOYMENT, old: Manifest = OLD, new: Manifest = NEW) -> Finding:
    found = refusal(ref, (old, new), answer)
    assert found is not None
    return found


def test_only_what_helm_has_and_would_write_otherwise_is_asked_about() -> None:
    service: Manifest = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "istiod"}}
    gone: Manifest = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "gone"}}
    new: Manifest = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "new"}}
    changed = change(ISTIOD, manifests=[NEW, service, new])
    assert changed_objects(changed, [OLD, service, gone]) == {DEPLOYMENT: (OLD, NEW)}
    assert changed_objects(changed, []) == {}


@pytest.mark.parametrize(
    ("old", "new", "patch"),
    [
        ({"a": 1}, {"a": 2}, {"a": 2}),
        ({"a": 1, "b": 2}, {"b": 2}, {"a": None, "b": 2}),
        ({"s": {"x": "1", "y": "2"}}, {"s": {"y": "2"}}, {"s": {"x": None, "y": "2"}}),
        ({"list": [1], "a": 1}, {"list": [1], "a": 1}, {"a": 1}),
        ({"list": [1]}, {"list": [1, 2]}, {"list": [1, 2]}),
        ({"a": {"x": 1}}, {"a": "text"}, {"a": "text"}),
        ({"a": "text"}, {"a": {"x": 1}}, {"a": {"x": 1}}),
        ({"a": None}, {"a": {"x": [1]}}, {"a": {"x": [1]}}),
    ],
)
def test_a_patch_takes_away_what_went_and_leaves_lists_that_stay(old: Any, new: Any, patch: Any) -> None:
    assert merge_patch(old, new) == patch


def test_what_others_have_set_is_in_no_patch() -> None:
    assert "replicas" not in merge_patch(OLD, NEW)["spec"]


def test_an_immutable_field_is_a_failure_with_the_commands_that_lead_on() -> None:
    found = judged(refused(422, "invalid", ("spec.selector", SELECTOR)))
    assert (found.id, found.level, found.subject) == (
        "kube.immutable-field",
        Level.FAILURE,
        "Deployment istio-system/istiod",
    )
    assert found.message == (
        "Deployment istio-system/istiod cannot be changed to what the chart renders: spec.selector: field is immutable"
    )
    assert (
        "kubectl -n istio-system delete deployment istiod --cascade=orphan, then run the same command again"
        in found.hint
    )


def test_pods_that_the_new_selector_does_not_match_go_with_their_workload() -> None:
    found = judged(refused(422, "invalid", ("spec.selector", SELECTOR)), new=OTHER)
    assert "kubectl -n istio-system delete deployment istiod, then" in found.hint


@pytest.mark.parametrize(
    ("ref", "command"),
    [
        (ObjectRef("batch/v1", "Job", "hook", "istio-system"), "kubectl -n istio-system delete job hook"),
        (
            ObjectRef("rbac.authorization.k8s.io/v1", "ClusterRoleBinding", "istiod"),
            "kubectl delete clusterrolebinding",
        ),
        (ObjectRef("v1", "Service", "edge", "edge"), "(a load balancer's address may change): kubectl -n edge"),
    ],
)
def test_every_kind_has_its_command(ref: ObjectRef, command: str) -> None:
    assert (
        command
        in judged(refused(422, "invalid", ("roleRef", "Invalid value: rbac.R{}: cannot change roleRef")), ref).hint
    )


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ('Invalid value: core.PodTemplateSpec{Env: "TOKEN: s3cret"}: field is immutable', "field is immutable"),
        ('Invalid value: "s3cret": may not change once set', "may not change once set"),
        ('Invalid value: {"matchLabels":{"s3cret":"x"}}: field is immutable', "field is immutable"),
        ("Forbidden: updates to statefulset spec for fields other than 'replicas' are forbidden", None),
    ],
)
def test_values_are_not_repeated(said: str, told: str | None) -> None:
    found = judged(refused(422, said, ("spec.x", said)))
    assert found.id == "kube.immutable-field"
    assert found.message.endswith(f": spec.x: {told or said}")
    assert judged(refused(422, said)).message.endswith(f": {told or said}")
    assert "s3cret" not in str(found)


def test_a_value_that_is_not_valid_is_a_failure_of_the_values() -> None:
    found = judged(refused(422, "invalid", ("spec.replicas", "Invalid value: -1: must be greater than or equal to 0")))
    assert (found.id, found.level) == ("kube.invalid-object", Level.FAILURE)
    assert "must be greater than or equal to 0" in found.message
    assert "delete" not in found.hint


@pytest.mark.parametrize(
    "answer",
    [
        refused(403, 'deployments.apps "istiod" is forbidden: User "ci" cannot patch resource'),
        refused(403, 'admission webhook "guard.example" denied the request: no'),
        refused(422, 'admission webhook "guard.example" denied the request: no'),
        refused(422, "ValidatingAdmissionPolicy 'p' with binding 'b' denied request: no"),
        refused(400, 'admission webhook "guard.example" does not support dry run'),
        refused(500, 'failed calling webhook "guard.example"'),
        refused(404, "the API server does not serve Deployment istiod"),
        refused(404, 'namespaces "istio-system" not found'),
    ],
)
def test_what_says_nothing_about_the_objects_own_fields_is_a_note(answer: RefusedError) -> None:
    found = judged(answer)
    assert (found.id, found.level) == ("kube.dry-run-refused", Level.NOTE)
    assert answer.detail in found.message


def test_an_object_that_is_not_there_is_made_anew_and_nothing_is_said() -> None:
    assert refusal(DEPLOYMENT, (OLD, NEW), refused(404, 'deployments.apps "istiod" not found')) is None
