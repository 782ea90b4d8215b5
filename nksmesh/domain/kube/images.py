"""The proof in the render: every image the mesh will run must lie in the hub.

An image is named in four places (istio-facts 2.1): pod templates, an annotation on them that names the proxy's image,
the ``values`` that istiod builds every proxy's image from, and the injection templates themselves, where an image may
be written out in full.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from nksmesh.domain.kube.objects import INJECTED_IMAGE, Manifest, ObjectRef, containers, pod_template, ref_of

INJECTOR: Final = "istio-sidecar-injector"
"""The injector's ConfigMap; a revisioned istiod's has ``-<revision>`` behind."""

PROXY_IMAGE_ANNOTATION: Final = "sidecar.istio.io/proxyImage"
"""On a pod it gives the injector another image than the mesh's for its proxy (istio.io, resource annotations)."""

OPT_IN_TEMPLATES: Final = frozenset({"grpc-simple"})
"""Injection templates that nothing uses unless a pod asks for them by annotation (busybox:1.28, every version)."""

_TEMPLATE_NAME: Final = re.compile(r"^  ([\w-]+):\s*[|>]")
_LITERAL_IMAGE: Final = re.compile(r"""^\s*(?:-\s*)?image:\s*["']?([^\s"'{}]+)["']?\s*$""")
_IMAGE_TYPE: Final = re.compile(r"""^\s*imageType:\s*["']?([\w-]+)""", re.MULTILINE)


@dataclass(frozen=True, order=True)
class FoundImage:
    """An image that a rendered object names.

    Attributes:
        where: The object that names it.
        place: Where in the object: a container's name, or the injection template's.
        opt_in: Nothing pulls it unless a pod asks for its template.
    """

    image: str
    where: ObjectRef
    place: str
    opt_in: bool = False

    def lies_in(self, prefixes: Iterable[str]) -> bool:
        """Tell whether the image is below one of the registry paths."""
        return any(self.image.startswith(prefix.rstrip("/") + "/") for prefix in prefixes)


def images_of(manifests: Iterable[Manifest], namespace: str) -> Iterator[FoundImage]:
    """Find every image that rendered objects name, the injector's included; ``auto`` is no image.

    Args:
        manifests: The rendered objects of one release.
    """
    rendered = tuple(manifests)
    for manifest in rendered:
        where = ref_of(manifest, namespace)
        template = pod_template(manifest)
        for container in containers(template):
            image = str(container.get("image", ""))
            if image and image != INJECTED_IMAGE:
                yield FoundImage(image, where, f"container {container.get('name')}")
        annotations = (template.get("metadata") or {}).get("annotations") or {}
        if annotated := str(annotations.get(PROXY_IMAGE_ANNOTATION) or ""):
            yield FoundImage(annotated, where, f"annotation {PROXY_IMAGE_ANNOTATION}")
        if manifest.get("kind") == "ConfigMap" and where.name.startswith(INJECTOR):
            yield from _of_injector(manifest, where, _image_type(rendered))


def proxy_image(manifests: Iterable[Manifest]) -> str:
    """Return the image that istiod, rendered so, will give its proxies; empty where there is no injector."""
    rendered = tuple(manifests)
    for manifest in rendered:
        if manifest.get("kind") == "ConfigMap" and str(manifest["metadata"]["name"]).startswith(INJECTOR):
            return _proxy_images(manifest, _image_type(rendered))["proxy"]
    return ""


def _of_injector(config_map: Manifest, where: ObjectRef, image_type: str) -> Iterator[FoundImage]:
    data = config_map.get("data") or {}
    for name, image in _proxy_images(config_map, image_type).items():
        yield FoundImage(image, where, f"values, global.{name}.image")
    template = ""
    for line in str(data.get("config", "")).splitlines():
        named = _TEMPLATE_NAME.match(line)
        if named:
            template = named.group(1)
        literal = _LITERAL_IMAGE.match(line)
        if literal:
            yield FoundImage(literal.group(1), where, f"template {template}", opt_in=template in OPT_IN_TEMPLATES)


def _proxy_images(config_map: Manifest, image_type: str) -> dict[str, str]:
    """Build the proxies' images as istiod does (ProxyImage() in pkg/kube/inject, 1.19.0 to 1.30.3).

    A name with a slash is taken literally, without the tag; but a bare proxy_init under a full proxy goes through
    ProxyImage(), which puts the hub before the full path: an invalid name, which the scan then shows.
    """
    settings: Mapping[str, Any] = json.loads((config_map.get("data") or {}).get("values") or "{}").get("global") or {}
    hub, tag = str(settings.get("hub", "")), str(settings.get("tag", ""))
    proxy = str((settings.get("proxy") or {}).get("image", "proxyv2"))
    init = str((settings.get("proxy_init") or {}).get("image", "proxyv2"))
    suffix = f"-{image_type}" if image_type and not tag.endswith(f"-{image_type}") else ""
    built = f"{hub}/{proxy}:{tag}{suffix}"
    return {"proxy": proxy if "/" in proxy else built, "proxy_init": init if "/" in init else built}


def _image_type(manifests: Iterable[Manifest]) -> str:
    """Return meshConfig's imageType (distroless, debug), which istiod puts behind the tag."""
    for manifest in manifests:
        if manifest.get("kind") == "ConfigMap" and "mesh" in (manifest.get("data") or {}):
            found = _IMAGE_TYPE.search(str(manifest["data"]["mesh"]))
            if found:
                return found.group(1)
    return ""
