"""The region's layer, or the own hub's: where images come from, for each component in the keys its chart has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from nksmesh.domain.mesh import ISTIO_NAMESPACE, Layer
from nksmesh.domain.releases import Release

PROXY_IMAGE: Final = "proxyv2"


@dataclass(frozen=True, kw_only=True)
class ImageSource:
    """Where every image comes from.

    Attributes:
        name: The layer's name: ``region kr1`` or ``hub registry.example.com/istio``.
        hub: The registry path.
        tag: The images' tag, which is the Istio version.
        full_paths: Set the proxy images as full paths. They then carry the tag, since Istio takes a full path
            literally, and both are full, since a bare proxy_init.image would be put under the hub twice.
        pull_secrets: The secrets that images are pulled with, in every namespace with pods of the mesh.
    """

    name: str
    hub: str
    tag: str
    full_paths: bool = False
    pull_secrets: tuple[str, ...] = ()


def region_layer(release: Release, images: ImageSource) -> Layer:
    """Set the hub, the tag, the proxy's images and the pull secrets.

    base has no images, and a gateway's image is filled in by istiod's injector: the gateway charts of 1.19 and 1.20
    refuse a hub. Pull secrets are names for base and istiod, and objects for a gateway.
    """
    secrets = list(images.pull_secrets)
    values: dict[str, Any] = {}
    if release.kind.injected:
        values = {"imagePullSecrets": [{"name": secret} for secret in secrets]} if secrets else {}
    else:
        inner = _images(images) if release.kind.takes_hub else {}
        if secrets:
            inner["imagePullSecrets"] = secrets
        values = {"global": inner} if inner else {}
    return Layer(name=images.name, values=values, ours=True)


def placement_layer(release: Release, namespace: str) -> Layer:
    """Say where the control plane lives and which Istio revision it has, where either is not the chart's default.

    Args:
        release: The release.
        namespace: The control plane's namespace.
    """
    values: dict[str, Any] = {}
    if namespace != ISTIO_NAMESPACE and not release.kind.injected:
        values["global"] = {"istioNamespace": namespace}
    if release.istio_revision and release.kind.has_pods:
        values["revision"] = release.istio_revision
    return Layer(name=f"namespace {namespace}", values=values, ours=True)


def _images(images: ImageSource) -> dict[str, Any]:
    image = f"{images.hub}/{PROXY_IMAGE}:{images.tag}" if images.full_paths else PROXY_IMAGE
    settings: Mapping[str, Any] = {
        "hub": images.hub,
        "tag": images.tag,
        "proxy": {"image": image},
        "proxy_init": {"image": image},
    }
    return dict(settings)
