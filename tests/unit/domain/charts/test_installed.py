from __future__ import annotations

import pytest

from nksmesh.domain.charts.installed import InstalledRelease, component_of


def release(*, status: str = "deployed", chart: str = "istiod", manifest: str = "name: istiod") -> InstalledRelease:
    return InstalledRelease(
        name="x", namespace="istio-system", helm_revision=1, status=status, chart=chart, chart_version="1.20.0",
        manifest=manifest,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("status", "deployed", "pending"),
    [
        ("deployed", True, False),
        ("failed", False, False),
        ("pending-install", False, True),
        ("pending-upgrade", False, True),
        ("pending-rollback", False, True),
        ("uninstalling", False, True),
        ("superseded", False, False),
    ],
)
def test_helms_words(status: str, *, deployed: bool, pending: bool) -> None:
    installed = release(status=status)
    assert (installed.deployed, installed.pending) == (deployed, pending)


@pytest.mark.parametrize(
    ("chart", "manifest", "component"),
    [
        ("base", "istio.io/rev: default", "base"),
        ("istiod", "name: istiod", "istiod"),
        ("gateway", 'sidecar.istio.io/inject: "true"', "gateway"),
        ("base", "name: somebody-elses-base", ""),
        ("gateway", "name: an-api-gateway-for-istio", ""),
        ("prometheus", "istio", ""),
    ],
)
def test_a_chart_is_known_by_its_name_and_what_it_installs(chart: str, manifest: str, component: str) -> None:
    assert component_of(release(chart=chart, manifest=manifest)) == component


def test_values_and_manifest_stay_out_of_a_printed_release() -> None:
    assert "name: istiod" not in repr(release())
