"""From what the user said to the desired mesh: each field from the strongest source that has a word on it.

The order is the same for every field: option, environment, what is installed (the record), and a default. The region's
default is the one that was read of the cluster; the version's is one that fits the cluster.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Final

from nksmesh.domain.charts.chart import OFFICIAL_SOURCE
from nksmesh.domain.charts.lock import public_source
from nksmesh.domain.common.errors import ConfigError
from nksmesh.domain.mesh.catalog import Catalog, Environment, check_hub, check_label
from nksmesh.domain.mesh.location import Location
from nksmesh.domain.mesh.mesh import ISTIO_NAMESPACE, DeployedRevisions, Mesh, Network
from nksmesh.domain.mesh.ncr import hub_for
from nksmesh.domain.mesh.region_layer import ImageSource
from nksmesh.domain.mesh.release_layers import Sources, check_targets, layers_of_release
from nksmesh.domain.mesh.release_names import gateways_anywhere, releases_of
from nksmesh.domain.mesh.request import Recorded, Request
from nksmesh.domain.mesh.versions import minor_of, newest, newest_that_fits, parse_version
from nksmesh.domain.values.layers import Layer, compose

DEFAULT_PROFILE: Final = "default"


@dataclass(frozen=True, kw_only=True)
class Resolved:
    """The desired mesh, and how it came about.

    Attributes:
        notes: A sentence without a full stop for each field that no option set: ``version 1.20.0, as installed``.
        region_read: Nobody named the region: it is the one that was read of the cluster.
    """

    mesh: Mesh
    notes: tuple[str, ...] = field(default=())
    region_read: bool = False


def resolve(
    request: Request,
    catalog: Catalog,
    environment: Environment | None = None,
    recorded: Recorded | None = None,
    location: Location | None = None,
    kubernetes: str = "",
) -> Resolved:
    """Resolve what the user said into a mesh.

    Gateways are the environment's list where it has one, else the recorded ones where neither an environment nor
    ``--profile`` was given, else the profile's; so are the optional components. A listed gateway keeps the values that
    the profile has for its name.
    An environment is all that is said about values beside ``-f`` and ``--set``; without one, the values of the last
    run hold on, until the option that brought them is given again.
    The strongest source that names a region or a hub decides both: ``--region`` sets a recorded hub aside.

    Args:
        catalog: Regions, versions, profiles and the components' values.
        recorded: What an earlier run left in the cluster; None where nothing is installed.
        location: Where the cluster is; None without a cluster.
        kubernetes: What the API server calls its version; empty without a cluster.

    Raises:
        ConfigError: Something is unknown, contradicts itself, or is no name that Kubernetes takes; or neither a
            region nor a hub is known.
    """
    chosen = environment or Environment(name="", path="")
    found = recorded or Recorded()
    notes: list[str] = []
    choose = _Chooser(request, chosen, found, notes)

    where = location or Location()
    region, hub = _region_and_hub(request, chosen, found, catalog, where, notes)
    network = Network(choose("network", Network.PUBLIC.value))
    # A private hub is taken as it is, until somebody asks for the public network.
    if hub and (network is Network.PRIVATE or request.network) and hub_for(hub, network) != hub:
        hub = hub_for(hub, network)
        notes.append(f"hub {hub}, for the {network.value} network")
    profile = catalog.profile(choose("profile", DEFAULT_PROFILE))
    version = choose("version", *_default_version(catalog, region, hub, kubernetes))
    parse_version(version)
    namespace = check_label(choose("namespace", ISTIO_NAMESPACE, quiet=True), "namespace")
    charts = choose("charts", OFFICIAL_SOURCE, quiet=True)
    gateways = profile.gateways if chosen.gateways is None else chosen.gateways
    optional = profile.components if chosen.components is None else chosen.components
    if environment is None and recorded and not request.profile:
        gateways = gateways if recorded.gateways is None else recorded.gateways
        optional = optional if recorded.components is None else recorded.components

    own_hub = bool(hub)
    images = ImageSource(
        name=f"hub {hub}" if own_hub else f"region {region}",
        hub=hub or catalog.region(region).hubs[network],
        tag=version,
        full_paths=chosen.full_image_paths if environment else found.full_image_paths,
        pull_secrets=(chosen.pull_secrets if environment else found.pull_secrets) or request.pull_secrets,
    )
    revisions = _revisions(found.revisions, version)
    names = {**found.release_names, **chosen.release_names}
    releases = releases_of(namespace, gateways, revisions.istio_revision, names, optional)
    sources = Sources(
        components=catalog.components,
        profile=profile,
        images=images,
        namespace=namespace,
        environment=environment,
        values_files=request.values_files,
        sets=request.sets,
        kept=_kept_layers(request, environment, found, notes),
        revisions=revisions,
        optional=optional,
        read_map=catalog.read_map,
    )
    check_targets(request, environment, releases, gateways_anywhere(catalog.profiles.values(), gateways))
    layers = {release.name: layers_of_release(release, sources) for release in releases}
    releases = tuple(release.with_revision_of(compose(layers[release.name]).values) for release in releases)
    mesh = Mesh(
        version=version,
        profile=profile.name,
        hub=images.hub,
        region=region,
        network=network,
        namespace=namespace,
        chart_source=charts,
        environment=chosen.name,
        releases=releases,
        layers=layers,
        own_hub=own_hub,
        full_image_paths=images.full_paths,
        pull_secrets=images.pull_secrets,
        allow_images=tuple(
            dict.fromkeys((*(chosen.allow_images if environment else found.allow_images), *request.allow_images))
        ),
        forced=found.forced,
        gateways=gateways,
        components=optional,
        release_names=names,
        revisions=revisions,
    )
    named = any(source.region for source in (request, chosen, found))
    return Resolved(mesh=mesh, notes=tuple(notes), region_read=bool(region) and not named)


class _Chooser:
    """Takes the strongest word on a field, and notes whose it was where it is not the command line's.

    A word may be a source of charts, whose password no note repeats.
    """

    def __init__(self, request: Request, environment: Environment, recorded: Recorded, notes: list[str]) -> None:
        self._request = request
        self._environment = environment
        self._recorded = recorded
        self._notes = notes

    def __call__(self, field: str, default: str, why: str = "the default", *, quiet: bool = False) -> str:
        option, chosen, recorded = (
            str(getattr(source, field) or "") for source in (self._request, self._environment, self._recorded)
        )
        title = "charts from" if field == "charts" else field
        if option:
            return option
        if chosen:
            self._notes.append(f"{title} {public_source(chosen)}, from environment {self._environment.name}")
            return chosen
        if recorded:
            if not (quiet and recorded == default):
                self._notes.append(f"{title} {public_source(recorded)}, as installed")
            return recorded
        if not quiet:
            self._notes.append(f"{title} {default}, {why}")
        return default


def _region_and_hub(
    request: Request,
    environment: Environment,
    recorded: Recorded,
    catalog: Catalog,
    location: Location,
    notes: list[str],
) -> tuple[str, str]:
    """Find the region's name and the own hub; one of them may be empty."""
    sources = (
        (request.region, request.hub, ""),
        (environment.region, environment.hub, f"from environment {environment.name}"),
        (recorded.region, recorded.hub, "as installed"),
        (
            "" if request.hub or environment.hub or recorded.hub else location.region,
            "",
            f"read from {location.read_from}",
        ),
    )
    hub = ""
    for region, own, whence in sources:
        if own and not hub:
            hub = check_hub(own, f"hub, {whence}" if whence else "--hub")
            if whence:
                notes.append(f"hub {hub}, {whence}")
        if region:
            catalog.region(region)
            if whence:
                notes.append(f"region {region}, {whence}")
            return region, hub
    if not hub:
        listed = "; ".join(f"{name} is {region.title_en or region.title}" for name, region in catalog.regions.items())
        raise ConfigError(
            "no region: it is not given by an option, the environment or the record, and "
            f"cannot be read from {_what_tells_none(location)}",
            hint=f"Pass --region or --hub. The regions: {listed}.",
        )
    return "", hub


def _what_tells_none(location: Location) -> str:
    """Say what of a cluster was looked at, for a region, in vain."""
    host = f"the API server's host ({location.host})" if location.host else "the API server's host"
    return f"{host} or the nodes' zones ({', '.join(location.zones)})" if location.zones else host


def _default_version(catalog: Catalog, region: str, hub: str, kubernetes: str) -> tuple[str, str]:
    """Take the newest version that the region's registry provides; of an own hub one that fits the cluster, and why."""
    if not hub:
        return newest(catalog.region(region).versions), "the default"
    if kubernetes and (version := newest_that_fits(catalog.versions, kubernetes)):
        return version, f"of the newest minor version known to nksmesh that supports Kubernetes {minor_of(kubernetes)}"
    provided = [version for region in catalog.regions.values() for version in region.versions]
    return newest_that_fits(catalog.versions) or newest(provided), "of the newest minor version known to nksmesh"


def _kept_layers(
    request: Request, environment: Environment | None, recorded: Recorded, notes: list[str]
) -> dict[str, tuple[Layer, ...]]:
    """Choose the last run's layers that hold on, and note them, and note those that do not."""
    again = {"-e": environment is not None, "-f": bool(request.values_files), "--set": bool(request.sets)}
    replaced = {option for option in again if again["-e"] or again[option]}
    kept, dropped = {}, []
    for release, layers in recorded.layers.items():
        kept[release] = tuple(layer for layer in layers if layer.option not in replaced)
        dropped += [layer.name for layer in layers if layer.option in replaced and layer.option != "-e"]
    if names := dict.fromkeys(layer.name for layers in kept.values() for layer in layers):
        notes.append(f"values of {', '.join(names)}, as installed")
    given = {f"-f {target}={file.path}" for target, file in request.values_files}
    given |= {option.layer_name for option in request.sets}
    if names := dict.fromkeys(name for name in dropped if name not in given):
        notes.append(f"the values of {', '.join(names)} no longer apply: they were not given again")
    return kept


def _revisions(recorded: DeployedRevisions, version: str) -> DeployedRevisions:
    """Keep how the istiod stands among several; base's own version is one only while it is later than the mesh's."""
    base = recorded.base_version
    later = bool(base) and parse_version(base) > parse_version(version)
    return replace(recorded, base_version=base if later else "")
