"""One sandbox: up, status, down, delete, reset, its single parts, and its failures."""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from nksmesh.domain.common.errors import ClusterError, ConfigError
from nksmesh.domain.common.events import Event, EventKind, Listener, unheard
from nksmesh.sandbox import control_plane, failures, processes, programs, snapshot
from nksmesh.sandbox.control_plane import CLIENTS_OF_THE_API_SERVER, Part, parts_of
from nksmesh.sandbox.credentials import write_certificates, write_kubeconfigs
from nksmesh.sandbox.data_plane.machine import forbidden
from nksmesh.sandbox.data_plane.state import read_data_plane
from nksmesh.sandbox.layout import (
    DEFAULT_NAME,
    Layout,
    Settings,
    free_port,
    layout_of,
    load_settings,
    sandbox_names,
    save_settings,
)
from nksmesh.sandbox.nodes import release_nodes
from nksmesh.sandbox.parts import Parts, timed
from nksmesh.sandbox.releases import OLDEST, Kubernetes
from nksmesh.sandbox.results import (
    Deleted,
    FailuresEnded,
    SandboxStarted,
    SandboxStatus,
    SandboxStopped,
    State,
    Statuses,
)

if TYPE_CHECKING:
    from nksmesh.adapters.cluster.api import Api

_LOCK_SECONDS: Final = 90.0
"""How long another command on the same sandbox is let go on."""


class Sandbox:
    """A control plane of its own on this machine, by name."""

    def __init__(self, name: str = DEFAULT_NAME) -> None:
        self.layout: Layout = layout_of(name)
        self._parts = Parts(self.layout)

    @property
    def kubeconfig(self) -> Path:
        """The kubeconfig file; it stays the same through down, up and reset."""
        return self.layout.kubeconfig

    @property
    def context(self) -> str:
        """The context's name in that file."""
        return self.layout.context

    async def up(
        self,
        listener: Listener = unheard,
        *,
        kubernetes: Kubernetes | None = None,
        load_balancer: bool | None = None,
        with_registry: bool = False,
        with_data_plane: bool = False,
    ) -> SandboxStarted:
        """Bring the sandbox up: start what does not run, and return when pods can be made.

        Args:
            listener: Is told what starts, and how long it took.
            kubernetes: What the cluster is to be of; None leaves it as it was, and a new one gets the oldest.
            load_balancer: Whether Services of type LoadBalancer get addresses; None leaves it as it was.
            with_registry: Whether it gets a registry that its nodes pull from; it keeps one that it has.
            with_data_plane: Whether Istio's pods get processes; it keeps a data plane that it has. Where this machine
                forbids it the sandbox comes up without, and the listener is told why.

        Raises:
            ConfigError: The programs are missing and cannot be built here, or the sandbox is of another Kubernetes.
            ClusterError: A part does not come up.
        """
        wanted = self._wanted(kubernetes, load_balancer, with_registry=with_registry, with_data_plane=with_data_plane)
        binaries = await self._programs(wanted, listener)
        if wanted.data_plane and (why := forbidden(binaries[Part.DATA_PLANE])):
            listener(Event(step="data plane", kind=EventKind.WARNING, message=why))
            wanted = replace(wanted, data_plane=False)
        async with self._locked():
            return await self._up(binaries, listener, wanted)

    def status(self) -> SandboxStatus:
        """Say how each part is."""
        chosen = load_settings(self.layout)
        parts = tuple(self._parts.status(part) for part in parts_of(chosen))
        states = {part.state for part in parts}
        if chosen is None:
            state = State.ABSENT
        elif states == {State.STOPPED}:
            state = State.STOPPED
        else:
            state = State.RUNNING if states == {State.RUNNING} else State.CRASHED
        return SandboxStatus(
            name=self.layout.name,
            state=state,
            kubeconfig=self.layout.kubeconfig,
            context=self.layout.context,
            server=chosen.server if chosen else "",
            kubernetes=chosen.kubernetes.release if chosen else "",
            registry=chosen.registry if chosen else "",
            docker_config=self.layout.docker_config,
            data_plane=read_data_plane(self.layout) if self._parts.running(Part.DATA_PLANE) else None,
            parts=parts,
        )

    async def down(self, listener: Listener = unheard) -> SandboxStopped:
        """Stop every part and keep the data."""
        stopped = SandboxStopped(name=self.layout.name, stopped=any(part.pid for part in self.status().parts))
        if not self.layout.exists:
            return stopped
        async with self._locked():
            with timed(listener, f"stop {self.layout.name}"):
                await self._parts.stop(Part.REGISTRY, Part.DATA_PLANE, Part.AGENT, *CLIENTS_OF_THE_API_SERVER)
                await self._parts.stop(Part.API_SERVER)
                await self._parts.stop(Part.ETCD)
        return stopped

    async def delete(self, listener: Listener = unheard) -> Deleted:
        """Stop every part and remove everything the sandbox has."""
        deleted = Deleted(name=self.layout.name, existed=self.layout.home.exists())
        if not deleted.existed:
            return deleted
        async with self._locked():
            with timed(listener, f"delete {self.layout.name}"):
                await self._parts.stop(*Part, grace=0)
                shutil.rmtree(self.layout.home)
        self.layout.lock.unlink(missing_ok=True)
        return deleted

    async def reset(self, listener: Listener = unheard) -> SandboxStarted:
        """Go back to the cluster as it was when first up, with the same kubeconfig and port."""
        chosen = self._require()
        binaries = await self._programs(chosen, listener)
        async with self._locked():
            await self._parts.stop(*Part, grace=0)
            snapshot.restore(self.layout)
            return await self._up(binaries, listener, chosen)

    async def stop_part(self, part: str) -> None:
        """Kill one part, as a crash would; ``status`` then reports it as crashed."""
        self._require()
        await processes.kill(self.layout.process(_part(part)))

    async def start_part(self, part: str) -> None:
        """Start one part that does not run; the API server is awaited until it is ready."""
        chosen = self._require()
        wanted = _part(part)
        if self._parts.running(wanted):
            return
        binaries = await self._programs(chosen)
        if wanted is Part.KWOK:
            async with self.api() as api:
                await release_nodes(api)
        process = self._parts.start(wanted, binaries, chosen)
        if wanted is Part.API_SERVER:
            async with self.api() as api:
                await self._parts.until_ready(api, process)

    async def fail(
        self, failure: failures.Failure, *, selector: str = "", reason: str = "not-found"
    ) -> failures.Staged:
        """Make pods fail from now on; see ``failures.stage``."""
        async with self.api() as api:
            staged = await failures.stage(api, self.layout.certificates, failure, selector=selector, reason=reason)
        return replace(staged, name=self.layout.name)

    async def heal(self) -> FailuresEnded:
        """End every staged failure."""
        async with self.api() as api:
            return FailuresEnded(name=self.layout.name, ended=await failures.heal(api))

    @contextlib.asynccontextmanager
    async def api(self) -> AsyncIterator[Api]:
        """Open a client of this sandbox's API server."""
        self._require()
        async with await self._parts.connect() as api:
            yield api

    async def _programs(self, chosen: Settings, listener: Listener = unheard) -> dict[str, Path]:
        return await programs.sandbox_programs(
            chosen.kubernetes,
            with_registry=bool(chosen.registry_port),
            with_data_plane=chosen.data_plane,
            listener=listener,
        )

    async def _up(self, binaries: Mapping[str, Path], listener: Listener, chosen: Settings) -> SandboxStarted:
        begun = time.monotonic()
        first = not self.layout.snapshot.exists()
        await self._prepare(chosen)
        missing = [part for part in parts_of(chosen) if not self._parts.running(part)]
        if missing:
            chosen = await self._parts.bring_up(missing, binaries, chosen, listener)
            if first:
                snapshot.take(self.layout)
        return SandboxStarted(
            name=self.layout.name,
            kubeconfig=self.layout.kubeconfig,
            context=self.layout.context,
            server=chosen.server,
            kubernetes=chosen.kubernetes.release,
            registry=chosen.registry,
            docker_config=self.layout.docker_config,
            data_plane=chosen.data_plane,
            started=tuple(missing),
            seconds=time.monotonic() - begun,
        )

    async def _prepare(self, wanted: Settings) -> None:
        layout = self.layout
        for folder in (layout.home, layout.run, layout.logs):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_certificates(layout.certificates, service_address=control_plane.SERVICE_ADDRESS)
        known = load_settings(layout)
        if known and wanted != known:
            # the agent knows the options, and kwok which images are pulled and which pods are simulated
            staged = (wanted.registry, wanted.data_plane) != (known.registry, known.data_plane)
            await self._parts.stop(Part.DATA_PLANE, Part.AGENT, *([Part.KWOK] if staged else []))
        if wanted != known:
            save_settings(layout, wanted)
        write_kubeconfigs(layout, wanted.server)
        control_plane.write_configuration(layout, wanted)

    def _wanted(
        self,
        kubernetes: Kubernetes | None,
        load_balancer: bool | None,
        *,
        with_registry: bool,
        with_data_plane: bool,
    ) -> Settings:
        """Say what the sandbox is to be; a cluster's data is not carried to another Kubernetes."""
        known = load_settings(self.layout)
        if known and kubernetes and known.kubernetes is not kubernetes:
            name = self.layout.name
            raise ConfigError(
                f"sandbox {name} runs Kubernetes {known.kubernetes}, not {kubernetes}: a sandbox keeps its Kubernetes",
                hint=f"Run nksmesh sandbox up --name {name}-{kubernetes.replace('.', '-')} --kubernetes {kubernetes} "
                f"to start another sandbox, or first nksmesh sandbox delete --name {name}.",
            )
        wanted = known or Settings(port=free_port(), kubernetes=kubernetes or OLDEST)
        if load_balancer is not None:
            wanted = replace(wanted, load_balancer=load_balancer)
        if with_data_plane:
            wanted = replace(wanted, data_plane=True)
        return replace(wanted, registry_port=free_port()) if with_registry and not wanted.registry_port else wanted

    def _require(self) -> Settings:
        chosen = load_settings(self.layout)
        if chosen is None:
            raise ConfigError(
                f"there is no sandbox named {self.layout.name}",
                hint=f"Run nksmesh sandbox up --name {self.layout.name} to start it.",
            )
        return chosen

    @contextlib.asynccontextmanager
    async def _locked(self) -> AsyncIterator[None]:
        from filelock import AsyncFileLock, Timeout

        self.layout.lock.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            async with AsyncFileLock(self.layout.lock, timeout=_LOCK_SECONDS):
                yield
        except Timeout as error:
            raise ClusterError(
                f"another command is working on sandbox {self.layout.name}",
                hint="Wait until it ends, then run the same command again.",
            ) from error


def statuses(name: str | None = None) -> Statuses:
    """Say how one sandbox is, or every one on this machine (the default one, where there is none)."""
    names = [name] if name else sandbox_names() or [DEFAULT_NAME]
    return Statuses(sandboxes=tuple(Sandbox(name).status() for name in names))


def _part(name: str) -> Part:
    try:
        return Part(name)
    except ValueError as error:
        raise ConfigError(f"a sandbox has no part named {name!r}", hint=f"Its parts are {', '.join(Part)}.") from error
