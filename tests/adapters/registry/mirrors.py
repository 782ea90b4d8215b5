"""Mirrors for tests: images go from one server to another, by the engine or by the program itself."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest

from nksmesh.adapters.registry.credentials import Credentials
from nksmesh.adapters.registry.registries import Registries
from nksmesh.domain.common.events import Event
from nksmesh.domain.common.findings import Finding
from nksmesh.domain.images.reference import parse_reference
from nksmesh.engine.copies import MirroredImage, MirrorOptions, Original
from nksmesh.engine.mirror import mirror
from tests.adapters.registry.relay import Relay
from tests.adapters.registry.servers import Server

ROOT: Final = Path(__file__).resolve().parents[3]
VERSION: Final = "1.20.0"


@dataclass
class Mirror:
    """Copies images in this process.

    Attributes:
        environ: What names logins and certificates.
        config: Docker's config.json; None for none.
        told: The events.
    """

    source: str
    to: str
    environ: Mapping[str, str] = field(default_factory=dict)
    config: Path | None = None
    told: list[Event] = field(default_factory=list)

    async def __call__(
        self, *names: str, tag: str = VERSION, **options: Any
    ) -> tuple[dict[str, MirroredImage], tuple[Finding, ...]]:
        """Copy images; return each by its name, and the findings."""
        credentials = Credentials(self.environ, config=self.config, hub_host=self.to.partition("/")[0])
        async with Registries(self.environ, credentials) as registries:
            originals = []
            for name in names:
                image = parse_reference(f"{self.source}/{name}:{tag}")
                registry = registries.at(image, await registries.login(image))
                originals.append(
                    Original(image=image, copy=parse_reference(f"{self.to}/{name}:{tag}"), registry=registry)
                )
            how = MirrorOptions(to=self.to, **options)
            images, findings = await mirror(originals, registries, how, listener=self.told.append)
        return {image.image.rpartition("/")[2].partition(":")[0]: image for image in images}, findings


def raw(server: Server | Relay, repository: str, at: str = VERSION) -> dict[str, Any]:
    """Read a manifest with skopeo."""
    image = f"docker://{server.host}/{repository}:{at}"
    found: dict[str, Any] = json.loads(skopeo("inspect", "--raw", "--tls-verify=false", image))
    return found


def skopeo(*arguments: str) -> bytes:
    """Run skopeo, the oracle of what a registry has."""
    if shutil.which("skopeo") is None:
        pytest.skip("there is no skopeo: apt-get install skopeo")
    return subprocess.run(["skopeo", "--insecure-policy", *arguments], check=True, capture_output=True).stdout


def program(*arguments: str) -> list[str]:
    """Write the command line of ``images mirror`` for the small charts of the examples."""
    return [sys.executable, "-m", "nksmesh", "images", "mirror", "--version", VERSION, *arguments]


def environment(home: Path, **more: str) -> dict[str, str]:
    """Make an environment that has nothing of the user's own."""
    kept = {name: os.environ[name] for name in ("PATH",)}
    home.mkdir(parents=True, exist_ok=True)
    return {**kept, "HOME": str(home), "PYTHONPATH": str(ROOT), "NKSMESH_CACHE": str(home / "cache"), **more}


def run(
    command: list[str], env: Mapping[str, str], *, code: int = 0, cwd: Path = ROOT
) -> subprocess.CompletedProcess[str]:
    """Run a program to its end."""
    ended = subprocess.run(command, check=False, capture_output=True, text=True, env=dict(env), cwd=cwd, timeout=120)
    assert ended.returncode == code, ended.stderr
    return ended


@contextmanager
def running(command: list[str], env: Mapping[str, str]) -> Iterator[subprocess.Popen[str]]:
    """Run a program; what is left of it in the end is killed."""
    with subprocess.Popen(
        command, env=dict(env), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()
