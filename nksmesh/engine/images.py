"""The images of a plan, or of objects that are to be applied, looked for in their registries.

Before a run writes anything its images are proved: pods that would wait for an image for ever are not made.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace
from typing import Final

from nksmesh.domain.common.findings import Finding, Level
from nksmesh.domain.images.reference import parse_reference
from nksmesh.domain.kube.images import images_of
from nksmesh.domain.kube.objects import Manifest
from nksmesh.domain.mesh.mesh import Mesh
from nksmesh.domain.plan.plan import ReleaseChange
from nksmesh.domain.plan.pull_secrets import NewPullSecret, wanted_secrets
from nksmesh.engine.image_lookup import CheckedImage, check_images
from nksmesh.engine.pull_secrets import secrets_of_pods
from nksmesh.engine.runtime import Runtime

_PROOF_SECONDS: Final = 15.0
"""How long a run waits for registries before it goes on with a warning."""


async def prove_images(
    changes: Iterable[ReleaseChange],
    mesh: Mesh,
    runtime: Runtime,
    *,
    later: Collection[str] = (),
    new: NewPullSecret | None = None,
    offline: bool = False,
) -> tuple[Finding, ...]:
    """Look for the images of the releases that are to be written.

    Args:
        later: The versions that the same command goes on to: the hub must have the same images of these.
        new: The pull secret that the run makes.
        offline: Ask the hub's registry alone.

    Returns:
        A failure for each image that pods would not get; a warning for each registry that cannot be reached from here.

    Raises:
        ConfigError: As ``look_for_images`` says.
        ClusterError: The cluster cannot be reached.
    """
    written = tuple(change for change in changes if change.reasons)
    if runtime.registries is None or not written:
        return ()
    checked = await look_for_images(
        written, mesh, runtime, later=later, new=new, patience=_PROOF_SECONDS, offline=offline
    )
    return _proved(checked)


async def prove_images_of(
    manifests: Iterable[Manifest], runtime: Runtime, *, hub: str = "", injector: Manifest | None = None
) -> tuple[Finding, ...]:
    """Look for the images of objects that are to be applied and are of no release: samples and add-ons.

    Args:
        manifests: The objects, each with its namespace.
        hub: The registry path that the images were asked from; empty where each is from its own.
        injector: As ``secrets_of_pods`` takes it.

    Returns:
        As ``prove_images`` does.

    Raises:
        ConfigError: This machine's logins, or the pods', cannot be read.
        ClusterError: The cluster cannot be reached.
    """
    known = tuple(manifests)
    names = dict.fromkeys(image.image for image in images_of(known, ""))
    if runtime.registries is None or not names:
        return ()
    secrets = await secrets_of_pods(known, runtime.cluster, injector)
    async with runtime.registries.open(hub) as registries:
        checked = await check_images(names, secrets, runtime.cluster, registries, patience=_PROOF_SECONDS)
    return _proved(
        replace(image, findings=tuple(_with_next_step(finding, hub) for finding in image.findings)) for image in checked
    )


def _proved(checked: Iterable[CheckedImage]) -> tuple[Finding, ...]:
    found = softened(finding for image in checked for finding in image.findings)
    return tuple(_with_way_around(finding) for finding in found)


def softened(findings: Iterable[Finding], option: str = "--no-check-images") -> tuple[Finding, ...]:
    """Make one warning for each registry that cannot be reached from here; all other findings stay.

    Args:
        option: The option that leaves the registry out.
    """
    found = tuple(findings)
    unreached = {parse_reference(finding.subject).host: finding for finding in found if _unreached(finding)}
    return (
        *(_not_proved(host, finding, option) for host, finding in unreached.items()),
        *(finding for finding in found if not _unreached(finding)),
    )


async def look_for_images(
    changes: Iterable[ReleaseChange],
    mesh: Mesh,
    runtime: Runtime,
    *,
    later: Collection[str] = (),
    beside: Iterable[str] = (),
    new: NewPullSecret | None = None,
    patience: float | None = None,
    offline: bool = False,
) -> tuple[CheckedImage, ...]:
    """Look for every image that pods of some releases pull, with the logins that these will have.

    Args:
        runtime: One that opens registries.
        beside: Images that are of no release, and are looked for, too.
        patience: Seconds that each image may take; None for as long as it takes.
        offline: Ask the hub's registry alone.

    Raises:
        ConfigError: This machine's logins, or the pods', cannot be read.
        ClusterError: The cluster cannot be reached.
    """
    wanted = tuple(changes)
    named = [name for change in wanted for name in change.pulled]
    ours = [name for name in named if name.startswith(f"{mesh.hub}/")]
    named += [name.replace(f":{mesh.version}", f":{version}") for version in later for name in ours]
    named += beside
    if offline:
        host = mesh.hub.partition("/")[0]
        named = [name for name in named if name.startswith(f"{host}/")]
    if runtime.registries is None or not named:
        return ()
    async with runtime.registries.open(mesh.hub) as registries:
        checked = await check_images(
            dict.fromkeys(named), wanted_secrets(wanted), runtime.cluster, registries, new=new, patience=patience
        )
    versions = (mesh.version, *later)
    return tuple(
        replace(image, findings=tuple(_with_mirror(finding, mesh, versions) for finding in image.findings))
        for image in checked
    )


def _with_mirror(finding: Finding, mesh: Mesh, versions: Collection[str]) -> Finding:
    """Name the command that brings an image which an own hub lacks."""
    if finding.id != "images.missing" or not mesh.own_hub or not finding.subject.startswith(f"{mesh.hub}/"):
        return finding
    tag = parse_reference(finding.subject).tag
    version = next((version for version in versions if tag.startswith(version)), mesh.version)
    command = f"nksmesh images mirror --to {mesh.hub} --version {version}"
    return replace(finding, hint=f"Run {command}, or pass another --hub or --version.")


def _with_next_step(finding: Finding, hub: str) -> Finding:
    """Say what brings an image of objects that are no mesh's, or the login for it."""
    if finding.id == "images.no-pull-secret":
        way = "Name a pull secret in the pod template's imagePullSecrets, unless the nodes have a login of their own."
    elif finding.id == "images.missing" and hub:
        way = f"Run nksmesh images mirror --to {hub} --samples FOLDER, or pass another --image-hub."
    elif finding.id == "images.missing":
        way = "Pass --image-hub with a registry path that has it."
    else:
        return finding
    return replace(finding, hint=way)


def _unreached(finding: Finding) -> bool:
    return finding.id == "images.unreachable"


def _not_proved(host: str, finding: Finding, option: str) -> Finding:
    """Let a registry that cannot be reached from here stop nothing: the nodes may reach it."""
    return replace(
        finding,
        level=Level.WARNING,
        subject=host,
        message=f"{finding.message}; its images were not looked for",
        hint=f"Check that this machine can reach {host}, or pass {option}.",
    )


def _with_way_around(finding: Finding) -> Finding:
    """Say how a run goes on where nodes have more than can be seen from here: a login, or the image itself."""
    if finding.level is not Level.FAILURE:
        return finding
    return replace(finding, hint=f"{finding.hint} Pass --no-check-images if the nodes can have it all the same.")
