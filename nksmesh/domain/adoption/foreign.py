"""An istiod that another tool installed: which version it is, who owns it, and what a user can do."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from nksmesh.domain.adoption.takeover import of_istioctl
from nksmesh.domain.charts.installed import InstalledRelease
from nksmesh.domain.charts.releases import ISTIOD
from nksmesh.domain.kube.objects import Manifest, containers, helm_marks, pod_template
from nksmesh.domain.kube.owners import Owner, Tool, owner_of
from nksmesh.domain.kube.readiness import Readiness, of_deployment
from nksmesh.domain.mesh.mesh import ISTIO_NAMESPACE

ISTIOD_LABEL: Final = "app=istiod"
"""The label that every chart and every istioctl gives istiod's Deployment."""

_DEFAULT: Final = "default"


@dataclass(frozen=True, kw_only=True)
class ForeignIstiod:
    """An istiod that runs, and that is neither recorded nor of a Helm release of Istio's own chart.

    Attributes:
        name: Its Deployment's name.
        version: Its Istio version; empty where its labels and its image do not tell it.
        istio_revision: Its Istio revision (``istio.io/rev``); empty for the default one.
        chart: The chart of the Helm release that owns it, ``platform-mesh 3.2.1``; empty where Helm shows none.
        readiness: Whether it is rolled out.
        takeable: Whether ``nksmesh adopt --from istioctl`` takes it over.
    """

    name: str
    namespace: str
    version: str
    istio_revision: str = ""
    owner: Owner
    chart: str = ""
    readiness: Readiness
    takeable: bool = False

    def __str__(self) -> str:
        istio = f"Istio {self.version}" if self.version else "An Istio of unknown version"
        revision = f", Istio revision {self.istio_revision}" if self.istio_revision else ""
        chart = f", chart {self.chart}" if self.chart else ""
        return (
            f"{istio} is installed in {self.namespace} (Deployment {self.name}{revision}) and belongs to "
            f"{self.owner}{chart}"
        )

    @property
    def way_on(self) -> str:
        """What a user can do, in sentences."""
        if self.takeable:
            where = "" if self.namespace == ISTIO_NAMESPACE else f" -n {self.namespace}"
            return f"Run nksmesh adopt --from istioctl{where} to take it over. Without nksmesh: {self.owner.way_on}"
        if self.owner.tool is not Tool.HELM:
            return self.owner.way_on
        if not self.chart:
            return (
                f"Helm shows no release {self.owner.name} here: set HELM_DRIVER to the value it "
                f"was installed with, or {_lowered(self.owner.way_on)}"
            )
        return (
            "nksmesh manages releases of Istio's own charts only. "
            f"{self.owner.way_on.removesuffix('.')}, which removes everything of that release."
        )

    def json_form(self) -> dict[str, Any]:
        """Return what JSON has: the fields, with the owner and the readiness in parts."""
        return {
            "name": self.name,
            "namespace": self.namespace,
            "version": self.version,
            "istio_revision": self.istio_revision,
            "owner": str(self.owner),
            "tool": self.owner.tool,
            "chart": self.chart,
            "ready": self.readiness.ready,
            "message": self.readiness.message,
            "way_on": self.way_on,
        }


def foreign_istiod(deployment: Manifest, helm: InstalledRelease | None = None) -> ForeignIstiod:
    """Describe an istiod of another tool.

    Args:
        helm: The Helm release that its marks name, where Helm has it.
    """
    metadata = deployment["metadata"]
    revision = str((metadata.get("labels") or {}).get("istio.io/rev") or _DEFAULT)
    name = str(metadata["name"])
    return ForeignIstiod(
        name=name,
        namespace=str(metadata.get("namespace") or ""),
        version=version_of_istiod(deployment),
        istio_revision="" if revision == _DEFAULT else revision,
        owner=owner_of(deployment),
        chart=f"{helm.chart} {helm.chart_version}" if helm else "",
        readiness=of_deployment(deployment, name),
        takeable=revision == _DEFAULT and of_istioctl(deployment),
    )


def foreign_among(
    deployments: Iterable[Manifest], releases: Mapping[tuple[str, str], InstalledRelease]
) -> tuple[ForeignIstiod, ...]:
    """Describe the istiods that no release of Istio's own chart owns.

    Args:
        deployments: The istiods of a cluster.
        releases: What Helm has, by (namespace, name); for a chart of Istio's own nobody else owns the istiod.
    """
    found = []
    for deployment in deployments:
        key = helm_marks(deployment)
        helm = releases.get(key) if key else None
        if helm is None or helm.chart != ISTIOD.name:
            found.append(foreign_istiod(deployment, helm))
    return tuple(sorted(found, key=lambda istiod: (istiod.namespace, istiod.name)))


def image_of_istiod(istiod: Manifest) -> str:
    """Return the image of an istiod's first container; empty for none."""
    return next((str(container.get("image", "")) for container in containers(pod_template(istiod))), "")


def version_of_istiod(istiod: Manifest) -> str:
    """Return the Istio version of an istiod: by istioctl's label, its image's tag, or its chart's label (from 1.24)."""
    labels = istiod["metadata"].get("labels") or {}
    image = image_of_istiod(istiod).partition("@")[0]
    tag = image.rpartition(":")[2] if ":" in image.rpartition("/")[2] else ""
    candidates = labels.get("operator.istio.io/version"), tag.partition("-")[0], labels.get("app.kubernetes.io/version")
    return next((str(version) for version in candidates if version), "")


def _lowered(sentence: str) -> str:
    return sentence[:1].lower() + sentence[1:]
