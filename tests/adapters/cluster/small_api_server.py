"""A small server that speaks as much of Kubernetes as a dashboard needs: lists, watches, and ports of pods.

The pods are small servers, too: none of Istio's add-ons runs.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Self

from aiohttp import web

PORT = 20001
LED_IN = PORT.to_bytes(2, "little")


class SmallApiServer:
    """Services and pods of one namespace; each pod answers every HTTP request with its own name."""

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str], dict[str, Any]] = {}
        self.url = ""
        self.forwards: list[str] = []
        self._version = 1
        self._events: list[tuple[str, dict[str, Any]]] = []
        self._more = asyncio.Event()

    @classmethod
    @asynccontextmanager
    async def running(cls) -> AsyncIterator[Self]:
        """Serve on loopback while the context lasts."""
        server = cls()
        app = web.Application()
        app.router.add_get("/api/v1/namespaces/istio-system/{plural}", server._collection)
        app.router.add_get("/api/v1/namespaces/istio-system/pods/{name}/portforward", server._forward)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        server.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        try:
            yield server
        finally:
            await runner.cleanup()

    def kubeconfig(self, folder: Path) -> Path:
        """Write a kubeconfig of this server."""
        entry = {"cluster": {"server": self.url}, "name": "small"}
        context = {"context": {"cluster": "small", "user": "small"}, "name": "small"}
        users = [{"name": "small", "user": {"token": "small"}}]
        path = folder / "kubeconfig"
        path.write_text(
            json.dumps({"clusters": [entry], "contexts": [context], "users": users, "current-context": "small"})
        )
        return path

    def put(self, plural: str, manifest: dict[str, Any]) -> None:
        """Let an object come or change."""
        key = (plural, manifest["metadata"]["name"])
        self._tell("MODIFIED" if key in self.objects else "ADDED", plural, manifest)
        self.objects[key] = manifest

    def remove(self, plural: str, name: str) -> None:
        """Let an object go."""
        self._tell("DELETED", plural, self.objects.pop((plural, name)))

    def _tell(self, kind: str, plural: str, manifest: dict[str, Any]) -> None:
        self._version += 1
        manifest["metadata"] = {
            **manifest["metadata"],
            "namespace": "istio-system",
            "resourceVersion": str(self._version),
        }
        self._events.append((plural, {"type": kind, "object": manifest}))
        self._more.set()
        self._more = asyncio.Event()

    async def _collection(self, request: web.Request) -> web.StreamResponse:
        plural = request.match_info["plural"]
        if "watch" not in request.query:
            items = [found for (kind, _), found in self.objects.items() if kind == plural]
            return web.json_response({"metadata": {"resourceVersion": str(self._version)}, "items": items})
        response = web.StreamResponse()
        await response.prepare(request)
        since = int(request.query["resourceVersion"])
        while True:
            for kind, event in self._events:
                version = int(event["object"]["metadata"]["resourceVersion"])
                if kind == plural and version > since:
                    await response.write(json.dumps(event).encode() + b"\n")
            since = self._version
            await self._more.wait()

    async def _forward(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["name"]
        if ("pods", name) not in self.objects:
            return web.json_response({"message": f'pods "{name}" not found'}, status=404)
        assert request.query["ports"] == str(PORT)
        self.forwards.append(name)
        socket = web.WebSocketResponse(protocols=("v4.channel.k8s.io",))
        await socket.prepare(request)
        await socket.send_bytes(b"\0" + LED_IN)
        await socket.send_bytes(b"\1" + LED_IN)
        asked = b""
        async for message in socket:
            asked += message.data[1:]
            while b"\r\n\r\n" in asked:
                _, _, asked = asked.partition(b"\r\n\r\n")
                head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(name)}\r\n\r\n"
                await socket.send_bytes(b"\0" + head.encode() + name.encode())
        return socket
