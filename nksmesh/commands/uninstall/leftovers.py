"""What Helm leaves of a mesh, and which of it is provably this mesh's (istio-facts 5).

Every function that asks the cluster raises ClusterError where it cannot be reached, or refuses.
"""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace
from typing import Final

from nksmesh.commands.canary.relabelling import labels_before
from nksmesh.commands.uninstall.orphan_webhooks import calls_only, keys_of, services_of
from nksmesh.domain.charts.releases import BASE, ISTIOD
from nksmesh.domain.kube.objects import FIELD_MANAGER, Manifest, ObjectRef, helm_marks, managers_of, ref_of
from nksmesh.domain.kube.owners import Tool, owner_of
from nksmesh.domain.mesh.revisions import injection_labels
from nksmesh.domain.plan.pull_secrets import MADE_FOR
from nksmesh.domain.uninstall.leftovers import Labelled, Leftover
from nksmesh.engine import observation
from nksmesh.engine.crds import istio_crds, objects_of_crd
from nksmesh.engine.discovery import Installation
from nksmesh.engine.permissions import where_allowed
from nksmesh.engine.ports import Cluster

_CA_SECRET: Final = "istio-ca-secret"  # noqa: S105 - the name of a Secret, not a secret
_ELECTIONS: Final = (
    "istio-analyze-leader",
    "istio-clustertrustbundle-controller-election",
    "istio-gateway-status-leader",
    "istio-ip-autoallocate",
    "istio-leader",
    "istio-namespace-controller-election",
    "istio-serviceexport-controller-election",
    "istio-status-leader",
)
"""The ConfigMaps in which istiod's replicas elect who does what; istiod makes them and nobody owns them."""

_LEASES: Final = re.compile(
    r"(istio-gateway-deployment|istio-gateway-inferencepool|istio-gateway-status-leader|istio-ip-autoallocate|istio-node-untaint)(-(?P<rev>.+))?"
)
"""The Leases of the elections that came later (istio's pilot/pkg/leaderelection); some are one for each revision."""

_CLASSES: Final = frozenset({"istio", "istio-remote", "istio-waypoint"})
"""The GatewayClasses that istiod makes where the Gateway API is there."""

_UNPROVED: Final = "it may belong to another mesh"


async def find_leftovers(
    cluster: Cluster, installation: Installation, *, purge: bool, keep_crds: bool = False
) -> tuple[tuple[Leftover, ...], tuple[Labelled, ...]]:
    """Name what Helm leaves of a mesh: CRDs with their objects, the mesh's CA, certificates, elections; and labels.

    Args:
        purge: Look for other control planes, too, which need the same things.
        keep_crds: The CRDs with all Istio objects stay, whatever goes.

    Raises:
        ClusterError: The cluster cannot be reached, or refuses.
        ConfigError: A namespace's labels from before a canary cannot be read.
    """
    where = installation.namespace
    crds, certificates, (made, secrets), (leases, classes), labelled, rivals = await asyncio.gather(
        istio_crds(cluster.objects),
        _published(cluster),
        asyncio.gather(
            cluster.objects.get_all(_made_by_istiod(where), metadata_only=True), _pull_secrets(cluster, where)
        ),
        asyncio.gather(leases_of(cluster, where), _gateway_classes(cluster)),
        _labelled(cluster),
        other_control_planes(cluster, installation) if purge else _none(),
    )
    proved = any(release.component in {BASE.name, ISTIOD.name} for release in installation.releases)
    known = proved or any(FIELD_MANAGER in managers_of(crd) for crd in crds)
    needed = f"{', '.join(rivals)} may need it" if rivals else ""
    wanted = "--keep-crds" if keep_crds else needed
    found = list(await asyncio.gather(*(_crd(cluster, crd, _why_crd(crd, installation) or wanted) for crd in crds)))
    stays = needed if known else _UNPROVED
    for ref, manifest in made.items():
        holds = "the mesh's root CA: without it a later mesh would trust another one" if ref.name == _CA_SECRET else ""
        if manifest is not None:
            found.append(Leftover(ref=ref, holds=holds, stays=stays))
    found += [Leftover(ref=ref, stays=stays) for ref in (*leases, *classes, *certificates)]
    found += [Leftover(ref=ref, made=True) for ref in secrets]
    return tuple(found), tuple(replace(entry, stays=stays) for entry in labelled)


async def leases_of(cluster: Cluster, namespace: str, istio_revision: str | None = None) -> tuple[ObjectRef, ...]:
    """Name the Leases by which istiod's replicas elect who does what.

    Args:
        istio_revision: Only those that are this Istio revision's own, in words; None for all.
    """
    listed = await cluster.objects.list("coordination.k8s.io/v1", "Lease", namespace, metadata_only=True)
    names = [str(lease["metadata"]["name"]) for lease in listed]
    matches = [match for name in names if (match := _LEASES.fullmatch(name)) is not None]
    return tuple(
        ObjectRef("coordination.k8s.io/v1", "Lease", match[0], namespace)
        for match in matches
        if istio_revision in {None, match["rev"]}
    )


async def _published(cluster: Cluster) -> tuple[ObjectRef, ...]:
    """Name the ConfigMaps that istiod publishes to every namespace."""
    names = (f"metadata.name={name}" for name in observation.PUBLISHED)
    listed = await asyncio.gather(
        *(cluster.objects.list("v1", "ConfigMap", fields=name, metadata_only=True) for name in names)
    )
    metadata = [live["metadata"] for some in listed for live in some]
    return tuple(ObjectRef("v1", "ConfigMap", str(meta["name"]), str(meta["namespace"])) for meta in metadata)


async def _pull_secrets(cluster: Cluster, namespace: str) -> tuple[ObjectRef, ...]:
    """Name the pull secrets that nksmesh made for a mesh; none where Secrets may not be listed."""
    labels = f"{MADE_FOR}={namespace}"
    listed = await where_allowed(cluster.objects.list("v1", "Secret", labels=labels, metadata_only=True), ())
    metadata = [secret["metadata"] for secret in listed]
    return tuple(ObjectRef("v1", "Secret", str(meta["name"]), str(meta["namespace"])) for meta in metadata)


async def other_control_planes(cluster: Cluster, installation: Installation) -> tuple[str, ...]:
    """Name what tells of a control plane that is not of these releases, in words; empty where there is none."""
    deployments, webhooks, releases = await asyncio.gather(
        cluster.objects.list("apps/v1", "Deployment", labels=f"app={ISTIOD.name}", metadata_only=True),
        cluster.objects.list("admissionregistration.k8s.io/v1", "MutatingWebhookConfiguration", labels="istio.io/rev"),
        cluster.storage.installed(unreadable=[]),
    )
    ours, services = keys_of(installation), services_of(installation)
    webhooks = [webhook for webhook in webhooks if not calls_only(webhook, services)]
    found = [str(ref_of(manifest)) for manifest in (*deployments, *webhooks) if helm_marks(manifest) not in ours]
    found += [
        f"Helm release {installed.namespace}/{installed.name}"
        for installed in releases.values()
        if installed.chart == ISTIOD.name and installed.key not in ours and "istio" in installed.manifest
    ]
    return tuple(dict.fromkeys(found))


def _made_by_istiod(namespace: str) -> list[ObjectRef]:
    secret = ObjectRef("v1", "Secret", _CA_SECRET, namespace)
    return [secret, *(ObjectRef("v1", "ConfigMap", name, namespace) for name in _ELECTIONS)]


async def _gateway_classes(cluster: Cluster) -> tuple[ObjectRef, ...]:
    listed = await cluster.objects.list("gateway.networking.k8s.io/v1", "GatewayClass")
    return tuple(
        ref_of(manifest)
        for manifest in listed
        if manifest["metadata"]["name"] in _CLASSES
        and str((manifest.get("spec") or {}).get("controllerName", "")).startswith("istio.io/")
    )


async def _labelled(cluster: Cluster) -> tuple[Labelled, ...]:
    """List the namespaces with a label for injection; what a canary has changed of it is to be as it was."""
    listed = await cluster.objects.list("v1", "Namespace", metadata_only=True)
    found: list[Labelled] = []
    for manifest in listed:
        before = labels_before(manifest)
        labels = injection_labels(manifest["metadata"].get("labels") or {}) if before is None else before
        if labels:
            found.append(Labelled(namespace=str(manifest["metadata"]["name"]), labels=labels))
    return tuple(found)


def _why_crd(crd: Manifest, installation: Installation) -> str:
    """Say why a CRD counts as somebody else's; empty where it is this mesh's."""
    if FIELD_MANAGER in managers_of(crd):
        return ""
    owner = owner_of(crd)
    if helm_marks(crd) is not None:
        # An earlier uninstall leaves them to a release that is gone: an installed one would be in the installation.
        gone = (installation.namespace, BASE.default_release)
        return "" if helm_marks(crd) in {*keys_of(installation), gone} else f"it belongs to {owner}"
    if owner.tool not in {Tool.KUBECTL, Tool.OTHER, Tool.NOBODY}:
        return f"it belongs to {owner}"
    # Up to chart 1.23 no release owns the CRDs that Helm itself installs (crds/).
    return "" if any(release.component == BASE.name for release in installation.releases) else _UNPROVED


async def _crd(cluster: Cluster, crd: Manifest, stays: str) -> Leftover:
    """Say how many objects of a CRD there are."""
    ref = observation.crd_ref(str(crd["metadata"]["name"]))
    objects = await objects_of_crd(ref, cluster.objects)
    plural = ref.name.partition(".")[0]
    holds = f"{len(objects)} {plural}" if objects else ""
    return Leftover(ref=ref, holds=holds, objects=len(objects), stays=stays)


async def _none() -> tuple[str, ...]:
    return ()
