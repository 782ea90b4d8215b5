"""Which pull secrets pods will be given, and what is said of those that do not exist."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from nksmesh.domain.charts.releases import Release
from nksmesh.domain.common.findings import Level
from nksmesh.domain.kube.objects import ObjectRef
from nksmesh.domain.plan.pull_secrets import missing_secrets, wanted_secrets
from tests.unit.domain.meshes import BASE, EDGE, HUB, INGRESS, ISTIOD, change

CNI = Release(component="cni", name="istio-cni", namespace="kube-system")


def account(*names: str, namespace: str = "") -> dict[str, Any]:
    metadata = {"name": "istiod", **({"namespace": namespace} if namespace else {})}
    return {"kind": "ServiceAccount", "metadata": metadata, "imagePullSecrets": [{"name": name} for name in names]}


def workload(*names: str, kind: str = "Deployment", namespace: str = "") -> dict[str, Any]:
    metadata = {"name": "x", **({"namespace": namespace} if namespace else {})}
    secrets = [{"name": name} for name in names]
    return {"kind": kind, "metadata": metadata, "spec": {"template": {"spec": {"imagePullSecrets": secrets}}}}


def secret(name: str, namespace: str) -> ObjectRef:
    return ObjectRef("v1", "Secret", name, namespace)


def test_they_are_read_from_accounts_and_pod_templates_where_those_will_be() -> None:
    changes = (
        change(BASE, manifests=[account("ncr")]),
        change(ISTIOD, manifests=[account("ncr"), workload()]),
        change(CNI, manifests=[workload("node", kind="DaemonSet")]),
        change(EDGE, manifests=[workload("own", kind="StatefulSet"), workload("other", namespace="elsewhere")]),
    )
    assert set(wanted_secrets(changes)) == {
        secret("ncr", ISTIOD.namespace),
        secret("node", "kube-system"),
        secret("own", "edge"),
        secret("other", "elsewhere"),
        secret("ncr", "edge"),  # the injector adds istiod's own
    }


def test_each_is_asked_for_once_and_one_that_a_release_makes_not_at_all() -> None:
    made = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "made"}}
    changes = (
        change(ISTIOD, manifests=[account("ncr", "made"), workload("ncr"), made]),
        change(INGRESS, manifests=[workload("ncr")]),
    )
    assert wanted_secrets(changes) == (secret("ncr", ISTIOD.namespace),)


def test_a_mesh_without_any_wants_none() -> None:
    changes = (change(ISTIOD, manifests=[account(), workload()]), change(INGRESS, manifests=[workload()]))
    assert wanted_secrets(changes) == ()
    nothing = {"kind": "ServiceAccount", "metadata": {"name": "x"}, "imagePullSecrets": None}
    assert wanted_secrets((change(ISTIOD, manifests=[nothing, {"kind": "CronJob", "metadata": {}}]),)) == ()


@pytest.mark.parametrize("hub", [HUB, HUB.partition("/")[0]])
def test_each_secret_that_is_missing_is_one_warning_with_its_commands(hub: str) -> None:
    missing = [secret("ncr", "istio-system"), secret("other", "edge"), secret("ncr", "edge")]
    ncr, other = missing_secrets(missing, hub, {"edge"})
    assert {ncr.level, other.level} == {Level.WARNING}
    assert "pull secret ncr does not exist in namespaces istio-system, edge:" in ncr.message
    assert "in namespace edge:" in other.message
    make = "kubectl create secret docker-registry {} -n {} --from-file=.dockerconfigjson"
    assert "docker login registry.example &&" in ncr.hint
    assert make.format("ncr", "istio-system") in ncr.hint
    assert f"kubectl create namespace edge && {make.format('ncr', 'edge')}" in ncr.hint
    assert "create namespace istio-system" not in ncr.hint
    assert "password" not in f"{ncr.hint}{other.hint}"


def test_a_gateway_release_of_its_own_namespace_gets_the_injectors() -> None:
    far = replace(EDGE, name="far", namespace="far")
    changes = (change(ISTIOD, manifests=[account("ncr")]), change(far, manifests=[workload()]))
    assert secret("ncr", "far") in wanted_secrets(changes)
