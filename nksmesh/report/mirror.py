"""How ``nksmesh images mirror`` looks."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from nksmesh.commands.mirror import ImageMirror
from nksmesh.domain.common.findings import Level
from nksmesh.domain.common.spelling import counted, sized
from nksmesh.engine.copies import CopyState, MirroredImage
from nksmesh.report.layout import BAD, FAINT, GOOD, failures, gap, sentence
from nksmesh.report.text import renders


@renders(ImageMirror)
def _image_mirror(result: ImageMirror, console: Console, _verbose: bool) -> None:
    failed = [finding for finding in result.findings if finding.level is Level.FAILURE]
    copied = [image for image in result.images if image.state is not CopyState.THERE]
    moved = sized(sum(image.missing_bytes if result.dry_run else image.moved_bytes for image in copied))
    names = counted(len(result.images), "image")
    told = f"{names} of Istio {result.version}: {len(copied)} would be copied to {result.to}, {moved}"
    if not result.dry_run:
        told = f"{names} of Istio {result.version} are in {result.to}: {len(copied)} copied, {moved} sent"
    sentence(console, told, BAD if failed else GOOD)
    if result.platforms:
        chosen = ", ".join(result.platforms)
        sentence(console, f"for {chosen} alone: an index with fewer images has another digest than its source")
    gap(console)
    for image in result.images:
        console.print(Text(image.image, style="bold"), soft_wrap=True)
        console.print(Text(f"  {'; '.join(filter(None, facts_of(image)))}", style=FAINT), soft_wrap=True)
    failures(console, failed)
    if not failed and not result.dry_run:
        gap(console)
        sentence(console, f"next: {result.next_command}")


def facts_of(image: MirroredImage) -> list[str]:
    """Say what became of an image, in a few words each."""
    facts = {
        CopyState.THERE: "it was there",
        CopyState.PLANNED: f"{sized(image.missing_bytes)} of {sized(image.bytes)} would be sent",
        CopyState.COPIED: f"{sized(image.moved_bytes)} of {sized(image.bytes)} sent",
    }
    mounted = f"{sized(image.mounted_bytes)} mounted" if image.mounted_bytes else ""
    return [image.digest, facts[image.state], mounted, "verified" if image.verified else ""]
