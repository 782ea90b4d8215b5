"""How ``nksmesh images list`` looks."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from nksmesh.commands.images import ImageList
from nksmesh.report.layout import FAINT
from nksmesh.report.text import renders


@renders(ImageList)
def _image_list(result: ImageList, console: Console, verbose: bool) -> str:
    """Print one image a line, for scripts; with who names it where that is wanted."""
    if not verbose:
        return "".join(f"{image}\n" for image in dict.fromkeys(row.image for row in result.images if not row.opt_in))
    for row in result.images:
        console.print(Text(row.image, style="bold"), soft_wrap=True)
        for place in row.used_by:
            asked = ", only for pods annotated for it" if row.opt_in else ""
            console.print(Text(f"  {row.source.value}: {place}{asked}", style=FAINT), soft_wrap=True)
    return ""
