"""Stand-ins for ``engine/ports``: what is put in comes out, and each method can be told to fail.

``fails["apply"] = RefusedError(...)`` makes every ``apply`` fail. What a write sets off in a real cluster is told in
``then``: ``helm.then["istiod"] = ...`` is called when that release has been written.
"""

from __future__ import annotations

import asyncio
import copy
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from nksmesh.domain.charts.chart import Chart, ChartRef
from nksmesh.domain.charts.installed import InstalledRelease
from nksmesh.domain.charts.lock import Lock
from nksmesh.domain.charts.releases import Release
from nksmesh.domain.common.errors import MeshError, RefusedError
from nksmesh.domain.common.events import Event, EventKind, Listener, unheard
from nksmesh.domain.images.mirroring import PackedChart
from nksmesh.domain.kube.objects import CLUSTER_SCOPED, Manifest, ObjectRef, Query, owned_by, ref_of
from nksmesh.domain.mesh.holding import Holder
from nksmesh.domain.mesh.record import Record
from nksmesh.domain.plan.history import History

Object = dict[str, Any]
Reaction = Callable[[], Awaitable[None] | None]


class Failing:
    """Methods fail as ``fails`` says, and ``calls`` has what was asked, in order."""

    def __init__(self) -> None:
        self.fails: dict[str, BaseException] = {}
        self.calls: list[tuple[str, str]] = []

    def _note(self, method: str, about: object = "") -> None:
        self.calls.append((method, str(about)))
        if method in self.fails:
            raise self.fails[method]

    def asked(self, method: str) -> list[str]:
        """Return what a method was asked about, in order."""
        return [about for name, about in self.calls if name == method]


class FakeObjects(Failing):
    """Objects in a dictionary; what is applied is there at once."""

    def __init__(self, live: FakeLive) -> None:
        super().__init__()
        self.stored: dict[ObjectRef, Object] = {}
        self.admit: Callable[[Manifest], Object] = copy.deepcopy  # type: ignore[assignment]  # a mapping comes back as it went in
        self.served: list[tuple[str, str]] = []
        self.silent: list[str] = []
        self.refuses: dict[tuple[str, str], MeshError] = {}
        self.logs: dict[str, str] = {}
        self.forbidden: set[tuple[str, str]] = set()
        self.resources = {"serviceaccounts/token"}
        self._live = live

    def put(self, manifest: Manifest, namespace: str = "") -> None:
        """Let an object exist, as if somebody had made it."""
        self.stored[ref_of(manifest, namespace)] = copy.deepcopy(dict(manifest))

    async def get(self, ref: ObjectRef, *, metadata_only: bool = False) -> Object | None:
        self._note("get", ref)
        found = self.stored.get(ref)
        if found is not None and metadata_only:
            return {"metadata": copy.deepcopy(found["metadata"])}
        return copy.deepcopy(found)

    async def get_all(
        self, refs: Iterable[ObjectRef], *, metadata_only: bool = False
    ) -> dict[ObjectRef, Object | None]:
        return {ref: await self.get(ref, metadata_only=metadata_only) for ref in dict.fromkeys(refs)}

    async def list_briefly(self, api_version: str, kind: str, namespace: str = "") -> list[Object]:
        return await self.list(api_version, kind, namespace)

    async def list(
        self,
        api_version: str,
        kind: str,
        namespace: str = "",
        *,
        labels: str = "",
        fields: str = "",
        metadata_only: bool = False,
        most: int = 0,
    ) -> list[Object]:
        del metadata_only, most
        self._note("list", f"{kind} {namespace}".strip())
        if (kind, namespace) in self.refuses:
            raise self.refuses[kind, namespace]
        return [
            copy.deepcopy(one)
            for ref, one in self.stored.items()
            if (ref.api_version, ref.kind) == (api_version, kind)
            and (not namespace or ref.namespace == namespace or kind in CLUSTER_SCOPED)
            and all(_has(one["metadata"].get("labels") or {}, part) for part in labels.split(",") if part)
            and (not fields or fields == f"metadata.name={ref.name}")
        ]

    def forget(self, api_version: str) -> None:
        self._note("forget", api_version)

    async def serves(self, api_version: str, resource: str) -> bool:
        return resource in self.resources

    async def may(self, verb: str, ref: ObjectRef | None = None) -> bool:
        return not self.forbidden if ref is None else (verb, ref.kind) not in self.forbidden

    async def apply(
        self, manifest: Manifest, ref: ObjectRef, *, dry_run: bool = False, force: bool = True, manager: str = "nksmesh"
    ) -> Object:
        self._note("ask" if dry_run else "apply", ref if manager == "nksmesh" else f"{ref} as {manager}")
        if ref.kind == "CustomResourceDefinition":
            assert force is not dry_run or manager != "nksmesh"
        applied = {**self.stored.get(ref, {}), **copy.deepcopy(dict(manifest))}
        if not dry_run:
            self.stored[ref] = applied
        return applied

    async def create(self, manifest: Manifest, ref: ObjectRef, *, dry_run: bool = False) -> Object:
        assert dry_run, "nothing is created for good"
        self._note("create", ref)
        return self.admit(manifest)

    async def merge(
        self, patch: Mapping[str, Any], ref: ObjectRef, *, dry_run: bool = False, manager: str = "nksmesh"
    ) -> Object:
        self._note("ask" if dry_run else "merge", ref if manager == "nksmesh" else f"{ref} as {manager}")
        if dry_run and ref not in self.stored:
            words = f'deployments "{ref.name}" not found'
            raise RefusedError("no", hint="", status=404, reason="NotFound", detail=words)
        merged: Object = _merged(self.stored[ref], patch)
        if not dry_run:
            self.stored[ref] = merged
        return copy.deepcopy(merged)

    async def delete(self, ref: ObjectRef, *, orphan: bool = False) -> bool:
        self._note("delete", f"{ref}, alone" if orphan else ref)
        self._live.remove(ref)
        return self.stored.pop(ref, None) is not None

    async def kinds(self) -> tuple[Sequence[tuple[str, str]], Sequence[str]]:
        self._note("kinds")
        return self.served, self.silent

    async def log_tail(self, namespace: str, pod: str, container: str, *, lines: int) -> str:
        self._note("log_tail", f"{namespace}/{pod} {container} {lines}")
        return self.logs.get(container, "")


def _merged(value: Any, patch: Any) -> Any:
    """Merge as a JSON merge patch does (RFC 7386): null removes a key."""
    if not isinstance(patch, Mapping):
        return copy.deepcopy(patch)
    kept = {key: one for key, one in (value or {}).items() if key not in patch}
    return kept | {key: _merged((value or {}).get(key), one) for key, one in patch.items() if one is not None}


def _has(labels: Mapping[str, str], wanted: str) -> bool:
    key, _, text = wanted.partition("=")
    return key in labels and text in {"", labels[key]}


@dataclass
class FakeConnection:
    """Into a pod that answers with its name, and hangs up."""

    pod: str
    sent: list[bytes] = field(default_factory=list)

    async def send(self, data: bytes) -> None:
        self.sent.append(data)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self.pod.encode()


class FakePods(Failing):
    """Answers by pod and path or command; of a list, each time the next one."""

    def __init__(self) -> None:
        super().__init__()
        self.answers: dict[tuple[str, str], list[str] | MeshError] = {}
        self.unreachable: dict[str, MeshError] = {}
        self.before_get: dict[str, Callable[[str], None]] = {}

    @asynccontextmanager
    async def http(self, namespace: str, pod: str, port: int) -> AsyncIterator[Callable[[str], Awaitable[str]]]:
        self._note("http", f"{namespace}/{pod}:{port}")

        async def get(path: str) -> str:
            self._note("http_get", f"{namespace}/{pod}:{port}{path}")
            if before := self.before_get.get(pod):
                before(path)
            return self._answer(pod, path)

        yield get

    @asynccontextmanager
    async def forward(self, namespace: str, pod: str, port: int) -> AsyncIterator[FakeConnection]:
        self._note("forward", f"{namespace}/{pod}:{port}")
        if pod in self.unreachable:
            raise self.unreachable[pod]
        yield FakeConnection(pod)

    async def run(self, namespace: str, pod: str, container: str, command: Sequence[str]) -> str:
        self._note("run", f"{namespace}/{pod} {container} {' '.join(command)}")
        return self._answer(pod, command[0])

    def _answer(self, pod: str, about: str) -> str:
        found = self.answers[pod, about]
        if isinstance(found, MeshError):
            raise found
        return found.pop(0) if len(found) > 1 else found[0]


class FakeLive(Failing):
    """A view that changes when a test changes it."""

    def __init__(self) -> None:
        super().__init__()
        self.lost = False
        self.version = 0
        self.seen: dict[tuple[str, str, str], Object] = {}
        self._waiters: set[asyncio.Event] = set()

    def show(self, *manifests: Manifest, namespace: str = "") -> None:
        """Let a watch bring objects."""
        for manifest in manifests:
            ref = ref_of(manifest, namespace)
            self.seen[ref.kind, ref.namespace, ref.name] = dict(manifest)
        self.wake()

    def remove(self, ref: ObjectRef) -> None:
        """Let a watch bring an object's end."""
        self.seen.pop((ref.kind, ref.namespace, ref.name), None)
        self.wake()

    def wake(self) -> None:
        """Let something have changed."""
        self.version += 1
        for waiter in self._waiters:
            waiter.set()

    async def follow(self, queries: Iterable[Query]) -> Sequence[Query]:
        wanted = tuple(queries)
        self._note("follow", ", ".join(f"{query.kind} {query.namespace}".strip() for query in wanted))
        return wanted

    async def unfollow(self, queries: Iterable[Query]) -> None:
        self._note("unfollow", ", ".join(f"{query.kind} {query.namespace}".strip() for query in queries))

    async def follow_from_now(self, query: Query) -> None:
        self._note("follow_from_now", query.kind)

    def find(self, kind: str, namespace: str = "") -> list[Manifest]:
        return [
            one for (held, where, _), one in self.seen.items() if held == kind and (not namespace or where == namespace)
        ]

    def get(self, kind: str, name: str, namespace: str = "") -> Manifest | None:
        return self.seen.get((kind, namespace, name))

    def put(self, query: Query, manifest: Manifest) -> None:
        self.show({"apiVersion": query.api_version, "kind": query.kind, **manifest})

    async def changed(self, since: int, timeout: float | None = None) -> None:
        if self.version != since:
            return
        waiter = asyncio.Event()
        self._waiters.add(waiter)
        try:
            async with asyncio.timeout(timeout):
                await waiter.wait()
        except TimeoutError:
            return
        finally:
            self._waiters.discard(waiter)


class FakeRecords(Failing):
    """Records in a dictionary."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: dict[str, Record] = {}

    async def read_all(self) -> dict[str, Record]:
        self._note("read_all")
        return dict(self.kept)

    async def write(self, record: Record) -> None:
        self._note(
            "write", ", ".join(f"{recorded.release.name}@{recorded.helm_revision}" for recorded in record.releases)
        )
        self.kept[record.namespace] = record

    async def delete(self, namespace: str) -> None:
        self._note("delete", namespace)
        self.kept.pop(namespace, None)


class FakeHistories(Failing):
    """Histories in a dictionary."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: dict[str, History] = {}

    async def read_all(self) -> dict[str, History]:
        self._note("read_all")
        return dict(self.kept)

    async def update(self, namespace: str, change: Callable[[History], History]) -> History:
        self._note("update", namespace)
        self.kept[namespace] = change(self.kept.get(namespace, History(namespace=namespace)))
        return self.kept[namespace]

    async def delete(self, namespace: str) -> None:
        self._note("delete", namespace)
        self.kept.pop(namespace, None)


class FakeStorage(Failing):
    """Helm's records in a dictionary."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: dict[tuple[str, str], InstalledRelease] = {}
        self.older: list[InstalledRelease] = []
        self.unreadable: list[str] = []
        self.driver = "secret"
        self.away: list[InstalledRelease] = []
        self.under_other: list[InstalledRelease] = []

    def put(self, *releases: InstalledRelease) -> None:
        """Let Helm have releases."""
        self.kept |= {(installed.namespace, installed.name): installed for installed in releases}

    async def installed(
        self, releases: Iterable[Release] | None = None, *, namespace: str = "", unreadable: list[str] | None = None
    ) -> dict[tuple[str, str], InstalledRelease]:
        self._note("installed", namespace)
        if releases is None:
            if unreadable is not None:
                unreadable += self.unreadable
            away = {(installed.storage_namespace, installed.name): installed for installed in self.away}
            return {key: installed for key, installed in (self.kept | away).items() if namespace in {"", key[0]}}
        wanted = {(release.namespace, release.name) for release in releases}
        return {key: installed for key, installed in self.kept.items() if key in wanted}

    async def revisions(self, releases: Iterable[Release]) -> dict[tuple[str, str], tuple[int, str]]:
        self._note("revisions")
        return {
            key: (installed.helm_revision, installed.status)
            for key, installed in (await self.installed(releases)).items()
        }

    async def deployed(self, releases: Iterable[Release]) -> dict[tuple[str, str], int]:
        self._note("standing")
        found = await self.installed(releases)
        return {
            key: installed.helm_revision - installed.pending
            for key, installed in found.items()
            if installed.helm_revision > installed.pending
        }

    async def at(self, wanted: Mapping[Release, int]) -> dict[Release, InstalledRelease]:
        self._note("at")
        stored = {
            (installed.namespace, installed.name, installed.helm_revision): installed
            for installed in (*self.older, *self.kept.values())
        }
        found = {release: stored.get((release.namespace, release.name, number)) for release, number in wanted.items()}
        return {release: installed for release, installed in found.items() if installed is not None}

    async def elsewhere(self, releases: Iterable[Release]) -> dict[tuple[str, str], InstalledRelease]:
        self._note("elsewhere")
        wanted = {(release.namespace, release.name) for release in releases}
        return {key: installed for installed in self.away if (key := (installed.namespace, installed.name)) in wanted}

    async def under_other_driver(self, releases: Iterable[Release]) -> frozenset[tuple[str, str]]:
        self._note("under_other_driver")
        wanted = {(release.namespace, release.name) for release in releases}
        return frozenset(
            key for installed in self.under_other if (key := (installed.namespace, installed.name)) in wanted
        )

    async def forget(self, release: InstalledRelease) -> None:
        self._note("forget", f"{release.name} {release.helm_revision}")

    async def replace_manifest(self, release: InstalledRelease, manifest: str) -> None:
        self._note("replace_manifest", release.name)
        self.kept[release.namespace, release.name] = replace(release, manifest=manifest)


class FakeLease(Failing):
    """A mesh that is free, unless told otherwise."""

    def __init__(self) -> None:
        super().__init__()
        self.dead: Holder | None = None
        self.holder: Holder | None = None
        self.holding = False

    @asynccontextmanager
    async def held(self, command: str) -> AsyncIterator[Holder | None]:
        self._note("held", command)
        self.holding = True
        self.holder = Holder(host="desk", process=1, started=1, user="kim", command=command)
        try:
            yield self.dead
        finally:
            self.holding, self.holder = False, None

    async def exists(self) -> bool:
        return self.dead is not None or "held" in self.fails


class FakeCluster:
    """A cluster of fakes."""

    def __init__(self) -> None:
        self.live = FakeLive()
        self.objects = FakeObjects(self.live)
        self.pods = FakePods()
        self.records = FakeRecords()
        self.histories = FakeHistories()
        self.storage = FakeStorage()
        self.lease = FakeLease()
        self.context = "test"
        self.account = "nks-admin"
        self.host = "kubernetes.example"
        self.kubernetes = "v1.28.15"
        self.ends: dict[str, datetime] = {}

    async def version(self) -> str:
        return self.kubernetes

    def credential_ends(self) -> datetime | None:
        return self.ends.get("credential")

    def certificate_ends(self, pem: str) -> datetime | None:
        return self.ends.get(pem)

    async def uid(self) -> str:
        return "uid-1"


class FakeHelm(Failing):
    """A Helm that takes ``seconds`` for each release, then does what ``then`` says.

    As the real one, it finishes what it has begun when it is cancelled.
    """

    def __init__(self) -> None:
        super().__init__()
        self.renders: dict[str, Sequence[Manifest]] = {}
        self.seconds: dict[str, float] = {}
        self.then: dict[str, Reaction] = {}
        self.fails_on: dict[str, MeshError] = {}
        self.finished: list[str] = []
        self.running = 0
        self.cluster: FakeCluster | None = None
        self.helm_version = "3.17.3"

    async def version(self) -> str:
        return self.helm_version

    async def render(
        self, release: Release, chart: Chart, values: Mapping[str, Any], *, kubernetes: str = "", upgrade: bool
    ) -> str:
        del chart, values
        self._note("render", f"{release.name} {kubernetes} {'upgrade' if upgrade else 'install'}")
        return self.text(self.renders.get(release.name, ()))

    @staticmethod
    def text(manifests: Sequence[Manifest]) -> str:
        """Write manifests as ``parse`` reads them."""
        return json.dumps(list(manifests))

    def parse(self, manifests: str) -> tuple[Manifest, ...]:
        return tuple(json.loads(manifests)) if manifests else ()

    def dump(self, manifest: Manifest) -> str:
        return json.dumps(manifest, indent=1) + "\n"

    async def install(self, release: Release, chart: Chart, values: Mapping[str, Any], *, timeout: float) -> None:
        await self._write("install", release)

    async def upgrade(self, release: Release, chart: Chart, values: Mapping[str, Any], *, timeout: float) -> None:
        await self._write("upgrade", release)

    async def rollback(self, release: Release, helm_revision: int, *, timeout: float) -> None:
        await self._write("rollback", release)

    async def uninstall(self, release: Release, *, timeout: float) -> None:
        await self._write("uninstall", release)
        if self.cluster is not None:
            self._take_away(release, self.cluster)

    @staticmethod
    def _take_away(release: Release, cluster: FakeCluster) -> None:
        """Remove a release's record and what its manifest has, as Helm does where it finds the record."""
        cluster.storage.kept.pop((release.namespace, release.name), None)
        for ref, one in list(cluster.objects.stored.items()):
            kept = (one["metadata"].get("annotations") or {}).get("helm.sh/resource-policy") == "keep"
            if owned_by(release, one) and not kept and ref.kind != "CustomResourceDefinition":
                del cluster.objects.stored[ref]

    async def prove_same_cluster(self, uid: str) -> None:
        self._note("prove_same_cluster", uid)

    async def _write(self, verb: str, release: Release) -> None:
        self._note(verb, release.name)
        self.running += 1
        work = asyncio.ensure_future(self._work(release.name))
        try:
            await asyncio.shield(work)
        except asyncio.CancelledError:
            await work
            raise
        finally:
            self.running -= 1

    async def _work(self, name: str) -> None:
        await asyncio.sleep(self.seconds.get(name, 1.0))
        if name in self.fails_on:
            raise self.fails_on[name]
        if name in self.then:
            reaction = self.then[name]()
            if reaction is not None:
                await reaction
        self.finished.append(name)


class FakeCharts(Failing):
    """Charts that are there."""

    def __init__(self, *charts: Chart) -> None:
        super().__init__()
        self.there = {chart.ref.name: chart for chart in charts}

    async def fetch(
        self, refs: Iterable[ChartRef], *, lock: Lock, locked: bool = False, listener: Listener = unheard
    ) -> dict[ChartRef, Chart]:
        del lock, locked, listener
        wanted = list(refs)
        self._note("fetch", ", ".join(map(str, wanted)))
        return {ref: self.there[ref.name] for ref in wanted}

    def cached(self, ref: ChartRef, lock: Lock) -> bool:
        del lock
        return ref.name in self.there

    def keep(self, ref: ChartRef, archive: bytes, digest: str, *, known: bool) -> None:
        del archive, known
        self._note("keep", f"{ref} {digest}")

    def packed(self, chart: Chart) -> PackedChart:
        about = {"name": chart.ref.name, "version": chart.ref.version}
        return PackedChart(name=chart.ref.name, version=chart.ref.version, about=about, archive=b"of a fake")


class FakeProcesses(Failing):
    """A machine on which ``helms`` are at work, and end as soon as they are waited for."""

    def __init__(self) -> None:
        super().__init__()
        self.helms: tuple[int, ...] = ()
        self.host = "desk"

    def here(self, holder: Holder) -> bool:
        return holder.host == self.host

    def helms_of(self, holder: Holder) -> tuple[int, ...]:
        return self.helms if self.here(holder) else ()

    async def wait_for_helm(self, processes: tuple[int, ...]) -> None:
        self._note("wait_for_helm", processes)


@dataclass
class Heard:
    """A listener that keeps what it hears, and when."""

    events: list[Event] = field(default_factory=list)
    times: list[float] = field(default_factory=list)

    def __call__(self, event: Event) -> None:
        self.events.append(event)
        self.times.append(asyncio.get_running_loop().time())

    def said(self, kind: EventKind, step: str = "") -> list[str]:
        """Return what was said in one way, of one step or of all."""
        return [event.message for event in self.events if event.kind is kind and step in {"", event.step}]

    def order(self, kind: EventKind) -> list[str]:
        """Return the steps that something was said of, in order."""
        return [event.step for event in self.events if event.kind is kind]


async def after(seconds: float, act: Callable[[], None]) -> None:
    """Act when some seconds have passed."""
    await asyncio.sleep(seconds)
    act()
