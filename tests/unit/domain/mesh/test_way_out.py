"""Clusters that are too new for all that their region provides, against the catalog that ships."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from nksmesh.adapters.files.catalog import load_catalog
from nksmesh.adapters.files.folders import ValuesFolders
from nksmesh.domain.common.errors import CheckError
from nksmesh.domain.common.findings import Finding, Level, refuse_failures
from nksmesh.domain.mesh.mesh import IstioVersion
from nksmesh.domain.mesh.versions import VersionQuestion, forgiven, newest_that_fits, preferred, supports
from nksmesh.domain.mesh.way_out import judge_version

CATALOG = load_catalog(ValuesFolders())
QUESTION = VersionQuestion(
    version="1.20.0", region=CATALOG.regions["kr1"], nks=CATALOG.nks, today=date(2026, 11, 25), kubernetes="v1.33.4"
)


def judged(question: VersionQuestion) -> tuple[Finding, ...]:
    return judge_version(question, CATALOG.versions)


@pytest.mark.parametrize("kubernetes", ["v1.25.1", "v1.28.3"])
def test_what_a_region_serves_is_silent(kubernetes: str) -> None:
    assert judged(replace(QUESTION, kubernetes=kubernetes)) == ()


def test_what_istio_supports_but_nks_does_not_list_is_a_warning() -> None:
    (finding,) = judged(replace(QUESTION, kubernetes="v1.29.3"))
    assert (finding.level, "does not list Kubernetes 1.29" in finding.message) == (Level.WARNING, True)


@pytest.mark.parametrize(
    ("cluster", "version", "following", "lowest"),
    [
        ("1.30", "1.28.10", "1.31", "1.24"),
        ("1.31", "1.29.6", "1.32", "1.25"),
        ("1.32", "1.30.2", "1.33", "1.26"),
        ("1.33", "1.30.2", "1.34", "1.28"),
        ("1.34", "1.30.2", "1.35", "1.29"),
        ("1.35", "1.30.2", "1.36", "1.30"),
    ],
)
@pytest.mark.parametrize("region", sorted(CATALOG.regions))
def test_a_cluster_too_new_for_its_region_gets_one_finding_with_the_way_out(
    region: str, cluster: str, version: str, following: str, lowest: str
) -> None:
    where = CATALOG.regions[region]
    (finding,) = judged(replace(QUESTION, kubernetes=f"v{cluster}.2", region=where))
    assert (finding.level, finding.subject) == (Level.FAILURE, region)
    assert finding.message == (
        f"Region {region} provides Istio up to 1.20.0, which runs on Kubernetes up to 1.29; this cluster runs {cluster}"
    )
    assert f"nksmesh images mirror --to HOST/REGISTRY/istio --version {version}." in finding.hint
    assert f"nksmesh install --hub HOST/REGISTRY/istio --version {version}." in finding.hint
    assert f"nksmesh install --hub HOST/CACHE/istio --version {version}." in finding.hint
    assert "pull_secrets" in finding.hint
    assert (
        f"The next Kubernetes, {following}, needs Istio {lowest} or later: upgrade Istio first, then Kubernetes."
        in finding.hint
    )


def test_the_newest_kubernetes_that_is_known_has_no_next_one() -> None:
    (finding,) = judged(replace(QUESTION, kubernetes="v1.36.0"))
    assert "--version 1.30.2" in finding.hint
    assert "The next Kubernetes" not in finding.hint


def test_a_kubernetes_that_no_known_istio_supports_sends_to_the_catalog() -> None:
    (finding,) = judged(replace(QUESTION, kubernetes="v1.37.0"))
    assert "No Istio known to nksmesh supports Kubernetes 1.37" in finding.hint
    assert "values/versions.yaml" in finding.hint
    assert "None" not in finding.hint


@pytest.mark.parametrize(
    ("cluster", "today", "told"),
    [
        ("1.33", date(2026, 11, 25), "NKS supports Kubernetes 1.33 until 2027-01-31 (as of 2026-11-25)."),
        ("1.33", date(2027, 3, 1), "NKS ended its support of Kubernetes 1.33 on 2027-01-31."),
        ("1.31", date(2026, 11, 25), "NKS planned to end its support of Kubernetes 1.31 on 2026-08-31"),
    ],
)
def test_the_end_of_nks_support_is_part_of_it(cluster: str, today: date, told: str) -> None:
    (finding,) = judged(replace(QUESTION, kubernetes=f"v{cluster}.0", today=today))
    assert told in finding.hint


@pytest.mark.parametrize("version", ["1.19.0", "1.30.2", "1.24.6"])
def test_no_version_leads_in_a_circle(version: str) -> None:
    (finding,) = judged(replace(QUESTION, version=version))
    assert "this cluster runs 1.33" in finding.message
    assert "--version 1.30.2" in finding.hint


def test_the_commands_are_those_of_the_command_that_asks() -> None:
    (finding,) = judged(replace(QUESTION, verb="upgrade"))
    assert "nksmesh upgrade --hub HOST/REGISTRY/istio --to 1.30.2." in finding.hint


def test_a_registry_of_ones_own_is_judged_by_istio_alone() -> None:
    assert judged(replace(QUESTION, own_hub=True, version="1.30.2")) == ()
    (finding,) = judged(replace(QUESTION, own_hub=True))
    assert finding.message == "Istio 1.20.0 does not support Kubernetes 1.33: 1.29 is the newest it supports"
    assert "1.30.2 does: pass --version 1.30.2, or --force-version" in finding.hint
    (older,) = judged(replace(QUESTION, own_hub=True, version="1.30.2", kubernetes="v1.28.3"))
    assert "1.24.6 does: pass --version 1.24.6" in older.hint


def test_a_version_of_the_region_that_does_fit_is_named() -> None:
    (finding,) = judged(replace(QUESTION, version="1.19.0", kubernetes="v1.29.3"))
    assert "1.20.0 does: pass --version 1.20.0" in finding.hint
    (missing,) = judged(replace(QUESTION, version="1.24.6", kubernetes="v1.28.3"))
    assert "nksmesh install --hub HOST/REGISTRY/istio --version 1.24.6" in missing.hint


def test_what_was_forced_before_stays_forced_in_the_very_words_it_is_recorded_in() -> None:
    before = forgiven(replace(QUESTION, version="1.24.6", forced=True), CATALOG.versions)
    assert before == (
        "the registry of region kr1 does not provide Istio 1.24.6",
        "Istio 1.24.6 does not support Kubernetes 1.33: 1.31 is the newest it supports",
    )
    again = judged(replace(QUESTION, version="1.24.6", forced_before=before))
    refuse_failures(again)
    assert [finding.level for finding in again] == [Level.WARNING, Level.WARNING]
    with pytest.raises(CheckError, match=r"Region kr1 provides Istio up to 1\.20\.0"):
        refuse_failures(judged(replace(QUESTION, version="1.24.6", forced_before=before[:1])))


def test_a_version_that_is_known_but_not_tested_is_a_warning_that_names_the_tested() -> None:
    (finding,) = judged(replace(QUESTION, own_hub=True, version="1.30.3"))
    assert (finding.level, finding.hint) == (Level.WARNING, "Of 1.30 it is tested with 1.30.2.")
    (untested,) = judged(replace(QUESTION, own_hub=True, version="1.27.9"))
    assert untested.level is Level.WARNING


@pytest.mark.parametrize(
    ("kubernetes", "version"),
    [
        ("1.24", ""),
        ("1.25", "1.20.1"),
        ("1.28", "1.24.6"),
        ("1.29", "1.27.9"),
        ("1.30", "1.28.10"),
        ("1.31", "1.29.6"),
        ("1.33", "1.30.2"),
        ("1.36", "1.30.2"),
        ("1.37", ""),
    ],
)
def test_the_newest_minor_that_supports_a_kubernetes_is_chosen(kubernetes: str, version: str) -> None:
    assert newest_that_fits(CATALOG.versions, kubernetes) == version
    entry = next((one for one in CATALOG.versions if version in one.versions), None)
    assert entry is None or supports(entry, kubernetes)


def test_of_a_minor_the_tested_version_is_preferred_where_it_can_be_had() -> None:
    entry = IstioVersion(
        minor="1.20",
        kubernetes_min="1.25",
        kubernetes_max="1.29",
        kubernetes_floor="1.25",
        versions=("1.20.0", "1.20.1", "1.20.10"),
        tested=("1.20.1",),
    )
    assert preferred(entry) == "1.20.1"
    assert preferred(entry, ("1.20.0", "1.20.10")) == "1.20.10"
    assert preferred(entry, ()) == ""
    assert preferred(replace(entry, tested=())) == "1.20.10"
