"""The mesh that istioctl made: which one it is."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from nksmesh.commands.adopt.istioctl_settings import FormerValues, former_values
from nksmesh.domain.adoption.adoption import region_of
from nksmesh.domain.adoption.foreign import image_of_istiod, version_of_istiod
from nksmesh.domain.adoption.former_states import states_of
from nksmesh.domain.adoption.istio_operator import pull_secrets_of
from nksmesh.domain.adoption.takeover import (
    COMPONENT_LABEL,
    GATEWAY_COMPONENTS,
    OPERATOR_API,
    former_managers,
    of_istioctl,
)
from nksmesh.domain.common.errors import CheckError, ConfigError
from nksmesh.domain.common.findings import Finding, refuse_failures
from nksmesh.domain.kube.objects import Manifest
from nksmesh.domain.kube.owners import ISTIO_OPERATOR, owner_of
from nksmesh.domain.mesh.catalog import Catalog, Profile
from nksmesh.domain.mesh.mesh import ISTIO_NAMESPACE, GatewaySpec
from nksmesh.domain.mesh.record import check_no_canary
from nksmesh.domain.mesh.request import Recorded
from nksmesh.domain.mesh.resolve import DEFAULT_PROFILE
from nksmesh.engine.discovery import foreign_istiods
from nksmesh.engine.ports import Cluster
from nksmesh.engine.request import MeshRequest, ReleaseScope
from nksmesh.engine.runtime import Runtime


@dataclass(frozen=True, kw_only=True)
class Former:
    """The mesh as istioctl made it.

    Attributes:
        request: What install is told, for the mesh to become what it is.
        values: What keeps it what istioctl made it; empty where an earlier run has recorded that already.
    """

    request: MeshRequest
    values: FormerValues = field(default_factory=FormerValues)


async def former_mesh(request: MeshRequest, runtime: Runtime) -> Former:
    """Work out which mesh it is: from the record, where an earlier run has begun, or from what istioctl left.

    Raises:
        ConfigError: There is no such mesh, the options contradict it, or a canary is on.
        CheckError: It cannot be taken over as it is.
        ClusterError: The cluster cannot be reached, or refuses.
    """
    environment = request.environment
    namespace = request.options.namespace or (environment.namespace if environment else "") or ISTIO_NAMESPACE
    options = replace(request.options, namespace=namespace)
    records = await runtime.cluster.records.read_all()
    record = records.get(namespace)
    refuse_failures(check_no_canary(record))
    values = FormerValues()
    if record is not None:
        settings = record.settings
    else:
        settings, values = await _settings(replace(request, options=options), namespace, runtime)
    # Taken as an option it would set the gateways aside that are there beside the profile's.
    profile = "" if options.profile == settings.profile else options.profile
    options = replace(options, profile=profile)
    scope = ReleaseScope(settings=settings, keep=lambda _before, recorded, _done: recorded)
    return Former(request=replace(request, options=options, scope=scope, take_over=True, prune=False), values=values)


async def _settings(request: MeshRequest, namespace: str, runtime: Runtime) -> tuple[Recorded, FormerValues]:
    deployments, daemons, states, operators = await asyncio.gather(
        runtime.cluster.objects.list("apps/v1", "Deployment", labels=COMPONENT_LABEL),
        runtime.cluster.objects.list("apps/v1", "DaemonSet", labels=COMPONENT_LABEL, metadata_only=True),
        runtime.cluster.objects.list(OPERATOR_API, ISTIO_OPERATOR),
        runtime.cluster.objects.list("apps/v1", "Deployment", fields="metadata.name=istio-operator"),
    )
    istiods = await _istiods(deployments, namespace, runtime.cluster)
    refuse_failures((*_check_alone(istiods), *_check_operator(operators), *_check_components(daemons)))
    istiod = istiods[0]
    hub, version = _image_of(istiod)
    refuse_failures(_check_version(request.options.version, version))
    gateways = [proxy for proxy in deployments if proxy["metadata"]["labels"][COMPONENT_LABEL] in GATEWAY_COMPONENTS]
    found = states_of(istiod, gateways, states)
    spec = (found.own or {}).get("spec") or {}
    chosen = request.options.profile or (request.environment.profile if request.environment else "")
    said = str(spec.get("profile") or "")
    profile = chosen or _profile_of(said, {str(gateway["metadata"]["name"]) for gateway in gateways}, request.catalog)
    region, network = region_of(hub, version, request.catalog)
    settings = Recorded(
        region=region,
        network=network,
        hub="" if region else hub,
        version=version,
        profile=profile,
        namespace=namespace,
        pull_secrets=pull_secrets_of(spec),
        gateways=_specs(gateways, namespace, request.catalog.profile(profile)),
    )
    values = await former_values(
        request, settings, gateways, found, runtime.cluster.objects, runtime.charts, runtime.listener
    )
    if said and not chosen and said != profile:
        words = (
            f"nksmesh has no profile {said}: the mesh is taken over with profile {profile}, "
            "and its other settings are kept"
        )
        values = replace(values, warnings=(words, *values.warnings))
    return replace(settings, layers=values.layers), values


def _specs(gateways: list[dict[str, Any]], namespace: str, profile: Profile) -> tuple[GatewaySpec, ...]:
    """List the gateways that are there, the profile's first: one that istioctl was told to leave out stays out."""
    names = [gateway.name for gateway in profile.gateways]
    found = [(str(gateway["metadata"]["name"]), str(gateway["metadata"]["namespace"])) for gateway in gateways]
    found.sort(key=lambda key: names.index(key[0]) if key[0] in names else len(names))
    return tuple(GatewaySpec(name=name, namespace="" if where == namespace else where) for name, where in found)


def _check_operator(operators: Sequence[Manifest]) -> tuple[Finding, ...]:
    """Find a running operator: a failure, for it would undo what is taken over."""
    namespaces = [str(operator["metadata"]["namespace"]) for operator in operators]
    return tuple(
        Finding(
            id="adopt.running-operator",
            message=f"Deployment {namespace}/istio-operator is running: it would revert what nksmesh takes over",
            hint=f"Run kubectl delete deployment istio-operator -n {namespace} first.",
        )
        for namespace in namespaces
    )


def _check_components(daemons: Sequence[Manifest]) -> tuple[Finding, ...]:
    """Find istioctl's DaemonSets: a failure, for cni and ztunnel are not taken over."""
    others = [str(daemon["metadata"]["name"]) for daemon in daemons if former_managers(daemon)]
    message = f"istioctl also installed {', '.join(others)}: nksmesh takes over only istiod and gateways"
    hint = (
        "Remove cni and ztunnel with istioctl first. nksmesh install can install them "
        "again (see components in mesh.yaml)."
    )
    return (Finding(id="adopt.other-component", message=message, hint=hint),) if others else ()


def _check_version(wanted: str, installed: str) -> tuple[Finding, ...]:
    """Judge a version that the user names: a failure where it is not the installed one."""
    message = f"--version {wanted} contradicts the installed version {installed}"
    hint = "Adopt the mesh without --version. Then run nksmesh upgrade."
    finding = Finding(id="adopt.other-option", subject="--version", message=message, hint=hint, error=ConfigError)
    return (finding,) if wanted and wanted != installed else ()


def _check_alone(istiods: Sequence[Manifest]) -> tuple[Finding, ...]:
    """Judge the istiods that istioctl made: a failure where there are several, or one has an Istio revision."""
    names = ", ".join(f"{istiod['metadata']['namespace']}/{istiod['metadata']['name']}" for istiod in istiods)
    message = f"nksmesh takes over a mesh with one istiod and no Istio revision; this one has {names}"
    hint = "Finish the upgrade with istioctl first, so that one istiod without an Istio revision is left."
    named = any(istiod["metadata"]["labels"].get("istio.io/rev", "default") != "default" for istiod in istiods)
    return (Finding(id="adopt.several-istiods", message=message, hint=hint),) if named or len(istiods) > 1 else ()


async def _istiods(deployments: Sequence[dict[str, Any]], namespace: str, cluster: Cluster) -> Sequence[Manifest]:
    """List the istiods that istioctl made.

    Raises:
        ConfigError: There is none, so nothing can be planned: none at all, another tool's, or in another namespace.
        ClusterError: The cluster cannot be reached, or refuses.
    """
    found = [istiod for istiod in deployments if istiod["metadata"]["labels"].get("app") == "istiod"]
    others = [istiod for istiod in found if not of_istioctl(istiod)]
    if others and len(others) == len(found):
        foreign = await foreign_istiods(list(others), cluster)
        if foreign:
            raise ConfigError(f"{foreign[0]}, not to istioctl", hint=foreign[0].way_on)
        where = others[0]["metadata"]["namespace"]
        raise ConfigError(
            f"Deployment {where}/{others[0]['metadata']['name']} belongs to {owner_of(others[0])}, not to istioctl",
            hint=f"Run nksmesh adopt{'' if where == ISTIO_NAMESPACE else f' -n {where}'} to adopt that Helm release.",
        )
    found = [istiod for istiod in found if istiod not in others]
    if not _check_alone(found) and not any(istiod["metadata"]["namespace"] == namespace for istiod in found):
        raise ConfigError(
            f"no istiod of istioctl was found in namespace {namespace}",
            hint="Pass its namespace with -n. To adopt Helm releases, leave out --from istioctl.",
        )
    return found


def _image_of(istiod: Manifest) -> tuple[str, str]:
    """Return the registry path and the version of an istiod."""
    image, version = image_of_istiod(istiod), version_of_istiod(istiod)
    hub = image.partition("@")[0].rpartition("/")[0]
    if not hub or not version:
        raise CheckError(
            f"cannot tell the registry and version from istiod's image {image!r}", hint="Use an image with a tag."
        )
    return hub, version


def _profile_of(said: str, gateways: set[str], catalog: Catalog) -> str:
    """Tell the profile: istioctl's own word, or that whose gateways are there; the default one for any other."""
    if said:
        return said if said in catalog.profiles else DEFAULT_PROFILE
    named = {name: {gateway.name for gateway in profile.gateways} for name, profile in catalog.profiles.items()}
    fitting = [name for name, own in named.items() if own == gateways]
    return DEFAULT_PROFILE if DEFAULT_PROFILE in fitting or not fitting else fitting[0]
