"""The options of the commands that are about Istio revisions: which mesh, where its charts come from, how long."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated

import typer

from nksmesh.cli import wiring
from nksmesh.cli.arguments import ChartSource, Directory, EnvironmentName, LockedOnly, Timeout
from nksmesh.cli.mesh_options import ApplyOptions, order_of, wait_options_of
from nksmesh.cli.options import Shell

if TYPE_CHECKING:
    from nksmesh.engine.request import MeshRequest
    from nksmesh.engine.waiting import WaitOptions


@dataclass(frozen=True, kw_only=True)
class RevisionOptions:
    """What is said of a mesh whose answers are all in its record."""

    environment: EnvironmentName = ""
    directory: Directory = None
    charts: ChartSource = ""
    locked: LockedOnly = False
    force_version: Annotated[
        bool, typer.Option("--force-version", help="Continue even if this version is not supported here.")
    ] = False
    timeout: Timeout = "5m"


@dataclass(frozen=True, kw_only=True)
class Meant:
    """What the options mean.

    Attributes:
        order: What is asked for; an environment tells the cluster alone, for values are as recorded.
        waits: How long is waited for what.
    """

    order: MeshRequest
    waits: WaitOptions
    where: wiring.Target

    @property
    def namespace(self) -> str:
        """The control plane's namespace, or empty."""
        return self.order.request.namespace


def meant(shell: Shell, options: RevisionOptions) -> Meant:
    """Read the options.

    Raises:
        ConfigError: Something is unknown, or wrong in one of the files.
    """
    files = wiring.files(options.directory)
    environment = files.mesh.environment(options.environment) if options.environment else None
    apply = ApplyOptions(
        directory=options.directory,
        charts=options.charts,
        locked=options.locked,
        force_version=options.force_version,
        timeout=options.timeout,
    )
    order = order_of(shell, apply, files)
    if environment and not order.request.namespace:
        order = replace(order, request=replace(order.request, namespace=environment.namespace))
    return Meant(order=order, waits=wait_options_of(apply), where=wiring.target(shell, environment, files.folder))
