"""What a plan knows of the version that is installed: whether it may change, and which keys its charts had."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

from nksmesh.domain.charts.chart import Chart, ChartRef
from nksmesh.domain.charts.installed import InstalledRelease
from nksmesh.domain.charts.lock import Lock
from nksmesh.domain.charts.releases import ISTIOD
from nksmesh.domain.common.errors import ChartError
from nksmesh.domain.common.findings import Finding, Level, has_failure
from nksmesh.domain.mesh.mesh import Mesh
from nksmesh.domain.plan.plan import ReleaseChange
from nksmesh.domain.plan.rendered import check_renders, pinned_images
from nksmesh.engine.ports import Charts


@dataclass(frozen=True, kw_only=True)
class Former:
    """The version that is installed, and where its charts may be had.

    Attributes:
        version: The version, of a canary that it is beside; empty where nothing is installed.
        forced: Go on where the images stay behind.
    """

    version: str
    charts: Charts = field(repr=False)
    lock: Lock = field(repr=False)
    forced: bool = False


def version_before(mesh: Mesh, installed: Mapping[tuple[str, str], InstalledRelease]) -> str:
    """Return the version of the istiod that is installed; empty where there is none, or its first run did not end."""
    for release in mesh.releases:
        found = installed.get(release.key)
        if release.component == ISTIOD.name and found is not None:
            begun = not found.deployed and found.helm_revision == 1
            return "" if begun else found.chart_version
    return ""


async def check_renders_after(
    former: Former | None, mesh: Mesh, changes: Mapping[str, ReleaseChange]
) -> tuple[Finding, ...]:
    """Check renders, and where the version changes what else that takes: images that go along, keys that are left.

    Args:
        former: The version that is installed, where it is another than the mesh's.

    Raises:
        ChartError: A render cannot be used.
    """
    findings = check_renders(mesh, changes)
    failed = has_failure(findings)
    if failed or former is None:
        return findings
    pinned = _pinned(former, mesh, changes)
    if not any(finding.level is Level.WARNING for finding in findings):
        return (*pinned, *findings)
    components = dict.fromkeys(change.release.component for change in changes.values())
    found = await asyncio.gather(*(_former_chart(component, former, mesh) for component in components))
    judged = check_renders(mesh, changes, {chart.ref.name: chart for chart in found if chart is not None})
    return (*pinned, *judged)


def _pinned(former: Former, mesh: Mesh, changes: Mapping[str, ReleaseChange]) -> tuple[Finding, ...]:
    images = pinned_images(mesh, changes)
    if not images:
        return ()
    message = f"images of another version would run with the charts of {mesh.version}"
    hint = (
        "Remove the tag from the values (the default follows the version), or correct "
        "it. To keep it, pass --force-version."
    )
    rule, subject = "images.pinned-version", mesh.version
    if former.forced:
        warnings = (f"{message}: {image}" for image in images)
        return tuple(Finding(id=rule, level=Level.WARNING, subject=subject, message=warning) for warning in warnings)
    detail = "\n".join(images)
    return (Finding(id=rule, subject=subject, message=message, hint=hint, detail=detail),)


async def _former_chart(component: str, former: Former, mesh: Mesh) -> Chart | None:
    """Fetch a chart of the installed version; it only explains, so that one that cannot be had is done without."""
    ref = ChartRef(name=component, version=former.version, source=mesh.chart_source)
    try:
        return (await former.charts.fetch([ref], lock=former.lock))[ref]
    except ChartError:
        return None
