"""The life of a pod that has processes: what a kubelet does, from its binding to its end."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from nksmesh.adapters.cluster.api import Api
from nksmesh.domain.common.errors import ClusterError, RefusedError
from nksmesh.domain.kube.objects import Manifest
from nksmesh.sandbox.data_plane.plane import Plane, PlaneError
from nksmesh.sandbox.data_plane.probes import Probe
from nksmesh.sandbox.data_plane.processes import Played
from nksmesh.sandbox.data_plane.programs import Programs, running_containers
from nksmesh.sandbox.data_plane.statuses import ContainerState, now, pod_status
from nksmesh.sandbox.data_plane.volumes import ConfigMaps, ContainerFiles, MissingVolumeError
from nksmesh.sandbox.failures import merge

_AGAIN_SECONDS: Final = 0.3
_FIRST_BACK_OFF: Final = 1.0
_LONGEST_BACK_OFF: Final = 30.0
"""Seconds before a container that ended is started again: a kubelet's are 10 to 300."""

_DEFAULT_GRACE: Final = 30.0
_CLUSTER_DOMAIN: Final = "cluster.local"
_NAME_SERVER: Final = "10.96.0.10"
_REWRITE_SECONDS: Final = 600.0

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Machine:
    """What every pod's life works with.

    Attributes:
        folder: Where pods keep their files and logs.
        ready: Set while the program takes orders.
    """

    api: Api
    plane: Plane
    programs: Programs
    config_maps: ConfigMaps
    folder: Path
    ready: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass
class Container:
    """A container that a pod has, and how it is.

    Attributes:
        played: What runs in it; None where it is simulated.
    """

    spec: Mapping[str, Any]
    played: Played | None
    files: ContainerFiles
    state: ContainerState = field(default_factory=ContainerState)

    @property
    def name(self) -> str:
        """Its name in the pod."""
        return str(self.spec["name"])

    @property
    def is_sidecar(self) -> bool:
        """Whether it is a native sidecar: begun before the others, and ended after them."""
        return self.spec.get("restartPolicy") == "Always"


class PodLife:
    """One pod, by its uid, from ``start`` until its object is gone."""

    def __init__(self, pod: Manifest, address: str, machine: Machine) -> None:
        self.pod = pod
        self.address = address
        self._machine = machine
        metadata = pod["metadata"]
        self.name = f"{metadata['namespace']}/{metadata['name']}"
        self._uid = str(metadata["uid"])
        self._folder = machine.folder / self._uid
        self._captured = any(c["name"] == "istio-init" for c in pod["spec"].get("initContainers") or ())
        self._touched = asyncio.Event()
        self._untold = asyncio.Event()
        self.containers = [self._container(spec) for spec in running_containers(pod)]

    def _container(self, spec: Mapping[str, Any]) -> Container:
        program, folder = self._machine.programs.of(spec), self._folder / spec["name"]
        return Container(
            spec,
            Played(spec, program, self._machine.programs, folder) if program else None,
            ContainerFiles(self._machine.api, self._machine.config_maps, folder),
        )

    def touched(self, pod: Manifest | None = None) -> None:
        """Learn that the pod, or something that it mounts, has changed."""
        self.pod = pod or self.pod
        self._touched.set()

    async def live(self) -> None:
        """Run the pod until this is cancelled; begin anew when the data plane's program does."""
        while True:
            try:
                async with asyncio.TaskGroup() as tasks:
                    tasks.create_task(self._keep_told())
                    await self._begin()
                    tasks.create_task(self._keep_files())
                    await self._start(tasks)
            except* (PlaneError, ClusterError, OSError) as group:
                for error in group.exceptions:
                    logger.info("pod %s: %s", self.name, error)
                for container in self.containers:
                    container.state = ContainerState(restarts=container.state.restarts)
            await asyncio.sleep(_AGAIN_SECONDS)

    async def end(self) -> None:
        """End the pod within its grace, as a kubelet does, and then its object."""
        with contextlib.suppress(PlaneError, TimeoutError):
            grace = float(self.pod["metadata"].get("deletionGracePeriodSeconds") or _DEFAULT_GRACE)
            clock = asyncio.get_running_loop().time
            until = clock() + grace
            await asyncio.gather(*(self._hook(c, "preStop", grace) for c in self.containers))
            for sidecars in (False, True):
                together = [c for c in self.containers if c.is_sidecar is sidecars]
                await asyncio.gather(*(self._stop(c, max(until - clock(), 1)) for c in together))
        await self.remove()
        metadata = self.pod["metadata"]
        path = f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}"
        options = {"gracePeriodSeconds": 0, "preconditions": {"uid": self._uid}}
        while True:
            try:
                await self._machine.api.request("DELETE", path, body=options)
            except RefusedError:  # gone already
                return
            except ClusterError as error:
                logger.info("pod %s: %s", self.name, error.message)
                await asyncio.sleep(_AGAIN_SECONDS)
            else:
                return

    async def remove(self) -> None:
        """End what is left of the pod here, at once."""
        with contextlib.suppress(PlaneError):
            await self._machine.plane.end_pod(self.name, self._uid)
        await asyncio.to_thread(shutil.rmtree, self._folder, ignore_errors=True)

    async def _begin(self) -> None:
        """Make the pod's namespaces and files; a volume whose object is missing is waited for."""
        await self._machine.ready.wait()
        self._folder.mkdir(parents=True, exist_ok=True)
        namespace = self.pod["metadata"]["namespace"]
        searched = f"{namespace}.svc.{_CLUSTER_DOMAIN} svc.{_CLUSTER_DOMAIN} {_CLUSTER_DOMAIN}"
        names = self._folder / "resolv.conf"
        names.write_text(f"nameserver {_NAME_SERVER}\nsearch {searched}\noptions ndots:5\n", encoding="utf-8")
        for container in self.containers:
            container.files.folder.mkdir(exist_ok=True)
        self._untold.set()
        await self._machine.plane.make_pod(
            self.name, self._uid, self.address, captured=self._captured, resolv_conf=str(names)
        )
        while True:
            try:
                await self._write_files()
            except MissingVolumeError as error:
                self._touched.clear()
                logger.info("pod %s: %s", self.name, error)
                await self._touched_within(_FIRST_BACK_OFF)
            else:
                return

    async def _write_files(self) -> None:
        pod = self._placed()
        for container in self.containers:
            if container.played:
                await container.files.write(pod, container.spec)

    async def _keep_files(self) -> None:
        """Keep the files as the objects are that they come from, and tokens fresh."""
        while True:
            await self._touched_within(_REWRITE_SECONDS)
            self._touched.clear()
            with contextlib.suppress(MissingVolumeError, ClusterError):
                await self._write_files()

    async def _touched_within(self, seconds: float) -> None:
        """Wait until something has changed, or so many seconds."""
        # not wait_for: where the change comes with the task's end, Python 3.11's forgets the end
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._touched.wait()

    def _placed(self) -> dict[str, Any]:
        """Return the pod with its address, which its status may not have yet."""
        known = pod_status(self.pod, self.address, {c.name: c.state for c in self.containers})
        return {**self.pod, "status": {**(self.pod.get("status") or {}), **known}}

    async def _start(self, tasks: asyncio.TaskGroup) -> None:
        """Start the containers in order: what others wait for comes first."""
        for container in self.containers:
            if container.played is None:
                container.state = ContainerState(waiting="", ready=True, started=now())
                continue
            await self._run(container)
            tasks.create_task(self._keep_running(container))
            tasks.create_task(self._keep_probing(container))
            if container.is_sidecar and (startup := container.spec.get("startupProbe")):
                await Probe(startup, container.spec, self.address).passed(self._machine.plane)
            await self._hook(container, "postStart", _LONGEST_BACK_OFF)
        self._untold.set()

    async def _run(self, container: Container) -> None:
        if container.played is None:
            return
        await self._machine.plane.start(self.name, container.name, container.played.process(self._placed()))
        container.state.waiting, container.state.message, container.state.started = "", "", now()
        self._untold.set()

    async def _keep_running(self, container: Container) -> None:
        back_off = _FIRST_BACK_OFF
        while True:
            code = await self._machine.plane.exit_code(self.name, container.name)
            state = container.state
            state.ready, state.exit_code, state.waiting = False, code, "CrashLoopBackOff"
            state.restarts += 1
            where = f"{self.pod['metadata']['name']}_{self.pod['metadata']['namespace']}"
            state.message = f"back-off {back_off:.0f}s restarting failed container={container.name} pod={where}"
            self._untold.set()
            await asyncio.sleep(back_off)
            back_off = min(back_off * 2, _LONGEST_BACK_OFF)
            await self._run(container)

    async def _keep_probing(self, container: Container) -> None:
        port = container.played.program.port if container.played else 0
        probe = Probe(container.spec.get("readinessProbe") or {}, container.spec, self.address, self.name, port)
        failures = 0
        while True:
            if container.state.waiting:
                await asyncio.sleep(_AGAIN_SECONDS)
                continue
            answers = await probe.once(self._machine.plane)
            failures = 0 if answers else failures + 1
            ready = answers or (container.state.ready and failures < probe.failures)
            if ready is not container.state.ready:
                container.state.ready = ready
                self._untold.set()
            await asyncio.sleep(probe.period if ready else probe.first_period)

    async def _hook(self, container: Container, name: str, seconds: float) -> None:
        """Run a container's hook, as far as it is a command or a sleep; what it returns does not matter here."""
        hook = (container.spec.get("lifecycle") or {}).get(name) or {}
        if container.played is None or container.state.waiting:
            return
        if wait := (hook.get("sleep") or {}).get("seconds"):
            await asyncio.sleep(min(float(wait), seconds))
        if command := (hook.get("exec") or {}).get("command"):
            own = f"{container.name}.{name}"
            await self._machine.plane.start(self.name, own, container.played.hook(self._placed(), list(command)))
            async with asyncio.timeout(seconds):
                await self._machine.plane.exit_code(self.name, own)

    async def _stop(self, container: Container, grace: float) -> None:
        if container.played and not container.state.waiting:
            await self._machine.plane.stop(self.name, container.name, grace)

    async def _keep_told(self) -> None:
        """Write the pod's status whenever it is to be told, until the API server takes it."""
        metadata = self.pod["metadata"]
        path = f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}/status"
        while True:
            await self._untold.wait()
            self._untold.clear()
            status = pod_status(self.pod, self.address, {c.name: c.state for c in self.containers})
            try:
                await merge(self._machine.api, path, {"metadata": {"uid": self._uid}, "status": status})
            except RefusedError as error:  # such as of a pod that is gone
                logger.info("pod %s: %s", self.name, error.message)
            except ClusterError:
                self._untold.set()
                await asyncio.sleep(_AGAIN_SECONDS)
