"""How ``nksmesh gateway`` looks."""

from __future__ import annotations

import shlex

from rich.console import Console
from rich.text import Text

from nksmesh.commands.gateway import GatewayList, GatewayUrl
from nksmesh.domain.common.durations import spoken
from nksmesh.domain.gateways.answers import Answer
from nksmesh.domain.gateways.endpoints import HTTP, HTTPS, GatewayEndpoint
from nksmesh.report.layout import BAD, DOUBTFUL, GOOD, Cell, rows, sentence
from nksmesh.report.redaction import redact
from nksmesh.report.text import renders


@renders(GatewayList)
def _list(result: GatewayList, console: Console, verbose: bool) -> None:
    if not result.gateways:
        sentence(console, f"The mesh in {result.namespace} has no gateway.")
    headers = ["gateway", "service", "type", "address", "http", "https", *(["ports"] if verbose else [])]
    rows(console, headers, [_gateway(gateway)[: len(headers)] for gateway in result.gateways])


@renders(GatewayUrl)
def _url(result: GatewayUrl, console: Console, _verbose: bool) -> str | None:
    if result.shell:
        return "".join(f"export {name}={shlex.quote(text)}\n" for name, text in result.variables.items())
    sentence(console, result.url)
    if result.answer:
        sentence(console, _said(result.answer), GOOD if result.answer.good else BAD)
    return None


def _gateway(gateway: GatewayEndpoint) -> tuple[Cell, ...]:
    address: Cell = ", ".join(gateway.addresses)
    if not address:
        waits = gateway.kind == "LoadBalancer"
        address = Text("pending" if waits else "-", style=DOUBTFUL if waits else "")
    ports = ", ".join(
        f"{port.name} {port.port} to {port.target}" + (f", node port {port.node_port}" if port.node_port else "")
        for port in gateway.ports
    )
    urls = (str(gateway.address(name) or "-") for name in (HTTP, HTTPS))
    return gateway.name, gateway.service, gateway.kind, address, *urls, ports


def _said(answer: Answer) -> str:
    if answer.failure:
        return redact(f"{answer.url}: {answer.failure}")
    title = f", {answer.title!r}" if answer.title else ""
    return redact(f"{answer.url}: HTTP {answer.status}{title}, after {spoken(answer.seconds)}")
