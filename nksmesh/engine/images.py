"""Looking for the images of a plan in their registries, with the logins that pods will have.

Before a run writes anything its images are proved: pods that would wait for an image for ever are not made.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from nksmesh.domain.common.errors import DeniedImageError, ImageError, MissingImageError
from nksmesh.domain.common.findings import Finding, Level
from nksmesh.domain.images.login import Login, login_for, logins_in
from nksmesh.domain.images.manifest import FoundManifest
from nksmesh.domain.images.reference import Reference, parse_reference
from nksmesh.domain.kube.objects import ObjectRef
from nksmesh.domain.mesh.mesh import Mesh
from nksmesh.domain.plan.plan import ReleaseChange
from nksmesh.domain.plan.pull_secrets import NewPullSecret, wanted_secrets
from nksmesh.engine.permissions import where_allowed
from nksmesh.engine.ports import Cluster, Registries
from nksmesh.engine.runtime import Runtime

_ARCHITECTURE: Final = "kubernetes.io/arch"
_SYSTEM: Final = "kubernetes.io/os"
_MOST_NODES: Final = 1000
_PROOF_SECONDS: Final = 15.0
"""How long a run waits for registries before it goes on with a warning."""


@dataclass(frozen=True, kw_only=True)
class CheckedImage:
    """An image that was looked for.

    Attributes:
        login: Whose login found it; empty where none was needed.
        found: What the registry has; None where it has nothing for these pods.
    """

    image: str
    login: str = ""
    found: FoundManifest | None = None
    findings: tuple[Finding, ...] = ()


async def prove_images(
    changes: Iterable[ReleaseChange],
    mesh: Mesh,
    runtime: Runtime,
    *,
    later: Collection[str] = (),
    new: NewPullSecret | None = None,
) -> tuple[Finding, ...]:
    """Look for the images of the releases that are to be written.

    Args:
        later: The versions that the same command goes on to: the hub must have the same images of these.
        new: The pull secret that the run makes.

    Returns:
        A failure for each image that pods would not get; a warning for each registry that cannot be reached from here.

    Raises:
        ConfigError: As ``look_for_images`` says.
        ClusterError: The cluster cannot be reached.
    """
    written = tuple(change for change in changes if change.reasons)
    if runtime.registries is None or not written:
        return ()
    try:
        async with asyncio.timeout(_PROOF_SECONDS):
            checked = await look_for_images(written, mesh, runtime, later=later, new=new)
    except TimeoutError:
        message = f"the registry of {mesh.hub} does not answer within {_PROOF_SECONDS:.0f} s"
        late = failure_of(mesh.hub, ImageError(message, hint="", passing=True))
        checked = (CheckedImage(image=mesh.hub, findings=(late,)),)
    findings = [finding for image in checked for finding in image.findings]
    unreached = {parse_reference(finding.subject).host: finding for finding in findings if _unreached(finding)}
    return (
        *(_not_proved(host, finding) for host, finding in unreached.items()),
        *(_with_way_around(finding) for finding in findings if not _unreached(finding)),
    )


async def look_for_images(
    changes: Iterable[ReleaseChange],
    mesh: Mesh,
    runtime: Runtime,
    *,
    later: Collection[str] = (),
    new: NewPullSecret | None = None,
) -> tuple[CheckedImage, ...]:
    """Look for every image that pods of some releases pull, with the logins that these will have.

    Args:
        runtime: One that opens registries.

    Raises:
        ConfigError: This machine's logins, or the pods', cannot be read.
        ClusterError: The cluster cannot be reached.
    """
    wanted = tuple(changes)
    named = [image.image for change in wanted for image in change.images if not image.opt_in]
    ours = [name for name in named if name.startswith(f"{mesh.hub}/")]
    named += [name.replace(f":{mesh.version}", f":{version}") for version in later for name in ours]
    if runtime.registries is None or not named:
        return ()
    async with runtime.registries(mesh.hub) as registries:
        checked = await check_images(dict.fromkeys(named), wanted_secrets(wanted), runtime.cluster, registries, new=new)
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


def _unreached(finding: Finding) -> bool:
    return finding.id == "images.unreachable"


def _not_proved(host: str, finding: Finding) -> Finding:
    """Let a registry that cannot be reached from here stop nothing: the nodes may reach it."""
    return replace(
        finding,
        level=Level.WARNING,
        subject=host,
        message=f"{finding.message}; its images were not looked for",
        hint=f"Check that this machine can reach {host}, or pass --no-check-images.",
    )


def _with_way_around(finding: Finding) -> Finding:
    """Say how a run goes on where nodes have more than can be seen from here: a login, or the image itself."""
    if finding.level is not Level.FAILURE:
        return finding
    return replace(finding, hint=f"{finding.hint} Pass --no-check-images if the nodes can have it all the same.")


async def check_images(
    images: Iterable[str],
    secrets: Iterable[ObjectRef],
    cluster: Cluster,
    registries: Registries,
    *,
    new: NewPullSecret | None = None,
) -> tuple[CheckedImage, ...]:
    """Look for images, several at a time, each as the pods will pull it.

    Args:
        images: The images, as pods name them.
        secrets: The pull secrets of the pods that pull them.
        new: The one that is to be made before they do.

    Raises:
        ConfigError: This machine's logins cannot be read.
        ClusterError: The cluster cannot be reached.
    """
    logins, platforms = await asyncio.gather(_logins(secrets, cluster, new), _platforms(cluster))
    return tuple(await asyncio.gather(*(_checked(image, logins, platforms, registries) for image in images)))


async def _checked(
    name: str, pods: Mapping[str, Login], platforms: frozenset[str], registries: Registries
) -> CheckedImage:
    image = parse_reference(name)
    login = login_for(image, pods)
    try:
        found, doubts = await _found(image, login, registries)
    except ImageError as error:
        return CheckedImage(image=name, login=login.source if login else "", findings=(failure_of(name, error),))
    return CheckedImage(
        image=name,
        login=login.source if login else "",
        found=found,
        findings=(*doubts, *_check_platforms(name, found, platforms)),
    )


async def _found(
    image: Reference, login: Login | None, registries: Registries
) -> tuple[FoundManifest, tuple[Finding, ...]]:
    """Look for an image as pods do, and as this machine may where pods have no login."""
    try:
        return await registries.find(image, login), ()
    except DeniedImageError:
        own = None if login else await registries.login(image)
        if own is None:
            raise
    found = await registries.find(image, own)
    return found, (
        Finding(
            id="images.no-pull-secret",
            level=Level.WARNING,
            subject=str(image),
            message=f"{image} needs a login: {own.source} of this machine has one, and the pods have none",
            hint="Name a pull secret in pull_secrets of mesh.yaml, unless the nodes have a login of their own.",
        ),
    )


def _check_platforms(name: str, found: FoundManifest, platforms: frozenset[str]) -> tuple[Finding, ...]:
    """Find an index without an image for some of the nodes."""
    lacking = sorted(platforms - set(found.platforms)) if found.platforms else []
    if not lacking:
        return ()
    return (
        Finding(
            id="images.missing-platform",
            level=Level.FAILURE if len(lacking) == len(platforms) else Level.WARNING,
            subject=name,
            message=f"{name} has no image for {', '.join(lacking)}, which nodes of this cluster are",
            hint="Copy the image for these, too.",
            error=ImageError,
        ),
    )


def failure_of(name: str, error: ImageError) -> Finding:
    """Make a finding of why an image cannot be had."""
    match error:
        case MissingImageError():
            rule = "images.missing"
        case DeniedImageError():
            rule = "images.denied"
        case _:
            rule = "images.unreachable" if error.passing else "images.unusable"
    return Finding(id=rule, subject=name, message=error.message, hint=error.hint, detail=error.detail, error=ImageError)


async def _logins(secrets: Iterable[ObjectRef], cluster: Cluster, new: NewPullSecret | None) -> dict[str, Login]:
    """Read the pull secrets of pods; one that is not there, or that may not be read, gives no login."""
    refs = tuple(secrets)
    read = await asyncio.gather(*(where_allowed(cluster.objects.get(ref), None) for ref in refs))
    logins: dict[str, Login] = {}
    for ref, secret in zip(refs, read, strict=True):
        if new is not None and ref.name == new.name and new.may_replace(secret):
            logins[new.registry] = new.login
            continue
        logins |= logins_in(secret or {}, f"{ref.namespace}/{ref.name}")
    return logins


async def _platforms(cluster: Cluster) -> frozenset[str]:
    """Read what the nodes are, such as ``linux/amd64``; nothing where they may not be read."""
    nodes = await where_allowed(cluster.objects.list("v1", "Node", metadata_only=True, most=_MOST_NODES), ())
    labels = [node["metadata"].get("labels") or {} for node in nodes]
    return frozenset(
        f"{found.get(_SYSTEM, 'linux')}/{found[_ARCHITECTURE]}" for found in labels if _ARCHITECTURE in found
    )
