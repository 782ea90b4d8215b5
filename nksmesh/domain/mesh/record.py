"""The record: what a run resolved, kept in the cluster, so that a later run knows what "as installed" means."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final, TypeAlias

from nksmesh.domain.charts.releases import Release
from nksmesh.domain.common.data import known_fields
from nksmesh.domain.common.errors import ConfigError
from nksmesh.domain.common.findings import Finding
from nksmesh.domain.mesh.mesh import DeployedRevisions, GatewaySpec, Network
from nksmesh.domain.mesh.request import Recorded
from nksmesh.domain.values.layers import Layer, LayerKind, dotted
from nksmesh.domain.values.set_integers import set_integers, with_set_integers

RECORD_VERSION: Final = 1


@dataclass(frozen=True, kw_only=True)
class RecordedRelease:
    """A release as the last run left it.

    Attributes:
        values_hash: ``sha256:<hex>`` of the values it was given.
        helm_revision: Helm's revision number at that time.
        layers: The layers its values were made of, each with its hash.
    """

    release: Release
    chart_digest: str
    values_hash: str
    helm_revision: int
    layers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, kw_only=True)
class Canary:
    """A later istiod beside the mesh's own.

    Attributes:
        release: Its istiod, which is among the record's releases.
        promoting: Its promotion has begun: the default may have moved to it already.
    """

    settings: Recorded
    release: Release
    promoting: bool = False

    def json_form(self) -> dict[str, Any]:
        """Return what JSON has of it; the record keeps all its fields."""
        return {"istio_revision": self.istio_revision, "version": self.version, "promoting": self.promoting}

    @property
    def istio_revision(self) -> str:
        """Its Istio revision."""
        return self.release.istio_revision

    @property
    def version(self) -> str:
        """Its Istio version."""
        return self.settings.version


@dataclass(frozen=True, kw_only=True)
class Record:
    """What the last run resolved, and what it left.

    Attributes:
        hub: The hub, the region's too.
        environment: The environment it was given, or empty.
        written_by: The version of nksmesh that wrote it.
        helm_driver: Helm's storage driver (``secret``, ``configmap``); empty where the run before did not record it.
    """

    settings: Recorded
    hub: str
    environment: str = ""
    releases: tuple[RecordedRelease, ...] = ()
    written_by: str = ""
    canary: Canary | None = None
    helm_driver: str = ""

    @property
    def namespace(self) -> str:
        """The control plane's namespace."""
        return self.settings.namespace

    def of_release(self, release: Release) -> RecordedRelease | None:
        """Return what was recorded of a release."""
        return next((recorded for recorded in self.releases if recorded.release == release), None)

    def to_data(self) -> dict[str, Any]:
        """Return the record as JSON has it; where integers are Helm's ``--set``'s is told beside the values."""
        data = asdict(self)
        for part in filter(None, (data, data["canary"])):
            settings = part["answers"] = part.pop("settings")  # the record's keys are those of the version before
            settings["standing"] = settings.pop("revisions")
            for layer in (layer for layers in settings["layers"].values() for layer in layers):
                layer["option"] = LayerKind(layer["kind"]).option  # what nksmesh read before layers had a kind
                layer["integers"] = [path for path, _ in set_integers(layer["values"])]
        return data

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Record:
        """Read a record back; keys that a later nksmesh wrote are passed over.

        Raises:
            KeyError: A key that every record has is missing.
            TypeError: A value is not what it should be.
            ValueError: The same.
        """
        return cls(
            settings=_settings(data["answers"]),
            hub=data["hub"],
            environment=data.get("environment", ""),
            canary=_canary(data.get("canary")),
            releases=tuple(
                RecordedRelease(
                    release=Release(**known_fields(Release, row["release"])),
                    chart_digest=row["chart_digest"],
                    values_hash=row["values_hash"],
                    helm_revision=row["helm_revision"],
                    layers=tuple((name, digest) for name, digest in row.get("layers", ())),
                )
                for row in data["releases"]
            ),
            written_by=data.get("written_by", ""),
            helm_driver=data.get("helm_driver", ""),
        )


Keep: TypeAlias = Callable[[Record | None, Record, bool], Record]
"""From what was recorded and what an install of a plan's mesh would record, with whether it is done, to what is kept:
a canary is recorded beside the mesh's own."""


def check_no_canary(record: Record | None) -> tuple[Finding, ...]:
    """Judge a run that would write over a canary: a failure where one is on."""
    canary = record.canary if record else None
    if canary is None:
        return ()
    on = "is being promoted" if canary.promoting else "is installed"
    return (
        Finding(
            id="canary.running",
            message=f"a canary {on}: Istio {canary.version}, Istio revision {canary.istio_revision}",
            hint="End it first with nksmesh canary promote or nksmesh canary abort. "
            "Run nksmesh canary status to see it.",
            error=ConfigError,
        ),
    )


def hash_of(values: Mapping[str, Any]) -> str:
    """Hash values: ``sha256:<hex>`` of their JSON with sorted keys, and of where integers are Helm's ``--set``'s."""
    kept = sorted(dotted(path) for path, _ in set_integers(values))
    text = json.dumps(values, sort_keys=True) + (json.dumps(kept) if kept else "")
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def _canary(data: Mapping[str, Any] | None) -> Canary | None:
    if data is None:
        return None
    return Canary(
        settings=_settings(data["answers"]),
        release=Release(**known_fields(Release, data["release"])),
        promoting=data.get("promoting", False),
    )


def _settings(data: Mapping[str, Any]) -> Recorded:
    known = known_fields(Recorded, data)
    gateways, components = known.get("gateways"), known.get("components")
    revisions = known_fields(DeployedRevisions, data.get("standing", {}))
    return Recorded(
        **{
            **known,
            "network": Network(known["network"]) if known.get("network") else None,
            "gateways": None
            if gateways is None
            else tuple(GatewaySpec(**known_fields(GatewaySpec, gateway)) for gateway in gateways),
            "components": None if components is None else tuple(components),
            "pull_secrets": tuple(known.get("pull_secrets", ())),
            "allow_images": tuple(known.get("allow_images", ())),
            "forced": tuple(known.get("forced", ())),
            "layers": {name: tuple(map(_layer, layers)) for name, layers in known.get("layers", {}).items()},
            "revisions": DeployedRevisions(**{**revisions, "tags": tuple(revisions.get("tags", ()))}),
        }
    )


_KINDS: Final = {
    "": LayerKind.CATALOG,
    "-e": LayerKind.ENVIRONMENT,
    "-f": LayerKind.FILE,
    "--set": LayerKind.SET,
}
"""The kinds of layers that were recorded with their option alone."""


def _layer(data: Mapping[str, Any]) -> Layer:
    known = known_fields(Layer, data)
    return Layer(
        **{
            **known,
            "kind": LayerKind(known["kind"]) if "kind" in known else _KINDS[data.get("option", "")],
            "values": with_set_integers(known["values"], data.get("integers", ())),
            "replaces": tuple(tuple(path) for path in known.get("replaces", ())),
        }
    )
