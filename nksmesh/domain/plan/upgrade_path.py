"""The path from the installed version to the wanted one: in place Istio goes one minor at a time (istio-facts 5)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from nksmesh.domain.common.errors import ConfigError
from nksmesh.domain.common.findings import Finding, Level
from nksmesh.domain.mesh.mesh import IstioVersion, Region
from nksmesh.domain.mesh.versions import CANARY_MINORS, VersionQuestion, minors_between, parse_version, preferred
from nksmesh.domain.mesh.way_out import judge_version

_MOST_MINORS: Final = 100

_TAG: Final = re.compile(r":v?(\d{1,4})\.(\d{1,4})(?:[.-][^/]*)?$")


@dataclass(frozen=True, kw_only=True)
class Hop:
    """One step of the path.

    Attributes:
        version: Where it goes; a minor alone, ``1.25``, where no version of it can be had.
        finishes: An earlier run went there and did not arrive.
        findings: What speaks against it.
    """

    version: str
    finishes: bool = False
    findings: tuple[Finding, ...] = ()

    @property
    def failures(self) -> tuple[Finding, ...]:
        """What closes the path here."""
        return tuple(finding for finding in self.findings if finding.level is Level.FAILURE)


@dataclass(frozen=True, kw_only=True)
class UpgradePath:
    """The whole way.

    Attributes:
        hops: Its steps; the last goes to the wanted version.
        findings: A failure where there is no such way; it has no steps then.
    """

    installed: str
    wanted: str
    hops: tuple[Hop, ...]
    findings: tuple[Finding, ...] = ()

    @property
    def down(self) -> bool:
        """Whether it goes to an older version."""
        return parse_version(self.wanted) < parse_version(self.installed)

    @property
    def canary(self) -> bool:
        """Whether a canary may go the whole way at once."""
        several = len(self.hops) > 1 and not self.hops[0].finishes
        return several and minors_between(self.installed, self.wanted) <= CANARY_MINORS

    def told(self) -> tuple[str, ...]:
        """Say each step in a line, with what speaks against it."""
        return tuple(self._lines())

    def json_form(self) -> tuple[Hop, ...]:
        """Return what JSON has: the steps."""
        return self.hops

    def _lines(self) -> Iterator[str]:
        before = self.installed
        for number, hop in enumerate(self.hops, start=1):
            way = f"finish {hop.version}" if hop.finishes else f"{before} -> {hop.version}"
            yield "; ".join((f"{number}. {way}", *(finding.message for finding in hop.findings)))
            before = hop.version


def find_upgrade_path(
    question: VersionQuestion, known: Sequence[IstioVersion], *, installed: str, unfinished: bool = False
) -> UpgradePath:
    """Find the way in place: one minor a step, by the newest version of each that can be had.

    What an earlier run left half done is finished before another minor is gone to: the proxies it did not reach would
    be two minors behind. Inside a minor any version is one step away.

    Args:
        question: Its version is the one that is asked for.
        installed: The version of the istiod that is installed.
        unfinished: An earlier run did not bring every release to the installed version.

    Raises:
        ConfigError: A version is not written X.Y.Z.
    """
    start, end = parse_version(installed), parse_version(question.version)
    if findings := _check_ends(installed, question.version):
        return UpgradePath(installed=installed, wanted=question.version, hops=(), findings=findings)
    minors = range(start[1] + 1, end[1])
    hops = [_stop_between(question, f"{start[0]}.{minor}", known) for minor in minors]
    if unfinished and end[1] > start[1]:
        hops.insert(0, Hop(version=installed, finishes=True))
    hops.append(Hop(version=question.version, findings=judge_version(question, known)))
    return UpgradePath(installed=installed, wanted=question.version, hops=tuple(hops))


def another_version(installed: str, wanted: str, *, asked: bool = True) -> tuple[Finding, ...]:
    """Judge a command that may not change the version of what is installed: a failure where it would.

    Args:
        asked: Somebody asked for it: it is not the default.
    """
    if installed == wanted:
        return ()
    if asked:
        message = f"Istio {installed} is installed, but {wanted} was requested: install does not change the version"
        hint = (
            f"Run nksmesh upgrade --to {wanted} to change it (preview: nksmesh plan --to {wanted}), "
            f"or pass --version {installed} to keep it."
        )
    else:
        message = f"Istio {installed} is installed without a record, and the default version is {wanted}"
        hint = f"Run nksmesh adopt to record what is installed, or pass --version {installed}."
    return (Finding(id="version.unasked-change", message=message, hint=hint, error=ConfigError),)


def _check_ends(installed: str, wanted: str) -> tuple[Finding, ...]:
    """Judge where a way begins and ends: not another major version, nor down by more than one minor."""
    start, end = parse_version(installed), parse_version(wanted)
    if start[0] != end[0] or end[1] - start[1] > _MOST_MINORS:
        message = f"cannot upgrade in place from {installed} to {wanted}"
        hint = "Run nksmesh versions to list the versions."
        return (Finding(id="upgrade.no-path", subject=wanted, message=message, hint=hint),)
    if start[1] - end[1] > 1:
        message = (
            f"a downgrade from Istio {installed} to {wanted} spans {start[1] - end[1]} "
            "minor versions: at most one is possible"
        )
        hint = f"Choose a version of {end[0]}.{start[1] - 1}. Anything older needs a new installation."
        return (Finding(id="upgrade.far-downgrade", subject=wanted, message=message, hint=hint),)
    return ()


def _stop_between(question: VersionQuestion, minor: str, known: Sequence[IstioVersion]) -> Hop:
    """Choose the version of a minor that is best known, and that the images can be had of."""
    region = None if question.own_hub else question.region
    entry = next((row for row in known if row.minor == minor), None)
    chosen = preferred(entry, region.versions if region else None) if entry else ""
    if chosen:
        return Hop(version=chosen, findings=judge_version(replace(question, version=chosen), known))
    return Hop(version=minor, findings=(_missing(minor, entry.versions if entry else (), region),))


def _missing(minor: str, versions: Iterable[str], region: Region | None) -> Finding:
    if region is not None and list(versions):
        message = (
            f"the registry of region {region.name} has no version of Istio {minor}, which this upgrade passes through"
        )
        hint = "Pass --hub with a registry of your own that has one."
    else:
        message = f"no version of Istio {minor} is known, which this upgrade passes through"
        hint = f"Choose one and upgrade to it first: nksmesh upgrade --to {minor}.X."
    return Finding(id="upgrade.missing-version", subject=minor, message=message, hint=hint)


def proxies_too_old(images: Iterable[str], version: str) -> tuple[str, ...]:
    """Return those of some proxy images that an istiod of a version does not serve: two minors or more behind it.

    An image whose tag is no version is passed over: nothing can be told of it.
    """
    major, minor, _ = parse_version(version)
    return tuple(
        image for image in images if (tag := _TAG.search(image)) and (int(tag[1]), int(tag[2])) < (major, minor - 1)
    )
