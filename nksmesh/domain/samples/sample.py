"""Istio's samples: which files they are of, and their objects as nksmesh applies them.

Each object that nksmesh applies has a label that names the sample: ``delete`` takes what has it, and nothing else.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from nksmesh.domain.common.errors import ClusterError, ConfigError
from nksmesh.domain.common.findings import Finding, Level
from nksmesh.domain.images.reference import parse_reference
from nksmesh.domain.kube.objects import (
    Manifest,
    ObjectRef,
    containers,
    managers_of,
    pod_template,
    ref_of,
)
from nksmesh.domain.kube.owners import foreign_owner

SAMPLE_LABEL: Final = "nksmesh.io/sample"
"""What an object of a sample has that nksmesh applied: the sample's name."""

_GATEWAYS: Final = "networking.istio.io/v1beta1"


@dataclass(frozen=True, kw_only=True)
class Page:
    """A page of a sample, and how it is asked for from inside the mesh.

    Attributes:
        path: Its path, through the gateway too.
        title: The title that it has.
        service: HOST:PORT of the Service that serves it.
        app: The label ``app`` of the pods that ask for it, and the name of their container.
    """

    path: str
    title: str
    service: str
    app: str


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One of Istio's samples.

    Attributes:
        files: Its files, in the order in which the guide applies them, relative to its folder.
        kinds: The (apiVersion, kind) of its objects.
    """

    name: str
    files: tuple[str, ...]
    kinds: tuple[tuple[str, str], ...]
    page: Page


BOOKINFO: Final = Sample(
    name="bookinfo",
    files=("platform/kube/bookinfo.yaml", "networking/bookinfo-gateway.yaml"),
    kinds=(
        (_GATEWAYS, "Gateway"),
        (_GATEWAYS, "VirtualService"),
        ("apps/v1", "Deployment"),
        ("v1", "Service"),
        ("v1", "ServiceAccount"),
    ),
    page=Page(path="/productpage", title="Simple Bookstore App", service="productpage:9080", app="ratings"),
)
SAMPLES: Final[Mapping[str, Sample]] = {BOOKINFO.name: BOOKINFO}


def sample_objects(
    sample: Sample, manifests: Iterable[Manifest], namespace: str, image_hub: str
) -> tuple[dict[str, Any], ...]:
    """Return a sample's objects as they are applied: in the namespace, marked, their images from the hub.

    Args:
        manifests: The objects as the files have them.
        image_hub: A registry path; empty for the images as they are.

    Raises:
        ConfigError: An object is cluster-scoped or of another namespace, or an image or the hub is none.
    """
    return tuple(_placed(sample, manifest, namespace, image_hub) for manifest in manifests)


def check_foreign(sample: Sample, found: Mapping[ObjectRef, Manifest | None]) -> Iterator[Finding]:
    """Find objects of a sample that somebody else made: a failure each.

    Args:
        found: The objects as they are now.
    """
    for ref, live in found.items():
        owner = foreign_owner(live, SAMPLE_LABEL) if live is not None else None
        if owner is not None:
            yield Finding(
                id="sample.foreign-object",
                subject=str(ref),
                message=f"{ref} belongs to {owner}: nksmesh does not change or delete it",
                hint=f"Delete it where it comes from, or deploy {sample.name} in another namespace: -n NAME.",
                error=ClusterError,
            )


def check_changed(found: Mapping[ObjectRef, Manifest]) -> Iterator[Finding]:
    """Find objects that somebody changed by hand since nksmesh applied them: a warning each."""
    for ref, live in found.items():
        hands = [manager for manager in managers_of(live) if manager.startswith("kubectl-")]
        if hands:
            yield Finding(
                id="sample.changed-object",
                level=Level.WARNING,
                subject=str(ref),
                message=f"{ref} was changed by hand ({', '.join(hands)}) since nksmesh applied it",
            )


def check_namespace(namespace: str, live: Manifest | None, injecting: str) -> Iterator[Finding]:
    """Judge the namespace that a sample is to be deployed in: a failure where its pods would have no proxy.

    Args:
        live: The namespace as it is; None where it is not there.
        injecting: The Istio revision that injects its pods; empty for none.
    """
    if live is None:
        yield Finding(
            id="sample.missing-namespace",
            message=f"there is no namespace {namespace!r}",
            hint=f"Run kubectl create namespace {namespace}, then nksmesh inject enable {namespace}.",
            error=ConfigError,
        )
    elif not injecting:
        yield Finding(
            id="sample.no-injection",
            message=f"pods in namespace {namespace} get no proxy",
            hint=f"Run nksmesh inject enable {namespace} first.",
        )


def _placed(sample: Sample, manifest: Manifest, namespace: str, image_hub: str) -> dict[str, Any]:
    placed: dict[str, Any] = copy.deepcopy(dict(manifest))
    metadata, ref = placed["metadata"], ref_of(manifest, namespace)
    if not ref.name or ref.namespace != namespace or ref.kind not in {kind for _, kind in sample.kinds}:
        raise ConfigError(
            f"sample {sample.name}: {str(ref).strip('/')} is no object that nksmesh applies in namespace {namespace}",
            hint=f"Remove it from the file, or apply it yourself. Objects have a name, no other namespace, and are "
            f"{', '.join(kind for _, kind in sample.kinds)}.",
        )
    metadata["namespace"] = namespace
    metadata["labels"] = {**(metadata.get("labels") or {}), SAMPLE_LABEL: sample.name}
    if image_hub:
        for container in containers(pod_template(placed)):
            image = str(container.get("image", ""))
            if image:
                container["image"] = _from_hub(image, image_hub)  # type: ignore[index]  # a copy of our own
    return placed


def _from_hub(image: str, hub: str) -> str:
    """Name an image in another registry path: the last part of its name, with its tag and digest."""
    last = str(parse_reference(image)).rpartition("/")[2]
    return str(parse_reference(f"{hub.rstrip('/')}/{last}"))
