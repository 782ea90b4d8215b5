"""What the agent asks the data plane's own program for, over its sockets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import asdict, dataclass
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import quote, urlencode

import aiohttp

CONTROL_SOCKET: Final = "data-plane.sock"
RELAY_SOCKET: Final = "relay.sock"
CONNECT_SOCKET: Final = "pods.sock"
KUBELET_SOCKET: Final = "pod-kubelet.sock"


class PlaneError(Exception):
    """The data plane's program does not run, or could not do what it was asked."""


@dataclass(frozen=True)
class Process:
    """A container's process: paths are those of the host.

    Attributes:
        application: Whether its traffic goes through the pod's Envoy, where the pod has one.
    """

    command: list[str]
    environment: list[str]
    directory: str
    log: str
    application: bool


class Plane(AbstractAsyncContextManager["Plane"]):
    """The program, as a server. Use as an asynchronous context manager."""

    def __init__(self) -> None:
        no_timeout = aiohttp.ClientTimeout(total=None)
        self._control = aiohttp.ClientSession(
            connector=aiohttp.UnixConnector(CONTROL_SOCKET, limit=0), timeout=no_timeout
        )
        self._relay = aiohttp.ClientSession(connector=aiohttp.UnixConnector(RELAY_SOCKET), timeout=no_timeout)

    async def __aexit__(self, *_: object) -> None:
        """Close the connections."""
        await self._control.close()
        await self._relay.close()

    async def reset(self) -> None:
        """End every pod and every Service."""
        await self._ask("POST", "/reset")

    async def until_gone(self) -> None:
        """Return when the program has ended."""
        try:
            await self._ask("GET", "/alive")
        except PlaneError:
            return

    async def set_services(self, services: Iterable[Mapping[str, Any]]) -> None:
        """Make these the Services there are."""
        await self._ask("PUT", "/services", list(services))

    async def set_relays(self, wanted: Mapping[str, int]) -> dict[str, int]:
        """Make these the relays there are: an address inside, and a port of loopback, 0 for any.

        Returns:
            The port of each; another one where it was taken.
        """
        return dict(await self._ask("PUT", "/", dict(wanted), session=self._relay))

    async def make_pod(self, pod: str, uid: str, address: str, *, captured: bool, resolv_conf: str) -> None:
        """Make the namespaces of a pod, which is named NAMESPACE/NAME."""
        body = {"uid": uid, "address": address, "captured": captured, "resolv_conf": resolv_conf}
        await self._ask("PUT", f"/pods/{pod}", body)

    async def end_pod(self, pod: str, uid: str) -> None:
        """End whatever runs in a pod, and its namespaces; not those of a later pod of its name."""
        await self._ask("DELETE", f"/pods/{pod}?uid={quote(uid)}")

    async def start(self, pod: str, container: str, process: Process) -> None:
        """Start a container's process."""
        await self._ask("PUT", f"/pods/{pod}/{quote(container)}", asdict(process))

    async def exit_code(self, pod: str, container: str) -> int:
        """Wait until a container's process has ended."""
        return int((await self._ask("GET", f"/pods/{pod}/{quote(container)}"))["code"])

    async def stop(self, pod: str, container: str, grace: float) -> None:
        """Ask a container's process to end, and insist after the grace, in seconds."""
        await self._ask("DELETE", f"/pods/{pod}/{quote(container)}?grace={grace}s")

    async def probe(self, url: str) -> bool:
        """GET a URL from the node, as a kubelet's probe does."""
        return await self._answers("/probe?" + urlencode({"url": url}))

    async def listens(self, pod: str, container: str, port: int) -> bool:
        """Tell whether a container's process listens on a port, whatever its proxy says."""
        return await self._answers(f"/pods/{pod}/{quote(container)}/listens?port={port}")

    async def _answers(self, path: str) -> bool:
        try:
            async with self._control.get(f"http://data-plane{path}") as response:
                return HTTPStatus.OK <= response.status < HTTPStatus.BAD_REQUEST
        except (aiohttp.ClientError, OSError) as error:
            raise PlaneError(f"the data plane does not answer: {error}") from error

    async def _ask(
        self, method: str, path: str, body: Any = None, *, session: aiohttp.ClientSession | None = None
    ) -> Any:
        try:
            async with (session or self._control).request(method, f"http://data-plane{path}", json=body) as response:
                text = await response.text()
                if response.status != HTTPStatus.OK:
                    raise PlaneError(f"{method} {path}: {text.strip()}")
                return await response.json() if text else None
        except (aiohttp.ClientError, OSError) as error:
            raise PlaneError(f"the data plane does not answer: {error}") from error
