"""What workflows need of the outside world. The adapters satisfy these; tests may stand others in."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, Protocol

from nksmesh.domain.charts.chart import Chart, ChartRef
from nksmesh.domain.charts.installed import InstalledRelease
from nksmesh.domain.charts.lock import Lock
from nksmesh.domain.charts.releases import Release
from nksmesh.domain.common.events import Listener
from nksmesh.domain.kube.objects import Manifest, ObjectRef, Query
from nksmesh.domain.mesh.catalog import Catalog, Environment
from nksmesh.domain.mesh.holding import Holder
from nksmesh.domain.mesh.record import Record
from nksmesh.domain.plan.history import History


class Objects(Protocol):
    """A cluster's objects."""

    async def get(self, ref: ObjectRef, *, metadata_only: bool = False) -> dict[str, Any] | None:
        """Read one, or None."""

    async def get_all(
        self, refs: Iterable[ObjectRef], *, metadata_only: bool = False
    ) -> dict[ObjectRef, dict[str, Any] | None]:
        """Read several at once."""

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
    ) -> list[dict[str, Any]]:
        """List those of a kind, or no more than some of them."""

    async def apply(
        self, manifest: Manifest, ref: ObjectRef, *, dry_run: bool = False, force: bool = True, manager: str = ...
    ) -> dict[str, Any]:
        """Apply one server-side."""

    async def create(self, manifest: Manifest, ref: ObjectRef, *, dry_run: bool = False) -> dict[str, Any]:
        """Create one, or ask what would come of it."""

    async def merge(
        self, patch: Mapping[str, Any], ref: ObjectRef, *, dry_run: bool = False, manager: str = ...
    ) -> dict[str, Any]:
        """Merge a patch into one, or ask what would come of it."""

    async def delete(self, ref: ObjectRef, *, orphan: bool = False) -> bool:
        """Delete one, and leave what it owns alone where ``orphan`` is said; False where it was not there."""

    async def kinds(self) -> tuple[Sequence[tuple[str, str]], Sequence[str]]:
        """List every (apiVersion, kind) that can be listed inside a namespace, and the API versions that are silent."""

    async def log_tail(self, namespace: str, pod: str, container: str, *, lines: int) -> str:
        """Return a container's last lines."""


class Live(Protocol):
    """Lists kept current by watches."""

    @property
    def lost(self) -> bool:
        """Whether the API server does not answer at the moment."""

    async def follow(self, queries: Iterable[Query]) -> Sequence[Query]:
        """List, and keep current; return those that were not followed before."""

    async def unfollow(self, queries: Iterable[Query]) -> None:
        """Keep current no longer."""

    async def follow_from_now(self, query: Query) -> None:
        """Watch without the list."""

    def find(self, kind: str, namespace: str = "") -> list[Manifest]:
        """Return the followed objects of a kind."""

    def get(self, kind: str, name: str, namespace: str = "") -> Manifest | None:
        """Return one followed object."""

    def put(self, query: Query, manifest: Manifest) -> None:
        """Take in what a write returned."""

    @property
    def version(self) -> int:
        """Counts the changes."""

    async def changed(self, since: int, timeout: float | None = None) -> None:
        """Wait for a later version, or the timeout in seconds."""


class Records(Protocol):
    """What earlier runs resolved."""

    async def read_all(self) -> dict[str, Record]:
        """Return every record, by the control plane's namespace."""

    async def write(self, record: Record) -> None:
        """Keep a record."""

    async def delete(self, namespace: str) -> None:
        """Forget a mesh."""


class Histories(Protocol):
    """What earlier runs did."""

    async def read_all(self) -> dict[str, History]:
        """Return every history, by the control plane's namespace."""

    async def update(self, namespace: str, change: Callable[[History], History]) -> History:
        """Change a mesh's history."""

    async def delete(self, namespace: str) -> None:
        """Forget the runs of a mesh."""


class Storage(Protocol):
    """What Helm has stored."""

    @property
    def driver(self) -> str:
        """Helm's storage driver: ``secret`` or ``configmap``."""

    async def installed(
        self,
        releases: Iterable[Release] | None = None,
        *,
        namespace: str = "",
        unreadable: list[str] | None = None,
    ) -> dict[tuple[str, str], InstalledRelease]:
        """Return the newest Helm revision of releases, or of all (in a namespace), by (namespace, name)."""

    async def revisions(self, releases: Iterable[Release]) -> dict[tuple[str, str], tuple[int, str]]:
        """Return the newest Helm revision and status of releases, by (namespace, name)."""

    async def standing(self, releases: Iterable[Release]) -> dict[tuple[str, str], int]:
        """Return the Helm revision that stands of releases, by (namespace, name)."""

    async def at(self, wanted: Mapping[Release, int]) -> dict[Release, InstalledRelease]:
        """Return what Helm has stored of some Helm revisions; those it no longer has are left out."""

    async def elsewhere(self, releases: Iterable[Release]) -> dict[tuple[str, str], InstalledRelease]:
        """Return those of some releases whose records lie in another namespace."""

    async def under_other_driver(self, releases: Iterable[Release]) -> frozenset[tuple[str, str]]:
        """Name those of some releases that Helm keeps with its other driver."""

    async def forget(self, release: InstalledRelease) -> None:
        """Remove one Helm revision's record."""

    async def replace_manifest(self, release: InstalledRelease, manifest: str) -> None:
        """Change what Helm has stored as a Helm revision's manifest."""


class Lease(Protocol):
    """The right to write."""

    @property
    def holder(self) -> Holder | None:
        """This run, while it holds the mesh."""

    def held(self, command: str) -> AbstractAsyncContextManager[Holder | None]:
        """Hold the mesh for the time of a block."""


class Cluster(Protocol):
    """One cluster."""

    @property
    def objects(self) -> Objects:
        """Its objects."""

    @property
    def live(self) -> Live:
        """A view of it, kept current."""

    @property
    def lease(self) -> Lease:
        """The right to write to it."""

    @property
    def records(self) -> Records:
        """What earlier runs resolved."""

    @property
    def histories(self) -> Histories:
        """What earlier runs did."""

    @property
    def account(self) -> str:
        """The user that the kubeconfig names."""

    @property
    def storage(self) -> Storage:
        """What Helm has stored in it."""

    @property
    def context(self) -> str:
        """The kubeconfig's context."""

    @property
    def host(self) -> str:
        """The API server's host name."""

    async def version(self) -> str:
        """Ask for the Kubernetes version."""

    async def uid(self) -> str:
        """Return what identifies the cluster."""


class Helm(Protocol):
    """The Helm program."""

    async def render(
        self, release: Release, chart: Chart, values: Mapping[str, Any], *, kubernetes: str = "", upgrade: bool
    ) -> str:
        """Render a release's manifests."""

    def parse(self, manifests: str) -> tuple[Manifest, ...]:
        """Read rendered manifests."""

    def dump(self, manifest: Manifest) -> str:
        """Write a manifest as YAML."""

    async def install(self, release: Release, chart: Chart, values: Mapping[str, Any], *, timeout: float) -> None:
        """Install a release."""

    async def upgrade(self, release: Release, chart: Chart, values: Mapping[str, Any], *, timeout: float) -> None:
        """Upgrade a release."""

    async def rollback(self, release: Release, helm_revision: int, *, timeout: float) -> None:
        """Bring a release back to a Helm revision."""

    async def uninstall(self, release: Release, *, timeout: float) -> None:
        """Remove a release."""

    async def prove_same_cluster(self, uid: str) -> None:
        """Prove that Helm reaches the same cluster."""


class Charts(Protocol):
    """Where charts come from."""

    async def fetch(
        self, refs: Iterable[ChartRef], *, lock: Lock, locked: bool = False, listener: Listener = ...
    ) -> dict[ChartRef, Chart]:
        """Fetch, check and unpack charts, all at once."""

    def cached(self, ref: ChartRef, lock: Lock) -> bool:
        """Whether a fetch of this chart would need no network."""


class LockFile(Protocol):
    """charts.lock."""

    @property
    def path(self) -> Path:
        """The file."""

    def read(self) -> Lock:
        """What it says."""

    def write(self, lock: Lock) -> None:
        """Replace it."""


class MeshFiles(Protocol):
    """values/: nksmesh's own, with the user's folder over it."""

    @property
    def folder(self) -> str:
        """The user's folder; empty without one."""

    def catalog(self) -> Catalog:
        """Read the catalog."""

    def environment_names(self) -> tuple[str, ...]:
        """List the environments."""

    def environment(self, name: str) -> Environment:
        """Read an environment."""

    def write_starter(self, folder: Path) -> tuple[str, ...]:
        """Write a starter into a folder."""

    def write_environment(self, name: str, documents: Mapping[str, Mapping[str, Any]]) -> tuple[str, ...]:
        """Write an environment into the user's folder."""


class Processes(Protocol):
    """Processes of this machine."""

    def here(self, holder: Holder) -> bool:
        """Tell whether a holder ran on this machine."""

    def helms_of(self, holder: Holder) -> tuple[int, ...]:
        """Return the Helms that a run of this machine has at work."""

    async def wait_for_helm(self, processes: tuple[int, ...]) -> None:
        """Wait until processes have ended."""
