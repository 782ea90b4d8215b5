"""What a gateway answered, or that it did not, and what that means."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from html import unescape
from typing import Final

from nksmesh.domain.common.data import rounded
from nksmesh.domain.common.findings import Finding, Level
from nksmesh.domain.gateways.endpoints import Address

_TITLE: Final = re.compile(r"<title[^>]*>(.*?)</title>", re.IGNORECASE | re.DOTALL)
_FAILURES: Final = 400
_NOT_FOUND: Final = 404
_UNAVAILABLE: Final = 503


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What came of asking an address.

    Attributes:
        url: What was asked for.
        status: The HTTP status; 0 where nothing answered.
        title: The title of an HTML page; may be empty.
        seconds: How long it took.
        failure: Why nothing answered; empty where something did.
        timed_out: Nothing answered in time; else the connection was refused, or cut.
    """

    url: str
    status: int = 0
    title: str = ""
    seconds: float = field(default=0.0, metadata=rounded(3))
    failure: str = ""
    timed_out: bool = False

    @property
    def good(self) -> bool:
        """Whether a page was answered."""
        return 0 < self.status < _FAILURES


def title_of(page: str) -> str:
    """Return the title of an HTML page; empty where it has none."""
    found = _TITLE.search(page)
    return " ".join(unescape(found.group(1)).split()) if found else ""


def judge_answer(answer: Answer, address: Address) -> Iterator[Finding]:
    """Find an answer that is no page, and say what is the likely cause."""
    if answer.failure:
        yield Finding(
            id="gateway.unreachable",
            level=Level.WARNING,
            subject=answer.url,
            message=f"{answer.url} does not answer: {answer.failure}",
            hint=_what_is_closed(address)
            if answer.timed_out
            else "Run nksmesh gateway list to see what listens there.",
        )
    elif not answer.good:
        yield Finding(
            id="gateway.error-answer",
            level=Level.WARNING,
            subject=answer.url,
            message=f"{answer.url} answers with HTTP status {answer.status}",
            hint=_HINTS.get(answer.status, "Run kubectl logs on a pod of the gateway to see the request."),
        )


def _what_is_closed(address: Address) -> str:
    """Say what lets no packet through (NKS user guide, on strict security rules and IP access control)."""
    if address.by_node:
        return (
            f"Open port {address.port} in the nodes' security group: with strict security rules (강화된 보안 규칙) NKS "
            "does not open 30000-32767."
        )
    return (
        "Check the load balancer's IP access control, and that the nodes' security group opens ports 30000-32767: "
        "with strict security rules (강화된 보안 규칙) NKS does not."
    )


_HINTS: Final = {
    _NOT_FOUND: "No VirtualService has a route for this host and path: run kubectl get virtualservices -A.",
    _UNAVAILABLE: "The route leads to no ready pod: run kubectl get endpoints of the Service that it names.",
}
