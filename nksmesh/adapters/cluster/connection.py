"""One cluster, everything this program does with it behind one name."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from datetime import datetime
from pathlib import Path
from typing import Self

from nksmesh.adapters.cluster.api import Api
from nksmesh.adapters.cluster.helm_storage import HelmStorage
from nksmesh.adapters.cluster.lease import Lease
from nksmesh.adapters.cluster.live import LiveView
from nksmesh.adapters.cluster.objects import Objects
from nksmesh.adapters.cluster.pods import Pods
from nksmesh.adapters.cluster.records import Histories, Records
from nksmesh.domain.common.errors import ClusterError
from nksmesh.domain.kube.objects import ObjectRef


class Cluster(AbstractAsyncContextManager["Cluster"]):
    """A connected cluster. Use as an asynchronous context manager.

    Every method raises ClusterError where the cluster cannot be reached, or refuses.

    Attributes:
        account: The user that the context names.
        pods: Its pods, seen from inside.
        live: A view of what is followed, kept current by watches.
        lease: The right to write to its mesh.
    """

    def __init__(self, api: Api) -> None:
        """Work over a connection; ``Cluster.connect`` makes one."""
        self._api = api
        self.context, self.account, self.host = api.context, api.account, api.host
        self.objects = Objects(api)
        self.pods = Pods(api)
        self.live = LiveView(api, self.objects)
        self.lease = Lease(self.objects)
        self.records = Records(self.objects)
        self.histories = Histories(self.objects)
        self.storage = HelmStorage(self.objects)

    @classmethod
    async def connect(cls, *, kubeconfig: Path | None, context: str) -> Self:
        """Prepare the connection that a kubeconfig's context describes; nothing is sent yet.

        Raises:
            ClusterError: The kubeconfig does not describe one.
        """
        return cls(await Api.connect(kubeconfig=kubeconfig, context=context))

    async def __aexit__(self, *_: object) -> None:
        """End the watches and close the connection."""
        await self.live.__aexit__()
        await self.objects.close()
        await self._api.__aexit__()

    @property
    def traffic(self) -> str:
        """How many requests were sent, and how many of them one after another."""
        return f"{self._api.requests} requests, {self._api.in_sequence} in sequence"

    def credential_ends(self) -> datetime | None:
        """Tell when the user's credential ends; None where it does not say."""
        return self._api.credential_ends()

    def certificate_ends(self, pem: str) -> datetime | None:
        """Tell when the first of some certificates ends; None where there is none."""
        from nksmesh.adapters.cluster.certificates import certificate_ends  # noqa: PLC0415 - a check's alone

        return certificate_ends(pem)

    async def version(self) -> str:
        """Ask for the Kubernetes version, such as ``v1.28.15``."""
        answer = await self._api.request("GET", "/version")
        if "gitVersion" not in answer:
            raise self._api.not_kubernetes(str(answer))
        return str(answer["gitVersion"])

    async def uid(self) -> str:
        """Return what identifies the cluster: the uid of its kube-system namespace."""
        found = await self.objects.get(ObjectRef("v1", "Namespace", "kube-system"), metadata_only=True)
        if found is None:
            raise ClusterError(f"{self._api.server} has no kube-system namespace", hint="Is it a Kubernetes cluster?")
        return str(found["metadata"]["uid"])
