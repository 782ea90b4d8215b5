"""Objects that are being deleted: waited for until they are gone."""

from __future__ import annotations

import asyncio
from collections.abc import Collection

from nksmesh.domain.common.durations import spoken
from nksmesh.domain.common.errors import NotReadyError
from nksmesh.domain.common.events import Event, EventKind, Listener
from nksmesh.domain.kube.objects import ObjectRef, Query
from nksmesh.engine.ports import Cluster


async def await_end(
    refs: Collection[ObjectRef],
    cluster: Cluster,
    *,
    step: str,
    timeout: float,
    listener: Listener,
    followed: bool = False,
) -> None:
    """Wait until objects are gone: an install right after an uninstall must not take them for its own.

    Args:
        step: The step that waits.
        timeout: Seconds.
        followed: The live view follows them already; else each gets a watch of its own.

    Raises:
        NotReadyError: Something is still there; a finalizer keeps it.
    """
    if not followed:
        await cluster.live.follow(
            Query(ref.api_version, ref.kind, ref.namespace, fields=f"metadata.name={ref.name}") for ref in refs
        )
    clock = asyncio.get_running_loop().time
    deadline = clock() + timeout
    said = 0
    while True:
        version = cluster.live.version
        left = [ref for ref in refs if cluster.live.get(ref.kind, ref.name, ref.namespace) is not None]
        if not left:
            return
        if len(left) != said:
            said = len(left)
            words = f"{left[0]} to be deleted" + (f", and {len(left) - 1} more" if len(left) > 1 else "")
            listener(Event(step=step, kind=EventKind.WAITING, message=words))
        if clock() >= deadline:
            first = left[0]
            where = f" -n {first.namespace}" if first.namespace else ""
            raise NotReadyError(
                f"{first} is still being deleted after {spoken(timeout)}",
                hint="A finalizer of the object, or of something in it, blocks the deletion. "
                f"Run kubectl get {first.kind.lower()} {first.name}{where} -o yaml to see which one.",
            )
        await cluster.live.changed(version, deadline - clock())
