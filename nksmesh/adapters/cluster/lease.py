"""The lease: a coordination.k8s.io Lease in kube-system that one run at a time holds and renews."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import asdict, fields, replace
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, Final

from nksmesh.adapters import processes
from nksmesh.adapters.cluster.objects import Objects
from nksmesh.adapters.cluster.records import HOME_NAMESPACE
from nksmesh.domain.common.errors import ClusterError, HeldError, InterruptedRunError, MeshError, RefusedError
from nksmesh.domain.kube.objects import ObjectRef
from nksmesh.domain.mesh.holding import LEASE_SECONDS, RENEW_SECONDS, WITHOUT_RENEWAL_SECONDS, Holder, seems_lapsed

_REF: Final = ObjectRef("coordination.k8s.io/v1", "Lease", "nksmesh", HOME_NAMESPACE)
_HOLDER: Final = "nksmesh/holder"
_NOT_AS_KNOWN: Final = (HTTPStatus.CONFLICT, HTTPStatus.NOT_FOUND)
_OBSERVED_RENEWALS: Final = 1.5
"""A lease that seems lapsed is observed for as long as this many renewals take."""


class Lease:
    """The right to write to a cluster's mesh."""

    def __init__(self, objects: Objects) -> None:
        """Take it over a connection."""
        self._objects = objects
        self._mine: Holder | None = None
        self._version = ""
        self._lost: MeshError | None = None
        self._renewed = 0.0
        self._write = asyncio.Lock()
        self._notes: set[asyncio.Task[None]] = set()

    @property
    def holder(self) -> Holder | None:
        """This run, while it holds the mesh."""
        return self._mine

    @asynccontextmanager
    async def held(self, command: str) -> AsyncIterator[Holder | None]:
        """Hold the mesh for the time of a block, renewing the lease; yield the dead holder it was taken from.

        Raises:
            HeldError: Another run holds it, or took it over within the block.
            ClusterError: The cluster cannot be reached, or refuses; or did not let the lease be renewed for too long.
        """
        self._mine = processes.this_run(command)
        try:
            dead = await self._take()
        except BaseException:
            self._mine = None  # nobody is to take us for the holder, and no Helm of ours is noted in its lease
            raise
        renewal = asyncio.create_task(self._renew(asyncio.current_task()))
        try:
            yield dead
        except (asyncio.CancelledError, InterruptedRunError) as stopped:
            if self._lost is None:
                raise
            done = stopped.detail if isinstance(stopped, InterruptedRunError) else ""
            self._lost.detail = "\n".join(filter(None, (self._lost.detail, done)))
            raise self._lost from None
        finally:
            renewal.cancel()
            await asyncio.gather(renewal, *self._notes, return_exceptions=True)
            await self._release()

    async def exists(self) -> bool:
        """Tell whether anybody holds the mesh, or did so when it was killed.

        Raises:
            ClusterError: The cluster cannot be reached, or refuses.
        """
        return await self._objects.get(_REF) is not None

    def note_helm(self, process: int | None) -> None:
        """Note in the lease which Helm is at work, so that a run that finds us dead can let it finish."""
        if self._mine is None:
            return
        running = processes.still_running(self._mine.helm)
        self._mine = replace(self._mine, helm=(*running, process) if process else running)
        if process:
            task = asyncio.create_task(self._quietly_renew())
            self._notes.add(task)
            task.add_done_callback(self._notes.discard)

    async def _take(self) -> Holder | None:
        """Create the lease, or take it from a holder that is dead; return that one."""
        mine = self._mine
        assert mine is not None  # noqa: S101 - held() sets it
        try:
            created = await self._objects.create(self._manifest(mine), _REF)
        except RefusedError as exc:
            if exc.reason != "AlreadyExists":
                raise
        else:
            self._note_version(created)
            return None
        found = await self._objects.get(_REF)
        if found is None:
            return await self._take()
        holder = _holder_of(found)
        # A holder that cannot be read is a later nksmesh's: it may well be alive.
        if holder is None or processes.alive(holder):
            if not seems_lapsed(_renewed(found), datetime.now(UTC)):
                raise _held_by(found)
            # By our clock it has lapsed, which may be wrong: a holder that lives renews it under our eyes.
            await asyncio.sleep(_OBSERVED_RENEWALS * RENEW_SECONDS)
        try:
            taken = await self._objects.replace(self._manifest(mine, found["metadata"]["resourceVersion"]), _REF)
        except RefusedError as exc:
            if exc.status == HTTPStatus.NOT_FOUND:
                return await self._take()
            if exc.status != HTTPStatus.CONFLICT:
                raise
            raise _held_by(await self._objects.get(_REF) or found) from exc
        self._note_version(taken)
        return holder

    async def _renew(self, run: asyncio.Task[Any] | None) -> None:
        """Renew until cancelled; end the run whose lease is lost."""
        while True:
            await asyncio.sleep(RENEW_SECONDS)
            try:
                await self._write_lease()
            except RefusedError as exc:
                failure: ClusterError = exc
                if exc.status in _NOT_AS_KNOWN:
                    await self._look_again(run)
            except ClusterError as exc:
                failure = exc
            else:
                continue
            # A lost API server is waited for, though not for ever: if only we are cut off, another run may have the
            # mesh by now, and Helm could write nothing all this time anyway.
            if asyncio.get_running_loop().time() - self._renewed > WITHOUT_RENEWAL_SECONDS:
                self._end(run, _not_renewed(failure))

    async def _look_again(self, run: asyncio.Task[Any] | None) -> None:
        """Find out who has the lease: a write of ours may have been done and never answered."""
        assert self._mine is not None  # noqa: S101 - held() sets it
        try:
            found = await self._objects.get(_REF)
            if found is None:
                found = await self._objects.create(self._manifest(self._mine), _REF)
        except ClusterError:
            return  # the next renewal asks again
        if _identity(found) == self._mine.identity:
            self._note_version(found)
        else:
            self._end(run, _taken_by(found))

    def _end(self, run: asyncio.Task[Any] | None, error: MeshError) -> None:
        """End the run, once, with an error."""
        if self._lost is None and run is not None:
            self._lost = error
            run.cancel(error.message)

    def _note_version(self, written: Mapping[str, Any]) -> None:
        """Remember which version of the lease is ours, and since when."""
        self._version = written["metadata"]["resourceVersion"]
        self._renewed = asyncio.get_running_loop().time()

    async def _quietly_renew(self) -> None:
        try:
            await self._write_lease()
        except ClusterError:
            return  # the next renewal says it

    async def _write_lease(self) -> None:
        async with self._write:
            assert self._mine is not None  # noqa: S101 - held() sets it
            written = await self._objects.replace(self._manifest(self._mine, self._version), _REF)
            self._note_version(written)

    async def _release(self) -> None:
        """Give the mesh back, if it is still ours: as we last wrote it, or as a write without an answer left it."""
        try:
            if self._version and await self._deleted(self._version):
                return
            found = await self._objects.get(_REF)
            if found is not None and self._mine is not None and _identity(found) == self._mine.identity:
                await self._objects.delete(_REF)
        except ClusterError:
            return  # it lapses by itself
        finally:
            self._mine = None

    async def _deleted(self, version: str) -> bool:
        """Delete the lease at one version of it; False where it has another."""
        try:
            await self._objects.delete(_REF, version=version)
        except RefusedError as exc:
            if exc.status != HTTPStatus.CONFLICT:
                raise
            return False
        return True

    @staticmethod
    def _manifest(holder: Holder, version: str = "") -> dict[str, Any]:
        metadata: dict[str, Any] = {
            "name": _REF.name,
            "namespace": _REF.namespace,
            "annotations": {_HOLDER: json.dumps(asdict(holder))},
        }
        if version:
            metadata["resourceVersion"] = version
        return {
            "apiVersion": _REF.api_version,
            "kind": _REF.kind,
            "metadata": metadata,
            "spec": {
                "holderIdentity": holder.identity,
                "leaseDurationSeconds": LEASE_SECONDS,
                "renewTime": datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z"),
            },
        }


def _holder_of(lease: Mapping[str, Any]) -> Holder | None:
    """Read the holder; what a later nksmesh says of its own more than we know is left out."""
    try:
        data = json.loads(lease["metadata"]["annotations"][_HOLDER])
        known = {field.name: data[field.name] for field in fields(Holder) if field.name in data}
        return Holder(**{**known, "helm": tuple(known.get("helm", ()))})
    except (KeyError, TypeError, ValueError):
        return None


def _identity(lease: Mapping[str, Any]) -> str:
    return str((lease.get("spec") or {}).get("holderIdentity") or "")


def _renewed(lease: Mapping[str, Any]) -> datetime | None:
    try:
        renewed = datetime.fromisoformat(str((lease.get("spec") or {}).get("renewTime")))
    except ValueError:
        return None
    return renewed if renewed.tzinfo else renewed.replace(tzinfo=UTC)


def _name(lease: Mapping[str, Any]) -> str:
    """Name who has a lease."""
    return str(_holder_of(lease) or _identity(lease) or "somebody")


def _held_by(lease: Mapping[str, Any]) -> HeldError:
    return HeldError(
        f"another run is changing this mesh: {_name(lease)}",
        hint="Wait until it ends. If it was killed, its lease of the mesh ends "
        f"{LEASE_SECONDS} s after the last renewal.",
    )


def _taken_by(lease: Mapping[str, Any]) -> HeldError:
    return HeldError(
        f"this run lost its lease of the mesh to another run: {_name(lease)}",
        hint="Wait until that run ends. Then run the same command again to resume.",
    )


def _not_renewed(failure: ClusterError) -> ClusterError:
    return ClusterError(
        f"this run could not renew its lease of the mesh for {WITHOUT_RENEWAL_SECONDS:.0f} s",
        hint="When the API server answers, run the same command again to resume." if failure.passing else failure.hint,
        detail="\n".join(filter(None, (failure.message, failure.detail))),
        passing=failure.passing,
    )
