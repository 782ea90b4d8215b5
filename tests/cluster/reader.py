"""What a cluster holds, read straight from its API server: the tests' own eyes, none of the program's."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import ssl
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import yaml

Object = dict[str, Any]

PASSING = {"Event", "ComponentStatus", "Endpoints", "EndpointSlice", "Node"}
"""Kinds that come, go and change without anybody installing anything."""

PATIENCE = 20.0
"""Seconds after which an API server that is not ready never will be."""

HEARTBEATS = {"kube-node-lease", "kube-system"}
"""Namespaces whose Leases are renewed all the time by Kubernetes itself."""

NAMESPACES = "/api/v1/namespaces"
FURNISHINGS = (("serviceaccounts", "default"), ("configmaps", "kube-root-ca.crt"))
"""What Kubernetes puts into each namespace: where it is listed, and its name."""


class Ref(NamedTuple):
    """Which object."""

    api_version: str
    kind: str
    namespace: str
    name: str


class Reader:
    """Reads a cluster's objects by their paths."""

    def __init__(self, http: httpx.Client) -> None:
        self._http = http

    def find(self, path: str, **query: str) -> Object | None:
        """Read what a path has, or None where there is nothing."""
        answer = self._http.get(path, params=query)
        return None if answer.status_code == httpx.codes.NOT_FOUND else dict(answer.raise_for_status().json())

    def get(self, path: str, **query: str) -> Object:
        """Read what a path has."""
        found = self.find(path, **query)
        assert found is not None, f"there is no {path}"
        return found

    def items(self, path: str, **query: str) -> list[Object]:
        """List what a path has."""
        return list(self.get(path, **query)["items"] or ())

    def until(self, path: str, holds: Callable[[list[Object]], bool], **query: str) -> None:
        """Watch what a path lists until something holds of it, for 20 seconds at most."""
        listed = self.get(path, **query)
        found = {one["metadata"]["uid"]: one for one in listed["items"] or ()}
        watch = {**query, "watch": "true", "timeoutSeconds": "20"}
        watch["resourceVersion"] = listed["metadata"]["resourceVersion"]
        if holds(list(found.values())):
            return
        with self._http.stream("GET", path, params=watch, timeout=30) as answer:
            for line in answer.raise_for_status().iter_lines():
                event = json.loads(line)
                found[event["object"]["metadata"]["uid"]] = event["object"]
                if event["type"] == "DELETED":
                    del found[event["object"]["metadata"]["uid"]]
                if holds(list(found.values())):
                    return
        raise AssertionError(f"{path} did not come to what was waited for: {sorted(found)}")

    def watch(self, path: str, version: str, *, seconds: int, **query: str) -> Iterator[Object]:
        """Yield what changes of what a path lists, for some seconds."""
        asked = {**query, "watch": "true", "timeoutSeconds": str(seconds), "resourceVersion": version}
        with self._http.stream("GET", path, params=asked, timeout=30) as answer:
            for line in answer.raise_for_status().iter_lines():
                yield json.loads(line)

    def post(self, path: str, body: Object) -> Object:
        """Make an object; a namespace has then all that Kubernetes puts into it."""
        made = dict(self._http.post(path, json=body).raise_for_status().json())
        if path == NAMESPACES:
            for kind, name in FURNISHINGS:
                self.until(f"{path}/{made['metadata']['name']}/{kind}", bool, fieldSelector=f"metadata.name={name}")
        return made

    def merge(self, path: str, patch: Object) -> Object:
        headers = {"Content-Type": "application/merge-patch+json"}
        return dict(self._http.patch(path, json=patch, headers=headers).raise_for_status().json())

    def apply(self, path: str, body: Object, manager: str) -> Object:
        """Apply server-side, as somebody else's field manager."""
        headers = {"Content-Type": "application/apply-patch+yaml"}
        query = {"fieldManager": manager, "force": "true"}
        return dict(self._http.patch(path, json=body, params=query, headers=headers).raise_for_status().json())

    def delete(self, path: str, **query: str) -> None:
        self._http.delete(path, params=query).raise_for_status()

    def deployment(self, name: str, namespace: str = "istio-system") -> Object:
        return self.get(f"/apis/apps/v1/namespaces/{namespace}/deployments/{name}")

    def service(self, name: str, namespace: str = "istio-system") -> Object:
        return self.get(f"/api/v1/namespaces/{namespace}/services/{name}")

    def pods(self, labels: str, namespace: str = "istio-system") -> list[Object]:
        """List the pods of a label selector that are not ending."""
        found = self.items(f"/api/v1/namespaces/{namespace}/pods", labelSelector=labels)
        return [pod for pod in found if not pod["metadata"].get("deletionTimestamp")]

    def images(self, labels: str, namespace: str = "istio-system") -> set[str]:
        """Name the images that the pods of a label selector run."""
        return {container["image"] for pod in self.pods(labels, namespace) for container in pod["spec"]["containers"]}

    def helm_revisions(self) -> dict[str, str]:
        """For each of Helm's stored revisions, its resourceVersion: any writing by Helm shows here."""
        found = self.items("/api/v1/secrets", labelSelector="owner=helm")
        return {one["metadata"]["name"]: one["metadata"]["resourceVersion"] for one in found}

    def helm_release(self, name: str, revision: int = 1, namespace: str = "istio-system") -> Object:
        """Read one of Helm's stored revisions."""
        secret = self.get(f"/api/v1/namespaces/{namespace}/secrets/sh.helm.release.v1.{name}.v{revision}")
        return unpacked(secret)

    def everything(self) -> dict[Ref, str]:
        """For each object in the cluster, a digest of what somebody wants of it: status and events are left out."""
        return {
            ref: hashlib.sha256(json.dumps(wanted(one), sort_keys=True).encode()).hexdigest()
            for ref, one in self.objects()
        }

    def objects(self) -> Iterator[tuple[Ref, Object]]:
        """Go through the objects in the cluster, without what comes and goes by itself."""
        for api_version, kind, path in self._kinds():
            for one in self.items(path) if kind not in PASSING else ():
                metadata = one["metadata"]
                if kind == "Lease" and metadata["namespace"] in HEARTBEATS and "nksmesh" not in metadata["name"]:
                    continue
                yield Ref(api_version, kind, metadata.get("namespace", ""), metadata["name"]), one

    def _kinds(self) -> Iterator[tuple[str, str, str]]:
        groups = [group["preferredVersion"]["groupVersion"] for group in self.get("/apis")["groups"]]
        for api_version in ("v1", *groups):
            root = f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"
            for resource in self.get(root)["resources"]:
                if "/" not in resource["name"] and "list" in resource["verbs"]:
                    yield api_version, resource["kind"], f"{root}/{resource['name']}"


def unpacked(secret: Object) -> Object:
    """Read what a Secret of Helm's has of a release."""
    packed = base64.b64decode(base64.b64decode(secret["data"]["release"]))
    return dict(json.loads(gzip.decompress(packed)))


def packed(stored: Object) -> str:
    """Write a release as a Secret of Helm's has it."""
    return base64.b64encode(base64.b64encode(gzip.compress(json.dumps(stored).encode()))).decode()


def wanted(item: Object) -> Object:
    """Leave out what controllers write: status, bookkeeping, and istiod's own fields in webhook configurations."""
    metadata = {key: one for key, one in item["metadata"].items() if key not in {"managedFields", "resourceVersion"}}
    # a role that is aggregated has the rules of others, put together after them
    left_out = {"status", "rules"} if "aggregationRule" in item else {"status"}
    shown = {**{key: one for key, one in item.items() if key not in left_out}, "metadata": metadata}
    if item["metadata"].get("labels", {}).get("istio.io/rev") and "webhooks" in item:
        metadata.pop("generation")
        shown["webhooks"] = [
            {**{key: one for key, one in hook.items() if key != "failurePolicy"}, "clientConfig": {}}
            for hook in item["webhooks"]
        ]
    return shown


@contextmanager
def reader_of(kubeconfig: Path) -> Iterator[Reader]:
    """Open a reader of the cluster that a sandbox's kubeconfig names."""
    with client_of(kubeconfig) as http:
        yield Reader(http)


def client_of(kubeconfig: Path) -> httpx.Client:
    """Make a client of the API server that a sandbox's kubeconfig names, with its user's rights."""
    document = yaml.safe_load(kubeconfig.read_text())
    cluster, user = document["clusters"][0]["cluster"], document["users"][0]["user"]
    context = ssl.create_default_context(cadata=base64.b64decode(cluster["certificate-authority-data"]).decode())
    with tempfile.TemporaryDirectory() as folder:
        pair = Path(folder) / "pair.pem"
        pair.touch(mode=0o600)
        pair.write_bytes(base64.b64decode(user["client-certificate-data"]) + base64.b64decode(user["client-key-data"]))
        context.load_cert_chain(pair)
    return httpx.Client(base_url=cluster["server"], transport=_Patient(verify=context), trust_env=False, timeout=20)


class _Patient(httpx.HTTPTransport):
    """Asks again where an API server is not ready to list a kind: 1.34 says 429 of one that has just come or goes."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request, and again while the answer is 429."""
        until = time.monotonic() + PATIENCE
        while True:
            answer = super().handle_request(request)
            if answer.status_code != httpx.codes.TOO_MANY_REQUESTS or time.monotonic() > until:
                return answer
            answer.close()
            time.sleep(0.1)
