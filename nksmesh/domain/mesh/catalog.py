"""The catalog: regions, Istio versions, profiles and environments, as values/ describes them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from nksmesh.domain.common.errors import ConfigError
from nksmesh.domain.common.spelling import perhaps
from nksmesh.domain.mesh.mesh import GatewaySpec, IstioVersion, MeshSettings, Region
from nksmesh.domain.mesh.nks import Nks

LABEL: Final = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?")
"""RFC 1123 label, without its length."""

LONGEST_NAMESPACE: Final = 63
LONGEST_RELEASE: Final = 53
"""Helm's limit on a release's name."""

_T = TypeVar("_T")
_HUB: Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?(:[0-9]{1,5})?(/[a-z0-9]+([._-]+[a-z0-9]+)*)*")


@dataclass(frozen=True, kw_only=True)
class ValuesFile:
    """A file of values, read.

    Attributes:
        path: The file as a reader knows it, such as ``values/profiles/demo/istiod.yaml``.
        ours: It ships with nksmesh.
    """

    path: str
    values: Mapping[str, Any] = field(repr=False)
    ours: bool = False


@dataclass(frozen=True, kw_only=True)
class Profile:
    """What is installed, and how.

    Attributes:
        name: ``default``, ``demo``, or one of the user's own.
        title: One sentence.
        gateways: Its gateways, where an environment lists none of its own.
        components: The optional components it has, where an environment lists none of its own.
        files: Its values, by the component or the release they are for.
        path: Its profile.yaml, as a reader knows it.
        ours: It ships with nksmesh.
    """

    name: str
    title: str = ""
    gateways: tuple[GatewaySpec, ...] = ()
    components: tuple[str, ...] = ()
    files: Mapping[str, ValuesFile] = field(default_factory=dict, repr=False)
    path: str = ""
    ours: bool = False


@dataclass(frozen=True, kw_only=True)
class Environment(MeshSettings):
    """A named desired mesh.

    Attributes:
        name: Its folder's name.
        path: Its mesh.yaml, as a reader knows it.
        kubeconfig: The kubeconfig's path, absolute or relative to the user's folder.
        sandbox: The local sandbox whose own kubeconfig is used.
        check_images: Images are looked for in their registry before anything is written.
        gateways: The gateways, instead of the profile's; None leaves them to the profile.
        components: The optional components, instead of the profile's; None leaves them to the profile.
        files: Its values, by the component or the release they are for.
    """

    name: str
    path: str
    context: str = ""
    kubeconfig: str = ""
    sandbox: str = ""
    full_image_paths: bool = False
    pull_secrets: tuple[str, ...] = ()
    check_images: bool = True
    gateways: tuple[GatewaySpec, ...] | None = None
    components: tuple[str, ...] | None = None
    files: Mapping[str, ValuesFile] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, kw_only=True)
class Catalog:
    """Everything a mesh is resolved from, but its environment.

    Attributes:
        versions: Istio's minors, oldest first.
        components: The components' own values, by component.
        nks: The Kubernetes versions of NKS, and its clouds.
        read_map: Reads a YAML text that is a map, for values that hold one; unless told otherwise, JSON alone.
    """

    regions: Mapping[str, Region]
    versions: tuple[IstioVersion, ...]
    profiles: Mapping[str, Profile]
    components: Mapping[str, ValuesFile] = field(default_factory=dict)
    nks: Nks = field(default_factory=Nks)
    read_map: Callable[[str], Mapping[str, Any]] = field(default=json.loads, repr=False)

    def region(self, name: str) -> Region:
        """Look a region up.

        Raises:
            ConfigError: There is no such region.
        """
        return _named(self.regions, name, "region")

    def profile(self, name: str) -> Profile:
        """Look a profile up.

        Raises:
            ConfigError: There is no such profile.
        """
        return _named(self.profiles, name, "profile")


def check_label(name: str, title: str, longest: int = LONGEST_NAMESPACE) -> str:
    """Return a name that Kubernetes takes as an RFC 1123 label.

    Args:
        title: What it names and where it was written, for the error: ``namespace (-n)``.
        longest: The most characters it may have.

    Raises:
        ConfigError: It is no such label.
    """
    if len(name) > longest or not LABEL.fullmatch(name):
        raise ConfigError(
            f"{title}: {name!r} is not a valid Kubernetes name",
            hint=f"Use at most {longest} of a-z, 0-9 and -; begin and end with a letter or a digit.",
        )
    return name


def check_hub(hub: str, where: str) -> str:
    """Return a registry path without its closing slash.

    Raises:
        ConfigError: It has a scheme, a tag, or characters that no image reference has.
    """
    written = hub.rstrip("/")
    if not _HUB.fullmatch(written):
        raise ConfigError(
            f"{where}: {hub!r} is not a registry path",
            hint="Write HOST[:PORT]/PATH without https:// and without a tag, such as registry.example.com/istio.",
        )
    return written


def _named(table: Mapping[str, _T], name: str, kind: str) -> _T:
    if name not in table:
        raise ConfigError(f"there is no {kind} {name!r}", hint=perhaps(name, table, f"{kind}s"))
    return table[name]
