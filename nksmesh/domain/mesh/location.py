"""Where a cluster is: its NKS region, read from the API server's host or from its nodes' zones (nks-facts 1.2, 2.3).

A context's name tells nothing: another cloud's contexts begin with ``nks_``, too.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Final
from urllib.parse import urlsplit

from nksmesh.domain.common.findings import Finding, Level
from nksmesh.domain.mesh.mesh import Network, Region
from nksmesh.domain.mesh.ncr import region_code
from nksmesh.domain.mesh.nks import PUBLIC, Nks, all_match, support_told

ZONE_LABEL: Final = "topology.kubernetes.io/zone"


@dataclass(frozen=True, kw_only=True)
class Location:
    """What was read of a cluster's place.

    Attributes:
        cloud: The cloud that the host's domain belongs to; empty where it belongs to none, as an address does.
        zones: The nodes' zones; none where they were not needed, or may not be read.
        region: The region that host or zones tell; empty where they tell none.
        read_from: What told it: ``the API server's host``, ``the nodes' zones (kr-pub-a)``.
        doubt: What else has such zones: ``the government cloud``; empty where nothing has.
    """

    host: str = ""
    cloud: str = ""
    zones: tuple[str, ...] = ()
    region: str = ""
    read_from: str = ""
    doubt: str = ""

    @property
    def on_nks(self) -> bool:
        """Whether the cluster is known to be one of NKS."""
        return bool(self.cloud or self.region)


def host_name(server: str) -> str:
    """Return the host name of a URL, or of a host with or without a port, in lower case; empty where it is none."""
    try:
        return (urlsplit(server if "://" in server else f"//{server}").hostname or "").rstrip(".")
    except ValueError:
        return ""


def region_of_host(server: str, regions: Mapping[str, Region]) -> str:
    """Find the one region whose patterns an API server's host fits as a whole; empty where there is none.

    Args:
        server: The API server's URL or host name.
    """
    host = host_name(server)
    return _only(region.name for region in regions.values() if any(_fits(host, suffix) for suffix in region.hosts))


def zones_may_tell(server: str, regions: Mapping[str, Region], nks: Nks) -> bool:
    """Tell whether nodes' zones are worth reading: the host tells no region, and belongs to no cloud but the public."""
    host = host_name(server)
    return not region_of_host(host, regions) and nks.cloud_of(host) in {"", PUBLIC}


def locate(server: str, zones: Iterable[str], regions: Mapping[str, Region], nks: Nks) -> Location:
    """Read where a cluster is.

    The domain decides the cloud: a host of the government cloud is in no region of the public one, whatever its
    nodes' zones are called. Zones alone tell a region of the public cloud only, and only where all of them agree.

    Args:
        server: The API server's URL or host name.
    """
    host, named = host_name(server), tuple(sorted({zone for zone in zones if zone}))
    cloud = nks.cloud_of(host)
    if region := region_of_host(host, regions):
        return Location(host=host, cloud=cloud, zones=named, region=region, read_from="the API server's host")
    found = ""
    if cloud in {"", PUBLIC}:
        found = _only(
            region.name for region in regions.values() if all_match(named, region.zones) and _by_zones(region, nks)
        )
    others = nks.others_with(named) if found and not cloud else ()
    return Location(
        host=host,
        cloud=cloud,
        zones=named,
        region=found,
        read_from=f"the nodes' zones ({', '.join(named)})" if found else "",
        doubt=", ".join(doubtful.title for doubtful in others),
    )


def check_location(
    location: Location, chosen: str, regions: Mapping[str, Region], nks: Nks, *, by_default: bool
) -> tuple[Finding, ...]:
    """Compare the region whose registry is used with the one that was read of the cluster.

    Args:
        chosen: The region whose registry images come from; empty with a registry of one's own.
        by_default: Nobody chose the region: it is the one that was read.

    Returns:
        At most one warning.
    """
    region = regions.get(chosen)
    if region is None or not (region.hosts or region.zones):
        return ()
    if by_default:
        return (_doubted(location),) if location.doubt else ()
    own = cloud_of_region(region, nks)
    if location.cloud and own and location.cloud != own:
        whose = f"is a host of {nks.clouds[location.cloud].title}"
        hint = (
            _give(location.region)
            if location.region
            else "Run nksmesh regions to list the regions. Use --hub for another registry."
        )
        return (_mismatch(chosen, f"the API server's host ({location.host}) {whose}", hint),)
    if not location.region or location.region == chosen or all_match(location.zones, region.zones):
        return ()
    if location.zones:
        words = f"{location.read_from} are those of region {location.region}"
    else:
        words = f"{location.read_from} ({location.host}) is of region {location.region}"
    return (_mismatch(chosen, words, _give(location.region)),)


def check_registry(location: Location, hub: str, regions: Mapping[str, Region], nks: Nks) -> tuple[Finding, ...]:
    """Compare the region of a registry of one's own with the cluster's, where it is one of NCR and both are known.

    Args:
        hub: The registry path.

    Returns:
        At most one warning.
    """
    region, code = regions.get(location.region), region_code(hub)
    public = region.hubs.get(Network.PUBLIC, "") if region else ""
    own = region_code(public)
    host = host_name(hub.partition("/")[0])
    if not (own and code) or (code, nks.cloud_of(host)) == (own, nks.cloud_of(host_name(public.partition("/")[0]))):
        return ()
    return (
        Finding(
            id="location.registry-elsewhere",
            level=Level.WARNING,
            subject=host,
            message=f"the registry {host} is in another region than the cluster: {location.read_from} "
            f"{'are' if location.zones else 'is'} of region {location.region}",
            hint="Nodes in a private network cannot reach it; others pull from another region. "
            f"Use a registry of NCR in region {location.region}.",
        ),
    )


def check_support(location: Location, minor: str, nks: Nks, today: date | None) -> tuple[Finding, ...]:
    """Say until when NKS supports the Kubernetes of a cluster of its own; a warning when that is over.

    Args:
        minor: The cluster's Kubernetes minor.
    """
    message, over = support_told(nks, minor, today) if location.on_nks else ("", False)
    if not message:
        return ()
    hint = (
        "Upgrade the cluster, one minor version at a time. Run nksmesh versions to see "
        "which Istio each Kubernetes needs."
    )
    level = Level.WARNING if over else Level.NOTE
    return (Finding(id="location.kubernetes-support", level=level, message=message, hint=hint if over else ""),)


def cloud_of_region(region: Region, nks: Nks) -> str:
    """Name the cloud of a region's registry; empty where its domain belongs to none."""
    return nks.cloud_of(host_name(region.hubs.get(Network.PUBLIC, "").split("/")[0]))


def _by_zones(region: Region, nks: Nks) -> bool:
    return cloud_of_region(region, nks) in {"", PUBLIC}


def _doubted(location: Location) -> Finding:
    return Finding(
        id="location.doubtful-region",
        level=Level.WARNING,
        message=f"region {location.region} is read from {location.read_from}, but {location.doubt} has such zones, too",
        hint=f"Pass --region {location.region} to confirm it. On a cluster of "
        f"{location.doubt}, pass its own region or --hub. Run nksmesh regions to list "
        "the regions.",
    )


def _mismatch(chosen: str, words: str, hint: str) -> Finding:
    message = f"the registry of region {chosen} is used, but {words}"
    return Finding(id="location.other-region", level=Level.WARNING, message=message, hint=hint)


def _give(region: str) -> str:
    return f"Pass --region {region} to use the cluster's own registry."


def _fits(host: str, pattern: str) -> bool:
    return re.fullmatch("[a-z0-9]+".join(re.escape(part) for part in pattern.lower().split("*")), host) is not None


def _only(names: Iterable[str]) -> str:
    found = list(names)
    return found[0] if len(found) == 1 else ""
