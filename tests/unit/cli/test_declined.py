"""A question that is answered with no ends as every run does: with one envelope, and nothing done."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from nksmesh.cli import wiring
from nksmesh.cli.main import run_command_line
from nksmesh.workflows import uninstall as workflow
from tests.unit.report.samples import UNINSTALL

if TYPE_CHECKING:
    import pytest


class Terminal:
    def isatty(self) -> bool:
        return True

    def readline(self) -> str:
        return "n\n"


def test_a_no_to_uninstall_prints_its_envelope(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    @asynccontextmanager
    async def tools(*_: object) -> AsyncIterator[Any]:
        yield SimpleNamespace(cluster=None)

    async def planned(*_: object, **__: object) -> workflow.UninstallPlan:
        return UNINSTALL

    monkeypatch.setattr(wiring, "tools", tools)
    monkeypatch.setattr(workflow, "plan_uninstall", planned)
    monkeypatch.setattr("sys.stdin", Terminal())
    assert run_command_line(("uninstall", "-o", "json")) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["status"], document["data"]["agreed"], document["data"]["removed"]) == ("success", False, [])
