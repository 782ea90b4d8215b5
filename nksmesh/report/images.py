"""How ``nksmesh images`` looks."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from nksmesh.commands.images import ImageCheck, ImageList
from nksmesh.domain.common.findings import Level, warnings_of
from nksmesh.domain.common.spelling import counted
from nksmesh.report.layout import BAD, FAINT, GOOD, failures, gap, sentence, warnings
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
            console.print(Text(f"  {row.source}: {place}{asked}", style=FAINT), soft_wrap=True)
    return ""


@renders(ImageCheck)
def _image_check(result: ImageCheck, console: Console, _verbose: bool) -> None:
    found = [finding for finding in result.findings if finding.level is Level.FAILURE]
    failed = len({finding.subject for finding in found})
    images = counted(len(result.images), "image")
    told = f"{failed} of {images} of Istio {result.version} failed the check"
    sentence(
        console, told if failed else f"{images} of Istio {result.version}: all can be pulled", BAD if failed else GOOD
    )
    gap(console)
    for image in result.images:
        console.print(Text(image.image, style="bold" if image.found else BAD), soft_wrap=True)
        if image.found is not None:
            facts = [image.found.digest, ", ".join(image.found.platforms), image.login and f"with {image.login}"]
            console.print(Text("  " + "; ".join(filter(None, facts)), style=FAINT), soft_wrap=True)
    warnings(console, warnings_of(result.findings))
    failures(console, found)
