"""A mesh that Helm has and no record tells of: nothing is taken from it unasked, and the way to it is said."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from nksmesh.domain.charts.releases import ISTIOD
from nksmesh.domain.common.errors import ConfigError
from nksmesh.domain.common.findings import Finding, refuse_failures
from nksmesh.domain.common.spelling import first_few
from nksmesh.domain.mesh.mesh import Mesh
from nksmesh.domain.mesh.record import Record
from nksmesh.domain.plan.plan import ReleaseChange
from nksmesh.domain.plan.preserved_values import values_lost
from nksmesh.engine.discovery import find_installation
from nksmesh.engine.hidden_releases import check_hidden
from nksmesh.engine.ports import Cluster

_MOST_KEYS: Final = 8


async def check_unrecorded(
    version: str, mesh: Mesh, changes: Mapping[str, ReleaseChange], record: Record | None, cluster: Cluster
) -> tuple[Finding, ...]:
    """Judge a plan: a failure where it would lose what another Helm gave a mesh or a release that no record tells of.

    Values are made anew from the layers each time: those that somebody gave Helm by hand would be gone. Without any
    record releases of names that the mesh does not have would be left behind: another gateway would come beside them.

    Args:
        version: The version that is installed.

    Raises:
        ClusterError: The cluster cannot be reached, or refuses.
    """
    recorded = {entry.release.key for entry in record.releases} if record else set()
    strange = {name: change for name, change in changes.items() if change.release.key not in recorded}
    lost = {name: keys for name, change in strange.items() if (keys := values_lost(change))}
    detail = [f"{name} would lose values: {first_few(keys, _MOST_KEYS)}" for name, keys in lost.items()]
    if record is not None:
        return _taken_away(
            f"{', '.join(lost)} was installed with Helm and is not part of this mesh yet: "
            "this run would drop values that were set outside nksmesh",
            "Set these values in the environment, or with -f or --set.",
            detail,
        )
    found = await find_installation(cluster, mesh.namespace)
    known = {release.key for release in mesh.releases}
    detail += [
        f"release {release.name} in {release.namespace} ({release.component}) would not be part of this mesh"
        for release in found.releases
        if release.key not in known
    ]
    return _taken_away(
        f"Istio {version} is installed, but not recorded by nksmesh: this run would "
        "drop values that were set outside nksmesh",
        "Run nksmesh adopt to record the mesh with its values. Or set the values with -f, --set or -e.",
        detail,
    )


def _taken_away(message: str, hint: str, detail: Sequence[str]) -> tuple[Finding, ...]:
    """Make the failure; nothing where nothing would be lost."""
    if not detail:
        return ()
    lines = "\n".join(detail)
    rule = "ownership.unrecorded"
    return (Finding(id=rule, message=message, hint=hint, detail=lines, error=ConfigError),)


async def nothing_to_upgrade(mesh: Mesh, cluster: Cluster) -> ConfigError:
    """Say why there is no istiod that could be upgraded, and what to do: what is there may have another name.

    Raises:
        ClusterError: The cluster cannot be reached, or refuses.
    """
    refuse_failures(await check_hidden(mesh.releases, cluster))
    found = (await find_installation(cluster, mesh.namespace)).releases
    known = {release.key for release in mesh.releases}
    istiods = {release: installed for release, installed in found.items() if release.component == ISTIOD.name}
    for release, installed in istiods.items():
        if release.key not in known:
            return ConfigError(
                f"Istio {installed.chart_version} is installed as Helm release {release.name}, "
                "but not recorded by nksmesh",
                hint="Run nksmesh adopt to record it. Then upgrade.",
            )
    if found:
        missing = "its first install did not finish" if istiods else "Helm has no release of it"
        return ConfigError(
            f"no istiod to upgrade in {mesh.namespace}: {missing}",
            hint="Run nksmesh install to finish the installation. Then upgrade.",
        )
    return ConfigError(
        f"no Istio is installed in {mesh.namespace}: there is nothing to upgrade",
        hint=f"Run nksmesh install --version {mesh.version} to install it.",
    )
