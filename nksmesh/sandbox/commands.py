"""What each ``nksmesh sandbox`` command does: options in, one frozen result out, nothing printed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from nksmesh.domain.common.events import Listener, unheard
from nksmesh.sandbox import programs
from nksmesh.sandbox.layout import DEFAULT_NAME, sandbox_names
from nksmesh.sandbox.results import SandboxStarted, SandboxStatus
from nksmesh.sandbox.sandbox import Sandbox

if TYPE_CHECKING:
    from nksmesh.sandbox.failures import Failure, Staged


@dataclass(frozen=True, kw_only=True)
class Statuses:
    """How the sandboxes of this machine are."""

    sandboxes: tuple[SandboxStatus, ...]


@dataclass(frozen=True, kw_only=True)
class SandboxStopped:
    """What ``down`` did: whether anything ran."""

    name: str
    stopped: bool


@dataclass(frozen=True, kw_only=True)
class Deleted:
    """What ``delete`` did: whether there was anything."""

    name: str
    existed: bool


@dataclass(frozen=True, kw_only=True)
class FailuresEnded:
    """What ``heal`` did: how many staged failures it ended."""

    name: str
    ended: int


@dataclass(frozen=True, kw_only=True)
class Built:
    """Where the programs are that ``build`` built, or found in the cache."""

    programs: dict[str, str]


async def build(*, helm4: bool = False, listener: Listener = unheard) -> Built:
    """Build the sandbox's programs, and Helm 4 on request, unless the cache has them."""
    found = await programs.sandbox_programs(listener)
    if helm4:
        found = {**found, "helm4": await programs.helm4(listener)}
    return Built(programs={name: str(path) for name, path in found.items()})


async def up(
    name: str = DEFAULT_NAME, *, load_balancer: bool | None = None, listener: Listener = unheard
) -> SandboxStarted:
    """Bring a sandbox up; parts that run already are left alone."""
    return await Sandbox(name).up(listener, load_balancer=load_balancer)


async def status(name: str | None = None) -> Statuses:
    """Say how one sandbox is, or every one on this machine (the default one, where there is none)."""
    names = [name] if name else sandbox_names() or [DEFAULT_NAME]
    return Statuses(sandboxes=tuple(Sandbox(each).status() for each in names))


async def down(name: str = DEFAULT_NAME, *, listener: Listener = unheard) -> SandboxStopped:
    """Stop a sandbox and keep its data."""
    sandbox = Sandbox(name)
    stopped = any(part.pid for part in sandbox.status().parts)
    await sandbox.down(listener)
    return SandboxStopped(name=name, stopped=stopped)


async def delete(name: str = DEFAULT_NAME, *, listener: Listener = unheard) -> Deleted:
    """Stop a sandbox and remove everything it has."""
    sandbox = Sandbox(name)
    existed = sandbox.layout.home.exists()
    await sandbox.delete(listener)
    return Deleted(name=name, existed=existed)


async def reset(name: str = DEFAULT_NAME, *, listener: Listener = unheard) -> SandboxStarted:
    """Empty a sandbox's cluster; its kubeconfig stays as it is."""
    return await Sandbox(name).reset(listener)


async def fail(failure: Failure, name: str = DEFAULT_NAME, *, selector: str = "", reason: str = "not-found") -> Staged:
    """Make the pods that the selector picks fail from now on."""
    return replace(await Sandbox(name).fail(failure, selector=selector, reason=reason), name=name)


async def heal(name: str = DEFAULT_NAME) -> FailuresEnded:
    """End every staged failure of a sandbox."""
    return FailuresEnded(name=name, ended=await Sandbox(name).heal())
