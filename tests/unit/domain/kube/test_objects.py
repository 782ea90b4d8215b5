from __future__ import annotations

import pytest

from nksmesh.domain.charts.releases import COMPONENTS, Proof, Release
from nksmesh.domain.kube.objects import ObjectRef, containers, crds_of, owned_by, pod_template, ref_of
from tests.unit.domain.manifests import read

RELEASE = Release(component="gateway", name="edge", namespace="istio-system")

REFS = {
    "its own namespace": (
        "{apiVersion: apps/v1, kind: Deployment, metadata: {name: a, namespace: own}}",
        ObjectRef("apps/v1", "Deployment", "a", "own"),
    ),
    "the release's namespace": (
        "{apiVersion: v1, kind: Service, metadata: {name: a}}",
        ObjectRef("v1", "Service", "a", "n"),
    ),
    "cluster-scoped, whatever it says": (
        "{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole, metadata: {name: a, namespace: n}}",
        ObjectRef("rbac.authorization.k8s.io/v1", "ClusterRole", "a"),
    ),
    "nothing at all": ("{}", ObjectRef("", "", "", "n")),
}


@pytest.mark.parametrize(("text", "ref"), REFS.values(), ids=REFS)
def test_an_object_is_named_where_helm_places_it(text: str, ref: ObjectRef) -> None:
    assert ref_of(read(text), "n") == ref


def test_an_object_is_spoken_of_with_its_namespace() -> None:
    assert str(ObjectRef("v1", "Service", "a", "n")) == "Service n/a"
    assert str(ObjectRef("v1", "Namespace", "n")) == "Namespace n"


OWNED = """
metadata:
  labels: {app.kubernetes.io/managed-by: Helm}
  annotations: {meta.helm.sh/release-name: edge, meta.helm.sh/release-namespace: istio-system}
"""


def test_helms_three_marks_make_an_owner() -> None:
    assert owned_by(RELEASE, read(OWNED))


@pytest.mark.parametrize("mark", ["managed-by: Helm", "release-name: edge", "release-namespace: istio-system"])
def test_without_one_of_the_marks_it_is_not_the_releases(mark: str) -> None:
    key = mark.partition(":")[0]
    assert not owned_by(RELEASE, read(OWNED.replace(mark, f"{key}: other")))
    assert not owned_by(RELEASE, read("metadata: {name: a}"))


TEMPLATES = {
    "{kind: Deployment, spec: {template: {spec: {containers: [{image: a}]}}}}": ["a"],
    "{kind: Pod, spec: {containers: [{image: a}]}}": ["a"],
    "{kind: CronJob, spec: {jobTemplate: {spec: {template: {spec: {containers: [{image: a}]}}}}}}": ["a"],
    "{kind: CronJob, spec: {}}": [],
    "{kind: PodTemplate, spec: null}": [],
    "{kind: Certificate, spec: {template: a-name}}": [],
    "{kind: ConfigMap, data: {image: a}}": [],
    "{kind: Pod, spec: {initContainers: [{image: i}], containers: [{image: a}], ephemeralContainers: [{image: e}]}}": [
        "i",
        "a",
        "e",
    ],
}


@pytest.mark.parametrize(("text", "images"), TEMPLATES.items())
def test_the_containers_of_any_workload(text: str, images: list[str]) -> None:
    assert [container["image"] for container in containers(pod_template(read(text)))] == images


def test_crds_among_manifests() -> None:
    crd = {"kind": "CustomResourceDefinition"}
    assert crds_of(({"kind": "Service"}, crd)) == (crd,)


def test_components_are_a_table() -> None:
    assert COMPONENTS["gateway"].proof is Proof.INJECTED_ROLLOUT
    assert RELEASE.kind.after == ("istiod",)
