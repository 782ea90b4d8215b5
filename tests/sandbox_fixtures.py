"""A ready sandbox for tests: one a worker, emptied between tests that ask for a clean one (a plugin of every test)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from nksmesh.domain.common.events import Event, EventKind, Listener, unheard
from nksmesh.sandbox.layout import HOME_VARIABLE
from nksmesh.sandbox.releases import OLDEST, Kubernetes
from nksmesh.sandbox.results import State
from nksmesh.sandbox.sandbox import Sandbox
from tests.emptying import EmptyCluster, NotEmptyError
from tests.orphans import none_left

COLLECT_LATE = {"GOGC": "off", "GOMEMLIMIT": "1536MiB"}
"""What Go's programs are told: an API server takes a seventh less processor time, and memory is there."""


@pytest.fixture(scope="session")
def sandbox_homes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Keep the sandboxes of this test run apart from the user's, and let none outlive it."""
    homes = tmp_path_factory.mktemp("sandboxes")
    with pytest.MonkeyPatch.context() as patch, none_left(homes):
        patch.setenv(HOME_VARIABLE, str(homes))
        for name, text in COLLECT_LATE.items():
            patch.setenv(name, text)
        yield homes


class Clusters:
    """The sandbox of one worker, of one Kubernetes at a time, or with a data plane.

    A control plane that rests takes 5 % of a processor; to bring one up takes as much as two minutes of that. Proxies
    take processor time when nobody asks for anything: a data plane goes when another sandbox is asked for.
    """

    def __init__(self, worker: str) -> None:
        self._worker = worker
        self._up: Sandbox | None = None
        self._empty: EmptyCluster | None = None

    def of(self, node: pytest.Item | pytest.Collector) -> tuple[Sandbox, EmptyCluster]:
        """Give the sandbox that a test asks for, and what is known of how its cluster was before any test."""
        marker = node.get_closest_marker("kubernetes")
        kubernetes = Kubernetes(marker.args[0]) if marker else OLDEST
        sandbox = self._sandbox(
            kubernetes.replace(".", "-"), kubernetes=kubernetes, with_registry=kubernetes is not OLDEST
        )
        self._empty = self._empty or EmptyCluster(sandbox)
        return sandbox, self._empty

    def with_data_plane(self) -> Sandbox:
        """Give the sandbox with a data plane, with an empty cluster."""
        before, warnings = self._up, list[str]()

        def hear(event: Event) -> None:
            if event.kind is EventKind.WARNING:
                warnings.append(event.message)

        sandbox = self._sandbox("plane", hear, kubernetes=Kubernetes.V1_34, with_data_plane=True)
        if warnings:
            self.close()
            pytest.skip("; ".join(warnings))
        if sandbox is before:
            asyncio.run(sandbox.reset())
        return sandbox

    def _sandbox(self, name: str, listener: Listener = unheard, **options: Any) -> Sandbox:
        """Give the sandbox of a name, which alone is up."""
        sandbox = Sandbox(f"test-{self._worker}-{name}")
        if self._up is not None and self._up.layout.name == sandbox.layout.name:
            return self._up
        self.close()
        self._up = sandbox
        try:
            asyncio.run(sandbox.up(listener, **options))
        except BaseException:
            self.close()
            raise
        return sandbox

    def close(self) -> None:
        """Delete what is up."""
        sandbox, empty, self._up, self._empty = self._up, self._empty, None, None
        if empty is not None:
            empty.close()
        if sandbox is not None:
            asyncio.run(sandbox.delete())


@pytest.fixture(scope="session")
def sandboxes(sandbox_homes: Path, request: pytest.FixtureRequest) -> Iterator[Clusters]:
    """Give what brings up this worker's sandbox."""
    assert sandbox_homes.is_dir()
    with closing(Clusters(getattr(request.config, "workerinput", {}).get("workerid", "main"))) as clusters:
        yield clusters


@pytest.fixture
def shared_sandbox(sandboxes: Clusters, request: pytest.FixtureRequest) -> Sandbox:
    """Give this worker's sandbox; its cluster is as the last test left it, and every part runs.

    A test that stops the API server of a cluster that has just come up takes the controller manager along: it ends
    for good where the API server refuses it while its roles are not there yet.
    """
    shared, _ = sandboxes.of(request.node)
    if shared.status().state is not State.RUNNING:
        asyncio.run(shared.up())
    return shared


@pytest.fixture
def sandbox(sandboxes: Clusters, request: pytest.FixtureRequest) -> Sandbox:
    """Give a test an empty cluster, up and ready, with ``.kubeconfig`` and ``.context``.

    It is of the oldest Kubernetes, or of the one that the test's marker ``kubernetes`` names; that one has a registry.
    """
    return _emptied(*sandboxes.of(request.node))


@pytest.fixture(scope="module")
def module_sandbox(sandboxes: Clusters, request: pytest.FixtureRequest) -> Sandbox:
    """Give a module's tests one cluster, empty when the first of them begins."""
    return _emptied(*sandboxes.of(request.node))


def _emptied(shared: Sandbox, empty: EmptyCluster) -> Sandbox:
    try:
        empty.restore()
    except NotEmptyError:
        asyncio.run(shared.reset())
    return shared
