"""``nksmesh sandbox``: a real control plane on this machine, to try and to test on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nksmesh.cli.command import command, command_group
from nksmesh.cli.options import Shell
from nksmesh.cli.run import run, show
from nksmesh.domain.common.paths import at_home
from nksmesh.sandbox.charts import package_charts
from nksmesh.sandbox.failures import Failure
from nksmesh.sandbox.layout import DEFAULT_NAME
from nksmesh.sandbox.programs import Source, build_programs
from nksmesh.sandbox.releases import OLDEST, Kubernetes
from nksmesh.sandbox.sandbox import Sandbox, statuses

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


@command(
    app,
    examples=[
        "nksmesh sandbox up",
        "nksmesh sandbox up --name current --kubernetes 1.34 --registry",
        "nksmesh sandbox up --data-plane",
    ],
)
def up(
    shell: Shell,
    name: Name = DEFAULT_NAME,
    kubernetes: Annotated[
        Kubernetes | None,
        typer.Option(
            "--kubernetes",
            help=f"The cluster's Kubernetes. Default: as before (a new sandbox has {OLDEST}).",
            show_default=False,
        ),
    ] = None,
    load_balancer: LoadBalancer = None,
    registry: Annotated[
        bool,
        typer.Option(
            "--registry",
            help="Add a registry with a login, from which the nodes pull. A sandbox that has one keeps it.",
        ),
    ] = False,
    data_plane: Annotated[
        bool,
        typer.Option(
            "--data-plane",
            help="Run the real istiod, and real proxies in gateways and injected pods. A sandbox that has it keeps it.",
        ),
    ] = False,
) -> None:
    """Start a sandbox, or those parts of it that do not run.

    The first start downloads the programs, or builds them, which takes minutes.
    """
    run(
        shell,
        lambda listener: Sandbox(name).up(
            listener,
            kubernetes=kubernetes,
            load_balancer=load_balancer,
            with_registry=registry,
            with_data_plane=data_plane,
        ),
    )


@command(app, examples=["nksmesh sandbox build", "nksmesh sandbox build --kubernetes 1.34 --registry --from go"])
def build(
    shell: Shell,
    kubernetes: Annotated[
        Kubernetes, typer.Option("--kubernetes", help="The Kubernetes whose programs are built.")
    ] = OLDEST,
    registry: Annotated[
        bool, typer.Option("--registry", help="Also build the registry of sandbox up --registry.")
    ] = False,
    source: Annotated[
        Source,
        typer.Option(
            "--from", help="download gets what Kubernetes and etcd publish, and builds the rest; go builds everything."
        ),
    ] = Source.DOWNLOAD,
    data_plane: Annotated[
        bool,
        typer.Option("--data-plane", help="Also build Istio's own programs, with their charts and samples, 8 minutes."),
    ] = False,
    helm4: Annotated[bool, typer.Option("--helm4", help="Also build Helm 4, to try nksmesh with it.")] = False,
) -> None:
    """Download or build the sandbox's programs into the cache, without starting anything.

    What comes is used only if the checksum that its project publishes is right.
    """
    run(
        shell,
        lambda listener: build_programs(
            kubernetes,
            with_registry=registry,
            with_helm4=helm4,
            with_data_plane=data_plane,
            source=source,
            listener=listener,
        ),
    )


@command(app, examples=["nksmesh sandbox charts ./charts", "nksmesh sandbox charts ./istio-1.31 --samples"])
def charts(
    shell: Shell,
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The folder that the charts are written to.")],
    samples: Annotated[
        bool, typer.Option("--samples", help="Also copy Istio's samples (Bookinfo, curl, add-ons) to DIR/samples.")
    ] = False,
) -> None:
    """Write the charts that belong to the istiod of sandbox up --data-plane to a folder for --charts.

    Istio's Go module brings them: base, istiod, gateway, cni and ztunnel. No chart repository is asked. The first time
    builds the programs of the data plane, as sandbox build --data-plane does.
    """
    run(shell, lambda listener: package_charts(at_home(str(folder)), with_samples=samples, listener=listener))


@command(app, examples=["nksmesh sandbox status"])
def status(
    shell: Shell,
    name: Annotated[
        str | None, typer.Option("--name", metavar="NAME", help="The sandbox's name. Default: all sandboxes.")
    ] = None,
) -> None:
    """Show the state of each part of a sandbox, with the last log lines of a part that crashed."""
    show(shell, statuses(name))


@command(app, examples=["nksmesh sandbox down"])
def down(shell: Shell, name: Name = DEFAULT_NAME) -> None:
    """Stop a sandbox, and keep its data. nksmesh sandbox up starts it again."""
    run(shell, lambda listener: Sandbox(name).down(listener))


@command(app, examples=["nksmesh sandbox delete --name try-1"])
def delete(shell: Shell, name: Name = DEFAULT_NAME) -> None:
    """Stop a sandbox and remove its data, its certificates and its kubeconfig."""
    run(shell, lambda listener: Sandbox(name).delete(listener))


@command(app, examples=["nksmesh sandbox reset"])
def reset(shell: Shell, name: Name = DEFAULT_NAME) -> None:
    """Empty a sandbox's cluster, and keep its kubeconfig and its port."""
    run(shell, lambda listener: Sandbox(name).reset(listener))


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
    run(shell, lambda _: Sandbox(name).fail(failure, selector=selector, reason=reason))


@command(app, examples=["nksmesh sandbox heal"])
def heal(shell: Shell, name: Name = DEFAULT_NAME) -> None:
    """End all simulated failures: the pods that failed become ready."""
    run(shell, lambda _: Sandbox(name).heal())
