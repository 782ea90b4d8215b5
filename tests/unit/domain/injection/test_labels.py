"""The one label that a namespace gets, and the namespaces that get none."""

from __future__ import annotations

from typing import Any

import pytest

from nksmesh.domain.common.errors import CheckError, ClusterError, ConfigError
from nksmesh.domain.common.findings import Finding, refuse_failures
from nksmesh.domain.injection.labels import (
    check_choice,
    check_injected,
    check_known,
    check_namespace,
    choices,
    default_choice,
    labels_after,
    labels_of,
)
from nksmesh.domain.injection.place import Place
from nksmesh.domain.mesh.mesh import DeployedRevisions
from nksmesh.domain.mesh.record import Canary, Record, RecordedRelease
from nksmesh.domain.mesh.request import Recorded
from tests.unit.domain.meshes import ISTIOD
from tests.unit.fakes.canaries import LATER, NEW
from tests.unit.fakes.injectors import injector

ENABLED = {"istio-injection": "enabled"}
REVISED = {"istio.io/rev": "1-22-8"}


def record(*, canary: bool = False, **revisions: Any) -> Record:
    own = NEW if revisions.get("istio_revision") else ISTIOD
    later = Canary(
        settings=Recorded(version="1.24.6", revisions=DeployedRevisions(istio_revision="1-24-6", tags=("next",))),
        release=LATER,
    )
    return Record(
        settings=Recorded(version="1.20.1", namespace="istio-system", revisions=DeployedRevisions(**revisions)),
        hub="h",
        releases=(RecordedRelease(release=own, chart_digest="d", values_hash="v", helm_revision=1),),
        canary=later if canary else None,
    )


def place(labels: dict[str, str], *injectors: Any) -> Place:
    return Place(name="shop", labels=labels, injectors=injectors or (injector(),))


def rules(*findings: Finding) -> list[str]:
    return [finding.id for finding in findings]


@pytest.mark.parametrize(
    ("revisions", "label"),
    [
        ({}, ENABLED),
        ({"istio_revision": "1-22-8", "tags": ("default",)}, ENABLED),
        ({"istio_revision": "1-22-8"}, REVISED),
        ({"istio_revision": "1-22-8", "tags": ("prod",)}, REVISED),
    ],
)
def test_the_record_says_which_label_it_is(revisions: dict[str, Any], label: dict[str, str]) -> None:
    assert labels_of(default_choice(record(**revisions))) == label


def test_a_namespace_may_name_the_revision_and_every_tag() -> None:
    mesh = record(istio_revision="1-22-8", tags=("prod", "default"), canary=True)
    assert {name: istiod.name for name, istiod in choices(mesh).items()} == {
        "default": "istiod-1-22-8",
        "1-22-8": "istiod-1-22-8",
        "prod": "istiod-1-22-8",
        "next": "istiod-1-24-6",
    }


def test_what_the_mesh_does_not_have_is_refused() -> None:
    (found,) = check_choice("prdo", record(tags=("prod",)))
    assert (found.id, found.hint) == ("inject.unknown-revision", "The Istio revisions and tags are default, prod.")
    (canary,) = check_choice("1-24-6", record(canary=True))
    assert canary.hint == "It is the canary's: run nksmesh canary move NAMESPACE."
    assert check_choice("prod", record(tags=("prod",))) == ()
    with pytest.raises(ConfigError):
        refuse_failures((found,))


@pytest.mark.parametrize(
    ("before", "choice", "after"),
    [
        ({}, "", ENABLED),
        (ENABLED, "", ENABLED),
        ({"istio.io/rev": "prod"}, "", {"istio.io/rev": "prod"}),
        ({"istio.io/rev": "default"}, "", ENABLED),
        ({"istio.io/rev": "1-24-6"}, "", ENABLED),
        ({"istio-injection": "disabled"}, "", ENABLED),
        ({**ENABLED, "istio.io/rev": "prod"}, "", ENABLED),
        (ENABLED, "prod", {"istio.io/rev": "prod"}),
    ],
)
def test_a_namespace_gets_one_label(before: dict[str, str], choice: str, after: dict[str, str]) -> None:
    assert labels_after(place(before), record(tags=("prod",)), on=True, choice=choice) == after


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (ENABLED, {}),
        ({**ENABLED, **REVISED}, {}),
        (REVISED, {}),
        ({}, {}),
        ({"istio-injection": "disabled"}, {"istio-injection": "disabled"}),
    ],
)
def test_without_injection_a_namespace_has_no_label(before: dict[str, str], after: dict[str, str]) -> None:
    assert labels_after(place(before), record(), on=False, choice="") == after


def test_where_every_namespace_is_injected_it_needs_one_all_the_same() -> None:
    for before in ({}, ENABLED):
        after = labels_after(place(before, injector(every=True)), record(), on=False, choice="")
        assert after == {"istio-injection": "disabled"}


def test_namespaces_that_cannot_be_labelled_are_named() -> None:
    ending = {"metadata": {"name": "shop", "deletionTimestamp": "2026-11-26T00:00:00Z"}}
    live = {"metadata": {"name": "shop"}}
    found = check_namespace("shop", ending, on=True, mesh="istio-system", moved=False)
    with pytest.raises(ClusterError, match="is being deleted"):
        refuse_failures(found)
    assert rules(*check_namespace("istio-system", live, on=True, mesh="istio-system", moved=False)) == [
        "inject.system-namespace"
    ]
    assert rules(*check_namespace("kube-system", live, on=True, mesh="istio-system", moved=False)) == [
        "inject.system-namespace"
    ]
    assert rules(*check_namespace("istio-system", live, on=False, mesh="istio-system", moved=False)) == []
    assert rules(*check_namespace("shop", live, on=False, mesh="istio-system", moved=True)) == [
        "inject.moved-namespace"
    ]
    with pytest.raises(ConfigError, match="there is no namespace 'shpo'"):
        refuse_failures(check_known(["shop", "shpo"], {"shop"}))


def test_labels_that_would_lead_to_no_istiod_are_refused() -> None:
    assert list(check_injected(place(ENABLED), ISTIOD)) == []
    (found,) = check_injected(place(REVISED), NEW)
    assert found.message == (
        "pods of namespace shop are to be injected by Istio revision 1-22-8, and no istiod would inject them"
    )
    (other,) = check_injected(place(ENABLED), NEW)
    assert "Istio revision default would" in other.message
    with pytest.raises(CheckError):
        refuse_failures((found,))
