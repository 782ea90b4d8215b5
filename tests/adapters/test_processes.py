"""The Helms that a run left at work, as whoever finds the run dead looks for them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from nksmesh.adapters import processes

RUN = processes.this_run("install")
MARKED = {processes.RUN_VARIABLE: processes.this_mark()}


@contextlib.contextmanager
def running(program: Path, *arguments: str, marked: bool = True) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program as a Helm is run: in a session of its own, with the run's mark."""
    environment = {**os.environ, **(MARKED if marked else {})}
    process = subprocess.Popen([program, *arguments], start_new_session=True, env=environment, stdin=subprocess.PIPE)
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        process.communicate()


def named(folder: Path, name: str, like: str = "cat") -> Path:
    found = shutil.which(like)
    assert found
    return Path(shutil.copy(found, folder / name))


async def until_helms_are(*wanted: int) -> None:
    async with asyncio.timeout(15):
        while processes.helms_of(RUN) != wanted:  # noqa: ASYNC110 - a process that becomes another program tells nobody
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("name", ["helm", "helm-v4", "h3"])
async def test_a_helm_is_known_by_its_mark_whatever_its_program_is_called(tmp_path: Path, name: str) -> None:
    with running(named(tmp_path, name)) as helm:
        await until_helms_are(helm.pid)
        waiting = asyncio.create_task(processes.wait_for_helm(processes.helms_of(RUN)))
        await asyncio.sleep(0.1)
        assert not waiting.done()
        assert helm.stdin
        helm.stdin.close()
        async with asyncio.timeout(15):
            await waiting
    assert processes.helms_of(RUN) == ()


async def test_what_a_helm_itself_runs_is_none(tmp_path: Path) -> None:
    """A credential plugin may outlive the Helm that asked it, and nobody waits for it."""
    with running(named(tmp_path, "helm", "sh"), "-c", "exec 3<&0; cat <&3 & wait") as helm:
        await until_helms_are(helm.pid)


async def test_a_noted_helm_without_a_mark_to_be_seen_is_known_by_its_name(tmp_path: Path) -> None:
    """Another user's environment cannot be read."""
    with running(named(tmp_path, "helm"), marked=False) as helm, running(named(tmp_path, "h"), marked=False) as other:
        noted = replace(RUN, helm=(helm.pid, other.pid))
        async with asyncio.timeout(15):
            while processes.helms_of(noted) != (helm.pid,):  # noqa: ASYNC110 - as above
                await asyncio.sleep(0.01)
