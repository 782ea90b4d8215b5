"""Rows of real traffic: Bookinfo on a data plane, and what an upgrade under load loses."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bench.figures import Row, Singles
from bench.stage import MeasureError, Stage
from nksmesh.sandbox import processes
from nksmesh.sandbox.builds import ISTIO_VERSION
from nksmesh.sandbox.control_plane import Part
from tests.data_plane.bookinfo import installed_bookinfo, installed_istio
from tests.data_plane.load import TWO_GATEWAYS, deploy_ticker, under_load

if TYPE_CHECKING:
    from bench.rows import Bench

OLD: Final = "1.28.10"
NEW: Final = "1.29.6"
_MIB_OF_KIB: Final = 1024


def bookinfo(bench: Bench) -> list[Row]:
    """Deploy Bookinfo in a mesh that is there, until its page is whole; and the memory of all that runs then."""
    seconds, megabytes = [], []
    with bench.stage.another(with_data_plane=True) as stage:
        for number in range(bench.pairs):
            stage.empty()
            with installed_istio(stage.sandbox, stage.folder, stage.charts, ISTIO_VERSION) as found:
                began = time.monotonic()
                found.deploy()
                seconds.append(time.monotonic() - began)
            megabytes.append(_memory(stage))
            bench.tell(f"bookinfo {number + 1}: {seconds[-1]:.1f} s, {megabytes[-1]:.0f} MB")
    whole = "Bookinfo deployed and its whole page through the gateway, real proxies"
    memory = "memory (PSS) of the data plane's processes with Bookinfo"
    return [
        Singles(name="bookinfo", what=whole, figures=tuple(seconds), unit="s", target=15),
        Singles(name="bookinfo", what=memory, figures=tuple(megabytes), unit="MB", target=700),
    ]


def rehearsal(bench: Bench) -> list[Row]:
    """Upgrade a mesh and restart its workloads under load, and count the requests that are lost."""
    lost = asked = 0
    with bench.stage.another(with_data_plane=True) as stage:
        for number in range(bench.pairs):
            stage.empty()
            with installed_bookinfo(stage.sandbox, stage.folder, bench.stage.charts, OLD, *TWO_GATEWAYS) as found:
                deploy_ticker(found)
                with under_load(found) as load:
                    found.mesh("upgrade", "--to", NEW, "--restart-workloads", "--yes")
                lost += len(load.lost)
                asked += load.requests
                bench.tell(f"rehearsal {number + 1}: {load}")
    what = f"requests lost of {asked} in {bench.pairs} upgrades {OLD} to {NEW} under load"
    return [Singles(name="rehearsal", what=what, figures=(lost,), unit="requests", target=0)]


def _memory(stage: Stage) -> float:
    """Add up the proportional memory (PSS) of the data plane's program and of all processes below it, in MB."""
    root = processes.find(stage.sandbox.layout.process(Part.DATA_PLANE))
    if root is None:
        raise MeasureError("the data plane does not run")
    parents: dict[int, int] = {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(status.parent.name)] = int(status.read_text(encoding="utf-8").rpartition(")")[2].split()[1])
        except OSError:  # it has ended meanwhile
            continue
    found, before = {root.pid}, 0
    while len(found) > before:
        before = len(found)
        found |= {process for process, parent in parents.items() if parent in found}
    return sum(_pss(process) for process in found) / _MIB_OF_KIB


def _pss(process: int) -> int:
    """Read a process's share of memory, in KiB (proc(5): smaps_rollup)."""
    try:
        lines = Path(f"/proc/{process}/smaps_rollup").read_text(encoding="utf-8").splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)
