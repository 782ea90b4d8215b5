"""Bookinfo from Istio's own samples on a data plane, and what a user sees of it."""

from __future__ import annotations

import http.client
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any

import yaml

from nksmesh.sandbox.builds import ISTIO
from nksmesh.sandbox.sandbox import Sandbox
from tests.cluster.program import Program
from tests.cluster.reader import Object, Reader, reader_of

NAMESPACE = "bookinfo"
SAMPLES = ISTIO.folder / "samples" / "bookinfo"
TICKER = "ticker"
"""An application beside Bookinfo, which sends frames over WebSockets."""

PATIENCE = 90.0
"""Seconds in which all of Bookinfo must answer: it takes 9 to 14 on two busy processors."""

WAITS = 300.0
"""Seconds after which a run of nksmesh is taken to hang: real proxies, under load, on two busy processors."""


@dataclass(frozen=True)
class Bookinfo:
    """Istio, and Bookinfo behind its gateway."""

    sandbox: Sandbox
    cluster: Reader
    mesh: Program

    def deploy(self) -> None:
        """Deploy it, and wait until its page is whole."""
        self.apply(*documents(SAMPLES / "platform/kube/bookinfo.yaml"))
        self.apply(*documents(SAMPLES / "networking/destination-rule-all.yaml"))
        self.apply(*documents(SAMPLES / "networking/bookinfo-gateway.yaml", port=80))
        self.until_whole()

    def until_whole(self) -> str:
        """Fetch the page until it has what each of the four services says; return it."""
        until = time.monotonic() + PATIENCE
        page = ""
        while time.monotonic() < until:
            page = self.page()
            if not missing_in(page):
                return page
            time.sleep(0.2)
        raise AssertionError(f"Bookinfo's page is not whole after {PATIENCE:.0f} s: {page[-2000:]}")

    def page(self) -> str:
        """Fetch the page through the gateway's address, or say why there is none."""
        try:
            connection = http.client.HTTPConnection(self.gateway, timeout=10)
            with closing(connection):
                connection.request("GET", "/productpage")
                answer = connection.getresponse()
                text = answer.read().decode()
        except (OSError, http.client.HTTPException, KeyError) as error:
            return repr(error)
        return text if answer.status == HTTPStatus.OK else f"status {answer.status}"

    @property
    def gateway(self) -> str:
        """Where on this machine the gateway's port 80 answers."""
        status = self.sandbox.status()
        relays = {r.address.partition(":")[2]: r.relay for r in status.data_plane.relays} if status.data_plane else {}
        return relays["80"]

    def apply(self, *objects: Object, namespace: str = NAMESPACE) -> None:
        """Apply objects, each in the namespace that it names or else in Bookinfo's."""
        for item in objects:
            self.cluster.apply(self._path(item, namespace), item, "tests")

    def remove(self, item: Object, namespace: str = NAMESPACE) -> None:
        self.cluster.delete(self._path(item, namespace))

    def _path(self, item: Object, namespace: str) -> str:
        api_version = item["apiVersion"]
        root = f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"
        resources = self.cluster.get(root)["resources"]
        found = next(r for r in resources if r["kind"] == item["kind"] and "/" not in r["name"])
        where = f"/namespaces/{item['metadata'].get('namespace', namespace)}" if found["namespaced"] else ""
        return f"{root}{where}/{found['name']}/{item['metadata']['name']}"

    def pod(self, app: str, namespace: str = NAMESPACE) -> str:
        """Name a pod of an application that is not ending."""
        return str(self.cluster.pods(f"app={app}", namespace)[0]["metadata"]["name"])


@contextmanager
def installed_istio(plane: Sandbox, folder: Path, charts: Path, version: str, *options: str) -> Iterator[Bookinfo]:
    """Install Istio in an empty cluster, with injection where Bookinfo is to be deployed.

    Args:
        folder: Where commands run.
        options: What install is told beside that.
    """
    mesh = Program(kubeconfig=plane.kubeconfig, folder=folder, charts=str(charts), waits=WAITS)
    mesh("install", "--version", version, "--hub", "registry.example/istio", "--yes", *options)
    with reader_of(plane.kubeconfig) as cluster:
        injected = {"metadata": {"name": NAMESPACE, "labels": {"istio-injection": "enabled"}}}
        cluster.post("/api/v1/namespaces", injected)
        yield Bookinfo(plane, cluster, mesh)


@contextmanager
def installed_bookinfo(plane: Sandbox, folder: Path, charts: Path, version: str, *options: str) -> Iterator[Bookinfo]:
    """Install Istio, and Bookinfo with sidecars behind a gateway, in an empty cluster."""
    with installed_istio(plane, folder, charts, version, *options) as installed:
        installed.deploy()
        yield installed


def missing_in(page: str) -> str:
    """Say what a page lacks; empty where it is whole."""
    if "Simple Bookstore App" not in page:
        return page[:80]
    if "William Shakespeare" not in page:
        return "details did not answer"
    return "" if "slapstick humour" in page else "reviews did not answer"


def ticker() -> Iterator[Object]:
    """Make the application of WebSockets behind Bookinfo's Gateway; without a sidecar, so that nothing restarts it."""
    labels = {"app": TICKER}
    container = {"name": TICKER, "image": "docker.io/curlimages/curl:8.16.0", "ports": [{"containerPort": 80}]}
    template = {
        "metadata": {"labels": {**labels, "sidecar.istio.io/inject": "false"}},
        "spec": {"containers": [container]},
    }
    route = {"match": [{"uri": {"exact": f"/{TICKER}"}}], "route": [{"destination": {"host": TICKER}}]}
    for api_version, kind, spec in (
        ("apps/v1", "Deployment", {"selector": {"matchLabels": labels}, "template": template}),
        ("v1", "Service", {"selector": labels, "ports": [{"name": "http", "port": 80}]}),
        (
            "networking.istio.io/v1",
            "VirtualService",
            {"hosts": ["*"], "gateways": ["bookinfo-gateway"], "http": [route]},
        ),
    ):
        yield {"apiVersion": api_version, "kind": kind, "metadata": {"name": TICKER}, "spec": spec}


def documents(path: Path, *, port: int | None = None) -> Iterator[Object]:
    """Read a sample; its Gateways get the port that the gateway's chart opens, where one is named."""
    for document in yaml.safe_load_all(path.read_text()):
        if document and document["kind"] == "Gateway" and port:
            document["spec"]["servers"][0]["port"]["number"] = port
        if document:
            yield document


def reviews_split(**weights: int) -> Object:
    """Make a VirtualService that splits reviews by weight."""
    routes: list[dict[str, Any]] = [
        {"destination": {"host": "reviews", "subset": subset}, "weight": weight} for subset, weight in weights.items()
    ]
    return {
        "apiVersion": "networking.istio.io/v1",
        "kind": "VirtualService",
        "metadata": {"name": "reviews"},
        "spec": {"hosts": ["reviews"], "http": [{"route": routes}]},
    }
