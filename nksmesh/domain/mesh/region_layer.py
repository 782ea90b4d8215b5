"""The region's layer, or the own hub's: where images come from, for each component in the keys its chart has."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

from nksmesh.domain.charts.releases import BASE, CNI, ISTIOD, ZTUNNEL, Release
from nksmesh.domain.mesh.mesh import ISTIO_NAMESPACE, DeployedRevisions
from nksmesh.domain.mesh.versions import parse_version
from nksmesh.domain.values.layers import Layer, LayerKind

PROXY_IMAGE: Final = "proxyv2"

_PILOT_CNI: Final = (1, 22, 0)


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
        if release.kind.optional:
            inner = {"hub": images.hub, "tag": images.tag}  # they start no proxies
        if secrets:
            inner["imagePullSecrets"] = secrets
        values = {"global": inner} if inner else {}
        if release.component == ZTUNNEL.name:
            values |= inner  # up to 1.22.3 its chart reads them at its root alone
    return Layer(name=images.name, values=values, kind=LayerKind.IMAGES, ours=True)


def components_layer(release: Release, components: Collection[str], version: str) -> Layer:
    """Tell istiod what else is there: with the CNI plugin, pods need no privileged init container of their own.

    The key moved from ``istio_cni`` to ``pilot.cni`` in 1.22. What ztunnel needs more, the profile ``ambient`` of the
    charts sets; which of it is wanted is left to the user.
    """
    values: dict[str, Any] = {}
    if release.component == ISTIOD.name and CNI.name in components:
        enabled = {"cni": {"enabled": True}}
        values = {"pilot": enabled} if parse_version(version) >= _PILOT_CNI else {"istio_cni": enabled["cni"]}
    return Layer(name=f"components {', '.join(components)}", values=values, kind=LayerKind.MESH, ours=True)


def placement_layer(release: Release, namespace: str, revisions: DeployedRevisions | None = None) -> Layer:
    """Say where the control plane lives and which Istio revision it has, where either is not the chart's default.

    Args:
        revisions: The deployed Istio revisions and tags: base's validator calls the default one, and the tags are
            made by the istiod that they point to.
    """
    values: dict[str, Any] = {}
    if namespace != ISTIO_NAMESPACE and not release.kind.injected:
        values["global"] = {"istioNamespace": namespace}
        if release.component == ZTUNNEL.name:
            values["istioNamespace"] = namespace
    if release.istio_revision and release.kind.has_pods:
        values["revision"] = release.istio_revision
    if revisions and revisions.default_revision and release.component == BASE.name:
        values["defaultRevision"] = revisions.default_revision
    if revisions and revisions.tags and release.component == ISTIOD.name:
        values["revisionTags"] = list(revisions.tags)
    return Layer(name=f"namespace {namespace}", values=values, kind=LayerKind.MESH, ours=True)


def _images(images: ImageSource) -> dict[str, Any]:
    image = f"{images.hub}/{PROXY_IMAGE}:{images.tag}" if images.full_paths else PROXY_IMAGE
    settings: Mapping[str, Any] = {
        "hub": images.hub,
        "tag": images.tag,
        "proxy": {"image": image},
        "proxy_init": {"image": image},
    }
    return dict(settings)
