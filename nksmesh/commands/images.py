"""``nksmesh images``: the images that a mesh pulls, and whether its pods can have them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from nksmesh.domain.common.errors import ImageError
from nksmesh.domain.common.events import Listener
from nksmesh.domain.common.findings import Finding, has_failure, warnings_of
from nksmesh.domain.images.mirroring import in_hub
from nksmesh.domain.kube.images import FoundImage, images_of
from nksmesh.domain.kube.objects import Manifest
from nksmesh.engine.image_lookup import CheckedImage
from nksmesh.engine.images import look_for_images
from nksmesh.engine.pipeline import render_offline
from nksmesh.engine.planning import make_plan
from nksmesh.engine.ports import Charts, Helm
from nksmesh.engine.request import MeshRequest
from nksmesh.engine.runtime import Runtime


class Source(StrEnum):
    """What an image is of."""

    MESH = "mesh"
    SAMPLES = "samples"
    ADDONS = "addons"


@dataclass(frozen=True, kw_only=True)
class ListedImage:
    """An image, once.

    Attributes:
        image: As pods name it: ``HOST/REGISTRY/istio/pilot:1.30.2``.
        used_by: The objects that name it, and where in them.
        opt_in: Only pods pull it that ask for an injection template by annotation.
    """

    image: str
    source: Source
    used_by: tuple[str, ...]
    opt_in: bool = False


@dataclass(frozen=True, kw_only=True)
class ImageList:
    """The images of a mesh and of what was asked about beside it, each once, in the order of the install.

    Attributes:
        notes: How the mesh was resolved, a sentence each.
    """

    version: str
    hub: str
    images: tuple[ListedImage, ...]
    findings: tuple[Finding, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a reader of the list should know."""
        return warnings_of(self.findings)


async def list_images(
    request: MeshRequest, helm: Helm, charts: Charts, beside: Mapping[Source, Iterable[Manifest]], *, listener: Listener
) -> ImageList:
    """List every image of a mesh's render, the injector's included; the cluster is not read.

    Args:
        beside: The objects of samples and add-ons, which are listed as they are.

    Raises:
        MeshError: As ``render_offline`` says.
    """
    offline = await render_offline(request, helm, charts, listener=listener)
    mesh = offline.resolved.mesh
    named = {
        Source.MESH: [image for change in offline.rendered.changes.values() for image in change.images],
        **{source: list(images_of(manifests, "")) for source, manifests in beside.items()},
    }
    return ImageList(
        version=mesh.version,
        hub=mesh.hub,
        images=tuple(image for source, images in named.items() for image in _listed(images, source)),
        findings=offline.rendered.findings,
        notes=offline.resolved.notes,
    )


@dataclass(frozen=True, kw_only=True)
class ImageCheck:
    """The images of a mesh, looked for in their registries.

    Attributes:
        images: Each image once, as it was found.
    """

    version: str
    hub: str
    images: tuple[CheckedImage, ...]

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What is wrong with them, in their order."""
        return tuple(finding for image in self.images for finding in image.findings)

    @property
    def exit_code(self) -> int:
        """3 where a pod would not get its image."""
        return ImageError.exit_code if has_failure(self.findings) else 0


async def check(
    request: MeshRequest, runtime: Runtime, beside: Iterable[Manifest] = (), *, image_hub: str = ""
) -> ImageCheck:
    """Look for every image that an install would have pods pull, with the logins that they will have.

    Args:
        runtime: One that opens registries.
        beside: The objects of samples and add-ons, whose images are looked for with the same logins.
        image_hub: The registry path that their images are to come from; empty for those in the files.

    Raises:
        MeshError: As ``make_plan`` and ``look_for_images`` say.
    """
    plan = await make_plan(request, runtime)
    named = [image.image for image in images_of(beside, "")]
    named = [str(in_hub(name, image_hub)) for name in named] if image_hub else named
    checked = await look_for_images(plan.releases.values(), plan.mesh, runtime, beside=named, offline=request.offline)
    return ImageCheck(version=plan.mesh.version, hub=plan.mesh.hub, images=checked)


def _listed(images: Iterable[FoundImage], source: Source) -> Iterable[ListedImage]:
    """Put together what names the same image."""
    places: defaultdict[str, list[FoundImage]] = defaultdict(list)
    for image in images:
        places[image.image].append(image)
    for name, found in places.items():
        used_by = tuple(dict.fromkeys(f"{image.where} ({image.place})" for image in found))
        yield ListedImage(image=name, source=source, used_by=used_by, opt_in=all(image.opt_in for image in found))
