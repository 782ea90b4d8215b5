"""Istio versions against Kubernetes versions, and against what a region's registry provides."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Final

from nksmesh.domain.common.errors import ConfigError
from nksmesh.domain.common.findings import Finding, Level
from nksmesh.domain.common.spelling import perhaps
from nksmesh.domain.mesh.mesh import IstioVersion, Region
from nksmesh.domain.mesh.nks import Nks

CANARY_MINORS: Final = 2
"""How many minors a canary may go at once; in place it is one."""

OWN_HUB: Final = "HOST/REGISTRY/istio"
"""How a registry of a user's own is written where it is not known."""


def minors_between(first: str, second: str) -> int:
    """Count the minors from one version to another, whichever is older.

    Raises:
        ConfigError: A version is not written X.Y.Z.
    """
    return abs(parse_version(second)[1] - parse_version(first)[1])


_VERSION: Final = re.compile(r"(\d{1,4})\.(\d{1,4})\.(\d{1,4})(-[0-9A-Za-z.-]{1,40})?")
_KUBERNETES: Final = re.compile(r"v?(\d{1,4})\.(\d{1,4})(?:[.+-].*)?")
_FORCED: Final = "--force-version was given: continuing"
_FORCED_BEFORE: Final = "an earlier run was given --force-version for it: continuing"


def parse_version(version: str) -> tuple[int, int, int]:
    """Read an Istio version's three numbers.

    Raises:
        ConfigError: It is not written X.Y.Z.
    """
    matched = _VERSION.fullmatch(version)
    if not matched:
        raise ConfigError(f"{version!r} is not an Istio version", hint="Write X.Y.Z, such as 1.20.0.")
    major, minor, patch = (int(number) for number in matched.groups()[:3])
    return major, minor, patch


def parse_kubernetes(version: str) -> tuple[int, int]:
    """Read a Kubernetes version's minor from what an API server or a catalog calls it: ``v1.28.15+gke``, ``1.28``.

    Raises:
        ConfigError: It is none.
    """
    matched = _KUBERNETES.fullmatch(version.strip())
    if not matched:
        raise ConfigError(f"{version!r} is not a Kubernetes version", hint="Write X.Y, such as 1.28.")
    return int(matched[1]), int(matched[2])


def newest(versions: Iterable[str]) -> str:
    """Find the newest of some Istio versions.

    Raises:
        ConfigError: There are none.
    """
    known = sorted(versions, key=parse_version)
    if not known:
        raise ConfigError("the catalog has no version for this region", hint="Pass --version X.Y.Z.")
    return known[-1]


def is_newer(version: str, *, than: str) -> bool:
    """Tell whether a version is newer than another one; never, where either is none."""
    if not (_VERSION.fullmatch(version) and _VERSION.fullmatch(than)):
        return False
    return parse_version(version) > parse_version(than)


def minor_of(kubernetes: str) -> str:
    """Return the minor of a Kubernetes version: ``1.28`` of ``v1.28.15``.

    Raises:
        ConfigError: It is none.
    """
    major, minor = parse_kubernetes(kubernetes)
    return f"{major}.{minor}"


def supports(entry: IstioVersion, kubernetes: str) -> bool:
    """Tell whether an Istio minor supports a Kubernetes version, not only was tested on it."""
    lowest, highest = parse_kubernetes(entry.kubernetes_min), parse_kubernetes(entry.kubernetes_max)
    return lowest <= parse_kubernetes(kubernetes) <= highest


def preferred(entry: IstioVersion, provided: Collection[str] | None = None) -> str:
    """Choose the version of a minor: the newest that nksmesh is tried with, else the newest; empty where there is none.

    Args:
        entry: The minor.
        provided: What can be had; None is everything.
    """
    had = [version for version in entry.versions if provided is None or version in provided]
    tried = [version for version in had if version in entry.tested]
    return newest(tried or had) if had else ""


def newest_that_fits(
    known: Iterable[IstioVersion], kubernetes: str = "", provided: Collection[str] | None = None
) -> str:
    """Choose a version of the newest minor that supports a Kubernetes version; empty where none does.

    Args:
        kubernetes: The Kubernetes version; empty asks for the newest minor of all.
        provided: What can be had; None is everything.
    """
    fitting = [entry for entry in known if not kubernetes or supports(entry, kubernetes)]
    newest_first = sorted(fitting, key=lambda entry: parse_kubernetes(entry.minor), reverse=True)
    return next(filter(None, (preferred(entry, provided) for entry in newest_first)), "")


@dataclass(frozen=True, kw_only=True)
class VersionQuestion:
    """What is to be checked.

    Attributes:
        kubernetes: What the API server calls its version; empty without a cluster, and then it is not checked.
        region: The region, or None with a hub of the user's own and no region.
        own_hub: Images come from a registry of the user's own.
        forced: ``--force-version``: what would be refused is a warning.
        forced_before: What an earlier run found and went on with: of the very same words, it is a warning again.
        nks: Until when NKS supports which Kubernetes.
        today: The day of the run; None where it does not matter.
        verb: The command that a hint names: ``install``, ``upgrade``.
    """

    version: str
    kubernetes: str = ""
    region: Region | None = None
    own_hub: bool = False
    forced: bool = False
    forced_before: Collection[str] = ()
    nks: Nks = field(default_factory=Nks, repr=False)
    today: date | None = None
    verb: str = "install"

    def command(self, version: str, hub: str = OWN_HUB) -> str:
        """Write the command that takes a version from another registry."""
        return f"nksmesh {self.verb} --hub {hub} {self.option(version)}"

    def option(self, version: str) -> str:
        """Write the option that names a version."""
        return f"{'--version' if self.verb == 'install' else '--to'} {version}"


def check_version(question: VersionQuestion, known: Sequence[IstioVersion]) -> tuple[Finding, ...]:
    """Check an Istio version against the catalog, the region and the cluster.

    Refused (a failure): of a minor version that the catalog does not know, below Istio's own minimum of Kubernetes,
    above its maximum, not provided by the region's registry. Warned of: tested but not supported, outside the table
    of NKS, a patch version that nksmesh is not tried with.

    Returns:
        The findings; none where all is well. ``refuse_failures`` stops a run on them.

    Raises:
        ConfigError: The version is not written X.Y.Z.
    """
    major, minor, _ = parse_version(question.version)
    entry = next((row for row in known if row.minor == f"{major}.{minor}"), None)
    findings: list[Finding] = []
    if entry is None:
        findings.append(_unknown(question, known))
    if question.region and not question.own_hub and question.version not in question.region.versions:
        findings.append(_not_provided(question, question.region))
    elif entry and question.version not in ({version for row in known for version in row.tested} or entry.versions):
        findings.append(
            _warning(
                "version.untested",
                f"Istio {question.version} is not among the versions that nksmesh is tested with",
                known_of(entry),
            )
        )
    if entry and question.kubernetes:
        findings.extend(_on_kubernetes(question, entry, known))
    return tuple(_forgiven(finding, question) for finding in findings)


def forgiven(question: VersionQuestion, known: Sequence[IstioVersion]) -> tuple[str, ...]:
    """Return what would be refused, word for word, and is gone on with: a later run may go on with the same.

    Raises:
        ConfigError: The version is not written X.Y.Z.
    """
    found = check_version(replace(question, forced=False, forced_before=()), known)
    refused = [finding.message for finding in found if finding.level is Level.FAILURE]
    return tuple(message for message in refused if question.forced or message in question.forced_before)


def known_of(entry: IstioVersion) -> str:
    """Write which patch versions of a minor nksmesh is tried with, or else which the catalog knows."""
    if entry.tested:
        return f"Of {entry.minor} it is tested with {', '.join(entry.tested)}."
    if not entry.versions:
        return f"The catalog has no {entry.minor} release. Run nksmesh versions to list what it has."
    return f"Of {entry.minor} it has {', '.join(entry.versions)}."


def _unknown(question: VersionQuestion, known: Sequence[IstioVersion]) -> Finding:
    patches = [version for entry in known for version in entry.versions]
    return Finding(
        id="version.unknown",
        subject=question.version,
        message=f"Istio {question.version} is of a minor version that the catalog does not "
        "have: the Kubernetes versions it supports are unknown",
        hint=perhaps(question.version, patches, "known versions"),
    )


def _not_provided(question: VersionQuestion, region: Region) -> Finding:
    return Finding(
        id="version.not-in-registry",
        subject=region.name,
        message=f"the registry of region {region.name} does not provide Istio {question.version}",
        hint=f"It provides {', '.join(region.versions)}. Another version needs a registry of your own: "
        f"{question.command(question.version)}.",
    )


def _on_kubernetes(question: VersionQuestion, entry: IstioVersion, known: Sequence[IstioVersion]) -> list[Finding]:
    cluster = parse_kubernetes(question.kubernetes)
    named = f"Kubernetes {cluster[0]}.{cluster[1]}"
    supported = f"Istio {entry.minor} supports Kubernetes {entry.kubernetes_min} to {entry.kubernetes_max}"
    region = question.region
    provided = None if region is None or question.own_hub else region.versions
    if cluster < parse_kubernetes(entry.kubernetes_floor):
        return [
            Finding(
                id="version.kubernetes-too-old",
                subject=question.version,
                message=f"Istio {question.version} does not run on {named}: it needs {entry.kubernetes_floor} or later",
                hint=f"{supported}. {_another(question, known, provided)}",
            )
        ]
    if cluster > parse_kubernetes(entry.kubernetes_max):
        return [
            Finding(
                id="version.kubernetes-too-new",
                subject=question.version,
                message=f"Istio {question.version} does not support {named}: {entry.kubernetes_max} is "
                "the newest it supports",
                hint=f"{supported}. {_another(question, known, provided)}",
            )
        ]
    findings = []
    if cluster < parse_kubernetes(entry.kubernetes_min):
        findings.append(
            _warning(
                "version.kubernetes-unsupported",
                f"Istio {question.version} was tested on {named}, but is not supported there",
                f"{supported}.",
            )
        )
    if region and not question.own_hub and cluster not in {parse_kubernetes(minor) for minor in region.kubernetes}:
        findings.append(
            _warning(
                "version.not-listed-by-nks",
                f"NKS does not list {named} for Istio {question.version}, though Istio itself supports it",
                f"NKS lists {', '.join(region.kubernetes)} for region {region.name}.",
            )
        )
    return findings


def _another(question: VersionQuestion, known: Iterable[IstioVersion], provided: Collection[str] | None) -> str:
    """Name a version that supports the cluster and can be had; ``provided`` is all that can, None is everything."""
    if version := newest_that_fits(known, question.kubernetes, provided):
        return f"{version} does: pass {question.option(version)}, or --force-version to continue anyway."
    return (
        "No available Istio version does. Run nksmesh versions to list them, or pass "
        "--force-version to continue anyway."
    )


def _warning(rule: str, message: str, hint: str) -> Finding:
    return Finding(id=rule, level=Level.WARNING, message=message, hint=hint)


def _forgiven(finding: Finding, question: VersionQuestion) -> Finding:
    """Make a failure that is gone on with a warning."""
    if finding.level is not Level.FAILURE or not (question.forced or finding.message in question.forced_before):
        return finding
    why = _FORCED if question.forced else _FORCED_BEFORE
    return replace(finding, level=Level.WARNING, message=f"{finding.message} ({why})")
