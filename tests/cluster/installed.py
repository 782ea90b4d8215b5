"""A mesh that is installed once for the tests of a module."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from nksmesh.sandbox.failures import Failure
from nksmesh.sandbox.sandbox import Sandbox
from tests.cluster.faults.expectations import GATEWAY
from tests.cluster.program import Program
from tests.cluster.reader import Reader, reader_of

_PODS = "/api/v1/namespaces/istio-system/pods"


@dataclass(frozen=True)
class InstalledMesh:
    """An installed mesh, whose gateway a test may break and heal."""

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


@contextmanager
def installed_in(sandbox: Sandbox, folder: Path, charts: Path, *options: str) -> Iterator[InstalledMesh]:
    """Install a mesh into a sandbox: ``install`` with these options."""
    mesh = Program(kubeconfig=sandbox.kubeconfig, folder=folder, charts=str(charts))
    mesh("install", *options)
    with reader_of(sandbox.kubeconfig) as cluster:
        yield InstalledMesh(mesh, cluster, sandbox)
