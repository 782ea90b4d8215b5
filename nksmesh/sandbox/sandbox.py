"""One sandbox: up, status, down, delete, reset, and its single parts."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from nksmesh.domain.errors import ClusterError, ConfigError
from nksmesh.domain.events import Event, EventKind, Listener, unheard
from nksmesh.sandbox import control_plane, failures, processes, programs, readiness, settings, snapshot
from nksmesh.sandbox.api import ClusterApi
from nksmesh.sandbox.certificates import write_certificates
from nksmesh.sandbox.control_plane import CLIENTS_OF_THE_API_SERVER, Part
from nksmesh.sandbox.kubeconfig import write_kubeconfigs
from nksmesh.sandbox.layout import DEFAULT_NAME, Layout, layout_of
from nksmesh.sandbox.nodes import create_nodes
from nksmesh.sandbox.results import PartStatus, Raised, SandboxStatus, State

if TYPE_CHECKING:
    from pathlib import Path

_READY_SECONDS: Final = 90.0
_READY_POLL_SECONDS: Final = 0.05
_PORT_ATTEMPTS: Final = 5
_PORT_TAKEN: Final = "address already in use"


class Sandbox:
    """A control plane of its own on this machine, by name."""

    def __init__(self, name: str = DEFAULT_NAME) -> None:
        self.layout: Layout = layout_of(name)

    @property
    def kubeconfig(self) -> Path:
        """The kubeconfig file; it stays the same through down, up and reset."""
        return self.layout.kubeconfig

    @property
    def context(self) -> str:
        """The context's name in that file."""
        return self.layout.context

    async def up(self, listener: Listener = unheard, *, load_balancer: bool | None = None) -> Raised:
        """Bring the sandbox up: start what does not run, and return when pods can be made.

        Args:
            listener: Is told what starts, and how long it took.
            load_balancer: Whether Services of type LoadBalancer get addresses; None leaves it as it was.

        Raises:
            ConfigError: The programs are missing and cannot be built here.
            ClusterError: A part does not come up.
        """
        binaries = await programs.sandbox_programs(listener)
        async with self._locked():
            return await self._up(binaries, listener, load_balancer)

    def status(self) -> SandboxStatus:
        """Say how each part is."""
        chosen = settings.load(self.layout)
        parts = tuple(self._part_status(part) for part in Part)
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
            parts=parts,
        )

    async def down(self, listener: Listener = unheard) -> None:
        """Stop every part and keep the data."""
        if not self.layout.exists:
            return
        async with self._locked():
            with _timed(listener, f"stop {self.layout.name}"):
                await self._stop(Part.AGENT, *CLIENTS_OF_THE_API_SERVER)
                await self._stop(Part.API_SERVER)
                await self._stop(Part.ETCD)

    async def delete(self, listener: Listener = unheard) -> None:
        """Stop every part and remove everything the sandbox has."""
        if not self.layout.home.exists():
            return
        async with self._locked():
            with _timed(listener, f"delete {self.layout.name}"):
                await self._stop(*Part, grace=0)
                shutil.rmtree(self.layout.home)
        self.layout.lock.unlink(missing_ok=True)

    async def reset(self, listener: Listener = unheard) -> Raised:
        """Go back to the cluster as it was when first up, with the same kubeconfig and port."""
        self._require()
        binaries = await programs.sandbox_programs(listener)
        async with self._locked():
            await self._stop(*Part, grace=0)
            snapshot.restore(self.layout)
            return await self._up(binaries, listener, None)

    async def stop_part(self, part: str) -> None:
        """Kill one part, as a crash would; ``status`` then reports it as crashed."""
        self._require()
        await processes.kill(self.layout.process(_part(part)))

    async def start_part(self, part: str) -> None:
        """Start one part that does not run; the API server is awaited until it is ready."""
        chosen = self._require()
        wanted = _part(part)
        if self._running(wanted):
            return
        binaries = await programs.sandbox_programs()
        if wanted is Part.KWOK:
            async with self.api() as api:
                await readiness.release_nodes(api)
        process = self._start(wanted, binaries, chosen)
        if wanted is Part.API_SERVER:
            async with self.api() as api:
                await self._wait_until_ready(api, process)

    async def fail(
        self, failure: failures.Failure, *, selector: str = "", reason: str = "not-found"
    ) -> failures.Staged:
        """Make pods fail from now on; see ``failures.stage``."""
        async with self.api() as api:
            return await failures.stage(api, self.layout.certificates, failure, selector=selector, reason=reason)

    async def heal(self) -> int:
        """End every staged failure; return how many there were."""
        async with self.api() as api:
            return await failures.heal(api)

    def api(self) -> ClusterApi:
        """Open a client of this sandbox's API server."""
        return ClusterApi(self._require().server, self.layout.certificates, "admin")

    async def _up(self, binaries: Mapping[str, Path], listener: Listener, load_balancer: bool | None) -> Raised:
        begun = time.monotonic()
        first = not self.layout.snapshot.exists()
        chosen = await self._prepare(load_balancer)
        missing = [part for part in Part if not self._running(part)]
        if missing:
            chosen = await self._raise(missing, binaries, chosen, listener)
            if first:
                snapshot.take(self.layout)
        return Raised(
            name=self.layout.name,
            kubeconfig=self.layout.kubeconfig,
            context=self.layout.context,
            server=chosen.server,
            started=tuple(missing),
            seconds=time.monotonic() - begun,
        )

    async def _prepare(self, load_balancer: bool | None) -> settings.Settings:
        layout = self.layout
        for folder in (layout.home, layout.run, layout.logs):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_certificates(layout.certificates, service_address=control_plane.SERVICE_ADDRESS)
        known = settings.load(layout)
        chosen = known or settings.Settings(port=settings.free_port())
        if load_balancer is not None and load_balancer != chosen.load_balancer:
            chosen = replace(chosen, load_balancer=load_balancer)
            await self._stop(Part.AGENT)
        if chosen != known:
            settings.save(layout, chosen)
        write_kubeconfigs(layout, chosen.server)
        control_plane.write_configuration(layout)
        return chosen

    async def _raise(
        self, missing: list[Part], binaries: Mapping[str, Path], chosen: settings.Settings, listener: Listener
    ) -> settings.Settings:
        """Start the missing parts, in an order and no earlier than each is of use."""
        if Part.ETCD in missing:
            self._start(Part.ETCD, binaries, chosen)
        if Part.API_SERVER in missing:
            with _timed(listener, "API server"):
                chosen = await self._raise_api_server(missing, binaries, chosen)
        elif Part.AGENT in missing:
            self._start(Part.AGENT, binaries, chosen)
        async with ClusterApi(chosen.server, self.layout.certificates, "admin") as api:
            with _timed(listener, "nodes"):
                if not self._running(Part.KWOK):
                    await readiness.release_nodes(api)
                for part in CLIENTS_OF_THE_API_SERVER:
                    if not self._running(part):
                        self._start(part, binaries, chosen)
                await create_nodes(api)
                await self._wait_for_nodes(api)
        return chosen

    async def _raise_api_server(
        self, missing: list[Part], binaries: Mapping[str, Path], chosen: settings.Settings
    ) -> settings.Settings:
        for attempt in range(_PORT_ATTEMPTS):
            process = self._start(Part.API_SERVER, binaries, chosen)
            if attempt or Part.AGENT in missing:
                await self._stop(Part.AGENT, grace=0)
                self._start(Part.AGENT, binaries, chosen)
            try:
                async with ClusterApi(chosen.server, self.layout.certificates, "admin") as api:
                    await self._wait_until_ready(api, process)
            except ClusterError as error:
                if _PORT_TAKEN not in error.detail:
                    raise
                chosen = replace(chosen, port=settings.free_port())
                settings.save(self.layout, chosen)
                write_kubeconfigs(self.layout, chosen.server)
                # what ran on knows the old port
                await self._stop(*CLIENTS_OF_THE_API_SERVER)
            else:
                return chosen
        raise ClusterError(
            f"no free port was found for the API server in {_PORT_ATTEMPTS} attempts",
            hint="see what takes the ports of 127.0.0.1",
        )

    async def _wait_until_ready(self, api: ClusterApi, process: processes.ProcessId) -> None:
        # before it serves, an API server has nothing that could be watched
        ended = asyncio.ensure_future(processes.ended(process))
        try:
            async with asyncio.timeout(_READY_SECONDS):
                while not await api.ready():
                    if ended.done():
                        raise self._failed(Part.API_SERVER, "ended as it started")
                    await asyncio.wait([ended], timeout=_READY_POLL_SECONDS)
        except TimeoutError as error:
            raise self._failed(Part.API_SERVER, f"is not ready after {_READY_SECONDS:.0f} s") from error
        finally:
            ended.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await ended

    async def _wait_for_nodes(self, api: ClusterApi) -> None:
        try:
            async with asyncio.timeout(_READY_SECONDS):
                await asyncio.gather(
                    readiness.nodes_ready(api), readiness.leases_held(api), readiness.accounts_made(api)
                )
            if crashed := [part for part in CLIENTS_OF_THE_API_SERVER if not self._running(part)]:
                raise self._failed(crashed[0], "ended as it started")
        except TimeoutError as error:
            crashed = [part for part in CLIENTS_OF_THE_API_SERVER if not self._running(part)]
            raise self._failed(
                crashed[0] if crashed else Part.KWOK,
                "ended" if crashed else f"has no node Ready after {_READY_SECONDS:.0f} s",
            ) from error

    def _failed(self, part: Part, what: str) -> ClusterError:
        log = self.layout.log(part)
        return ClusterError(
            f"{part} of sandbox {self.layout.name} {what}",
            hint=f"its log is {log}",
            detail=processes.last_lines(log),
        )

    def _start(self, part: Part, binaries: Mapping[str, Path], chosen: settings.Settings) -> processes.ProcessId:
        return processes.start(
            control_plane.program(part, self.layout, binaries, port=chosen.port, load_balancer=chosen.load_balancer)
        )

    async def _stop(self, *parts: Part, grace: float | None = None) -> None:
        seconds = processes.STOP_GRACE if grace is None else grace
        await asyncio.gather(*(processes.stop(self.layout.process(part), grace=seconds) for part in parts))

    def _running(self, part: Part) -> bool:
        process = processes.find(self.layout.process(part))
        return process is not None and process.running

    def _part_status(self, part: Part) -> PartStatus:
        process = processes.find(self.layout.process(part))
        log = self.layout.log(part)
        if process is None or process.of_another_boot:
            return PartStatus(part=part, state=State.STOPPED, pid=None, log=log)
        if process.running:
            return PartStatus(part=part, state=State.RUNNING, pid=process.pid, log=log)
        return PartStatus(part=part, state=State.CRASHED, pid=None, log=log, log_tail=processes.last_lines(log))

    def _require(self) -> settings.Settings:
        chosen = settings.load(self.layout)
        if chosen is None:
            raise ConfigError(
                f"there is no sandbox named {self.layout.name}",
                hint=f"start it: nksmesh sandbox up --name {self.layout.name}",
            )
        return chosen

    @contextlib.asynccontextmanager
    async def _locked(self) -> AsyncIterator[None]:
        from filelock import AsyncFileLock, Timeout  # noqa: PLC0415 - not needed for --help

        self.layout.lock.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            async with AsyncFileLock(self.layout.lock, timeout=_READY_SECONDS):
                yield
        except Timeout as error:
            raise ClusterError(
                f"another command is at work on sandbox {self.layout.name}",
                hint="let it end, then run this one again",
            ) from error


def _part(name: str) -> Part:
    try:
        return Part(name)
    except ValueError as error:
        raise ConfigError(f"a sandbox has no part named {name!r}", hint=f"its parts are {', '.join(Part)}") from error


@contextlib.contextmanager
def _timed(listener: Listener, step: str) -> Iterator[None]:
    begun = time.monotonic()
    listener(Event(step=step, kind=EventKind.STARTED))
    try:
        yield
    except BaseException as error:
        listener(Event(step=step, kind=EventKind.FAILED, message=str(error)))
        raise
    listener(Event(step=step, kind=EventKind.DONE, message=f"{time.monotonic() - begun:.1f} s"))
