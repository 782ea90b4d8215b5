"""``nksmesh regions`` and ``nksmesh versions``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nksmesh.cli import wiring
from nksmesh.cli.arguments import Directory
from nksmesh.cli.command import command, command_group
from nksmesh.cli.options import Shell
from nksmesh.cli.run import run

if TYPE_CHECKING:
    from nksmesh.domain.events import Listener
    from nksmesh.workflows.catalog import Regions, Versions

app = command_group()


@command(app, examples=["nksmesh regions", "nksmesh regions -o json"])
def regions(shell: Shell, directory: Directory = None) -> None:
    """List the NKS regions, their registries, and the Istio versions each provides."""
    from nksmesh.workflows.catalog import list_regions  # noqa: PLC0415 - only what a command uses is imported

    async def work(_listener: Listener) -> Regions:
        return list_regions(wiring.files(directory).mesh)

    run(shell, work)


@command(app, examples=["nksmesh versions"])
def versions(shell: Shell, directory: Directory = None) -> None:
    """List the Istio versions, the Kubernetes versions they run on, and the regions that provide them."""
    from nksmesh.workflows.catalog import list_versions  # noqa: PLC0415 - only what a command uses is imported

    async def work(_listener: Listener) -> Versions:
        return list_versions(wiring.files(directory).mesh)

    run(shell, work)
