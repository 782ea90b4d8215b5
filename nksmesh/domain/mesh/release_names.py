"""What a mesh's releases are called, and where each goes."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from itertools import combinations

from nksmesh.domain.charts.releases import BASE, CNI, COMPONENTS, GATEWAY, ISTIOD, OPTIONAL, ZTUNNEL, Release
from nksmesh.domain.common.errors import ConfigError
from nksmesh.domain.mesh.catalog import LONGEST_RELEASE, Profile, check_label
from nksmesh.domain.mesh.mesh import GatewaySpec
from nksmesh.domain.mesh.revisions import names_of


def releases_of(
    namespace: str,
    gateways: Iterable[GatewaySpec],
    istio_revision: str = "",
    names: Mapping[str, str] | None = None,
    components: Collection[str] = (),
) -> tuple[Release, ...]:
    """Name a mesh's releases, in install order.

    Args:
        istio_revision: The Istio revision of the mesh's istiod; empty for the istiod without one.
        names: For a component, the name of its release, where that is another than usual. An istiod with an Istio
            revision is always named after it, for there may be two.

    Raises:
        ConfigError: A release has a name that Kubernetes or Helm does not take, or one that is taken.
    """
    chosen = names or {}
    base = _release_name(BASE.name, chosen.get(BASE.name, BASE.default_release))
    usual = names_of(istio_revision).release
    istiod = usual if istio_revision else _release_name(ISTIOD.name, chosen.get(ISTIOD.name, usual))
    releases = [
        Release(component=BASE.name, name=base, namespace=namespace),
        Release(component=ISTIOD.name, name=istiod, namespace=namespace, istio_revision=istio_revision),
    ]
    if ZTUNNEL.name in components and CNI.name not in components:
        raise ConfigError(
            "components: ztunnel needs cni to get its pods' traffic, and cni is not listed",
            hint="Write [cni, ztunnel].",
        )
    releases += [
        Release(
            component=name,
            name=_release_name(name, chosen.get(name, COMPONENTS[name].default_release)),
            namespace=namespace,
        )
        for name in OPTIONAL
        if name in components
    ]
    for first, second in combinations(releases, 2):
        if first.name == second.name:
            raise ConfigError(
                f"releases: {first.component} and {second.component} are both named {first.name!r}",
                hint="Give each Helm release its own name.",
            )
    taken = {release.name for release in releases} | set(COMPONENTS)
    for gateway in gateways:
        check_label(gateway.name, "gateway's name", LONGEST_RELEASE)
        if gateway.name in taken:
            raise ConfigError(
                f"a gateway cannot be named {gateway.name!r}: the name is already used",
                hint=f"Give each gateway its own name, other than {', '.join(sorted(taken))}.",
            )
        taken.add(gateway.name)
        where = check_label(gateway.namespace or namespace, f"namespace of gateway {gateway.name}")
        releases.append(Release(component=GATEWAY.name, name=gateway.name, namespace=where))
    return tuple(releases)


def _release_name(component: str, name: str) -> str:
    """Check a release's name; the name of another component would make ``-f`` and ``--set`` ambiguous."""
    if name in COMPONENTS and name != component:
        raise ConfigError(
            f"releases.{component}: a release of {component} cannot be named {name!r}",
            hint=f"That is the name of another component. Use {component} or any other name.",
        )
    return check_label(name, f"releases.{component}", LONGEST_RELEASE)


def gateways_anywhere(profiles: Iterable[Profile], gateways: Iterable[GatewaySpec]) -> frozenset[str]:
    """Name the gateways an environment may have a file for, whichever profile is taken today."""
    named = {gateway.name for profile in profiles for gateway in profile.gateways}
    return frozenset(named | {gateway.name for gateway in gateways})
