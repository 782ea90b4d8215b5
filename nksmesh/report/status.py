"""How ``nksmesh status`` looks."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from nksmesh.commands.status import GatewayAddress, ReleaseStatus, StatusResult
from nksmesh.domain.charts.releases import Release
from nksmesh.report.common import without_mesh
from nksmesh.report.layout import BAD, DOUBTFUL, FAINT, GOOD, facts, gap, rows, sentence, state, warnings
from nksmesh.report.text import renders


@renders(StatusResult)
def _status(result: StatusResult, console: Console, verbose: bool) -> None:
    cluster = f"Kubernetes {result.kubernetes}" + (f", context {result.context}" if result.context else "")
    if not result.releases:
        without_mesh(console, result.installation, f"No mesh in {result.installation.namespace} ({cluster}).")
        for istiod in result.installation.foreign:
            facts(console, [("cluster", cluster), ("istiod", istiod.readiness.message)])
        warnings(console, result.notes)
        return
    record = result.installation.record
    settings = record.settings if record else None
    title = f"Istio {settings.version}, profile {settings.profile}" if settings else "Istio, not recorded by nksmesh"
    console.print(
        Text.assemble((title, "bold"), ": ", state("ready" if result.ready else "not ready", good=result.ready))
    )
    network = settings.network.value if settings and settings.network else ""
    region = f"{settings.region} {network}".strip() if settings and settings.region else ""
    facts(
        console,
        [
            ("cluster", cluster),
            ("region", region),
            ("hub", record.hub if record else ""),
            ("namespace", result.installation.namespace),
            ("canary", _canary(result)),
        ],
    )
    gap(console)
    rows(
        console,
        ["release", "namespace", "chart", "helm", "ready"],
        [*(_release(status, verbose=verbose) for status in result.releases), *map(_gone, result.installation.gone)],
    )
    for status in result.releases:
        for trouble in status.troubles:
            sentence(console, f"{status.release.name}: {trouble}", BAD)
    if result.gateways:
        gap(console)
        headers = ["gateway", "type", "address", "http", *(["service"] if verbose else [])]
        rows(console, headers, [_gateway(gateway)[: len(headers)] for gateway in result.gateways])
    images = {image: status.release.name for status in result.releases for image in status.images}
    if images:
        gap(console)
        rows(
            console,
            ["images in use"],
            [(Text(image, style=BAD if image in result.strays else ""),) for image in images],
        )
    warnings(console, (*(f"{image} runs outside the hub" for image in result.strays), *result.notes))


def _release(status: ReleaseStatus, *, verbose: bool) -> list[str | Text]:
    installed, ready = status.installed, status.readiness.ready
    helm = Text(f"{installed.helm_revision} {installed.status}", style="" if installed.deployed else BAD)
    said = Text("ready" if ready else status.readiness.message, style=GOOD if ready else DOUBTFUL)
    if verbose and ready:
        said.append(f": {status.readiness.message}")
    return [status.release.name, status.release.namespace, installed.chart_version, helm, said]


def _gone(release: Release) -> list[str | Text]:
    none = Text("-", style=FAINT)
    said = Text("Helm has no release of it. Run nksmesh install to recreate it.", style=BAD)
    return [release.name, release.namespace, none, none, said]


def _gateway(gateway: GatewayAddress) -> list[str | Text]:
    none = Text("-", style=FAINT)
    return [gateway.name, gateway.kind, ", ".join(gateway.addresses) or none, gateway.http or none, gateway.service]


def _canary(result: StatusResult) -> str:
    canary = result.installation.record.canary if result.installation.record else None
    return f"{canary.istio_revision}, Istio {canary.version} (nksmesh canary status)" if canary else ""
