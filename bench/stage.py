"""Where it is measured: one sandbox in a home of its own, emptied in the same way before every install."""

from __future__ import annotations

import asyncio
import compileall
import os
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from bench.link import slow_link
from nksmesh.adapters.charts.cache import cache_folder
from nksmesh.adapters.files.private import write_private
from nksmesh.domain.common.events import EventKind
from nksmesh.sandbox import processes
from nksmesh.sandbox.charts import package_charts
from nksmesh.sandbox.control_plane import Part
from nksmesh.sandbox.layout import HOME_VARIABLE
from nksmesh.sandbox.programs import helm4
from nksmesh.sandbox.releases import Kubernetes
from nksmesh.sandbox.sandbox import Sandbox

ROOT: Final = Path(__file__).resolve().parents[1]
NAME: Final = "bench"

_WINDOW: Final = 0.5
_QUIET_SHARE: Final = 0.25
_QUIET_WINDOWS: Final = 2
_LONGEST: Final = 20.0
"""The control plane is quiet when its programs take less than a quarter of a processor, twice for half a second."""


class MeasureError(Exception):
    """Something that was to be measured did not work: there is no figure."""


@dataclass(frozen=True, kw_only=True)
class Stage:
    """The cluster and the programs.

    Attributes:
        folder: A folder for files of this bench, and the working folder of what is measured.
        sandbox: The cluster.
        environment: The environment of everything that is measured.
        helm: The Helm program by its major version.
        charts: The folder that charts come from.
        charts_named: Which charts these are, for people.
        ports: For each round trip in seconds, the port of its slow link: the same in every run.
    """

    folder: Path
    sandbox: Sandbox
    environment: dict[str, str]
    helm: dict[int, Path]
    charts: Path
    charts_named: str
    ports: dict[float, int] = field(default_factory=dict)

    @property
    def nksmesh(self) -> list[str]:
        """The program as its user calls it, or as a module where it is not installed."""
        script = Path(sys.executable).with_name("nksmesh")
        return [str(script)] if script.exists() else [sys.executable, "-m", "nksmesh"]

    def empty(self) -> None:
        """Bring the cluster back to empty, forget what was rendered, and let it calm down, outside of what is timed."""
        shutil.rmtree(cache_folder(self.environment) / "renders", ignore_errors=True)
        asyncio.run(self._reset())
        self.settle()

    @contextmanager
    def another(self, *, with_data_plane: bool = False) -> Iterator[Stage]:
        """Make a second cluster beside this one, and remove it at the end.

        Args:
            with_data_plane: It comes up with one, and charts are those of its istiod.

        Raises:
            MeasureError: This machine allows no data plane.
        """
        sandbox = Sandbox(f"{NAME}-2")
        try:
            environment = {**self.environment, "KUBECONFIG": str(sandbox.kubeconfig)}
            other = replace(self, sandbox=sandbox, environment=environment, ports={})
            yield asyncio.run(_on_data_plane(other)) if with_data_plane else other
        finally:
            asyncio.run(sandbox.delete())

    @contextmanager
    def over_link(self, round_trip: float) -> Iterator[None]:
        """Put a slow link before the API server for what is measured inside; none where the round trip is 0 s."""
        if not round_trip:
            yield
            return
        direct = self.sandbox.kubeconfig
        text = direct.read_text(encoding="utf-8")
        server = re.search(r"https://127\.0\.0\.1:(\d+)", text)
        if server is None:
            raise ValueError(f"{direct} names no server on 127.0.0.1")
        with slow_link(int(server[1]), round_trip, before=self.ports.get(round_trip, 0)) as port:
            self.ports[round_trip] = port
            far = self.folder / "kubeconfig-over-link"
            write_private(far, text.replace(server[0], f"https://127.0.0.1:{port}"))
            self.environment["KUBECONFIG"] = str(far)
            try:
                yield
            finally:
                self.environment["KUBECONFIG"] = str(direct)

    async def _reset(self) -> None:
        if self.sandbox.layout.snapshot.exists():
            await self.sandbox.reset()
        else:
            await self.sandbox.up()

    def settle(self) -> None:
        """Wait until the control plane's own programs have next to nothing to do."""
        quiet, end = 0, time.monotonic() + _LONGEST
        while quiet < _QUIET_WINDOWS and time.monotonic() < end:
            before = self._processor_seconds()
            time.sleep(_WINDOW)
            share = (self._processor_seconds() - before) / _WINDOW
            quiet = quiet + 1 if share < _QUIET_SHARE else 0

    def _processor_seconds(self) -> float:
        found = [processes.find(self.sandbox.layout.process(part)) for part in Part]
        return sum(_processor_seconds(process.pid) for process in found if process is not None and process.running)


async def _on_data_plane(place: Stage) -> Stage:
    charts = await package_charts(place.folder / "plane", with_samples=True)
    refused: list[str] = []
    await place.sandbox.up(
        lambda event: refused.append(event.message) if event.kind is EventKind.WARNING else None,
        kubernetes=Kubernetes.V1_34,
        with_data_plane=True,
    )
    if refused:
        raise MeasureError("; ".join(refused))
    return replace(place, charts=charts.folder, charts_named=f"the charts of Istio {charts.version}")


@contextmanager
def stage() -> Iterator[Stage]:
    """Make the stage, and remove all of it at the end."""
    with tempfile.TemporaryDirectory(prefix="nksmesh-bench-") as name:
        folder = Path(name)
        os.environ[HOME_VARIABLE] = str(folder / "sandboxes")
        sandbox = Sandbox(NAME)
        work = folder / "work"
        work.mkdir()
        charts, charts_named = _charts()
        # A user's pip has compiled it; from a checkout Python would do it in every run, where it may not write.
        compileall.compile_dir(ROOT / "nksmesh", quiet=1)
        environment = {key: text for key, text in os.environ.items() if not key.startswith(("HELM_", "NKSMESH_HELM"))}
        environment |= {
            "KUBECONFIG": str(sandbox.kubeconfig),
            "KUBECACHEDIR": str(folder / "discovery"),  # Helm keeps what the API server offers: both sides have it
            "PYTHONPATH": str(ROOT),
            "NO_COLOR": "1",
        }
        try:
            yield Stage(
                folder=work,
                sandbox=sandbox,
                environment=environment,
                helm={3: Path(sys.executable).with_name("helm"), 4: asyncio.run(helm4())},
                charts=charts,
                charts_named=charts_named,
            )
        finally:
            asyncio.run(sandbox.delete())


def _charts() -> tuple[Path, str]:
    named = os.environ.get("NKSMESH_TEST_CHARTS", "")
    candidates = [Path(named)] if named else []
    candidates.append(ROOT.parent / "shared" / "charts")
    for folder in candidates:
        if folder.is_dir():
            return folder, "Istio's own charts"
    return ROOT / "examples" / "charts", "the small charts of examples/charts (NKSMESH_TEST_CHARTS names no others)"


def _processor_seconds(process: int) -> float:
    """Return the processor time a process has had (proc(5): utime and stime are fields 14 and 15)."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
