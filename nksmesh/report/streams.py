"""Writing to stdout and stderr, which may go away or fill up while we write."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from typing import TextIO

from nksmesh.domain.common.errors import ConfigError


def write_out(text: str) -> None:
    """Write to stdout; where its reader is gone (``| head``), say nothing, now or at exit.

    Raises:
        ConfigError: Stdout takes nothing more: its disk is full, or a quota is used up.
    """
    try:
        _write(sys.stdout, text)
    except OSError as error:
        raise ConfigError(
            f"stdout cannot be written: {error.strerror or error}",
            hint="Free some space there, or write to another place. What the command has changed stays changed.",
        ) from error


def write_err(text: str) -> None:
    """Write to stderr; where that fails, go on without: progress that nobody can read must not end a run."""
    with contextlib.suppress(OSError):
        _write(sys.stderr, text)


def replace_what_cannot_be_written() -> None:
    """Let stdout and stderr show a question mark for what their encoding lacks, rather than fail on an old terminal."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def _write(stream: TextIO, text: str) -> None:
    try:
        print(text, end="", file=stream, flush=True)
    except OSError as error:
        # Python flushes a stream once more at exit and complains then: let that go nowhere.
        with contextlib.suppress(OSError, ValueError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, stream.fileno())
            os.close(nowhere)
        if not isinstance(error, BrokenPipeError):
            raise
