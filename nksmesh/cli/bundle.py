"""``nksmesh bundle``: a mesh in one file, for a network without internet."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nksmesh.cli import wiring
from nksmesh.cli.command import command, command_group
from nksmesh.cli.mesh_options import MeshOptions, request_of
from nksmesh.cli.options import PlainHttp, RegistryConfig, Sha256, Shell
from nksmesh.cli.run import run

if TYPE_CHECKING:
    from nksmesh.commands.bundle import BundlePushed, BundleShown
    from nksmesh.domain.common.events import Listener

app = command_group("Carry a mesh in one file into a network without internet.")

BundleFile = Annotated[Path, typer.Argument(metavar="FILE", help="The bundle.")]


@command(
    app,
    shared=MeshOptions,
    examples=[
        "nksmesh bundle create mesh.tar -e prod --images",
        "nksmesh bundle create mesh.tar --hub HOST/REGISTRY/istio --images --from docker.io/istio",
    ],
)
def create(
    shell: Shell,
    options: MeshOptions,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The file to write.")],
    images: Annotated[bool, typer.Option("--images", help="Put the images in, too, as an OCI layout.")] = False,
    source: Annotated[
        str, typer.Option("--from", metavar="HUB", help="Where images are read from. Default: the mesh's own hub.")
    ] = "",
    platforms: Annotated[
        list[str] | None,
        typer.Option("--platform", metavar="OS/ARCH", help="Only the images for this platform. Can be repeated."),
    ] = None,
    istioctl: Annotated[
        Path | None, typer.Option("--istioctl", metavar="FILE", help="Put an archive of istioctl in, too.")
    ] = None,
    include_secrets: Annotated[
        bool, typer.Option("--include-secrets", help="Allow values that hold what looks like a secret.")
    ] = False,
    registry_config: RegistryConfig = None,
    plain_http: PlainHttp = None,
) -> None:
    """Put charts, values, charts.lock and, with --images, the images of a mesh into one file.

    The cluster is not read. The same inputs give the same file; its sha256 is printed. Tell it to whoever installs from
    the bundle: digests inside a file do not stop tampering.
    """
    from nksmesh.commands.bundle import BundleOptions
    from nksmesh.commands.bundle import create as workflow

    files = wiring.files(options.directory)
    request = request_of(shell, options, files)
    access = wiring.RegistryAccess(config=registry_config, plain_http=plain_http)
    values = wiring.values_of(files, options.environment)
    how = BundleOptions(
        file=file,
        values=values.files,
        secrets=values.secrets,
        images=images,
        source=source,
        platforms=tuple(platforms or ()),
        istioctl=istioctl,
        include_secrets=include_secrets,
    )

    async def work(listener: Listener) -> BundleShown:
        return await workflow(
            request,
            wiring.offline_helm(shell),
            wiring.chart_store(shell, offline=options.offline),
            access.open,
            wiring.bundles(),
            how,
            listener=listener,
        )

    run(shell, work)


@command(app, examples=["nksmesh bundle inspect mesh.tar", "nksmesh bundle inspect mesh.tar -o json"])
def inspect(shell: Shell, file: BundleFile) -> None:
    """Show what a bundle says it holds, and the sha256 of the file. Use verify to hold everything against that."""
    _look(shell, file, verify=False, sha256="")


@command(app, examples=["nksmesh bundle verify mesh.tar --sha256 HEX"])
def verify(shell: Shell, file: BundleFile, sha256: Sha256 = "") -> None:
    """Read the whole bundle, and make sure that every file is what its list says and that no image lacks a layer."""
    _look(shell, file, verify=True, sha256=sha256)


@command(app, examples=["nksmesh bundle push mesh.tar --to private-HOST/REGISTRY/istio"])
def push(
    shell: Shell,
    file: BundleFile,
    to: Annotated[
        str, typer.Option("--to", metavar="HUB", help="The registry path they go to: later the --hub of install.")
    ],
    sha256: Sha256 = "",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace tags that are other images.")] = False,
    verify_as: Annotated[
        str,
        typer.Option("--verify-as", metavar="HOST_OR_HUB", help="The address that the nodes pull from. Default: --to."),
    ] = "",
    registry_config: RegistryConfig = None,
    plain_http: PlainHttp = None,
) -> None:
    """Copy the images of a bundle into your registry, with the same digests. What is there is not sent again.

    An istioctl in the bundle becomes the artifact HUB/istioctl-tool:VERSION (see istioctl push).
    """
    from nksmesh.commands.bundle import push as workflow
    from nksmesh.engine.bundles import prove_file

    access = wiring.RegistryAccess(config=registry_config, plain_http=plain_http)

    async def work(listener: Listener) -> BundlePushed:
        with wiring.bundle(file) as bundle:
            if sha256:
                prove_file(bundle, bundle.digest(), sha256)
            async with access.open(to) as registries:
                return await workflow(
                    bundle, to, registries, overwrite=overwrite, verify_as=verify_as, listener=listener
                )

    run(shell, work)


def _look(shell: Shell, file: Path, *, verify: bool, sha256: str) -> None:
    from nksmesh.commands.bundle import inspect as workflow

    async def work(_listener: Listener) -> BundleShown:
        with wiring.bundle(file) as bundle:
            return await workflow(bundle, verify=verify, sha256=sha256)

    run(shell, work)
