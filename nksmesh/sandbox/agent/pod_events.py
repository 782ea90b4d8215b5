"""The events a kubelet writes about a pod, told from what kwok makes of its status."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

from nksmesh.domain.kube.objects import Manifest


@dataclass(frozen=True)
class PodEvent:
    """What happened to a pod, in the kubelet's words."""

    type: str
    reason: str
    message: str
    container: str


def pod_events(pod: Manifest) -> list[PodEvent]:
    """Say which events a kubelet would have written for a pod's present status."""
    status = pod.get("status") or {}
    events: list[PodEvent] = []
    for container in [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]:
        name, image, state = container["name"], container["image"], container.get("state") or {}
        waiting = state.get("waiting") or {}
        match waiting.get("reason"):
            case "ErrImagePull":
                failed = f'Failed to pull image "{image}": {waiting.get("message", "")}'
                events += [
                    PodEvent("Normal", "Pulling", f'Pulling image "{image}"', name),
                    PodEvent("Warning", "Failed", failed, name),
                    PodEvent("Warning", "Failed", "Error: ErrImagePull", name),
                ]
            case "ImagePullBackOff":
                events += [
                    PodEvent("Normal", "BackOff", f'Back-off pulling image "{image}"', name),
                    PodEvent("Warning", "Failed", "Error: ImagePullBackOff", name),
                ]
            case "InvalidImageName":
                events += [
                    PodEvent("Warning", "InspectFailed", waiting.get("message", ""), name),
                    PodEvent("Warning", "Failed", "Error: InvalidImageName", name),
                ]
            case "CrashLoopBackOff":
                metadata = pod["metadata"]
                where = f"{metadata['name']}_{metadata['namespace']}({metadata['uid']})"
                backing = f"Back-off restarting failed container {name} in pod {where}"
                events.append(PodEvent("Warning", "BackOff", backing, name))
        if "running" in state and not container.get("ready"):
            probe = f'Get "http://{status.get("podIP", "")}:15021/healthz/ready": connect: connection refused'
            events.append(PodEvent("Warning", "Unhealthy", f"Readiness probe failed: {probe}", name))
    return events


def event_object(pod: Manifest, event: PodEvent, number: int) -> dict[str, Any]:
    """Make the Event object."""
    metadata = pod["metadata"]
    now = dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    init = {container["name"] for container in pod["spec"].get("initContainers") or []}
    kind = "initContainers" if event.container in init else "containers"
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {
            "name": f"{metadata['name'][:200]}.{metadata['uid'][:8]}{number:08x}",
            "namespace": metadata["namespace"],
        },
        "involvedObject": {
            "apiVersion": "v1",
            "kind": "Pod",
            "name": metadata["name"],
            "namespace": metadata["namespace"],
            "uid": metadata["uid"],
            "fieldPath": f"spec.{kind}{{{event.container}}}",
        },
        "type": event.type,
        "reason": event.reason,
        "message": event.message,
        "count": 1,
        "firstTimestamp": now,
        "lastTimestamp": now,
        "source": {"component": "kubelet", "host": pod["spec"].get("nodeName", "")},
    }
