"""Applications of a mesh on a real API server: injection, and the gateway's address."""

from __future__ import annotations

import pytest

from tests.cluster.program import Program
from tests.cluster.reader import Object, Reader
from tests.loopback import QuietHandler, serving

pytestmark = pytest.mark.cluster

PROXY = "dfe965c3-kr1-registry.container.nhncloud.com/container_service/istio/proxyv2:1.20.0"
GATEWAY = "istio-ingressgateway"
SERVICE = f"/api/v1/namespaces/istio-system/services/{GATEWAY}"


SAMPLE = {
    "platform/kube/bookinfo.yaml": """
apiVersion: v1
kind: Service
metadata: {name: ratings, labels: {app: ratings, service: ratings}}
spec: {ports: [{port: 9080, name: http}], selector: {app: ratings}}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: bookinfo-ratings, labels: {account: ratings}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: ratings-v1, labels: {app: ratings, version: v1}}
spec:
  replicas: 1
  selector: {matchLabels: {app: ratings, version: v1}}
  template:
    metadata: {labels: {app: ratings, version: v1}}
    spec:
      serviceAccountName: bookinfo-ratings
      containers:
      - name: ratings
        image: docker.io/istio/examples-bookinfo-ratings-v1:1.18.0
        imagePullPolicy: IfNotPresent
        ports: [{containerPort: 9080}]
""",
    "networking/bookinfo-gateway.yaml": """
apiVersion: networking.istio.io/v1alpha3
kind: Gateway
metadata: {name: bookinfo-gateway}
spec:
  selector: {istio: ingressgateway}
  servers: [{port: {number: 8080, name: http, protocol: HTTP}, hosts: ["*"]}]
---
apiVersion: networking.istio.io/v1alpha3
kind: VirtualService
metadata: {name: bookinfo}
spec:
  hosts: ["*"]
  gateways: [bookinfo-gateway]
  http: [{match: [{uri: {exact: /productpage}}], route: [{destination: {host: productpage, port: {number: 9080}}}]}]
""",
}


class Page(QuietHandler):
    """Answers with a title."""

    def do_GET(self) -> None:
        text = b"<title>Simple Bookstore App</title>"
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)


def deploy(cluster: Reader, name: str, replicas: int = 1, **spec: object) -> None:
    """Create a Deployment in the namespace shop, and wait until its pods run."""
    template = {
        "metadata": {"labels": {"app": name}},
        "spec": {"containers": [{"name": "app", "image": "example/app:1"}], **spec},
    }
    selector = {"matchLabels": {"app": name}}
    body = {"metadata": {"name": name}, "spec": {"replicas": replicas, "selector": selector, "template": template}}
    cluster.post("/apis/apps/v1/namespaces/shop/deployments", body)
    cluster.until(
        "/apis/apps/v1/namespaces/shop/deployments",
        lambda found: bool(found) and found[0].get("status", {}).get("availableReplicas") == replicas,
        fieldSelector=f"metadata.name={name}",
    )


def workloads(data: Object) -> dict[str, tuple[str, str]]:
    (namespace,) = data["namespaces"]
    return {entry["name"]: (entry["state"], entry["rule"]) for entry in namespace["workloads"]}


def labels(cluster: Reader) -> dict[str, str]:
    found = cluster.get("/api/v1/namespaces/shop")["metadata"]["labels"]
    return {key: text for key, text in found.items() if "istio" in key}


def test_a_namespace_is_injected_restarted_and_let_go(mesh: Program, cluster: Reader) -> None:
    mesh("install", "--region", "kr1")
    cluster.post("/api/v1/namespaces", {"metadata": {"name": "shop", "labels": {"istio.io/rev": "1-19-0"}}})
    cluster.until("/api/v1/namespaces/shop/serviceaccounts", bool, fieldSelector="metadata.name=default")
    deploy(cluster, "cart", 2)
    deploy(cluster, "node", hostNetwork=True)

    before = mesh("inject", "status", "shop", "--exit-code", code=7)
    assert workloads(before.data) == {
        "cart": ("not injected", "inject.no-istiod"),
        "node": ("not injected", "inject.no-istiod"),
    }
    assert {finding["id"] for finding in before.data["findings"]} == {"namespaces.injection-labels", "inject.no-istiod"}

    asked = mesh("inject", "enable", "shop", code=2)
    assert asked.error["message"].startswith("cannot ask for confirmation without a terminal")
    assert labels(cluster) == {"istio.io/rev": "1-19-0"}
    enabled = mesh("inject", "enable", "shop", "--yes")
    assert (enabled.data["moved"], enabled.data["waiting"]) == (["shop"], ["Deployment shop/cart"])
    assert labels(cluster) == {"istio-injection": "enabled"}
    older = mesh("inject", "status", "shop")
    assert workloads(older.data) == {
        "cart": ("not injected", "inject.older-pods"),
        "node": ("not injected", "inject.host-network"),
    }
    assert [finding["message"] for finding in older.data["findings"] if finding["level"] == "warning"] == [
        "Deployment shop/cart: 2 pods were created before the label of namespace shop"
    ]

    restarted = mesh("inject", "enable", "shop", "--restart", "--yes")
    (restart,) = restarted.data["restarts"]
    assert (restart["name"], restart["outcome"], restart["message"]) == ("cart", "restarted", f"2 pods on {PROXY}")
    assert PROXY in cluster.images("app=cart", "shop")
    assert workloads(mesh("inject", "status", "shop", "--exit-code").data)["cart"] == ("injected", "")
    again = mesh("inject", "enable", "shop", "--restart")  # nothing is to be done, and nothing is asked
    assert (again.data["moved"], again.data["restarts"]) == ([], [])

    deploy_sample_and_delete_it(mesh, cluster)

    gone = mesh("inject", "disable", "shop", "--restart", "--yes")
    assert [restart["outcome"] for restart in gone.data["restarts"]] == ["restarted"]
    assert (labels(cluster), cluster.images("app=cart", "shop")) == ({}, {"example/app:1"})
    assert [run["command"] for run in mesh("history").data["runs"]][:3] == [
        "inject disable shop --restart",
        "inject enable shop --restart",
        "inject enable shop",
    ]
    assert "there is no namespace 'shpo'" in mesh("inject", "enable", "shpo", "--yes", code=2).error["message"]


def deploy_sample_and_delete_it(mesh: Program, cluster: Reader) -> None:
    """Deploy a sample with Bookinfo's files into the namespace shop, which is injected, and delete it again.

    The pods of this sandbox are simulated: what ``verify`` gets from a real page is tested where there is one.
    """
    samples = mesh.folder / "samples"
    for file, text in SAMPLE.items():
        path = samples / "bookinfo" / file
        path.parent.mkdir(parents=True)
        path.write_text(text)
    where = ("bookinfo", "-n", "shop")
    deploy = ("sample", "deploy", *where, "--samples", str(samples), "--image-hub", "mirror.example/istio", "--yes")
    made = mesh(*deploy)
    assert {step["name"]: step["message"] for step in made.data["done"]} == {
        "Service shop/ratings": "created",
        "ServiceAccount shop/bookinfo-ratings": "created",
        "Deployment shop/ratings-v1": "created",
        "Gateway shop/bookinfo-gateway": "created",
        "VirtualService shop/bookinfo": "created",
        "pods": "1 pod is ready, each with its proxy",
    }
    assert [finding["id"] for finding in made.data["findings"]] == ["gateway.closed-port"]
    assert cluster.images("app=ratings", "shop") == {PROXY, "mirror.example/istio/examples-bookinfo-ratings-v1:1.18.0"}
    assert {step["message"] for step in mesh(*deploy).data["done"]} == {
        "unchanged",
        "1 pod is ready, each with its proxy",
    }
    cluster.merge(f"{SERVICE}/status", {"status": {"loadBalancer": {"ingress": [{"ip": "127.0.0.1"}]}}})
    verified = mesh("sample", "verify", *where, code=7)
    statuses = {check["id"]: check["status"] for check in verified.data["checks"]}
    assert (statuses["sample.pods"], statuses["gateway.closed-port"]) == ("ok", "failure")

    ratings = "/api/v1/namespaces/shop/services/ratings"
    cluster.apply(ratings, {**cluster_object("Service", "ratings"), "spec": {"sessionAffinity": "ClientIP"}}, "kubectl")
    assert "belongs to kubectl apply" in mesh("sample", "delete", *where, "--yes", code=4).error["message"]
    cluster.delete(ratings)
    deleted = mesh("sample", "delete", *where, "--yes")
    assert {step["message"] for step in deleted.data["done"]} == {"removed"}
    assert cluster.find("/apis/apps/v1/namespaces/shop/deployments/ratings-v1") is None
    assert cluster.deployment("cart", "shop")["spec"]["replicas"] == 2
    assert mesh("sample", "delete", *where).data["steps"] == []


def cluster_object(kind: str, name: str) -> Object:
    return {"apiVersion": "v1", "kind": kind, "metadata": {"name": name}}


def test_a_gateway_has_an_address_and_answers(mesh: Program, cluster: Reader) -> None:
    (address,) = mesh("install", "--region", "kr1").data["addresses"][GATEWAY]
    assert mesh("gateway", "url", output="").stdout == f"http://{address}:80\n"
    script = mesh("gateway", "url", "--shell", output="").stdout
    assert script == (
        f"export INGRESS_HOST={address}\nexport INGRESS_PORT=80\nexport SECURE_INGRESS_PORT=443\n"
        f"export GATEWAY_URL={address}:80\n"
    )
    service = cluster.get(SERVICE)
    ports = {port["name"]: port for port in service["spec"]["ports"]}
    (pod,) = cluster.pods(f"app={GATEWAY}")
    by_node = mesh("gateway", "url", "--node-port").data
    assert (by_node["address"], by_node["by_node"]) == (
        f"{pod['status']['hostIP']}:{ports['http2']['nodePort']}",
        True,
    )

    # Bookinfo's Gateway has port 8080, and the Service of the gateway chart leads to 80
    gateway = {
        "apiVersion": "networking.istio.io/v1beta1",
        "kind": "Gateway",
        "metadata": {"name": "bookinfo-gateway"},
        "spec": {
            "selector": {"istio": "ingressgateway"},
            "servers": [{"port": {"number": 8080, "name": "http", "protocol": "HTTP"}, "hosts": ["*"]}],
        },
    }
    path = "/apis/networking.istio.io/v1beta1/namespaces/default/gateways"
    cluster.post(path, gateway)
    listed = mesh("gateway", "list")
    assert [finding["id"] for finding in listed.data["findings"]] == ["gateway.closed-port"]

    with serving(Page) as server:
        http2 = {**ports["http2"], "port": server.server_port}
        cluster.merge(SERVICE, {"spec": {"ports": [*(ports[name] for name in ports if name != "http2"), http2]}})
        cluster.merge(f"{SERVICE}/status", {"status": {"loadBalancer": {"ingress": [{"ip": "127.0.0.1"}]}}})
        answered = mesh("gateway", "url", "--check", "/productpage").data
    assert answered["url"] == f"http://127.0.0.1:{server.server_port}"
    assert (answered["answer"]["status"], answered["answer"]["title"]) == (200, "Simple Bookstore App")
    refused = mesh("gateway", "url", "--check", "/productpage", code=6).data
    assert [finding["id"] for finding in refused["findings"]] == [
        "gateway.unreachable",
        "gateway.no-listener",
        "gateway.closed-port",
    ]
