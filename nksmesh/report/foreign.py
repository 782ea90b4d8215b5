"""How commands say that there is no mesh of nksmesh's, and what another tool has installed instead."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nksmesh.report.layout import DOUBTFUL, sentence

if TYPE_CHECKING:
    from rich.console import Console

    from nksmesh.engine.discovery import Installation


def without_mesh(console: Console, installation: Installation, otherwise: str) -> None:
    """Name the istiods of other tools, and what a user can do; where there are none, say something else.

    Args:
        installation: What was found, without a release.
        otherwise: What is said where no other tool has an istiod, either.
    """
    if installation.unseen:
        sentence(console, f"A mesh is in {installation.namespace}, and Helm shows no release of it here.", DOUBTFUL)
    elif not installation.foreign:
        sentence(console, otherwise)
    for istiod in installation.foreign:
        sentence(console, f"{istiod}. nksmesh did not install it and does not change it.", DOUBTFUL)
        sentence(console, istiod.way_on)
