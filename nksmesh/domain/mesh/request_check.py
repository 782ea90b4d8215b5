"""What can be judged of a request before any cluster is asked."""

from __future__ import annotations

from collections.abc import Iterable

from nksmesh.domain.charts.releases import OPTIONAL
from nksmesh.domain.common.findings import refuse_failures
from nksmesh.domain.mesh.catalog import Catalog, Environment, check_hub, check_label
from nksmesh.domain.mesh.mesh import ISTIO_NAMESPACE, GatewaySpec
from nksmesh.domain.mesh.release_layers import check_targets
from nksmesh.domain.mesh.release_names import gateways_anywhere, releases_of
from nksmesh.domain.mesh.request import Request
from nksmesh.domain.mesh.versions import VersionQuestion
from nksmesh.domain.mesh.way_out import judge_version


def check_request(
    request: Request,
    catalog: Catalog,
    environment: Environment | None = None,
    *,
    force_version: bool = False,
    record_follows: bool = False,
) -> None:
    """Check what was said against the catalog; what only the record or the cluster knows is left to ``resolve``.

    Args:
        record_follows: The record is read later, and may have that the version was forced: here only how it is
            written is judged.

    Raises:
        ConfigError: Something is unknown, or is no name that Kubernetes takes.
        CheckError: The version is not supported, or not provided by the region.
    """
    chosen = environment or Environment(name="", path="")
    for name in filter(None, (request.region, chosen.region)):
        catalog.region(name)
    for hub, where in ((request.hub, "--hub"), (chosen.hub, f"hub, from environment {chosen.name}")):
        if hub:
            check_hub(hub, where)
    for name in filter(None, (request.profile, chosen.profile)):
        catalog.profile(name)
    namespace = check_label(request.namespace or chosen.namespace or ISTIO_NAMESPACE, "namespace")
    if version := request.version or chosen.version:
        own_hub = bool(request.hub or (chosen.hub and not request.region))
        region = catalog.regions.get(request.region or chosen.region)
        question = VersionQuestion(
            version=version, region=region, own_hub=own_hub, forced=force_version, nks=catalog.nks
        )
        found = judge_version(question, catalog.versions)
        refuse_failures(() if record_follows else found)
    gateways = _known_gateways(request, catalog, chosen) if environment or request.profile else None
    # Where an environment lists none, the profile and the record decide; what is not there is refused later.
    components = OPTIONAL if chosen.components is None else chosen.components
    releases = releases_of(namespace, gateways or (), names=chosen.release_names, components=components)
    if gateways is not None:
        check_targets(request, environment, releases, gateways_anywhere(catalog.profiles.values(), gateways))


def _known_gateways(request: Request, catalog: Catalog, chosen: Environment) -> Iterable[GatewaySpec]:
    """List the gateways that may be meant: where the record still chooses the profile, those of every profile."""
    if chosen.gateways is not None:
        return chosen.gateways
    named = request.profile or chosen.profile
    profiles = [catalog.profile(named)] if named else catalog.profiles.values()
    return {gateway.name: gateway for profile in profiles for gateway in profile.gateways}.values()
