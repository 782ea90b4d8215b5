"""Who installs: nksmesh as a user runs it, and the same releases by ``helm upgrade --install --wait``."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol

from bench.stage import MeasureError, Stage
from nksmesh.adapters.files.catalog import load_catalog
from nksmesh.adapters.files.folders import ValuesFolders
from nksmesh.domain.charts.releases import Release
from nksmesh.domain.mesh.request import Request
from nksmesh.domain.mesh.resolve import resolve
from nksmesh.domain.values.layers import compose

VERSION: Final = "1.20.0"
REGION: Final = "kr1"

_LONGEST: Final = 300
_SERVER_SIDE: Final = 4  # this Helm applies server-side
_LINE: Final = re.compile(r"(?:\d\d:\d\d:\d\d |(?=\d+ of \d+: ))(?P<step>.+?): (?P<word>\w+)")
"""A line of progress, or a heading of the guide."""
_PLAN: Final = "plan"


@dataclass(frozen=True, kw_only=True)
class Said:
    """A line of progress: which step, its first word, and when it was read (the monotonic clock's seconds)."""

    at: float
    step: str
    word: str


@dataclass(frozen=True, kw_only=True)
class Ran:
    """One run.

    Attributes:
        seconds: The whole of it, as a user waits.
        began: When, by the monotonic clock.
        said: Its progress lines.
        out: What it wrote to stdout.
    """

    seconds: float
    began: float
    said: tuple[Said, ...] = ()
    out: str = field(default="", repr=False)

    @property
    def planned(self) -> float:
        """The seconds up to the end of its first plan."""
        return next(line.at for line in self.said if (line.step, line.word) == (_PLAN, "done")) - self.began

    def phases(self) -> dict[str, float]:
        """Return where the time went, in seconds: before the plan, the plan, up to the first step, steps, the end."""
        first = {(line.step, line.word): line.at for line in reversed(self.said)}
        last = {(line.step, line.word): line.at for line in self.said}
        begun, planned = first[_PLAN, "started"], last[_PLAN, "done"]
        steps = [step for step, word in first if word == "started" and step not in {_PLAN, "charts"}]
        steps.sort(key=lambda step: first[step, "started"])
        found = {
            "start, imports, options": begun - self.began,
            "plan": planned - begun,
            "lease and record": min(first[step, "started"] for step in steps) - planned,
        }
        found |= {f"step {step}": last[step, "done"] - first[step, "started"] for step in steps}
        found["record, lease, report, exit"] = self.began + self.seconds - max(last[step, "done"] for step in steps)
        return found


class Contender(Protocol):
    """Installs a profile."""

    @property
    def name(self) -> str:
        """Its name in the results."""

    def install(self, profile: str) -> Ran:
        """Install, or install again."""


@dataclass(frozen=True)
class Nksmesh:
    """nksmesh, driving one Helm."""

    stage: Stage
    helm: int

    @property
    def name(self) -> str:
        """Its name in the results."""
        return f"nksmesh driving Helm {self.helm}"

    def install(self, profile: str) -> Ran:
        """Install, with the output a user gets."""
        return self.run(profile)

    def run(self, profile: str, *options: str, program: list[str] | None = None) -> Ran:
        """Install with further options.

        Args:
            profile: The profile.
            options: Further options.
            program: How nksmesh is started; as its user does, by default.
        """
        command = [*(program or self.stage.nksmesh), "install", "--region", REGION, "--version", VERSION]
        command += ["--profile", profile, "--charts", str(self.stage.charts)]
        command += ["--helm", str(self.stage.helm[self.helm]), *options]
        return timed(command, self.stage.environment, self.stage.folder)


@dataclass(frozen=True)
class PlainHelm:
    """Helm alone: one ``helm upgrade --install --wait`` after another, in one shell."""

    stage: Stage
    helm: int

    @property
    def name(self) -> str:
        """Its name in the results."""
        return f"Helm {self.helm} --wait"

    def install(self, profile: str) -> Ran:
        """Install each release, waited for before the next."""
        return self.run(self.commands(profile))

    def commands(self, profile: str, version: str = VERSION) -> list[str]:
        """Write the command lines that install each release, or upgrade it, and wait for it."""
        lines = []
        for release, values in releases(profile, self.stage.charts, version):
            file = self.stage.folder / f"{profile}-{version}-{release.name}.json"
            file.write_text(json.dumps(values), encoding="utf-8")
            command = [str(self.stage.helm[self.helm]), "upgrade", "--install", release.name]
            command += [str(chart(self.stage.charts, release.component, version)), "--namespace", release.namespace]
            command += ["--create-namespace", "--wait", "--timeout", "5m", "--values", str(file)]
            # istiod writes into its own webhook configurations: without this Helm 4 refuses to upgrade (istio #59367).
            command += ["--force-conflicts"] if self.helm == _SERVER_SIDE else []
            lines.append(shlex.join(command))
        return lines

    def run(self, lines: list[str]) -> Ran:
        """Run command lines in one shell, up to the first that fails."""
        return timed(["bash", "-c", "\n".join(["set -eo pipefail", *lines])], self.stage.environment, self.stage.folder)


def releases(profile: str, charts: Path, version: str = VERSION) -> list[tuple[Release, Mapping[str, Any]]]:
    """Return the releases of a profile and the very values that nksmesh gives Helm for each."""
    request = Request(region=REGION, version=version, profile=profile, charts=str(charts))
    mesh = resolve(request, load_catalog(ValuesFolders(user=None))).mesh
    return [(release, compose(mesh.layers[release.name]).values) for release in mesh.releases]


def timed(command: list[str], environment: Mapping[str, str], folder: Path) -> Ran:
    """Run a command to its end; lines of progress on stderr are read as they come.

    Raises:
        MeasureError: It failed.
    """
    with (folder / "stdout").open("w+", encoding="utf-8") as out:
        began = time.monotonic()
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.PIPE,
            text=True,
        )
        lines = [(time.monotonic(), line) for line in process.stderr or ()]
        code = process.wait(timeout=_LONGEST)
        seconds = time.monotonic() - began
        out.seek(0)
        text = out.read()
    if code != 0:
        raise MeasureError(f"{shlex.join(command)}\nended with {code}\n{''.join(line for _, line in lines)}{text}")
    said = tuple(
        Said(at=at, step=match["step"], word=match["word"]) for at, line in lines if (match := _LINE.match(line))
    )
    return Ran(seconds=seconds, began=began, said=said, out=text)


def manifests(stage: Stage, profile: str) -> dict[str, str]:
    """Return what each release of a profile has installed, by Helm's own word: one text that order does not change."""
    found = {}
    for release, _ in releases(profile, stage.charts):
        command = [str(stage.helm[3]), "get", "manifest", release.name, "--namespace", release.namespace]
        text = timed(command, stage.environment, stage.folder).out
        documents = (part.strip() for part in re.split(r"^---$", text, flags=re.MULTILINE))
        found[release.name] = "\n---\n".join(sorted(part for part in documents if part))
    return found


def chart(folder: Path, component: str, version: str) -> Path:
    """Return a chart's archive; its folder, where there is none."""
    archive = folder / f"{component}-{version}.tgz"
    return archive if archive.exists() else folder / component
