"""``nksmesh regions`` and ``nksmesh versions``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nksmesh.cli import targets, wiring
from nksmesh.cli.command import command, command_group
from nksmesh.cli.options import Directory, EnvironmentName, Shell
from nksmesh.cli.run import run, show

if TYPE_CHECKING:
    from nksmesh.commands.catalog import Versions
    from nksmesh.domain.common.events import Listener

app = command_group()


@command(app, examples=["nksmesh regions", "nksmesh regions -o json"])
def regions(shell: Shell, directory: Directory = None) -> None:
    """List the NKS regions, their registries, and the Istio versions each provides."""
    from nksmesh.commands.catalog import list_regions

    show(shell, list_regions(wiring.files(directory).mesh))


@command(app, examples=["nksmesh versions", "nksmesh versions -e prod", "nksmesh versions --context my-nks-cluster"])
def versions(shell: Shell, environment: EnvironmentName = "", directory: Directory = None) -> None:
    """List Istio's versions: the Kubernetes each supports, the regions that provide it, and which fit the cluster.

    The cluster is the one of the kubeconfig or the environment. If it does not answer at once, the list says so.
    """
    from datetime import UTC, datetime

    from nksmesh.commands.catalog import list_versions, look_at

    files = wiring.files(directory)
    where = targets.target_of_mesh(shell, environment, files)

    async def work(_listener: Listener) -> Versions:
        look = await look_at(lambda: wiring.cluster(where))
        return list_versions(files.mesh, look, datetime.now(UTC).date())

    run(shell, work)
