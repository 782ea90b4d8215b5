"""What no API server changes is found while planning: nothing is written, and Istio's charts go over our examples."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from tests.cluster.program import Program
from tests.cluster.reader import Reader

pytestmark = pytest.mark.cluster

PREFIX = "Deployment istio-system/istiod cannot be changed to what the chart renders: spec.selector: "


@pytest.fixture
def other_selector(example_charts: Path, tmp_path: Path) -> str:
    """The example charts with another selector of istiod, and another validator in base."""
    folder = tmp_path / "other-charts"
    shutil.copytree(example_charts, folder)
    deployment = folder / "istiod" / "templates" / "deployment.yaml"
    text = deployment.read_text()
    assert text.count("      istio: pilot\n      {{- end }}\n  template") == 1
    deployment.write_text(
        text.replace(
            "      istio: pilot\n      {{- end }}\n  template", "      app: istiod\n      {{- end }}\n  template"
        )
    )
    account = folder / "base" / "templates" / "serviceaccount.yaml"
    account.write_text(account.read_text().replace("app: istio-reader", "app: another-reader"))
    return str(folder)


@pytest.mark.parametrize("driven", ["helm3", "helm4"])
def test_nothing_is_written_where_a_field_is_immutable(
    driven: str, mesh: Program, cluster: Reader, helm3: str, helm4: str, other_selector: str
) -> None:
    run = replace(mesh, helm={"helm3": helm3, "helm4": helm4}[driven])
    run("install", "--region", "kr1")
    written = cluster.helm_revisions()
    for command in (("plan",), ("install", "--dry-run"), ("install",)):
        refused = run(*command, charts=other_selector, code=7)
        assert refused.error["code"] == "check"
        assert refused.error["message"].startswith(PREFIX)
        assert "immutable" in refused.error["message"]
        assert "kubectl -n istio-system delete deployment istiod --cascade=orphan" in refused.error["hint"]
        assert cluster.helm_revisions() == written
    # a change of fields that may change is let through, and nothing is asked where nothing changes
    run("install", "--set", "istiod:pilot.traceSampling=7")
    assert run("plan", "--exit-code").changes == {}

    # the way on that the refusal names
    istiods = {pod["metadata"]["name"] for pod in cluster.pods("app=istiod")}
    deployments = "/apis/apps/v1/namespaces/istio-system/deployments"
    cluster.delete(f"{deployments}/istiod", propagationPolicy="Orphan")
    cluster.until(deployments, lambda found: all(one["metadata"]["name"] != "istiod" for one in found))
    assert {pod["metadata"]["name"] for pod in cluster.pods("app=istiod")} == istiods
    run("install", charts=other_selector)
    assert cluster.deployment("istiod")["spec"]["selector"]["matchLabels"] == {"app": "istiod"}
    assert run("plan", "--exit-code", charts=other_selector).changes == {}


def test_who_may_not_write_is_told_that_nothing_was_asked(mesh: Program, cluster: Reader, tmp_path: Path) -> None:
    mesh("install", "--region", "kr1")
    reader = {"apiVersion": "rbac.authorization.k8s.io/v1", "metadata": {"name": "reader"}}
    cluster.post("/api/v1/namespaces/default/serviceaccounts", {"metadata": {"name": "reader"}})
    rules = [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["get", "list", "watch"]}]
    cluster.post("/apis/rbac.authorization.k8s.io/v1/clusterroles", {**reader, "kind": "ClusterRole", "rules": rules})
    binding = {
        "kind": "ClusterRoleBinding",
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "reader"},
        "subjects": [{"kind": "ServiceAccount", "name": "reader", "namespace": "default"}],
    }
    cluster.post("/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", {**reader, **binding})
    asked = cluster.post("/api/v1/namespaces/default/serviceaccounts/reader/token", {"spec": {}})
    config = yaml.safe_load(mesh.kubeconfig.read_text())
    config["users"] = [{**user, "user": {"token": asked["status"]["token"]}} for user in config["users"]]
    (tmp_path / "reader.yaml").write_text(yaml.safe_dump(config))

    run = replace(mesh, kubeconfig=tmp_path / "reader.yaml")
    planned = run("plan", "--set", "istiod:pilot.traceSampling=7")
    assert planned.changes == {"istiod": "upgrade"}
    notes = [finding for finding in planned.data["findings"] if finding["subject"] == "Deployment istio-system/istiod"]
    assert [one["level"] for one in notes] == ["note"]
    assert "cannot patch resource" in notes[0]["message"]


@pytest.mark.parametrize("driven", ["helm3", "helm4"])
def test_istios_own_charts_go_over_the_example_charts(
    driven: str, mesh: Program, cluster: Reader, helm3: str, helm4: str, real_charts: Path
) -> None:
    run = replace(mesh, helm={"helm3": helm3, "helm4": helm4}[driven])
    run("install", "--region", "kr1", "--version", "1.20.0")
    before = cluster.deployment("istiod")["metadata"]["uid"]
    run("install", charts=str(real_charts))
    assert cluster.deployment("istiod")["metadata"]["uid"] == before
    assert run("status").data["ready"]
    assert run("plan", "--exit-code", charts=str(real_charts)).changes == {}
