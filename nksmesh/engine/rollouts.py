"""One workload's restart: begun as ``kubectl rollout restart`` does, watched until every new pod is ready.

Gateway pods that run another proxy than the plan's are what a restart replaces.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Final

from nksmesh.domain.charts.installed import InstalledRelease
from nksmesh.domain.common.spelling import counted, first_few
from nksmesh.domain.kube.diagnosis import Cause, Trouble, troubles_of_pod
from nksmesh.domain.kube.disruption import rounds
from nksmesh.domain.kube.objects import Manifest, ObjectRef, Query, pod_template, ref_of
from nksmesh.domain.kube.readiness import Readiness, of_workload, proxy_images, ready, updated_pods, waiting
from nksmesh.domain.kube.refusals import refusals_of, troubles_of_replica_set, version_of
from nksmesh.domain.kube.workloads import RESTARTED_AT, ROLLOUT_KINDS, Workload
from nksmesh.domain.plan.plan import ReleaseChange
from nksmesh.engine import observation
from nksmesh.engine.ports import Cluster, Helm, Live
from nksmesh.engine.runtime import Runtime
from nksmesh.engine.waiting import Wait, WaitOptions, wait_until_ready

BUDGETS: Final = Query("policy/v1", "PodDisruptionBudget")

_MOST_PODS: Final = 3


def queries_in(namespace: str) -> list[Query]:
    """Name what is followed to see a namespace's workloads roll out."""
    return [
        *(Query("apps/v1", kind, namespace) for kind in (*ROLLOUT_KINDS, "ReplicaSet")),
        Query("v1", "Pod", namespace),
        Query("v1", "Event", namespace, fields="type=Warning"),
        replace(BUDGETS, namespace=namespace),
    ]


def found(live: Live, workload: Workload) -> Manifest | None:
    """Return a followed workload as it is now."""
    return live.get(workload.kind, workload.name, workload.namespace)


def rolled_out(live: Live, workload: Workload) -> Readiness:
    """Judge the newest rollout of a Deployment, StatefulSet or DaemonSet."""
    return of_workload(found(live, workload), workload.kind, workload.name)


async def begin_restart(ref: ObjectRef, cluster: Cluster, stamp: str) -> None:
    """Have a workload make its pods anew, as ``kubectl rollout restart`` does, and take it into the view.

    Raises:
        ClusterError: The API server refuses the restart.
    """
    template = {"metadata": {"annotations": {RESTARTED_AT: stamp}}}
    restarted = await cluster.objects.merge({"spec": {"template": template}}, ref)
    cluster.live.put(observation.query_for(ref), restarted)


def stamp_of_now() -> str:
    """Return what tells the pods of a restart that begins now from those of an earlier one."""
    return datetime.now(UTC).isoformat()


@dataclass(frozen=True, kw_only=True)
class Rollout:
    """A restart of one workload; ``run`` begins it, and returns when it is over.

    Attributes:
        runtime: Its live view follows the namespace; ``waits.component`` is for the pods that are replaced at once.
        stamp: What tells the new pods from the old ones: the annotation that the new template has.
    """

    workload: Workload
    runtime: Runtime
    stamp: str = field(default_factory=stamp_of_now)

    @property
    def _live(self) -> Live:
        return self.runtime.cluster.live

    async def run(self) -> str:
        """Restart the workload.

        Returns:
            What was proved.

        Raises:
            NotReadyError: It does not become ready again.
            ClusterError: The API server refuses the restart.
        """
        runtime, before = self.runtime, {version_of(event) for event in self._refusals()}
        await begin_restart(self.workload.ref, runtime.cluster, self.stamp)
        wait = Wait(step=str(self.workload), judge=self._judge, troubles=lambda: self._troubles(before))
        return await wait_until_ready(
            wait, self._live, runtime.cluster.objects, waits=self._patience(), listener=runtime.listener
        )

    def pods(self) -> list[Manifest]:
        """Return the new pods that are not ending."""
        return [
            pod
            for pod in self._live.find("Pod", self.workload.namespace)
            if _stamp(pod) == self.stamp and not pod["metadata"].get("deletionTimestamp")
        ]

    def proxies(self) -> tuple[str, ...]:
        """Return the images of the new pods' proxies, an empty one for a pod without any."""
        return tuple(sorted({image for pod in self.pods() for image in proxy_images(pod) or {""}}))

    def _judge(self) -> Readiness:
        answer = rolled_out(self._live, self.workload)
        if not answer.ready:
            return answer
        now = found(self._live, self.workload) or {}
        wanted, seen = updated_pods({"kind": self.workload.kind, **now}), len(self.pods())
        if seen < wanted:  # pods come by another watch than their workload
            return waiting(f"{wanted - seen} of {wanted} new pods to appear")
        images = ", ".join(image or "no proxy" for image in self.proxies()) or "no pods"
        return ready(f"{counted(seen, 'pod')} on {images}")

    def _troubles(self, before: Iterable[str]) -> list[Trouble]:
        """List what keeps the new pods from being ready."""
        live, namespace, pods = self._live, self.workload.namespace, self.pods()
        troubles = [trouble for pod in pods for trouble in troubles_of_pod(pod, observation.events_of(live, pod))]
        for replica_set in live.find("ReplicaSet", namespace):
            if _stamp(pod_template(replica_set)) == self.stamp:
                troubles += troubles_of_replica_set(replica_set)
        now = found(live, self.workload)
        if now is not None:
            since = [event for event in self._refusals() if version_of(event) not in before]
            troubles += refusals_of({"kind": self.workload.kind, **now}, since, pods)
        return troubles

    def _refusals(self) -> list[Manifest]:
        """Return the events that say that a StatefulSet or DaemonSet could not create a pod."""
        now = found(self._live, self.workload)
        return observation.refusals_about(self._live, now) if now is not None else []

    def _patience(self) -> WaitOptions:
        """Give each round of pods its time: of a user's own pods nobody knows how long they take to be ready."""
        now = found(self._live, self.workload)
        waits = self.runtime.waits
        once = waits.component
        graces = {**waits.graces, Cause.PROBE: max(once, waits.graces.get(Cause.PROBE, 0.0))}
        return replace(waits, component=once * rounds(now or {}), graces=graces)


def _stamp(manifest: Mapping[str, object]) -> str:
    metadata = manifest.get("metadata")
    annotations = metadata.get("annotations") if isinstance(metadata, Mapping) else None
    return str((annotations or {}).get(RESTARTED_AT, ""))


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
    return {ref_of(manifest): pod_template(manifest) for manifest in manifests if manifest.get("kind") in ROLLOUT_KINDS}
