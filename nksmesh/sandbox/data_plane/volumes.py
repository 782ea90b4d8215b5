"""The files of a container: its volumes, as a kubelet writes them, and what istiod needs beside."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from nksmesh.adapters.cluster.api import Api
from nksmesh.adapters.files.private import write_private
from nksmesh.domain.kube.objects import Manifest
from nksmesh.sandbox.control_plane import SERVICE_ADDRESS
from nksmesh.sandbox.data_plane.processes import KUBECONFIG, field_of
from nksmesh.sandbox.data_plane.programs import is_istiod
from nksmesh.sandbox.documents import mapping_from_yaml, to_yaml

ConfigMaps = Callable[[str, str], Manifest | None]
"""Finds a ConfigMap by namespace and name."""

_MESH_FOLDER: Final = "etc/istio/config"
_ACCOUNT_FOLDER: Final = "var/run/secrets/kubernetes.io/serviceaccount"
_TOKEN_SECONDS: Final = 24 * 3600
_TOKEN_KEPT: Final = 0.8
"""The part of a token's life after which a kubelet asks for another one."""


class MissingVolumeError(Exception):
    """An object that a volume is made of is not there yet."""


class ContainerFiles:
    """The folder of a container: what it mounts is at the same path there, without the first slash.

    Args:
        folder: Its root folder, in which its process starts: Istio's programs name their files relatively.
    """

    def __init__(self, api: Api, config_maps: ConfigMaps, folder: Path) -> None:
        self._api = api
        self._config_maps = config_maps
        self.folder = folder
        self._tokens: dict[Path, float] = {}

    async def write(self, pod: Manifest, container: Manifest) -> None:
        """Write what has changed.

        Raises:
            MissingVolumeError: An object that a volume is made of is not there yet.
            ClusterError: The API server does not answer.
        """
        volumes = {volume["name"]: volume for volume in pod["spec"].get("volumes") or ()}
        for mount in container.get("volumeMounts") or ():
            path = self.folder / str(mount["mountPath"]).strip("/")
            if (volume := volumes.get(mount["name"])) and not mount.get("subPath"):
                path.mkdir(parents=True, exist_ok=True)
                await self._write_volume(path, volume, pod)
        if is_istiod(container):
            self._write_istiod(pod)

    async def _write_volume(self, path: Path, volume: Mapping[str, Any], pod: Manifest) -> None:
        namespace = pod["metadata"]["namespace"]
        for source in (volume.get("projected") or {}).get("sources") or (volume,):
            if token := source.get("serviceAccountToken"):
                await self._write_token(path / token["path"], pod, token)
            if config := source.get("configMap"):
                self._write_config_map(path, namespace, config)
            if secret := source.get("secret"):
                await self._write_secret(path, namespace, secret)
            for item in (source.get("downwardAPI") or {}).get("items") or ():
                if field := (item.get("fieldRef") or {}).get("fieldPath"):
                    _write(path / item["path"], field_of(pod, field))

    async def _write_token(self, path: Path, pod: Manifest, wanted: Mapping[str, Any]) -> None:
        if self._tokens.get(path, 0) > time.time():
            return
        metadata = pod["metadata"]
        seconds = int(wanted.get("expirationSeconds") or _TOKEN_SECONDS)
        spec: dict[str, Any] = {
            "expirationSeconds": seconds,
            "boundObjectRef": {"kind": "Pod", "apiVersion": "v1", "name": metadata["name"], "uid": metadata["uid"]},
        }
        if wanted.get("audience"):
            spec["audiences"] = [wanted["audience"]]
        account = pod["spec"].get("serviceAccountName") or "default"
        answer = await self._api.request(
            "POST",
            f"/api/v1/namespaces/{metadata['namespace']}/serviceaccounts/{account}/token",
            body={"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec},
        )
        _write(path, answer["status"]["token"])
        self._tokens[path] = time.time() + seconds * _TOKEN_KEPT

    def _write_config_map(self, path: Path, namespace: str, source: Mapping[str, Any]) -> None:
        found = self._config_maps(namespace, source["name"])
        if found is None:
            if source.get("optional"):
                return
            raise MissingVolumeError(f"ConfigMap {namespace}/{source['name']} is not there")
        _write_items(path, {key: text.encode() for key, text in (found.get("data") or {}).items()}, source)

    async def _write_secret(self, path: Path, namespace: str, source: Mapping[str, Any]) -> None:
        name = source.get("secretName") or source.get("name")
        found = await self._api.get(f"/api/v1/namespaces/{namespace}/secrets/{name}")
        if found is None:
            if source.get("optional"):
                return
            raise MissingVolumeError(f"Secret {namespace}/{name} is not there")
        data = {key: base64.b64decode(text) for key, text in (found.get("data") or {}).items()}
        _write_items(path, data, source)

    def _write_istiod(self, pod: Manifest) -> None:
        """Write what the real istiod is given beside its volumes: its way to the API server, and the mesh's settings.

        The settings are those of its ConfigMap without metrics, which a stock Envoy cannot make. The ConfigMap itself
        stays as it is.
        """
        account = self.folder / _ACCOUNT_FOLDER
        name = "sandbox"
        _write(
            self.folder / KUBECONFIG,
            to_yaml(
                [
                    {
                        "apiVersion": "v1",
                        "kind": "Config",
                        "clusters": [
                            {
                                "name": name,
                                "cluster": {
                                    "server": f"https://{SERVICE_ADDRESS}",
                                    "certificate-authority": str(account / "ca.crt"),
                                },
                            }
                        ],
                        "users": [{"name": name, "user": {"tokenFile": str(account / "token")}}],
                        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
                        "current-context": name,
                    }
                ]
            ),
        )
        revision = (pod["metadata"].get("labels") or {}).get("istio.io/rev") or "default"
        suffix = "" if revision == "default" else f"-{revision}"
        config = self._config_maps(pod["metadata"]["namespace"], f"istio{suffix}")
        if config is None:
            raise MissingVolumeError(f"ConfigMap {pod['metadata']['namespace']}/istio{suffix} is not there")
        data = config.get("data") or {}
        mesh = mapping_from_yaml(data.get("mesh", ""))
        mesh["defaultProviders"] = {**(mesh.get("defaultProviders") or {}), "metrics": []}
        folder = self.folder / _MESH_FOLDER
        folder.mkdir(parents=True, exist_ok=True)
        _write(folder / "mesh", to_yaml([mesh]))
        _write(folder / "meshNetworks", data.get("meshNetworks", ""))


def _write_items(path: Path, data: Mapping[str, bytes], source: Mapping[str, Any]) -> None:
    items = {item["key"]: item["path"] for item in source.get("items") or ()} or {key: key for key in data}
    for key, name in items.items():
        if key in data:
            _write(path / name, data[key])


def _write(path: Path, content: str | bytes) -> None:
    """Write a file unless it is so already: programs watch their files."""
    raw = content.encode() if isinstance(content, str) else content
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.is_file() or path.read_bytes() != raw:
        write_private(path, raw)
