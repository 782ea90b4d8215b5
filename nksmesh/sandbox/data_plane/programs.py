"""What runs in a container: Istio's own program, what plays its image, or nothing."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from nksmesh.domain.common.errors import ConfigError
from nksmesh.domain.images.reference import parse_reference
from nksmesh.domain.kube.objects import Manifest
from nksmesh.domain.kube.readiness import PROXY_CONTAINER
from nksmesh.sandbox.builds import OLDEST_CHARTS
from nksmesh.sandbox.workloads.images import Kind, Program, program_of

_ISTIOD_PORT: Final = 15012
_PROXY_PORT: Final = 15021
_VERSION: Final = re.compile(r":v?(\d+)\.(\d+)[^/]*$")


@dataclass(frozen=True)
class Programs:
    """Where Istio's own programs are.

    Attributes:
        istio: The folder with pilot-discovery, pilot-agent and Envoy's bootstrap template.
        envoy: The program.
    """

    istio: Path
    envoy: Path

    @property
    def search_path(self) -> str:
        """What PATH is for a pod's processes: a command finds pilot-agent, and what the host has."""
        return os.pathsep.join([str(self.istio), *filter(None, [os.environ.get("PATH")])])

    def of(self, container: Manifest) -> Program | None:
        """Return what runs in a container; its arguments are the container's where the program is Istio's.

        Raises:
            ConfigError: Istio's samples are not in the cache.
        """
        if is_istiod(container):
            return Program(kind=Kind.REAL, command=(str(self.istio / "pilot-discovery"),), port=_ISTIOD_PORT)
        if is_proxy(container):
            return Program(kind=Kind.REAL, command=(str(self.istio / "pilot-agent"),), port=_PROXY_PORT)
        return workload_of(container)


def workload_of(container: Manifest) -> Program | None:
    """Return what plays a container's image, on the first port that the container names."""
    ports = [int(port["containerPort"]) for port in container.get("ports") or ()]
    return program_of(str(container.get("image", "")), port=ports[0] if ports else None)


def is_istiod(container: Manifest) -> bool:
    """Tell whether a container is Istio's control plane."""
    return list(container.get("args") or ())[:1] == ["discovery"]


def is_proxy(container: Manifest) -> bool:
    """Tell whether a container is a sidecar or a gateway."""
    return bool(container["name"] == PROXY_CONTAINER and list(container.get("args") or ())[:1] == ["proxy"])


def kind_of(container: Manifest) -> Kind:
    """Say how true a container is to its image, where its pod has processes at all."""
    if is_istiod(container) or is_proxy(container):
        return Kind.REAL
    played = workload_of(container)
    return played.kind if played else Kind.SIMULATED


def running_containers(pod: Manifest) -> list[dict[str, Any]]:
    """Return the containers that run as long as the pod: native sidecars first, as they start."""
    inits = [c for c in pod["spec"].get("initContainers") or () if c.get("restartPolicy") == "Always"]
    return [*inits, *pod["spec"]["containers"]]


def has_processes(pod: Manifest) -> bool:
    """Tell whether a pod is to have processes.

    One of an Istio that is too old has none, nor has one of a Job, in the node's network, or with an image whose name
    no kubelet accepts.
    """
    spec = pod["spec"]
    owners = {owner.get("kind") for owner in pod["metadata"].get("ownerReferences") or ()}
    every = [*(spec.get("initContainers") or ()), *spec["containers"]]
    if spec.get("hostNetwork") or "Job" in owners or not all(_is_named(container) for container in every):
        return False
    containers = running_containers(pod)
    if any(_too_old(container) for container in containers if is_istiod(container) or is_proxy(container)):
        return False
    return any(kind_of(container) is not Kind.SIMULATED for container in containers)


def _is_named(container: Manifest) -> bool:
    try:
        parse_reference(str(container.get("image", "")))
    except ConfigError:
        return False
    return True


def _too_old(container: Manifest) -> bool:
    version = _VERSION.search(str(container.get("image", "")))
    return version is not None and (int(version[1]), int(version[2])) < OLDEST_CHARTS
