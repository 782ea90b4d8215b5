"""What ``demo`` 1.20.0 leaves, against the list that the NKS guide prints of istioctl's installation."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.cluster.program import ROOT, Program
from tests.cluster.reader import Reader, Ref

pytestmark = [pytest.mark.cluster, pytest.mark.conformance]

CREATED = re.compile(r"^([a-z]+)(?:\.([a-z0-9.]+))?/(\S+) created$", re.MULTILINE)
DERIVED = {"Pod", "ReplicaSet", "APIService", "Namespace"}
"""Kinds that controllers and the API server make of the others; the guide makes the namespace by itself."""

GATEWAYS = ("istio-ingressgateway", "istio-egressgateway")

ONLY_IN_THE_GUIDE = {
    # the gateway chart names them after the ServiceAccount, and cannot be told otherwise
    f"{kind}.rbac.authorization.k8s.io/{gateway}-sds"
    for kind in ("role", "rolebinding")
    for gateway in GATEWAYS
}
ONLY_OURS = {
    *(
        f"{kind}.rbac.authorization.k8s.io/{gateway}-service-account"
        for kind in ("role", "rolebinding")
        for gateway in GATEWAYS
    ),
    # `istioctl manifest generate` leaves it out, and `istioctl install` adds it after what the guide prints
    "validatingwebhookconfiguration.admissionregistration.k8s.io/istiod-default-validator",
}
LEFT_BY_ISTIOD = {"secret/istio-ca-secret", "configmap/istio-ca-root-cert"}
"""What istiod makes when it runs, whoever installed it."""


@pytest.fixture
def listed(real_charts: Path) -> set[str]:
    """Every object that the guide's installation prints as created, up to its first sample application."""
    guide = real_charts.parent / "guides" / "nks-istio-guide.ko.md"
    if not guide.is_file():
        pytest.skip("the NKS guide is not beside the folder of NKSMESH_TEST_CHARTS")
    lines = guide.read_text(encoding="utf-8").partition("service/details created")[0]
    return {f"{kind}{f'.{group}' if group else ''}/{name}" for kind, group, name in CREATED.findall(lines)}


def spoken(ref: Ref) -> str:
    """Name an object as kubectl does: kind, group and name."""
    group = ref.api_version.rpartition("/")[0]
    return f"{ref.kind.lower()}{f'.{group}' if group else ''}/{ref.name}"


def test_the_objects_of_demo_are_the_guides(listed: set[str], istio: Program, cluster: Reader) -> None:
    assert len(listed) == 44
    before = cluster.everything()
    istio("install", "--region", "kr1", "--version", "1.20.0", "--profile", "demo")
    made = {
        spoken(ref)
        for ref in set(cluster.everything()) - set(before)
        if ref.kind not in DERIVED
        and not ref.name.startswith(("sh.helm.release.", "nksmesh."))
        and (ref.kind, ref.name) not in {("ConfigMap", "kube-root-ca.crt"), ("ServiceAccount", "default")}
    } - LEFT_BY_ISTIOD
    assert listed - made == ONLY_IN_THE_GUIDE
    assert made - listed == ONLY_OURS


TYPED = re.compile(r"^ *(?:\$ (.+)|((?:helm|kubectl|tar|vi|iptables|istioctl) .+))$", re.MULTILINE)
"""A command in a block of a guide: behind a prompt, or one of the tools that the notes type without one."""


def test_every_command_of_the_guides_is_in_the_document(real_charts: Path) -> None:
    guides = sorted((real_charts.parent / "guides").glob("*.md"))
    if not guides:
        pytest.skip("the guides are not beside the folder of NKSMESH_TEST_CHARTS")
    document = (ROOT / "docs" / "guides.md").read_text(encoding="utf-8").replace("\\|", "|")
    blocks = [
        block
        for guide in guides
        for block in re.findall(r"^ *```.*?\n(.*?)^ *```", guide.read_text("utf-8"), re.DOTALL | re.MULTILINE)
    ]
    typed = {(prompted or bare).strip() for block in blocks for prompted, bare in TYPED.findall(block)}
    assert len(typed) > 70
    assert {line for line in typed if f"`{line}`" not in document} == set()
