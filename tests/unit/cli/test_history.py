"""What a failing program said is kept as it was, and shown without what looks like a secret."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from nksmesh.cli import wiring
from nksmesh.cli.main import run_command_line
from nksmesh.domain.plan.history import History
from tests.unit.fakes.cluster import FakeCluster
from tests.unit.report.samples import RUNS

if TYPE_CHECKING:
    import pytest


def test_the_history_shows_no_secret(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    cluster = FakeCluster()
    told = replace(RUNS[0], reason="401: token=abc123secret", evidence="Authorization: Bearer abcdef0123456789")
    cluster.histories.kept = {told.namespace: History(namespace=told.namespace, runs=(told, *RUNS[1:]))}

    @asynccontextmanager
    async def runtime(*_: object) -> AsyncIterator[Any]:
        yield SimpleNamespace(cluster=cluster)

    monkeypatch.setattr(wiring, "runtime", runtime)
    assert run_command_line(("history", "-o", "json")) == 0
    out = capsys.readouterr().out
    newest, failed = json.loads(out)["data"]["runs"]
    assert (newest["number"], failed["number"]) == (6, 5)
    assert failed["evidence"] == "Authorization: Bearer [redacted]"
    assert "abc123secret" not in out
    assert run_command_line(("history", "-v")) == 0
    shown = capsys.readouterr()
    assert "abc123secret" not in shown.out + shown.err
    assert "abcdef0123456789" not in shown.out + shown.err
    assert "[redacted]" in shown.out
    assert run_command_line(("history", "--limit", "1", "-o", "json")) == 0
    data = json.loads(capsys.readouterr().out)["data"]
    assert ([run["number"] for run in data["runs"]], data["more"]) == ([6], 1)
