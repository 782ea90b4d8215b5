"""Where the gateways of a mesh are reached, why one is not, and what it answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from nksmesh.domain.common.data import HIDDEN, fields_of
from nksmesh.domain.common.errors import NotReadyError
from nksmesh.domain.common.events import Event, EventKind
from nksmesh.domain.common.findings import Finding, warnings_of
from nksmesh.domain.gateways.answers import Answer, judge_answer
from nksmesh.domain.gateways.endpoints import (
    HTTP,
    HTTPS,
    Address,
    GatewayEndpoint,
    choose_gateway,
    why_no_address,
)
from nksmesh.domain.gateways.listeners import check_listeners, check_served
from nksmesh.domain.mesh.mesh import Network
from nksmesh.engine.gateways import Gateways, SeenGateway, read_gateways
from nksmesh.engine.load_balancers import wait_for_address
from nksmesh.engine.ports import Pages
from nksmesh.engine.runtime import Runtime

ADDRESS_STEP: Final = "address"


@dataclass(frozen=True, kw_only=True)
class GatewayList:
    """The gateways of a mesh.

    Attributes:
        namespace: The control plane's namespace.
        findings: Ports that nobody can connect to, and Gateway objects that select no gateway.
    """

    namespace: str
    gateways: tuple[GatewayEndpoint, ...]
    findings: tuple[Finding, ...] = ()

    @property
    def warnings(self) -> tuple[str, ...]:
        """What keeps somebody from being answered."""
        return warnings_of(self.findings)

    def json_form(self) -> dict[str, Any]:
        """Return what JSON has: with the addresses of HTTP and HTTPS of each gateway."""
        gateways = [
            fields_of(gateway) | {"http": str(gateway.address(HTTP) or ""), "https": str(gateway.address(HTTPS) or "")}
            for gateway in self.gateways
        ]
        return fields_of(self) | {"gateways": gateways, "findings": _with_ids(self.findings)}


@dataclass(frozen=True, kw_only=True)
class UrlOrder:
    """What is asked for.

    Attributes:
        gateway: The gateway's release; empty for the only one.
        port: The port's name.
        wait: How long the load balancer's address is waited for, in seconds.
        by_node: A node's address, whatever the load balancer has.
        check: The path to ask for; empty for none.
        host: The host name to ask for; empty for the address.
        shell: Print the guides' variables for a shell.
    """

    gateway: str = ""
    port: str = HTTP
    wait: float = 0.0
    by_node: bool = False
    check: str = ""
    host: str = ""
    shell: bool = False


@dataclass(frozen=True, kw_only=True)
class GatewayUrl:
    """Where a gateway is reached.

    Attributes:
        gateway: Its release.
        service: ``NAMESPACE/NAME`` of its Service.
        url: The URL of the port that was asked for.
        address: HOST:PORT of it: GATEWAY_URL of the NKS guide.
        by_node: It is a node's address, and not the load balancer's.
        variables: The guides' shell variables, by name.
        answer: What it answered; None where it was not asked.
        findings: What keeps it from answering.
        shell: Print the variables.
    """

    gateway: str
    service: str
    url: str
    address: str
    by_node: bool
    variables: dict[str, str]
    answer: Answer | None = None
    findings: tuple[Finding, ...] = ()
    shell: bool = field(default=False, metadata=HIDDEN)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What keeps it from answering."""
        return warnings_of(self.findings)

    @property
    def exit_code(self) -> int:
        """6 where it was asked and did not answer with a page, else 0."""
        return NotReadyError.exit_code if self.answer and not self.answer.good else 0

    def json_form(self) -> dict[str, Any]:
        """Return what JSON has: the findings with their ids."""
        return fields_of(self) | {"findings": _with_ids(self.findings)}


async def list_gateways(runtime: Runtime, namespace: str) -> GatewayList:
    """List the gateways of a mesh, with what listens there.

    Raises:
        ClusterError: The cluster cannot be reached, or refuses.
    """
    found = await read_gateways(runtime.cluster, runtime.helm, namespace)
    endpoints = tuple(gateway.endpoint(runtime.cluster.live) for gateway in found.seen)
    findings = tuple(check_listeners(found.objects, endpoints)) if endpoints else ()
    return GatewayList(namespace=found.namespace, gateways=endpoints, findings=findings)


async def gateway_url(order: UrlOrder, runtime: Runtime, namespace: str, pages: Pages) -> GatewayUrl:
    """Find where a gateway is reached and, where that is asked for, what it answers.

    Args:
        pages: Asks the address.

    Raises:
        ConfigError: There is no such gateway or port, or it has no address outside of the cluster.
        NotReadyError: Its load balancer has no address.
        ClusterError: The cluster cannot be reached, or refuses.
    """
    found, live = await read_gateways(runtime.cluster, runtime.helm, namespace), runtime.cluster.live
    chosen = choose_gateway([gateway.endpoint(live) for gateway in found.seen], order.gateway)
    if isinstance(chosen, Finding):
        raise chosen.as_error()
    seen = next(gateway for gateway in found.seen if gateway.name == chosen.name)
    await _wait(seen, order, runtime)
    endpoint = seen.endpoint(live)
    address = _address(endpoint, order.port, order, found.network)
    if address is None:
        raise why_no_address(endpoint, seen.service_in(live), order.port, seen.events(live)).as_error()
    scheme = "https" if order.port == HTTPS else "http"
    result = GatewayUrl(
        gateway=endpoint.name,
        service=endpoint.service,
        url=f"{scheme}://{address}",
        address=str(address),
        by_node=address.by_node,
        variables=_variables(address, {name: _address(endpoint, name, order, found.network) for name in (HTTP, HTTPS)}),
        shell=order.shell,
    )
    return await _asked(result, address, endpoint, order, found, pages) if order.check else result


async def _wait(seen: SeenGateway, order: UrlOrder, runtime: Runtime) -> None:
    """Wait for the load balancer's address, where there is to be one."""
    live = runtime.cluster.live
    if order.by_node or seen.endpoint(live).kind != "LoadBalancer":
        return

    def tell() -> None:
        if order.wait:
            message = f"an address for Service {seen.service.name}"
            runtime.listener(Event(step=ADDRESS_STEP, kind=EventKind.WAITING, message=message))

    await wait_for_address(live, seen.service, order.wait, tell)


def _address(endpoint: GatewayEndpoint, port: str, order: UrlOrder, network: Network) -> Address | None:
    """Return where a port is reached; a node's address where it is asked for, or where no load balancer is to come."""
    if order.by_node:
        return endpoint.node_address(port)
    nodes = network is Network.PRIVATE or endpoint.kind == "NodePort"
    return endpoint.address(port, by_node=nodes)


def _variables(chosen: Address, addresses: dict[str, Address | None]) -> dict[str, str]:
    """Return the variables of the NKS guide and of Istio's tasks."""
    names = {HTTP: "INGRESS_PORT", HTTPS: "SECURE_INGRESS_PORT"}
    ports = {names[name]: str(address.port) for name, address in addresses.items() if address}
    return {"INGRESS_HOST": chosen.host, **ports, "GATEWAY_URL": str(chosen)}


async def _asked(
    result: GatewayUrl, address: Address, endpoint: GatewayEndpoint, order: UrlOrder, found: Gateways, pages: Pages
) -> GatewayUrl:
    """Ask the address, and look for the cause where it answers with no page."""
    answer = await pages.ask(f"{result.url}/{order.check.lstrip('/')}", host=order.host)
    port = endpoint.port(order.port)
    findings: Sequence[Finding] = ()
    if not answer.good:
        about = check_served(found.objects, endpoint, port) if port else ()
        findings = (*judge_answer(answer, address), *about, *check_listeners(found.objects, [endpoint]))
    return replace(result, answer=answer, findings=tuple(findings))


def _with_ids(findings: Sequence[Finding]) -> list[dict[str, Any]]:
    return [{"id": finding.id, **fields_of(finding)} for finding in findings]
