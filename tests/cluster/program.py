"""The program as its user has it: a process of its own, with arguments in and an envelope out.

A run to the end is forked from a process that has imported the program; a run that goes on beside the test is started
as its user starts it.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import pytest

import nksmesh
from tests.cluster.fork_server import fork_server

ROOT = Path(nksmesh.__file__).parents[1]
"""The project's folder: the program runs in another one, and from the sources that are tested."""

PATIENCE = 60.0
"""Seconds after which a run is taken to hang."""


@dataclass(frozen=True, kw_only=True)
class Ran:
    """How one run of the program ended."""

    arguments: tuple[str, ...]
    code: int
    stdout: str
    stderr: str
    seconds: float

    @property
    def envelope(self) -> dict[str, Any]:
        """What stdout has, which is one JSON document and nothing else."""
        return dict(json.loads(self.stdout))

    @property
    def data(self) -> dict[str, Any]:
        return dict(self.envelope["data"])

    @property
    def error(self) -> dict[str, Any]:
        """The one error that ended the run."""
        (only,) = self.envelope["errors"]
        return dict(only)

    @property
    def actions(self) -> dict[str, str]:
        """For each step of the plan, in order, what it does."""
        return {step["name"]: step["action"] for step in self.data["steps"]}

    @property
    def reasons(self) -> dict[str, list[str]]:
        return {step["name"]: step["reasons"] for step in self.data["steps"]}

    @property
    def changes(self) -> dict[str, str]:
        """The steps that write."""
        return {name: action for name, action in self.actions.items() if action not in {"keep", "prove"}}

    def __str__(self) -> str:
        return f"{' '.join(self.arguments)}: {self.code} after {self.seconds:.1f} s\n{self.stdout}\n{self.stderr}"


@dataclass(frozen=True, kw_only=True)
class Program:
    """Runs the program against one cluster, in one folder.

    Attributes:
        kubeconfig: The cluster.
        folder: The working folder.
        charts: Where charts come from, for the commands that take ``--charts``; empty for none.
        helm: The Helm it drives; empty for the one it finds.
        waits: Seconds after which a run is taken to hang.
    """

    kubeconfig: Path
    folder: Path
    charts: str = ""
    helm: str = ""
    environment: dict[str, str] = field(default_factory=dict)
    waits: float = PATIENCE

    def __call__(self, *arguments: str, code: int | None = 0, output: str = "json", charts: str | None = None) -> Ran:
        """Run to the end, and check the exit code unless it is None."""
        began = time.monotonic()
        with TemporaryFile("w+") as stdout, TemporaryFile("w+") as stderr:
            asked = self.arguments(*arguments, output=output, charts=charts)
            run = fork_server().run(asked, self.folder, self.env, stdout, stderr)
            ended = run.wait(self.waits)
            if ended is None:
                os.kill(run.pid, signal.SIGINT)
                if run.wait(PATIENCE) is None:
                    os.kill(run.pid, signal.SIGKILL)
            for stream in (stdout, stderr):
                stream.seek(0)
            words = [stdout.read(), stderr.read()]
        if ended is None:
            pytest.fail(f"{' '.join(arguments)} hangs after {self.waits:.0f} s:\n{''.join(words)}")
        ran = Ran(
            arguments=arguments,
            code=ended,
            stdout=words[0],
            stderr=words[1],
            seconds=time.monotonic() - began,
        )
        assert code is None or ran.code == code, str(ran)
        assert "Traceback" not in ran.stderr, str(ran)
        return ran

    def start(self, *arguments: str, output: str = "json", charts: str | None = None) -> subprocess.Popen[str]:
        """Start a run and leave it going: whoever starts one also ends it."""
        return subprocess.Popen(
            [sys.executable, "-m", "nksmesh", *self.arguments(*arguments, output=output, charts=charts)],
            cwd=self.folder,
            env=self.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def arguments(self, *arguments: str, output: str = "json", charts: str | None = None) -> list[str]:
        source = self.charts if charts is None else charts
        takes_charts = arguments[0] in {"install", "plan", "template", "upgrade", "adopt", "canary", "tag", "guide"}
        return [
            *arguments,
            *(["-o", output] if output else []),
            *(["--charts", source] if source and takes_charts else []),
            *(["--helm", self.helm] if self.helm else []),
        ]

    @property
    def env(self) -> dict[str, str]:
        inherited = {key: text for key, text in os.environ.items() if not key.startswith(("NKSMESH_HELM", "HELM_"))}
        own = {"KUBECONFIG": str(self.kubeconfig), "NO_COLOR": "1", "PYTHONPATH": str(ROOT)}
        own["NKSMESH_NO_CHECK_IMAGES"] = (
            "1"  # hubs of tests are names that lead nowhere, and simulated nodes pull nothing
        )
        return {**inherited, **own, **self.environment}
