"""The empty cluster, kept: a copy of etcd's files that a reset goes back to."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
from pathlib import Path

from nksmesh.sandbox import processes
from nksmesh.sandbox.control_plane import Part
from nksmesh.sandbox.layout import Layout


def take(layout: Layout) -> None:
    """Copy etcd's files while it stands still.

    A stopped process's files are what a crash at that moment would leave, and etcd starts from those.
    """
    process = processes.find(layout.process(Part.ETCD))
    if process is None or not process.running:
        return
    os.kill(process.pid, signal.SIGSTOP)
    try:
        _copy(layout.data, layout.snapshot)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGCONT)


def restore(layout: Layout) -> None:
    """Put etcd's files back to the empty cluster, or to nothing where no copy was made."""
    shutil.rmtree(layout.data, ignore_errors=True)
    if layout.snapshot.exists():
        _copy(layout.snapshot, layout.data)


def _copy(source: Path, target: Path) -> None:
    unfinished = target.with_name(f"{target.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    # etcd prepares its next log as a .tmp file of 64 MB, and makes it again where it is missing
    shutil.copytree(source, unfinished, ignore=shutil.ignore_patterns("*.tmp"), copy_function=_copy_sparsely)
    shutil.rmtree(target, ignore_errors=True)
    unfinished.replace(target)


def _copy_sparsely(source: str, target: str) -> str:
    """Copy what a file holds, not the room reserved in it: etcd reserves 64 MB for each log."""
    with open(source, "rb") as old, open(target, "wb") as new:  # noqa: PTH123 - copytree hands out strings
        size = os.fstat(old.fileno()).st_size
        os.ftruncate(new.fileno(), size)
        end = 0
        while end < size:
            try:
                begin = os.lseek(old.fileno(), end, os.SEEK_DATA)
            except OSError:  # nothing but reserved room is left
                break
            end = os.lseek(old.fileno(), begin, os.SEEK_HOLE)
            old.seek(begin)
            new.seek(begin)
            while begin < end:
                block = old.read(min(1 << 20, end - begin))
                new.write(block)
                begin += len(block)
    shutil.copymode(source, target)
    return target
