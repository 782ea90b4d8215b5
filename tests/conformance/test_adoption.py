"""Meshes that somebody else made, taken on: by hand with Helm as the guides have it, and with istioctl."""

from __future__ import annotations

import signal
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

from tests.cluster.faults.runs import started
from tests.cluster.plain_helm import PlainHelm
from tests.cluster.program import Program
from tests.cluster.reader import Object, Reader, Ref
from tests.cluster.watch import witness_of
from tests.conformance.istioctl import MANAGER, Istioctl

pytestmark = [pytest.mark.cluster, pytest.mark.conformance]

KR1 = "dfe965c3-kr1-registry.container.nhncloud.com/container_service/istio"
OWN = "registry.example.com/mirror/istio"
GATEWAYS = ("istio-ingressgateway", "istio-egressgateway")
OWNED_BY_US = ("nksmesh.istio-system", "nksmesh")
FORMER = {MANAGER, "istioctl"}


def written_by_helm(one: Object) -> bool:
    return bool((one["metadata"].get("annotations") or {}).get("meta.helm.sh/release-name"))


def managers(one: Object) -> set[str]:
    return {str(entry["manager"]) for entry in one["metadata"].get("managedFields") or ()}


def not_ours(everything: dict[Ref, str]) -> dict[Ref, str]:
    """Leave out nksmesh's own record, history and lease."""
    return {ref: one for ref, one in everything.items() if not ref.name.startswith("nksmesh")}


def specs(cluster: Reader) -> dict[tuple[str, str], Object]:
    """For each object that Helm owns, what it wants, without what the server gives out."""
    found = {}
    for ref, one in cluster.objects():
        if written_by_helm(one) and ref.kind in {"Deployment", "Service", "ServiceAccount", "ConfigMap", "Role"}:
            spec = {key: value for key, value in one.get("spec", {}).items() if not key.startswith("clusterIP")}
            spec["ports"] = [
                {key: value for key, value in port.items() if key != "nodePort"} for port in spec.get("ports") or ()
            ]
            kept = {key: one["metadata"].get(key) for key in ("labels", "annotations")}
            (kept["annotations"] or {}).pop("deployment.kubernetes.io/revision", None)
            found[ref.kind, ref.name] = {**kept, "spec": spec, "data": one.get("data")}
    return found


def made_by_hand(helm: PlainHelm, charts: Path, folder: Path, version: str) -> None:
    """Follow the Helm notes: unpack, edit the images in values.yaml, install under the notes' names."""
    for chart in ("base", "istiod", "gateway"):
        with tarfile.open(charts / f"{chart}-{version}.tgz") as archive:
            archive.extractall(folder, filter="data")
    values = folder / "istiod" / "values.yaml"
    text = values.read_text().replace("hub: docker.io/istio", f"hub: {OWN}")
    values.write_text(text.replace("image: proxyv2", f"image: {OWN}/proxyv2:{version}"))
    for release, chart in (("istio-base", "base"), ("istio", "istiod"), ("istio-ingress", "gateway")):
        wait = ["--wait"] if chart != "base" else ["--create-namespace"]
        helm("install", release, str(folder / chart), "-f", str(folder / chart / "values.yaml"), *wait)


def test_releases_made_by_hand_as_the_notes_have_it(
    istio: Program, cluster: Reader, helm3: str, real_charts: Path, tmp_path: Path
) -> None:
    helm = PlainHelm(helm3, istio.kubeconfig)
    made_by_hand(helm, real_charts, tmp_path, "1.20.1")
    istio("init", "meshes")
    before, stored = cluster.everything(), cluster.helm_revisions()
    described = istio("adopt", "--dry-run").data
    assert cluster.everything() == before
    assert {release["name"]: release["component"] for release in described["releases"]} == {
        "istio-base": "base",
        "istio": "istiod",
        "istio-ingress": "gateway",
    }
    # of a whole copied values.yaml nothing is kept: the rest is the charts', and the hub and the tag are our layers'
    assert all(
        release["copied"] > 0 and not release["kept"] and not release["pins"] for release in described["releases"]
    )
    assert (described["version"], described["hub"], described["warnings"]) == ("1.20.1", OWN, [])

    adopted = istio("adopt", "--yes", "--dir", "meshes", "--write-env", "prod").data
    assert adopted["files"] == ["values/environments/prod/mesh.yaml"]
    assert not_ours(cluster.everything()) == not_ours(before)
    assert cluster.helm_revisions() == stored
    assert istio("plan", "--exit-code").changes == {}
    assert istio("plan", "--exit-code", "--dir", "meshes", "-e", "prod").changes == {}
    assert istio("drift", "--exit-code").data["drift"] == []
    assert "does not overwrite it" in istio("adopt", "--dir", "meshes", "--write-env", "prod", code=2).error["message"]

    # everything else goes on with these names: nothing pins the old version
    assert istio("upgrade", "--to", "1.21.6").data
    assert cluster.images("app=istio-ingress") == {f"{OWN}/proxyv2:1.21.6"}
    istio("rollback", "--yes")
    assert cluster.images("app=istio-ingress") == {f"{OWN}/proxyv2:1.20.1"}
    assert istio("plan", "--exit-code").changes == {}
    assert [release["name"] for release in istio("status").data["releases"]] == ["istio-base", "istio", "istio-ingress"]
    assert istio("uninstall", "--yes").data["removed"] == [
        "release istio-ingress",
        "release istio",
        "release istio-base",
    ]
    assert helm.releases() == {}


def test_a_demo_mesh_of_istioctl(istio: Program, cluster: Reader, helm3: str, real_charts: Path) -> None:
    helm = PlainHelm(helm3, istio.kubeconfig)
    mesh = Istioctl(cluster=cluster, helm=helm, charts=real_charts, version="1.20.0", profile="demo", hub=KR1)
    mesh.install()
    before = cluster.everything()
    assert "istioctl" in istio("install", "--region", "kr1", "--profile", "demo", code=4).error["hint"]
    shown = istio("adopt", "--from", "istioctl", "--dry-run").data
    assert cluster.everything() == before
    owners = {one["object"]: one for one in shown["objects"]}
    gateway = owners["Deployment istio-system/istio-ingressgateway"]
    assert (gateway["owner"], gateway["managers"], gateway["replaces_pods"]) == ("istioctl", [MANAGER], True)
    assert "spec.template.spec.containers.istio-proxy.args" in gateway["changes"]
    assert not owners["Deployment istio-system/istiod"]["replaces_pods"]
    assert (shown["profile"], shown["region"], shown["version"]) == ("demo", "kr1", "1.20.0")
    # the profile is no setting of anybody's
    assert (shown["kept"], shown["carried"], shown["left"], shown["warnings"]) == ([], {}, {}, [])
    orphans = {f"{kind} istio-system/{name}-sds" for kind in ("Role", "RoleBinding") for name in GATEWAYS}
    orphans.add("IstioOperator istio-system/installed-state")
    assert set(shown["orphans"]) == orphans

    services = {name: cluster.service(name) for name in GATEWAYS}
    authority = cluster.get("/api/v1/namespaces/istio-system/secrets/istio-ca-secret")
    istiods = {pod["metadata"]["uid"] for pod in cluster.pods("app=istiod")}
    with witness_of(istio.kubeconfig, "app=istio-ingressgateway") as seen:
        istio("adopt", "--from", "istioctl", "--yes")
    assert min(seen.counts) > 0, seen.counts
    assert len(seen.names) > 1
    for name, service in services.items():
        now = cluster.service(name)
        assert (now["metadata"]["uid"], now["spec"], now["status"]) == (
            service["metadata"]["uid"],
            service["spec"],
            service["status"],
        )
    assert cluster.get("/api/v1/namespaces/istio-system/secrets/istio-ca-secret") == authority
    assert {pod["metadata"]["uid"] for pod in cluster.pods("app=istiod")} == istiods
    assert cluster.images("istio=ingressgateway") == {f"{KR1}/proxyv2:1.20.0"}

    # what is left is Helm's, and nobody else's
    assert helm.releases() == dict.fromkeys(("istio-base", "istiod", *GATEWAYS), "deployed")
    left = {f"{ref.kind} {ref.namespace}/{ref.name}" for ref, one in cluster.objects() if managers(one) & FORMER}
    assert left == orphans
    for release, chart in {"istio-base": "base", "istiod": "istiod", **dict.fromkeys(GATEWAYS, "gateway")}.items():
        archive = f"{istio.charts}/{chart}-1.20.0.tgz"
        assert helm.manifest(release) == helm.rendered(release, archive, istio.folder, "--kube-version", "v1.28.15")
    assert istio("plan", "--exit-code", "--region", "kr1", "--profile", "demo").changes == {}
    assert istio("drift", "--exit-code").data["drift"] == []
    pruned = istio("adopt", "--from", "istioctl", "--yes", "--prune").data
    assert set(pruned["removed"]) == orphans
    assert not [ref for ref, one in cluster.objects() if managers(one) & FORMER]
    assert (pruned["changes"], pruned["objects"]) == (False, [])

    # as a fresh install would have it
    adopted = specs(cluster)
    istio("uninstall", "--yes", "--purge")
    istio("install", "--region", "kr1", "--profile", "demo", "--version", "1.20.0")
    assert adopted == specs(cluster)


TOLD = {
    "meshConfig": {"accessLogFile": "/dev/stdout"},
    "components": {
        "pilot": {
            "k8s": {
                "resources": {"requests": {"cpu": "300m"}},
                "tolerations": [{"key": "infra", "operator": "Exists"}],
                "overlays": [{"kind": "Deployment", "name": "istiod", "patches": []}],
            }
        },
        "ingressGateways": [
            {
                "name": "istio-ingressgateway",
                "enabled": True,
                "label": {"team": "net"},  # istioctl selects the pods by it, too
                "k8s": {
                    "env": [{"name": "ISTIO_META_TOLD", "value": "x"}],
                    "hpaSpec": {"minReplicas": 1, "maxReplicas": 3},
                    "resources": {"limits": {"cpu": "1500m"}},
                },
            }
        ],
    },
    "values": {"global": {"proxy": {"logLevel": "info"}}},
}
SETS = "meshConfig.accessLogFile=/dev/stdout,pilot.resources.requests.cpu=300m,global.proxy.logLevel=info,"
SETS += "pilot.tolerations[0].key=infra,pilot.tolerations[0].operator=Exists"
BESIDE = {
    "meshConfig": {"accessLogEncoding": "JSON"},
    "components": {
        "ingressGateways": [
            {
                "name": "team-gateway",
                "namespace": "edge",
                "enabled": True,
                "k8s": {"hpaSpec": {"minReplicas": 2, "maxReplicas": 4}, "overlays": [{"kind": "Service"}]},
            }
        ]
    },
}
KEYS = {
    "istiod": [
        "global.proxy.logLevel",
        "meshConfig.accessLogFile",
        "pilot.resources.requests.cpu",
        "pilot.tolerations",
    ],
    "istio-ingressgateway": ["autoscaling.maxReplicas", "env.ISTIO_META_TOLD", "labels.team", "resources.limits.cpu"],
    "team-gateway": ["autoscaling.maxReplicas", "autoscaling.minReplicas"],
}
LEFT = [
    "components.pilot.k8s.overlays",
    "IstioOperator installed-state-team: meshConfig.accessLogEncoding",
    "IstioOperator installed-state-team: components.ingressGateways.team-gateway.k8s.overlays",
]
MOMENTS = ("CRDs: started", "istiod: started", "istio-ingressgateway: started")


def scaling(cluster: Reader) -> tuple[str, Object]:
    """Read the second IstioOperator's HorizontalPodAutoscaler: which one it is, and what it wants."""
    found = cluster.get("/apis/autoscaling/v2/namespaces/edge/horizontalpodautoscalers/team-gateway")
    assert (found["spec"]["minReplicas"], found["spec"]["maxReplicas"]) == (2, 4)
    return found["metadata"]["uid"], found["spec"]


def test_a_default_mesh_of_istioctl_taken_over_in_spite_of_kills(
    istio: Program, cluster: Reader, helm3: str, helm4: str, real_charts: Path
) -> None:
    helm = PlainHelm(helm3, istio.kubeconfig)
    mesh = Istioctl(
        cluster=cluster,
        helm=helm,
        charts=real_charts,
        version="1.19.0",
        profile="default",
        hub=OWN,
        told=TOLD,
        sets=SETS,
        beside=BESIDE,
    )
    mesh.install()
    istiods = {pod["metadata"]["uid"] for pod in cluster.pods("app=istiod")}
    service = cluster.service("istio-ingressgateway")
    gateway = "/apis/apps/v1/namespaces/istio-system/deployments/istio-ingressgateway"
    cluster.merge(gateway, {"spec": {"replicas": 2}})
    cluster.until(
        "/apis/apps/v1/namespaces/istio-system/deployments",
        lambda found: [one["status"].get("availableReplicas") for one in found] == [2],
        fieldSelector="metadata.name=istio-ingressgateway",
    )
    scaled = scaling(cluster)
    adopt = replace(istio, helm=helm4)
    arguments = ("adopt", "--from", "istioctl", "--prune", "--yes")
    shown = adopt("adopt", "--from", "istioctl", "--dry-run").data
    assert shown["carried"] == KEYS
    assert list(shown["left"]) == LEFT
    assert [one["object"] for one in shown["objects"] if one["made_anew"]] == [
        "Deployment istio-system/istio-ingressgateway"
    ]
    with witness_of(istio.kubeconfig, "app=istio-ingressgateway") as seen:
        for moment in MOMENTS:
            with started(adopt, *arguments) as run:
                run.until(moment)
                run.send(signal.SIGKILL)
                run.process.wait()
        ran = adopt(*arguments)
    # the Deployment is another one, and its pods were never fewer; the first count is of the first of the two alone
    assert min(seen.counts[1:]) > 1, seen.counts
    assert ran.data["hub"] == OWN
    now = cluster.service("istio-ingressgateway")
    selector = {"app": "istio-ingressgateway", "istio": "ingressgateway"}
    assert (now["metadata"]["uid"], now["spec"], now["status"]) == (
        service["metadata"]["uid"],
        {**service["spec"], "selector": selector},
        service["status"],
    )
    deployment = cluster.deployment("istio-ingressgateway")
    assert deployment["spec"]["selector"] == {"matchLabels": selector}
    sets = cluster.get("/apis/apps/v1/namespaces/istio-system/replicasets")["items"]
    owners = {
        str(one["metadata"]["ownerReferences"]) for one in sets if one["metadata"]["labels"]["app"] == selector["app"]
    }
    assert len(owners) == 1
    assert {pod["metadata"]["labels"]["team"] for pod in cluster.pods("istio=ingressgateway")} == {"net"}
    ports = {port["name"]: port["targetPort"] for port in now["spec"]["ports"]}
    assert ports == {"status-port": 15021, "http2": 8080, "https": 8443}  # as its clients, and the old pods, have it
    assert helm.releases() == dict.fromkeys(("istio-base", "istiod", "istio-ingressgateway"), "deployed")
    assert not [ref for ref, one in cluster.objects() if managers(one) & FORMER]
    template = cluster.deployment("istio-ingressgateway")["spec"]["template"]["spec"]
    assert [(container["image"], container.get("args")) for container in template["containers"]] == [("auto", None)]
    # what istioctl was told holds on: istiod is what it was, and its gateway is as it was to be
    assert {pod["metadata"]["uid"] for pod in cluster.pods("app=istiod")} == istiods
    (proxy,) = template["containers"]
    assert (proxy["resources"]["limits"]["cpu"], proxy["env"]) == ("1500m", [{"name": "ISTIO_META_TOLD", "value": "x"}])
    assert cluster.deployment("istiod")["spec"]["template"]["spec"]["tolerations"] == [
        {"key": "infra", "operator": "Exists"}
    ]
    assert scaling(cluster) == scaled
    stored = cluster.helm_release("istiod", 1)["config"]
    assert (stored["meshConfig"], stored["global"]["proxy"]["logLevel"]) == ({"accessLogFile": "/dev/stdout"}, "info")
    assert adopt("plan", "--exit-code").changes == {}
    assert istio("history").data["runs"][0]["command"] == "adopt"
    assert "adopt" in str(istio("rollback", "--yes", code=2).error)
