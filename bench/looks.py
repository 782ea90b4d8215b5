"""Rows of what is looked at before anything is written, and of a mesh in one file."""

from __future__ import annotations

import hashlib
import shlex
import shutil
from typing import TYPE_CHECKING, Final

from bench import mirrors
from bench.contenders import VERSION, timed
from bench.figures import Pairs, Row, Singles
from bench.stage import MeasureError

if TYPE_CHECKING:
    from bench.rows import Bench

KUBECTLS: Final = 20
"""So many ``kubectl get`` a check may take: what a careful hand would need to see half of it."""


def check(bench: Bench) -> list[Row]:
    """Check an empty cluster before an install, against as many looks by kubectl."""
    stage = bench.stage
    kubectl = shutil.which("kubectl", path=stage.environment.get("PATH"))
    if kubectl is None:
        raise MeasureError("to look by hand needs kubectl: put one on PATH")
    look = shlex.join([kubectl, "get", "nodes,pods", "--all-namespaces"])
    by_hand = ["bash", "-c", f"for number in $(seq {KUBECTLS}); do {look} >/dev/null || exit 1; done"]
    ours: list[float] = []
    theirs: list[float] = []
    with mirrors.registries(stage.folder / "check", small=True) as (source, _):
        hub = ["--hub", f"{source.host}/istio", "--version", VERSION, "--charts", str(stage.charts)]
        for number in range(bench.pairs + 1):
            stage.empty()
            seen = timed([*stage.nksmesh, "check", "--pre", *hub], stage.environment, stage.folder)
            looked = timed(by_hand, stage.environment, stage.folder)
            if number:
                ours.append(seen.seconds)
                theirs.append(looked.seconds)
                bench.tell(f"check {number}: {ours[-1]:.2f} s, kubectl {KUBECTLS} times {theirs[-1]:.2f} s")
    what = f"check --pre : kubectl get nodes,pods -A, {KUBECTLS} times"
    return [Pairs(name="check", what=what, ours=tuple(ours), theirs=tuple(theirs), target=1.0)]


def proof(bench: Bench) -> list[Row]:
    """Install with the images looked for in a registry on loopback, and without, in turn.

    Images are looked for while a run plans, and nothing after the plan waits for it. The plan's end is what is
    compared: the seconds of an install after it differ by more than what is measured.
    """
    stage = bench.stage
    more: list[float] = []
    ways: tuple[tuple[str, list[str]], ...] = (("with a look at images", []), ("without", ["--no-check-images"]))
    with mirrors.registries(stage.folder / "proof", small=True) as (source, _):
        hub = ["--hub", f"{source.host}/istio", "--version", VERSION, "--charts", str(stage.charts)]
        for number in range(2 * bench.pairs + 1):
            planned: dict[str, float] = {}
            for way, options in ways if number % 2 else reversed(ways):
                stage.empty()
                ran = timed([*stage.nksmesh, "install", *hub, *options], stage.environment, stage.folder)
                planned[way] = ran.planned
                whole = bench.details.setdefault(f"install from a registry on loopback, {way}", {})
                whole.setdefault("plan", []).append(ran.planned)
                whole.setdefault("all", []).append(ran.seconds)
            if number:
                more.append(planned["with a look at images"] - planned["without"])
                bench.tell(f"plan {number}: " + ", ".join(f"{way} {found:.2f} s" for way, found in planned.items()))
    what = "what the plan of an install takes longer with image checks (registry on loopback)"
    return [Singles(name="proof", what=what, figures=tuple(more), unit="s", target=0.15)]


def bundle(bench: Bench) -> list[Row]:
    """Make a bundle with 200 MB of images, against a copy of that file and its sha256."""
    stage = bench.stage
    ours: list[float] = []
    theirs: list[float] = []
    file = stage.folder / "mesh.tar"
    with mirrors.registries(stage.folder / "bundle") as (source, _):
        hub = ["--hub", f"{source.host}/istio", "--version", VERSION, "--charts", str(stage.charts)]
        command = [*stage.nksmesh, "bundle", "create", str(file), *hub, "--images"]
        copy = ["bash", "-c", f"cp {file} {file}.copy && sha256sum {file}.copy && rm {file}.copy"]
        for number in range(bench.pairs + 1):
            file.unlink(missing_ok=True)
            made = timed(command, stage.environment, stage.folder)
            copied = timed(copy, stage.environment, stage.folder)
            if number:
                ours.append(made.seconds)
                theirs.append(copied.seconds)
                bench.tell(f"bundle {number}: {ours[-1]:.2f} s, cp and sha256sum {theirs[-1]:.2f} s")
        with file.open("rb") as made_file:
            bench.tell(f"bundle: {hashlib.file_digest(made_file, 'sha256').hexdigest()}")
    what = "bundle create with 200 MB of images : cp and sha256sum of it"
    return [Pairs(name="bundle", what=what, ours=tuple(ours), theirs=tuple(theirs), target=2.0)]
