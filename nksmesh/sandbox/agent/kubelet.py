"""The kubelet, as far as simulated pods need one: the logs of a container, and the events about a pod.

What it writes about a pod is told from what kwok makes of the pod's status.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from nksmesh.domain.kube.objects import Manifest
from nksmesh.sandbox.agent.https_server import Request, Response
from nksmesh.sandbox.stages import CRASH, CRASH_EXIT_CODE, FAILURE_ANNOTATION, PLAYED_ANNOTATION, WITH_PROCESSES

PodOf = Callable[[str, str], Manifest | None]

_CRASH_LINES: Final = (
    "info\tFLAG: --concurrency=0",
    "info\tProxy role",
    "error\tfailed to start the proxy: the sandbox was told that this container crashes",
    f"Error: exit status {CRASH_EXIT_CODE}",
)
_LOGS_PARTS: Final = 4


@dataclass(frozen=True)
class PodEvent:
    """What happened to a pod, in the kubelet's words."""

    type: str
    reason: str
    message: str
    container: str


def answer(request: Request, pod_of: PodOf) -> Response:
    """Answer ``/containerLogs/NAMESPACE/POD/CONTAINER``; nothing else runs on a simulated node."""
    url = urlsplit(request.target)
    parts = url.path.strip("/").split("/")
    if len(parts) != _LOGS_PARTS or parts[0] != "containerLogs":
        return _text("a node of the sandbox runs nothing: it has logs to show, no more", HTTPStatus.NOT_IMPLEMENTED)
    _, namespace, name, container = parts
    pod = pod_of(namespace, name)
    if pod is None:
        return _text(f"pod {namespace}/{name} is not on this node", HTTPStatus.NOT_FOUND)
    lines = _lines(pod, container)
    tail = parse_qs(url.query).get("tailLines", [""])[0]
    if tail.isdigit():
        lines = lines[len(lines) - min(int(tail), len(lines)) :]
    return _text("".join(f"{line}\n" for line in lines), HTTPStatus.OK)


def pod_events(pod: Manifest) -> list[PodEvent]:
    """Say which events a kubelet would have written for a pod's present status."""
    status = pod.get("status") or {}
    # one with processes is about to be ready whenever they start
    processes = (pod["metadata"].get("annotations") or {}).get(PLAYED_ANNOTATION) == WITH_PROCESSES
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
        if "running" in state and not container.get("ready") and not processes:
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


def _lines(pod: Manifest, container: str) -> list[str]:
    if (pod["metadata"].get("annotations") or {}).get(FAILURE_ANNOTATION) == CRASH:
        return list(_CRASH_LINES)
    return [f"container {container} is simulated: no program runs in it"]


def _text(text: str, status: HTTPStatus) -> Response:
    return Response(text.encode(), "text/plain", status)
