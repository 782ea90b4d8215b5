"""The plan: the ordered steps that bring a cluster to the desired mesh, each with its reason.

What truly waits for what is in each step's ``needs``; nksmesh.domain.ordering has the rules.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, ClassVar, Final, TypeVar

from nksmesh.domain.charts.chart import Chart
from nksmesh.domain.charts.installed import InstalledRelease
from nksmesh.domain.charts.lock import public_source
from nksmesh.domain.charts.releases import Release
from nksmesh.domain.common.findings import Finding
from nksmesh.domain.kube.images import FoundImage, images_of
from nksmesh.domain.kube.objects import Manifest, ObjectRef
from nksmesh.domain.mesh.mesh import Mesh, Network
from nksmesh.domain.mesh.record import Keep, Record
from nksmesh.domain.values.layers import Composed, Layer

CRDS_STEP: Final = "CRDs"
GATE_STEP: Final = "injection webhook"


class Action(StrEnum):
    """What a step does."""

    CREATE = "create"
    APPLY = "apply"
    INSTALL = "install"
    UPGRADE = "upgrade"
    ROLLBACK = "roll back"
    RESTART = "restart"
    PROVE = "prove"
    PUT_BACK = "put back"
    REMOVE = "remove"
    KEEP = "keep"


class Phase(StrEnum):
    """How far another step must have come."""

    WRITTEN = "written"
    ESTABLISHED = "established"
    """The CRDs that it brings are Established; Helm may still be at work on its other objects."""
    PROVED = "proved"


@dataclass(frozen=True)
class Need:
    """A step that another must have come to a phase before this one may begin."""

    step: str
    phase: Phase = Phase.PROVED


@dataclass(frozen=True, kw_only=True)
class Step:
    """One step; each kind of step is a class of its own, with what its handler needs.

    Attributes:
        name: Its title, unique in the plan: needs, events and JSON tell steps apart by it, for a step that gets its
            needs is a copy, and one that holds a map has no hash.
        reasons: Why, one sentence each.
        needs: What must be done before it begins.
        quiet: Its handler tells of each object itself, and nobody hears of the step.
        finishes: Where another step fails, it is let come to WRITTEN first: what it wrote is to be told.
    """

    quiet: ClassVar[bool] = False
    finishes: ClassVar[bool] = False

    name: str
    action: Action
    reasons: tuple[str, ...] = ()
    needs: tuple[Need, ...] = ()

    def json_form(self) -> dict[str, Any]:
        """Return what JSON has, the same of each kind of step."""
        return {"name": self.name, "action": self.action, "reasons": self.reasons}

    @property
    def changes(self) -> bool:
        """Whether it writes to the cluster."""
        return self.action not in {Action.KEEP, Action.PROVE}


S = TypeVar("S", bound=Step)


def in_sequence(steps: Iterable[S]) -> tuple[S, ...]:
    """Let each of some steps begin as soon as the one before it is proved."""
    ordered = tuple(steps)
    before: tuple[S | None, ...] = (None, *ordered)
    return tuple(
        replace(step, needs=(Need(last.name),) if last else ()) for last, step in zip(before, ordered, strict=False)
    )


@dataclass(frozen=True, kw_only=True)
class ObjectStep(Step):
    """One object of no release is as a manifest says, or gone.

    Attributes:
        manifest: The object; None where it goes.
    """

    ref: ObjectRef
    manifest: Manifest | None = field(default=None, repr=False)


@dataclass(frozen=True, kw_only=True)
class CrdChange:
    """What applying one CRD would do.

    Attributes:
        manifest: The CRD as the chart has it.
        differs: Applying it changes something.
        taken_from: Field managers whose fields are taken over.
        newer: The version it is of in the cluster, where that is newer than the chart's: it stays as it is.
    """

    name: str
    manifest: Manifest = field(repr=False)
    exists: bool = False
    differs: bool = True
    taken_from: tuple[str, ...] = ()
    newer: str = ""


@dataclass(frozen=True, kw_only=True)
class ReleaseChange:
    """What is to become of one release, and from what.

    Attributes:
        layers: The layers of its values, weakest first.
        composed: Its values and which layer set each.
        manifests: What it renders to; what is installed, where nothing changes.
        installed: What Helm has of it now.
        reasons: Why it must be written; empty where it need not be.
        stale_pods: Which pods of it run another proxy image than the plan's, a sentence for each image.
        left_crds: CRDs it renders that no release owns: they become the release's before Helm writes.
        taken: Objects of another tool that become the release's, as the chart renders them, before Helm writes.
        setters: Where it was proved by rendering what an image, or its tag, comes from: the layer and the key, by the
            image and the tag that was asked about, or an empty one.
        text: Helm's own text of the manifests, comments included; empty where they were not rendered now.
        back_to: The Helm revision that it goes back to, where it is rolled back: then the chart, the values and the
            manifests are that one's.
    """

    release: Release
    chart: Chart
    layers: tuple[Layer, ...] = field(repr=False)
    composed: Composed = field(repr=False)
    manifests: tuple[Manifest, ...] = field(repr=False)
    installed: InstalledRelease | None = None
    reasons: tuple[str, ...] = ()
    stale_pods: tuple[str, ...] = ()
    left_crds: tuple[ObjectRef, ...] = ()
    taken: tuple[ObjectRef, ...] = ()
    setters: Mapping[tuple[FoundImage, str], str] = field(default_factory=dict, repr=False)
    text: str = field(default="", repr=False)
    back_to: InstalledRelease | None = field(default=None, repr=False)

    @property
    def images(self) -> tuple[FoundImage, ...]:
        """Every image that its render names, the injector's included."""
        return tuple(images_of(self.manifests, self.release.namespace))

    @property
    def pulled(self) -> tuple[str, ...]:
        """The images that pods pull; those of templates that a pod must ask for are left out."""
        return tuple(image.image for image in self.images if not image.opt_in)

    @property
    def left_pending(self) -> InstalledRelease | None:
        """The Helm revision that a run which died left pending, to be cleared first."""
        return self.installed if self.installed and self.installed.pending else None

    @property
    def action(self) -> Action:
        """Install where Helm has nothing to upgrade, else upgrade, roll back or keep."""
        if not self.reasons:
            return Action.KEEP
        if self.back_to is not None:
            return Action.ROLLBACK
        fresh = self.installed is None or (self.left_pending is not None and self.installed.helm_revision == 1)
        return Action.INSTALL if fresh else Action.UPGRADE


@dataclass(frozen=True, kw_only=True)
class NamespaceStep(Step):
    """A namespace is there."""

    namespace: str


@dataclass(frozen=True, kw_only=True)
class CrdsStep(Step):
    """The CRDs of base's crds/ folder are as the chart has them.

    Attributes:
        take_over: CRDs that istioctl made become ours, too.
    """

    crds: tuple[CrdChange, ...] = field(repr=False)
    take_over: bool = False


@dataclass(frozen=True, kw_only=True)
class ReleaseStep(Step):
    """A release is written where it must be, and proved.

    Attributes:
        proxy_image: The image that its pods must end on, where they are injected.
        network: Whether its LoadBalancer's address is waited for.
        take_over: What istioctl made of it becomes the release's.
    """

    change: ReleaseChange = field(repr=False)
    proxy_image: str
    network: Network
    take_over: bool = False


@dataclass(frozen=True, kw_only=True)
class RestartStep(ReleaseStep):
    """The pods of a release are made anew, and proved as its own step proves them."""


@dataclass(frozen=True, kw_only=True)
class GateStep(Step):
    """An istiod's injector answers, with the proxy image of the plan.

    Attributes:
        gateways: Whose pods are injected; where there are none, namespaces that are labelled for it are asked.
    """

    istiod: Release
    gateways: tuple[Release, ...]
    proxy_image: str


@dataclass(frozen=True, kw_only=True)
class RemovalStep(Step):
    """A release is gone."""

    finishes: ClassVar[bool] = True

    release: Release
    stored: InstalledRelease = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The steps, what they are made from, and what was found on the way.

    Attributes:
        steps: The steps, in an order that respects every need.
        releases: For each release's name, what is to become of it.
        crds: What becomes of the CRDs of base's crds/ folder.
        proxy_image: The image every gateway must end on.
        findings: Warnings about versions, keys and images.
        notes: What was resolved without being said, and how.
        unwanted: Releases that the record has and the mesh does not.
        stored: What Helm has of the unwanted releases, in their order.
        recorded: What the last run recorded, None where nothing is known.
        ending: Objects of the mesh that are still being deleted: they are waited for before anything is written.
        keep: How it is recorded, where it is not the whole mesh's plan.
    """

    mesh: Mesh
    steps: tuple[Step, ...]
    releases: Mapping[str, ReleaseChange] = field(repr=False)
    crds: tuple[CrdChange, ...] = field(default=(), repr=False)
    proxy_image: str = ""
    kubernetes: str = ""
    findings: tuple[Finding, ...] = ()
    notes: tuple[str, ...] = ()
    unwanted: tuple[Release, ...] = ()
    stored: tuple[InstalledRelease, ...] = field(default=(), repr=False)
    recorded: Record | None = field(default=None, repr=False)
    ending: tuple[ObjectRef, ...] = ()
    keep: Keep | None = field(default=None, repr=False)

    @property
    def changes(self) -> bool:
        """Whether any step writes."""
        return any(step.changes for step in self.steps)

    @property
    def helm_revisions(self) -> dict[tuple[str, str], tuple[int, str]]:
        """The Helm revision and status that the plan found of each installed release, by (namespace, name)."""
        found = (change.installed for change in self.releases.values() if change.installed is not None)
        return {installed.key: (installed.helm_revision, installed.status) for installed in found}

    @property
    def manifests(self) -> tuple[tuple[Release, tuple[Manifest, ...]], ...]:
        """What each release renders to."""
        return tuple((change.release, change.manifests) for change in self.releases.values())

    def json_form(self) -> dict[str, Any]:
        """Return what JSON has: the mesh in parts, and neither values nor manifests."""
        mesh = self.mesh
        return {
            "changes": self.changes,
            "version": mesh.version,
            "profile": mesh.profile,
            "region": mesh.region,
            "network": mesh.network,
            "hub": mesh.hub,
            "namespace": mesh.namespace,
            "chart_source": public_source(mesh.chart_source),
            "environment": mesh.environment,
            "kubernetes": self.kubernetes,
            "proxy_image": self.proxy_image,
            "steps": self.steps,
            "findings": self.findings,
            "notes": self.notes,
            "unwanted": [release.name for release in self.unwanted],
            "ending": self.ending,
        }
