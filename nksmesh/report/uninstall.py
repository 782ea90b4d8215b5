"""How ``nksmesh uninstall`` looks, before it asks and when it is done."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console

from nksmesh.commands.uninstall.plan import UninstallPlan
from nksmesh.commands.uninstall.uninstall import UninstallResult
from nksmesh.domain.uninstall.leftovers import in_words, labels_in_words, sidecars_in_words
from nksmesh.report.common import without_mesh
from nksmesh.report.layout import DOUBTFUL, GOOD, sentence, warnings
from nksmesh.report.text import renders


@renders(UninstallPlan)
def _plan(plan: UninstallPlan, console: Console, _verbose: bool) -> None:
    releases = [release.name for release in reversed(plan.installation.releases)]
    _listed(console, "These releases are removed, in this order:", releases)
    if plan.unfinished:
        sentence(
            console,
            f"{plan.unfinished} did not finish: what it left behind is checked before anything is removed.",
            DOUBTFUL,
        )
    for service, addresses in plan.addresses.items():
        sentence(console, f"  {plan.fates[service].sentence(service, addresses)}", DOUBTFUL)
    history = ["the history of the mesh's runs"] if plan.purge and plan.runs else []
    going = (*plan.webhooks, *in_words(plan.going), *labels_in_words(plan.losing_labels), *history)
    _listed(console, "These are removed, too:", going)
    alone = plan.purge or plan.istio_revision
    staying = (*in_words(plan.staying), *labels_in_words(plan.keeping_labels))
    _listed(console, "These stay:" if alone else "These stay (--purge removes what belongs to the mesh):", staying)
    _listed(console, "Not touched until you restart them:", sidecars_in_words(plan.workloads))
    for name, contents in plan.namespaces.items():
        if contents.empty:
            sentence(console, f"The namespace {name} is removed.")
        _listed(
            console,
            f"The namespace {name} stays, because it contains, or may contain, objects that are not the mesh's:",
            contents.words,
        )
    unserved = (f"{api} does not answer: its objects were not checked" for api in plan.unserved)
    warnings(console, (*plan.installation.notes, *map(str, plan.installation.foreign), *unserved))


@renders(UninstallResult)
def _result(result: UninstallResult, console: Console, _verbose: bool) -> None:
    if not result.agreed:
        sentence(console, "Nothing was removed.")
    elif not result.removed:
        installation = result.plan.installation
        without_mesh(console, installation, f"Nothing to remove in {installation.namespace}.")
    else:
        sentence(console, "removed:", GOOD)
        for name in result.removed:
            sentence(console, f"  {name}")
    _listed(console, "left:", result.left)
    if result.next_steps:
        first = "label their namespaces for another Istio revision, then " if result.plan.istio_revision else ""
        lost = "Workloads with a sidecar have lost their istiod, and their certificates will expire"
        sentence(console, f"{lost}: {first}restart them:")
    for step in result.next_steps:
        sentence(console, f"  {step}")


def _listed(console: Console, title: str, items: Iterable[object]) -> None:
    """Print a title and items below it; nothing where there are none."""
    lines = [f"  {item}" for item in items]
    for line in [title, *lines] if lines else []:
        sentence(console, line)
