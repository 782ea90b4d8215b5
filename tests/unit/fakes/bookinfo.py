"""Bookinfo's reviews in the namespace default, as an API server has it, and who calls it."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from nksmesh.adapters.files.folders import ValuesFolders
from nksmesh.adapters.files.recipes import load_recipes
from nksmesh.domain.kube.objects import Manifest
from nksmesh.domain.traffic.envoy import clusters_path
from nksmesh.domain.traffic.recipes import Applied, Recipe, applied
from nksmesh.domain.traffic.surroundings import Surroundings

HOST = "reviews.default.svc.cluster.local"
CLUSTERS = clusters_path("reviews", "default")


@cache
def recipes() -> dict[str, Recipe]:
    """The recipes that ship with nksmesh."""
    return load_recipes(ValuesFolders())


def recipe(line: str) -> Applied:
    """Apply a recipe: ``shift v1=80 v2=20``."""
    name, *given = line.split()
    return applied(recipes()[name], given)


def pod(
    name: str,
    address: str,
    *,
    namespace: str = "default",
    app: str = "reviews",
    version: str = "v1",
    ready: bool = True,
    proxy: bool = True,
    account: str = "bookinfo-reviews",
) -> dict[str, Any]:
    containers = [{"name": "app", "image": "app:1"}]
    containers += [{"name": "istio-proxy", "image": "istio/proxyv2:1.28.10"}] if proxy else []
    labels = {"app": app, **({"version": version} if version else {})}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace, "labels": labels},
        "spec": {"containers": containers, "serviceAccountName": account},
        "status": {
            "phase": "Running",
            "podIP": address,
            "conditions": [{"type": "Ready", "status": "True" if ready else "False"}],
        },
    }


def service(name: str = "reviews", *, port: str = "http") -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"selector": {"app": name}, "ports": [{"name": port, "port": 9080}]},
    }


def namespace(name: str = "default", **metadata: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, **metadata}}


REVIEWS = (
    pod("reviews-v1", "10.0.0.1", version="v1"),
    pod("reviews-v2", "10.0.0.2", version="v2"),
    pod("reviews-v3", "10.0.0.3", version="v3", ready=False),
)
PRODUCTPAGE = pod("productpage", "10.0.0.9", app="productpage", account="bookinfo-productpage")
SLEEP = pod("sleep", "10.0.0.8", app="sleep", proxy=False, account="sleep")


def around(
    *objects: Manifest,
    pods: tuple[Manifest, ...] = (*REVIEWS, PRODUCTPAGE),
    port: str = "http",
    name: str = "reviews",
    nodes: tuple[Manifest, ...] = (),
) -> Surroundings:
    return Surroundings(
        service=name,
        namespace="default",
        namespaced=namespace(),
        found=None if name == "*" else service(name, port=port),
        pods=pods,
        objects=objects,
        nodes=nodes,
    )


def made_by(manager: str, manifest: Manifest) -> dict[str, Any]:
    """Return an object as it is after a field manager has applied it."""
    return {**manifest, "metadata": {**manifest["metadata"], "managedFields": [{"manager": manager}]}}


def virtual_service(name: str, hosts: list[str], *, gateways: list[str] | None = None, to: str = "") -> dict[str, Any]:
    spec: dict[str, Any] = {"hosts": hosts, "http": [{"route": [{"destination": {"host": to or hosts[0]}}]}]}
    return {
        "apiVersion": "networking.istio.io/v1beta1",
        "kind": "VirtualService",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {**spec, **({"gateways": gateways} if gateways else {})},
    }


def clusters(counts: dict[str, tuple[int, int]], *, subset: str = "", host: str = HOST, active: int = 0) -> str:
    """What an Envoy answers to ``/clusters?format=json``: by endpoint's address its requests and errors."""
    status = {
        "name": f"outbound|9080|{subset}|{host}",
        "host_statuses": [
            {
                "address": {"socket_address": {"address": address, "port_value": 9080}},
                "stats": [
                    {"name": "rq_total", "value": str(requests)},
                    {"name": "rq_error", "value": str(errors)},
                    {"name": "cx_active", "value": str(active), "type": "GAUGE"},
                    {"name": "cx_total"},
                ],
            }
            for address, (requests, errors) in counts.items()
        ],
    }
    other = {"name": "xds-grpc", "host_statuses": [{"address": {"pipe": {"path": "./etc/XDS"}}, "stats": []}]}
    return json.dumps({"cluster_statuses": [other, status]})
