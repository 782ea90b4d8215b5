"""Which pull secrets pods will be given, and what is said of those that do not exist."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from typing import Any

import pytest

from nksmesh.domain.charts.releases import Release
from nksmesh.domain.common.findings import Level
from nksmesh.domain.images.login import Login, config_of, login_for, logins_of
from nksmesh.domain.images.reference import parse_reference
from nksmesh.domain.kube.objects import ObjectRef
from nksmesh.domain.plan.plan import Action, Need
from nksmesh.domain.plan.pull_secrets import (
    MADE_FOR,
    NewPullSecret,
    about_the_account,
    missing_secrets,
    pull_secret_step,
    wanted_secrets,
)
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
    assert "export DOCKER_CONFIG=$(mktemp -d) && docker login registry.example &&" in ncr.hint
    assert "$HOME/.docker" not in ncr.hint  # it may hold the logins of other registries
    assert make.format("ncr", "istio-system") in ncr.hint
    assert f"kubectl create namespace edge && {make.format('ncr', 'edge')}" in ncr.hint
    assert "create namespace istio-system" not in ncr.hint
    assert "password" not in f"{ncr.hint}{other.hint}"


def test_a_gateway_release_of_its_own_namespace_gets_the_injectors() -> None:
    far = replace(EDGE, name="far", namespace="far")
    changes = (change(ISTIOD, manifests=[account("ncr")]), change(far, manifests=[workload()]))
    assert secret("ncr", "far") in wanted_secrets(changes)


LOGIN = Login(source="NKSMESH_REGISTRY_USERNAME", username="puller", password="of the puller")  # noqa: S106 - nobody's
NEW = NewPullSecret(name="ncr", registry="registry.example", mesh=ISTIOD.namespace, login=LOGIN)


def test_one_that_does_not_exist_is_made_with_the_login() -> None:
    step = pull_secret_step(secret("ncr", "edge"), None, NEW, (Need("namespace edge"),))
    assert (step.name, step.action, step.needs) == (
        "pull secret ncr in edge",
        Action.CREATE,
        (Need("namespace edge"),),
    )
    assert step.reasons[1] == "account puller of registry.example, from NKSMESH_REGISTRY_USERNAME"
    config = json.loads(base64.b64decode(NEW.manifest["data"][".dockerconfigjson"]))
    assert login_for(parse_reference("registry.example/istio/pilot:1"), logins_of(config, "x")) == replace(
        LOGIN, source="x"
    )
    assert "of the puller" not in f"{step!r}{step.json_form()}"


@pytest.mark.parametrize(
    ("labels", "login", "action"),
    [
        ({MADE_FOR: "istio-system"}, LOGIN, Action.KEEP),
        ({MADE_FOR: "istio-system"}, replace(LOGIN, password="another"), Action.APPLY),  # noqa: S106 - nobody's
        ({}, replace(LOGIN, password="another"), Action.KEEP),  # noqa: S106 - nobody's
        ({MADE_FOR: "other-mesh"}, replace(LOGIN, password="another"), Action.KEEP),  # noqa: S106 - nobody's
    ],
)
def test_one_that_exists_is_renewed_only_where_nksmesh_made_it(
    labels: dict[str, str], login: Login, action: Action
) -> None:
    live = {**replace(NEW, login=login).manifest, "metadata": {"name": "ncr", "labels": labels}}
    assert pull_secret_step(secret("ncr", "edge"), live, NEW, ()).action is action


@pytest.mark.parametrize("data", [{}, {".dockerconfigjson": "no base64!"}, {".dockerconfigjson": "e30="}])
def test_one_of_ours_that_cannot_be_read_is_made_anew(data: dict[str, str]) -> None:
    live = {"metadata": {"labels": {MADE_FOR: "istio-system"}}, "data": data}
    assert pull_secret_step(secret("ncr", "edge"), live, NEW, ()).action is Action.APPLY


def test_docker_hub_has_its_own_key() -> None:
    (key,) = config_of("docker.io", LOGIN)["auths"]
    assert key == "https://index.docker.io/v1/"


def test_who_can_read_the_password_is_said_once() -> None:
    steps = [pull_secret_step(secret("ncr", f"n{number}"), None, NEW, ()) for number in range(5)]
    (found,) = about_the_account(steps)
    assert "Secrets in n0, n1, n2 and 2 more can read the password of account puller" in found.message
    kept = pull_secret_step(secret("ncr", "edge"), NEW.manifest, NEW, ())
    assert about_the_account([kept]) == ()
