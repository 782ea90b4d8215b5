"""The rows of the table: what is measured against what, and what must be reached."""

from __future__ import annotations

import asyncio
import sys
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, Final

from bench.contenders import REGION, Contender, Nksmesh, PlainHelm, Ran, manifests, timed
from bench.crowd import fill
from bench.figures import Pairs, Row, Singles
from bench.promptness import delays
from bench.stage import NAME, MeasureError, Stage
from bench.startup import measure
from bench.upgraders import NEW, OLD, CarefulHand, NksmeshUpgrade, Upgrader

VERSION_PAIRS: Final = 20
ROUND_TRIP: Final = 0.05
"""Seconds of the slow link: what a user away from the cluster's region waits for each answer."""

FEW, MANY, NAMESPACES = 10, 3000, 200
CROWD_TARGETS: Final = {"status": (1.5, 80), "plan": (1.3, 130), "upgrade": (1.3, 130)}
"""How much longer each may take with many pods, and how many MB nksmesh may take itself."""

_MIB_OF_KIB: Final = 1024

Tell = Callable[[str], None]


@dataclass(kw_only=True)
class Bench:
    """What is measured on one stage.

    Attributes:
        stage: Where.
        pairs: How many pairs a row has.
        tell: Told how it goes on.
        details: For each title, named figures that say where the time goes, a run each.
    """

    stage: Stage
    pairs: int
    tell: Tell
    details: dict[str, dict[str, list[float]]] = field(default_factory=dict)

    def sandbox_up(self) -> list[Row]:
        """Bring the sandbox up from nothing, its programs being cached."""
        seconds = []
        for number in range(self.pairs):
            asyncio.run(self.stage.sandbox.delete())
            command = [*self.stage.nksmesh, "sandbox", "up", "--name", NAME]
            seconds.append(timed(command, self.stage.environment, self.stage.folder).seconds)
            self.tell(f"sandbox up {number + 1}: {seconds[-1]:.2f} s")
        return [Singles(name="sandbox", what="sandbox up, programs cached", figures=tuple(seconds), unit="s", target=8)]

    def version(self) -> list[Row]:
        """Compare ``nksmesh --version`` with importing Typer alone."""
        commands = ([*self.stage.nksmesh, "--version"], [sys.executable, "-c", "import typer"])
        for command in commands:
            timed(command, self.stage.environment, self.stage.folder)  # compiled and in memory: both sides
        ours: list[float] = []
        theirs: list[float] = []
        for _ in range(max(VERSION_PAIRS, self.pairs)):
            for command, seconds in zip(commands, (ours, theirs), strict=True):
                seconds.append(timed(command, self.stage.environment, self.stage.folder).seconds)
        what = 'nksmesh --version : python -c "import typer"'
        return [Pairs(name="version", what=what, ours=tuple(ours), theirs=tuple(theirs), target=1.5)]

    def startup(self) -> list[Row]:
        """Measure what each thing saves that goes around another package when a run starts."""
        return [*measure(max(VERSION_PAIRS, self.pairs), self.stage.environment, self.stage.folder)]

    def install(self, *, again: bool) -> list[Row]:
        """Install the default profile from nothing, and on request once more where nothing is left to do."""
        first, second = self._installs("default", again=again)
        rows = _against(first, "install", "default profile", targets={(3, 3): 0.55, (3, 4): 0.80})
        if again:
            rows += _against(
                second, "again", "default profile again, nothing to do", targets={(3, 3): 0.30, (3, 4): 0.35}
            )
        return rows

    def demo(self) -> list[Row]:
        """Install the demo profile from nothing."""
        first, _ = self._installs("demo", again=False)
        return _against(first, "demo", "demo profile", targets={(3, 3): 0.50, (3, 4): 0.75})

    def link(self) -> list[Row]:
        """Install the default profile over a link of 50 ms round trip, from nothing and where nothing is left to do."""
        first, second = self._installs("default", again=True, round_trip=ROUND_TRIP)
        what = f"default profile over a link of {ROUND_TRIP * 1000:.0f} ms"
        again = _against(second, "link", f"{what} again, nothing to do", targets={(3, 3): 0.15})
        return [*_against(first, "link", what, targets={(3, 3): 0.60, (3, 4): 0.65, (4, 4): 0.65}), *again]

    def upgrade(self) -> list[Row]:
        """Upgrade a mesh in place, against what a careful hand does for the same."""
        everybody: Sequence[Upgrader] = [
            make(self.stage, helm) for helm in (3, 4) for make in (NksmeshUpgrade, CarefulHand)
        ]
        seconds: dict[str, list[float]] = defaultdict(list)
        for number in range(self.pairs):
            for upgrader in everybody:
                self.stage.empty()
                upgrader.install()
                self.stage.settle()
                ran = upgrader.upgrade()
                seconds[upgrader.name].append(ran.seconds)
                self._note(upgrader.name, ran)
                self.tell(f"{OLD} to {NEW} {number + 1}, {upgrader.name}: {ran.seconds:.2f} s")
        return [
            Pairs(
                name="upgrade",
                what=f"{OLD} to {NEW} in place: nksmesh : by hand (Helm {helm})",
                ours=tuple(seconds[NksmeshUpgrade(self.stage, helm).name]),
                theirs=tuple(seconds[CarefulHand(self.stage, helm).name]),
                target=target,
            )
            for helm, target in ((3, 0.7), (4, 0.9))
        ]

    def done(self) -> list[Row]:
        """Measure how long after the last object became ready a step is reported done."""
        worst = []
        found: dict[str, list[float]] = defaultdict(list)
        steps: dict[str, list[float]] = defaultdict(list)
        for number in range(self.pairs):
            late, ran = delays(self.stage, Nksmesh(self.stage, 3), "default")
            worst.append(max(late.values()))
            for step, seconds in late.items():
                found[step].append(seconds)
            for step, seconds in _step_seconds(ran).items():
                steps[step].append(seconds)
            self.tell(f"ready to done {number + 1}: {', '.join(f'{step} {late[step]:.3f}' for step in sorted(late))}")
        self.details["last object ready -> step reported done"] = dict(found)
        self.details["steps by their own clock (-o json)"] = dict(steps)
        what = "last object ready -> step reported done (worst step)"
        return [Singles(name="done", what=what, figures=tuple(worst), unit="s", target=0.2)]

    def memory(self) -> list[Row]:
        """Measure how much memory nksmesh itself takes at most while it installs the demo profile."""
        figures = []
        note, script = self.stage.folder / "peak", str(Path(__file__).with_name("measured.py"))
        for _ in range(self.pairs):
            self.stage.empty()
            Nksmesh(self.stage, 3).run("demo", program=[sys.executable, script, str(note)])
            figures.append(int(note.read_text(encoding="utf-8")) / _MIB_OF_KIB)
            self.tell(f"peak memory: {figures[-1]:.0f} MB")
        what = "peak memory of nksmesh itself, demo profile"
        return [Singles(name="memory", what=what, figures=tuple(figures), unit="MB", target=120)]

    def crowd(self) -> list[Row]:
        """Look at a mesh with many pods, plan its upgrade, and upgrade it, against the same with few pods."""
        note, script = self.stage.folder / "peak", str(Path(__file__).with_name("measured.py"))
        program = (sys.executable, script, str(note))
        seconds: dict[tuple[str, int], list[float]] = defaultdict(list)
        peaks: dict[str, list[float]] = defaultdict(list)
        with self.stage.another() as other:
            meshes = {FEW: NksmeshUpgrade(self.stage, 3, program), MANY: NksmeshUpgrade(other, 3, program)}
            for pods, mesh in meshes.items():
                mesh.stage.empty()
                mesh.install()
                fill(mesh.stage, namespaces=min(NAMESPACES, pods), pods=pods, proxy=f"{REGION}.example/proxyv2:{OLD}")
                self.tell(f"{pods} injected pods are there")
            for number in range(self.pairs):
                for what in CROWD_TARGETS:
                    for pods, mesh in meshes.items():
                        ran = {"status": mesh.status, "plan": mesh.plan, "upgrade": mesh.upgrade}[what]()
                        seconds[what, pods].append(ran.seconds)
                        if pods == MANY:
                            peaks[what].append(int(note.read_text(encoding="utf-8")) / _MIB_OF_KIB)
                    few, many = seconds[what, FEW][-1], seconds[what, MANY][-1]
                    self.tell(f"{what} {number + 1}: {few:.2f} s, {many:.2f} s, {peaks[what][-1]:.0f} MB")
                for mesh in meshes.values():
                    mesh.go_back()
                    mesh.stage.settle()
        rows: list[Row] = []
        for what, (ratio, megabytes) in CROWD_TARGETS.items():
            ours, theirs = tuple(seconds[what, MANY]), tuple(seconds[what, FEW])
            told = f"{what}, {NAMESPACES} namespaces"
            words = f"{told}: {MANY} injected pods : {FEW}"
            rows.append(Pairs(name="crowd", what=words, ours=ours, theirs=theirs, target=ratio))
            words, figures = f"{told}: peak memory, {MANY} injected pods", tuple(peaks[what])
            rows.append(Singles(name="crowd", what=words, figures=figures, unit="MB", target=megabytes))
        return rows

    def _installs(
        self, profile: str, *, again: bool, round_trip: float = 0.0
    ) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
        """Let everybody install in turn; return the seconds of the first and of the second installs, by name."""
        stage = self.stage
        everybody: Sequence[Contender] = (
            Nksmesh(stage, 3),
            PlainHelm(stage, 3),
            Nksmesh(stage, 4),
            PlainHelm(stage, 4),
        )
        first: dict[str, list[float]] = defaultdict(list)
        second: dict[str, list[float]] = defaultdict(list)
        installed: dict[str, dict[str, str]] = {}
        for number in range(self.pairs):
            for contender in everybody:
                stage.empty()
                with stage.over_link(round_trip):
                    ran = contender.install(profile)
                first[contender.name].append(ran.seconds)
                far = f" over {round_trip * 1000:.0f} ms" if round_trip else ""
                self._note(f"install{far}, {profile} profile, {contender.name}", ran)
                words = f"{profile} {number + 1}, {contender.name}: {ran.seconds:.2f} s"
                if contender.name not in installed:
                    installed[contender.name] = manifests(stage, profile)
                if again:
                    with stage.over_link(round_trip):
                        ran = contender.install(profile)
                    second[contender.name].append(ran.seconds)
                    self._note(f"again{far}, {profile} profile, {contender.name}", ran)
                    words += f", again {ran.seconds:.2f} s"
                self.tell(words)
        _check_same(installed)
        return first, second

    def _note(self, title: str, ran: Ran) -> None:
        if not ran.said:
            return
        phases = self.details.setdefault(title, {})
        for phase, seconds in ran.phases().items():
            phases.setdefault(phase, []).append(seconds)


def medians(details: dict[str, list[float]]) -> dict[str, float]:
    """Return the median of each figure."""
    return {name: median(figures) for name, figures in details.items()}


def _against(
    seconds: dict[str, list[float]], name: str, what: str, *, targets: dict[tuple[int, int], float]
) -> list[Row]:
    """Compare nksmesh, driving each Helm, with each Helm's own wait."""
    return [
        Pairs(
            name=name,
            what=f"{what}: nksmesh (Helm {ours}) : Helm {theirs} --wait",
            ours=tuple(seconds[f"nksmesh driving Helm {ours}"]),
            theirs=tuple(seconds[f"Helm {theirs} --wait"]),
            target=targets.get((ours, theirs)),
        )
        for theirs in (3, 4)
        for ours in (3, 4)
    ]


def _check_same(installed: dict[str, dict[str, str]]) -> None:
    """Check that everybody installed the very same.

    Raises:
        MeasureError: Two of them did not: their times cannot be compared.
    """
    (first, reference), *others = installed.items()
    for name, found in others:
        different = [release for release in reference if reference[release] != found[release]]
        if different:
            raise MeasureError(f"{name} installed something else than {first}: {', '.join(different)}")


def _step_seconds(ran: Ran) -> dict[str, float]:
    import json  # noqa: PLC0415 - of this one row

    data: dict[str, Any] = json.loads(ran.out)["data"]
    return {str(step["name"]): float(step["seconds"]) for step in data["done"]}
