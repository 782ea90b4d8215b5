"""The data plane as the agent has it: which pods get processes, and what the program is told of Services."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import shutil
from collections import Counter
from collections.abc import Callable, Coroutine
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any, Final

from nksmesh.adapters.cluster.api import Api
from nksmesh.adapters.cluster.live import LiveView
from nksmesh.domain.common.errors import ClusterError, ConfigError, RefusedError
from nksmesh.domain.kube.objects import Manifest, Query
from nksmesh.sandbox.builds import ISTIO_VERSION
from nksmesh.sandbox.data_plane.plane import CONNECT_SOCKET, KUBELET_SOCKET, Plane, PlaneError
from nksmesh.sandbox.data_plane.pods import Machine, PodLife
from nksmesh.sandbox.data_plane.programs import Programs, has_processes, is_istiod, kind_of, running_containers
from nksmesh.sandbox.data_plane.services import external_addresses, services_of
from nksmesh.sandbox.data_plane.state import Written
from nksmesh.sandbox.failures import merge
from nksmesh.sandbox.stages import (
    FAILURE_ANNOTATION,
    PLAYED_ANNOTATION,
    PULL_ANNOTATION,
    PULLED,
    SIMULATED,
    WITH_PROCESSES,
)
from nksmesh.sandbox.workloads.images import Kind

_PODS_FOLDER: Final = "pods"
_FOLLOWED: Final = (Query("discovery.k8s.io/v1", "EndpointSlice"), Query("v1", "ConfigMap"))

_ADDRESSES: Final = IPv4Network("10.244.128.0/17")
"""Those of pods with processes: kwok gives the others addresses from the beginning of the same range."""

_AGAIN_SECONDS: Final = 0.2
_TOGETHER_SECONDS: Final = 0.02
"""What changes within so long is told together."""

_OVER: Final = ("Succeeded", "Failed")

logger = logging.getLogger(__name__)

Spawn = Callable[[Coroutine[Any, Any, None]], None]


class DataPlane:
    """Every pod with processes, over one live view.

    Args:
        registry: The host of the registry whose images are only there once they are pulled; empty where there is none.
        spawn: Runs something whose failure is to be logged.
    """

    def __init__(self, api: Api, live: LiveView, programs: Programs, registry: str, spawn: Spawn) -> None:
        self._api = api
        self._live = live
        self._registry = registry
        self._spawn = spawn
        self._plane = Plane()
        folder = Path(_PODS_FOLDER).absolute()
        self._machine = Machine(api, self._plane, programs, self._config_map, folder)
        self._lives: dict[str, PodLife] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._simulated: set[str] = set()
        self._changed = asyncio.Event()
        self._next = 0
        self._written = Written()

    @property
    def followed(self) -> tuple[Query, ...]:
        """What the view must follow, beside pods and Services."""
        return _FOLLOWED

    @property
    def kubelet(self) -> Path:
        """The socket of the program's kubelet, which asks the agent's for pods that it does not have."""
        return Path(KUBELET_SOCKET)

    @property
    def proxy(self) -> Path:
        """The socket of the program's CONNECT proxy."""
        return Path(CONNECT_SOCKET)

    async def run(self) -> None:
        """Keep the program told, from when it answers; and tell it anew after it was started again."""
        await asyncio.to_thread(shutil.rmtree, self._machine.folder, ignore_errors=True)
        async with self._plane:
            while True:
                with contextlib.suppress(PlaneError):
                    await self._plane.reset()
                    self._machine.ready.set()
                    telling = asyncio.create_task(self._keep_told())
                    try:
                        await self._plane.until_gone()
                    finally:
                        self._machine.ready.clear()
                        telling.cancel()
                        await asyncio.gather(telling, return_exceptions=True)
                await asyncio.sleep(_AGAIN_SECONDS)

    def changed(self, kind: str, item: Manifest, *, gone: bool) -> None:
        """Learn of an object."""
        self._changed.set()
        if kind == "Pod":
            try:
                self._pod_changed(item, gone=gone)
            except ConfigError as error:
                logger.error("pod %s: %s", item["metadata"]["name"], error.message)  # noqa: TRY400 - it says it all
                self._simulate(item)
        elif kind == "ConfigMap":
            for life in self._lives.values():
                if life.pod["metadata"]["namespace"] == item["metadata"]["namespace"]:
                    life.touched()

    def _pod_changed(self, pod: Manifest, *, gone: bool) -> None:
        metadata = pod["metadata"]
        uid, annotations = metadata["uid"], metadata.get("annotations") or {}
        life = self._lives.get(uid)
        if life:
            life.touched(pod)
        if gone:
            self._simulated.discard(uid)
            if life:
                self._leave(uid, life.remove())
        elif metadata.get("deletionTimestamp"):
            if life or annotations.get(PLAYED_ANNOTATION) == WITH_PROCESSES:
                self._end(pod, life)
        elif annotations.get(FAILURE_ANNOTATION):
            # its failure is simulated, and so is the pod until that ends
            if life:
                self._leave(uid, life.remove())
            elif not annotations.get(PLAYED_ANNOTATION):
                self._simulate(pod)
        elif life is None and pod["spec"].get("nodeName") and (pod.get("status") or {}).get("phase") not in _OVER:
            self._bound(pod)

    def _bound(self, pod: Manifest) -> None:
        metadata = pod["metadata"]
        annotations = metadata.get("annotations") or {}
        played = annotations.get(PLAYED_ANNOTATION)
        if played == SIMULATED or (self._unpulled(pod) and annotations.get(PULL_ANNOTATION) != PULLED):
            return
        if played is None and not has_processes(pod):
            self._simulate(pod)
            return
        life = PodLife(pod, self._address(pod), self._machine)
        self._lives[metadata["uid"]] = life
        if played is None:
            self._spawn(self._annotate(pod, WITH_PROCESSES))
        self._tasks[metadata["uid"]] = asyncio.create_task(life.live())

    def _unpulled(self, pod: Manifest) -> bool:
        containers = [*(pod["spec"].get("initContainers") or ()), *pod["spec"]["containers"]]
        return bool(self._registry) and any(c.get("image", "").startswith(f"{self._registry}/") for c in containers)

    def _simulate(self, pod: Manifest) -> None:
        if (uid := pod["metadata"]["uid"]) not in self._simulated:
            self._simulated.add(uid)
            self._spawn(self._annotate(pod, SIMULATED))

    def _end(self, pod: Manifest, life: PodLife | None) -> None:
        uid = pod["metadata"]["uid"]
        if uid in self._tasks or life is None:
            ending = life or PodLife(pod, self._address(pod), self._machine)
            self._lives[uid] = ending
            self._leave(uid, ending.end(), forget=False)

    def _leave(self, uid: str, then: Coroutine[Any, Any, None], *, forget: bool = True) -> None:
        """Stop running a pod, and do something then."""
        task = self._tasks.pop(uid, None)
        if forget:
            del self._lives[uid]

        async def leave() -> None:
            if task:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
            await then

        self._spawn(leave())

    async def _annotate(self, pod: Manifest, played: str) -> None:
        metadata = pod["metadata"]
        path = f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}"
        # another pod of the same name, made since, is not meant
        patch = {"metadata": {"uid": metadata["uid"], "annotations": {PLAYED_ANNOTATION: played}}}
        while True:
            try:
                await merge(self._api, path, patch)
            except RefusedError as error:  # such as of a pod that is gone
                logger.info("pod %s: %s", metadata["name"], error.message)
            except ClusterError:
                await asyncio.sleep(_AGAIN_SECONDS)
                continue
            return

    def _address(self, pod: Manifest) -> str:
        known = (pod.get("status") or {}).get("podIP")
        if known and IPv4Address(known) in _ADDRESSES:
            return str(known)
        taken = {(other.get("status") or {}).get("podIP") for other in self._live.find("Pod")}
        taken |= {life.address for life in self._lives.values()}
        while True:
            # one that a pod had is not given again at once: proxies may still know it as that pod's
            self._next = self._next % (_ADDRESSES.num_addresses - 512) + 1
            if (address := str(_ADDRESSES[self._next])) not in taken:
                return address

    def _config_map(self, namespace: str, name: str) -> Manifest | None:
        return self._live.get("ConfigMap", name, namespace)

    async def _keep_told(self) -> None:
        """Tell the program of Services, and the sandbox's commands of what there is, whenever that has changed."""
        services: list[dict[str, Any]] | None = None
        while True:
            self._changed.clear()
            wanted = services_of(self._live.find("Service"), self._live.find("EndpointSlice"))
            try:
                if wanted != services:
                    await self._plane.set_services(wanted)
                    before, addresses = self._written.relays, external_addresses(self._live.find("Service"))
                    self._written.relays = await self._plane.set_relays({a: before.get(a, 0) for a in addresses})
                    services = wanted
                self._write_state()
            except (PlaneError, OSError) as error:
                logger.warning("Services: %s", error)
                await asyncio.sleep(_AGAIN_SECONDS)
                continue
            await self._changed.wait()
            await asyncio.sleep(_TOGETHER_SECONDS)

    def _write_state(self) -> None:
        played: Counter[tuple[str, str]] = Counter()
        control_plane = False
        for pod in self._live.find("Pod"):
            with_processes = pod["metadata"]["uid"] in self._lives
            for container in running_containers(pod):
                how = kind_of(container) if with_processes else Kind.SIMULATED
                played[str(container.get("image", "")), how] += 1
                control_plane |= is_istiod(container) and how is Kind.REAL
        self._written.write(ISTIO_VERSION if control_plane else "", played)
