"""What a canary is resolved from, and how it is named."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nksmesh.commands.canary.start import check_canary_revision, check_own_revision, settings_of_canary
from nksmesh.domain.common.errors import ConfigError
from nksmesh.domain.common.findings import refuse_failures
from nksmesh.domain.mesh.mesh import DeployedRevisions
from nksmesh.domain.mesh.record import check_no_canary
from tests.unit.domain.meshes import BASE, ISTIOD
from tests.unit.fakes.canaries import canary, kept, record


def test_a_canarys_values_are_the_meshs_own() -> None:
    before = record(default_revision="1-20-1", tags=("prod",))
    before = replace(before, settings=replace(before.settings, layers={"istiod": (), "istio-base": ()}))
    settings = settings_of_canary(before, "1.22.8")
    assert sorted(settings.layers) == ["istio-base", "istiod-1-22-8"]
    # the validator stays with the old istiod, and so do its tags
    assert settings.revisions == DeployedRevisions(istio_revision="1-22-8", default_revision="1-20-1")


def test_a_canary_is_not_named_as_the_meshs_own_istiod() -> None:
    with pytest.raises(ConfigError, match="is already named 1-22-8") as refused:
        refuse_failures(check_canary_revision(record(istio_revision="1-22-8").settings, "1.22.8"))
    assert "upgrade --to 1.22.8" in refused.value.hint


def test_values_that_name_the_istio_revision_would_name_the_canary_too() -> None:
    mesh = record()
    named = replace(kept(ISTIOD), release=replace(ISTIOD, istio_revision="stable"))
    (found,) = check_own_revision(replace(mesh, releases=(kept(BASE), named)))
    assert found.id == "canary.revision-in-values"
    assert "Istio revision to stable" in found.message
    assert check_own_revision(mesh) == ()


def test_a_canary_is_not_named_as_a_tag() -> None:
    with pytest.raises(ConfigError, match="already a revision tag") as refused:
        refuse_failures(check_canary_revision(record(tags=("1-22-8",)).settings, "1.22.8"))
    assert refused.value.hint == "Run nksmesh tag remove 1-22-8 first."


@pytest.mark.parametrize(("promoting", "words"), [(False, "a canary is installed"), (True, "is being promoted")])
def test_install_and_upgrade_leave_a_canary_alone(*, promoting: bool, words: str) -> None:
    with pytest.raises(ConfigError, match=words) as refused:
        refuse_failures(check_no_canary(record(canary(promoting=promoting))))
    assert "canary abort" in refused.value.hint
    assert check_no_canary(record()) == ()
    assert check_no_canary(None) == ()
