from __future__ import annotations

import pytest

from nksmesh.domain.common.errors import CheckError, ConfigError
from nksmesh.domain.common.findings import refuse_failures
from nksmesh.domain.mesh.revisions import check_canary, check_revision, follows, kept_name, names_of, revision_of


@pytest.mark.parametrize(("version", "name"), [("1.22.8", "1-22-8"), ("1.24.0-rc.1", "1-24-0-rc-1")])
def test_an_istio_revision_is_named_after_its_version_without_dots(version: str, name: str) -> None:
    assert revision_of(version) == name


def test_a_dot_is_refused_and_the_hint_says_what_to_write() -> None:
    with pytest.raises(ConfigError, match="dots") as refused:
        check_revision("1.22", "tag")
    assert refused.value.hint == "Write 1-22."


@pytest.mark.parametrize("name", ["", "Prod", "-a", "a" * 41])
def test_a_name_that_kubernetes_does_not_take_is_refused(name: str) -> None:
    with pytest.raises(ConfigError):
        check_revision(name, "tag")


def test_every_name_of_a_revisioned_istiod_has_the_revision_in_it() -> None:
    names = names_of("1-22-8")
    assert (names.release, names.workload) == ("istiod-1-22-8", "istiod-1-22-8")
    assert names.injector == "istio-sidecar-injector-1-22-8"
    assert names.validator == "istio-validator-1-22-8-istio-system"


def test_elsewhere_the_namespace_is_a_part_of_the_injectors_name() -> None:
    assert names_of("", "mesh").injector == "istio-sidecar-injector-mesh"
    assert names_of("1-22-8", "mesh").injector == "istio-sidecar-injector-1-22-8-mesh"
    assert names_of("").release == "istiod"


def test_a_revision_that_an_upgrade_in_place_left_its_name_is_told() -> None:
    found = kept_name("1-23-6", "1.24.6")
    assert found is not None
    assert found.message.startswith("Istio revision 1-23-6 keeps its name at Istio 1.24.6")
    assert "canary start" in found.hint
    for istio_revision, version in (
        ("1-24-6", "1.24.6"),
        ("", "1.24.6"),
        ("stable", "1.24.6"),
        ("1-24-6-x", "1.24.6-x"),
    ):
        assert kept_name(istio_revision, version) is None


@pytest.mark.parametrize("wanted", ["1.20.2", "1.21.0", "1.22.8"])
def test_a_canary_is_later_by_two_minors_at_most(wanted: str) -> None:
    assert check_canary("1.20.1", wanted) == ()


@pytest.mark.parametrize("wanted", ["1.20.1", "1.19.9", "1.23.0", "2.21.0"])
def test_any_other_version_is_refused(wanted: str) -> None:
    with pytest.raises(CheckError):
        refuse_failures(check_canary("1.20.1", wanted))


ENABLED = {"istio-injection": "enabled"}
NAMED = {"istio.io/rev": "1-22-8"}
TAGGED = {"istio.io/rev": "prod"}


@pytest.mark.parametrize(
    ("labels", "revision", "tags", "default", "led"),
    [
        (ENABLED, "", (), True, True),
        (ENABLED, "1-22-8", (), False, False),  # a revisioned istiod leaves it alone ...
        (ENABLED, "1-22-8", ("default",), True, True),  # ... until it is the default
        ({**ENABLED, **NAMED}, "1-22-8", (), False, False),  # istio-injection has precedence
        ({"istio-injection": "disabled"}, "", (), True, False),
        (NAMED, "1-22-8", (), False, True),
        (NAMED, "1-24-6", (), True, False),
        (TAGGED, "1-22-8", ("prod",), False, True),
        (TAGGED, "1-22-8", (), True, False),
        ({"istio.io/rev": "default"}, "", (), True, True),
        ({}, "", (), True, False),
    ],
)
def test_labels_lead_to_an_istiod(
    labels: dict[str, str], revision: str, tags: tuple[str, ...], *, default: bool, led: bool
) -> None:
    assert follows(labels, istio_revision=revision, tags=tags, default=default) is led
