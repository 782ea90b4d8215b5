"""A purge: what Helm leaves of a mesh goes, and with it the namespaces that then hold nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Mapping

from nksmesh.commands.uninstall.namespace_contents import Contents, NamespaceReader
from nksmesh.domain.common.durations import spoken
from nksmesh.domain.common.errors import NotReadyError
from nksmesh.domain.common.events import Event, EventKind, Listener
from nksmesh.domain.kube.objects import ObjectRef, Query
from nksmesh.domain.uninstall.leftovers import Labelled, Leftover, counted, in_words, labels_in_words
from nksmesh.engine import observation
from nksmesh.engine.executor.removal_proof import await_gone
from nksmesh.engine.ports import Cluster


class Purge:
    """Removes what is left of a mesh, and waits until it is gone.

    Args:
        emptiness: Judges what a namespace holds.
        timeout: Seconds for the CRDs to end, and for each namespace.
        removed: Takes in, in words, what went.
        staying: Takes in, in words, what is there again.
    """

    def __init__(
        self,
        cluster: Cluster,
        emptiness: NamespaceReader,
        timeout: float,
        listener: Listener,
        removed: list[str],
        staying: list[str],
    ) -> None:
        """Prepare; nothing is removed yet."""
        self._cluster = cluster
        self._emptiness = emptiness
        self._timeout = timeout
        self._listener = listener
        self._removed = removed
        self._staying = staying

    async def remove_leftovers(self, leftovers: Collection[Leftover]) -> None:
        """Remove leftovers, and wait until they are gone, the CRDs among them with all their objects.

        Raises:
            NotReadyError: Something is still there when the time is over.
            ClusterError: The cluster cannot be reached, or refuses.
        """
        refs = [one.ref for one in leftovers]
        if not refs:
            return
        self._tell("leftovers", EventKind.STARTED, "remove")
        crds = [ref for ref in refs if ref.kind == observation.CRDS.kind]
        if crds:
            await self._cluster.live.follow_from_now(observation.CRDS)
        for ref, found in (await self._cluster.objects.get_all(crds, metadata_only=True)).items():
            if found is not None:
                self._cluster.live.put(observation.CRDS, {**found, "kind": ref.kind})
        there = await asyncio.gather(*(self._cluster.objects.delete(ref) for ref in refs))
        going = [ref for ref, deleted in zip(refs, there, strict=True) if deleted and ref in crds]
        await self._gone(going, "Its objects may have finalizers")
        others = [ref for ref in refs if ref not in crds]
        again = await await_gone(
            others, self._cluster, step="leftovers", timeout=self._timeout, listener=self._listener
        )
        self._removed += in_words(one for one in leftovers if one.ref not in again)
        self._staying += [f"{ref} (it was deleted, and is there again)" for ref in again]
        self._tell("leftovers", EventKind.DONE, f"removed {len(refs) - len(again)}")

    async def remove_labels(self, labelled: Collection[Labelled]) -> None:
        """Take Istio's own labels off namespaces, and nothing else.

        Raises:
            ClusterError: The cluster cannot be reached, or refuses.
        """
        for one in labelled:
            ref = ObjectRef("v1", "Namespace", one.namespace)
            if await self._cluster.objects.get(ref, metadata_only=True) is not None:
                await self._cluster.objects.merge({"metadata": {"labels": dict.fromkeys(one.labels)}}, ref)
        if labelled:
            self._removed += labels_in_words(labelled)
            self._tell("labels", EventKind.DONE, f"removed from {counted(len(labelled), 'namespace')}")

    async def remove_namespaces(self, planned: Mapping[str, Contents]) -> dict[str, Contents]:
        """Remove the namespaces that the plan found empty and that are so still; return those that stay, and why.

        Raises:
            NotReadyError: A namespace is still there when the time is over.
            ClusterError: The cluster cannot be reached, or refuses.
        """
        kept = {name: one for name, one in planned.items() if not one.empty}
        for name in planned:
            if name in kept:
                continue
            survey = await self._emptiness.survey([name], planned)
            if not survey.namespaces[name].empty:
                kept[name] = survey.namespaces[name]
                continue
            step, ref = f"namespace {name}", ObjectRef("v1", "Namespace", name)
            self._tell(step, EventKind.STARTED, "remove")
            await self._cluster.live.follow([Query("v1", "Namespace", fields=f"metadata.name={name}")])
            await self._cluster.objects.delete(ref)
            await self._gone([ref], "Something in it has a finalizer")
            self._removed.append(step)
            self._tell(step, EventKind.DONE, "removed")
        return kept

    async def _gone(self, refs: Iterable[ObjectRef], suspicion: str) -> None:
        """Wait until objects are gone, so that an install right after does not meet them ending."""
        live, clock = self._cluster.live, asyncio.get_running_loop().time
        deadline = clock() + self._timeout
        while True:
            version = live.version
            ending = [ref for ref in refs if live.get(ref.kind, ref.name) is not None]
            if not ending:
                return
            if clock() >= deadline:
                first = ending[0]
                words = "CRD" if first.kind == observation.CRDS.kind else first.kind.lower()
                raise NotReadyError(
                    f"{words} {first.name} is still being deleted after {spoken(self._timeout)}",
                    hint=f"{suspicion}: kubectl get {first.kind.lower()} {first.name} -o yaml",
                )
            await live.changed(version, deadline - clock())

    def _tell(self, step: str, kind: EventKind, message: str) -> None:
        self._listener(Event(step=step, kind=kind, message=message))
