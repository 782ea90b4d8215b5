"""How ``nksmesh tag`` looks."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from nksmesh.commands.tag import TagsResult
from nksmesh.report.layout import BAD, FAINT, GOOD, rows, sentence
from nksmesh.report.text import renders


@renders(TagsResult)
def _tags(result: TagsResult, console: Console, _verbose: bool) -> None:
    sentences = {
        "set": f"tag {result.name} is set",
        "unchanged": f"tag {result.name} is already set: nothing was changed",
        "removed": f"tag {result.name} was removed",
        "declined": "Nothing was removed.",
    }
    if result.done:
        sentence(console, sentences[result.done], FAINT if result.done == "declined" else GOOD)
    if not result.tags:
        sentence(console, "There are no revision tags.")
    rows(
        console,
        ["tag", "istio revision", "release", "namespaces"],
        [
            (tag.name, tag.istio_revision, tag.release or Text("nobody's", style=BAD), ", ".join(tag.namespaces))
            for tag in result.tags
        ],
    )
