from __future__ import annotations

import json

import pytest

from nksmesh.domain.kube.objects import Manifest
from nksmesh.domain.plan.diff import diff_manifests, masked_value
from tests.unit.domain.manifests import read

SERVICE = read("{apiVersion: v1, kind: Service, metadata: {name: edge}, spec: {type: LoadBalancer}}")
CLUSTER_IP = read("{apiVersion: v1, kind: Service, metadata: {name: edge}, spec: {type: ClusterIP}}")
SECRET = read("{apiVersion: v1, kind: Secret, metadata: {name: key}, data: {password: c2VjcmV0}}")


TLS_KEY = "loadbalancer.nhncloud/listener-terminated-https-key"
PEM = "-----BEGIN EC PRIVATE KEY-----\nMHc\n-----END EC PRIVATE KEY-----\n"


def dump(manifest: Manifest) -> str:
    return json.dumps(manifest, indent=1, sort_keys=True)


def test_what_stays_the_same_is_left_out() -> None:
    assert diff_manifests([SERVICE, SECRET], [SECRET, SERVICE], "n", dump) == ()


def test_a_change_is_a_unified_diff_with_both_sides_named() -> None:
    (diff,) = diff_manifests([SERVICE], [CLUSTER_IP], "n", dump)
    assert (str(diff.ref), diff.change) == ("Service n/edge", "changed")
    assert diff.lines[:2] == ("--- Service n/edge (installed)", "+++ Service n/edge (planned)")
    assert '-  "type": "LoadBalancer"' in diff.lines
    assert '+  "type": "ClusterIP"' in diff.lines


def test_what_comes_and_what_goes() -> None:
    added, removed = diff_manifests([SERVICE], [SECRET], "n", dump)
    assert (str(added.ref), added.change) == ("Secret n/key", "added")
    assert (str(removed.ref), removed.change) == ("Service n/edge", "removed")
    assert not any(line.startswith("-") and not line.startswith("---") for line in added.lines)


def test_a_secrets_contents_are_never_shown_and_still_compared() -> None:
    other = {**SECRET, "data": {"password": "b3RoZXIgb25l"}, "stringData": {"token": "plain"}}
    (diff,) = diff_manifests([SECRET], [other], "n", dump)
    shown = "\n".join(diff.lines)
    assert "(hidden)" in shown
    assert not any(secret in shown for secret in ("c2VjcmV0", "b3RoZXIgb25l", "plain"))


def test_another_secret_of_the_same_length_is_a_change() -> None:
    rotated = {**SECRET, "data": {"password": "bmV3aXNo"}}
    (diff,) = diff_manifests([SECRET], [rotated], "n", dump)
    assert diff.change == "changed"
    assert '+  "password": "(hidden) 8 characters, others"' in diff.lines


def deployment(*variables: tuple[str, str]) -> Manifest:
    container = {"name": "discovery", "env": [{"name": name, "value": text} for name, text in variables]}
    spec = {"template": {"spec": {"containers": [container]}}}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "istiod"}, "spec": spec}


def test_a_containers_password_is_never_shown_and_still_compared() -> None:
    before = deployment(("DB_PASSWORD", "hunter22"), ("LEVEL", "info"))
    after = deployment(("DB_PASSWORD", "hunter33"), ("LEVEL", "all"))
    (diff,) = diff_manifests([before], [after], "n", dump)
    assert [line.split(": ")[1] for line in diff.lines if line.startswith("+") and "value" in line] == [
        '"(hidden) 8 characters, others"',
        '"all"',
    ]
    twice = deployment(("API_KEY", "hunter22"), ("API_KEY", "hunter33"))  # the last one counts, says Kubernetes
    (new,) = diff_manifests([], [twice], "n", dump)
    assert "hunter" not in "\n".join(new.lines)


def annotated(**annotations: str) -> Manifest:
    return {**SERVICE, "metadata": {"name": "edge", "annotations": annotations}}


def test_a_private_key_in_an_annotation_is_never_shown_and_still_compared() -> None:
    before = annotated(**{f"TCP-443.{TLS_KEY}": "hunter22", "mine": "shown"})
    (diff,) = diff_manifests([before], [annotated(**{f"TCP-443.{TLS_KEY}": "hunter33"})], "n", dump)
    shown = "\n".join(diff.lines)
    assert "hunter" not in shown
    assert "(hidden) 8 characters, others" in shown
    assert '"mine": "shown"' in shown
    (added,) = diff_manifests([SERVICE], [annotated(pem=PEM)], "n", dump)
    assert "MHc" not in "\n".join(added.lines)
    assert "(hidden)" in "\n".join(added.lines)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("apiKey", "hunter2"),
        ("API_TOKEN", "hunter2"),
        ("password", {"value": "x", "password": "hunter2"}),
        ("env", [{"name": "MY_PASSWORD", "value": "hunter2"}]),
        ("ca", f"{PEM}hunter2"),
        ("files", ["a", {"b": f"{PEM}hunter2"}]),
        ("annotations", {TLS_KEY: "hunter2", "mine": "shown"}),
        ("annotations", {f"TCP-443.{TLS_KEY}": "hunter2"}),
    ],
)
def test_a_values_secret_is_hidden(key: str, value: object) -> None:
    shown = json.dumps(masked_value(value, key))
    assert "hunter2" not in shown
    assert "(hidden)" in shown


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("secretName", "tls"),
        ("imagePullSecrets", ["key", {"name": "key"}]),
        ("token", {"aud": "istio-ca"}),
        ("secret", ""),
        ("secret", None),
        ("env", [{"name": "PILOT_X", "value": "1"}]),
        ("ca", "-----BEGIN CERTIFICATE-----"),
    ],
)
def test_what_is_no_secret_of_a_value_is_shown(key: str, value: object) -> None:
    assert masked_value(value, key) == value
