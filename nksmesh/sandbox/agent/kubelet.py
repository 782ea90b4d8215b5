"""The kubelet's server, as far as simulated pods need one: the logs of a container."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import Final
from urllib.parse import parse_qs, urlsplit

from nksmesh.domain.kube.objects import Manifest
from nksmesh.sandbox.agent.https_server import Request, Response
from nksmesh.sandbox.stages import CRASH, CRASH_EXIT_CODE, FAILURE_ANNOTATION

PodOf = Callable[[str, str], Manifest | None]

_CRASH_LINES: Final = (
    "info\tFLAG: --concurrency=0",
    "info\tProxy role",
    "error\tfailed to start the proxy: the sandbox was told that this container crashes",
    f"Error: exit status {CRASH_EXIT_CODE}",
)
_LOGS_PARTS: Final = 4


def answer(request: Request, pod_of: PodOf) -> Response:
    """Answer ``/containerLogs/NAMESPACE/POD/CONTAINER``; nothing else runs on a simulated node."""
    url = urlsplit(request.target)
    parts = url.path.strip("/").split("/")
    if len(parts) != _LOGS_PARTS or parts[0] != "containerLogs":
        return _text("a node of the sandbox runs nothing: it has logs to show, no more", HTTPStatus.NOT_IMPLEMENTED)
    _, namespace, name, container = parts
    pod = pod_of(namespace, name)
    if pod is None:
        return _text(f"pod {namespace}/{name} is not on this node", HTTPStatus.NOT_FOUND)
    lines = _lines(pod, container)
    tail = parse_qs(url.query).get("tailLines", [""])[0]
    if tail.isdigit():
        lines = lines[len(lines) - min(int(tail), len(lines)) :]
    return _text("".join(f"{line}\n" for line in lines), HTTPStatus.OK)


def _lines(pod: Manifest, container: str) -> list[str]:
    if (pod["metadata"].get("annotations") or {}).get(FAILURE_ANNOTATION) == CRASH:
        return list(_CRASH_LINES)
    return [f"container {container} is simulated: no program runs in it"]


def _text(text: str, status: HTTPStatus) -> Response:
    return Response(text.encode(), "text/plain", status)
