"""Which cluster a command works on, and which mesh in it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from nksmesh.domain.common.errors import ConfigError
from nksmesh.domain.common.paths import at_home

if TYPE_CHECKING:
    from nksmesh.cli.options import Shell
    from nksmesh.cli.wiring import Files
    from nksmesh.domain.mesh.catalog import Environment
    from nksmesh.engine.ports import RegistryAccess
    from nksmesh.engine.waiting import WaitOptions

_LEAST_TIMEOUT: Final = 1.0
"""Seconds: Helm counts its own in whole ones, and takes none for no limit."""


@dataclass(frozen=True, kw_only=True)
class Target:
    """What a command works on: a cluster, as the kubeconfig's file and a context in it, and the mesh in there.

    Attributes:
        namespace: The control plane's namespace; empty where neither the options nor the environment say it.
        waits: How long is waited for what; None is as ever.
        registries: How image registries are asked; None where they are not.
        offline: No charts are fetched.
    """

    kubeconfig: Path | None
    context: str
    namespace: str = ""
    waits: WaitOptions | None = None
    registries: RegistryAccess | None = None
    offline: bool = False


def target(shell: Shell, environment: Environment | None, folder: Path | None) -> Target:
    """Decide which cluster is meant.

    Args:
        folder: The user's folder, which a kubeconfig of mesh.yaml is relative to.

    Raises:
        ConfigError: The environment and the options name different clusters, or its sandbox is not there.
    """
    given, context = at_home(shell.kubeconfig) if shell.kubeconfig else None, shell.context
    kubeconfig: Path | None
    if environment is None:
        return Target(kubeconfig=given, context=context, namespace=shell.namespace)
    if environment.sandbox:
        from nksmesh.sandbox.layout import layout_of

        layout = layout_of(environment.sandbox)
        if not given and not layout.kubeconfig.exists():
            up = "nksmesh sandbox up" + ("" if environment.sandbox == "default" else f" --name {environment.sandbox}")
            raise ConfigError(
                f"environment {environment.name}: its sandbox does not exist", hint=f"Run {up} to start it."
            )
        kubeconfig, named = layout.kubeconfig, layout.context
    else:
        own = environment.kubeconfig
        kubeconfig, named = (folder or Path()) / at_home(own) if own else None, environment.context
    if context and named and context != named:
        raise ConfigError(
            f"--context {context} contradicts environment {environment.name}, whose context is {named}",
            hint="Leave one of them out.",
        )
    namespace = shell.namespace or environment.namespace
    return Target(kubeconfig=given or kubeconfig, context=context or named, namespace=namespace)


def target_of_mesh(shell: Shell, environment: str, files: Files, *, timeout: str | None = None) -> Target:
    """Find the cluster and the control plane's namespace that ``-e`` and ``-n`` mean, for a mesh that is there.

    Args:
        timeout: What ``--timeout`` was given, by a command that has it.

    Raises:
        ConfigError: There is no such environment, or it and the options name different clusters; or the timeout is no
            duration, or shorter than a second.
    """
    found = target(shell, files.mesh.environment(environment) if environment else None, files.folder)
    if timeout is None:
        return found
    from nksmesh.engine.waiting import WaitOptions

    return replace(found, waits=WaitOptions(component=timeout_seconds(timeout)))


def target_by_record(shell: Shell, environment: str, files: Files, *, timeout: str | None = None) -> Target:
    """Find the cluster for a command whose ``-n`` is not the mesh's: the mesh in it is found by its record.

    Args:
        timeout: As ``target_of_mesh`` takes it.

    Raises:
        ConfigError: As ``target_of_mesh`` says.
    """
    return target_of_mesh(replace(shell, namespace=""), environment, files, timeout=timeout)


def timeout_seconds(text: str) -> float:
    """Read what ``--timeout`` was given, in seconds.

    Raises:
        ConfigError: It is no duration, or shorter than a second.
    """
    from nksmesh.domain.common.durations import parse_duration

    return parse_duration(text, "--timeout", least=_LEAST_TIMEOUT)
