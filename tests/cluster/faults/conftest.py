"""One installed mesh for the tests of a module that leave it as they found it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from nksmesh.sandbox.failures import Failure
from nksmesh.sandbox.sandbox import Sandbox
from tests.cluster.faults.expectations import GATEWAY, assert_complete, wait_for_gateway
from tests.cluster.program import Program
from tests.cluster.reader import Reader, reader_of

_PODS = "/api/v1/namespaces/istio-system/pods"


@dataclass(frozen=True)
class Standing:
    """An installed mesh, whose gateway a test breaks and heals."""

    mesh: Program
    cluster: Reader
    sandbox: Sandbox

    def fail(self, failure: Failure, reason: str = "not-found") -> None:
        """Have the gateway's pods fail, and bring a new one."""
        asyncio.run(self.sandbox.fail(failure, selector=GATEWAY, reason=reason))
        for pod in self.cluster.pods(GATEWAY):
            self.cluster.delete(f"{_PODS}/{pod['metadata']['name']}")

    def mend_the_registry(self) -> None:
        """Let new pods have their images; those that wait out a back-off go on waiting, as the kubelet's do."""
        path = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations"
        for staged in self.cluster.items(path, labelSelector="nksmesh.io/sandbox=failure"):
            self.cluster.delete(f"{path}/{staged['metadata']['name']}")

    def heal(self) -> None:
        asyncio.run(self.sandbox.heal())


@pytest.fixture(scope="module")
def installed(
    module_sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory, example_charts: Path
) -> Iterator[Standing]:
    """Install a mesh into an empty cluster, for a module's tests."""
    folder = tmp_path_factory.mktemp("standing")
    mesh = Program(kubeconfig=module_sandbox.kubeconfig, folder=folder, charts=str(example_charts))
    mesh("install", "--region", "kr1")
    with reader_of(module_sandbox.kubeconfig) as cluster:
        yield Standing(mesh, cluster, module_sandbox)


@pytest.fixture
def standing(installed: Standing) -> Iterator[Standing]:
    """The module's mesh; healed and proved whole again by an ordinary run after each test."""
    yield installed
    installed.heal()
    wait_for_gateway(installed.cluster)
    installed.mesh("install")
    assert_complete(installed.cluster)
