"""Helm's records of its releases, read from the cluster without running Helm.

Helm keeps each revision of a release in a Secret ``sh.helm.release.v1.NAME.vN`` (or a ConfigMap, with
HELM_DRIVER=configmap): base64 of gzip of JSON, and labels that say name, status and version. pyhelm3's list and history
are a process for each question, and know no values and no manifest: one read of the API server has it all.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import gzip
import itertools
import json
import os
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from nksmesh.adapters.cluster.objects import Objects
from nksmesh.domain.charts.installed import InstalledRelease
from nksmesh.domain.charts.releases import Release
from nksmesh.domain.common.errors import ClusterError, ConfigError
from nksmesh.domain.kube.objects import ObjectRef

_CURRENT: Final = "owner=helm,status!=superseded"
_UNINSTALLED: Final = "uninstalled"
"""The status that ``helm uninstall --keep-history`` leaves: such a release is not there, whatever came before."""

_BROKEN: Final = (KeyError, ValueError, OSError, TypeError, AttributeError, EOFError, zlib.error)
"""What reading a record raises that is not what it should be."""


class HelmStorage:
    """The releases that Helm has recorded in a cluster.

    Every method raises ClusterError where the cluster cannot be reached, or refuses.
    """

    def __init__(self, objects: Objects) -> None:
        """Read over a connection, with Helm's own storage driver (HELM_DRIVER).

        Raises:
            ConfigError: HELM_DRIVER names a storage that is not in the cluster.
        """
        self._objects = objects
        driver = os.environ.get("HELM_DRIVER", "") or "secret"
        if driver not in {"secret", "secrets", "configmap", "configmaps"}:
            raise ConfigError(
                f"HELM_DRIVER is {driver}: nksmesh can only read Helm's records that are in the cluster",
                hint="Unset HELM_DRIVER, or set it to secret or configmap.",
            )
        self._kind = "Secret" if driver.startswith("secret") else "ConfigMap"

    @property
    def driver(self) -> str:
        """Helm's storage driver: ``secret`` or ``configmap``."""
        return self._kind.lower()

    async def installed(
        self,
        releases: Iterable[Release] | None = None,
        *,
        namespace: str = "",
        unreadable: list[str] | None = None,
    ) -> dict[tuple[str, str], InstalledRelease]:
        """Return the newest Helm revision of releases, by (namespace, name).

        Args:
            releases: Which ones; None for every release there is.
            namespace: With None: only those of this namespace.
            unreadable: Takes in where a record lies that cannot be read; without it that is an error.

        Raises:
            ClusterError: The cluster cannot be reached or refuses, or a record cannot be read.
        """
        deployed: dict[tuple[str, str], dict[str, Any]] = {}
        if releases is None:
            # A cluster may have hundreds of revisions: only the newest of each release is worth its bytes.
            listed = _newest(await self._list_all(namespace))
            metas = {key: record["metadata"] for key, record in listed.items()}
            refs = {key: self._ref(meta["namespace"], meta["name"]) for key, meta in metas.items()}
            whole = await self._objects.get_all(refs.values())
            newest = {key: record for key, ref in refs.items() if (record := whole[ref]) is not None}
        else:
            records = await self._list(releases)
            newest = _newest(records)
            deployed = _newest(filter(_deployed, records))
        found = {}
        for key, record in newest.items():
            try:
                found[key] = self._decode(record)
                if not _deployed(record) and key in deployed:
                    found[key] = replace(found[key], last_deployed=self._decode(deployed[key]).manifest)
            except _UnreadableError as exc:
                if unreadable is None:
                    raise
                unreadable.append(exc.where)
        return found

    async def revisions(self, releases: Iterable[Release]) -> dict[tuple[str, str], tuple[int, str]]:
        """Return the newest Helm revision and its status of releases, by (namespace, name), without their contents."""
        newest = _newest(await self._list(releases, metadata_only=True))
        labels = {key: record["metadata"]["labels"] for key, record in newest.items()}
        return {key: (int(own["version"]), str(own.get("status"))) for key, own in labels.items()}

    async def deployed(self, releases: Iterable[Release]) -> dict[tuple[str, str], int]:
        """Return the Helm revision that stands of releases, by (namespace, name).

        That is the newest one that was deployed; without any, the newest that Helm has ended with at all.
        """
        listed = await self._list(releases, metadata_only=True)
        ended = [record for record in listed if not _unended(record)]
        newest = {**_newest(ended), **_newest(filter(_deployed, ended))}
        return {key: _revision(record) for key, record in newest.items()}

    async def at(self, wanted: Mapping[Release, int]) -> dict[Release, InstalledRelease]:
        """Return what Helm has stored of some Helm revisions; those it no longer has are left out.

        Raises:
            ClusterError: The cluster cannot be reached or refuses, or a record cannot be read.
        """
        refs = {
            release: self._ref(release.namespace, _name(release.name, number)) for release, number in wanted.items()
        }
        found = await self._objects.get_all(refs.values())
        return {release: self._decode(record) for release, ref in refs.items() if (record := found[ref]) is not None}

    async def elsewhere(self, releases: Iterable[Release]) -> dict[tuple[str, str], InstalledRelease]:
        """Return those of some releases whose records lie in another namespace, by the release's (namespace, name).

        Flux keeps them so for a HelmRelease with a targetNamespace. Records that cannot be read are passed over.
        """
        wanted = {release.key for release in releases}
        labels = _selector(name for _, name in wanted)
        listed = _newest(await self._list_all("", labels)) if wanted else {}
        refs = [self._ref(key[0], record["metadata"]["name"]) for key, record in listed.items() if key not in wanted]
        found: dict[tuple[str, str], InstalledRelease] = {}
        for record in (await self._objects.get_all(refs)).values():
            with contextlib.suppress(_UnreadableError):
                if record is not None and (release := self._decode(record)).key in wanted:
                    found[release.key] = release
        return found

    async def under_other_driver(self, releases: Iterable[Release]) -> frozenset[tuple[str, str]]:
        """Name those of some releases, by (namespace, name), that Helm keeps with its other driver in the cluster."""
        kind = "ConfigMap" if self._kind == "Secret" else "Secret"
        return frozenset(_newest(await self._list(releases, metadata_only=True, kind=kind)))

    async def forget(self, release: InstalledRelease) -> None:
        """Remove the record of one Helm revision: one that a run which died left pending."""
        await self._objects.delete(self._ref_of(release))

    async def replace_manifest(self, release: InstalledRelease, manifest: str) -> None:
        """Change what Helm has stored as a Helm revision's manifest, which is what it goes by when it uninstalls.

        Raises:
            ClusterError: The cluster cannot be reached or refuses, or the record cannot be read.
        """
        ref = self._ref_of(release)
        record = await self._objects.get(ref)
        if record is None:
            return
        try:
            stored = self._unpack(record["data"]["release"])
        except _BROKEN as exc:
            raise self._unreadable(record, exc) from exc
        packed = self._pack({**stored, "manifest": manifest})
        await self._objects.replace({**record, "data": {**record["data"], "release": packed}}, ref)

    async def _list(
        self, releases: Iterable[Release], *, metadata_only: bool = False, kind: str = ""
    ) -> list[dict[str, Any]]:
        kind = kind or self._kind
        names: dict[str, set[str]] = {}
        for release in releases:
            names.setdefault(release.namespace, set()).add(release.name)
        listed = await asyncio.gather(
            *(
                self._objects.list(
                    "v1",
                    kind,
                    namespace,
                    labels=_selector(wanted),
                    fields=_fields(kind),
                    metadata_only=metadata_only,
                )
                for namespace, wanted in names.items()
            )
        )
        return list(itertools.chain.from_iterable(listed))

    async def _list_all(self, namespace: str, labels: str = _CURRENT) -> list[dict[str, Any]]:
        return await self._objects.list(
            "v1", self._kind, namespace, labels=labels, fields=_fields(self._kind), metadata_only=True
        )

    def _ref(self, namespace: str, name: str) -> ObjectRef:
        return ObjectRef("v1", self._kind, name, namespace)

    def _ref_of(self, release: InstalledRelease) -> ObjectRef:
        namespace = release.storage_namespace or release.namespace
        return self._ref(namespace, _name(release.name, release.helm_revision))

    def _decode(self, record: Mapping[str, Any]) -> InstalledRelease:
        try:
            return self._read(record["data"]["release"], record["metadata"])
        except _BROKEN as exc:
            raise self._unreadable(record, exc) from exc

    def _unreadable(self, record: Mapping[str, Any], why: Exception) -> _UnreadableError:
        return _UnreadableError(f"{self._kind} {record['metadata']['namespace']}/{record['metadata']['name']}", why)

    def _unpack(self, packed: str | bytes) -> dict[str, Any]:
        if self._kind == "Secret":
            packed = base64.b64decode(packed)
        raw = base64.b64decode(packed)
        stored: dict[str, Any] = json.loads(gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw)
        return stored

    def _pack(self, stored: Mapping[str, Any]) -> str:
        packed = base64.b64encode(gzip.compress(json.dumps(stored).encode(), mtime=0))
        return (base64.b64encode(packed) if self._kind == "Secret" else packed).decode()

    def _read(self, packed: str | bytes, record: Mapping[str, Any]) -> InstalledRelease:
        stored = self._unpack(packed)
        metadata, info = stored["chart"]["metadata"], stored["info"]
        return InstalledRelease(
            name=stored["name"],
            namespace=stored["namespace"],
            helm_revision=stored["version"],
            status=info["status"],
            chart=metadata["name"],
            chart_version=metadata["version"],
            app_version=metadata.get("appVersion", ""),
            values=stored.get("config") or {},
            chart_values=stored["chart"].get("values") or {},
            manifest=stored.get("manifest", ""),
            updated=_moment(info.get("last_deployed", "")),
            storage_namespace=record["namespace"],
            record=record,
        )


class _UnreadableError(ClusterError):
    """A record of Helm's that cannot be read; ``where`` says which."""

    def __init__(self, where: str, why: Exception) -> None:
        super().__init__(
            f"Helm's record in {where} cannot be read",
            hint="Run helm history on the release to see its revisions. A record that is broken "
            "for good can be deleted.",
            detail=str(why),
        )
        self.where = where


def _newest(records: Iterable[dict[str, Any]]) -> dict[tuple[str, str], dict[str, Any]]:
    """Keep the newest revision of each release that is there, by (namespace, name)."""
    newest: dict[tuple[str, str], dict[str, Any]] = {}
    for record in records:
        if _revision(record) < 1:
            continue  # somebody else's, with a label of Helm's
        key = (str(record["metadata"]["namespace"]), str(record["metadata"]["labels"].get("name")))
        if key not in newest or _revision(record) > _revision(newest[key]):
            newest[key] = record
    return {key: last for key, last in newest.items() if last["metadata"]["labels"].get("status") != _UNINSTALLED}


def _fields(kind: str) -> str:
    return "type=helm.sh/release.v1" if kind == "Secret" else ""


def _name(release: str, helm_revision: int) -> str:
    return f"sh.helm.release.v1.{release}.v{helm_revision}"


def _deployed(record: Mapping[str, Any]) -> bool:
    return bool(record["metadata"]["labels"].get("status") == "deployed")


def _unended(record: Mapping[str, Any]) -> bool:
    status = str(record["metadata"]["labels"].get("status"))
    return status.startswith("pending-") or status == "uninstalling"


def _revision(record: Mapping[str, Any]) -> int:
    text = str(record["metadata"]["labels"].get("version", ""))
    return int(text) if text.isdecimal() else 0


def _selector(names: Iterable[str]) -> str:
    return f"{_CURRENT},name in ({','.join(sorted(names))})"


def _moment(text: str) -> datetime | None:
    """Read Go's time; None where a record has none, or another one's."""
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None
