"""Looking for an image in its registry as the kubelet will pull it: with the pods' logins, for the nodes' platforms."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from nksmesh.domain.common.errors import DeniedImageError, ImageError, MissingImageError
from nksmesh.domain.common.findings import Finding, Level
from nksmesh.domain.images.login import Login, login_for, logins_in
from nksmesh.domain.images.manifest import FoundManifest
from nksmesh.domain.images.reference import Reference, parse_reference
from nksmesh.domain.kube.objects import ObjectRef
from nksmesh.domain.plan.pull_secrets import NewPullSecret
from nksmesh.engine.permissions import SOMETHING, where_allowed
from nksmesh.engine.ports import Cluster, Registries

_ARCHITECTURE: Final = "kubernetes.io/arch"
_SYSTEM: Final = "kubernetes.io/os"
_MOST_NODES: Final = 1000


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


async def check_images(
    images: Iterable[str],
    secrets: Iterable[ObjectRef],
    cluster: Cluster,
    registries: Registries,
    *,
    new: NewPullSecret | None = None,
    patience: float | None = None,
) -> tuple[CheckedImage, ...]:
    """Look for images, several at a time, each as the pods will pull it.

    Args:
        images: The images, as pods name them.
        secrets: The pull secrets of the pods that pull them.
        new: The one that is to be made before they do.
        patience: Seconds that each image may take; None for as long as it takes.

    Raises:
        ConfigError: This machine's logins cannot be read.
        ClusterError: The cluster cannot be reached.
    """
    logins, platforms = await asyncio.gather(_logins(secrets, cluster, new), _platforms(cluster))
    looking = (_in_time(image, logins, platforms, registries, patience) for image in images)
    return tuple(await asyncio.gather(*looking))


async def _in_time(
    name: str,
    pods: Sequence[Mapping[str, Login]],
    platforms: frozenset[str],
    registries: Registries,
    patience: float | None,
) -> CheckedImage:
    """Look for an image; a registry that takes too long is one that cannot be reached."""
    try:
        async with asyncio.timeout(patience):
            return await _checked(name, pods, platforms, registries)
    except TimeoutError:
        message = f"the registry {parse_reference(name).host} does not answer within {patience:.0f} s"
        return CheckedImage(image=name, findings=(failure_of(name, ImageError(message, hint="", passing=True)),))


async def _checked(
    name: str, pods: Sequence[Mapping[str, Login]], platforms: frozenset[str], registries: Registries
) -> CheckedImage:
    image = parse_reference(name)
    logins = [login for some in pods if (login := login_for(image, some)) is not None]
    try:
        found, login, doubts = await _found(image, logins, registries)
    except ImageError as error:
        return CheckedImage(image=name, login=logins[-1].source if logins else "", findings=(failure_of(name, error),))
    return CheckedImage(
        image=name,
        login=login.source if login else "",
        found=found,
        findings=(*doubts, *_check_platforms(name, found, platforms)),
    )


async def _found(
    image: Reference, logins: Sequence[Login], registries: Registries
) -> tuple[FoundManifest, Login | None, tuple[Finding, ...]]:
    """Look for an image as the kubelet does, with each pull secret, and as this machine may where pods have none."""
    for login in logins[:-1]:
        with suppress(DeniedImageError):
            return await registries.find(image, login), login, ()
    last = logins[-1] if logins else None
    try:
        return await registries.find(image, last), last, ()
    except DeniedImageError:
        own = None if logins else await registries.login(image)
        if own is None:
            raise
    found = await registries.find(image, own)
    doubt = Finding(
        id="images.no-pull-secret",
        level=Level.WARNING,
        subject=str(image),
        message=f"{image} needs a login: {own.source} of this machine has one, and the pods have none",
        hint="Name a pull secret in pull_secrets of mesh.yaml, unless the nodes have a login of their own.",
    )
    return found, None, (doubt,)


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


async def _logins(
    secrets: Iterable[ObjectRef], cluster: Cluster, new: NewPullSecret | None
) -> tuple[Mapping[str, Login], ...]:
    """Read the logins of each pull secret of pods; one that is not there, or that may not be read, has none."""
    refs = tuple(secrets)
    read = await asyncio.gather(*(where_allowed(cluster.objects.get(ref), SOMETHING) for ref in refs))
    logins: dict[tuple[str, ...], Mapping[str, Login]] = {}
    for ref, secret in zip(refs, read, strict=True):
        if new is not None and ref.name == new.name and new.may_replace(secret):
            found: Mapping[str, Login] = {new.registry: new.login}
        else:
            found = logins_in(secret or {}, f"{ref.namespace}/{ref.name}")
        told = tuple(f"{key} {login.basic} {login.token}" for key, login in sorted(found.items()))
        logins.setdefault(told, found)  # the same in every namespace is tried once
    return tuple(logins.values())


async def _platforms(cluster: Cluster) -> frozenset[str]:
    """Read what the nodes are, such as ``linux/amd64``; nothing where they may not be read."""
    nodes = await where_allowed(cluster.objects.list("v1", "Node", metadata_only=True, most=_MOST_NODES), ())
    labels = [node["metadata"].get("labels") or {} for node in nodes]
    return frozenset(
        f"{found.get(_SYSTEM, 'linux')}/{found[_ARCHITECTURE]}" for found in labels if _ARCHITECTURE in found
    )
