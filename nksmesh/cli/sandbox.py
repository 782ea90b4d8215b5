"""``nksmesh sandbox``: a real control plane on this machine, to try and to test on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from nksmesh.cli.command import command, command_group
from nksmesh.cli.options import Shell
from nksmesh.cli.run import run
from nksmesh.sandbox.failures import Failure
from nksmesh.sandbox.layout import DEFAULT_NAME

if TYPE_CHECKING:
    from nksmesh.domain.common.events import Listener
    from nksmesh.sandbox.commands import Built, Deleted, FailuresEnded, SandboxStopped, Statuses
    from nksmesh.sandbox.failures import Staged
    from nksmesh.sandbox.results import SandboxStarted

app = command_group("Run a real Kubernetes control plane on this machine, without root or containers.")

Name = Annotated[str, typer.Option("--name", metavar="NAME", help="The sandbox's name. Several can run side by side.")]
LoadBalancer = Annotated[
    bool | None,
    typer.Option(
        "--load-balancer/--no-load-balancer",
        help="Whether Services of type LoadBalancer get addresses. Default: as before (a new sandbox gives them).",
        show_default=False,
    ),
]


@command(app, examples=["nksmesh sandbox up", "nksmesh sandbox up --name try-1"])
def up(shell: Shell, name: Name = DEFAULT_NAME, load_balancer: LoadBalancer = None) -> None:
    """Start a sandbox, or those parts of it that do not run.

    The first start builds the programs, which takes minutes.
    """
    from nksmesh.sandbox import commands

    async def work(listener: Listener) -> SandboxStarted:
        return await commands.up(name, load_balancer=load_balancer, listener=listener)

    run(shell, work)


@command(app, examples=["nksmesh sandbox build", "nksmesh sandbox build --helm4"])
def build(
    shell: Shell,
    helm4: Annotated[bool, typer.Option("--helm4", help="Also build Helm 4, to try nksmesh with it.")] = False,
) -> None:
    """Build the sandbox's programs into the cache, without starting anything."""
    from nksmesh.sandbox import commands

    async def work(listener: Listener) -> Built:
        return await commands.build(helm4=helm4, listener=listener)

    run(shell, work)


@command(app, examples=["nksmesh sandbox status"])
def status(
    shell: Shell,
    name: Annotated[
        str | None, typer.Option("--name", metavar="NAME", help="The sandbox's name. Default: all sandboxes.")
    ] = None,
) -> None:
    """Show the state of each part of a sandbox, with the last log lines of a part that crashed."""
    from nksmesh.sandbox import commands

    async def work(_listener: Listener) -> Statuses:
        return await commands.status(name)

    run(shell, work)


@command(app, examples=["nksmesh sandbox down"])
def down(shell: Shell, name: Name = DEFAULT_NAME) -> None:
    """Stop a sandbox, and keep its data. nksmesh sandbox up starts it again."""
    from nksmesh.sandbox import commands

    async def work(listener: Listener) -> SandboxStopped:
        return await commands.down(name, listener=listener)

    run(shell, work)


@command(app, examples=["nksmesh sandbox delete --name try-1"])
def delete(shell: Shell, name: Name = DEFAULT_NAME) -> None:
    """Stop a sandbox and remove its data, its certificates and its kubeconfig."""
    from nksmesh.sandbox import commands

    async def work(listener: Listener) -> Deleted:
        return await commands.delete(name, listener=listener)

    run(shell, work)


@command(app, examples=["nksmesh sandbox reset"])
def reset(shell: Shell, name: Name = DEFAULT_NAME) -> None:
    """Empty a sandbox's cluster, and keep its kubeconfig and its port."""
    from nksmesh.sandbox import commands

    async def work(listener: Listener) -> SandboxStarted:
        return await commands.reset(name, listener=listener)

    run(shell, work)


@command(app, examples=["nksmesh sandbox fail image --selector app=istio-ingressgateway --reason unauthorized"])
def fail(
    shell: Shell,
    failure: Annotated[Failure, typer.Argument(help="The failure that new pods get from now on.")],
    selector: Annotated[
        str,
        typer.Option(
            "--selector", "-l", metavar="KEY=VALUE,...", help="Only for pods with these labels. Default: all pods."
        ),
    ] = "",
    reason: Annotated[
        str,
        typer.Option(
            "--reason",
            metavar="not-found|unauthorized|unknown|invalid-name",
            help="The error of the image pull.",
        ),
    ] = "not-found",
    name: Name = DEFAULT_NAME,
) -> None:
    """Simulate a failure: an image that cannot be pulled, a crash loop, an unready pod, or no node for a pod.

    Existing pods crash or become unready too; the other failures affect only new pods.
    """
    from nksmesh.sandbox import commands

    async def work(_listener: Listener) -> Staged:
        return await commands.fail(failure, name, selector=selector, reason=reason)

    run(shell, work)


@command(app, examples=["nksmesh sandbox heal"])
def heal(shell: Shell, name: Name = DEFAULT_NAME) -> None:
    """End all simulated failures: the pods that failed become ready."""
    from nksmesh.sandbox import commands

    async def work(_listener: Listener) -> FailuresEnded:
        return await commands.heal(name)

    run(shell, work)
