"""How istioctl is asked, and what its answers come to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NoReturn

import pytest

from nksmesh.commands.istioctl.reports import analyze, proxy_status
from nksmesh.domain.common.errors import IstioctlError

TABLE = b"""\
NAME            CDS        LDS        EDS        RDS        ISTIOD       VERSION
a.default       SYNCED     SYNCED     SYNCED     SYNCED     istiod-1     1.20.0
b.team          ERROR      SYNCED     SYNCED     SYNCED     istiod-1     1.20.0
"""


@dataclass(frozen=True)
class Answer:
    code: int = 0
    out: bytes = b""
    err: bytes = b""


@dataclass
class Program:
    """An istioctl that answers as it is told.

    Attributes:
        answers: One for each time that it is asked.
        asked: Its command lines.
    """

    answers: list[Answer]
    asked: list[list[str]] = field(default_factory=list)

    async def ask(self, arguments: Sequence[str]) -> Answer:
        self.asked.append(list(arguments))
        return self.answers.pop(0)

    def become(self, arguments: Sequence[str]) -> NoReturn:
        raise AssertionError(arguments)


async def test_only_an_error_fails_an_analysis() -> None:
    warning = Answer(out=b'[{"code": "IST0118", "level": "Warning", "message": "m"}]')
    program = Program([warning, Answer(out=b'[{"code": "IST0101", "level": "Error", "message": "m"}]')])
    assert (await analyze(program, "1.20.0", "")).exit_code == 0
    assert (await analyze(program, "1.20.0", "team")).exit_code == 7
    assert program.asked == [
        ["analyze", "--output=json", "--color=false", "--all-namespaces"],
        ["analyze", "--output=json", "--color=false", "--namespace=team"],
    ]


async def test_a_namespace_that_is_not_there_is_no_clean_result() -> None:
    program = Program([Answer(err=b'namespace "team" not found\n')])
    with pytest.raises(IstioctlError, match="istioctl analyze failed") as failed:
        await analyze(program, "1.20.0", "team")
    assert failed.value.detail == 'namespace "team" not found'


async def test_an_istioctl_that_fails_says_its_own_words() -> None:
    program = Program([Answer(code=1, out=b"[]", err=b"Error: no cluster\n")])
    with pytest.raises(IstioctlError) as failed:
        await analyze(program, "1.20.0", "")
    assert (failed.value.exit_code, failed.value.detail) == (3, "Error: no cluster")


async def test_no_answer_at_all_means_no_proxy_and_no_clean_analysis() -> None:
    assert (await proxy_status(Program([Answer()]), "1.20.0", "")).proxies == ()
    with pytest.raises(IstioctlError, match="cannot be read"):
        await analyze(Program([Answer()]), "1.20.0", "")


@pytest.mark.parametrize("said", [b"words", b"{}", b"\xff\xfe"])
async def test_an_answer_that_cannot_be_read_is_shown(said: bytes) -> None:
    with pytest.raises(IstioctlError, match="cannot be read") as failed:
        await analyze(Program([Answer(out=said)]), "1.20.0", "")
    assert "nksmesh istioctl -- analyze" in failed.value.hint
    with pytest.raises(IstioctlError, match="istioctl proxy-status cannot be read"):
        await proxy_status(Program([Answer(out=b"some words\nof another")]), "1.20.0", "")


async def test_an_old_istioctl_is_asked_for_its_table() -> None:
    unknown = Answer(code=64, err=b"Error: unknown flag: --output\n")
    program = Program([unknown, Answer(out=TABLE)])
    found = await proxy_status(program, "1.20.0", "")
    assert [proxy.name for proxy in found.proxies] == ["a.default", "b.team"]
    assert (found.exit_code, [finding.id for finding in found.findings]) == (7, ["istioctl.rejected-configuration"])
    assert program.asked == [["proxy-status", "--output=json"], ["proxy-status"]]


async def test_proxies_of_another_namespace_are_left_out() -> None:
    found = await proxy_status(Program([Answer(out=TABLE)]), "1.20.0", "default")
    assert ([proxy.name for proxy in found.proxies], found.exit_code) == (["a.default"], 0)


async def test_another_failure_of_proxy_status_is_not_asked_again() -> None:
    program = Program([Answer(code=1, err=b"Error: no istiod\n")])
    with pytest.raises(IstioctlError, match="proxy-status failed"):
        await proxy_status(program, "1.20.0", "")
