"""What a user has in a mesh, to be kept whatever is done to it: a workload with a sidecar, an object of every CRD."""

from __future__ import annotations

from tests.cluster.reader import Object, Reader

SHOP = "/apis/apps/v1/namespaces/shop/deployments"

OBJECTS: dict[str, Object] = {
    "networking.istio.io/v1beta1/virtualservices": {
        "hosts": ["shop.example.com"],
        "gateways": ["shop"],
        "http": [{"route": [{"destination": {"host": "shop", "subset": "v1"}}], "timeout": "3s"}],
    },
    "networking.istio.io/v1beta1/gateways": {
        "selector": {"istio": "ingressgateway"},
        "servers": [{"port": {"number": 80, "name": "http", "protocol": "HTTP"}, "hosts": ["shop.example.com"]}],
    },
    "networking.istio.io/v1beta1/destinationrules": {
        "host": "shop",
        "subsets": [{"name": "v1", "labels": {"version": "v1"}}],
    },
    "networking.istio.io/v1beta1/serviceentries": {
        "hosts": ["db.example.com"],
        "ports": [{"number": 5432, "name": "tcp", "protocol": "TCP"}],
        "resolution": "DNS",
    },
    "networking.istio.io/v1beta1/workloadentries": {"address": "10.1.2.3", "labels": {"app": "machine"}},
    "networking.istio.io/v1beta1/workloadgroups": {"template": {"serviceAccount": "default"}},
    "networking.istio.io/v1beta1/sidecars": {"egress": [{"hosts": ["./*"]}]},
    "networking.istio.io/v1beta1/proxyconfigs": {"concurrency": 1},
    "networking.istio.io/v1alpha3/envoyfilters": {"configPatches": []},
    "security.istio.io/v1beta1/authorizationpolicies": {"action": "DENY", "rules": []},
    "security.istio.io/v1beta1/peerauthentications": {"mtls": {"mode": "STRICT"}},
    "security.istio.io/v1beta1/requestauthentications": {
        "jwtRules": [{"issuer": "issuer.example.com", "jwksUri": "https://issuer.example.com/keys"}]
    },
    "telemetry.istio.io/v1alpha1/telemetries": {"tracing": [{"randomSamplingPercentage": 5}]},
    "extensions.istio.io/v1alpha1/wasmplugins": {"url": "oci://registry.example.com/plugin:1"},
    "install.istio.io/v1alpha1/istiooperators": {"profile": "empty"},
}
"""One object of every CRD that 1.19.0 has: where it is, and its spec."""


def furnish(cluster: Reader) -> dict[str, Object]:
    """Make a user's namespace: a workload with a sidecar, and an object of every CRD; return the objects."""
    labels = {"istio-injection": "enabled"}
    cluster.post("/api/v1/namespaces", {"metadata": {"name": "shop", "labels": labels}})
    cluster.until("/api/v1/namespaces/shop/serviceaccounts", lambda found: len(found) > 0)
    template = {
        "metadata": {"labels": {"app": "cart"}},
        "spec": {"containers": [{"name": "app", "image": "example/a"}]},
    }
    spec = {"replicas": 1, "selector": {"matchLabels": {"app": "cart"}}, "template": template}
    cluster.post(SHOP, {"metadata": {"name": "cart"}, "spec": spec})
    cluster.until(SHOP, lambda found: found[0].get("status", {}).get("availableReplicas") == 1)
    return {place: cluster.post(of_shop(place), made_of(place, spec)) for place, spec in OBJECTS.items()}


def made_of(place: str, spec: Object) -> Object:
    """Write an object called shop of an API's resource, such as ``networking.istio.io/v1/gateways``."""
    group, version, _ = place.split("/")
    kind = {"istiooperators": "IstioOperator"}
    plural = place.rpartition("/")[2]
    kinds = {
        "virtualservices": "VirtualService",
        "gateways": "Gateway",
        "destinationrules": "DestinationRule",
        "serviceentries": "ServiceEntry",
        "workloadentries": "WorkloadEntry",
        "workloadgroups": "WorkloadGroup",
        "sidecars": "Sidecar",
        "proxyconfigs": "ProxyConfig",
        "envoyfilters": "EnvoyFilter",
        "authorizationpolicies": "AuthorizationPolicy",
        "peerauthentications": "PeerAuthentication",
        "requestauthentications": "RequestAuthentication",
        "telemetries": "Telemetry",
        "wasmplugins": "WasmPlugin",
        **kind,
    }
    metadata = {"name": "shop", "annotations": {"example.com/note": "kept"}, "labels": {"app": "cart"}}
    return {"apiVersion": f"{group}/{version}", "kind": kinds[plural], "metadata": metadata, "spec": spec}


def of_shop(place: str) -> str:
    """Return the path of an API's resource in the user's namespace."""
    api, _, plural = place.rpartition("/")
    return f"/apis/{api}/namespaces/shop/{plural}"


def kept(item: Object) -> Object:
    """What a user has of an object: all but the API server's bookkeeping."""
    bookkeeping = {"managedFields", "resourceVersion", "generation"}
    metadata = {key: one for key, one in item["metadata"].items() if key not in bookkeeping}
    return {**{key: one for key, one in item.items() if key != "status"}, "metadata": metadata}


def assert_kept(cluster: Reader, made: dict[str, Object]) -> None:
    """Assert that every object is there and as it was made."""
    for place, before in made.items():
        assert kept(cluster.get(f"{of_shop(place)}/shop")) == kept(before), place
