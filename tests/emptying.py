"""The way back to an empty cluster while it runs: what a test made is deleted, what it changed is put back.

A reset stops and starts the six programs of a sandbox, which takes 5 seconds of a processor. This takes some
hundred requests. Whoever finds that it cannot bring the cluster back has the sandbox reset instead.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from nksmesh.sandbox.results import State
from nksmesh.sandbox.sandbox import Sandbox
from tests.cluster.reader import FURNISHINGS, HEARTBEATS, Object, client_of, wanted

SECONDS = 20.0
"""How long a cluster is given to become empty; a reset on a busy machine takes about as long."""

ROUND = 1.0
"""Seconds after which everything is listed again: controllers make new objects while others go."""

NAMESPACES = 4
"""How many a cluster has from the start."""

FIRST = ("mutatingwebhookconfigurations", "validatingwebhookconfigurations", "namespaces")
"""What goes first: webhooks that would refuse the rest, and namespaces, in which nothing is made from then on."""

OWN = {"componentstatuses", "apiservices", "leases"}
"""What Kubernetes itself makes, and renews all the time; Leases are, where they are its own."""

METADATA = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"
DISCOVERY = ", ".join(
    f"application/json;g=apidiscovery.k8s.io;v={version};as=APIGroupDiscoveryList" for version in ("v2", "v2beta1")
)
"""Kubernetes 1.28 has v2beta1 alone, and 1.34 v2 alone."""
AT_ONCE = {"gracePeriodSeconds": "0", "propagationPolicy": "Background"}


class NotEmptyError(Exception):
    """The cluster cannot be brought back while it runs."""


@dataclass(frozen=True, order=True)
class Kind:
    """What the API server lists at one path.

    Attributes:
        root: The path of its API version.
        plural: Its name there.
    """

    root: str
    plural: str
    namespaced: bool

    @property
    def path(self) -> str:
        return f"{self.root}/{self.plural}"

    def within(self, namespace: str) -> str:
        """Return where those of a namespace are listed; empty for what is in none."""
        return f"{self.root}/namespaces/{namespace}/{self.plural}" if namespace else self.path


@dataclass(frozen=True)
class Found:
    """An object, by its metadata."""

    kind: Kind
    metadata: Object

    @property
    def namespace(self) -> str:
        return str(self.metadata.get("namespace", ""))

    @property
    def name(self) -> str:
        return str(self.metadata["name"])

    @property
    def path(self) -> str:
        return f"{self.kind.within(self.namespace)}/{self.name}"

    @property
    def own(self) -> bool:
        """Whether Kubernetes itself keeps it: a Lease of its own, or the account of one of its controllers."""
        if self.kind.plural in OWN:
            ours = self.kind.plural == "leases" and (self.namespace not in HEARTBEATS or "nksmesh" in self.name)
            return not ours
        bare = not self.metadata.get("labels") and not self.metadata.get("annotations")
        return self.kind.plural == "serviceaccounts" and self.namespace == "kube-system" and bare


class EmptyCluster:
    """A cluster as it was when first up."""

    def __init__(self, sandbox: Sandbox) -> None:
        """Note what an empty cluster has, once Kubernetes has put all that it puts into namespaces."""
        self._sandbox = sandbox
        self._http = client_of(sandbox.kubeconfig)
        self._until_furnished()
        self._kinds = frozenset(self._discovered())
        self._objects = {
            found.path: (found.metadata["resourceVersion"], self._get(found.path))
            for found in self._listed(self._kinds)
            if not found.own
        }

    def close(self) -> None:
        self._http.close()

    def restore(self) -> None:
        """Bring the cluster back.

        Raises:
            NotEmptyError: It does not become what it was: a part does not run, or does not do its work.
        """
        if self._sandbox.status().state is not State.RUNNING:
            raise NotEmptyError("not every part of the sandbox runs")
        end_runs_on(self._sandbox.kubeconfig)
        try:
            self._empty()
            self._until_furnished()
        except httpx.HTTPError as error:
            raise NotEmptyError(f"the API server: {error}") from error

    def _empty(self) -> None:
        until = time.monotonic() + SECONDS
        while True:
            kinds = frozenset(self._discovered())
            found = [item for item in self._listed(kinds) if not item.own]
            self._delete_events(found)
            extra = [item for item in found if item.path not in self._objects]
            if not extra and kinds == self._kinds:
                break
            if time.monotonic() > until:
                raise NotEmptyError(f"there still is {', '.join(item.path for item in extra) or kinds - self._kinds}")
            self._delete(extra)
            self._await_end(extra)
        self._put_back(found)

    def _await_end(self, extra: list[Found]) -> None:
        """Look for what is to go, and for nothing else, for a while: to list all kinds takes seventy requests."""
        until = time.monotonic() + ROUND
        kinds, paths = {item.kind for item in extra}, {item.path for item in extra}
        while time.monotonic() < until:
            time.sleep(0.05)
            left = [item for item in self._listed(kinds) if item.path in paths]
            if not left and frozenset(self._discovered()) == self._kinds:
                return
            self._delete(left)

    def _delete(self, extra: list[Found]) -> None:
        """Ask for the end of each; what is refused now is asked again in the next round."""
        ending = {item.name for item in extra if item.kind.plural == "namespaces"}
        whole: set[str] = set()
        for item in sorted(extra, key=_rank):
            if item.metadata.get("finalizers") and item.kind.plural != "customresourcedefinitions":
                patch = {"metadata": {"finalizers": None}}
                self._http.patch(item.path, json=patch, headers={"Content-Type": "application/merge-patch+json"})
            if item.namespace not in ending:
                if not item.metadata.get("deletionTimestamp"):
                    self._http.delete(item.path, params=AT_ONCE)
            elif (collection := item.kind.within(item.namespace)) not in whole:
                whole.add(collection)
                self._http.delete(collection, params=AT_ONCE)
        for namespace in ending - {item.namespace for item in extra}:
            if not self._http.get(f"/api/v1/namespaces/{namespace}/events", params={"limit": "1"}).json().get("items"):
                body = {"metadata": {"name": namespace}, "spec": {"finalizers": []}}
                self._http.put(f"/api/v1/namespaces/{namespace}/finalize", json=body)

    def _delete_events(self, found: Iterable[Found]) -> None:
        """Delete what was said of objects: two objects of one name may not have each other's events."""
        for item in found:
            if item.kind.plural == "namespaces":
                self._http.delete(f"{item.path}/events")

    def _put_back(self, found: Iterable[Found]) -> None:
        """Write what was changed as it was."""
        current = {item.path: item for item in found}
        if missing := self._objects.keys() - current.keys():
            raise NotEmptyError(f"there is no {', '.join(sorted(missing))} any more")
        for path, (version, original) in list(self._objects.items()):
            if current[path].metadata["resourceVersion"] == version:
                continue
            now = self._get(path)
            if _lasting(now) != _lasting(original):
                metadata = {key: value for key, value in original["metadata"].items() if key not in {"uid", *SERVER}}
                now = self._http.put(path, json={**original, "metadata": metadata}).raise_for_status().json()
            self._objects[path] = now["metadata"]["resourceVersion"], original

    def _until_furnished(self) -> None:
        until = time.monotonic() + SECONDS
        for kind, name in FURNISHINGS:
            while len(self._get(f"/api/v1/{kind}", fieldSelector=f"metadata.name={name}")["items"]) < NAMESPACES:
                if time.monotonic() > until:
                    raise NotEmptyError(f"not every namespace has a {name}")
                time.sleep(0.05)

    def _discovered(self) -> Iterator[Kind]:
        for root in ("/api", "/apis"):
            for group in self._get(root, accept=DISCOVERY)["items"]:
                name = group["metadata"].get("name", "")
                served = group["versions"][0]
                for resource in served.get("resources", ()):
                    if "list" in resource["verbs"] and resource["resource"] != "events":
                        path = "/".join(part for part in (root, name, served["version"]) if part)
                        yield Kind(path, resource["resource"], resource["scope"] == "Namespaced")

    def _listed(self, kinds: Iterable[Kind]) -> list[Found]:
        listed: list[Found] = []
        for kind in sorted(kinds):
            answer = self._http.get(kind.path, headers={"Accept": METADATA})
            if answer.status_code != httpx.codes.NOT_FOUND:  # its CustomResourceDefinition is gone
                items = answer.raise_for_status().json().get("items") or ()
                listed += [Found(kind, item["metadata"]) for item in items]
        return listed

    def _get(self, path: str, accept: str = "application/json", **query: str) -> Any:
        return self._http.get(path, params=query, headers={"Accept": accept}).raise_for_status().json()


SERVER = {"resourceVersion", "generation", "creationTimestamp", "managedFields"}
"""What the API server writes into an object's metadata."""


def _lasting(item: Object) -> Object:
    shown = wanted(item)
    kept = {key: value for key, value in shown["metadata"].items() if key not in {"uid", *SERVER}}
    return {**shown, "metadata": kept}


def _rank(item: Found) -> int:
    """Return when an object goes: those that others are made from before those, and definitions last."""
    plural = item.kind.plural
    if plural in FIRST:
        return FIRST.index(plural)
    last = ("replicasets", "pods", "customresourcedefinitions")
    return len(FIRST) + (1 + last.index(plural) if plural in last else 0)


def end_runs_on(kubeconfig: Path) -> None:
    """Kill what a test left at work on a cluster: a Helm that outlives its nksmesh would write into the next test.

    Raises:
        NotEmptyError: This system does not tell what processes were given.
    """
    processes = Path("/proc")
    if not (processes / "self" / "environ").exists():
        raise NotEmptyError("there is no /proc")
    given = f"KUBECONFIG={kubeconfig}".encode()
    for process in processes.iterdir():
        if process.name.isdecimal() and int(process.name) != os.getpid():
            with contextlib.suppress(OSError):  # it ended meanwhile, or is somebody else's
                if given in (process / "environ").read_bytes().split(b"\0"):
                    os.kill(int(process.name), signal.SIGKILL)
