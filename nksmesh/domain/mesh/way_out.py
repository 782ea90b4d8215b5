"""The judgement on a version, with a way out where a cluster is too new for all that its region provides.

NKS supports Kubernetes versions that no Istio of its registries runs on (nks-facts 7): then it helps nobody to be told
of one fact after the other.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from nksmesh.domain.common.findings import Finding, has_failure
from nksmesh.domain.mesh.mesh import IstioVersion, Region
from nksmesh.domain.mesh.nks import support_told
from nksmesh.domain.mesh.versions import (
    OWN_HUB,
    VersionQuestion,
    check_version,
    minor_of,
    newest,
    newest_that_fits,
    parse_kubernetes,
    supports,
)

_IMAGE_CACHE: Final = "HOST/CACHE/istio"
"""What a cache of Docker Hub has Istio's images below (nks-facts 4)."""


def judge_version(question: VersionQuestion, known: Sequence[IstioVersion]) -> tuple[Finding, ...]:
    """Check a version as ``check_version`` does; what a region can never serve is one failure, with the way out.

    Raises:
        ConfigError: The version is not written X.Y.Z.
    """
    findings = check_version(question, known)
    refused = has_failure(findings)
    region = None if question.own_hub or not question.kubernetes else question.region
    if not refused or region is None:
        return findings
    provided = [entry for entry in known if any(version in entry.versions for version in region.versions)]
    highest = max((entry.kubernetes_max for entry in provided), key=parse_kubernetes, default="")
    if not highest or parse_kubernetes(question.kubernetes) <= parse_kubernetes(highest):
        return findings
    return (_beyond(question, region, highest, known),)


def _beyond(question: VersionQuestion, region: Region, highest: str, known: Sequence[IstioVersion]) -> Finding:
    cluster = minor_of(question.kubernetes)
    return Finding(
        id="version.beyond-region",
        subject=region.name,
        message=f"Region {region.name} provides Istio up to {newest(region.versions)}, which runs on Kubernetes up to "
        f"{highest}; this cluster runs {cluster}",
        hint=" ".join(_way_out(question, cluster, known)),
    )


def _way_out(question: VersionQuestion, cluster: str, known: Sequence[IstioVersion]) -> Iterator[str]:
    """Name the newest Istio for a cluster and for its next Kubernetes, and the commands that bring it."""
    major, minor = parse_kubernetes(cluster)
    following = f"{major}.{minor + 1}"
    for_both = newest_that_fits([entry for entry in known if supports(entry, cluster)], following)
    version = for_both or newest_that_fits(known, cluster)
    if version:
        entry = next(entry for entry in known if version in entry.versions)
        yield f"Istio {entry.minor} supports Kubernetes {entry.kubernetes_min} to {entry.kubernetes_max}."
        yield f"Copy its images into a registry of your own: nksmesh images mirror --to {OWN_HUB} --version {version}."
        yield f"Then install them: {question.command(version)}."
        cached = question.command(version, _IMAGE_CACHE)
        yield f"Or use an image cache of NCR, with pull_secrets in mesh.yaml: {cached}."
    else:
        yield (
            f"No Istio known to nksmesh supports Kubernetes {cluster}: add one to "
            "values/versions.yaml in a folder made by nksmesh init, and install it with "
            f"{question.command('X.Y.Z')}."
        )
    if for_both:
        lowest = next(entry.minor for entry in known if supports(entry, following))
        yield f"The next Kubernetes, {following}, needs Istio {lowest} or later: upgrade Istio first, then Kubernetes."
    if support := support_told(question.nks, cluster, question.today)[0]:
        yield f"{support}."
