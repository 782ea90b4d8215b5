"""Istio's samples: which files they are of, and where they can be deployed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from nksmesh.domain.common.errors import ClusterError, ConfigError
from nksmesh.domain.common.findings import Finding
from nksmesh.domain.kube.objects import Manifest
from nksmesh.domain.samples.object_set import ObjectSet

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
class Sample(ObjectSet):
    """One of Istio's samples."""

    page: Page


BOOKINFO: Final = Sample(
    name="bookinfo",
    folder="bookinfo",
    removal="nksmesh sample delete bookinfo",
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


def check_namespace(namespace: str, live: Manifest | None, injecting: str) -> Iterator[Finding]:
    """Judge the namespace that a sample is to be deployed in: a failure where it goes, or gives pods no proxy.

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
    elif live["metadata"].get("deletionTimestamp"):
        yield Finding(
            id="sample.ending-namespace",
            message=f"namespace {namespace} is being deleted, with everything in it",
            hint="Wait until it is gone, or pass another namespace with -n.",
            error=ClusterError,
        )
    elif not injecting:
        yield Finding(
            id="sample.no-injection",
            message=f"pods in namespace {namespace} get no proxy",
            hint=f"Run nksmesh inject enable {namespace} first.",
        )
