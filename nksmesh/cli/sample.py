"""``nksmesh sample``: Istio's samples on a mesh."""

from __future__ import annotations

from typing import Annotated, Final, Literal

import typer

from nksmesh.cli import targets, wiring
from nksmesh.cli.command import command, command_group
from nksmesh.cli.mesh_options import SampleOptions
from nksmesh.cli.options import (
    AddressWait,
    Directory,
    EnvironmentName,
    GatewayName,
    Shell,
    Timeout,
    Yes,
)
from nksmesh.cli.run import run_agreed, run_on

app = command_group("Deploy one of Istio's samples, prove that it works, and delete it again.")

_NAMESPACE: Final = "default"

NAME = Annotated[Literal["bookinfo"], typer.Argument(metavar="SAMPLE", help="The sample: bookinfo.")]


@command(
    app,
    shared=SampleOptions,
    examples=[
        "nksmesh sample deploy bookinfo",
        "nksmesh sample deploy bookinfo -n shop --samples samples --image-hub HOST/REGISTRY/istio --yes",
    ],
)
def deploy(shell: Shell, options: SampleOptions, name: NAME, yes: Yes = False) -> None:
    """Apply the objects of a sample, and wait until each of its pods is ready with its proxy.

    With -n, name the namespace of the sample; default is the namespace default. It must have injection. The
    images are looked for in their registries before anything is written. Objects that somebody else made are not
    changed.
    """
    from nksmesh.commands.sample import change as workflow
    from nksmesh.domain.samples.sample import SAMPLES

    order = workflow.SampleOrder(
        sample=SAMPLES[name],
        namespace=shell.namespace or _NAMESPACE,
        manifests=wiring.sample(options.samples, SAMPLES[name]),
        image_hub=options.image_hub,
    )
    run_agreed(
        shell,
        options.target(shell),
        make=lambda runtime: workflow.plan_deploy(order, runtime),
        question=f"Deploy {name} in namespace {order.namespace}?",
        undone=workflow.SampleResult,
        follow=lambda plan, runtime: workflow.follow(plan, order, runtime),
        yes=yes,
    )


@command(app, examples=["nksmesh sample verify bookinfo", "nksmesh sample verify bookinfo -n shop --wait 4m -o json"])
def verify(
    shell: Shell,
    name: NAME,
    gateway: GatewayName = "",
    wait: AddressWait = "",
    environment: EnvironmentName = "",
    directory: Directory = None,
) -> None:
    """Prove that a sample works: its pods, its page from inside the mesh, its gateway objects, its page from outside.

    Where an istioctl was fetched (nksmesh istioctl fetch), it analyzes the configuration, too. With -n, name the
    namespace of the sample; default is the namespace default. Exits with 7 if something fails.
    """
    from nksmesh.commands.gateway import UrlOrder
    from nksmesh.commands.sample.verify import Analyzer
    from nksmesh.commands.sample.verify import verify as workflow
    from nksmesh.domain.samples.sample import SAMPLES

    namespace = shell.namespace or _NAMESPACE
    order = UrlOrder(gateway=gateway, wait=targets.timeout_seconds(wait) if wait else 0.0)

    where = targets.target_by_record(shell, environment, wiring.files(directory))
    fetched = wiring.fetched_istioctl()
    analyzer = Analyzer(program=wiring.istioctl(fetched, where), version=fetched.archive.version) if fetched else None

    run_on(
        shell,
        where,
        lambda runtime: workflow(
            SAMPLES[name], namespace, runtime, wiring.pages(runtime.cluster.context), order, analyzer
        ),
    )


@command(app, examples=["nksmesh sample delete bookinfo", "nksmesh sample delete bookinfo -n shop --yes"])
def delete(
    shell: Shell,
    name: NAME,
    environment: EnvironmentName = "",
    directory: Directory = None,
    timeout: Timeout = "5m",
    yes: Yes = False,
) -> None:
    """Delete the objects of a sample that nksmesh applied, and no other.

    With -n, name the namespace of the sample; default is the namespace default.
    """
    from nksmesh.commands.sample import change as workflow
    from nksmesh.domain.samples.sample import SAMPLES

    order = workflow.SampleOrder(sample=SAMPLES[name], namespace=shell.namespace or _NAMESPACE)
    where = targets.target_by_record(shell, environment, wiring.files(directory), timeout=timeout)
    run_agreed(
        shell,
        where,
        make=lambda runtime: workflow.plan_delete(order, runtime),
        question=f"Delete {name} from namespace {order.namespace}?",
        undone=workflow.SampleResult,
        follow=lambda plan, runtime: workflow.follow(plan, order, runtime),
        yes=yes,
    )
