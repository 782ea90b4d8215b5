"""Releases, and the table of components they are of."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Final


class Proof(StrEnum):
    """What proves that a component's release is ready."""

    CRDS = "crds"
    """The CRDs it brings are Established; it has no pods."""
    ROLLOUT = "rollout"
    """Its workloads are rolled out, on the images that their manifests name."""
    INJECTED_ROLLOUT = "injected rollout"
    """Its workloads are rolled out on the proxy image that istiod's injector gives them, behind the webhook gate."""


@dataclass(frozen=True, kw_only=True)
class Component:
    """A chart, what proves its releases, and what must be proved before them.

    Attributes:
        name: The component's name, which is its chart's name in Istio's repository too.
        proof: What proves that a release of it is ready.
        after: The components that it stands on.
        default_release: The Helm release name the guides and Istio's documentation use, empty where each
            release names itself.
        takes_hub: Its chart has ``global.hub`` and the keys beside it, and its manifests name images.
        optional: A mesh has it only where ``components`` of mesh.yaml or of the profile lists it.
    """

    name: str
    proof: Proof
    after: tuple[str, ...] = ()
    default_release: str = ""
    takes_hub: bool = False
    optional: bool = False

    @property
    def injected(self) -> bool:
        """Whether its pods get their image from istiod's injector, not from their manifest."""
        return self.proof is Proof.INJECTED_ROLLOUT

    @property
    def has_pods(self) -> bool:
        """Whether it runs anything."""
        return self.proof is not Proof.CRDS


BASE: Final = Component(name="base", proof=Proof.CRDS, default_release="istio-base")
ISTIOD: Final = Component(name="istiod", proof=Proof.ROLLOUT, after=("base",), default_release="istiod", takes_hub=True)
CNI: Final = Component(
    name="cni", proof=Proof.ROLLOUT, after=("istiod",), default_release="istio-cni", takes_hub=True, optional=True
)
ZTUNNEL: Final = Component(
    name="ztunnel", proof=Proof.ROLLOUT, after=("cni",), default_release="ztunnel", takes_hub=True, optional=True
)
GATEWAY: Final = Component(name="gateway", proof=Proof.INJECTED_ROLLOUT, after=("istiod",))

COMPONENTS: Final = {component.name: component for component in (BASE, ISTIOD, CNI, ZTUNNEL, GATEWAY)}
"""Every component nksmesh installs, in install order (istio-facts 5)."""

ALWAYS: Final = tuple(component.name for component in COMPONENTS.values() if not component.optional)
"""What every mesh has, or may have without further ado."""

OPTIONAL: Final = tuple(component.name for component in COMPONENTS.values() if component.optional)
"""What a mesh has only where it is asked for."""


@dataclass(frozen=True, kw_only=True, order=True)
class Release:
    """A Helm release of a component.

    Attributes:
        component: A key of COMPONENTS.
        namespace: The namespace it is installed in.
        istio_revision: The Istio revision (``istio.io/rev``), empty for the default one; never Helm's revision.
    """

    component: str
    name: str
    namespace: str
    istio_revision: str = ""

    def with_revision_of(self, values: Mapping[str, Any]) -> Release:
        """Return the release with the Istio revision that its values render.

        istiod's, cni's and ztunnel's charts name their objects by ``revision``, and the gateway chart labels its pods
        with it, and with all of ``labels`` (1.19 to 1.30); base has none of its own. ``default`` is the revision
        without a name.

        Args:
            values: The values that Helm is given.
        """
        labels = values.get("labels") if self.kind.injected else None
        labelled = labels.get("istio.io/rev") if isinstance(labels, Mapping) else ""
        named = str(values.get("revision") or labelled or "") if self.kind.has_pods else ""
        return replace(self, istio_revision="" if named == "default" else named)

    @property
    def key(self) -> tuple[str, str]:
        """Its namespace and name, by which Helm tells releases apart."""
        return self.namespace, self.name

    @property
    def kind(self) -> Component:
        """The component's entry in COMPONENTS."""
        return COMPONENTS[self.component]


def titles_of(releases: Iterable[Release], *taken: str) -> dict[Release, str]:
    """Title releases so that no two titles are the same: the name, with the namespace only where others have the name.

    Args:
        taken: Titles that no release may have.
    """
    some = tuple(dict.fromkeys(releases))
    many = Counter((*(release.name for release in some), *taken))
    return {
        release: release.name if many[release.name] == 1 else f"{release.namespace}/{release.name}" for release in some
    }
