"""Rows of images: copied between two registries on loopback, and looked for in one that wants tokens."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bench.contenders import VERSION, Ran, timed
from bench.figures import Pairs, Row, Singles
from bench.link import slow_link
from bench.stage import MeasureError
from nksmesh.sandbox.builds import Build
from nksmesh.sandbox.programs import ensure
from tests.adapters.registry.servers import Pusher, Server, TokenService, registry, token_service

if TYPE_CHECKING:
    from bench.rows import Bench

ORAS: Final = Build(
    title="oras 1.3.6",
    module=None,
    flags=("-trimpath", "-ldflags=-s -w"),
    packages={"oras": "oras.land/oras/cmd/oras@v1.3.6"},
    minutes=3,
)
NAMES: Final = ("pilot", "proxyv2")
BLOBS, SIZE = 4, 25_000_000
"""Of each of the two images: 200 MB in all, beside their small configurations."""

LOOKED_FOR: Final = 12
ROUND_TRIP: Final = 0.02
"""Seconds to a registry and to its token service: nobody's registry is on loopback."""

_FROM: Final = "images in"
"""How the step begins that asks the registries: what comes before is the render of the plan, which oras has none of."""


def mirror(bench: Bench) -> list[Row]:
    """Copy 200 MB with nksmesh and with oras, in turn, and again where nothing is missing; and the memory it takes."""
    stage = bench.stage
    oras = asyncio.run(ensure(ORAS)) / "oras"
    note = stage.folder / "peak"
    measured = [sys.executable, str(Path(__file__).with_name("measured.py")), str(note)]
    ours: list[float] = []
    theirs: list[float] = []
    again: list[float] = []
    peaks: list[float] = []
    with registries(stage.folder) as (source, target):
        for number in range(bench.pairs + 1):
            hub, to = f"{source.host}/istio", f"{target.host}/nksmesh-{number}"
            arguments = ["images", "mirror", "--from", hub, "--to", to, "--version", VERSION]
            arguments += ["--charts", str(stage.charts)]
            first = timed([*stage.nksmesh, *arguments], stage.environment, stage.folder)
            second = timed([*stage.nksmesh, *arguments], stage.environment, stage.folder)
            copies = [_oras(oras, f"{hub}/{name}", f"{target.host}/oras-{number}/{name}") for name in NAMES]
            by_oras = timed(["bash", "-c", " && ".join(copies)], stage.environment, stage.folder)
            arguments[5] = f"{target.host}/measured-{number}"
            timed([*measured, *arguments], stage.environment, stage.folder)
            if not number:  # the first time of all, files are read that nobody had in memory
                continue
            ours.append(_asking(first))
            again.append(_asking(second))
            theirs.append(by_oras.seconds)
            peaks.append(int(note.read_text(encoding="utf-8")) / 1024)
            for title, ran in (("first", first), ("again", second)):
                whole = bench.details.setdefault(f"images mirror, {title}, the whole command", {})
                whole.setdefault("render of the plan and all", []).append(ran.seconds)
            bench.tell(f"mirror {number}: {ours[-1]:.2f} s, oras {theirs[-1]:.2f} s, again {again[-1]:.2f} s")
    size = f"{len(NAMES) * BLOBS * SIZE // 1_000_000} MB in {len(NAMES) * BLOBS} blobs"
    what = f"mirror of {size} on loopback, after the render: nksmesh : oras"
    return [
        Pairs(name="mirror", what=what, ours=tuple(ours), theirs=tuple(theirs), target=1.2),
        Pairs(
            name="mirror",
            what="mirror again with nothing missing : the first, both after the render",
            ours=tuple(again),
            theirs=tuple(ours),
            target=0.2,
        ),
        Singles(name="mirror", what=f"peak memory, mirror of {size}", figures=tuple(peaks), unit="MB", target=120),
    ]


def lookups(bench: Bench) -> list[Row]:
    """Look for 12 images with tokens, eight at a time and one after another."""
    ours: list[float] = []
    theirs: list[float] = []
    folder = bench.stage.folder / "lookups"
    with _closed(folder) as (server, tokens), ExitStack() as stack:
        far = _over_link(stack, server.host)
        images = [f"{far}/public/image-{number}:{VERSION}" for number in range(LOOKED_FOR)]
        for number in range(LOOKED_FOR):
            name = f"public/image-{number}"
            token = tokens.token(f"repository:{name}:pull,push")
            pusher = Pusher(server, {"Authorization": f"Bearer {token}"})
            pusher.push(name, VERSION, platforms=("linux/amd64", "linux/arm64"))
        for number in range(bench.pairs + 1):
            for at_once, seconds in ((True, ours), (False, theirs)):
                figure = _look(images, bench.stage.environment, at_once=at_once)
                if number:
                    seconds.append(figure)
            if number:
                bench.tell(f"{LOOKED_FOR} look-ups {number}: {ours[-1]:.3f} s, one after another {theirs[-1]:.3f} s")
    far = f"over {ROUND_TRIP * 1000:.0f} ms"
    what = f"images check of {LOOKED_FOR} images with tokens {far}: eight at a time : one after another"
    return [Pairs(name="lookups", what=what, ours=tuple(ours), theirs=tuple(theirs), target=0.35)]


def _oras(program: Path, image: str, copy: str) -> str:
    plain = "--from-plain-http --to-plain-http"
    return f"{program} cp -r --no-tty {plain} {image}:{VERSION} {copy}:{VERSION}"


def _asking(ran: Ran) -> float:
    """Return how long a run was busy with the registries: from its first request to its end."""
    first = next((said.at for said in ran.said if said.step.startswith(_FROM)), None)
    if first is None:
        raise MeasureError(f"the run does not say when it asks the registries: {ran.said}")
    return ran.seconds - (first - ran.began)


def _look(images: list[str], environment: dict[str, str], *, at_once: bool) -> float:
    command = [
        sys.executable,
        str(Path(__file__).with_name("looking.py")),
        "at-once" if at_once else "in-turn",
        *images,
    ]
    ended = subprocess.run(command, check=False, capture_output=True, text=True, env=environment)
    if ended.returncode:
        raise MeasureError(ended.stderr)
    return float(ended.stdout)


@contextmanager
def registries(folder: Path, *, small: bool = False) -> Iterator[tuple[Server, Server]]:
    """Start two registries that keep what they have on disk, one of them with the images.

    Args:
        small: The images are of a few KB.
    """
    _need_registry()
    with registry(folder / "source", on_disk=True) as source, registry(folder / "target", on_disk=True) as target:
        for name in NAMES:
            Pusher(source).push(
                f"istio/{name}", VERSION, layers=[os.urandom(1000 if small else SIZE) for _ in range(BLOBS)]
            )
        yield source, target


@contextmanager
def _closed(folder: Path) -> Iterator[tuple[Server, TokenService]]:
    """Start a registry that wants a token for everything; anybody gets one to pull what is below ``public/``."""
    _need_registry()
    with ExitStack() as stack:
        tokens = stack.enter_context(token_service(folder / "tokens", {}))
        tokens.realm = _over_link(stack, tokens.realm)
        yield stack.enter_context(registry(folder / "registry", auth=tokens.auth)), tokens


def _over_link(stack: ExitStack, address: str) -> str:
    """Put a slow link before an address on loopback; return the address to use instead."""
    port = re.search(r"127\.0\.0\.1:(\d+)", address)
    if port is None:
        raise MeasureError(f"{address} is not on loopback")
    return address.replace(port[1], str(stack.enter_context(slow_link(int(port[1]), ROUND_TRIP))))


def _need_registry() -> None:
    if shutil.which("docker-registry") is None:
        raise MeasureError("there is no docker-registry: apt-get install docker-registry")
