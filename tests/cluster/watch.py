"""A witness: watches pods in a thread of its own, and keeps how few of them were ever ready at once."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.cluster.reader import Object, Reader, reader_of


class Witness:
    """What was seen of some pods while it watched.

    Attributes:
        counts: How many were ready and not ending, after each change.
        names: Every pod that was ready at some time.
    """

    def __init__(self, path: str, labels: str) -> None:
        self.counts: list[int] = []
        self.names: set[str] = set()
        self._path, self._labels = path, labels
        self._pods: dict[str, Object] = {}
        self._over = threading.Event()

    def watch(self, kubeconfig: Path, seen: threading.Event) -> None:
        """Watch until it is told to end."""
        with reader_of(kubeconfig) as reader:
            listed = reader.get(self._path, labelSelector=self._labels)
            for one in listed["items"]:
                self._take("ADDED", one)
            version = listed["metadata"]["resourceVersion"]
            seen.set()
            while not self._over.is_set():
                version = self._follow(reader, version)

    def end(self) -> None:
        self._over.set()

    def _follow(self, reader: Reader, version: str) -> str:
        for event in reader.watch(self._path, version, seconds=1, labelSelector=self._labels):
            self._take(event["type"], event["object"])
            version = event["object"]["metadata"]["resourceVersion"]
        return version

    def _take(self, kind: str, pod: Object) -> None:
        name = pod["metadata"]["name"]
        if kind == "DELETED":
            self._pods.pop(name, None)
        else:
            self._pods[name] = pod
        ready = [one for one in self._pods.values() if _serves(one)]
        self.counts.append(len(ready))
        self.names.update(one["metadata"]["name"] for one in ready)


@contextmanager
def witness_of(kubeconfig: Path, labels: str, namespace: str = "istio-system") -> Iterator[Witness]:
    """Watch the pods of a label selector for the time of a block."""
    witness, seen = Witness(f"/api/v1/namespaces/{namespace}/pods", labels), threading.Event()
    thread = threading.Thread(target=witness.watch, args=(kubeconfig, seen))
    thread.start()
    try:
        assert seen.wait(timeout=20)
        yield witness
    finally:
        witness.end()
        thread.join()


def _serves(pod: Object) -> bool:
    conditions = (pod.get("status") or {}).get("conditions") or []
    ready = any(condition["type"] == "Ready" and condition["status"] == "True" for condition in conditions)
    return ready and not pod["metadata"].get("deletionTimestamp")
