"""``nksmesh images``: the images of a mesh, apart from any cluster."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nksmesh.cli import wiring
from nksmesh.cli.command import command, command_group
from nksmesh.cli.mesh_options import MeshOptions, request_of
from nksmesh.cli.options import Shell
from nksmesh.cli.run import run
from nksmesh.domain.charts.releases import OPTIONAL

app = command_group("List the images that a mesh pulls.")


@command(
    app,
    "list",
    shared=MeshOptions,
    examples=[
        "nksmesh images list --hub HOST/REGISTRY/istio --version 1.30.2",
        "nksmesh images list -e prod --all-components -o json",
        "nksmesh images list --region kr1 --addons samples/addons",
    ],
)
def list_(
    shell: Shell,
    options: MeshOptions,
    all_components: Annotated[
        bool, typer.Option("--all-components", help=f"Also list the images of {' and '.join(OPTIONAL)}.")
    ] = False,
    samples: Annotated[
        list[Path] | None,
        typer.Option("--samples", metavar="PATH", help="Also list the images that YAML files in this folder name."),
    ] = None,
    addons: Annotated[
        list[Path] | None, typer.Option("--addons", metavar="PATH", help="The same, for Istio's add-ons.")
    ] = None,
) -> None:
    """List every image that the mesh pulls, one a line: pods' images, and those that istiod injects.

    The cluster is not read. With -v, also show the objects that name each image, and the images that only pods
    with a certain annotation pull.
    """
    from nksmesh.commands.images import Source, list_images

    request = request_of(shell, options, wiring.files(options.directory))
    request = request.with_every_component() if all_components else request
    beside = {Source.SAMPLES: wiring.manifests(samples or ()), Source.ADDONS: wiring.manifests(addons or ())}
    run(
        shell,
        lambda listener: list_images(
            request, wiring.offline_helm(shell), wiring.chart_store(), beside, listener=listener
        ),
    )
