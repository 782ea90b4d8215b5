"""What renders are judged by without a cluster: the same for a plan and for ``nksmesh template``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from nksmesh.domain.charts.chart import Chart
from nksmesh.domain.charts.known_keys import unknown_keys
from nksmesh.domain.charts.releases import ISTIOD
from nksmesh.domain.common.errors import ChartError
from nksmesh.domain.common.findings import Finding, Level
from nksmesh.domain.common.spelling import counted
from nksmesh.domain.mesh.mesh import Mesh
from nksmesh.domain.plan.plan import ReleaseChange
from nksmesh.domain.plan.setters import other_versions, setter_of, stray_images
from nksmesh.domain.values.layers import LayerKind, dotted, overrides_of


def check_renders(
    mesh: Mesh, changes: Mapping[str, ReleaseChange], former: Mapping[str, Chart] | None = None
) -> tuple[Finding, ...]:
    """Look for an istiod that is not there, for keys that the charts do not read, and for images outside the hub.

    Args:
        former: The charts of the version that is installed, by component, where keys may be compared with theirs.

    Raises:
        ChartError: A chart's template cannot be read.
    """
    unknown = [
        finding
        for change in changes.values()
        for finding in unknown_keys(change.layers, change.chart, former=(former or {}).get(change.release.component))
    ]
    return (*_check_istiod(changes.values()), *dict.fromkeys(unknown), *check_images(mesh, changes))


def check_images(mesh: Mesh, changes: Mapping[str, ReleaseChange]) -> list[Finding]:
    """Check that every image of the renders lies in the hub, or below a prefix that was admitted.

    Returns:
        A failure where an image lies elsewhere: it names the image, the object and the layer that set it. A note for
        each image outside it that only pods which ask for it would pull.
    """
    findings, strays = [], []
    for change in changes.values():
        for image in stray_images(mesh, change):
            if image.opt_in:
                findings.append(
                    Finding(
                        id="images.opt-in-outside-hub",
                        level=Level.NOTE,
                        subject=image.image,
                        message=f"injection {image.place} pulls {image.image}, which is not in the hub",
                        hint="Only pods annotated inject.istio.io/templates with that name use it.",
                    )
                )
            else:
                strays.append(f"{image.image} in {image.where} ({image.place}), set by {setter_of(image, change)}")
    if strays:
        findings.append(
            Finding(
                id="images.outside-hub",
                message=f"{counted(len(strays), 'image is', 'images are')} not in the hub {mesh.hub}",
                hint="Remove the setting, or allow the registry with --allow-image PREFIX.",
                detail="\n".join(strays),
                error=ChartError,
            )
        )
    return list(dict.fromkeys(findings))


def pinned_images(mesh: Mesh, changes: Mapping[str, ReleaseChange]) -> tuple[str, ...]:
    """Say which of Istio's images are of another version than the mesh, and which layer pins their tag."""
    return tuple(
        dict.fromkeys(
            f"{image.image} in {image.where} ({image.place}), pinned by {setter_of(image, change, tag=tag)}"
            for change in changes.values()
            for image, tag in other_versions(mesh, change)
        )
    )


def moved_images(mesh: Mesh) -> tuple[str, ...]:
    """Say which of the region's own settings a stronger layer sets otherwise."""
    region = f"hub {mesh.hub}" if mesh.own_hub else f"region {mesh.region}"
    return tuple(
        f"{name}: {dotted(moved.path)} is {moved.value}, set by {moved.layer}, where {region} has {moved.wanted}"
        for name, layers in mesh.layers.items()
        for moved in overrides_of(layers, LayerKind.IMAGES)
    )


def _check_istiod(changes: Iterable[ReleaseChange]) -> tuple[Finding, ...]:
    """Find an istiod without a Deployment: Helm would take the running one away (istio-facts 5).

    Values that were copied from a chart up to 1.27 do that to one from 1.28 on, which renders nothing at all where
    ``global.resourceScope`` is not set.
    """
    return tuple(
        Finding(
            id="charts.missing-istiod",
            subject=change.release.name,
            message=f"chart {change.chart.ref} renders no istiod Deployment with these values: the "
            "running istiod would be removed",
            hint="Pass only values that differ from the chart's defaults, not another version's whole "
            "values.yaml. Check global.resourceScope and pilot.enabled with nksmesh "
            f"values show {change.release.name}",
            error=ChartError,
        )
        for change in changes
        if change.release.component == ISTIOD.name
        and not any(manifest.get("kind") == "Deployment" for manifest in change.manifests)
    )
