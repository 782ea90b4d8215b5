"""Meshes that Argo CD, kubectl or an umbrella chart made: seen with their owner, refused, and left as they are."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import yaml

from tests.cluster.plain_helm import PlainHelm
from tests.cluster.program import Program
from tests.cluster.reader import Reader, Ref
from tests.conformance.istioctl import path_of

pytestmark = [pytest.mark.cluster, pytest.mark.conformance]

VERSION = "1.20.0"
SYSTEM = "istio-system"
KUBERNETES = ("--kube-version", "v1.28.15")


def applied(cluster: Reader, helm: PlainHelm, release: str, archive: Path, manager: str, *options: str) -> None:
    """``helm template | kubectl apply --server-side``, as Argo CD does it, too."""
    for one in helm.rendered_plainly(release, archive, *KUBERNETES, *options):
        cluster.apply(path_of(one), one, manager)


def umbrella(folder: Path, charts: Path) -> Path:
    """One chart that has Istio's three as its own: field/foreign-makers has it so."""
    chart = folder / "platform-mesh"
    (chart / "charts").mkdir(parents=True)
    names = {"base": {}, "istiod": {}, "gateway": {"alias": "edge"}}
    for name in names:
        shutil.copy(charts / f"{name}-{VERSION}.tgz", chart / "charts")
    dependencies = [{"name": name, "version": VERSION, "repository": "", **more} for name, more in names.items()]
    about = {"apiVersion": "v2", "name": "platform-mesh", "version": "3.2.1", "dependencies": dependencies}
    (chart / "Chart.yaml").write_text(yaml.safe_dump(about))
    values = {"istiod": {"pilot": {"autoscaleEnabled": False}}, "edge": {"name": "edge-gw"}}
    (chart / "values.yaml").write_text(yaml.safe_dump(values))
    return chart


def stands(cluster: Reader) -> None:
    """Wait until istiod runs, and has written all that it writes by itself."""
    cluster.until(
        f"/apis/apps/v1/namespaces/{SYSTEM}/deployments",
        lambda found: [one["status"].get("availableReplicas") for one in found] == [1],
        fieldSelector="metadata.name=istiod",
    )
    for where in ("default", SYSTEM):
        named = {"fieldSelector": "metadata.name=istio-ca-root-cert"}
        cluster.until(f"/api/v1/namespaces/{where}/configmaps", lambda found: len(found) == 1, **named)
    for kind in ("mutatingwebhookconfigurations", "validatingwebhookconfigurations"):
        cluster.until(
            f"/apis/admissionregistration.k8s.io/v1/{kind}",
            lambda found: all(hook["clientConfig"].get("caBundle") for one in found for hook in one["webhooks"]),
        )


def refused(istio: Program, cluster: Reader, owner: str, way: str) -> None:
    """What writes says what is there, whose it is and what can be done; nothing changes, and nobody is sent round."""
    words = f"Istio {VERSION} is installed in {SYSTEM} (Deployment istiod) and belongs to {owner}"
    before = settled(cluster)
    runs = (
        (("install", "--region", "kr1", "--version", VERSION), 4),
        (("upgrade", "--to", VERSION, "--region", "kr1"), 4),
        (("adopt", "--yes"), 2),
        (("adopt", "--from", "istioctl", "--yes"), 2),
    )
    for arguments, code in runs:
        error = istio(*arguments, code=code).error
        assert error["message"].startswith(words), arguments
        assert way in error["hint"], arguments
        assert "nksmesh adopt" not in error["hint"]
    status = istio("status", "--exit-code").data
    assert (status["installed"], status["recorded"], status["namespace"]) == (True, False, SYSTEM)
    (found,) = status["foreign"]
    assert (found["version"], found["ready"]) == (VERSION, True)
    assert way in found["way_on"]
    assert settled(cluster) == before


def settled(cluster: Reader) -> dict[Ref, str]:
    """Leave out pods: the gateway's come when the injector has its certificate."""
    return {ref: one for ref, one in cluster.everything().items() if ref.kind != "Pod"}


def test_a_mesh_of_argo_cd_and_kubectl(istio: Program, cluster: Reader, helm3: str, real_charts: Path) -> None:
    helm = PlainHelm(helm3, istio.kubeconfig)
    cluster.post("/api/v1/namespaces", {"metadata": {"name": SYSTEM}})
    applied(cluster, helm, "istio-base", real_charts / f"base-{VERSION}.tgz", "kubectl", "--include-crds")
    applied(cluster, helm, "istiod", real_charts / f"istiod-{VERSION}.tgz", "argocd-controller")
    stands(cluster)
    refused(istio, cluster, "Argo CD", "argocd app delete NAME")
    for arguments in (("status",), ("drift",), ("uninstall", "--yes")):
        shown = " ".join(istio(*arguments, output="").stdout.split())
        assert "belongs to Argo CD. nksmesh did not install it" in shown
        assert "No mesh" not in shown
    # what Argo CD tracks names its Application
    deployment = f"/apis/apps/v1/namespaces/{SYSTEM}/deployments/istiod"
    mark = {"argocd.argoproj.io/tracking-id": f"mesh:apps/Deployment:{SYSTEM}/istiod"}
    cluster.merge(deployment, {"metadata": {"annotations": mark}})
    assert "argocd app delete mesh" in istio("install", "--region", "kr1", code=4).error["hint"]


def test_a_mesh_of_an_umbrella_chart(
    istio: Program, cluster: Reader, helm3: str, helm4: str, real_charts: Path, tmp_path: Path
) -> None:
    chart = umbrella(tmp_path, real_charts)
    for program in (helm3, helm4):
        helm = PlainHelm(program, istio.kubeconfig)
        helm("install", "platform", str(chart), "--create-namespace")
        stands(cluster)
        owner = f"Helm release platform in {SYSTEM}, chart platform-mesh 3.2.1"
        refused(istio, cluster, owner, f"helm uninstall platform -n {SYSTEM}")
        assert json.loads(helm("list", "--output", "json"))[0]["revision"] == "1"
        helm("uninstall", "platform", "--wait")
