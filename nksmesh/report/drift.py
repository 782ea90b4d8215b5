"""How ``nksmesh drift`` looks."""

from __future__ import annotations

from typing import Final

from rich.console import Console
from rich.text import Text

from nksmesh.commands.drift.drift import DriftResult, Survey
from nksmesh.domain.drift.drift import Change
from nksmesh.engine.discovery import Installation
from nksmesh.report.common import show_diff, without_mesh
from nksmesh.report.layout import BAD, DOUBTFUL, FAINT, GOOD, gap, sentence, warnings
from nksmesh.report.text import renders

_MOST_FIELDS: Final = 6


@renders(DriftResult)
def _drift(result: DriftResult, console: Console, verbose: bool) -> None:
    survey, namespace = result.survey, result.installation.namespace
    if not result.installation.releases:
        without_mesh(console, result.installation, f"No mesh in {namespace}.")
    elif survey.found:
        verb = "differ" if len(survey.found) > 1 else "differs"
        count = f"{len(survey.found)} of {survey.looked} objects {verb} from their releases."
        sentence(console, count, "bold")
        show_gone(result.installation, console)
        show_drift(survey, console, verbose=verbose)
        if result.diff:
            show_differences(survey, console)
        gap(console)
        sentence(console, "Run nksmesh repair to restore them.", FAINT)
    elif result.installation.gone:
        show_gone(result.installation, console)
        sentence(console, f"The {survey.looked} objects of the other releases do not differ.")
    else:
        show_no_drift("No drift", survey, console)
    warnings(console, survey.notes)


def show_gone(installation: Installation, console: Console) -> None:
    """Print the releases that the record has and Helm does not."""
    for release in installation.gone:
        console.print(Text.assemble(f"release {release.name}: ", ("gone", BAD), (" (Helm has none)", FAINT)))
    if installation.gone:
        sentence(console, "  Run nksmesh install to recreate it.")


def show_no_drift(title: str, survey: Survey, console: Console) -> None:
    """Say that nothing differs, of no more than was looked at."""
    if not survey.unseen:
        sentence(console, f"{title}: {survey.looked} objects match their releases.", GOOD)
    elif survey.looked:
        sentence(console, f"{title} among the {survey.looked} objects that could be checked.", DOUBTFUL)
    else:
        sentence(console, "Nothing could be checked: whether anything differs is unknown.", BAD)


def show_drift(survey: Survey, console: Console, *, verbose: bool) -> None:
    """Print what differs, and below each object where it does."""
    for found in survey.found:
        drift = found.drift
        style = DOUBTFUL if drift.change is Change.DIFFERS else BAD
        of = f" ({f'release {drift.release}' if drift.release else 'of crds/'})"
        console.print(Text.assemble(f"{drift.ref}: ", (drift.change.value, style), (of, FAINT)))
        shown = drift.fields if verbose else drift.fields[:_MOST_FIELDS]
        for field in shown:
            by = drift.added.get(field)
            sentence(console, f"  {field}{f' (added by {by})' if by else ''}")
        if len(shown) < len(drift.fields):
            sentence(console, f"  and {len(drift.fields) - len(shown)} more (-v)", FAINT)
        if drift.refusal:
            sentence(console, f"  the API server refuses to restore it: {drift.refusal}", BAD)


def show_differences(survey: Survey, console: Console) -> None:
    """Print each object's difference as a unified diff."""
    for found in survey.found:
        gap(console)
        show_diff(found.drift.lines, console)
