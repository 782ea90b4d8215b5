"""What the rules of ``nksmesh check`` look at, read once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from nksmesh.domain.charts.releases import Release
from nksmesh.domain.kube.objects import Manifest
from nksmesh.domain.kube.readiness import Readiness
from nksmesh.domain.kube.workloads import Workload
from nksmesh.domain.mesh.mesh import Mesh
from nksmesh.domain.plan.plan import ReleaseChange


@dataclass(frozen=True, kw_only=True)
class InstalledFacts:
    """What is there of a mesh that is installed.

    Attributes:
        namespace: The control plane's namespace.
        version: Its Istio version; empty where nothing records it.
        proxy_image: The proxy image that its istiod injects; empty where that is not known.
        readiness: For each release, whether it is ready.
        gone: Releases that the record has and Helm has not.
        root_ends: When the root certificate that proxies trust expires; None where there is none to read.
        workloads: The users' workloads with a sidecar.
    """

    namespace: str
    version: str
    proxy_image: str
    readiness: Mapping[Release, Readiness]
    gone: tuple[Release, ...] = ()
    root_ends: datetime | None = None
    workloads: tuple[Workload, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ClusterFacts:
    """What is known of a cluster; a fact that is None could not be had, or does not concern what is asked.

    Attributes:
        now: When it was looked at.
        helm: The version of the Helm that is driven, X.Y.Z.
        credential_ends: When the user's credential expires; None where it does not say.
        nodes: The nodes.
        namespaces: The namespaces' metadata.
        daemon_sets: The DaemonSets of kube-system, and of the mesh's namespace where that is known.
        cilium: Cilium's ConfigMap; empty without Cilium.
        felix: The spec of Calico's FelixConfiguration ``default``; empty without one.
        gateway_api: The Gateway API's CRDs are there.
        token_request: The API server issues tokens for a pod's service account (third-party JWT).
        denied: What the user may not do of what an install does, in words.
        webhooks: Istio's webhook configurations.
        services: The (namespace, name) of the Services that those call, and that exist.
        left_crds: Istio's CRDs, where there is no mesh.
        mesh: The mesh that is meant.
        changes: Its releases, rendered.
        installed: The mesh that is there.
        unknown: For each fact that could not be had, why, in words.
    """

    now: datetime
    helm: str = ""
    credential_ends: datetime | None = None
    nodes: Sequence[Manifest] | None = None
    namespaces: Sequence[Manifest] | None = None
    daemon_sets: Sequence[Manifest] | None = None
    cilium: Mapping[str, Any] | None = None
    felix: Mapping[str, Any] | None = None
    gateway_api: bool | None = None
    token_request: bool | None = None
    denied: tuple[str, ...] | None = None
    webhooks: Sequence[Manifest] | None = None
    services: frozenset[tuple[str, str]] | None = None
    left_crds: tuple[str, ...] | None = None
    mesh: Mesh | None = None
    changes: Mapping[str, ReleaseChange] | None = None
    installed: InstalledFacts | None = None
    unknown: Mapping[str, str] = field(default_factory=dict)
