"""A question that is answered with no ends as every run does: with one envelope, and nothing done."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from nksmesh.cli import wiring
from nksmesh.cli.main import run_command_line
from nksmesh.commands.repair import repair
from nksmesh.commands.repair.repair import RepairPlan
from nksmesh.commands.rollback import plan as rollback_plan
from nksmesh.commands.rollback.plan import RollbackPlan
from nksmesh.commands.traffic import change
from nksmesh.commands.traffic.change import TrafficPlan, TrafficResult
from nksmesh.commands.uninstall import uninstall as workflow
from nksmesh.domain.common.findings import Finding, Level
from tests.unit.fakes.command_line import Terminal
from tests.unit.report import drift_samples
from tests.unit.report.samples import ROLLBACK, RUNS, UNINSTALL
from tests.unit.report.traffic_samples import TO_WRITE, WRITTEN

if TYPE_CHECKING:
    import pytest


def test_a_no_to_uninstall_prints_its_envelope(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    @asynccontextmanager
    async def runtime(*_: object) -> AsyncIterator[Any]:
        yield SimpleNamespace(cluster=None)

    async def planned(*_: object, **__: object) -> workflow.UninstallPlan:
        return UNINSTALL

    monkeypatch.setattr(wiring, "runtime", runtime)
    monkeypatch.setattr(workflow, "plan_uninstall", planned)
    monkeypatch.setattr("sys.stdin", Terminal("n\n"))
    assert run_command_line(("uninstall", "-o", "json")) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["status"], document["data"]["agreed"], document["data"]["removed"]) == ("success", False, [])


def test_a_no_to_rollback_prints_its_envelope_after_the_plan(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    @asynccontextmanager
    async def runtime(*_: object) -> AsyncIterator[Any]:
        yield SimpleNamespace(cluster=None, helm=None, charts=None)

    async def planned(*_: object, **__: object) -> RollbackPlan:
        secret = replace(RUNS[0], evidence="Authorization: Bearer abcdef0123456789")
        return replace(ROLLBACK, way=replace(ROLLBACK.way, runs=(secret,)))

    monkeypatch.setattr(wiring, "runtime", runtime)
    monkeypatch.setattr(rollback_plan, "plan_rollback", planned)
    monkeypatch.setattr("sys.stdin", Terminal("n\n"))
    assert run_command_line(("rollback", "-o", "json")) == 0
    out, err = capsys.readouterr()
    document = json.loads(out)
    assert (document["status"], document["data"]["agreed"], document["data"]["done"]) == ("success", False, [])
    assert "Back to 1.19.0, as before run 5" in err
    assert "abcdef0123456789" not in out + err


def test_a_no_to_repair_prints_its_envelope_after_what_differs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    @asynccontextmanager
    async def runtime(*_: object) -> AsyncIterator[Any]:
        yield SimpleNamespace(cluster=None, helm=None, charts=None)

    async def planned(*_: object, **__: object) -> RepairPlan:
        return drift_samples.PLAN

    monkeypatch.setattr(wiring, "runtime", runtime)
    monkeypatch.setattr(repair, "plan_repair", planned)
    monkeypatch.setattr("sys.stdin", Terminal("n\n"))
    assert run_command_line(("repair", "-o", "json")) == 0
    out, err = capsys.readouterr()
    document = json.loads(out)
    assert (document["status"], document["data"]["agreed"], document["data"]["repaired"]) == ("success", False, [])
    assert "3 objects would be restored" in err


def test_a_warning_that_was_shown_before_the_question_is_not_said_again(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    later = Finding(id="y", level=Level.WARNING, message="this is new")

    @asynccontextmanager
    async def runtime(*_: object) -> AsyncIterator[Any]:
        yield SimpleNamespace(cluster=None)

    async def planned(*_: object) -> TrafficPlan:
        return TO_WRITE

    async def written(*_: object) -> TrafficResult:
        return replace(WRITTEN, plan=replace(TO_WRITE, findings=(*TO_WRITE.findings, later)))

    monkeypatch.setattr(wiring, "runtime", runtime)
    monkeypatch.setattr(change, "plan_traffic", planned)
    monkeypatch.setattr(change, "write_traffic", written)
    for more, answer, new in (((), "y", 1), (("--yes",), "", 1), ((), "n", 0)):
        monkeypatch.setattr("sys.stdin", Terminal(f"{answer}\n"))
        assert run_command_line(("traffic", "shift", "reviews", "v1=80", "v2=20", "--write", *more)) == 0
        said = "".join(capsys.readouterr().err.split())  # a line may be broken anywhere
        assert said.count("sendsrequestsofgatewayedgetoreviewsitself") == 1
        assert said.count("warning:thisisnew") == new


def test_one_revision_is_no_end_of_the_mesh_to_be_purged(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command_line(("uninstall", "--revision", "1-18-7", "--purge", "-o", "json")) == 2
    (error,) = json.loads(capsys.readouterr().out)["errors"]
    assert "Pass --revision without --purge" in error["hint"]
