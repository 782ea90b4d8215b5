"""The parts of one sandbox as processes: started in order and awaited, stopped, and how each is."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from nksmesh.domain.common.errors import ClusterError
from nksmesh.domain.common.events import Event, EventKind, Listener
from nksmesh.sandbox import control_plane, processes, registry
from nksmesh.sandbox.control_plane import CLIENTS_OF_THE_API_SERVER, Part
from nksmesh.sandbox.credentials import write_kubeconfigs
from nksmesh.sandbox.layout import Layout, Settings, free_port, save_settings
from nksmesh.sandbox.nodes import create_nodes, nodes_ready, release_nodes
from nksmesh.sandbox.results import PartStatus, State

if TYPE_CHECKING:
    from nksmesh.adapters.cluster.api import Api

_READY_SECONDS: Final = 90.0
_READY_POLL_SECONDS: Final = 0.05
_PORT_ATTEMPTS: Final = 5
_PORT_TAKEN: Final = "address already in use"


class Parts:
    """The processes of a sandbox; whoever calls holds its lock."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout

    async def bring_up(
        self, missing: list[Part], binaries: Mapping[str, Path], chosen: Settings, listener: Listener
    ) -> Settings:
        """Start the missing parts, in an order and no earlier than each is of use.

        Raises:
            ClusterError: A part does not come up.
        """
        if Part.REGISTRY in missing:
            with timed(listener, "registry"):
                await registry.prepare(self._layout, chosen, binaries[Part.REGISTRY])
                process = self.start(Part.REGISTRY, binaries, chosen)
                await self._until(Part.REGISTRY, process, lambda: registry.answers(chosen))
        if Part.ETCD in missing:
            self.start(Part.ETCD, binaries, chosen)
        if Part.API_SERVER in missing:
            with timed(listener, "API server"):
                chosen = await self._bring_up_api_server(missing, binaries, chosen)
        elif {Part.AGENT, Part.DATA_PLANE} & {*missing}:
            await self._start_agent(binaries, chosen)
        async with await self.connect() as api:
            with timed(listener, "nodes"):
                if not self.running(Part.KWOK):
                    await release_nodes(api)
                for part in CLIENTS_OF_THE_API_SERVER:
                    if not self.running(part):
                        self.start(part, binaries, chosen)
                await create_nodes(api, chosen.kubernetes)
                await self._wait_for_nodes(api)
        return chosen

    async def _bring_up_api_server(
        self, missing: list[Part], binaries: Mapping[str, Path], chosen: Settings
    ) -> Settings:
        for attempt in range(_PORT_ATTEMPTS):
            process = self.start(Part.API_SERVER, binaries, chosen)
            if attempt or {Part.AGENT, Part.DATA_PLANE} & {*missing}:
                await self._start_agent(binaries, chosen)
            try:
                async with await self.connect() as api:
                    await self.until_ready(api, process)
            except ClusterError as error:
                if _PORT_TAKEN not in error.detail:
                    raise
                chosen = replace(chosen, port=free_port())
                save_settings(self._layout, chosen)
                write_kubeconfigs(self._layout, chosen.server)
                # what ran on knows the old port
                await self.stop(*CLIENTS_OF_THE_API_SERVER)
            else:
                return chosen
        raise ClusterError(
            f"no free port was found for the API server in {_PORT_ATTEMPTS} attempts",
            hint="Check which program uses the ports of 127.0.0.1.",
        )

    async def _start_agent(self, binaries: Mapping[str, Path], chosen: Settings) -> None:
        """Start the agent, and the data plane, whose pods it has: neither goes on without the other."""
        parts = [part for part in (Part.DATA_PLANE, Part.AGENT) if part in control_plane.parts_of(chosen)]
        await self.stop(*parts, grace=0)
        for part in parts:
            self.start(part, binaries, chosen)

    async def connect(self) -> Api:
        """Prepare a client of the API server, with the user's own kubeconfig."""
        from nksmesh.adapters.cluster.api import Api

        return await Api.connect(kubeconfig=self._layout.kubeconfig, context=self._layout.context)

    async def until_ready(self, api: Api, process: processes.ProcessId) -> None:
        """Wait until the API server, which runs as a process, is ready.

        Raises:
            ClusterError: It ended, or takes too long.
        """
        await self._until(Part.API_SERVER, process, api.ready)

    async def _until(self, part: Part, process: processes.ProcessId, ready: Callable[[], Awaitable[bool]]) -> None:
        # before it serves, a server has nothing that could be watched
        ended = asyncio.ensure_future(processes.ended(process))
        try:
            async with asyncio.timeout(_READY_SECONDS):
                while not await ready():
                    if ended.done():
                        raise self._failed(part, "ended while it was starting")
                    await asyncio.wait([ended], timeout=_READY_POLL_SECONDS)
        except TimeoutError as error:
            raise self._failed(part, f"is not ready after {_READY_SECONDS:.0f} s") from error
        finally:
            ended.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await ended

    async def _wait_for_nodes(self, api: Api) -> None:
        try:
            async with asyncio.timeout(_READY_SECONDS):
                await nodes_ready(api)
            if crashed := [part for part in CLIENTS_OF_THE_API_SERVER if not self.running(part)]:
                raise self._failed(crashed[0], "ended while it was starting")
        except TimeoutError as error:
            crashed = [part for part in CLIENTS_OF_THE_API_SERVER if not self.running(part)]
            raise self._failed(
                crashed[0] if crashed else Part.KWOK,
                "ended" if crashed else f"has no node Ready after {_READY_SECONDS:.0f} s",
            ) from error

    def _failed(self, part: Part, problem: str) -> ClusterError:
        log = self._layout.log(part)
        return ClusterError(
            f"{part} of sandbox {self._layout.name} {problem}",
            hint=f"See its log: {log}",
            detail=processes.last_lines(log),
        )

    def start(self, part: Part, binaries: Mapping[str, Path], chosen: Settings) -> processes.ProcessId:
        """Start a part."""
        return processes.start(control_plane.program(part, self._layout, binaries, chosen))

    async def stop(self, *parts: Part, grace: float | None = None) -> None:
        """Stop parts, at the same time; after the grace, in seconds, they are killed.

        The data plane always gets its grace: when it has ended by itself, so have all processes of its pods.
        """

        def seconds(part: Part) -> float:
            return processes.STOP_GRACE if grace is None or part is Part.DATA_PLANE else grace

        await asyncio.gather(*(processes.stop(self._layout.process(part), grace=seconds(part)) for part in parts))

    def running(self, part: Part) -> bool:
        """Tell whether a part runs."""
        process = processes.find(self._layout.process(part))
        return process is not None and process.running

    def status(self, part: Part) -> PartStatus:
        """Say how a part is."""
        process = processes.find(self._layout.process(part))
        log = self._layout.log(part)
        if process is None or process.of_another_boot:
            return PartStatus(part=part, state=State.STOPPED, pid=None, log=log)
        if process.running:
            return PartStatus(part=part, state=State.RUNNING, pid=process.pid, log=log)
        return PartStatus(part=part, state=State.CRASHED, pid=None, log=log, log_tail=processes.last_lines(log))


@contextlib.contextmanager
def timed(listener: Listener, step: str) -> Iterator[None]:
    """Tell of a step that begins and ends with a block, and how long it took."""
    begun = time.monotonic()
    listener(Event(step=step, kind=EventKind.STARTED))
    try:
        yield
    except BaseException as error:
        listener(Event(step=step, kind=EventKind.FAILED, message=str(error)))
        raise
    listener(Event(step=step, kind=EventKind.DONE, message=f"{time.monotonic() - begun:.1f} s"))
