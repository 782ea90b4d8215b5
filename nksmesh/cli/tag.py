"""``nksmesh tag``: revision tags, which namespaces may carry in place of an Istio revision."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from nksmesh.cli import wiring
from nksmesh.cli.arguments import Yes
from nksmesh.cli.canary import canary_tools
from nksmesh.cli.canary_options import RevisionOptions, meant
from nksmesh.cli.command import command, command_group
from nksmesh.cli.options import Shell
from nksmesh.cli.run import confirm, perform, run, show

if TYPE_CHECKING:
    from nksmesh.commands.tag import Tag, TagsResult
    from nksmesh.domain.common.events import Listener

app = command_group("Revision tags: names for an istiod that can point to another one later.")

NAME = Annotated[str, typer.Argument(metavar="NAME", help="The tag, such as prod.")]


@command(
    app, "set", shared=RevisionOptions, examples=["nksmesh tag set prod --revision 1-22-8", "nksmesh tag set prod"]
)
def set_(
    shell: Shell,
    options: RevisionOptions,
    name: NAME,
    revision: Annotated[
        str, typer.Option("--revision", metavar="REV", help="The Istio revision: 1-22-8; default is the one without.")
    ] = "default",
) -> None:
    """Point a tag to an istiod: namespaces labelled istio.io/rev=NAME are injected by it from then on.

    The tag belongs to the istiod's Helm release. Running pods keep their proxy until they are restarted.
    """
    from nksmesh.commands import tag as workflow  # noqa: PLC0415 - only what a command uses is imported

    said = meant(shell, options)

    async def work(listener: Listener) -> TagsResult:
        async with wiring.tools(shell, said.where) as tools:
            return await workflow.set_tag(name, revision, said.order, canary_tools(tools, said.waits, listener))

    run(shell, work)


@command(app, "list", shared=RevisionOptions, examples=["nksmesh tag list"])
def list_(shell: Shell, options: RevisionOptions) -> None:
    """List the tags: the Istio revision each points to, the release that makes it, who carries it."""
    from nksmesh.commands import tag as workflow  # noqa: PLC0415 - only what a command uses is imported

    said = meant(shell, options)

    async def work(_listener: Listener) -> TagsResult:
        async with wiring.tools(shell, said.where) as tools:
            return await workflow.list_tags(tools.cluster, said.namespace)

    run(shell, work)


@command(app, shared=RevisionOptions, examples=["nksmesh tag remove prod"])
def remove(shell: Shell, options: RevisionOptions, name: NAME, yes: Yes = False) -> None:
    """Remove a tag; refused while namespaces carry it, unless --yes is given."""
    from nksmesh.commands import tag as workflow  # noqa: PLC0415 - only what a command uses is imported

    said = meant(shell, options)

    async def check(_listener: Listener) -> Tag:
        async with wiring.tools(shell, said.where) as tools:
            return await workflow.check_removal(name, tools.cluster, said.namespace, yes=yes)

    found = perform(shell, check)
    if not confirm(f"Remove the tag {name}, which points to {found.istio_revision or 'nothing'}?", yes=yes):
        show(shell, workflow.TagsResult(tags=(found,), name=name, done="declined"))
        return

    async def work(listener: Listener) -> TagsResult:
        async with wiring.tools(shell, said.where) as tools:
            return await workflow.remove_tag(name, said.order, canary_tools(tools, said.waits, listener))

    run(shell, work)
