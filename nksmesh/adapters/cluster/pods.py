"""Into a pod, through the API server: a request or a connection to one of its ports, or a command in a container.

All are WebSockets of the subprotocol ``v4.channel.k8s.io``: each message's first byte is a channel
(https://kubernetes.io/docs/reference/using-api/api-concepts/, k8s.io/kubelet/pkg/cri/streaming). Of a port-forward
channel 0 has the data and 1 the errors, each led in by two bytes with the port; of a command 1 is stdout, 2 stderr,
and 3 a Status object at the end.
"""

from __future__ import annotations

import asyncio
import http.client
import io
import json
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from typing import Any, Final

from nksmesh.adapters.cluster.api import Api
from nksmesh.adapters.cluster.connections import aiohttp
from nksmesh.domain.common.errors import ClusterError

_SECONDS: Final = 15.0
"""For one request or command, from the WebSocket's first byte to the answer's last one."""

_MOST_BYTES: Final = 256 * 1024 * 1024
"""No proxy has so many clusters; what sends more is no proxy."""

_DATA, _ERROR = 0, 1
_STDOUT, _STDERR, _STATUS = 1, 2, 3
_PORT_BYTES: Final = 2
_HEAD_ENDS: Final = b"\r\n\r\n"
_LAST_CHUNK: Final = b"0\r\n\r\n"


class Pods:
    """The pods behind an API server, seen from inside.

    Every method raises ClusterError where the pod cannot be reached, or does not answer in time.
    """

    def __init__(self, api: Api) -> None:
        """Work over a connection."""
        self._api = api

    @asynccontextmanager
    async def http(self, namespace: str, pod: str, port: int) -> AsyncIterator[Callable[[str], Awaitable[str]]]:
        """Open a connection for GETs, one after another, to a port that a pod listens on, its loopback included.

        Yields:
            What sends a GET to a path, and returns the answer's body.

        Raises:
            ClusterError: The pod cannot be reached, or the user may not forward ports; or, of a GET, nothing answers
                in time, or the answer is an error or no HTTP.
        """
        where = _port(namespace, pod, port)
        async with AsyncExitStack() as opened:
            with _in_time(where):
                async with asyncio.timeout(_SECONDS):
                    connection = await opened.enter_async_context(self.forward(namespace, pod, port))
            payloads = aiter(connection)

            async def get(path: str) -> str:
                request = f"GET {path} HTTP/1.1\r\nHost: localhost:{port}\r\n\r\n"
                with _in_time(where):
                    async with asyncio.timeout(_SECONDS):
                        await connection.send(request.encode())
                        return _body(await _answer(payloads, where), where)

            yield get

    @asynccontextmanager
    async def forward(self, namespace: str, pod: str, port: int) -> AsyncIterator[PodConnection]:
        """Open a connection to a port that a pod listens on, its loopback included; it may last for hours.

        Raises:
            ClusterError: The pod cannot be reached, or the user may not forward ports.
        """
        path = f"/api/v1/namespaces/{namespace}/pods/{pod}/portforward"
        async with self._api.upgraded(path, [("ports", str(port))]) as socket:
            yield PodConnection(socket, _port(namespace, pod, port))

    async def run(self, namespace: str, pod: str, container: str, command: Sequence[str]) -> str:
        """Run a command in a container and return what it wrote to stdout.

        Raises:
            ClusterError: It cannot be started or ends with another exit code than 0, or the user may not run commands.
        """
        where = f"container {container} of pod {namespace}/{pod}"
        asked = [
            ("container", container),
            ("stdout", "true"),
            ("stderr", "true"),
            *(("command", word) for word in command),
        ]
        written: dict[int, bytearray] = {_STDOUT: bytearray(), _STDERR: bytearray(), _STATUS: bytearray()}
        path = f"/api/v1/namespaces/{namespace}/pods/{pod}/exec"
        with _in_time(where):
            async with asyncio.timeout(_SECONDS), self._api.upgraded(path, asked) as socket:
                async for channel, payload in _messages(socket):
                    written.get(channel, bytearray()).extend(payload)
                    if channel == _STATUS:
                        break
        try:
            status = json.loads(written[_STATUS] or b"{}")
        except ValueError:
            status = {}
        if status.get("status") != "Success":
            words = written[_STDERR].decode(errors="replace").strip() or str(status.get("message") or "it was cut off")
            raise ClusterError(
                f"{command[0]} failed in {where}", hint="The words above are those of the container.", detail=words
            )
        return written[_STDOUT].decode(errors="replace")


class PodConnection:
    """A connection to a port of a pod: iterate over it for what the pod sends, until it hangs up."""

    def __init__(self, socket: Any, where: str) -> None:
        """Speak over a port-forward's WebSocket, which somebody else closes."""
        self._socket = socket
        self._where = where

    async def send(self, data: bytes) -> None:
        """Send bytes to the pod.

        Raises:
            ClusterError: The connection is gone.
        """
        try:
            await self._socket.send_bytes(bytes([_DATA]) + data)
        except OSError as exc:
            raise _silent(self._where, str(exc)) from exc

    async def __aiter__(self) -> AsyncGenerator[bytes, None]:
        """Yield what the pod sends.

        Raises:
            ClusterError: Nothing answers at that port of the pod.
        """
        led_in: set[int] = set()
        async for channel, payload in _messages(self._socket):
            data = payload if channel in led_in else payload[_PORT_BYTES:]
            led_in.add(channel)
            if channel == _ERROR and data:
                raise _silent(self._where, data.decode(errors="replace"))
            if data and channel == _DATA:
                yield data


async def _messages(socket: Any) -> AsyncGenerator[tuple[int, bytes], None]:
    """Yield the messages of a WebSocket, a channel and what it brings, until either side hangs up."""
    async for message in socket:
        if message.type is aiohttp.WSMsgType.ERROR:
            return
        data = message.data if isinstance(message.data, bytes) else str(message.data).encode()
        if data:
            yield data[0], data[1:]


@contextmanager
def _in_time(where: str) -> Iterator[None]:
    try:
        yield
    except TimeoutError as exc:
        raise _silent(where, f"no answer within {_SECONDS:g} s") from exc


async def _answer(payloads: AsyncIterator[bytes], where: str) -> bytes:
    """Read one whole HTTP answer; what comes after it is left to the next one."""
    answer = bytearray()
    expected: int | None = None
    async for payload in payloads:
        answer += payload
        if len(answer) > _MOST_BYTES:
            raise _silent(where, f"it sent more than {_MOST_BYTES} bytes")
        expected = _length(answer) if expected is None else expected
        if _is_whole(answer, expected):
            break
    return bytes(answer)


def _port(namespace: str, pod: str, port: int) -> str:
    return f"port {port} of pod {namespace}/{pod}"


def _length(answer: bytearray) -> int | None:
    """Return how many bytes an HTTP answer has in all, -1 where it does not say; None while its head is on the way."""
    end = answer.find(_HEAD_ENDS)
    if end < 0:
        return None
    for line in bytes(answer[:end]).lower().split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name == b"content-length" and value.strip().isdigit():
            return end + len(_HEAD_ENDS) + int(value)
    return -1


def _is_whole(answer: bytearray, expected: int | None) -> bool:
    if expected is None:
        return False
    return answer.endswith(_LAST_CHUNK) if expected < 0 else len(answer) >= expected


class _Bytes(io.BytesIO):
    """Bytes that http.client takes for a socket."""

    def makefile(self, *_: Any, **__: Any) -> io.BytesIO:
        """Return what is read from."""
        return self


def _body(answer: bytes, where: str) -> str:
    try:
        response = http.client.HTTPResponse(_Bytes(answer))  # type: ignore[arg-type]  # it only asks for a file
        response.begin()
        body = response.read().decode(errors="replace")
    except (http.client.HTTPException, OSError, ValueError) as exc:
        raise _silent(where, str(exc) or "it answered nothing") from exc
    if response.status != http.client.OK:
        raise _silent(where, f"HTTP status {response.status}: {body[:200]}")
    return body


def _silent(where: str, words: str) -> ClusterError:
    return ClusterError(
        f"{where} does not answer", hint="Check that the pod runs and listens there.", detail=words.strip()
    )
