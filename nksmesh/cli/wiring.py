"""Where ports meet adapters: the only module of the command line that knows both."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Collection, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from nksmesh.domain.common.errors import ConfigError
from nksmesh.domain.common.paths import at_home

if TYPE_CHECKING:
    from concurrent.futures import Future

    from nksmesh.adapters.bundles.folder import Values
    from nksmesh.adapters.bundles.tar import Bundle
    from nksmesh.adapters.charts.lockfile import LockFile
    from nksmesh.adapters.charts.store import ChartStore
    from nksmesh.adapters.cluster.connection import Cluster
    from nksmesh.adapters.files.mesh_files import MeshFiles
    from nksmesh.adapters.helm.releases import Helm
    from nksmesh.adapters.istioctl.cache import IstioctlCache
    from nksmesh.adapters.istioctl.program import IstioctlProgram
    from nksmesh.adapters.istioctl.releases import IstioReleases
    from nksmesh.adapters.pages import Pages
    from nksmesh.adapters.registry.credentials import StoredLogins
    from nksmesh.adapters.registry.registries import Registries
    from nksmesh.cli.options import Shell
    from nksmesh.cli.targets import Target
    from nksmesh.domain.bundles.contents import BundleContents
    from nksmesh.domain.common.events import Listener
    from nksmesh.domain.common.findings import Finding
    from nksmesh.domain.istioctl.archive import FetchedIstioctl
    from nksmesh.domain.kube.objects import Manifest
    from nksmesh.domain.samples.object_set import ObjectSet
    from nksmesh.engine.ports import Bundles, LocalPorts
    from nksmesh.engine.runtime import Runtime


@dataclass(frozen=True, kw_only=True)
class Files:
    """What is read from disk.

    Attributes:
        mesh: values/, the user's over the packaged one.
        folder: The user's folder, or None without one.
        lock: charts.lock, the user's or the packaged one.
    """

    mesh: MeshFiles
    folder: Path | None
    lock: LockFile


@dataclass(frozen=True, kw_only=True)
class RegistryAccess:
    """How a command asks image registries.

    Attributes:
        config: Docker's config.json with this machine's logins; None for the usual one.
        plain_http: The registries that speak HTTP, beside those on this machine.
    """

    config: Path | None = None
    plain_http: Collection[str] | None = None
    _begun: list[tuple[str, Future[Registries]]] = field(default_factory=list, init=False, compare=False, repr=False)

    def begin(self, hub: str) -> None:
        """Begin to open the registries in a thread: imports and certificates take 0.2 s, while Helm renders."""
        from concurrent.futures import ThreadPoolExecutor

        if not self._begun:
            pool = ThreadPoolExecutor(1)
            self._begun.append((hub, pool.submit(self._opened, hub)))
            pool.shutdown(wait=False)

    def open(self, hub: str) -> Registries:
        """Open the registries, or take those that were begun with.

        Args:
            hub: The registry path that the environment's login is for where it names no host.

        Raises:
            ConfigError: A certificate bundle or a proxy of the environment is not one.
        """
        begun = self._begun.pop() if self._begun else None
        return begun[1].result() if begun and begun[0] == hub else self._opened(hub)

    def _opened(self, hub: str) -> Registries:
        from concurrent.futures import ThreadPoolExecutor

        from nksmesh.adapters.trust import load_trust

        with ThreadPoolExecutor(1) as pool:
            trust = pool.submit(load_trust, os.environ)
            from nksmesh.adapters.registry.credentials import Credentials
            from nksmesh.adapters.registry.registries import Registries

            credentials = Credentials(os.environ, config=self.config, hub_host=hub.partition("/")[0])
            return Registries(os.environ, credentials, trust=trust.result(), plain_http=tuple(self.plain_http or ()))


def pages(context: str) -> Pages:
    """Make what asks web servers.

    Args:
        context: The kubeconfig's context: a sandbox's external addresses are asked on this machine, where they answer.
    """
    from nksmesh.adapters.pages import Pages
    from nksmesh.sandbox.data_plane.state import read_data_plane
    from nksmesh.sandbox.layout import layout_of, sandbox_names

    layouts = [layout_of(name) for name in sandbox_names()]
    relays = [relay for layout in layouts if layout.context == context for relay in read_data_plane(layout).relays]
    return Pages(os.environ, relays={relay.address: relay.relay for relay in relays})


def login_in_environment() -> bool:
    """Tell whether the environment has a login for a registry."""
    from nksmesh.adapters.registry.credentials import USERNAME

    return bool(os.environ.get(USERNAME))


def stored_logins(config: Path | None) -> StoredLogins:
    """Make what changes the logins that this machine keeps.

    Args:
        config: Docker's config.json; None for the usual one.
    """
    from nksmesh.adapters.registry.credentials import StoredLogins

    return StoredLogins(os.environ, config=config)


def files(directory: Path | None) -> Files:
    """Find values/ and charts.lock: of ``--dir``, of the current folder if it is one of ours, or the packaged ones.

    Raises:
        ConfigError: The folder given is none of ours.
    """
    from nksmesh.adapters.charts.lockfile import LockFile
    from nksmesh.adapters.files.folders import LOCK, ValuesFolders, packaged, user_folder
    from nksmesh.adapters.files.mesh_files import MeshFiles

    user = user_folder(directory, Path.cwd())
    lock = user / LOCK if user else packaged(LOCK)
    mesh = MeshFiles(folders=ValuesFolders(user=user))
    return Files(mesh=mesh, lock=LockFile(lock), folder=user)


def chart_source(text: str) -> str:
    """Return a source of charts that means the same from every folder; empty stays empty."""
    from nksmesh.domain.charts.chart import placed_source

    return placed_source(text, Path.cwd())


def manifests(paths: Iterable[Path]) -> tuple[Manifest, ...]:
    """Read the objects of YAML files and of folders with such.

    Raises:
        ConfigError: As ``read_manifests`` says.
    """
    from nksmesh.adapters.files.manifests import read_manifests

    return tuple(manifest for path in paths for manifest in read_manifests(at_home(str(path))))


def sample(folder: Path | None, wanted: ObjectSet) -> tuple[Manifest, ...]:
    """Read the objects of one of Istio's samples or add-ons.

    Args:
        folder: The folder ``samples`` of an Istio release; None for the one that was fetched last.

    Raises:
        ConfigError: None was fetched, or as ``read_sample`` says.
        IstioctlError: Istio publishes none for this machine.
    """
    from nksmesh.adapters.files.manifests import read_sample

    fetched = None if folder else fetched_istioctl()
    if folder is None and (fetched is None or not fetched.samples.is_dir()):
        raise ConfigError(
            "Istio's samples were not fetched",
            hint="Run nksmesh istioctl fetch, or pass the folder samples of an Istio release with --samples.",
        )
    return read_sample(at_home(str(folder)) if folder or fetched is None else fetched.samples, wanted)


def chart_store(shell: Shell, *, offline: bool = False) -> ChartStore:
    """Make the store that charts are fetched into; offline, no repository is asked."""
    from nksmesh.adapters.charts.store import ChartStore

    return ChartStore(helm=shell.helm, offline=offline)


def bundles() -> Bundles:
    """Return what writes bundles."""
    from nksmesh.adapters.bundles import tar

    return tar


def bundle(path: Path) -> Bundle:
    """Open a bundle; use as a context manager.

    Raises:
        ConfigError: The file cannot be read.
        BundleError: It is no bundle.
    """
    from nksmesh.adapters.bundles.tar import open_bundle

    return open_bundle(path)


def values_of(files: Files, environment: str) -> Values:
    """Read the values that go into a bundle.

    Raises:
        ConfigError: One cannot be read.
    """
    from nksmesh.adapters.bundles.folder import values_for

    return values_for(files.folder, environment)


@dataclass(frozen=True, kw_only=True)
class UnpackedBundle:
    """A bundle whose charts are in the cache, and whose values are a folder there.

    Attributes:
        findings: What its user should know of it.
    """

    contents: BundleContents
    files: Files
    findings: tuple[Finding, ...]


def unpacked_bundle(shell: Shell, path: Path, sha256: str, outside: LockFile) -> UnpackedBundle:
    """Take charts and values out of a bundle that somebody outside of it vouches for.

    Args:
        sha256: What the whole file must be; empty where nobody said it.
        outside: The charts.lock that did not come with it.

    Raises:
        ConfigError: It cannot be read, or the cache cannot be written.
        ChartError: It is damaged, or another file, or has other charts than the lock pins.
    """
    from nksmesh.adapters.bundles.folder import unpack
    from nksmesh.adapters.bundles.tar import open_bundle
    from nksmesh.adapters.charts.cache import cache_folder
    from nksmesh.engine.bundles import admit

    with open_bundle(path) as bundle:
        findings = admit(bundle, outside.read(), chart_store(shell), sha256=sha256)
        folder = unpack(bundle, cache_folder(os.environ) / "bundles")
    return UnpackedBundle(contents=bundle.contents, files=files(folder), findings=findings)


def istioctl_cache() -> IstioctlCache:
    """Make the cache that istioctl is fetched into."""
    from nksmesh.adapters.charts.cache import cache_folder
    from nksmesh.adapters.istioctl.cache import IstioctlCache

    return IstioctlCache(cache_folder(os.environ))


def istioctl_platform() -> str:
    """Name the platform of this machine, as Istio's archives do.

    Raises:
        IstioctlError: Istio publishes no archive for it.
    """
    from nksmesh.adapters.istioctl.program import this_platform

    return this_platform()


def istio_releases(url: str) -> IstioReleases:
    """Make what reads Istio's releases; use as an asynchronous context manager.

    Raises:
        ConfigError: A certificate bundle or a proxy of the environment is not one.
    """
    from nksmesh.adapters.istioctl.releases import IstioReleases

    return IstioReleases(os.environ, url)


def fetched_istioctl(version: str = "") -> FetchedIstioctl | None:
    """Find the istioctl that was fetched for this machine, and Istio's samples; None where there is none.

    Args:
        version: Its Istio version; empty for the one that was fetched last.

    Raises:
        IstioctlError: Istio publishes none for this machine.
    """
    return istioctl_cache().find(istioctl_platform(), version)


def istioctl(fetched: FetchedIstioctl, where: Target) -> IstioctlProgram:
    """Make an istioctl that works on a cluster."""
    from nksmesh.adapters.istioctl.program import IstioctlProgram

    return IstioctlProgram(
        fetched.program, kubeconfig=where.kubeconfig, context=where.context, namespace=where.namespace
    )


def offline_helm(shell: Shell) -> Helm:
    """Make a Helm that renders and has no cluster."""
    from nksmesh.adapters.charts.cache import cache_folder
    from nksmesh.adapters.helm.releases import Helm

    return Helm(shell.helm, kubeconfig=None, context="", cache=cache_folder(os.environ))


@asynccontextmanager
async def cluster(where: Target) -> AsyncIterator[Cluster]:
    """Connect to the cluster alone.

    Raises:
        ClusterError: The kubeconfig does not describe a cluster.
    """
    from nksmesh.adapters.cluster.connection import Cluster

    async with await Cluster.connect(kubeconfig=where.kubeconfig, context=where.context) as connected:
        yield connected


def local_ports() -> LocalPorts:
    """Return what listens on ports of this machine."""
    from nksmesh.adapters import local_ports as ports

    return ports


async def open_page(url: str) -> bool:
    """Open a page in the desktop's browser; False where there is none."""
    from nksmesh.adapters.browser import open_page as opened

    return await opened(url)


@asynccontextmanager
async def runtime(shell: Shell, where: Target, listener: Listener) -> AsyncIterator[Runtime]:
    """Connect to the cluster and find what works on it.

    Raises:
        ClusterError: The kubeconfig does not describe a cluster.
    """
    from nksmesh.adapters.helm.program import finding_helm

    async with finding_helm(shell.helm) as found:  # before the imports below: they take longer than its answer
        from nksmesh.adapters import processes
        from nksmesh.adapters.charts.cache import cache_folder
        from nksmesh.adapters.cluster.connection import Cluster
        from nksmesh.adapters.helm.releases import Helm
        from nksmesh.domain.common.events import Event, EventKind
        from nksmesh.engine.runtime import Runtime
        from nksmesh.engine.waiting import WaitOptions

        async with await Cluster.connect(kubeconfig=where.kubeconfig, context=where.context) as cluster:
            # Helm is told the context by name: whoever changes the current one meanwhile does not turn Helm elsewhere.
            helm = Helm(
                shell.helm,
                kubeconfig=where.kubeconfig,
                context=cluster.context,
                watcher=cluster.lease.note_helm,
                found=found,
                cache=cache_folder(os.environ),
            )
            runtime = Runtime(
                cluster=cluster,
                helm=helm,
                charts=chart_store(shell, offline=where.offline),
                processes=processes,
                listener=listener,
                waits=where.waits or WaitOptions(),
                registries=where.registries,
            )
            try:
                yield runtime
            finally:
                if shell.report.verbose:
                    traffic = f"{cluster.traffic}; {helm.processes} Helm processes"
                    listener(Event(step="API server", kind=EventKind.NOTE, message=traffic))
