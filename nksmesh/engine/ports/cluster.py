"""One cluster: the port."""

from __future__ import annotations

from typing import Protocol

from nksmesh.engine.ports.objects import Live, Objects
from nksmesh.engine.ports.runs import Histories, Lease, Records
from nksmesh.engine.ports.storage import Storage


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
