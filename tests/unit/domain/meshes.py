"""A small mesh: base, istiod and a gateway, with charts and renders to go with it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nksmesh.domain.charts.chart import Chart, ChartRef
from nksmesh.domain.charts.installed import InstalledRelease
from nksmesh.domain.charts.releases import Release
from nksmesh.domain.kube.objects import Manifest
from nksmesh.domain.mesh.mesh import ISTIO_NAMESPACE, Mesh
from nksmesh.domain.plan.plan import ReleaseChange
from nksmesh.domain.values.layers import Layer, compose

HUB = "registry.example/istio"

WHOLE = ("meshConfig", "resources")
"""Maps that a made chart reads as a whole."""

BASE = Release(component="base", name="istio-base", namespace=ISTIO_NAMESPACE)
ISTIOD = Release(component="istiod", name="istiod", namespace=ISTIO_NAMESPACE)
INGRESS = Release(component="gateway", name="istio-ingressgateway", namespace=ISTIO_NAMESPACE)
EDGE = Release(component="gateway", name="edge", namespace="edge")


def mesh(*gateways: Release, **changed: Any) -> Mesh:
    """Make a mesh with these gateways."""
    releases = (BASE, ISTIOD, *gateways)
    fields: dict[str, Any] = {
        "version": "1.20.0",
        "profile": "default",
        "hub": HUB,
        "region": "kr1",
        "chart_source": "charts",
        "releases": releases,
        "layers": {release.name: () for release in releases},
    }
    return Mesh(**{**fields, **changed})


def chart(
    component: str,
    *,
    version: str = "1.20.0",
    crds: Sequence[Manifest] = (),
    digest: str = "",
    defaults: Mapping[str, Any] | None = None,
) -> Chart:
    """Make a chart that was fetched; its template reads every key of its defaults, and some maps whole."""
    keys = [path for path, _, _ in compose([Layer(name="values.yaml", values=defaults or {})]).leaves()]
    lengths = [min([len(path), *(path.index(key) + 1 for key in WHOLE if key in path)]) for path in keys]
    places = [" ".join(map(json.dumps, path[:length])) for path, length in zip(keys, lengths, strict=True)]
    reads = [f"{{{{ index .Values {place} }}}}" for place in places]
    return Chart(
        ref=ChartRef(name=component, version=version, source="charts"),
        folder=Path("/charts") / component,
        digest=digest or f"sha256:{component}-{version}",
        app_version=version,
        defaults=defaults or {},
        crds=tuple(crds),
        templates={"templates/all.yaml": "\n".join(reads)},
    )


def installed(release: Release, **changed: Any) -> InstalledRelease:
    """Make what Helm has of a release."""
    fields: dict[str, Any] = {
        "name": release.name,
        "namespace": release.namespace,
        "helm_revision": 1,
        "status": "deployed",
        "chart": release.component,
        "chart_version": "1.20.0",
    }
    return InstalledRelease(**{**fields, **changed})


def change(
    release: Release,
    *,
    manifests: Sequence[Manifest] = (),
    layers: Sequence[Layer] = (),
    installed: InstalledRelease | None = None,
    reasons: Sequence[str] = ("it is not installed",),
    stale_pods: Sequence[str] = (),
    crds: Sequence[Manifest] = (),
) -> ReleaseChange:
    """Make what is to become of a release: written anew unless it is said otherwise."""
    return ReleaseChange(
        release=release,
        chart=chart(release.component, crds=crds),
        layers=tuple(layers),
        composed=compose(layers),
        manifests=tuple(manifests),
        installed=installed,
        reasons=tuple(reasons),
        stale_pods=tuple(stale_pods),
    )


def changes_of(*all_changes: ReleaseChange) -> Mapping[str, ReleaseChange]:
    """Name changes by their release."""
    return {one.release.name: one for one in all_changes}
