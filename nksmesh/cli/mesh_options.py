"""The options that say which mesh is wanted, and how install goes about it: a dataclass whose fields Typer reads."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from nksmesh.cli import targets, wiring
from nksmesh.cli.options import (
    ChartSource,
    Directory,
    EnvironmentName,
    ForceVersion,
    ImageHub,
    IstioSamples,
    LockedOnly,
    Offline,
    PlainHttp,
    RegistryConfig,
    Sha256,
    Timeout,
)
from nksmesh.domain.common.errors import ConfigError

if TYPE_CHECKING:
    from nksmesh.cli.options import Shell
    from nksmesh.domain.common.findings import Finding
    from nksmesh.domain.mesh.catalog import Environment
    from nksmesh.engine.request import MeshRequest
    from nksmesh.engine.waiting import WaitOptions


@dataclass(frozen=True, kw_only=True)
class HubOptions:
    """What was said of where Istio is from, and of its version; empty is not said."""

    environment: EnvironmentName = ""
    directory: Directory = None
    region: Annotated[
        str,
        typer.Option(
            "--region",
            metavar="REGION",
            help="The NKS region whose registry provides the images. Default: the cluster's own region.",
        ),
    ] = ""
    network: Annotated[
        Literal["public", "private"] | None,
        typer.Option("--network", help="private uses the registry's address for closed networks."),
    ] = None
    hub: Annotated[
        str,
        typer.Option(
            "--hub", metavar="HUB", help="A registry of your own instead, such as registry.example.com/istio."
        ),
    ] = ""
    version: Annotated[str, typer.Option("--version", metavar="X.Y.Z", help="The Istio version, such as 1.20.0.")] = ""


@dataclass(frozen=True, kw_only=True)
class MeshOptions(HubOptions):
    """What was said of the mesh; empty is not said."""

    profile: Annotated[
        str,
        typer.Option("--profile", metavar="NAME", help="default (one ingress gateway) or demo (as in Istio's guides)."),
    ] = ""
    charts: ChartSource = ""
    files: Annotated[
        list[str] | None,
        typer.Option(
            "-f", "--values", metavar="COMPONENT=FILE", help="A values file for base, istiod, gateway or one release."
        ),
    ] = None
    sets: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="COMPONENT:KEY=VALUE", help="Set one value, written as for helm --set."),
    ] = None
    set_strings: Annotated[
        list[str] | None,
        typer.Option("--set-string", metavar="COMPONENT:KEY=VALUE", help="Set one value, always as a string."),
    ] = None
    set_json: Annotated[
        list[str] | None,
        typer.Option("--set-json", metavar="COMPONENT:KEY=JSON", help="Set one value, given as JSON."),
    ] = None
    set_files: Annotated[
        list[str] | None,
        typer.Option("--set-file", metavar="COMPONENT:KEY=PATH", help="Set one value to the content of a file."),
    ] = None
    allow_images: Annotated[
        list[str] | None,
        typer.Option("--allow-image", metavar="PREFIX", help="Allow images from registries other than the hub."),
    ] = None
    locked: LockedOnly = False
    offline: Offline = False
    force_version: ForceVersion = False


@dataclass(frozen=True, kw_only=True)
class SourceOptions(MeshOptions):
    """What is said of a mesh whose images are copied: its hub is where they are."""

    hub: Annotated[
        str,
        typer.Option(
            "--from",
            metavar="HUB",
            help="The registry path that the images are copied from. "
            "Default: docker.io/istio, or the registry of --region.",
        ),
    ] = ""


@dataclass(frozen=True, kw_only=True)
class WaitingOptions(MeshOptions):
    """The same, and how long is waited for what."""

    timeout: Timeout = "5m"
    address_timeout: Annotated[
        str,
        typer.Option(
            "--address-timeout",
            metavar="DURATION",
            help="How long to wait for a LoadBalancer's address: 30s, or 0 on a private network.",
        ),
    ] = ""
    graces: Annotated[
        list[str] | None,
        typer.Option(
            "--grace", metavar="CAUSE=DURATION", help="How long a failure may last before it ends the wait: crash=90s."
        ),
    ] = None


@dataclass(frozen=True, kw_only=True)
class ApplyOptions(WaitingOptions):
    """The same, and how it is applied."""

    prune: Annotated[bool, typer.Option("--prune", help="Remove releases that the mesh no longer has.")] = False


@dataclass(frozen=True, kw_only=True)
class PulledOptions:
    """How images are looked for in their registries before anything is written."""

    no_check_images: Annotated[
        bool,
        typer.Option(
            "--no-check-images",
            envvar="NKSMESH_NO_CHECK_IMAGES",
            help="Do not look for the images in their registry before anything is written.",
        ),
    ] = False
    registry_config: RegistryConfig = None
    plain_http: PlainHttp = None

    @property
    def registries(self) -> wiring.RegistryAccess:
        """How they are asked."""
        return wiring.RegistryAccess(config=self.registry_config, plain_http=self.plain_http)

    def looked_for(self, environment: Environment | None) -> bool:
        """Tell whether images are looked for: neither ``--no-check-images`` nor the environment says no."""
        return not self.no_check_images and (environment is None or environment.check_images)


@dataclass(frozen=True, kw_only=True)
class ImageOptions(PulledOptions):
    """What is made sure of before a mesh is written: its images in their registries, and the cluster's checks."""

    skip_checks: Annotated[
        list[str] | None,
        typer.Option(
            "--skip-check", metavar="ID", help="Continue although this check of nksmesh check fails. Can be repeated."
        ),
    ] = None


@dataclass(frozen=True, kw_only=True)
class SampleOptions(PulledOptions):
    """What is told to a command that applies objects of Istio's samples."""

    samples: IstioSamples = None
    image_hub: ImageHub = ""
    environment: EnvironmentName = ""
    directory: Directory = None
    timeout: Timeout = "5m"

    def target(self, shell: Shell) -> targets.Target:
        """Find the cluster, and the mesh in it by its record; with registries where images are looked for.

        Raises:
            ConfigError: As ``target_by_record`` says.
        """
        files = wiring.files(self.directory)
        where = targets.target_by_record(shell, self.environment, files, timeout=self.timeout)
        environment = files.mesh.environment(self.environment) if self.environment else None
        return replace(where, registries=self.registries if self.looked_for(environment) else None)


@dataclass(frozen=True, kw_only=True)
class InstallOptions(ApplyOptions, ImageOptions):
    """What ``nksmesh install`` is told."""

    bundle: Annotated[
        Path | None,
        typer.Option(
            "--bundle",
            metavar="FILE",
            help="Take charts and values from a bundle (nksmesh bundle). Implies --offline.",
        ),
    ] = None
    sha256: Sha256 = ""


@dataclass(frozen=True, kw_only=True)
class UpgradeOptions(InstallOptions):
    """The same for ``nksmesh upgrade``, which is told where to by ``--to``."""

    version: Annotated[
        str, typer.Option("--to", metavar="X.Y.Z", help="The Istio version to change to, such as 1.20.1.")
    ] = field()


@dataclass(frozen=True, kw_only=True)
class CanaryOptions(WaitingOptions, ImageOptions):
    """The same for ``nksmesh canary start``, which removes nothing."""

    version: Annotated[
        str, typer.Option("--to", metavar="X.Y.Z", help="The Istio version to change to, such as 1.22.8.")
    ] = field()


@dataclass(frozen=True, kw_only=True)
class RevisionOptions:
    """What is said of a mesh whose settings are all in its record: by the commands that are about Istio revisions."""

    environment: EnvironmentName = ""
    directory: Directory = None
    charts: ChartSource = ""
    locked: LockedOnly = False
    force_version: ForceVersion = False
    timeout: Timeout = "5m"


def settings_of(shell: Shell, options: WaitingOptions) -> tuple[MeshRequest, targets.Target]:
    """Read the options of a command that writes: what is asked for, and what the command works on.

    Raises:
        ConfigError: Something is unknown, wrong in one of the files, or the environment and the options name different
            clusters.
        CheckError: The version is not supported, or not provided by the region.
    """
    files = wiring.files(options.directory)
    findings: tuple[Finding, ...] = ()
    if isinstance(options, InstallOptions):
        files, options, findings = _of_bundle(shell, options, files)
    request = replace(request_of(shell, options, files), findings=findings)
    if request.environment and isinstance(options, InstallOptions) and options.bundle:
        # Which cluster is meant is said here, not by a file from elsewhere: a kubeconfig may name a program to run.
        request = replace(request, environment=replace(request.environment, kubeconfig="", context="", sandbox=""))
    where = targets.target(shell, request.environment, files.folder)
    registries = None
    if isinstance(options, ImageOptions):
        registries = options.registries
        request = replace(
            request,
            check_images=options.looked_for(request.environment),
            skipped_checks=tuple(options.skip_checks or ()),
        )
    return request, replace(where, waits=wait_options_of(options), registries=registries, offline=options.offline)


def settings_to_check(
    shell: Shell, options: MeshOptions, registry_config: Path | None, plain_http: list[str] | None
) -> tuple[MeshRequest, targets.Target]:
    """Put together what a command goes by that looks at a mesh, installed or not, and asks registries.

    Raises:
        ConfigError: As ``request_of`` says; or the environment and the options name different clusters.
    """
    files = wiring.files(options.directory)
    # a version that the mesh would be upgraded to is looked at, too
    request = replace(request_of(shell, options, files, installed=True), allow_version_change=True)
    access = wiring.RegistryAccess(config=registry_config, plain_http=plain_http)
    where = targets.target(shell, request.environment, files.folder)
    return request, replace(where, registries=access, offline=options.offline)


def _of_bundle(
    shell: Shell, options: InstallOptions, files: wiring.Files
) -> tuple[wiring.Files, InstallOptions, tuple[Finding, ...]]:
    """Take charts, values and the version from a bundle, where one is given.

    Raises:
        ConfigError: The bundle is not alone in saying where charts and values are from, or cannot be read.
        BundleError: It is damaged, or another file than was said.
    """
    if options.bundle is None:
        if options.sha256:
            raise ConfigError("--sha256 works only with --bundle", hint="Pass --bundle FILE, too.")
        return files, options, ()
    for option, given in (("--dir", options.directory), ("--charts", options.charts)):
        if given:
            raise ConfigError(
                f"{option} contradicts --bundle, which brings charts and values", hint="Leave one of them out."
            )
    unpacked = wiring.unpacked_bundle(shell, options.bundle, options.sha256, files.lock)
    contents = unpacked.contents
    said = replace(
        options,
        offline=True,
        environment=options.environment or contents.environment,
        version=options.version or contents.version,
        charts=contents.charts[0].source,
    )
    if not said.environment:
        elsewhere = bool(options.hub or options.region)
        said = replace(
            said,
            profile=options.profile or contents.profile,
            network=options.network or ("private" if contents.network == "private" else "public"),
            region=options.region or ("" if elsewhere else contents.region),
            hub=options.hub or ("" if elsewhere or contents.region else contents.hub),
        )
    return unpacked.files, said, unpacked.findings


def revision_settings(shell: Shell, options: RevisionOptions) -> tuple[MeshRequest, targets.Target]:
    """Read the options; the environment tells the cluster alone, for values are as recorded.

    Raises:
        ConfigError: As ``settings_of`` says.
    """
    files = wiring.files(options.directory)
    where = targets.target_of_mesh(shell, options.environment, files, timeout=options.timeout)
    request = request_of(shell, ApplyOptions(**{**vars(options), "environment": ""}), files)
    return replace(request, options=replace(request.options, namespace=where.namespace)), where


def request_of(shell: Shell, options: MeshOptions, files: wiring.Files, *, installed: bool = False) -> MeshRequest:
    """Read what the options name, the environment, the catalog, values files, charts.lock, and check them.

    Args:
        installed: The cluster is asked, though nothing is waited for: omitted options keep their installed values.

    Raises:
        ConfigError: Something is unknown, or wrong in one of the files.
        CheckError: The version is not supported, or not provided by the region.
    """
    from datetime import UTC, datetime

    from nksmesh.domain.mesh.mesh import Network
    from nksmesh.domain.mesh.request import Request
    from nksmesh.domain.mesh.request_check import check_request
    from nksmesh.domain.values.set_values import SetKind, parse_set
    from nksmesh.engine.request import MeshRequest

    sets = {
        SetKind.JSON: options.set_json,
        SetKind.VALUE: options.sets,
        SetKind.STRING: options.set_strings,
        SetKind.FILE: options.set_files,
    }
    request = MeshRequest(
        options=Request(
            region=options.region,
            network=Network(options.network) if options.network else None,
            hub=options.hub,
            version=options.version,
            profile=options.profile,
            namespace=shell.namespace,
            charts=wiring.chart_source(options.charts),
            values_files=tuple(files.mesh.values_option(text) for text in options.files or ()),
            sets=tuple(parse_set(text, kind, files.mesh.text) for kind, texts in sets.items() for text in texts or ()),
            allow_images=tuple(options.allow_images or ()),
        ),
        catalog=files.mesh.catalog(),
        environment=files.mesh.environment(options.environment) if options.environment else None,
        lock=files.lock.read(),
        today=datetime.now(UTC).date(),
        offline=options.offline,
        locked=options.locked,
        force_version=options.force_version,
        prune=isinstance(options, ApplyOptions) and options.prune,
    )
    check_request(
        request.options,
        request.catalog,
        request.environment,
        force_version=request.force_version,
        # Where the cluster is asked, its record may have that an earlier run was given --force-version for this one.
        record_follows=installed or isinstance(options, WaitingOptions),
    )
    return request


def wait_options_of(options: WaitingOptions) -> WaitOptions:
    """Read how long is waited for what.

    Raises:
        ConfigError: A duration is none, or a cause has no grace.
    """
    from nksmesh.domain.common.durations import parse_duration
    from nksmesh.domain.kube.diagnosis import GRACES, grace_option
    from nksmesh.engine.waiting import WaitOptions

    return WaitOptions(
        component=targets.timeout_seconds(options.timeout),
        address=parse_duration(options.address_timeout, "--address-timeout") if options.address_timeout else None,
        graces={**GRACES, **dict(grace_option(text) for text in options.graces or ())},
    )
