"""``nksmesh istioctl analyze`` and ``proxy-status``: what istioctl reports, in nksmesh's form."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from nksmesh.domain.common.data import fields_of
from nksmesh.domain.common.errors import CheckError, IstioctlError
from nksmesh.domain.common.findings import Finding, Level, has_failure
from nksmesh.domain.istioctl.analysis import AnalyzerMessage, messages_of
from nksmesh.domain.istioctl.proxies import ProxyStatus, findings_of, statuses_of
from nksmesh.engine.ports import IstioctlProgram


@dataclass(frozen=True, kw_only=True)
class IstioctlAnalysis:
    """What ``istioctl analyze`` says of a cluster's configuration.

    Attributes:
        istioctl: The version of the istioctl that was run.
        namespace: What was analyzed; empty for all namespaces.
        messages: What it found, the worst first.
    """

    istioctl: str
    namespace: str
    messages: tuple[AnalyzerMessage, ...]

    @property
    def exit_code(self) -> int:
        """7 where it found an error."""
        return CheckError.exit_code if any(found.finding.level is Level.FAILURE for found in self.messages) else 0


@dataclass(frozen=True, kw_only=True)
class ProxyStatuses:
    """What ``istioctl proxy-status`` says of the proxies.

    Attributes:
        istioctl: The version of the istioctl that was run.
        namespace: Whose proxies these are; empty for all namespaces.
        findings: Which of them are not in step with their istiod.
    """

    istioctl: str
    namespace: str
    proxies: tuple[ProxyStatus, ...]
    findings: tuple[Finding, ...] = ()

    def json_form(self) -> dict[str, Any]:
        """Return what JSON has: the findings with their ids."""
        return {**fields_of(self), "findings": [{"id": found.id, **fields_of(found)} for found in self.findings]}

    @property
    def exit_code(self) -> int:
        """7 where a proxy rejects its configuration."""
        return CheckError.exit_code if has_failure(self.findings) else 0


async def analyze(program: IstioctlProgram, version: str, namespace: str) -> IstioctlAnalysis:
    """Analyze the configuration in a namespace, or in all of them where that is empty.

    Args:
        version: The program's.

    Raises:
        IstioctlError: istioctl fails, or answers nothing that can be read.
    """
    where = [f"--namespace={namespace}"] if namespace else ["--all-namespaces"]
    said = await _said(program, ["analyze", "--output=json", "--color=false", *where])
    try:
        messages = messages_of(said)
    except ValueError as error:
        raise _unreadable("analyze", said) from error
    return IstioctlAnalysis(istioctl=version, namespace=namespace, messages=messages)


async def proxy_status(program: IstioctlProgram, version: str, namespace: str) -> ProxyStatuses:
    """Ask each istiod which configuration the proxies of a namespace have, or of all where that is empty.

    Args:
        version: The program's.

    Raises:
        IstioctlError: istioctl fails, or answers nothing that can be read.
    """
    where = [f"--namespace={namespace}"] if namespace else []
    try:
        said = await _said(program, ["proxy-status", "--output=json", *where])
    except IstioctlError as error:
        if "unknown flag: --output" not in error.detail:
            raise
        said = await _said(program, ["proxy-status", *where])  # Istio 1.20's has a table alone
    try:
        proxies = statuses_of(said)
    except ValueError as error:
        raise _unreadable("proxy-status", said) from error
    if namespace:
        proxies = tuple(proxy for proxy in proxies if proxy.name.endswith(f".{namespace}"))
    return ProxyStatuses(istioctl=version, namespace=namespace, proxies=proxies, findings=findings_of(proxies))


async def _said(program: IstioctlProgram, arguments: Sequence[str]) -> bytes:
    ended = await program.ask(arguments)
    words = ended.err.decode(errors="replace").strip()
    # a namespace that is not there ends with 0 and a word on stderr; without proxies nothing at all is said
    if ended.code or (words and not ended.out.strip()):
        raise IstioctlError(
            f"istioctl {arguments[0]} failed",
            hint="istioctl's message above says why. Fix the cause, then run the same command again.",
            detail=words or ended.out.decode(errors="replace").strip(),
        )
    return ended.out


def _unreadable(command: str, said: bytes) -> IstioctlError:
    return IstioctlError(
        f"the answer of istioctl {command} cannot be read",
        hint=f"Run it alone to see it: nksmesh istioctl -- {command}",
        detail=said[:2000].decode(errors="replace").strip(),
    )
