"""``nksmesh guide``: the NKS guide from first step to last, each command run, shown and proved."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, get_type_hints

import typer

from nksmesh.cli import targets, wiring
from nksmesh.cli.command import command, command_group
from nksmesh.cli.mesh_options import InstallOptions
from nksmesh.cli.options import AddressWait, Shell, Yes
from nksmesh.cli.run import agreed, perform_on, show
from nksmesh.report.report import Output, collecting

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nksmesh.commands.guide import GuidePlan, Walked
    from nksmesh.domain.guide.walk import Choices, GuideStep

app = command_group()

_NAMESPACE: Final = "default"
_PROFILE: Final = "demo"
_WHERE: Final = ("environment", "directory")
_FETCH: Final = ("region", "network", "hub", "version", "registry_config", "plain_http")
"""The options that ``istioctl fetch`` has, too."""
_PULLED: Final = ("no_check_images", "registry_config", "plain_http")
"""Those that ``sample deploy`` has, too."""


@command(
    app,
    shared=InstallOptions,
    examples=[
        "nksmesh guide --region kr1 --version 1.20.0",
        "nksmesh guide --hub HOST/REGISTRY/istio --samples istio-1.30.2/samples --print --yes > walk.md",
        "nksmesh guide --undo",
    ],
)
def guide(
    shell: Shell,
    options: InstallOptions,
    samples: Annotated[
        Path | None,
        typer.Option(
            "--samples",
            metavar="FOLDER",
            help="The folder samples of an Istio release. Default: istioctl fetch gets it.",
        ),
    ] = None,
    image_hub: Annotated[
        str,
        typer.Option("--image-hub", metavar="HUB", help="A registry path for Bookinfo's images."),
    ] = "",
    wait: AddressWait = "5m",
    undo: Annotated[bool, typer.Option("--undo", help="Remove what the guide has made, and nothing else.")] = False,
    markdown: Annotated[
        bool, typer.Option("--print", help="Print the walk as Markdown, with the real output of each command.")
    ] = False,
    yes: Yes = False,
) -> None:
    """Walk through the NKS guide: install Istio, deploy Bookinfo, reach it, and shift its traffic.

    Each step is a command of nksmesh: it is shown, run and proved. The walk stops where a proof fails. It needs a
    cluster without Istio; --undo removes what it made. With -n, name the namespace of Bookinfo; the default is default.
    The options of install are passed on to it.
    """
    from nksmesh.commands import guide as workflow

    choices = choices_of(shell, options, samples, image_hub, wait)
    where = targets.target_by_record(shell, options.environment, wiring.files(options.directory))
    make = workflow.plan_undo if undo else workflow.plan_guide
    plan = perform_on(shell, where, lambda runtime: make(choices, runtime, where.namespace))
    question = f"Remove this from context {plan.context}?" if undo else f"Do this on context {plan.context}?"
    result = workflow.GuideResult(plan=plan, printed=markdown)
    if plan.empty or not agreed(shell, plan, question, yes=yes):
        show(shell, replace(result, agreed=plan.empty))
        return
    if not undo:
        perform_on(shell, where, lambda runtime: workflow.begin(plan, choices, runtime))
    show(shell, replace(result, walked=tuple(walk(shell, plan, silent=markdown or shell.output is not Output.TEXT))))


def walk(shell: Shell, plan: GuidePlan, *, silent: bool) -> Iterator[Walked]:
    """Take the steps up to the first that is not proved."""
    for number, step in enumerate(plan.steps, 1):
        shell.report.say(f"\n{number} of {len(plan.steps)}: {step.title}\n$ {step.line}")
        walked = _taken(shell, plan, step, silent=silent)
        shell.report.say(f"proved: {walked.proof}" if walked.proved else "not proved: the guide stops here")
        yield walked
        if not walked.proved:
            return


def _taken(shell: Shell, plan: GuidePlan, step: GuideStep, *, silent: bool) -> Walked:
    """Run the command line of a step as a user's, on the cluster that was agreed to."""
    from nksmesh.cli.app import run_app
    from nksmesh.commands.guide import walked

    given = {"--kubeconfig": shell.kubeconfig, "--context": plan.context, "--helm": shell.helm}
    flags = {"--quiet": shell.quiet, "--verbose": shell.verbose, "--no-color": not shell.color, "--debug": shell.debug}
    common = [word for option, value in given.items() if value for word in (option, value)]
    common += [flag for flag, is_on in flags.items() if is_on]
    with collecting(silent=silent) as collected:
        code = run_app([*common, *step.words])
    return walked(step, code, collected.results, collected.errors)


def choices_of(shell: Shell, options: InstallOptions, samples: Path | None, image_hub: str, wait: str) -> Choices:
    """Make of the options what each step's command line is made of."""
    from nksmesh.domain.guide.walk import Choices

    words = dict(_words_of(replace(options, profile=options.profile or _PROFILE)))
    where = [word for name in _WHERE for word in words.pop(name, ())]
    fetch = tuple(word for name in _FETCH for word in words.get(name, ()))
    own = {"--samples": str(samples or ""), "--image-hub": image_hub}
    return Choices(
        install=tuple(word for some in words.values() for word in some),
        fetch=None if samples else fetch,
        where=tuple(where),
        samples=(
            *(word for option, value in own.items() if value for word in (option, value)),
            *(word for name in _PULLED for word in words.get(name, ())),
        ),
        namespace=shell.namespace or _NAMESPACE,
        wait=wait,
    )


def _words_of(options: InstallOptions) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Write options as words of a command line, each under its field's name; those that say nothing are left out."""
    hints = get_type_hints(type(options), include_extras=True)
    for option in fields(options):
        value: Any = getattr(options, option.name)
        if value == option.default:
            continue
        info = hints[option.name].__metadata__[0]  # in Annotated, Typer keeps the first name as the default
        name = next(decl for decl in (info.default, *info.param_decls) if decl.startswith("--"))
        many = value if isinstance(value, list) else [value]
        yield option.name, (name,) if value is True else tuple(word for text in many for word in (name, str(text)))
