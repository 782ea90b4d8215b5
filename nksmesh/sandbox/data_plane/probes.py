"""Probes: whether a container is ready, as its pod says how to ask; or else whether it listens."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final

from nksmesh.sandbox.data_plane.plane import Plane

_FIRST_PERIOD: Final = 0.1
"""Seconds between two probes until one passes: a kubelet's are a second or more, and nothing is gained by waiting."""


class Probe:
    """How a container is asked.

    Args:
        spec: The probe, as the container has it; empty where it has none.
        pod: The pod's name.
        port: Where the container must listen that has no probe; 0 asks nothing.
    """

    def __init__(
        self, spec: Mapping[str, Any], container: Mapping[str, Any], address: str, pod: str = "", port: int = 0
    ) -> None:
        self._container = container
        self._pod = pod
        self._get = spec.get("httpGet") or {}
        self._address = address
        self._listens = port
        self.period = float(spec.get("periodSeconds") or 10)
        self.failures = int(spec.get("failureThreshold") or 3)
        self.first_period = _FIRST_PERIOD

    async def once(self, plane: Plane) -> bool:
        """Ask once.

        Raises:
            PlaneError: The data plane's program does not run.
        """
        if self._get:
            scheme = str(self._get.get("scheme") or "HTTP").lower()
            path = str(self._get.get("path") or "/")
            return await plane.probe(f"{scheme}://{self._address}:{self._port()}{path}")
        if self._listens:
            return await plane.listens(self._pod, str(self._container["name"]), self._listens)
        return True

    async def passed(self, plane: Plane) -> None:
        """Wait until it answers."""
        while not await self.once(plane):  # noqa: ASYNC110 - nothing tells of it: it can only be asked again
            await asyncio.sleep(_FIRST_PERIOD)

    def _port(self) -> int | str:
        port = self._get["port"]
        named = {known.get("name"): known["containerPort"] for known in self._container.get("ports") or ()}
        return int(named.get(port, port))
