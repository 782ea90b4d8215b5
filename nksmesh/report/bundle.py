"""How ``nksmesh bundle`` looks."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from nksmesh.commands.bundle import BundlePushed, BundleShown
from nksmesh.domain.common.findings import Level
from nksmesh.domain.common.spelling import counted, sized
from nksmesh.report.layout import BAD, FAINT, GOOD, facts, failures, gap, rows, sentence, warnings
from nksmesh.report.mirror import facts_of
from nksmesh.report.text import renders


@renders(BundleShown)
def _bundle(result: BundleShown, console: Console, verbose: bool) -> None:
    contents = result.contents
    if result.verified:
        sentence(console, f"{result.file}: every file is what {'bundle.json'} lists", GOOD)
    else:
        sentence(
            console, f"{result.file}{' was written' if result.created else ''}", GOOD if result.created else "bold"
        )
    facts(
        console,
        [
            ("sha256", result.sha256),
            ("size", sized(result.bytes)),
            ("Istio", contents.version),
            ("environment", contents.environment),
            ("hub", contents.hub),
            ("charts", ", ".join(f"{chart.name} {chart.version}" for chart in contents.charts)),
            ("istioctl", contents.istioctl),
            ("files", str(len(contents.files)) if verbose else ""),
        ],
    )
    if contents.images:
        gap(console)
        lines = [(image.name, ", ".join(image.platforms), image.digest) for image in contents.images]
        rows(console, ["image", "platforms", "digest"], lines)
    warnings(console, result.warnings)
    if result.created:
        gap(console)
        install = f"nksmesh install --bundle {result.file} --sha256 {result.sha256}"
        if contents.images:
            sentence(console, f"next: nksmesh bundle push {result.file} --to HUB, then {install} --hub HUB")
        else:
            sentence(console, f"next: {install}")


@renders(BundlePushed)
def _pushed(result: BundlePushed, console: Console, _verbose: bool) -> None:
    failed = [finding for finding in result.findings if finding.level is Level.FAILURE]
    images = counted(len(result.images), "image is", "images are")
    sentence(console, f"{images} in {result.to}, from {result.file}", BAD if failed else GOOD)
    gap(console)
    for image in result.images:
        console.print(Text(image.image, style="bold"), soft_wrap=True)
        console.print(Text(f"  {'; '.join(filter(None, facts_of(image)))}", style=FAINT), soft_wrap=True)
    failures(console, failed)
    if not failed:
        gap(console)
        sentence(console, f"next: {result.next_command}")
