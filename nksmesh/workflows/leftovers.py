"""What Helm leaves of a mesh, and which of it is provably this mesh's (istio-facts 5)."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any, Final

from nksmesh.domain.objects import FIELD_MANAGER, Manifest, ObjectRef, managers_of, owner_of
from nksmesh.domain.releases import BASE, ISTIOD
from nksmesh.workflows import observation
from nksmesh.workflows.discovery import Installation
from nksmesh.workflows.ports import Cluster

_CA_SECRET: Final = "istio-ca-secret"  # noqa: S105 - the name of a Secret, not a secret
_ELECTIONS: Final = (
    "istio-analyze-leader",
    "istio-gateway-status-leader",
    "istio-leader",
    "istio-namespace-controller-election",
    "istio-serviceexport-controller-election",
    "istio-status-leader",
)
"""The ConfigMaps in which istiod's replicas elect who does what; istiod makes them and nobody owns them."""

_UNPROVED: Final = "it is not known to be this mesh's"


@dataclass(frozen=True, kw_only=True)
class Leftover:
    """Something that Helm leaves when a mesh's releases go.

    Attributes:
        ref: The object.
        holds: What would be lost with it, in words; empty where it is nothing of a user's.
        objects: How many objects of a user's would go with it.
        stays: Why even a purge leaves it; empty where a purge removes it.
    """

    ref: ObjectRef
    holds: str = ""
    objects: int = 0
    stays: str = ""

    def __str__(self) -> str:
        words = "; ".join(part for part in (self.holds, self.stays) if part)
        return f"{self.ref} ({words})" if words else str(self.ref)


async def find_leftovers(cluster: Cluster, installation: Installation, *, purge: bool) -> tuple[Leftover, ...]:
    """Name what Helm leaves of a mesh: CRDs with their objects, the mesh's CA, certificates, elections.

    Args:
        cluster: The cluster.
        installation: The mesh.
        purge: Look for other control planes, too, which need the same things.

    Raises:
        ClusterError: The cluster cannot be reached, or refuses.
    """
    where = installation.namespace
    crds, certificates, made, rivals = await asyncio.gather(
        _crds(cluster),
        cluster.objects.list("v1", "ConfigMap", fields=f"metadata.name={observation.ROOT_CERT}", metadata_only=True),
        cluster.objects.get_all(_made_by_istiod(where), metadata_only=True),
        other_control_planes(cluster, installation) if purge else _none(),
    )
    proved = any(release.component in {BASE.name, ISTIOD.name} for release in installation.releases)
    known = proved or any(FIELD_MANAGER in managers_of(crd) for crd in crds)
    needed = f"{', '.join(rivals)} may need it" if rivals else ""
    found = list(await asyncio.gather(*(_crd(cluster, crd, _why_crd(crd, installation) or needed) for crd in crds)))
    stays = needed if known else _UNPROVED
    for ref, one in made.items():
        holds = "the mesh's root CA: a later mesh would trust another one" if ref.name == _CA_SECRET else ""
        if one is not None:
            found.append(Leftover(ref=ref, holds=holds, stays=stays))
    found += [
        Leftover(ref=ObjectRef("v1", "ConfigMap", observation.ROOT_CERT, one["metadata"]["namespace"]), stays=stays)
        for one in certificates
    ]
    return tuple(found)


async def other_control_planes(cluster: Cluster, installation: Installation) -> tuple[str, ...]:
    """Name what tells of a control plane that is not of these releases, in words; empty where there is none.

    Raises:
        ClusterError: The cluster cannot be reached, or refuses.
    """
    deployments, webhooks, releases = await asyncio.gather(
        cluster.objects.list("apps/v1", "Deployment", labels=f"app={ISTIOD.name}", metadata_only=True),
        cluster.objects.list(
            "admissionregistration.k8s.io/v1", "MutatingWebhookConfiguration", labels="istio.io/rev", metadata_only=True
        ),
        cluster.storage.installed(unreadable=[]),
    )
    ours = keys_of(installation)
    found = [
        str(ObjectRef("apps/v1", one["kind"], one["metadata"]["name"], one["metadata"].get("namespace", "")))
        for one in (*deployments, *webhooks)
        if helm_owner(one) not in ours
    ]
    found += [
        f"Helm release {one.namespace}/{one.name}"
        for one in releases.values()
        if one.chart == ISTIOD.name and (one.name, one.namespace) not in ours and "istio" in one.manifest
    ]
    return tuple(dict.fromkeys(found))


def keys_of(installation: Installation) -> frozenset[tuple[str, str]]:
    """Return the (name, namespace) of a mesh's releases, as Helm writes them on what they own."""
    return frozenset((release.name, release.namespace) for release in installation.releases)


def helm_owner(live: Manifest) -> tuple[str, str] | None:
    """Return the (name, namespace) of the Helm release that owns an object."""
    annotations = live["metadata"].get("annotations") or {}
    name = annotations.get("meta.helm.sh/release-name")
    return (str(name), str(annotations.get("meta.helm.sh/release-namespace", ""))) if name else None


def _made_by_istiod(namespace: str) -> list[ObjectRef]:
    secret = ObjectRef("v1", "Secret", _CA_SECRET, namespace)
    return [secret, *(ObjectRef("v1", "ConfigMap", name, namespace) for name in _ELECTIONS)]


async def _crds(cluster: Cluster) -> list[dict[str, Any]]:
    query = observation.CRDS
    listed = await cluster.objects.list(query.api_version, query.kind, metadata_only=True)
    return [one for one in listed if str(one["metadata"]["name"]).endswith(".istio.io")]


def _why_crd(crd: Manifest, installation: Installation) -> str:
    """Say why a CRD counts as somebody else's; empty where it is this mesh's."""
    if FIELD_MANAGER in managers_of(crd):
        return ""
    owner = owner_of(crd)
    if helm_owner(crd) is not None:
        # An earlier uninstall leaves them to a release that is gone: an installed one would be in the installation.
        gone = (BASE.default_release, installation.namespace)
        return "" if helm_owner(crd) in {*keys_of(installation), gone} else f"it belongs to {owner}"
    if owner == "istioctl":
        return f"it belongs to {owner}"
    # Up to chart 1.23 no release owns the CRDs that Helm itself installs (crds/).
    return "" if any(one.component == BASE.name for one in installation.releases) else _UNPROVED


async def _crd(cluster: Cluster, crd: Manifest, stays: str) -> Leftover:
    """Say how many objects of a CRD there are."""
    ref = ObjectRef(observation.CRDS.api_version, observation.CRDS.kind, str(crd["metadata"]["name"]))
    full = await cluster.objects.get(ref)
    if full is None:
        return Leftover(ref=ref, stays=stays)
    spec = full["spec"]
    version = next((str(one["name"]) for one in spec["versions"] if one.get("served")), "")
    objects = await cluster.objects.list(f"{spec['group']}/{version}", str(spec["names"]["kind"]), metadata_only=True)
    holds = f"{len(objects)} {spec['names']['plural']}" if objects else ""
    return Leftover(ref=ref, holds=holds, objects=len(objects), stays=stays)


async def _none() -> tuple[str, ...]:
    return ()
