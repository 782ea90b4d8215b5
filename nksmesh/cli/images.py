"""``nksmesh images``: the images of a mesh, apart from any cluster."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from nksmesh.cli import wiring
from nksmesh.cli.command import command, command_group
from nksmesh.cli.mesh_options import MeshOptions, SourceOptions, request_of, settings_to_check
from nksmesh.cli.options import ImageHub, PlainHttp, RegistryConfig, Shell
from nksmesh.cli.run import run, run_on
from nksmesh.domain.charts.releases import OPTIONAL

if TYPE_CHECKING:
    from nksmesh.commands.mirror import ImageMirror
    from nksmesh.domain.common.events import Listener

ISTIO_HUB: Final = "docker.io/istio"
"""Where Istio's own images are (istio.io, "Installation Configuration Profiles")."""

app = command_group("List the images that a mesh pulls, look for them in their registries, and copy them to your own.")

Samples = Annotated[
    list[Path] | None,
    typer.Option("--samples", metavar="PATH", help="Also take the images that YAML files in this folder name."),
]
Addons = Annotated[list[Path] | None, typer.Option("--addons", metavar="PATH", help="The same, for Istio's add-ons.")]


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
    samples: Samples = None,
    addons: Addons = None,
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
            request,
            wiring.offline_helm(shell),
            wiring.chart_store(shell, offline=options.offline),
            beside,
            listener=listener,
        ),
    )


@command(
    app,
    shared=MeshOptions,
    examples=[
        "nksmesh images check --hub HOST/REGISTRY/istio --version 1.30.2",
        "nksmesh images check -e prod --addons samples/addons -o json",
    ],
)
def check(
    shell: Shell,
    options: MeshOptions,
    samples: Samples = None,
    addons: Addons = None,
    image_hub: ImageHub = "",
    registry_config: RegistryConfig = None,
    plain_http: PlainHttp = None,
) -> None:
    """Check that each image of the mesh exists, that the pods' pull secret may pull it, and that it fits the nodes.

    Nothing is pulled or written. Exits with 3 if a pod would not get its image. Images of samples and add-ons are
    looked for as their files name them, or with --image-hub where sample deploy and addons install find them.
    """
    from nksmesh.commands.images import check as workflow

    request, where = settings_to_check(shell, options, registry_config, plain_http)
    beside = wiring.manifests([*(samples or ()), *(addons or ())])
    run_on(shell, where, lambda runtime: workflow(request, runtime, beside, image_hub=image_hub))


@command(
    app,
    shared=SourceOptions,
    examples=[
        "nksmesh images mirror --to HOST/REGISTRY/istio --version 1.30.2",
        "nksmesh images mirror --to HOST/REGISTRY/istio --version 1.30.2 --platform linux/amd64 --charts-too",
        "nksmesh images mirror --to HOST/REGISTRY/istio --version 1.30.2 --addons samples/addons/kiali.yaml",
        "nksmesh images mirror --to HOST/REGISTRY/istio --version 1.30.2 --verify-as private-HOST --dry-run",
    ],
)
def mirror(
    shell: Shell,
    options: SourceOptions,
    to: Annotated[
        str, typer.Option("--to", metavar="HUB", help="The registry path they go to: later the --hub of install.")
    ],
    all_components: Annotated[
        bool, typer.Option("--all-components", help=f"Also copy the images of {' and '.join(OPTIONAL)}.")
    ] = False,
    charts_too: Annotated[
        bool, typer.Option("--charts-too", help="Also copy the charts, to HUB/charts/NAME:VERSION.")
    ] = False,
    samples: Samples = None,
    addons: Addons = None,
    platforms: Annotated[
        list[str] | None,
        typer.Option(
            "--platform",
            metavar="OS/ARCH",
            help="Copy the images for this platform only. Changes the index and its digest. Can be repeated.",
        ),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace tags that are other images.")] = False,
    verify_as: Annotated[
        str,
        typer.Option(
            "--verify-as",
            metavar="HOST_OR_HUB",
            help="The address that the nodes pull from, such as NCR's private- host. Default: --to.",
        ),
    ] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be copied. Write nothing.")] = False,
    registry_config: RegistryConfig = None,
    plain_http: PlainHttp = None,
) -> None:
    """Copy every image of the mesh into your own registry, with its attestations and the same digest.

    The cluster is not read. What the registry has already is not sent again: run the same command again after an
    interruption. At the end, each copy is looked for as the nodes will. Images of samples and add-ons go where
    --image-hub of sample deploy and addons install finds them: HUB and the last part of their name.
    """
    from nksmesh.commands.mirror import mirror_images
    from nksmesh.engine.copies import MirrorOptions

    source = replace(options, hub=options.hub or ("" if options.region else ISTIO_HUB))
    request = request_of(shell, source, wiring.files(options.directory))
    request = request.with_every_component() if all_components else request
    how = MirrorOptions(
        to=to, platforms=tuple(platforms or ()), overwrite=overwrite, verify_as=verify_as, dry_run=dry_run
    )

    access = wiring.RegistryAccess(config=registry_config, plain_http=plain_http)

    async def copy(listener: Listener) -> ImageMirror:
        async with access.open(to) as registries:
            return await mirror_images(
                request,
                wiring.offline_helm(shell),
                wiring.chart_store(shell, offline=options.offline),
                registries,
                how,
                charts_too=charts_too,
                beside=wiring.manifests([*(samples or ()), *(addons or ())]),
                listener=listener,
            )

    run(shell, copy)
