"""A sample's objects as they are applied, and whose they are."""

from __future__ import annotations

from typing import Any

import pytest

from nksmesh.domain.common.errors import CheckError, ClusterError, ConfigError
from nksmesh.domain.common.findings import Level, refuse_failures
from nksmesh.domain.kube.images import images_of
from nksmesh.domain.kube.objects import ref_of
from nksmesh.domain.samples.object_set import SAMPLE_LABEL, check_changed, check_foreign, placed_objects
from nksmesh.domain.samples.sample import BOOKINFO, check_namespace

Object = dict[str, Any]

SERVICE: Object = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "details", "labels": {"app": "details"}}}
DEPLOYMENT: Object = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "details-v1"},
    "spec": {
        "template": {
            "metadata": {"labels": {"app": "details"}},
            "spec": {
                "containers": [{"name": "details", "image": "docker.io/istio/examples-bookinfo-details-v1:1.18.0"}]
            },
        }
    },
}


def live(*managers: str, label: str = "bookinfo", **metadata: Any) -> Object:
    managed = [{"manager": manager} for manager in managers]
    labels = {SAMPLE_LABEL: label} if label else {}
    return {**SERVICE, "metadata": {"name": "details", "labels": labels, "managedFields": managed, **metadata}}


def objects(*manifests: Object, hub: str = "") -> tuple[Object, ...]:
    return placed_objects(BOOKINFO, manifests, "shop", hub)


def test_objects_are_marked_and_in_the_namespace() -> None:
    service, deployment = objects(SERVICE, DEPLOYMENT)
    assert service["metadata"] == {
        "name": "details",
        "namespace": "shop",
        "labels": {"app": "details", SAMPLE_LABEL: "bookinfo"},
    }
    assert deployment["spec"]["template"]["metadata"] == {"labels": {"app": "details"}}
    assert "namespace" not in SERVICE["metadata"]


def test_images_come_from_another_hub() -> None:
    made = objects(DEPLOYMENT, hub="registry.example.com/team/istio/")
    assert [image.image for image in images_of(made, "shop")] == [
        "registry.example.com/team/istio/examples-bookinfo-details-v1:1.18.0"
    ]
    assert [image.image for image in images_of(objects(DEPLOYMENT), "shop")] == [
        "docker.io/istio/examples-bookinfo-details-v1:1.18.0"
    ]
    with pytest.raises(ConfigError, match="is not an image"):
        objects(DEPLOYMENT, hub="https://registry.example.com")


@pytest.mark.parametrize(
    "manifest",
    [
        {**SERVICE, "metadata": {"name": "details", "namespace": "default"}},
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}},
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "mine"}},
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": ""}},
    ],
)
def test_an_object_that_could_not_be_deleted_again_is_refused(manifest: Object) -> None:
    with pytest.raises(ConfigError, match="is no object that nksmesh applies in namespace shop"):
        objects(manifest)


@pytest.mark.parametrize(
    ("item", "owner"),
    [
        (live("nksmesh"), ""),
        (live("nksmesh", "kubectl-edit", "kube-controller-manager"), ""),
        (live("nksmesh", label=""), "nksmesh (its field manager)"),
        (live("kubectl-client-side-apply"), "kubectl apply"),
        (live("helm", label="", annotations={"meta.helm.sh/release-name": "shop"}), "Helm release shop"),
        (live("nksmesh", "argocd-controller"), "Argo CD"),
    ],
)
def test_an_object_of_somebody_else_is_refused(item: Object, owner: str) -> None:
    ref = ref_of(item, "shop")
    found = list(check_foreign(BOOKINFO, {ref: item, ref_of(DEPLOYMENT, "shop"): None}))
    assert [finding.subject for finding in found] == (["Service shop/details"] if owner else [])
    if owner:
        assert owner in found[0].message
        with pytest.raises(ClusterError):
            refuse_failures(found)


def test_what_was_changed_by_hand_is_said() -> None:
    ref = ref_of(SERVICE, "shop")
    (found,) = check_changed({ref: live("nksmesh", "kubectl-edit")})
    assert (found.id, found.level) == ("sample.changed-object", Level.WARNING)
    assert list(check_changed({ref: live("nksmesh", "kube-controller-manager")})) == []


def test_a_namespace_without_injection_is_refused() -> None:
    with pytest.raises(ConfigError, match="there is no namespace 'shop'"):
        refuse_failures(check_namespace("shop", None, ""))
    with pytest.raises(CheckError, match="get no proxy"):
        refuse_failures(check_namespace("shop", {"metadata": {"name": "shop"}}, ""))
    assert list(check_namespace("shop", {"metadata": {"name": "shop"}}, "default")) == []


def test_a_namespace_that_is_being_deleted_takes_no_sample() -> None:
    ending = {"metadata": {"name": "shop", "deletionTimestamp": "2026-11-26T00:00:00Z"}}
    with pytest.raises(ClusterError, match="namespace shop is being deleted, with everything in it") as refused:
        refuse_failures(check_namespace("shop", ending, "default"))
    assert refused.value.hint == "Wait until it is gone, or pass another namespace with -n."
