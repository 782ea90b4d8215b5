"""A mesh that somebody made with Helm by hand, described in nksmesh's words.

The description keeps a promise: composed again, a release's layers give every value that Helm has stored of it
(kept_values.py). What our own layers add to that (the hub and the tag, where the chart's defaults did) is named.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from nksmesh.domain.charts.installed import InstalledRelease
from nksmesh.domain.charts.releases import BASE, GATEWAY, ISTIOD, OPTIONAL, Release
from nksmesh.domain.common.errors import ConfigError
from nksmesh.domain.common.findings import Finding
from nksmesh.domain.kube.images import images_of, proxy_image
from nksmesh.domain.kube.objects import Manifest
from nksmesh.domain.mesh.catalog import Catalog
from nksmesh.domain.mesh.mesh import ISTIO_NAMESPACE, DeployedRevisions, GatewaySpec, Mesh, Network
from nksmesh.domain.mesh.region_layer import PROXY_IMAGE
from nksmesh.domain.mesh.request import Recorded, Request
from nksmesh.domain.mesh.revisions import names_of
from nksmesh.domain.values.layers import compose, value_at


@dataclass(frozen=True, kw_only=True)
class HelmMesh:
    """The releases of a mesh as Helm has them.

    Attributes:
        releases: What Helm has of each release.
        manifests: What Helm applied of each.
    """

    namespace: str
    releases: Mapping[Release, InstalledRelease]
    manifests: Mapping[Release, tuple[Manifest, ...]] = field(repr=False)

    def only(self, component: str) -> Release:
        """Return the one release of a component.

        Raises:
            ConfigError: There is none, or more than one.
        """
        found = [release for release in self.releases if release.component == component]
        if len(found) == 1:
            return found[0]
        if not found:
            raise ConfigError(
                f"there is no Helm release of the chart {component} in namespace {self.namespace}",
                hint="Run nksmesh adopt --from istioctl for a mesh that istioctl installed, or "
                "nksmesh install for a new mesh.",
            )
        names = ", ".join(release.name for release in found)
        raise ConfigError(
            f"there are {len(found)} Helm releases of the chart {component} in namespace {self.namespace}: {names}",
            hint="nksmesh adopts a mesh with one of them. Remove the others first.",
        )


def settings_of_mesh(found: HelmMesh, request: Request, catalog: Catalog) -> Recorded:
    """Describe a mesh as an earlier run would have left it, without the layers beyond our own.

    Raises:
        ConfigError: It is no mesh that nksmesh could have made.
    """
    found.only(BASE.name)
    istiod = found.only(ISTIOD.name)
    installed = found.releases[istiod]
    version = installed.chart_version
    hub = hub_of(found.manifests[istiod])
    region, network = region_of(hub, version, catalog)
    revision = istiod.with_revision_of(installed.values).istio_revision
    names = {
        release.component: release.name
        for release in found.releases
        if release.component != GATEWAY.name and release.name != release.kind.default_release
    }
    optional = tuple(name for name in OPTIONAL if any(release.component == name for release in found.releases))
    for name in optional:
        found.only(name)
    # Helm cannot rename a release: one that is not named after its Istio revision keeps its name and its values.
    named_after_it = bool(revision) and istiod.name == names_of(revision).release
    if named_after_it:
        names.pop(ISTIOD.name, None)
    tags = installed.values.get("revisionTags")
    own = installed.values.get("global") or {}
    full = f"{hub}/{PROXY_IMAGE}:{version}"
    images = [value_at(own, (key, "image")) for key in ("proxy", "proxy_init")]
    return Recorded(
        region=region,
        network=network,
        hub="" if region else hub,
        version=version,
        profile=request.profile,
        namespace=found.namespace,
        allow_images=tuple(dict.fromkeys((*_elsewhere(found, hub), *request.allow_images))),
        release_names=names,
        components=optional,
        gateways=tuple(
            GatewaySpec(name=release.name, namespace="" if release.namespace == found.namespace else release.namespace)
            for release in found.releases
            if release.component == GATEWAY.name
        ),
        full_image_paths=images == [full, full],
        revisions=DeployedRevisions(istio_revision=revision, tags=tuple(tags) if isinstance(tags, list) else ())
        if named_after_it
        else DeployedRevisions(),
    )


def hub_of(manifests: Iterable[Manifest]) -> str:
    """Return the registry path that an istiod takes its proxies from.

    Raises:
        ConfigError: Its manifest has no injector.
    """
    image = proxy_image(manifests)
    if "/" not in image:
        raise ConfigError(
            "the istiod release has no injector, so the registry of its proxies is unknown",
            hint="Run helm get manifest on the release to see it. An istiod that is served by "
            "another one cannot be adopted.",
        )
    return image.rpartition("/")[0]


def environment_of(mesh: Mesh, context: str) -> dict[str, dict[str, Any]]:
    """Write a mesh as an environment: mesh.yaml and a file of values for each release that has any of its own.

    Args:
        context: The kubeconfig's context; empty leaves the cluster open.

    Returns:
        The files' contents by their names.
    """
    said: dict[str, Any] = {
        "context": context,
        "region": mesh.region,
        "network": mesh.network.value if mesh.region and mesh.network is not Network.PUBLIC else "",
        "hub": mesh.hub if mesh.own_hub else "",
        "version": mesh.version,
        "profile": mesh.profile,
        "namespace": mesh.namespace if mesh.namespace != ISTIO_NAMESPACE else "",
        "full_image_paths": mesh.full_image_paths,
        "pull_secrets": list(mesh.pull_secrets),
        "allow_images": list(mesh.allow_images),
        "components": list(mesh.components),
        "releases": dict(mesh.release_names),
    }
    written: dict[str, Any] = {key: value for key, value in said.items() if value}
    written["gateways"] = [
        {"name": spec.name, **({"namespace": spec.namespace} if spec.namespace else {})} for spec in mesh.gateways
    ]
    files = {"mesh.yaml": written}
    for release in mesh.releases:
        kept = compose(layer for layer in mesh.layers[release.name] if layer.option).values
        if kept:
            target = release.name if release.component == GATEWAY.name else release.component
            files[f"{target}.yaml"] = dict(kept)
    return files


def check_options(request: Request, settings: Recorded, hub: str) -> tuple[Finding, ...]:
    """Judge the options of an adoption: a failure for each that changes the mesh, or says something else of it.

    Args:
        settings: The mesh as ``settings_of_mesh`` describes it.
        hub: The registry path that its istiod takes proxies from.
    """
    message = "-f and --set change a mesh, but adopt only describes the existing one"
    hint = "Leave them out, and pass them to nksmesh install afterwards."
    values = Finding(id="adopt.values-option", message=message, hint=hint, error=ConfigError)
    network = request.network.value if request.network and settings.region else ""
    options = (
        ("--version", request.version, settings.version),
        ("--hub", request.hub.rstrip("/"), hub),
        ("--region", request.region, settings.region),
        ("--network", network, settings.network.value if settings.network else ""),
    )
    return (
        *((values,) if request.values_files or request.sets else ()),
        *(
            Finding(
                id="adopt.other-option",
                subject=option,
                message=f"{option} {said} contradicts what is installed: {found or 'no region has that registry'}",
                hint="adopt describes the existing mesh. Leave the option out, and pass it to "
                "nksmesh install or upgrade afterwards.",
                error=ConfigError,
            )
            for option, said, found in options
            if said and said != found
        ),
    )


def region_of(hub: str, version: str, catalog: Catalog) -> tuple[str, Network]:
    """Find the region whose registry a hub is and which provides the version; without one the hub is the user's."""
    for name, region in catalog.regions.items():
        for network, registry in region.hubs.items():
            if registry == hub and version in region.versions:
                return name, network
    return "", Network.PUBLIC


def _elsewhere(found: HelmMesh, hub: str) -> list[str]:
    """Name the registry paths beside the hub that the mesh's images come from."""
    return [
        image.image.rpartition("/")[0]
        for release, manifests in found.manifests.items()
        for image in sorted(set(images_of(manifests, release.namespace)))
        if not image.opt_in and not image.lies_in((hub,)) and "/" in image.image
    ]
