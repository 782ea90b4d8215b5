"""Addresses for Services of type LoadBalancer, from a network kept for documentation (RFC 5737)."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from ipaddress import IPv4Network
from typing import Any, Final

from nksmesh.domain.kube.objects import Manifest
from nksmesh.domain.kube.readiness import addresses_of

PENDING_ANNOTATION: Final = "nksmesh.io/sandbox-load-balancer"
PENDING: Final = "pending"

_POOL: Final = tuple(str(address) for address in IPv4Network("203.0.113.0/24").hosts())


def wanted_status(service: Manifest, taken: Collection[str]) -> dict[str, Any] | None:
    """Say what a Service's ``status.loadBalancer`` is to become; None where it is right already.

    The address follows from the Service's name, so that one made again gets the same, unless another
    has it.
    """
    current = addresses_of(service)
    annotations = service["metadata"].get("annotations") or {}
    balanced = service["spec"].get("type") == "LoadBalancer" and annotations.get(PENDING_ANNOTATION) != PENDING
    if not balanced:
        return {"ingress": None} if current else None
    if current:
        return None
    address = service["spec"].get("loadBalancerIP") or _free_address(service, taken)
    return {"ingress": [{"ip": address}]} if address else None


def _free_address(service: Manifest, taken: Collection[str]) -> str:
    metadata = service["metadata"]
    name = f"{metadata['namespace']}/{metadata['name']}"
    first = int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big") % len(_POOL)
    return next((a for a in (*_POOL[first:], *_POOL[:first]) if a not in taken), "")
