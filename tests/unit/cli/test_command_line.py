"""Command lines in this process: options, failures, exit codes, the envelope."""

from __future__ import annotations

import asyncio
import os
import signal
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
import typer

from nksmesh import __version__
from nksmesh.cli.options import Shell
from nksmesh.cli.run import confirm, perform, run
from nksmesh.domain.common.data import HIDDEN
from nksmesh.domain.common.errors import ConfigError, InterruptedRunError, MeshError, NotReadyError, ReleaseError
from nksmesh.domain.common.events import Event, EventKind, Listener
from nksmesh.report.report import Output
from tests.unit.fakes.command_line import Terminal

if TYPE_CHECKING:
    from tests.unit.cli.conftest import ProbedCommandLine


@dataclass(frozen=True)
class Words:
    """A result."""

    exit_code: int = field(default=0, metadata=HIDDEN)
    errors: tuple[MeshError, ...] = field(default=(), metadata=HIDDEN)
    warnings: tuple[str, ...] = field(default=(), metadata=HIDDEN)
    words: tuple[str, ...] = ("a", "b")


def shell_of(program: ProbedCommandLine, *arguments: str) -> Shell:
    seen: list[Shell] = []
    program.body = seen.append
    assert program(*arguments).code == 0
    return seen[0]


def test_the_version_is_printed_alone(program: ProbedCommandLine) -> None:
    assert program("--version").out == f"nksmesh {__version__}\n"
    assert program("-o", "json", "--version").out == f"nksmesh {__version__}\n"


@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize("command", [("probe",), ("nest", "probe")])
def test_common_options_stand_before_or_after_the_command(
    program: ProbedCommandLine, command: tuple[str, ...], before: bool
) -> None:
    options = [
        "--kubeconfig",
        "k",
        "--context",
        "c",
        "--helm",
        "h",
        "-n",
        "ns",
        "-o",
        "yaml",
        "-q",
        "-v",
        "--no-color",
        "--debug",
    ]
    line = [*options, *command] if before else [*command, *options]
    assert shell_of(program, *line) == Shell(
        command=" ".join(command),
        kubeconfig="k",
        context="c",
        helm="h",
        namespace="ns",
        output=Output.YAML,
        quiet=True,
        verbose=True,
        color=False,
        debug=True,
    )


def test_an_option_between_group_and_command_counts(program: ProbedCommandLine) -> None:
    assert shell_of(program, "-n", "a", "nest", "-n", "b", "--context", "c", "probe").namespace == "b"


def test_what_stands_after_the_command_wins(program: ProbedCommandLine) -> None:
    assert shell_of(program, "-n", "before", "--context", "c", "probe", "-n", "after") == Shell(
        command="probe", namespace="after", context="c"
    )


def test_the_environment_names_helm_and_no_color(program: ProbedCommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NKSMESH_HELM", "from-environment")
    monkeypatch.setenv("NO_COLOR", "1")
    shell = shell_of(program, "probe")
    assert (shell.helm, shell.color) == ("from-environment", False)
    assert shell_of(program, "--helm", "given", "probe").helm == "given"


def test_a_commands_own_options_reach_it(program: ProbedCommandLine) -> None:
    program("probe", "--size", "3")
    assert program.sizes == [3]


def test_a_result_is_the_envelopes_data(program: ProbedCommandLine) -> None:
    async def work(_listener: Listener) -> Words:
        return Words()

    program.body = lambda shell: run(shell, work)
    outcome = program("probe", "-o", "json")
    assert outcome.envelope == {
        "nksmesh": 1,
        "command": "probe",
        "status": "success",
        "data": {"words": ["a", "b"]},
        "errors": [],
    }
    assert outcome.err == ""


def test_progress_goes_to_stderr_alone(program: ProbedCommandLine) -> None:
    async def work(listener: Listener) -> Words:
        listener(Event(step="istiod", kind=EventKind.WAITING, message="Deployment istiod"))
        return Words()

    program.body = lambda shell: run(shell, work)
    outcome = program("probe", "-o", "json")
    assert outcome.envelope["status"] == "success"
    assert outcome.err.endswith(" istiod: waiting for Deployment istiod\n")
    assert program("probe", "-q").err == ""


def test_quiet_keeps_warnings(program: ProbedCommandLine) -> None:
    async def work(listener: Listener) -> Words:
        listener(Event(step="plan", kind=EventKind.WARNING, message="the chart has no key pilot.trace"))
        return Words()

    program.body = lambda shell: run(shell, work)
    assert program("probe", "-q").err == "warning: plan: the chart has no key pilot.trace\n"


def test_a_results_own_exit_code_is_the_programs(program: ProbedCommandLine) -> None:
    async def work(_listener: Listener) -> Words:
        return Words(exit_code=10)

    program.body = lambda shell: run(shell, work)
    outcome = program("probe", "-o", "json")
    assert (outcome.code, outcome.envelope["status"]) == (10, "success")


def test_a_result_with_errors_is_partial(program: ProbedCommandLine) -> None:
    async def work(_listener: Listener) -> Words:
        return Words(errors=(NotReadyError("one gateway is not ready", hint="Look at it."),))

    program.body = lambda shell: run(shell, work)
    outcome = program("probe", "-o", "json")
    assert (outcome.code, outcome.envelope["status"]) == (6, "partial")
    assert outcome.envelope["data"] == {"words": ["a", "b"]}
    assert outcome.envelope["errors"][0]["code"] == "not-ready"


def test_a_results_warnings_go_to_stderr(program: ProbedCommandLine) -> None:
    async def work(_listener: Listener) -> Words:
        return Words(warnings=("the address is pending",))

    program.body = lambda shell: run(shell, work)
    assert program("probe").err == "warning: the address is pending\n"


def fail(error: BaseException) -> None:
    raise error


def test_an_error_is_a_sentence_the_tools_words_and_a_hint(program: ProbedCommandLine) -> None:
    error = ReleaseError("Helm could not upgrade istiod", hint="Read its words.", detail="Error: UPGRADE FAILED\n")
    error.add_note("while upgrading istiod (2 of 3)")
    program.body = lambda _shell: fail(error)
    outcome = program("probe")
    assert (outcome.code, outcome.out) == (5, "")
    assert outcome.err == (
        "error: Helm could not upgrade istiod\n"
        "  while upgrading istiod (2 of 3)\n"
        "  | Error: UPGRADE FAILED\n"
        "hint: Read its words.\n"
    )


def test_an_error_is_in_the_envelope(program: ProbedCommandLine) -> None:
    error = ReleaseError("Helm could not upgrade istiod", hint="Read its words.", detail="Error: UPGRADE FAILED\n")
    error.add_note("while upgrading istiod (2 of 3)")
    program.body = lambda _shell: fail(error)
    outcome = program("nest", "probe", "-o", "json")
    assert outcome.envelope == {
        "nksmesh": 1,
        "command": "nest probe",
        "status": "error",
        "data": {},
        "errors": [
            {
                "code": "release",
                "message": "Helm could not upgrade istiod",
                "hint": "Read its words.",
                "detail": "Error: UPGRADE FAILED",
                "notes": ["while upgrading istiod (2 of 3)"],
            }
        ],
    }


def test_what_is_no_error_of_ours_is_a_bug(program: ProbedCommandLine) -> None:
    program.body = lambda _shell: fail(KeyError("hub"))
    outcome = program("probe")
    assert outcome.code == 1
    assert outcome.err.startswith("error: a bug in nksmesh: KeyError: 'hub'\nhint: ")
    assert "Traceback" not in outcome.err
    assert "Traceback" in program("probe", "--debug").err
    assert program("probe", "-o", "json").envelope["errors"][0]["code"] == "bug"


def test_a_traceback_shows_no_secret(program: ProbedCommandLine) -> None:
    program.body = lambda _shell: fail(ValueError("token: abc123def456"))
    assert "abc123def456" not in program("probe", "--debug").err


def test_of_a_group_of_errors_ours_is_shown_and_the_others_are_noted(program: ProbedCommandLine) -> None:
    first = NotReadyError("gateway-a is not ready", hint="Look at it.")
    second = ReleaseError("Helm failed on gateway-b", hint="Read its words.")
    inner = ExceptionGroup("gateways", [OSError("connection reset"), first])
    program.body = lambda _shell: fail(ExceptionGroup("steps", [inner, second]))
    outcome = program("probe")
    assert outcome.code == 6
    assert outcome.err == (
        "error: gateway-a is not ready\n"
        "  also failed: OSError: connection reset\n"
        "  also failed: Helm failed on gateway-b\n"
        "hint: Look at it.\n"
    )


def test_ctrl_c_outside_of_a_workflow_is_told(program: ProbedCommandLine) -> None:
    program.body = lambda _shell: fail(KeyboardInterrupt())
    outcome = program("probe", "-o", "json")
    assert (outcome.code, outcome.envelope["errors"][0]["code"]) == (130, "interrupted")


def test_a_command_may_exit_by_itself(program: ProbedCommandLine) -> None:
    program.body = lambda _shell: fail(typer.Exit(10))
    assert program("probe").code == 10


@pytest.mark.parametrize(
    ("line", "command", "message"),
    [
        (["prob"], "", "no such command 'prob'. Did you mean 'probe'?"),
        (["nest", "prob"], "nest", "no such command 'prob'. Did you mean 'probe'?"),
        (["probe", "--sise", "3"], "probe", "no such option: --sise"),
        (["probe", "--size", "three"], "probe", "invalid value for '--size'"),
        (["probe", "more"], "probe", "got unexpected extra argument"),
        (["probe", "-o", "json", "--size"], "probe", "option '--size' requires an argument"),
        ([], "", "missing command"),
    ],
)
def test_a_command_line_that_cannot_be_read(
    program: ProbedCommandLine, line: list[str], command: str, message: str
) -> None:
    outcome = program("-o", "json", *line)
    assert outcome.code == 2
    assert outcome.envelope["command"] == command
    (error,) = outcome.envelope["errors"]
    assert error["code"] == "config"
    assert error["message"].startswith(message)
    assert error["hint"].startswith("Run nksmesh")
    assert outcome.err.startswith(f"error: {message}")


@pytest.mark.parametrize("said", [["-o", "json"], ["-ojson"], ["--output", "json"], ["--output=json"], ["-qojson"]])
def test_the_output_asked_for_holds_where_nothing_else_can_be_read(program: ProbedCommandLine, said: list[str]) -> None:
    assert program(*said, "probe", "--nonsense").envelope["status"] == "error"
    assert program("probe", "--nonsense", *said).envelope["status"] == "error"


def test_no_command_at_all_shows_the_help(program: ProbedCommandLine) -> None:
    outcome = program()
    assert outcome.code == 2
    assert "Usage: nksmesh" in outcome.out
    assert outcome.err == ""
    assert program("nest").code == 2


def test_a_module_that_cannot_be_imported_is_a_bug_of_ours(
    program: ProbedCommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    from nksmesh.cli import app  # noqa: PLC0415 - of this test alone

    monkeypatch.setitem(app.COMMANDS, "broken", "nksmesh.cli.there_is_no_such_module")
    outcome = program("broken", "-o", "json")
    assert (outcome.code, outcome.envelope["command"]) == (1, "broken")
    assert program("probe").code == 0


def test_an_interrupted_workflow_says_by_what_and_keeps_its_own_words(program: ProbedCommandLine) -> None:
    async def work(_listener: Listener) -> Words:
        os.kill(os.getpid(), signal.SIGTERM)
        try:
            await asyncio.sleep(10)
        except asyncio.CancelledError:
            raise InterruptedRunError("stopped", hint="", detail="done: istio-base; not begun: istiod") from None
        return Words()

    program.body = lambda shell: run(shell, work)
    outcome = program("probe", "-o", "json")
    (error,) = outcome.envelope["errors"]
    assert (outcome.code, error["message"]) == (130, "interrupted by SIGTERM")
    assert error["detail"] == "done: istio-base; not begun: istiod"


def test_a_workflow_that_cancels_itself_is_a_bug_and_no_interruption(program: ProbedCommandLine) -> None:
    async def work(_listener: Listener) -> Words:
        raise asyncio.CancelledError

    program.body = lambda shell: run(shell, work)
    assert program("probe").code == 1


def test_perform_returns_what_was_done_and_shows_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    async def work(_listener: Listener) -> int:
        return 7

    assert perform(Shell(command="probe"), work) == 7
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("answer", "meant"), [("y\n", True), ("YES\n", True), ("n\n", False), ("\n", False), ("", False)]
)
def test_confirm_takes_yes_for_yes_only(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], answer: str, meant: bool
) -> None:
    monkeypatch.setattr("sys.stdin", Terminal(answer))
    assert confirm("Remove istiod?", yes=False) is meant
    captured = capsys.readouterr()
    assert captured.err.startswith("Remove istiod? [y/N] ")
    assert captured.out == ""


def test_confirm_asks_nothing_where_yes_was_given() -> None:
    assert confirm("Remove istiod?", yes=True)


def test_confirm_without_a_terminal_names_yes(monkeypatch: pytest.MonkeyPatch) -> None:
    with open("/dev/null", encoding="utf-8") as nobody:  # noqa: PTH123 - a device
        monkeypatch.setattr("sys.stdin", nobody)
        with pytest.raises(ConfigError, match="without a terminal") as caught:
            confirm("Remove istiod?", yes=False)
    assert "--yes" in caught.value.hint


@pytest.mark.parametrize(
    "arguments",
    [
        ("upgrade", "--to", "1.20.0", "--step", "--all"),
        ("plan", "--to", "1.20.0", "--version", "1.20.0"),
        ("upgrade", "--to", "1.20"),
        ("upgrade",),
    ],
)
def test_what_cannot_be_meant_of_an_upgrade_is_refused_before_a_cluster_is_asked(
    program: ProbedCommandLine, arguments: tuple[str, ...]
) -> None:
    outcome = program(*arguments)
    assert outcome.code == 2
    assert "hint:" in outcome.err
