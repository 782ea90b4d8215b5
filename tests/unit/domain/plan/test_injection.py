"""Gateways that no injector serves, and validators that call nobody: found in the renders."""

from __future__ import annotations

from typing import Any

import pytest

from nksmesh.domain.common.findings import Level
from nksmesh.domain.plan.injection import Surrounding, check_injection
from tests.unit.domain.meshes import BASE, INGRESS, ISTIOD, change


def injector(revision: str = "default", tag: str = "") -> dict[str, Any]:
    labels = {"istio.io/rev": revision, **({"istio.io/tag": tag} if tag else {})}
    return {"kind": "MutatingWebhookConfiguration", "metadata": {"name": f"{revision}{tag}", "labels": labels}}


def gateway(revision: str = "") -> dict[str, Any]:
    labels = {"istio.io/rev": revision} if revision else {}
    template = {"metadata": {"labels": labels}, "spec": {"containers": []}}
    return {"kind": "DaemonSet", "metadata": {"name": INGRESS.name}, "spec": {"template": template}}


def around(**labels: str) -> Surrounding:
    return Surrounding(namespaces={INGRESS.namespace: {key.replace("_", "-"): one for key, one in labels.items()}})


SERVED = {
    "the default istiod": ([injector()], "", around()),
    "an istiod of the same revision": ([injector("1-20-0")], "1-20-0", around()),
    "a tag of that name": ([injector("1-20-0"), injector("1-20-0", "prod")], "prod", around()),
    "the tag default": ([injector("1-20-0"), injector("1-20-0", "default")], "", around()),
    "the namespace's label, before the pod's": ([injector()], "1-20-0", around(istio_injection="enabled")),
    "nothing to go by": ([], "1-20-0", around()),
}


@pytest.mark.parametrize(("injectors", "revision", "where"), SERVED.values(), ids=SERVED)
def test_a_gateway_is_served_by(injectors: list[dict[str, Any]], revision: str, where: Surrounding) -> None:
    changes = (change(ISTIOD, manifests=injectors), change(INGRESS, manifests=[gateway(revision)]))
    assert check_injection(changes, where) == ()


UNSERVED = {
    "a revision on istiod alone": ([injector("1-20-0")], "", "--set istio-ingressgateway:revision=1-20-0"),
    "a revision that nobody has": ([injector()], "1-20-0", "Or leave it out"),
}


@pytest.mark.parametrize(("injectors", "revision", "advice"), UNSERVED.values(), ids=UNSERVED)
def test_a_gateway_that_nobody_serves_is_a_failure(injectors: list[dict[str, Any]], revision: str, advice: str) -> None:
    changes = (change(ISTIOD, manifests=injectors), change(INGRESS, manifests=[gateway(revision)]))
    (finding,) = check_injection(changes, around())
    assert (finding.level, finding.subject) == (Level.FAILURE, INGRESS.name)
    assert "would get no proxy" in finding.message
    assert advice in finding.hint


def test_an_injector_that_the_cluster_has_serves_too() -> None:
    changes = (change(ISTIOD, manifests=[injector("1-20-0")]), change(INGRESS, manifests=[gateway()]))
    tag = injector("1-20-0", "default")
    assert check_injection(changes, Surrounding(injectors=[tag], namespaces={})) == ()


@pytest.mark.parametrize(("service", "found"), [("istiod", 0), ("istiod-1-20-0", 1)])
def test_a_validator_that_calls_nobody_is_a_warning(service: str, found: int) -> None:
    called = {"name": service, "namespace": ISTIOD.namespace}
    validator = {
        "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": "istiod-default-validator"},
        "webhooks": [{"clientConfig": {"service": called}}],
    }
    made = {"kind": "Service", "metadata": {"name": "istiod"}}
    findings = check_injection((change(BASE, manifests=[validator]), change(ISTIOD, manifests=[made])), around())
    assert [finding.level for finding in findings] == [Level.WARNING] * found
    elsewhere = Surrounding(services={(ISTIOD.namespace, service)}, namespaces={})
    assert check_injection((change(BASE, manifests=[validator]),), elsewhere) == ()
