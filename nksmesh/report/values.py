"""How ``nksmesh values show`` looks, and the values of ``nksmesh plan -v``."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from nksmesh.commands.values import ValuesShown
from nksmesh.domain.plan.diff import masked_value
from nksmesh.domain.values.layers import Composed, Path, dotted
from nksmesh.report.documents import one_line
from nksmesh.report.layout import FAINT, gap, rows, sentence
from nksmesh.report.text import renders


@renders(ValuesShown)
def _values(result: ValuesShown, console: Console, _verbose: bool) -> None:
    for note in result.notes:
        sentence(console, note, FAINT)
    for number, values in enumerate(result.releases):
        if number or result.notes:
            gap(console)
        console.print(Text.assemble((values.release.name, "bold"), f"  {' < '.join(values.layers)}"))
        show_layers(values.composed, console, values.prefix)


def show_layers(composed: Composed, console: Console, prefix: Path = ()) -> None:
    """Print each key with the layer that set it and its value, which may be long and so stands last; no secrets."""
    rows(
        console,
        ["key", "set by", "value"],
        [
            (dotted(path), layer, one_line(masked_value(value, path[-1])))
            for path, value, layer in composed.leaves(prefix)
        ],
        indent=2,
    )
