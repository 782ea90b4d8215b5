"""What each thing that saves start-up time by going around another package saves: with it and without, in turn."""

from __future__ import annotations

import resource
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from bench.figures import Pairs

_CLIENT: Final = "import nksmesh.adapters.cluster.connections"
_REGIONS: Final = "import sys; from nksmesh.cli.main import main; sys.argv = ['nksmesh', 'regions']; main()"
_COERCED: Final = """
import nksmesh.cli.command as c
c._Coercion.coerce = lambda self, value, param, ctx: self.own().coerce(value, param=param, ctx=ctx)
"""

TRICKS: Final[Mapping[str, tuple[str, str]]] = {
    "aiohttp without the system's authorities": (f"import aiohttp; {_CLIENT}", _CLIENT),
    "the Kubernetes client without its package": (
        f"import asyncio, aiohttp, kubernetes.aio.client.rest; {_CLIENT}",
        f"import asyncio, aiohttp; {_CLIENT}",
    ),
    "the Kubernetes client without its ApiClient": (
        f"import asyncio, aiohttp; {_CLIENT}; import kubernetes.aio.client.api_client",
        f"import asyncio, aiohttp; {_CLIENT}",
    ),
    "pyhelm3's command without its package": (
        "import asyncio, pyhelm3.command, nksmesh.adapters.helm.command",
        "import asyncio, nksmesh.adapters.helm.command",
    ),
    "regions: options read without pydantic": (
        f"{_COERCED}\n{_REGIONS}",
        f"import nksmesh.cli.command\n{_REGIONS}",
    ),
    "regions: garbage is looked for less often": (
        f"import gc; gc.set_threshold = lambda *_: None; gc.freeze = lambda: None\n{_REGIONS}",
        f"import gc\n{_REGIONS}",
    ),
}
"""By name: a program that does without the trick, and one that has it."""


def measure(pairs: int, environment: Mapping[str, str], folder: Path) -> list[Pairs]:
    """Measure every trick, in seconds of processor time: what else the machine does counts for less there."""
    found: dict[str, tuple[list[float], list[float]]] = {name: ([], []) for name in TRICKS}
    for number in range(pairs + 1):
        for name, programs in TRICKS.items():
            for program, seconds in zip(programs, found[name], strict=True):
                spent = _processor_seconds([sys.executable, "-c", program], environment, folder)
                if number:  # the first run compiles, and reads from the disk
                    seconds.append(spent)
    return [
        Pairs(name="startup", what=f"start-up: {name}", ours=tuple(having), theirs=tuple(without), target=None)
        for name, (without, having) in found.items()
    ]


def _processor_seconds(command: list[str], environment: Mapping[str, str], folder: Path) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, cwd=folder, env=dict(environment), stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
