"""What we leave is what Helm would leave: Helm 3 and Helm 4 read it, and go on with it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.cluster.plain_helm import PlainHelm
from tests.cluster.program import Program
from tests.cluster.reader import Reader

pytestmark = pytest.mark.cluster

CHARTS = {"istio-base": "base", "istiod": "istiod", "istio-ingressgateway": "gateway"}


@pytest.mark.parametrize("driven", ["helm3", "helm4"])
def test_plain_helm_goes_on_with_our_releases(
    driven: str, mesh: Program, cluster: Reader, helm3: str, helm4: str, example_charts: Path
) -> None:
    run = replace(mesh, helm={"helm3": helm3, "helm4": helm4}[driven])
    run("install", "--region", "kr1")
    deployed = dict.fromkeys(CHARTS, "deployed")
    either = {name: PlainHelm(program, mesh.kubeconfig) for name, program in (("3", helm3), ("4", helm4))}
    for helm in either.values():
        assert helm.releases() == deployed
        for release, chart in CHARTS.items():
            rendered = helm.rendered(release, example_charts / chart, mesh.folder)
            assert helm.manifest(release) == rendered, release
            assert len(rendered) > 1

    number = 1
    for name, helm in either.items():
        for release, chart in CHARTS.items():
            helm("upgrade", release, str(example_charts / chart), "--reuse-values", "--skip-crds", "--wait")
            helm("rollback", release, str(number), "--wait")
        number += 2
        assert helm.releases() == deployed, name
        assert cluster.helm_release("istiod", number)["info"]["status"] == "deployed"

    # Helm wrote, and nothing differs: nothing is to be done
    assert run("plan", "--exit-code").changes == {}
    assert run("install").changes == {}
    # Helm wrote something else: our word is put back, and said so
    either["3"](
        "upgrade", "istiod", str(example_charts / "istiod"), "--reuse-values", "--set", "pilot.traceSampling=42"
    )
    planned = run("plan", "--exit-code", code=10)
    assert planned.changes == {"istiod": "upgrade"}
    assert "pilot.traceSampling" in planned.reasons["istiod"][0]
    run("install")
    assert "pilot" not in cluster.helm_release("istiod", number + 2)["config"]
    assert run("plan", "--exit-code").changes == {}


def test_another_major_of_helm_drives_on(mesh: Program, cluster: Reader, helm3: str, helm4: str) -> None:
    on_three, on_four = replace(mesh, helm=helm3), replace(mesh, helm=helm4)

    def annotations() -> dict[str, str]:
        template = cluster.deployment("istio-ingressgateway")["spec"]["template"]
        return dict(template["metadata"]["annotations"])

    on_three("install", "--region", "kr1", "--set", "gateway:podAnnotations.one=yes-1")
    assert on_four("plan", "--exit-code").changes == {}
    # each takes over from the other what it does not want any more, too
    changed = on_four("install", "--region", "kr2", "--set", "gateway:podAnnotations.two=yes-2")
    assert {"istiod", "istio-ingressgateway"} <= set(changed.changes)
    assert "one" not in annotations()
    assert annotations()["two"] == "yes-2"
    on_three("install", "--region", "kr1", "--set", "gateway:podAnnotations.three=yes-3")
    assert "two" not in annotations()
    assert annotations()["three"] == "yes-3"
    hub = "dfe965c3-kr1-registry.container.nhncloud.com/container_service/istio"
    assert cluster.images("app=istiod") == {f"{hub}/pilot:1.20.0"}
    assert cluster.images("istio=ingressgateway") == {f"{hub}/proxyv2:1.20.0"}
    assert cluster.helm_release("istiod", 3)["info"]["status"] == "deployed"
