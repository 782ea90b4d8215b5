"""Rules of Istio's add-ons: where they are, what they need, and who could use one that is exposed."""

from __future__ import annotations

from typing import Any

import pytest

from nksmesh.domain.addons.addons import (
    ADDONS,
    addons_of,
    check_exposable,
    check_kept_volumes,
    check_place,
    check_public,
    check_sources,
    exposing_service,
)
from nksmesh.domain.addons.dashboards import DASHBOARDS, dashboard_of
from nksmesh.domain.common.errors import CheckError, ConfigError
from nksmesh.domain.common.findings import refuse_failures
from nksmesh.domain.mesh.load_balancer import INTERNAL

KIALI = ADDONS["kiali"]
SERVICE: dict[str, Any] = {
    "metadata": {"name": "kiali"},
    "spec": {
        "selector": {"app": "kiali"},
        "ports": [{"name": "http", "port": 20001}, {"name": "metrics", "port": 9090}],
    },
}


def ids(findings: Any) -> list[str]:
    return [finding.id for finding in findings]


def test_every_dashboard_is_of_an_add_on_and_any_other_name_is_a_services() -> None:
    assert set(DASHBOARDS) <= set(ADDONS)
    assert dashboard_of("jaeger").service == "tracing"
    assert (dashboard_of("productpage").service, dashboard_of("productpage").path) == ("productpage", "/")
    assert ADDONS["loki"].service is None


def test_add_ons_are_known_by_name_each_once() -> None:
    assert addons_of(["kiali", "prometheus", "kiali"]) == (KIALI, ADDONS["prometheus"])
    with pytest.raises(ConfigError, match="zipkin is no add-on") as refused:
        addons_of(["kiali", "zipkin"])
    assert "prometheus, grafana, jaeger, loki, kiali" in refused.value.hint


def test_add_ons_are_in_istio_system_alone() -> None:
    assert not ids(check_place("", {}))
    assert not ids(check_place("istio-system", {}))
    assert ids(check_place("mesh", {})) == ["addons.other-namespace"]
    assert ids(check_place("", None)) == ["addons.missing-namespace"]
    assert ids(check_place("", {"metadata": {"deletionTimestamp": "2026-11-26"}})) == ["addons.ending-namespace"]


def test_a_kiali_without_prometheus_is_said() -> None:
    assert ids(check_sources(["kiali"], None)) == ["addons.no-prometheus"]
    assert not ids(check_sources(["kiali", "prometheus"], None))
    assert not ids(check_sources(["kiali"], {}))
    assert not ids(check_sources(["grafana"], None))


def test_volumes_that_stay_are_named() -> None:
    (found,) = check_kept_volumes(ADDONS["loki"], ["storage-loki-0", "storage-loki-1", "data-shop-0"])
    assert found.hint.endswith("kubectl delete pvc -n istio-system storage-loki-0 storage-loki-1.")
    assert not ids(check_kept_volumes(ADDONS["loki"], ["data-shop-0"]))
    assert not ids(check_kept_volumes(KIALI, ["storage-kiali-0"]))


@pytest.mark.parametrize(
    ("name", "settings", "env", "words"),
    [
        ("kiali", {"auth": {"strategy": "anonymous"}}, "", "auth.strategy is anonymous"),
        ("kiali", None, "", "does not say how people log in"),
        ("kiali", {"auth": {"strategy": "token"}}, "", ""),
        ("kiali", {}, "", ""),
        ("grafana", None, "true", "GF_AUTH_ANONYMOUS_ENABLED is true"),
        ("grafana", None, "false", ""),
        ("prometheus", None, "", "prometheus has no login at all"),
        ("jaeger", None, "", "jaeger has no login at all"),
    ],
)
def test_what_everyone_could_use_is_not_made_public(
    name: str, settings: dict[str, Any] | None, env: str, words: str
) -> None:
    box = {"env": [{"name": "GF_AUTH_ANONYMOUS_ENABLED", "value": env}]}
    workload = {"kind": "Deployment", "spec": {"template": {"spec": {"containers": [box]}}}}
    found = list(check_public(ADDONS[name], settings, workload))
    assert ids(found) == (["addons.open-to-everyone"] if words else [])
    if words:
        with pytest.raises(CheckError, match=words):
            refuse_failures(found)


def test_what_has_no_page_is_not_exposed() -> None:
    assert not ids(check_exposable(KIALI, SERVICE))
    assert ids(check_exposable(ADDONS["loki"], SERVICE)) == ["addons.no-page"]
    assert ids(check_exposable(KIALI, None)) == ["addons.no-service"]
    assert ids(check_exposable(KIALI, {"metadata": {"name": "kiali"}, "spec": {"ports": []}})) == ["addons.no-service"]


def test_a_load_balancer_is_internal_unless_public_is_asked_for() -> None:
    internal, public = (exposing_service(KIALI, SERVICE, public=public) for public in (False, True))
    assert internal["metadata"] == {
        "name": "kiali-load-balancer",
        "namespace": "istio-system",
        "labels": {"nksmesh.io/sample": "kiali"},
        "annotations": {INTERNAL: "true"},
    }
    assert internal["spec"] == {
        "type": "LoadBalancer",
        "selector": {"app": "kiali"},
        "ports": [{"name": "http", "protocol": "TCP", "port": 20001, "targetPort": 20001}],
    }
    assert "annotations" not in public["metadata"]
