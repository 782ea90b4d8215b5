"""Writing to stdout and stderr, which may go away while we write."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from typing import TextIO


def write_out(text: str) -> None:
    """Write to stdout; where its reader is gone (``| head``), say nothing, now or at exit."""
    _write(sys.stdout, text)


def write_err(text: str) -> None:
    """Write to stderr, on the same terms."""
    _write(sys.stderr, text)


def replace_what_cannot_be_written() -> None:
    """Let stdout and stderr show a question mark for what their encoding lacks, rather than fail on an old terminal."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def _write(stream: TextIO, text: str) -> None:
    try:
        print(text, end="", file=stream, flush=True)
    except BrokenPipeError:
        # Python flushes stdout once more at exit and complains then: let that go nowhere.
        with contextlib.suppress(OSError, ValueError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, stream.fileno())
            os.close(nowhere)
