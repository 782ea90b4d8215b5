"""What NKS itself offers: Kubernetes versions and the end of their support, and the clouds it runs in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from fnmatch import fnmatchcase
from typing import Final

PUBLIC: Final = "public"
"""The cloud whose regions nodes' zones may tell alone; another cloud's region is told by a domain."""


@dataclass(frozen=True, kw_only=True)
class KubernetesSupport:
    """A Kubernetes minor of NKS.

    Attributes:
        minor: ``1.33``.
        version: The version NKS installs, such as ``1.33.4``.
        support_ends: The last day of NKS's support; None where it is not known.
        planned: That day was still called planned when it was looked up.
        upgrade_until: The last day on which such a cluster can be upgraded; None where it is not known.
    """

    minor: str
    version: str
    support_ends: date | None
    planned: bool = False
    upgrade_until: date | None = None


@dataclass(frozen=True, kw_only=True)
class Cloud:
    """One of NHN's clouds.

    Attributes:
        name: ``public``, ``gov``.
        title: ``the government cloud``.
        domains: Its domains: a host below one of them belongs to it.
        zones: Patterns of its zones that another cloud's zones fit, too.
    """

    name: str
    title: str
    domains: tuple[str, ...]
    zones: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Nks:
    """values/nks.yaml.

    Attributes:
        as_of: The day the table was looked up; empty without a table.
        source: Where it is from.
        offered: The Kubernetes minors that new clusters can have.
        kubernetes: What is known of each Kubernetes minor, by minor, oldest first.
        clouds: The clouds, by name.
    """

    as_of: str = ""
    source: str = ""
    offered: tuple[str, ...] = ()
    kubernetes: Mapping[str, KubernetesSupport] = field(default_factory=dict)
    clouds: Mapping[str, Cloud] = field(default_factory=dict)

    def cloud_of(self, host: str) -> str:
        """Name the cloud that a host belongs to by its domain; empty where it belongs to none."""
        for cloud in self.clouds.values():
            if any(host == domain or host.endswith(f".{domain}") for domain in cloud.domains):
                return cloud.name
        return ""

    def others_with(self, zones: tuple[str, ...]) -> tuple[Cloud, ...]:
        """Return the clouds beside the public one that have zones of these names."""
        return tuple(cloud for cloud in self.clouds.values() if cloud.name != PUBLIC and all_match(zones, cloud.zones))


def all_match(names: tuple[str, ...], patterns: tuple[str, ...]) -> bool:
    """Tell whether there are names, and each fits one of some patterns with ``*``."""
    return bool(names) and all(any(fnmatchcase(name, pattern) for pattern in patterns) for name in names)


def support_told(nks: Nks, minor: str, today: date | None) -> tuple[str, bool]:
    """Say until when NKS supports a Kubernetes minor.

    Args:
        minor: ``1.33``.
        today: The day of the run; None where it does not matter.

    Returns:
        A sentence without a full stop, empty where nothing is known; and whether that support is over.
    """
    entry = nks.kubernetes.get(minor)
    if entry is None:
        oldest = next(iter(nks.kubernetes.values()), None)
        if oldest is None or _number(minor) > _number(oldest.minor):
            return "", False
        return f"NKS no longer supports Kubernetes {minor} (as of {nks.as_of})", True
    if entry.support_ends is None:
        return "", False
    over = today is not None and today > entry.support_ends
    if entry.planned:
        verb = "planned to end" if over else "plans to end"
        return f"NKS {verb} its support of Kubernetes {minor} on {entry.support_ends} (as of {nks.as_of})", over
    if over:
        return f"NKS ended its support of Kubernetes {minor} on {entry.support_ends}", True
    return f"NKS supports Kubernetes {minor} until {entry.support_ends} (as of {nks.as_of})", False


def _number(minor: str) -> tuple[int, ...]:
    return tuple(int(part) for part in minor.split("."))
