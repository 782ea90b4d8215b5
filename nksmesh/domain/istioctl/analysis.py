"""What ``istioctl analyze`` reports, as findings."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from nksmesh.domain.common.data import MERGED
from nksmesh.domain.common.findings import Finding, Level

_LEVELS: Final = {"error": Level.FAILURE, "warning": Level.WARNING, "info": Level.NOTE}


@dataclass(frozen=True, kw_only=True)
class AnalyzerMessage:
    """A message of an analyzer.

    Attributes:
        id: The finding's id: JSON has it, too.
        code: Istio's own, such as ``IST0102`` (istio.io, "Configuration analysis messages").
        documentation: The page on that code; empty where there is none.
        cluster: The cluster it is about, where several were analyzed.
    """

    id: str
    code: str
    documentation: str = ""
    cluster: str = ""
    finding: Finding = field(metadata=MERGED)


def messages_of(said: bytes) -> tuple[AnalyzerMessage, ...]:
    """Read what ``istioctl analyze -o json`` wrote, the worst first; a message that comes twice is one.

    Raises:
        ValueError: It is no list of messages.
    """
    listed = json.loads(said)
    if listed is None:  # Go's empty list
        return ()
    if not isinstance(listed, list) or not all(isinstance(entry, dict) for entry in listed):
        raise ValueError("it is no list of messages")
    order = list(Level)
    messages = dict.fromkeys(_message(entry) for entry in listed)
    return tuple(sorted(messages, key=lambda message: -order.index(message.finding.level)))


def _message(entry: Mapping[str, Any]) -> AnalyzerMessage:
    code, url = str(entry.get("code") or ""), str(entry.get("documentationUrl") or "")
    origin = str(entry.get("origin") or "")
    about = f"{origin}: " if origin else ""
    finding = Finding(
        id="istioctl.analyzer-message",
        level=_LEVELS.get(str(entry.get("level")).lower(), Level.WARNING),
        subject=origin,
        message=f"{about}{entry.get('message') or ''}",
        hint=f"See {url.partition('?')[0]}" if url else "",
    )
    return AnalyzerMessage(
        id=finding.id,
        code=code,
        documentation=url.partition("?")[0],
        cluster=str(entry.get("cluster") or ""),
        finding=finding,
    )
