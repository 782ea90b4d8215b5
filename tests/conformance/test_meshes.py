"""Istio's real charts on a real control plane: installed, settled, found unchanged, and taken away without a trace."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.cluster.plain_helm import PlainHelm
from tests.cluster.program import Program
from tests.cluster.reader import Reader

pytestmark = [pytest.mark.cluster, pytest.mark.conformance]

KR1 = "dfe965c3-kr1-registry.container.nhncloud.com/container_service/istio"
OWN = "registry.example.com/mirror/istio"
OTHER = "registry.example.com/other/istio"
RECORD = "/api/v1/namespaces/kube-system/secrets/nksmesh.istio-system"
CHARTS = {
    "istio-base": "base",
    "istiod": "istiod",
    "istio-ingressgateway": "gateway",
    "istio-egressgateway": "gateway",
}
ON_CURRENT_KUBERNETES = [
    pytest.param(version, "1.34.4", marks=pytest.mark.kubernetes("1.34")) for version in ("1.28.10", "1.29.6", "1.30.2")
]


@pytest.mark.parametrize(("version", "driven"), [("1.20.0", "helm3"), ("1.20.0", "helm4"), ("1.28.10", "helm4")])
def test_a_change_and_then_none_and_helm_goes_on(
    version: str, driven: str, istio: Program, cluster: Reader, helm3: str, helm4: str
) -> None:
    first, other = (helm3, helm4) if driven == "helm3" else (helm4, helm3)
    istio = replace(istio, helm=first)
    said = ["--version", version, "--profile", "default"]
    too_new = version == "1.28.10"
    if too_new:
        before = cluster.everything()
        assert "1.28" in istio("install", "--hub", OWN, *said, code=7).error["message"]
        assert cluster.everything() == before
        said.append("--force-version")
    istio("install", "--hub", OWN, *said)
    moved = istio("install", "--hub", OTHER)
    assert moved.changes == {"istiod": "upgrade", "restart istio-ingressgateway": "restart"}
    assert cluster.images("istio=ingressgateway") == {f"{OTHER}/proxyv2:{version}"}

    standing = cluster.everything()
    # what was forced once is only warned of from then on
    again = istio("install", charts="")
    assert again.changes == {}
    assert ("an earlier run was given --force-version" in str(again.data["findings"])) is too_new
    assert cluster.everything() == standing
    cluster.delete(RECORD)
    assert istio("plan", "--hub", OTHER, *said, "--exit-code").changes == {}
    assert istio("install", "--hub", OTHER, *said).changes == {}

    revision = {"istio-base": 1, "istiod": 2, "istio-ingressgateway": 1}
    for program in (first, other):
        helm = PlainHelm(program, istio.kubeconfig)
        # istiod writes into the webhooks that Helm 4 applies server-side (istio #59367): its user must force that
        forced = ("--force-conflicts",) if driven == "helm4" and program == helm4 else ()
        for release, number in revision.items():
            archive = f"{istio.charts}/{CHARTS[release]}-{version}.tgz"
            helm("upgrade", release, archive, "--reuse-values", "--skip-crds", "--wait", *forced)
            helm("rollback", release, str(number), "--wait", *forced)
            revision[release] = number + 2
        assert set(helm.releases().values()) == {"deployed"}
        assert cluster.images("app=istiod") == {f"{OTHER}/pilot:{version}"}
        assert istio("drift", "--exit-code").data["drift"] == []
    assert istio("install").changes == {}


@pytest.mark.parametrize(
    ("version", "kubernetes"),
    [*((version, "1.28.15") for version in ("1.19.0", "1.20.0", "1.22.8", "1.24.6")), *ON_CURRENT_KUBERNETES],
)
def test_a_version_from_nothing_to_nothing(
    version: str, kubernetes: str, istio: Program, cluster: Reader, helm3: str, helm4: str
) -> None:
    before = cluster.everything()
    by_region = version in {"1.19.0", "1.20.0"}
    hub = KR1 if by_region else OWN
    said = ["--version", version, "--profile", "demo", *(("--region", "kr1") if by_region else ("--hub", OWN))]
    if not by_region:
        refused = istio("install", "--version", version, "--region", "kr1", code=7)
        assert "1.20.0" in str(refused.error)
    assert cluster.everything() == before

    ran = istio("install", *said)
    assert ran.data["proxy_image"] == f"{hub}/proxyv2:{version}"
    for gateway in ("ingressgateway", "egressgateway"):
        assert cluster.images(f"istio={gateway}") == {f"{hub}/proxyv2:{version}"}
    assert ran.data["addresses"]["istio-ingressgateway"]
    told = istio("status").data
    assert (told["ready"], told["images_outside_hub"]) == (True, [])
    assert {one["chart_version"] for one in told["releases"]} == {version}

    # what we leave is what Helm would leave
    for program in (helm3, helm4):
        helm = PlainHelm(program, istio.kubeconfig)
        assert helm.releases() == dict.fromkeys(CHARTS, "deployed")
        for release, chart in CHARTS.items():
            archive = f"{istio.charts}/{chart}-{version}.tgz"
            # istio #57354: Helm 4 refuses the gateway chart's own defaults
            lenient = ["--skip-schema-validation"] if program == helm4 and chart == "gateway" else []
            options = ("--kube-version", f"v{kubernetes}", *lenient)
            assert helm.manifest(release) == helm.rendered(release, archive, istio.folder, *options), release

    standing = cluster.everything()
    again = istio("install", charts="")
    assert again.changes == {}
    assert "--force-version" not in str(again.data["findings"])
    # nothing differs from what the releases say, and to look writes nothing
    looked = istio("drift", "--exit-code").data
    assert (looked["drift"], looked["not_looked_at"], looked["notes"]) == ([], [], [])
    assert cluster.everything() == standing
    # without a record too, where charts render otherwise on upgrade than on install
    cluster.delete(RECORD)
    assert istio("plan", "--exit-code", *said).changes == {}

    ended = istio("uninstall", "--purge", "--yes")
    assert ended.data["left"] == []
    assert set(cluster.everything()) == set(before)
