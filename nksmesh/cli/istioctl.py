"""``nksmesh istioctl``: fetch istioctl, push it to a registry, and run it on the right cluster."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from typer.main import get_group

from nksmesh.cli import targets, wiring
from nksmesh.cli.command import Group, command, command_group
from nksmesh.cli.mesh_options import HubOptions, MeshOptions, request_of
from nksmesh.cli.options import Directory, EnvironmentName, PlainHttp, RegistryConfig, Shell
from nksmesh.cli.run import run, run_on
from nksmesh.domain.common.errors import IstioctlError
from nksmesh.domain.common.paths import at_home

if TYPE_CHECKING:
    from nksmesh.commands.istioctl.fetch import IstioctlFetched
    from nksmesh.commands.istioctl.push import IstioctlPushed
    from nksmesh.domain.common.events import Listener
    from nksmesh.engine.ports import Cluster, IstioctlProgram

REGISTRY: Final = "registry"
RELEASE: Final = "release"
_RUN: Final = "run"


class _Istioctl(Group):
    """The group, which takes what stands behind ``--`` for a command line of istioctl's own."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the arguments; ``[OPTIONS] -- ARGS`` names no command, and runs istioctl."""
        head = args[: args.index("--")] if "--" in args else args
        own = len(head) < len(args) and not set(head) & set(self.commands)
        return super().parse_args(ctx, [_RUN, *args] if own else args)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return a command; ``run`` has no place in the help, for its name is ``--``."""
        return get_group(_passing).commands[_RUN] if cmd_name == _RUN else super().get_command(ctx, cmd_name)


app = command_group(
    "Fetch istioctl, push it to a registry, and run it on the right cluster: nksmesh istioctl -- ARGS.", cls=_Istioctl
)
_passing = command_group()

Version = Annotated[
    str,
    typer.Option("--version", metavar="X.Y.Z", help="Which fetched istioctl. Default: the one that was fetched last."),
]


@dataclass(frozen=True, kw_only=True)
class ClusterOptions:
    """Which cluster istioctl works on, and which istioctl."""

    environment: EnvironmentName = ""
    directory: Directory = None
    version: Version = ""


@command(
    app,
    shared=HubOptions,
    examples=[
        "nksmesh istioctl fetch --region kr1 --version 1.20.0",
        "nksmesh istioctl fetch --hub HOST/REGISTRY/istio --version 1.30.2",
        "nksmesh istioctl fetch --from release --version 1.30.2",
        "nksmesh istioctl fetch --from istio-1.30.2-linux-amd64.tar.gz",
    ],
)
def fetch(
    shell: Shell,
    options: HubOptions,
    source: Annotated[
        str,
        typer.Option(
            "--from",
            metavar="SOURCE",
            help="registry: HUB/istioctl-tool:VERSION. release: Istio's own release archive, or the URL of a server "
            "with the same folders. Or a file: istio-X.Y.Z-linux-amd64.tar.gz.",
        ),
    ] = REGISTRY,
    locked: Annotated[
        bool, typer.Option("--locked", help="Refuse an archive that is not pinned in charts.lock.")
    ] = False,
    registry_config: RegistryConfig = None,
    plain_http: PlainHttp = None,
) -> None:
    """Fetch istioctl and Istio's samples into the cache, and show where they are.

    The archive is the one for this machine. A download that broke off goes on where it was. Its digest is compared with
    charts.lock; in a folder of your own (nksmesh init), a new one is added there. The cluster is read only if neither a
    region nor a hub nor an environment is given.
    """
    from nksmesh.commands.istioctl.fetch import FetchOptions, fetch_file, fetch_from_registry, fetch_release
    from nksmesh.domain.istioctl.archive import RELEASES

    files = wiring.files(options.directory)
    cache = wiring.istioctl_cache()
    how = FetchOptions(
        platform=wiring.istioctl_platform(), locks=files.lock, locked=locked, pin=files.folder is not None
    )
    url = RELEASES if source == RELEASE else source if "://" in source else ""
    if source != REGISTRY and not url:
        file = at_home(source)
        run(shell, lambda listener: fetch_file(file, options.version, cache, how, listener=listener))
        return
    # which Kubernetes a version supports is nothing to istioctl
    request = request_of(shell, MeshOptions(**vars(options), force_version=True), files)
    access = wiring.RegistryAccess(config=registry_config, plain_http=plain_http)

    async def work(cluster: Cluster | None, listener: Listener) -> IstioctlFetched:
        if not url:
            return await fetch_from_registry(request, cluster, access.open, cache, how, listener=listener)
        async with wiring.istio_releases(url) as releases:
            return await fetch_release(request, cluster, releases, url, cache, how, listener=listener)

    if options.region or options.hub or options.environment or (url and options.version):
        run(shell, lambda listener: work(None, listener))
    else:
        where = targets.target(shell, request.environment, files.folder)
        run_on(shell, where, lambda runtime: work(runtime.cluster, runtime.listener))


@command(app, examples=["nksmesh istioctl push istio-1.30.2-linux-amd64.tar.gz --to HOST/REGISTRY/istio"])
def push(
    shell: Shell,
    files: Annotated[
        list[Path],
        typer.Argument(metavar="FILE...", help="Istio's release archives of one version, one for each platform."),
    ],
    to: Annotated[
        str, typer.Option("--to", metavar="HUB", help="The registry path that it goes to: later the --hub of fetch.")
    ],
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an artifact that has other files.")] = False,
    registry_config: RegistryConfig = None,
    plain_http: PlainHttp = None,
) -> None:
    """Push Istio's release archives to your registry, as the artifact HUB/istioctl-tool:VERSION.

    It has the form that the NKS registries have: istioctl fetch and oras pull both take it. The archives are checked
    first. The same files always make the same artifact.
    """
    from nksmesh.commands.istioctl.push import push as workflow

    access = wiring.RegistryAccess(config=registry_config, plain_http=plain_http)
    cache = wiring.istioctl_cache()

    async def work(listener: Listener) -> IstioctlPushed:
        async with access.open(to) as registries:
            return await workflow(files, to, cache, registries, overwrite=overwrite, listener=listener)

    run(shell, work)


@command(
    app, shared=ClusterOptions, examples=["nksmesh istioctl analyze", "nksmesh istioctl analyze -n default -o json"]
)
def analyze(shell: Shell, options: ClusterOptions) -> None:
    """Analyze the Istio configuration of the cluster with istioctl: of all namespaces, or of the one that -n names.

    Exits with 7 if istioctl finds an error. Warnings and infos do not fail.
    """
    from nksmesh.commands.istioctl.reports import analyze as workflow

    program, version = _program(replace(shell, namespace=""), options)
    run(shell, lambda _: workflow(program, version, shell.namespace))


@command(
    app,
    shared=ClusterOptions,
    examples=["nksmesh istioctl proxy-status", "nksmesh istioctl proxy-status -n default -o json"],
)
def proxy_status(shell: Shell, options: ClusterOptions) -> None:
    """Show which configuration each proxy has taken from istiod: of all namespaces, or of the one that -n names.

    Exits with 7 if a proxy rejects its configuration. One that has not taken the last one yet is a warning.
    """
    from nksmesh.commands.istioctl.reports import proxy_status as workflow

    program, version = _program(replace(shell, namespace=""), options)
    run(shell, lambda _: workflow(program, version, shell.namespace))


@command(_passing, _RUN, shared=ClusterOptions, examples=["nksmesh istioctl -- version"])
def pass_on(
    shell: Shell,
    options: ClusterOptions,
    arguments: Annotated[list[str], typer.Argument(metavar="ARGS...", help="A command line of istioctl.")],
) -> None:
    """Run istioctl on the cluster; its exit code is this command's."""
    program, _ = _program(shell, options)
    program.become(arguments)


def _program(shell: Shell, options: ClusterOptions) -> tuple[IstioctlProgram, str]:
    """Find the istioctl that is meant, with the cluster that it works on, and its version.

    Raises:
        IstioctlError: It was not fetched.
        ConfigError: The environment and the options name different clusters.
    """
    where = targets.target_of_mesh(shell, options.environment, wiring.files(options.directory))
    fetched = wiring.fetched_istioctl(options.version)
    if fetched is None:
        said = {"-e": options.environment, "--version": options.version}
        words = [word for option, text in said.items() if text for word in (option, text)]
        raise IstioctlError(
            f"istioctl {options.version} is not in the cache" if options.version else "no istioctl is in the cache",
            hint=f"Run {shlex.join(['nksmesh', 'istioctl', 'fetch', *words])}",
        )
    return wiring.istioctl(fetched, where), fetched.archive.version
