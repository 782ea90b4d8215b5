"""Releases that Helm does not show here though they live: what is the matter, and what a user can do."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from nksmesh.domain.charts.installed import InstalledRelease
from nksmesh.domain.common.errors import ClusterError
from nksmesh.domain.common.findings import Finding, blocked_by
from nksmesh.domain.common.spelling import first_few
from nksmesh.domain.kube.objects import ObjectRef
from nksmesh.domain.kube.owners import HELM_RELEASE, Owner, Tool, owner_of

_MOST: Final = 3


@dataclass(frozen=True, kw_only=True)
class StoredElsewhere:
    """A release whose Helm record lies in another namespace than the release.

    Helm's commands, and so nksmesh, look for a record in the release's namespace. Flux keeps the record in the
    HelmRelease's own namespace (or its ``storageNamespace``) when the HelmRelease has a ``targetNamespace``.

    Attributes:
        release: What Helm has of it.
        owner: The tool that keeps it, as the record and the objects tell; None where they do not.
    """

    release: InstalledRelease
    owner: Owner | None = None

    def __str__(self) -> str:
        release = self.release
        keeper = f" ({self.owner})" if self.owner else ""
        return (
            f"Helm's record of release {release.name} is in namespace {release.storage_namespace}, and the release is "
            f"in {release.namespace}{keeper}: nksmesh cannot change this release"
        )

    @property
    def way_on(self) -> str:
        """What a user can do, in sentences, with the commands."""
        release = self.release
        move = (
            f"move its Secrets sh.helm.release.v1.{release.name}.v* from {release.storage_namespace} to "
            f"{release.namespace}, and run nksmesh adopt"
        )
        if self.owner is None:
            return (
                "Change it with the tool that installed it, or with Helm: helm upgrade "
                f"{release.name} -n {release.storage_namespace}. Remove it with: helm uninstall "
                f"{release.name} -n {release.storage_namespace}. To manage it with nksmesh, {move}."
            )
        if self.owner.tool is not Tool.FLUX:
            return f"{self.owner.way_on} To manage it with nksmesh, {move}."
        name = self.owner.name or "NAME"
        namespace = self.owner.namespace or release.storage_namespace
        return (
            f"Continue with Flux, or remove it there: flux delete helmrelease {name} -n "
            f"{namespace}. To manage it with nksmesh, suspend the HelmRelease (flux suspend "
            f"helmrelease {name} -n {namespace}), {move}."
        )


def stored_elsewhere(release: InstalledRelease, objects: Collection[Mapping[str, Any]]) -> StoredElsewhere:
    """Describe a release whose record lies elsewhere.

    Args:
        objects: The metadata of its live objects, which tell the tool where the record does not.
    """
    owners = [owner_of(manifest) for manifest in ({"metadata": release.record}, *objects)]
    tools = [owner for owner in owners if owner.tool in {Tool.FLUX, Tool.ARGO}]
    # A field manager tells the tool alone: a label that also tells the HelmRelease comes first.
    best = sorted(tools, key=lambda owner: (not owner.name, owner.kind != HELM_RELEASE))
    return StoredElsewhere(release=release, owner=next(iter(best), None))


def judge_elsewhere(found: Sequence[StoredElsewhere]) -> tuple[Finding, ...]:
    """Judge a run that would write to such releases: a failure where there are any."""
    return blocked_by("helm.record-elsewhere", found)


@dataclass(frozen=True, kw_only=True)
class Unseen:
    """A recorded mesh whose objects live, and of whose releases Helm shows none.

    Attributes:
        recorded: Helm's storage driver as the record has it; empty for one that does not tell.
        driver: This shell's storage driver.
        under_other: Helm keeps releases of it with its other driver.
    """

    namespace: str
    recorded: str
    driver: str
    under_other: bool = False
    objects: tuple[ObjectRef, ...] = field(default=())

    @property
    def _other(self) -> str:
        """The driver that is known to be the mesh's; empty where none is."""
        if self.under_other:
            return "configmap" if self.driver == "secret" else "secret"
        return self.recorded if self.recorded != self.driver else ""

    def __str__(self) -> str:
        mesh = f"the mesh in {self.namespace}"
        if self._other:
            known = "Helm keeps" if self.under_other else "nksmesh's record says that Helm keeps"
            return (
                f"{known} the releases of {mesh} with HELM_DRIVER={self._other}, and this shell has "
                f"HELM_DRIVER={self.driver}: Helm does not show them here"
            )
        shown = first_few(self.objects, _MOST)
        return f"nksmesh has a record of {mesh}, and its objects exist ({shown}), but Helm shows no release of it"

    @property
    def way_on(self) -> str:
        """What a user can do, in sentences, with the commands."""
        if self._other:
            return (
                f"Run the same command with the driver of the mesh: HELM_DRIVER={self._other} nksmesh ... "
                f"(check first: HELM_DRIVER={self._other} nksmesh status -n {self.namespace})"
            )
        driver = "configmap" if self.driver == "secret" else "secret"
        kind = "Secrets" if self.driver == "secret" else "ConfigMaps"
        return (
            "Either the mesh was installed with a HELM_DRIVER other than this shell's "
            f"({self.driver}): try HELM_DRIVER={driver} nksmesh status -n {self.namespace}. "
            f"Or Helm's records ({kind} sh.helm.release.v1.*) were deleted: restore them "
            "from a backup, or delete the objects with kubectl delete and run nksmesh "
            "install again."
        )

    @property
    def finding(self) -> Finding:
        """The failure of a run that would write."""
        return Finding(
            id="helm.hidden-releases",
            message=f"{self}; nothing was changed",
            hint=self.way_on,
            detail="\n".join(map(str, self.objects)),
            error=ClusterError,
        )
