"""``nksmesh tag``: revision tags, which namespaces may carry in place of an Istio revision."""

from __future__ import annotations

from typing import Annotated

import typer

from nksmesh.cli.command import command, command_group
from nksmesh.cli.mesh_options import RevisionOptions, revision_settings
from nksmesh.cli.options import Shell, Yes
from nksmesh.cli.run import confirm, perform_on, run_on, show

app = command_group("Revision tags: names for an istiod that can later point to another one.")

NAME = Annotated[str, typer.Argument(metavar="NAME", help="The tag's name, such as prod.")]


@command(
    app, "set", shared=RevisionOptions, examples=["nksmesh tag set prod --revision 1-22-8", "nksmesh tag set prod"]
)
def set_(
    shell: Shell,
    options: RevisionOptions,
    name: NAME,
    revision: Annotated[
        str,
        typer.Option(
            "--revision",
            metavar="REV",
            help="The Istio revision, such as 1-22-8; default is the istiod without a revision.",
        ),
    ] = "default",
) -> None:
    """Point a tag to an istiod. From then on it injects namespaces labelled istio.io/rev=NAME.

    The tag belongs to the istiod's Helm release. Running pods keep their proxy until they are restarted.
    """
    from nksmesh.commands import tag as workflow

    request, where = revision_settings(shell, options)

    run_on(shell, where, lambda runtime: workflow.set_tag(name, revision, request, runtime))


@command(app, "list", shared=RevisionOptions, examples=["nksmesh tag list"])
def list_(shell: Shell, options: RevisionOptions) -> None:
    """List the tags: the Istio revision each points to, the release that owns it, and the namespaces that use it."""
    from nksmesh.commands import tag as workflow

    _, where = revision_settings(shell, options)

    run_on(shell, where, lambda runtime: workflow.list_tags(runtime.cluster, where.namespace))


@command(app, shared=RevisionOptions, examples=["nksmesh tag remove prod"])
def remove(shell: Shell, options: RevisionOptions, name: NAME, yes: Yes = False) -> None:
    """Remove a tag. This is refused while namespaces use it, unless you pass --yes."""
    from nksmesh.commands import tag as workflow

    request, where = revision_settings(shell, options)

    found = perform_on(
        shell, where, lambda runtime: workflow.check_removal(name, runtime.cluster, where.namespace, yes=yes)
    )
    if not confirm(f"Remove the tag {name}, which points to {found.istio_revision or 'nothing'}?", yes=yes):
        show(shell, workflow.TagsResult(tags=(found,), name=name, done="declined"))
        return

    run_on(shell, where, lambda runtime: workflow.remove_tag(name, request, runtime))
