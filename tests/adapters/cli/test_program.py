"""The program as a process: signals, pipes, shell completion, what it imports."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

import pytest

from nksmesh import __version__

PROGRAM: Final = [sys.executable, "-m", "nksmesh"]
WITH_SLOW_COMMANDS: Final = [sys.executable, str(Path(__file__).with_name("slow_command.py"))]
ENVIRONMENT: Final = {
    "PATH": os.environ["PATH"],
    "HOME": "/nonexistent",
    "PYTHONPATH": os.pathsep.join([str(Path(__file__).resolve().parents[3]), str(Path(__file__).parent)]),
}


def started(*arguments: str) -> subprocess.Popen[str]:
    """Start ``slow`` and return when it waits."""
    process = subprocess.Popen(
        [*WITH_SLOW_COMMANDS, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=ENVIRONMENT,
        start_new_session=True,
    )
    assert process.stderr
    for line in process.stderr:
        if "istiod: started" in line:
            return process
    pytest.fail(f"ended with {process.wait()}")


@pytest.mark.parametrize(("number", "name"), [(signal.SIGINT, "Ctrl-C"), (signal.SIGTERM, "SIGTERM")])
def test_a_signal_ends_the_run_cleanly_and_tells_what_was_done(number: signal.Signals, name: str) -> None:
    with started("slow") as process:
        process.send_signal(number)
        out, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert out == ""
    assert f"{name}: stopping" in err
    assert "istiod: Helm ended cleanly" in err
    assert f"error: interrupted by {name}\n  | done: base\n  | not finished: istiod\nhint: " in err
    assert "Traceback" not in err


def test_an_interrupted_run_has_its_envelope() -> None:
    with started("slow", "-o", "json") as process:
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=20)
    assert process.returncode == 130
    assert json.loads(out)["errors"][0]["code"] == "interrupted"


def test_a_second_ctrl_c_does_not_hurry_what_must_end_cleanly() -> None:
    with started("slow") as process:
        process.send_signal(signal.SIGINT)
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "already stopping" in err
    assert "Helm ended cleanly" in err


def test_a_bug_has_code_1_and_a_traceback_only_where_asked_for() -> None:
    plain = subprocess.run(
        [*WITH_SLOW_COMMANDS, "broken"], capture_output=True, text=True, env=ENVIRONMENT, check=False
    )
    assert plain.returncode == 1
    assert plain.stderr.startswith("error: a bug in nksmesh: LookupError: unforeseen\nhint: ")
    assert "Traceback" not in plain.stderr
    debug = subprocess.run(
        [*WITH_SLOW_COMMANDS, "broken", "--debug"], capture_output=True, text=True, env=ENVIRONMENT, check=False
    )
    assert debug.returncode == 1
    assert "Traceback" in debug.stderr


@pytest.mark.parametrize("output", ["text", "json", "yaml"])
def test_a_reader_that_goes_away_is_no_error(output: str) -> None:
    with subprocess.Popen(
        [*WITH_SLOW_COMMANDS, "long", "-o", output],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=ENVIRONMENT,
    ) as process:
        assert process.stdout
        assert process.stderr
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == 0


FULL: Final = "stdout cannot be written: No space left on device"


@pytest.mark.parametrize("arguments", [["long"], ["long", "-o", "json"], ["long", "-o", "yaml"], ["--version"]])
def test_a_full_disk_under_stdout_is_named_and_no_bug(arguments: list[str]) -> None:
    code, err = into_a_full_disk(*arguments)
    assert (code, err.splitlines()[0]) == (2, f"error: {FULL}")
    assert "hint: Free some space" in err
    assert "Traceback" not in err


@pytest.mark.parametrize("arguments", [["--help"], ["install", "--help"], ["charts"]])
def test_a_help_that_does_not_fit_is_no_bug(arguments: list[str]) -> None:
    code, err = into_a_full_disk(*arguments)
    assert code == 2
    assert err.startswith("error: stdout")
    assert "No space left on device\nhint: Free some space" in err
    assert "Traceback" not in err


def test_an_error_that_does_not_fit_on_stdout_is_told_on_stderr() -> None:
    code, err = into_a_full_disk("broken", "-o", "json")
    assert code == 1
    assert err.startswith(f"error: a bug in nksmesh: LookupError: unforeseen\n  also failed: {FULL}\n")
    assert "Traceback" not in err


def test_progress_that_cannot_be_written_ends_no_run() -> None:
    with Path("/dev/full").open("w") as full:
        ran = subprocess.run(
            [*WITH_SLOW_COMMANDS, "brief", "-o", "json"],
            stdout=subprocess.PIPE,
            stderr=full,
            text=True,
            env=ENVIRONMENT,
            check=False,
        )
    assert ran.returncode == 0
    assert json.loads(ran.stdout)["status"] == "success"


def into_a_full_disk(*arguments: str) -> tuple[int, str]:
    """Run a command line whose stdout is a device that is always full; return its exit code and stderr."""
    with Path("/dev/full").open("w") as full:
        ran = subprocess.run(
            [*WITH_SLOW_COMMANDS, *arguments],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            env=ENVIRONMENT,
            check=False,
        )
    return ran.returncode, ran.stderr


def test_an_old_terminal_gets_what_it_can_show() -> None:
    ran = subprocess.run(
        [*PROGRAM, "regions"],
        capture_output=True,
        text=True,
        env={**ENVIRONMENT, "PYTHONIOENCODING": "ascii:strict"},
        check=True,
    )
    assert "kr1  ??" in ran.stdout
    assert ran.stderr == ""


def test_on_a_terminal_the_table_is_live_and_ctrl_c_leaves_the_terminal_whole() -> None:
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [*WITH_SLOW_COMMANDS, "slow"],
        stdout=subprocess.PIPE,
        stderr=theirs,
        text=True,
        env={**ENVIRONMENT, "TERM": "xterm-256color", "COLUMNS": "80", "LINES": "24"},
        start_new_session=True,
    ) as process:
        os.close(theirs)
        shown = read_until(ours, "istiod")
        process.send_signal(signal.SIGINT)
        shown += read_until(ours, "hint:")
        assert process.wait(timeout=20) == 130
    os.close(ours)
    assert "\x1b[?25l" in shown  # the cursor is hidden while the table lives
    assert shown.rindex("\x1b[?25h") < shown.index("interrupted by Ctrl-C")
    assert "✔" in shown


def read_until(terminal: int, text: str) -> str:
    """Read what a terminal shows until a text has been on it."""
    shown = b""
    until = time.monotonic() + 20
    while text not in shown.decode("utf-8", "replace"):
        readable, _, _ = select.select([terminal], [], [], max(0, until - time.monotonic()))
        assert readable, f"{text!r} did not come: {shown!r}"
        shown += os.read(terminal, 65536)
    return shown.decode("utf-8", "replace")


def modules_after(*arguments: str) -> set[str]:
    """Run a command line, and name what it imported."""
    code = (
        "import sys; from nksmesh.cli.main import run_command_line; "
        f"code = run_command_line({list(arguments)!r}); "
        "print(*sys.modules, file=sys.stderr); sys.exit(code)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=ENVIRONMENT, check=True)
    return set(ran.stderr.split())


def test_the_version_needs_neither_typer_nor_rich() -> None:
    imported = modules_after("--version")
    assert "nksmesh.cli.main" in imported
    assert not imported & {"typer", "rich", "asyncio", "yaml", "nksmesh.cli.app"}


def test_the_version_is_what_the_package_says() -> None:
    ran = subprocess.run([*PROGRAM, "--version"], capture_output=True, text=True, env=ENVIRONMENT, check=True)
    assert (ran.stdout, ran.stderr) == (f"nksmesh {__version__}\n", "")


@pytest.mark.parametrize("arguments", [["regions", "-o", "json"], ["history", "--help"], ["versions", "-n", "x"]])
def test_texts_choices_and_flags_are_read_without_pydantic(arguments: list[str]) -> None:
    assert "pydantic" not in modules_after(*arguments)


def test_the_connection_to_a_cluster_imports_no_pydantic() -> None:
    code = "import nksmesh.adapters.cluster.connection, sys; print('pydantic' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=ENVIRONMENT, check=True)
    assert ran.stdout == "False\n"


def test_a_command_imports_no_other_commands_module() -> None:
    imported = modules_after("regions", "--help")
    assert "nksmesh.cli.catalog" in imported
    assert not imported & {"nksmesh.cli.install", "nksmesh.cli.sandbox", "nksmesh.cli.charts", "kubernetes", "pyhelm3"}


def test_no_help_imports_what_talks_to_the_world() -> None:
    imported = modules_after("--help")
    assert "nksmesh.cli.install" in imported
    assert not imported & {"kubernetes", "pyhelm3", "httpx", "cryptography", "yaml", "jsonschema"}


def completions(words: str) -> list[str]:
    """Ask as bash does: the script that --show-completion prints sets these variables."""
    asked = {"_NKSMESH_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
    ran = subprocess.run(PROGRAM, capture_output=True, text=True, check=True, env={**ENVIRONMENT, **asked})
    assert ran.stderr == ""
    return ran.stdout.split()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("nksmesh inst", ["install"]),
        ("nksmesh charts l", ["lock", "list"]),
        ("nksmesh install --regio", ["--region"]),
        ("nksmesh charts list --kube", ["--kubeconfig"]),
        ("nksmesh --no-c", ["--no-color"]),
        ("nksmesh regions -o ", ["text", "json", "yaml"]),
    ],
)
def test_the_shell_completes_commands_options_and_values(words: str, expected: list[str]) -> None:
    assert completions(words) == expected


def test_the_completion_script_names_the_program() -> None:
    # Without this, Typer asks which shell started the program, and a machine that runs tests may have none.
    told = {**ENVIRONMENT, "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
    ran = subprocess.run([*PROGRAM, "--show-completion", "bash"], capture_output=True, text=True, check=True, env=told)
    assert "complete -o default -F _nksmesh_completion nksmesh" in ran.stdout
    assert "_NKSMESH_COMPLETE=complete_bash" in ran.stdout
