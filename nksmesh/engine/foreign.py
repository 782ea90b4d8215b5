"""Istiods of other tools: found with one list, and never installed over."""

from __future__ import annotations

from nksmesh.domain.adoption.foreign import ISTIOD_LABEL, ForeignIstiod, foreign_among
from nksmesh.domain.charts.releases import ISTIOD, Release
from nksmesh.domain.common.findings import Finding, blocked_by, refuse_failures
from nksmesh.domain.kube.objects import Manifest, helm_marks
from nksmesh.engine.hidden_releases import check_hidden
from nksmesh.engine.permissions import where_allowed
from nksmesh.engine.ports import Cluster


async def list_istiods(cluster: Cluster) -> list[Manifest] | None:
    """List the Deployments of every istiod that is there and is not being deleted; None where that is not allowed.

    Raises:
        ClusterError: The cluster cannot be reached, or refuses.
    """
    listed = await where_allowed(cluster.objects.list("apps/v1", "Deployment", labels=ISTIOD_LABEL), None)
    return None if listed is None else [istiod for istiod in listed if not istiod["metadata"].get("deletionTimestamp")]


async def foreign_istiods(deployments: list[Manifest], cluster: Cluster) -> tuple[ForeignIstiod, ...]:
    """Describe those istiods that no Helm release of Istio's own chart owns; reads the releases that are named.

    Raises:
        ClusterError: Helm has the release of one in another namespace or under its other storage driver; or the cluster
            cannot be reached, or refuses.
    """
    named = {key for istiod in deployments if (key := helm_marks(istiod)) is not None}
    releases = [Release(component=ISTIOD.name, name=name, namespace=namespace) for namespace, name in sorted(named)]
    helm = await cluster.storage.installed(releases) if releases else {}
    refuse_failures(await check_hidden([release for release in releases if release.key not in helm], cluster))
    return foreign_among(deployments, helm)


async def check_foreign(deployments: list[Manifest], cluster: Cluster) -> tuple[Finding, ...]:
    """Find an istiod of another tool that a mesh would be installed beside, or over: a failure.

    Raises:
        ClusterError: As ``foreign_istiods`` says.
    """
    return blocked_by("ownership.foreign-istiod", await foreign_istiods(deployments, cluster))
