"""The status of a pod that has processes, as a kubelet writes it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nksmesh.domain.kube.objects import Manifest
from nksmesh.sandbox.data_plane.programs import running_containers
from nksmesh.sandbox.nodes import NODES


@dataclass
class ContainerState:
    """How a container is.

    Attributes:
        waiting: Why it does not run; empty while it does.
        ready: Whether its probe, or its port, answers.
        started: When its process began.
        exit_code: That of the process before; None where there was none.
    """

    waiting: str = "ContainerCreating"
    message: str = ""
    ready: bool = False
    restarts: int = 0
    started: str = ""
    exit_code: int | None = None


def now() -> str:
    """Return the time as Kubernetes writes it."""
    return dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def pod_status(pod: Manifest, address: str, states: Mapping[str, ContainerState]) -> dict[str, Any]:
    """Return the whole status; a condition that stays as it was keeps its time."""
    before = pod.get("status") or {}
    running = {container["name"] for container in running_containers(pod)}
    unready = [name for name in states if not states[name].ready]
    begun = any(not states[name].waiting for name in states)
    ready = _condition("False" if unready else "True", f"containers with unready status: [{' '.join(unready)}]")
    wanted = {
        "PodScheduled": {"status": "True"},
        "Initialized": {"status": "True"},
        "ContainersReady": ready,
        "Ready": ready,
        **{str(gate["conditionType"]): {"status": "True"} for gate in pod["spec"].get("readinessGates") or ()},
    }
    known = {condition["type"]: condition for condition in before.get("conditions") or ()}
    conditions = [
        {
            "type": kind,
            **condition,
            "lastTransitionTime": known[kind]["lastTransitionTime"]
            if kind in known and known[kind]["status"] == condition["status"]
            else now(),
        }
        for kind, condition in wanted.items()
    ]
    inits = pod["spec"].get("initContainers") or ()
    return {
        "phase": "Running" if begun else "Pending",
        "conditions": conditions,
        "hostIP": NODES[pod["spec"]["nodeName"]],
        "podIP": address,
        "podIPs": [{"ip": address}],
        "startTime": before.get("startTime") or now(),
        "containerStatuses": [_container(c, states[c["name"]]) for c in pod["spec"]["containers"]],
        "initContainerStatuses": [
            _container(c, states[c["name"]]) if c["name"] in running else _completed(c) for c in inits
        ],
    }


def _condition(status: str, message: str) -> dict[str, str]:
    return {"status": status} | ({"reason": "ContainersNotReady", "message": message} if status == "False" else {})


def _container(container: Manifest, state: ContainerState) -> dict[str, Any]:
    if state.waiting:
        current: dict[str, Any] = {"waiting": {"reason": state.waiting, "message": state.message}}
    else:
        current = {"running": {"startedAt": state.started}}
    last = {} if state.exit_code is None else {"terminated": _terminated(state.exit_code, state.started)}
    return {
        "name": container["name"],
        "image": container["image"],
        "imageID": "",
        "ready": state.ready,
        "started": not state.waiting,
        "restartCount": state.restarts,
        "state": current,
        "lastState": last,
    }


def _terminated(code: int, started: str) -> dict[str, Any]:
    return {
        "exitCode": code,
        "reason": "Error" if code else "Completed",
        "startedAt": started or None,
        "finishedAt": now(),
    }


def _completed(container: Manifest) -> dict[str, Any]:
    return {
        "name": container["name"],
        "image": container["image"],
        "imageID": "",
        "ready": True,
        "restartCount": 0,
        "state": {"terminated": _terminated(0, now())},
    }
