"""Which layers a release's values are made of, and in which order."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from nksmesh.domain.charts.releases import ALWAYS, OPTIONAL, Release
from nksmesh.domain.common.errors import ConfigError
from nksmesh.domain.common.spelling import perhaps
from nksmesh.domain.mesh.catalog import Environment, Profile, ValuesFile
from nksmesh.domain.mesh.load_balancer import load_balancer_values, proxy_protocol_layer
from nksmesh.domain.mesh.mesh import DeployedRevisions, GatewaySpec
from nksmesh.domain.mesh.region_layer import ImageSource, components_layer, placement_layer, region_layer
from nksmesh.domain.mesh.request import Request
from nksmesh.domain.values.layers import Layer, LayerKind, compose
from nksmesh.domain.values.set_values import SetKind, SetOption, set_layer


@dataclass(frozen=True, kw_only=True)
class Sources:
    """Everything that values come from.

    Attributes:
        values_files: Each ``-f``, with the component or release it is for.
        sets: Each ``--set``, or option of its kind.
        kept: For each release's name, the layers of the last run that hold on, weakest first.
        read_map: Reads a YAML text that is a map.
    """

    components: Mapping[str, ValuesFile]
    profile: Profile
    images: ImageSource
    namespace: str
    environment: Environment | None = None
    values_files: tuple[tuple[str, ValuesFile], ...] = ()
    sets: tuple[SetOption, ...] = ()
    kept: Mapping[str, tuple[Layer, ...]] = field(default_factory=dict)
    revisions: DeployedRevisions = field(default_factory=DeployedRevisions)
    optional: tuple[str, ...] = ()
    read_map: Callable[[str], Mapping[str, Any]] = field(default=json.loads, repr=False)


def layers_of_release(release: Release, sources: Sources) -> tuple[Layer, ...]:
    """List a release's layers, weakest first. A later layer wins, key by key, as in Helm.

    1. ``values/COMPONENT.yaml``: what every mesh wants.
    2. The profile: its COMPONENT.yaml, then its RELEASE.yaml, then what its profile.yaml says of the gateway.
    3. The region, or the own hub: hub, tag, proxy images, pull secrets; then the control plane's namespace and
       Istio revision, where they are not the chart's default, its revision tags, and which istiod is the default;
       then what istiod has to know of the optional components.
    4. The environment: the gateway's ``load_balancer`` of its mesh.yaml, its COMPONENT.yaml, then its RELEASE.yaml,
       then the gateway's ``values`` of its mesh.yaml.
    5. Each ``-f``, in the order given.
    6. Each ``--set-json``, then each ``--set``, ``--set-string`` and ``--set-file``, in the order given.
    7. The proxies' side of a load balancer's proxy protocol, merged with what the others say in the same annotation.

    Without ``-e``, the environment's layers, the ``-f`` and the ``--set`` of the last run stand in these places until
    the same option is given again; ``--set`` and its kind are one.

    The chart's own defaults lie under all of them, and are Helm's to merge. A user's layer may move the hub or the
    tag; the scan of the rendered manifests has the last word on where images come from.
    """
    layers = [
        *_file_layer("", sources.components.get(release.component)),
        *_profile_layers(release, sources.profile),
        region_layer(release, sources.images),
        placement_layer(release, sources.namespace, sources.revisions),
        components_layer(release, sources.optional, sources.images.tag),
        *_environment_layers(release, sources),
        *_kept(release, sources, "-e"),
        *_kept(release, sources, "-f"),
        *(
            Layer(name=f"-f {target}={file.path}", values=file.values, kind=LayerKind.FILE)
            for target, file in sources.values_files
            if target in _targets(release)
        ),
        *_kept(release, sources, "--set"),
    ]
    for option in sorted(sources.sets, key=lambda option: list(SetKind).index(option.kind)):
        if option.target in _targets(release):
            layers.append(set_layer(option, compose(layers).values))
    if layer := proxy_protocol_layer(layers, sources.read_map):
        layers.append(layer)
    return tuple(layer for layer in layers if layer.values)


def check_targets(
    request: Request, environment: Environment | None, releases: Iterable[Release], gateways: Iterable[str]
) -> None:
    """Check that everything said is for a component or a release there is.

    Args:
        gateways: The gateways that an environment may have a file for though the mesh has no such release.

    Raises:
        ConfigError: A ``-f``, a ``--set`` or an environment's file is for none.
    """
    there = tuple(releases)
    known = list(dict.fromkeys([*ALWAYS, *(name for release in there for name in _targets(release))]))
    for target, file in request.values_files:
        _known_target(target, known, f"-f {target}={file.path}")
    for option in request.sets:
        _known_target(option.target, known, option.layer_name)
    if environment:
        in_files = list(dict.fromkeys([*known, *gateways]))
        for target, file in environment.files.items():
            _known_target(target, in_files, file.path)


def _known_target(target: str, known: list[str], where: str) -> None:
    if target in OPTIONAL and target not in known:
        listed = ", ".join(OPTIONAL[: OPTIONAL.index(target) + 1])
        raise ConfigError(
            f"{where}: the mesh has no {target}",
            hint=f"List it in an environment's mesh.yaml, or in a profile: components: [{listed}].",
        )
    if target not in known:
        raise ConfigError(
            f"{where}: there is no component or release {target!r}",
            hint=perhaps(target, known, "components and releases"),
        )


def _targets(release: Release) -> tuple[str, ...]:
    """What a release answers to, the general name first; a release named as its component answers once."""
    return tuple(dict.fromkeys((release.component, release.name)))


def _profile_layers(release: Release, profile: Profile) -> list[Layer]:
    layers = [
        layer
        for target in _targets(release)
        for layer in _file_layer(f"profile {profile.name}", profile.files.get(target))
    ]
    own = ValuesFile(path=profile.path, values=_gateway_values(release, profile.gateways), ours=profile.ours)
    return [*layers, *_file_layer(f"profile {profile.name}", own)]


def _environment_layers(release: Release, sources: Sources) -> list[Layer]:
    environment = sources.environment
    if environment is None:
        return []
    gateways = environment.gateways or ()
    own = ValuesFile(path=environment.path, values=_gateway_values(release, gateways))
    files = [*(environment.files.get(target) for target in _targets(release)), own]
    layers = [layer for file in files for layer in _file_layer(f"environment {environment.name}", file)]
    balanced = {gateway.name: load_balancer_values(gateway.load_balancer) for gateway in gateways}
    name = f"environment {environment.name} (load_balancer)"
    load_balancer = Layer(name=name, values=balanced.get(release.name, {}), kind=LayerKind.LOAD_BALANCER, ours=True)
    return [load_balancer, *(replace(layer, kind=LayerKind.ENVIRONMENT) for layer in layers)]


def _kept(release: Release, sources: Sources, option: str) -> list[Layer]:
    return [layer for layer in sources.kept.get(release.name, ()) if layer.option == option]


def _gateway_values(release: Release, gateways: Iterable[GatewaySpec]) -> Mapping[str, object]:
    return next((gateway.values for gateway in gateways if gateway.name == release.name), {})


def _file_layer(level: str, file: ValuesFile | None) -> list[Layer]:
    if file is None:
        return []
    name = f"{level} ({file.path.rpartition('/')[2]})" if level else file.path
    return [Layer(name=name, values=file.values, ours=file.ours)]
