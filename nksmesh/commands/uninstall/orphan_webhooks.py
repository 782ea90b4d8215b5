"""Webhooks that call an istiod which goes: what is left of them would refuse every object they are about.

Helm takes those with it that a release has. A tag that was set with istioctl, or rendered and applied by hand, is of
no release; with no istiod behind it, it stops every pod of the namespaces that carry it (istio-facts 5).
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import Final

from nksmesh.domain.charts.installed import InstalledRelease
from nksmesh.domain.charts.releases import ISTIOD, Release
from nksmesh.domain.kube.objects import Manifest, ObjectRef, called_services, helm_marks
from nksmesh.domain.mesh.revisions import names_of
from nksmesh.engine.discovery import Installation
from nksmesh.engine.ports import Cluster

_API: Final = "admissionregistration.k8s.io/v1"
_KINDS: Final = ("MutatingWebhookConfiguration", "ValidatingWebhookConfiguration")


def keys_of(installation: Installation) -> frozenset[tuple[str, str]]:
    """Return the (namespace, name) of a mesh's releases."""
    return frozenset(release.key for release in installation.releases)


def istio_revision_of(release: Release, installed: InstalledRelease) -> str:
    """Return the Istio revision of an istiod; without a record its chart's value tells."""
    return release.istio_revision or release.with_revision_of(installed.values).istio_revision


def services_of(installation: Installation) -> frozenset[tuple[str, str]]:
    """Return the (namespace, name) of the Services of a mesh's istiods."""
    return frozenset(
        (release.namespace, names_of(istio_revision_of(release, installed), release.namespace).workload)
        for release, installed in installation.releases.items()
        if release.component == ISTIOD.name
    )


def calls_only(configuration: Manifest, services: Collection[tuple[str, str]]) -> bool:
    """Tell whether all webhooks of a configuration, one at least, call these Services."""
    called = called_services(configuration)
    return bool(called) and called <= set(services)


async def webhooks_left_by(installation: Installation, cluster: Cluster) -> tuple[ObjectRef, ...]:
    """Name the webhook configurations that call the istiods of a mesh and alone them, and that are of no release.

    Raises:
        ClusterError: The cluster cannot be reached, or refuses.
    """
    services = services_of(installation)
    if not services:
        return ()
    listed = await asyncio.gather(*(cluster.objects.list(_API, kind) for kind in _KINDS))
    return tuple(
        ObjectRef(_API, kind, str(webhook["metadata"]["name"]))
        for kind, some in zip(_KINDS, listed, strict=True)
        for webhook in some
        if helm_marks(webhook) is None and calls_only(webhook, services)
    )
