"""The desired mesh: what options, environment and record together resolve to, before any chart is read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from typing import Any, Final

from nksmesh.domain.charts.releases import Release
from nksmesh.domain.common.data import HIDDEN, named
from nksmesh.domain.values.layers import Layer

ISTIO_NAMESPACE: Final = "istio-system"


class Network(StrEnum):
    """Whether the cluster reaches the internet (the NKS guide's two columns of registries)."""

    PUBLIC = "public"
    PRIVATE = "private"


@dataclass(frozen=True, kw_only=True)
class MeshSettings:
    """What one source says of a mesh: the options, an environment, or the record. What it leaves empty, another says.

    Attributes:
        hub: A registry of the user's own.
        namespace: The control plane's namespace.
        charts: Where the charts come from, a password included; a folder is absolute.
        allow_images: Prefixes of images that may lie outside the hub.
        release_names: For a component that is no gateway, its Helm release, where that has another name than usual.
    """

    region: str = ""
    network: Network | None = None
    hub: str = ""
    version: str = ""
    profile: str = ""
    namespace: str = ""
    charts: str = field(default="", repr=False)
    allow_images: tuple[str, ...] = ()
    release_names: Mapping[str, str] = field(default_factory=dict, metadata=named("releases"))


@dataclass(frozen=True, kw_only=True)
class Region:
    """An NKS region and its registries, word for word from the NKS guide.

    Attributes:
        name: ``kr1``, ``gov-kr2``.
        title: The region's name as the guide writes it.
        title_en: The same in English.
        hubs: The registry path for each network.
        versions: The Istio versions this region's registry provides.
        kubernetes: The Kubernetes minors the guide lists for those versions, such as ``1.28``.
        hosts: Patterns of the API servers' hosts of its clusters; ``*`` is a run of letters and digits.
        zones: Patterns of its nodes' zones, ``kr-pub-*``.
    """

    name: str
    title: str
    title_en: str = ""
    hubs: Mapping[Network, str] = field(metadata=named("registries"))
    versions: tuple[str, ...] = field(metadata=named("istio"))
    kubernetes: tuple[str, ...]
    hosts: tuple[str, ...] = field(default=(), metadata=HIDDEN)
    zones: tuple[str, ...] = field(default=(), metadata=HIDDEN)


@dataclass(frozen=True, kw_only=True)
class IstioVersion:
    """An Istio minor, and the Kubernetes minors it runs on (istio-facts: supportStatus.yml, istioctl's MinK8SVersion).

    Attributes:
        minor: ``1.20``.
        kubernetes_min: Lowest supported Kubernetes minor: below it is "tested, not supported".
        kubernetes_max: Highest supported Kubernetes minor.
        kubernetes_floor: istioctl's own minimum: below it nothing is installed.
        versions: The patch versions nksmesh knows of, oldest first.
        tested: Those of them that nksmesh's own tests run.
        support_ends: The day Istio's support of it ends; None where it is not known.
        planned: That day was still to come when it was looked up.
    """

    minor: str
    kubernetes_min: str
    kubernetes_max: str
    kubernetes_floor: str
    versions: tuple[str, ...]
    tested: tuple[str, ...] = ()
    support_ends: date | None = None
    planned: bool = False


@dataclass(frozen=True, kw_only=True)
class GatewaySpec:
    """A gateway as mesh.yaml or a profile lists it: a release of the gateway chart.

    Attributes:
        name: The Helm release name, which is the Service's name too.
        namespace: Its namespace; empty is the control plane's.
        values: Its own values, laid over the profile's.
        load_balancer: What mesh.yaml says of its load balancer, as it is written there.
    """

    name: str
    namespace: str = ""
    values: Mapping[str, Any] = field(default_factory=dict)
    load_balancer: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class DeployedRevisions:
    """The Istio revisions of a mesh: after a canary was promoted, its istiod has one.

    Attributes:
        istio_revision: Its Istio revision; empty for the one without.
        default_revision: The Istio revision that base's validator calls; empty for the istiod without one.
        tags: The revision tags that point to it.
        base_version: The chart version of base, where an aborted canary left a later one than the mesh's.
    """

    istio_revision: str = ""
    default_revision: str = ""
    tags: tuple[str, ...] = ()
    base_version: str = ""


@dataclass(frozen=True, kw_only=True)
class Mesh:
    """What a run resolved.

    Attributes:
        version: The Istio version, such as ``1.20.0``.
        profile: ``default`` or ``demo``.
        hub: The registry path every image must come from.
        region: The region's name, or empty with a hub of the user's own and no region.
        chart_source: Where the charts come from, a password included: ``public_source`` says what may be shown.
        environment: The environment's name, or empty.
        releases: In install order.
        layers: For each release's name, its layers, weakest first.
        own_hub: The hub is a registry of the user's own, not the region's.
        full_image_paths: The proxy images are set as full paths, tag included, not as bare names.
        pull_secrets: The names of the secrets that images are pulled with.
        allow_images: Prefixes of images that may lie outside the hub.
        gateways: As they were listed; the record keeps them.
        components: The optional components, such as ``cni``; the record keeps them.
        release_names: For a component that is no gateway, its Helm release, where that has another name than usual.
        revisions: The deployed Istio revisions and tags.
        forced: What was found against its version, word for word, and gone on with all the same (--force-version).
    """

    version: str
    profile: str
    hub: str
    region: str = ""
    network: Network = Network.PUBLIC
    namespace: str = ISTIO_NAMESPACE
    chart_source: str = field(repr=False)
    environment: str = ""
    releases: tuple[Release, ...]
    layers: Mapping[str, tuple[Layer, ...]] = field(repr=False)
    own_hub: bool = False
    full_image_paths: bool = False
    pull_secrets: tuple[str, ...] = ()
    allow_images: tuple[str, ...] = ()
    gateways: tuple[GatewaySpec, ...] = ()
    components: tuple[str, ...] = ()
    release_names: Mapping[str, str] = field(default_factory=dict)
    revisions: DeployedRevisions = field(default_factory=DeployedRevisions)
    forced: tuple[str, ...] = ()
