"""``nksmesh addons``: Istio's add-ons, such as Kiali and Prometheus."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from nksmesh.cli import targets, wiring
from nksmesh.cli.command import command, command_group
from nksmesh.cli.mesh_options import SampleOptions
from nksmesh.cli.options import Directory, EnvironmentName, Shell, Timeout, Yes
from nksmesh.cli.run import run, run_agreed
from nksmesh.domain.common.errors import ConfigError

if TYPE_CHECKING:
    from nksmesh.commands.addons.status import AddonList
    from nksmesh.domain.common.events import Listener

app = command_group("Install Istio's add-ons, show, expose and remove them: kiali, prometheus, grafana, jaeger, loki.")

Names = Annotated[
    list[str], typer.Argument(metavar="NAME...", help="The add-ons: kiali, prometheus, grafana, jaeger, loki.")
]


@command(
    app,
    shared=SampleOptions,
    examples=[
        "nksmesh addons install prometheus kiali",
        "nksmesh addons install kiali --samples istio-1.20.0/samples --image-hub HOST/REGISTRY/istio --yes",
    ],
)
def install(shell: Shell, options: SampleOptions, names: Names, yes: Yes = False) -> None:
    """Apply the objects of add-ons in the right order, and wait until their pods are ready.

    The images are looked for in their registries before anything is written. CRDs come first, and what they define
    when the API server serves it. Running it again changes nothing, or brings
    the add-ons to the files of another Istio version. Objects that somebody else made are not changed.
    """
    from nksmesh.commands.addons import change as workflow
    from nksmesh.domain.addons.addons import addons_of

    wanted = addons_of(names)
    order = workflow.AddonsOrder(
        addons=wanted,
        namespace=shell.namespace,
        manifests={addon: wiring.sample(options.samples, addon) for addon in wanted},
        image_hub=options.image_hub,
    )
    run_agreed(
        shell,
        options.target(shell),
        make=lambda runtime: workflow.plan_install(order, runtime),
        question=f"Install {', '.join(addon.name for addon in wanted)}?",
        undone=workflow.AddonsResult,
        follow=lambda plan, runtime: workflow.follow(plan, order, runtime),
        yes=yes,
    )


@command(app, examples=["nksmesh addons status", "nksmesh addons status -o json"])
def status(shell: Shell, environment: EnvironmentName = "", directory: Directory = None) -> None:
    """Show which add-ons are installed, by whom, and whether they are ready."""
    from nksmesh.commands.addons.status import list_addons

    where = targets.target_of_mesh(shell, environment, wiring.files(directory))

    async def work(_listener: Listener) -> AddonList:
        async with wiring.cluster(where) as cluster:
            return await list_addons(cluster)

    run(shell, work)


@command(app, examples=["nksmesh addons remove kiali", "nksmesh addons remove kiali prometheus --yes"])
def remove(
    shell: Shell,
    names: Names,
    environment: EnvironmentName = "",
    directory: Directory = None,
    timeout: Timeout = "5m",
    yes: Yes = False,
) -> None:
    """Delete the objects of add-ons that nksmesh applied, and no other; what exposes them, too."""
    from nksmesh.commands.addons import change as workflow
    from nksmesh.domain.addons.addons import addons_of

    order = workflow.AddonsOrder(addons=addons_of(names), namespace=shell.namespace)
    run_agreed(
        shell,
        targets.target_by_record(shell, environment, wiring.files(directory), timeout=timeout),
        make=lambda runtime: workflow.plan_remove(order, runtime),
        question=f"Remove {', '.join(addon.name for addon in order.addons)}?",
        undone=workflow.AddonsResult,
        follow=lambda plan, runtime: workflow.follow(plan, order, runtime),
        yes=yes,
    )


@command(
    app,
    examples=["nksmesh addons expose kiali --load-balancer", "nksmesh addons expose kiali --load-balancer --public"],
)
def expose(
    shell: Shell,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The add-on: kiali, prometheus, grafana or jaeger.")],
    load_balancer: Annotated[
        bool, typer.Option("--load-balancer", help="With a load balancer of NHN Cloud; it must be given.")
    ] = False,
    public: Annotated[
        bool, typer.Option("--public", help="With a public address. Default: an address inside the VPC.")
    ] = False,
    environment: EnvironmentName = "",
    directory: Directory = None,
    timeout: Timeout = "5m",
    yes: Yes = False,
) -> None:
    """Create a load balancer that leads to the pages of an add-on, and wait for its address.

    The add-on's own Service stays as it is. A public address is refused while everyone could use the add-on without a
    login, as Istio's samples allow.
    """
    from nksmesh.commands.addons import expose as workflow
    from nksmesh.domain.addons.addons import addons_of

    if not load_balancer:
        raise ConfigError(
            "a load balancer costs money and was not asked for",
            hint=f"Pass --load-balancer, or use nksmesh dashboard {name}.",
        )
    (addon,) = addons_of([name])
    order = workflow.ExposeOrder(addon=addon, namespace=shell.namespace, public=public)
    kind = "a public" if public else "an internal"
    run_agreed(
        shell,
        targets.target_by_record(shell, environment, wiring.files(directory), timeout=timeout),
        make=lambda runtime: workflow.plan_expose(order, runtime),
        question=f"Create {kind} load balancer for {name}?",
        undone=workflow.ExposeResult,
        follow=lambda plan, runtime: workflow.expose(plan, order, runtime),
        yes=yes,
    )
