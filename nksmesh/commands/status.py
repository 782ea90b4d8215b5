"""Status: what is installed, whether it is ready, which images run, where the gateways are."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from nksmesh.domain.charts.installed import InstalledRelease
from nksmesh.domain.charts.releases import BASE, GATEWAY, ISTIOD, Release
from nksmesh.domain.common.data import named
from nksmesh.domain.common.errors import NotReadyError
from nksmesh.domain.common.spelling import counted
from nksmesh.domain.gateways.endpoints import HTTP, endpoint_of
from nksmesh.domain.kube.images import proxy_image
from nksmesh.domain.kube.objects import Manifest, containers
from nksmesh.domain.kube.readiness import Readiness, first_unready, of_crd, ready, waiting
from nksmesh.domain.mesh.revisions import kept_name
from nksmesh.engine import observation
from nksmesh.engine.crds import istio_crds
from nksmesh.engine.discovery import Installation, find_installation
from nksmesh.engine.ports import Cluster, Helm


@dataclass(frozen=True, kw_only=True)
class ReleaseStatus:
    """One release as it is now.

    Attributes:
        readiness: Whether it is ready, and a sentence.
        troubles: What keeps its pods from being ready, in words.
    """

    release: Release
    installed: InstalledRelease
    readiness: Readiness
    images: tuple[str, ...] = ()
    troubles: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class GatewayAddress:
    """Where a gateway can be reached.

    Attributes:
        name: The gateway's release.
        service: ``NAMESPACE/NAME`` of its Service.
        kind: The Service's type.
        addresses: The LoadBalancer's addresses.
        http: HOST:PORT of the http2 port, as the NKS guide builds GATEWAY_URL: the LoadBalancer's, or else a node's.
    """

    name: str
    service: str
    kind: str = field(metadata=named("type"))
    addresses: tuple[str, ...]
    http: str = ""


@dataclass(frozen=True, kw_only=True)
class StatusResult:
    """The mesh of a cluster.

    Attributes:
        strays: Images that run outside the recorded hub.
    """

    kubernetes: str
    context: str
    installation: Installation
    releases: tuple[ReleaseStatus, ...] = ()
    gateways: tuple[GatewayAddress, ...] = ()
    strays: tuple[str, ...] = field(default=())
    asked_for_exit_code: bool = False

    @property
    def ready(self) -> bool:
        """Whether there is a mesh, everything of it is ready, and nothing of it is gone.

        Of another tool's mesh no more than its istiods is looked at.
        """
        if not self.releases:
            foreign = self.installation.foreign
            return bool(foreign) and all(istiod.readiness.ready for istiod in foreign)
        whole = not self.installation.gone
        return whole and all(row.readiness.ready and row.installed.deployed for row in self.releases)

    @property
    def exit_code(self) -> int:
        """6 where the mesh is not ready and the exit code was asked for, else 0."""
        return NotReadyError.exit_code if self.asked_for_exit_code and not self.ready else 0

    @property
    def notes(self) -> tuple[str, ...]:
        """What is worth knowing: of the installation, of other tools' istiods, and of Istio revisions' names."""
        named = (kept_name(row.release.istio_revision, row.installed.chart_version) for row in self.releases)
        beside = map(str, self.installation.foreign) if self.releases else ()
        return (*self.installation.notes, *beside, *(str(finding) for finding in named if finding))

    def json_form(self) -> dict[str, Any]:
        """Return what JSON has: the record and the releases in parts."""
        record = self.installation.record
        return {
            "installed": bool(self.releases or self.installation.foreign or self.installation.unseen),
            "ready": self.ready,
            "kubernetes": self.kubernetes,
            "context": self.context,
            "namespace": self.installation.namespace,
            "version": record.settings.version if record else "",
            "profile": record.settings.profile if record else "",
            "region": record.settings.region if record else "",
            "network": record.settings.network or "" if record else "",
            "hub": record.hub if record else "",
            "recorded": record is not None,
            "canary": record.canary.istio_revision if record and record.canary else "",
            "releases": [
                {
                    "name": status.release.name,
                    "component": status.release.component,
                    "namespace": status.release.namespace,
                    "istio_revision": status.release.istio_revision,
                    "chart_version": status.installed.chart_version,
                    "helm_revision": status.installed.helm_revision,
                    "helm_status": status.installed.status,
                    "ready": status.readiness.ready,
                    "message": status.readiness.message,
                    "images": status.images,
                    "troubles": status.troubles,
                }
                for status in self.releases
            ],
            "foreign": self.installation.foreign,
            "gone": self.installation.gone,
            "gateways": self.gateways,
            "images_outside_hub": self.strays,
            "notes": self.notes,
        }


async def status(cluster: Cluster, helm: Helm, namespace: str, *, asked_for_exit_code: bool = False) -> StatusResult:
    """Look at the mesh that a cluster has.

    Raises:
        ClusterError: The cluster cannot be reached, or refuses.
    """
    kubernetes, installation = await asyncio.gather(
        cluster.version(), find_installation(cluster, namespace, without_record=True)
    )
    manifests = {release: helm.parse(stored.manifest) for release, stored in installation.releases.items()}
    if manifests:
        queries = observation.queries_for((release.namespace for release in manifests), installation.namespace)
        own = (query for release, some in manifests.items() for query in observation.queries_of(release, some))
        await cluster.live.follow([*queries, *own])
    crds = {
        release: await _crds_ready(cluster, some)
        for release, some in manifests.items()
        if release.component == BASE.name
    }
    proxy = _proxy_of_default(manifests, installation)
    releases = tuple(
        _status_of(cluster, release, stored, manifests[release], crds.get(release), proxy)
        for release, stored in installation.releases.items()
    )
    hub = installation.record.hub if installation.record else ""
    admitted = (hub, *installation.record.settings.allow_images) if installation.record else ()
    allowed = tuple(f"{prefix.rstrip('/')}/" for prefix in admitted)
    images = sorted({image for row in releases for image in row.images})
    return StatusResult(
        kubernetes=kubernetes,
        context=cluster.context,
        installation=installation,
        releases=releases,
        gateways=tuple(_gateways(cluster, manifests)),
        strays=tuple(image for image in images if hub and not image.startswith(allowed)),
        asked_for_exit_code=asked_for_exit_code,
    )


def _proxy_of_default(manifests: Mapping[Release, tuple[Manifest, ...]], installation: Installation) -> str:
    """Return the proxy of the istiod that gateways follow: with a canary there are two, and it is the mesh's own."""
    record = installation.record
    own = record.settings.revisions.istio_revision if record else ""
    istiods = {release: some for release, some in manifests.items() if release.component == ISTIOD.name}
    meant = [some for release, some in istiods.items() if release.istio_revision == own] or list(istiods.values())
    return next(map(proxy_image, meant), "")


async def _crds_ready(cluster: Cluster, manifests: tuple[Manifest, ...]) -> Readiness:
    """Judge base by its CRDs: those it renders or, up to chart 1.23, those of Istio that are there."""
    names = observation.crd_names(manifests)
    names = names or tuple(str(crd["metadata"]["name"]) for crd in await istio_crds(cluster.objects))
    if not names:
        return waiting("Istio's CRDs to be created: run nksmesh install again")
    found = await cluster.objects.get_all(map(observation.crd_ref, names))
    unready = first_unready(of_crd(crd, ref.name) for ref, crd in found.items())
    return unready or ready(f"{counted(len(names), 'CRD is', 'CRDs are')} Established")


def _status_of(
    cluster: Cluster,
    release: Release,
    installed: InstalledRelease,
    manifests: tuple[Manifest, ...],
    crds: Readiness | None,
    proxy: str,
) -> ReleaseStatus:
    if crds is not None:
        readiness = crds
    elif release.component == GATEWAY.name:
        readiness = observation.gateway_ready(cluster.live, release, manifests, proxy)
    else:
        readiness = observation.rollout_of(cluster.live, release, manifests)
        if readiness.ready and release.component == ISTIOD.name:
            webhook = observation.webhook_configured(cluster.live, release)
            readiness = readiness if webhook.ready else webhook
    if not installed.deployed:
        readiness = waiting(f"Helm left it {installed.status}: run nksmesh install again")
    pods = observation.pods_of(cluster.live, release, manifests)
    return ReleaseStatus(
        release=release,
        installed=installed,
        readiness=readiness,
        images=tuple(sorted({str(container.get("image", "")) for pod in pods for container in containers(pod)})),
        troubles=tuple(str(trouble) for trouble in observation.troubles_of(cluster.live, release, manifests)),
    )


def _gateways(cluster: Cluster, manifests: dict[Release, tuple[Manifest, ...]]) -> Iterable[GatewayAddress]:
    for release, rendered in manifests.items():
        for ref in observation.services_of(release, rendered) if release.component == GATEWAY.name else ():
            live = cluster.live.get("Service", ref.name, ref.namespace)
            if live is None:
                continue
            endpoint = endpoint_of(release.name, live, observation.pods_of(cluster.live, release, rendered))
            yield GatewayAddress(
                name=release.name,
                service=endpoint.service,
                kind=endpoint.kind,
                addresses=endpoint.addresses,
                http=str(endpoint.address(HTTP) or ""),
            )
