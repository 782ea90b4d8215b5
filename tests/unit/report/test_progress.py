"""Progress: a line an event where there is no terminal, a live table where there is one."""

from __future__ import annotations

import io
from datetime import datetime
from typing import Final

import pytest
from rich.console import Console

from nksmesh.domain.common.events import Event, EventKind
from nksmesh.report.live import LiveSteps
from nksmesh.report.progress import ProgressLines
from nksmesh.report.report import Output, Report

NOON: Final = datetime(2026, 1, 2, 12, 0, 7)  # noqa: DTZ001 - a wall clock's time, as a reader sees it


class Clock:
    """Time that goes on when it is told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def event(step: str, kind: EventKind, message: str = "") -> Event:
    return Event(step=step, kind=kind, message=message)


def lines_of(*events: Event, seconds: float = 0.0) -> list[str]:
    written: list[str] = []
    clock = Clock()
    listener = ProgressLines(written.append, now=lambda: NOON, clock=clock)
    for one in events:
        listener(one)
        clock.now += seconds
    return [line.removeprefix("12:00:07 ").removesuffix("\n") for line in written]


def test_an_event_is_a_timestamped_line() -> None:
    written: list[str] = []
    ProgressLines(written.append, now=lambda: NOON)(
        event("istiod", EventKind.WAITING, "Deployment istiod: 0 of 1 replicas available")
    )
    assert written == ["12:00:07 istiod: waiting for Deployment istiod: 0 of 1 replicas available\n"]


@pytest.mark.parametrize(("verbose", "ending"), [(False, ""), (True, ": a, b")])
def test_names_that_a_message_counts_are_for_more_detail(verbose: bool, ending: str) -> None:
    written: list[str] = []
    counted = Event(step="CRDs", kind=EventKind.WAITING, message="2 of 15 CRDs to be Established", names=("a", "b"))
    ProgressLines(written.append, verbose=verbose, now=lambda: NOON)(counted)
    assert written == [f"12:00:07 CRDs: waiting for 2 of 15 CRDs to be Established{ending}\n"]


@pytest.mark.parametrize(
    ("kind", "message", "line"),
    [
        (EventKind.STARTED, "", "istiod: started"),
        (EventKind.STARTED, "upgrade", "istiod: started: upgrade"),
        (EventKind.WAITING, "", "istiod: waiting"),
        (EventKind.WAITING, "waiting for pods", "istiod: waiting for pods"),
        (EventKind.WARNING, "back-off", "istiod: warning: back-off"),
        (EventKind.NOTE, "Helm 3.17.3", "istiod: Helm 3.17.3"),
        (EventKind.DONE, "", "istiod: done"),
        (EventKind.KEPT, "as it should be", "istiod: kept: as it should be"),
        (EventKind.FAILED, "timed out", "istiod: failed: timed out"),
        (EventKind.NOTE, "two\nlines", "istiod: two lines"),
    ],
)
def test_each_kind_of_event_has_its_words(kind: EventKind, message: str, line: str) -> None:
    assert lines_of(event("istiod", kind, message)) == [line]


def test_a_step_says_how_long_it_took() -> None:
    assert lines_of(event("a", EventKind.STARTED), event("a", EventKind.DONE, "ready"), seconds=63.0) == [
        "a: started",
        "a: done after 1m03s: ready",
    ]


def test_the_same_is_not_said_twice_in_a_row() -> None:
    waiting, other = event("a", EventKind.WAITING, "pods"), event("a", EventKind.WAITING, "an endpoint")
    elsewhere = event("b", EventKind.WAITING, "pods")
    said = lines_of(waiting, waiting, elsewhere, waiting, other, waiting)
    assert said == ["a: waiting for pods", "b: waiting for pods", "a: waiting for an endpoint", "a: waiting for pods"]


def test_progress_shows_no_secret() -> None:
    assert lines_of(event("a", EventKind.WARNING, "token: abc123def456")) == ["a: warning: token: [redacted]"]


@pytest.mark.parametrize("output", list(Output))
def test_quiet_says_warnings_alone_and_each_once(capsys: pytest.CaptureFixture[str], output: Output) -> None:
    with Report(command="x", output=output, quiet=True).listening() as listener:
        listener(event("a", EventKind.STARTED, "install"))
        listener(event("a", EventKind.WARNING, "trouble with\ntoken: abc123def456"))
        listener(event("a", EventKind.WAITING, "pods"))
        listener(event("a", EventKind.WARNING, "trouble with\ntoken: abc123def456"))
    assert capsys.readouterr() == ("", "warning: a: trouble with token: [redacted]\n")


@pytest.mark.parametrize("output", list(Output))
def test_without_a_terminal_there_are_lines(capsys: pytest.CaptureFixture[str], output: Output) -> None:
    with Report(command="x", output=output).listening() as listener:
        listener(event("a", EventKind.DONE))
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.endswith(" a: done\n")


def terminal(*, width: int = 80, height: int = 24, color: bool = False, encoding: str = "utf-8") -> Console:
    return Console(
        file=io.TextIOWrapper(io.BytesIO(), encoding=encoding),
        force_terminal=True,
        width=width,
        height=height,
        color_system="standard" if color else None,
        highlight=False,
        markup=False,
        _environ={"TERM": "xterm"},  # a dumb terminal has no cursor to hide
        legacy_windows=False,
    )


def screen(live: LiveSteps, console: Console) -> list[str]:
    """Lay the table out once, as a refresh does."""
    lines = console.render_lines(live, pad=False)
    return ["".join(segment.text for segment in line).rstrip() for line in lines]


def live_on(console: Console, clock: Clock | None = None, *, verbose: bool = False) -> LiveSteps:
    return LiveSteps(console=console, clock=clock or Clock(), verbose=verbose)


def test_the_table_has_each_step_with_its_time_and_what_it_waits_for() -> None:
    console, clock = terminal(), Clock()
    live = live_on(console, clock)
    live(event("namespace", EventKind.STARTED))
    live(event("namespace", EventKind.DONE, "created"))
    live(event("istiod", EventKind.STARTED))
    clock.now += 63
    live(event("istiod", EventKind.WAITING, "Deployment istiod: 0 of 1 replicas available"))
    first, second = screen(live, console)
    assert first.split() == ["✔", "namespace", "0.0s", "created"]
    assert second[1:].split() == [
        "istiod",
        "1m03s",
        "waiting",
        "for",
        "Deployment",
        "istiod:",
        "0",
        "of",
        "1",
        "replicas",
        "available",
    ]


def test_a_failed_and_a_kept_step_have_marks_of_their_own() -> None:
    console = terminal()
    live = live_on(console)
    live(event("a", EventKind.FAILED, "timed out"))
    live(event("b", EventKind.KEPT))
    assert [line[0] for line in screen(live, console)] == ["✘", "-"]


def test_a_step_that_begins_again_runs_again() -> None:
    console, clock = terminal(), Clock()
    live = live_on(console, clock)
    live(event("a", EventKind.DONE))
    live(event("a", EventKind.STARTED))
    clock.now += 5
    assert screen(live, console)[0].split()[-1] == "5.0s"


@pytest.mark.parametrize("width", [20, 40, 80, 200])
@pytest.mark.parametrize("steps", [1, 30, 100])
def test_the_table_never_outgrows_the_terminal(width: int, steps: int) -> None:
    console = terminal(width=width, height=10)
    live = live_on(console)
    for number in range(steps):
        live(event(f"a step with a long name {number}", EventKind.STARTED))
        live(event(f"a step with a long name {number}", EventKind.WAITING, "something that takes " + "very " * 40))
        if number % 3:
            live(event(f"a step with a long name {number}", EventKind.DONE))
    lines = screen(live, console)
    assert len(lines) <= 10
    assert all(console.measure(line).maximum <= width for line in lines)


def test_where_not_all_steps_fit_those_under_way_are_shown() -> None:
    console = terminal(height=10)
    live = live_on(console)
    for number in range(40):
        live(event(f"step-{number}", EventKind.STARTED))
        if number not in {3, 17}:
            live(event(f"step-{number}", EventKind.DONE))
    text = "\n".join(screen(live, console))
    assert "38 of 40 steps ended; 33 not shown" in text
    assert "step-3 " in text
    assert "step-17 " in text


def test_a_terminal_without_unicode_gets_ascii() -> None:
    console = terminal(encoding="ascii")
    live = live_on(console)
    live(event("a", EventKind.DONE))
    live(event("b", EventKind.STARTED))
    assert "".join(screen(live, console)).isascii()


def test_markup_in_a_message_is_text() -> None:
    console = terminal()
    live = live_on(console)
    live(event("[red]a[/]", EventKind.DONE, "[/nonsense] token: abc123def456"))
    line = screen(live, console)[0]
    assert "[red]a[/]" in line
    assert "[/nonsense] token: [redacted]" in line


def written_by(console: Console) -> str:
    file = console.file
    file.seek(0)
    return file.read()


@pytest.mark.parametrize("ends", [None, RuntimeError("boom")])
def test_the_last_state_of_every_step_stays_however_it_ends(ends: Exception | None) -> None:
    console = terminal(height=8)

    def run() -> None:
        with live_on(console) as live:
            for number in range(30):
                live(event(f"step-{number}", EventKind.DONE))
            if ends:
                raise ends

    if ends:
        with pytest.raises(RuntimeError, match="boom"):
            run()
    else:
        run()
    written = written_by(console)
    assert all(f"step-{number} " in written for number in range(30))
    assert written.endswith("\x1b[?25h")  # the cursor is back


@pytest.mark.parametrize(("verbose", "notes"), [(False, 0), (True, 1)])
def test_warnings_stay_above_the_table_and_notes_too_when_asked_for(verbose: bool, notes: int) -> None:
    console = terminal()
    with live_on(console, verbose=verbose) as live:
        live(event("a", EventKind.WARNING, "back-off"))
        live(event("a", EventKind.NOTE, "Helm 3.17.3"))
        live(event("a", EventKind.DONE, "ready"))
    written = written_by(console)
    assert written.count("a: warning: back-off") == 1
    assert written.count("a: Helm 3.17.3") == notes


def test_progress_is_a_line_every_five_seconds_and_lives_in_the_table() -> None:
    clock, written = Clock(), list[str]()
    lines = ProgressLines(written.append, now=lambda: NOON, clock=clock)
    console = Console(file=io.StringIO(), width=80, force_terminal=True)
    table = LiveSteps(console=console, clock=clock)
    for second in range(12):
        clock.now = 100.0 + second
        kind = EventKind.PROGRESS if second else EventKind.STARTED
        for listener in (lines, table):
            listener(event("pilot", kind, f"{second} MB of 12 MB, 1 MB/s" if second else ""))
    assert [line.split(": ", 1)[1] for line in written] == [
        "started\n",
        "5 MB of 12 MB, 1 MB/s\n",
        "10 MB of 12 MB, 1 MB/s\n",
    ]
    with console.capture() as captured:
        console.print(table)
    assert "11 MB of 12 MB, 1 MB/s" in captured.get()
