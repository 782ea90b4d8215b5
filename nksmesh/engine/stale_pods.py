"""Gateway pods that run another proxy than the plan's: a restart replaces them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from nksmesh.domain.charts.installed import InstalledRelease
from nksmesh.domain.common.spelling import first_few
from nksmesh.domain.kube.objects import Manifest, ObjectRef, pod_template, ref_of
from nksmesh.domain.kube.readiness import proxy_images
from nksmesh.domain.kube.workloads import ROLLOUT_KINDS
from nksmesh.domain.plan.plan import ReleaseChange
from nksmesh.engine import observation
from nksmesh.engine.ports import Cluster, Helm

_MOST_PODS: Final = 3


def with_stale_pods(change: ReleaseChange, cluster: Cluster, helm: Helm, proxy: str) -> ReleaseChange:
    """See which pods of a gateway run another proxy; a changed pod template makes new ones by itself."""
    if not change.release.kind.injected or change.installed is None or _rolls_out(change, change.installed, helm):
        return change
    pods_by_proxy: dict[str, list[str]] = {}
    for pod in observation.pods_on_other_proxy(cluster.live, change.release, change.manifests, proxy):
        images = ", ".join(sorted(proxy_images(pod))) or "no proxy"
        pods_by_proxy.setdefault(images, []).append(str(pod["metadata"]["name"]))
    return replace(change, stale_pods=tuple(_runs(images, pods) for images, pods in pods_by_proxy.items()))


def _runs(images: str, pods: Sequence[str]) -> str:
    if len(pods) == 1:
        return f"pod {pods[0]} runs {images}"
    return f"{len(pods)} pods run {images}: {first_few(pods, _MOST_PODS)}"


def _rolls_out(change: ReleaseChange, installed: InstalledRelease, helm: Helm) -> bool:
    """Tell whether writing a release changes its pod templates: then its pods come anew, behind the gate."""
    if not change.reasons or not installed.deployed:
        return False
    return _templates(helm.parse(installed.manifest)) != _templates(change.manifests)


def _templates(manifests: Iterable[Manifest]) -> dict[ObjectRef, Mapping[str, Any]]:
    return {ref_of(one): pod_template(one) for one in manifests if one.get("kind") in ROLLOUT_KINDS}
