"""What Istio's injection does to a pod, as far as a cluster's other parts can see it.

The rules of image names are those of ``ProxyImage()`` in istio's pkg/kube/inject/inject.go and of its
injection templates: a name with a slash is taken word for word, any other is put behind the hub.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final

from nksmesh.sandbox.stages import AUTO_IMAGE

PROXY: Final = "istio-proxy"
INIT: Final = "istio-init"
STATUS_ANNOTATION: Final = "sidecar.istio.io/status"
OVERRIDES_ANNOTATION: Final = "proxy.istio.io/overrides"
"""What a pod had of its own in a container that was injected: a second injector begins with it again."""

_DEFAULT_IMAGE: Final = "proxyv2"
_UID: Final = 1337


@dataclass(frozen=True)
class InjectorConfiguration:
    """What decides the images of an injected pod.

    Attributes:
        values: The values in the injector's ConfigMap.
        image_type: The mesh's ``defaultConfig.image.imageType``, or nothing.
    """

    values: dict[str, Any]
    image_type: str
    revision: str


def injected(pod: dict[str, Any], configuration: InjectorConfiguration) -> list[dict[str, Any]]:
    """Return the JSON patch that injects a pod; empty where it is not to be injected.

    A pod that another injector was called for first is injected anew, as stripPod() of inject.go has it: the last
    one wins, and webhook configurations are called in the order of their names.
    """
    spec = pod.get("spec", {})
    metadata = pod.get("metadata", {})
    annotations = dict(metadata.get("annotations") or {})
    labels = metadata.get("labels") or {}
    asked = labels.get("sidecar.istio.io/inject", annotations.get("sidecar.istio.io/inject", ""))
    if asked == "false" or spec.get("hostNetwork"):
        return []
    global_values = configuration.values.get("global") or {}
    containers, inits = _stripped(spec, annotations)
    gateway = "gateway" in annotations.get("inject.istio.io/templates", "").split(",")

    proxy_image = _image(configuration, annotations, "proxy")
    proxy = next((container for container in containers if container["name"] == PROXY), None)
    if proxy is None:
        containers.append(_proxy(proxy_image, global_values))
    else:
        annotations[OVERRIDES_ANNOTATION] = json.dumps({"containers": [proxy]}, separators=(",", ":"))
        if proxy.get("image", AUTO_IMAGE) == AUTO_IMAGE:
            proxy["image"] = proxy_image
        proxy.setdefault("readinessProbe", _readiness())
    if not gateway and all(container["name"] != INIT for container in inits):
        inits.append(_init(_image(configuration, annotations, "proxy_init"), global_values))

    status = _status(configuration, global_values, has_init=not gateway)
    patch: list[dict[str, Any]] = [
        {"op": "add", "path": "/spec/containers", "value": containers},
        {
            "op": "add",
            "path": "/metadata/annotations",
            "value": {**annotations, STATUS_ANNOTATION: status, "istio.io/rev": configuration.revision},
        },
        {"op": "add", "path": "/metadata/labels", "value": {**labels, **_labels(labels, metadata)}},
    ]
    if inits or spec.get("initContainers"):
        patch.append({"op": "add", "path": "/spec/initContainers", "value": inits})
    secrets = [{"name": name} for name in global_values.get("imagePullSecrets") or []]
    if secrets:
        known = spec.get("imagePullSecrets") or []
        added = [secret for secret in secrets if secret not in known]
        patch.append({"op": "add", "path": "/spec/imagePullSecrets", "value": [*known, *added]})
    return patch


def _stripped(spec: dict[str, Any], annotations: dict[str, str]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return a pod's containers and init containers without what an earlier injection added or filled in."""
    status = json.loads(annotations.get(STATUS_ANNOTATION) or "{}")
    own = json.loads(annotations.get(OVERRIDES_ANNOTATION) or "{}").get("containers") or []
    before = {container["name"]: container for container in own}

    def strip(key: str) -> list[dict[str, Any]]:
        injected_before = status.get(key) or []
        named = {container["name"]: container for container in spec.get(key) or []}
        return [dict(kept) for name in named if (kept := (before if name in injected_before else named).get(name))]

    return strip("containers"), strip("initContainers")


def _image(configuration: InjectorConfiguration, annotations: dict[str, str], key: str) -> str:
    global_values = configuration.values.get("global") or {}
    own = annotations.get("sidecar.istio.io/proxyImage")
    if own:
        return own
    named = str((global_values.get(key) or {}).get("image") or _DEFAULT_IMAGE)
    if "/" in named:
        return named
    image_type = annotations.get("sidecar.istio.io/proxyImageType", configuration.image_type)
    tag = str(global_values.get("tag", ""))
    if image_type and image_type != "default" and not tag.endswith(f"-{image_type}"):
        tag = f"{tag}-{image_type}"
    # an init image without a slash is the proxy's own, whatever its name: what the templates' else branch has
    proxy = str((global_values.get("proxy") or {}).get("image") or _DEFAULT_IMAGE)
    return f"{global_values.get('hub', '')}/{proxy}{f':{tag}' if tag else ''}"


def _proxy(image: str, global_values: dict[str, Any]) -> dict[str, Any]:
    container = {
        "name": PROXY,
        "image": image,
        "args": ["proxy", "sidecar"],
        "ports": [{"name": "http-envoy-prom", "containerPort": 15090, "protocol": "TCP"}],
        "resources": (global_values.get("proxy") or {}).get("resources") or {},
        "readinessProbe": _readiness(),
        "securityContext": {"allowPrivilegeEscalation": False, "runAsUser": _UID, "runAsGroup": _UID},
    }
    return {**container, **_pull_policy(global_values)}


def _init(image: str, global_values: dict[str, Any]) -> dict[str, Any]:
    container = {
        "name": INIT,
        "image": image,
        "args": ["istio-iptables", "-p", "15001", "-z", "15006", "-u", str(_UID), "-m", "REDIRECT"],
        "securityContext": {"capabilities": {"add": ["NET_ADMIN", "NET_RAW"]}, "runAsUser": 0},
    }
    return {**container, **_pull_policy(global_values)}


def _pull_policy(global_values: dict[str, Any]) -> dict[str, str]:
    policy = str(global_values.get("imagePullPolicy") or "")
    return {"imagePullPolicy": policy} if policy else {}


def _readiness() -> dict[str, Any]:
    return {
        "httpGet": {"path": "/healthz/ready", "port": 15021},
        "initialDelaySeconds": 1,
        "periodSeconds": 2,
        "timeoutSeconds": 3,
        "failureThreshold": 30,
    }


def _status(configuration: InjectorConfiguration, global_values: dict[str, Any], *, has_init: bool) -> str:
    return json.dumps(
        {
            "initContainers": [INIT] if has_init else None,
            "containers": [PROXY],
            "volumes": None,
            "imagePullSecrets": global_values.get("imagePullSecrets") or None,
            "revision": configuration.revision,
        },
        separators=(",", ":"),
    )


def _labels(labels: dict[str, str], metadata: dict[str, Any]) -> dict[str, str]:
    name = labels.get("app") or metadata.get("generateName", "").rstrip("-") or metadata.get("name", "")
    return {
        "security.istio.io/tlsMode": labels.get("security.istio.io/tlsMode", "istio"),
        "service.istio.io/canonical-name": labels.get("service.istio.io/canonical-name", name[:63]),
        "service.istio.io/canonical-revision": labels.get("service.istio.io/canonical-revision", "latest"),
    }
