"""Which of several values an image comes from, proved by rendering with one of them changed."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from nksmesh.domain.common.errors import ChartError
from nksmesh.domain.kube.images import FoundImage, images_of
from nksmesh.domain.mesh.mesh import Mesh
from nksmesh.domain.plan.plan import Action, ReleaseChange
from nksmesh.domain.plan.setters import Setter, undecided
from nksmesh.engine.ports import Helm

_MOST_TRIED: Final = 6
"""Renders for one image: each is a Helm of its own."""


async def prove_setters(
    mesh: Mesh, changes: Mapping[str, ReleaseChange], helm: Helm, *, kubernetes: str, versions: bool
) -> dict[str, ReleaseChange]:
    """Find out for each image that will be complained of which value it comes from, where several may be it.

    Nothing is rendered where every image is in order.

    Args:
        kubernetes: The version to render for, as the releases were.
        versions: Images of other versions than the mesh's are complained of, too.
    """
    proved = await asyncio.gather(
        *(_proved(mesh, change, helm, kubernetes, versions=versions) for change in changes.values())
    )
    return {change.release.name: change for change in proved}


async def _proved(mesh: Mesh, change: ReleaseChange, helm: Helm, kubernetes: str, *, versions: bool) -> ReleaseChange:
    asked = undecided(mesh, change, versions=versions)
    found = await asyncio.gather(
        *(_first_that_moves(image, setters, change, helm, kubernetes) for (image, _), setters in asked.items())
    )
    proved = {about: str(setter) for about, setter in zip(asked, found, strict=True) if setter is not None}
    return replace(change, setters=proved) if proved else change


async def _first_that_moves(
    image: FoundImage, setters: tuple[Setter, ...], change: ReleaseChange, helm: Helm, kubernetes: str
) -> Setter | None:
    """Return the likeliest of the values that the image comes from; None where none of them moves it."""
    tried = setters[:_MOST_TRIED]
    moved = await asyncio.gather(*(_moves(image, setter, change, helm, kubernetes) for setter in tried))
    return next((setter for setter, moves in zip(tried, moved, strict=True) if moves), None)


async def _moves(image: FoundImage, setter: Setter, change: ReleaseChange, helm: Helm, kubernetes: str) -> bool:
    upgrade = change.action is not Action.INSTALL
    values = setter.changed(change.composed.values)
    try:
        text = await helm.render(change.release, change.chart, values, kubernetes=kubernetes, upgrade=upgrade)
    except ChartError:
        return False  # the chart takes no such value, which tells nothing of the image
    return image not in set(images_of(helm.parse(text), change.release.namespace))
