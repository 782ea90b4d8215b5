"""Helm as its user has it, beside the program: what it says of the releases, and what it does with them."""

from __future__ import annotations

import functools
import json
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml


class Loader(yaml.CSafeLoader):
    """Reads a bare ``=`` as the text it is, which a CRD has."""


Loader.add_constructor("tag:yaml.org,2002:value", lambda loader, node: loader.construct_scalar(node))  # type: ignore[arg-type]  # a tag of scalars


@dataclass(frozen=True)
class PlainHelm:
    """One Helm on one cluster."""

    program: str
    kubeconfig: Path
    namespace: str = "istio-system"

    def __call__(self, *arguments: str) -> str:
        """Run one command and return its words."""
        ended = subprocess.run(
            [self.program, *arguments, "--namespace", self.namespace, "--kubeconfig", str(self.kubeconfig)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert ended.returncode == 0, f"helm {' '.join(arguments)}: {ended.stderr}"
        return ended.stdout

    def rendered_plainly(self, release: str, chart: Path | str, *options: str) -> list[dict[str, Any]]:
        """Return the objects of ``helm template``."""
        return documents(self("template", release, str(chart), *options))

    def releases(self) -> dict[str, str]:
        """For each release that helm list shows, its status."""
        return {one["name"]: one["status"] for one in json.loads(self("list", "--output", "json"))}

    def manifest(self, release: str) -> list[dict[str, Any]]:
        """Return the objects of ``helm get manifest``."""
        return documents(self("get", "manifest", release))

    def rendered(self, release: str, chart: Path | str, work: Path, *options: str) -> list[dict[str, Any]]:
        """Return the objects of ``helm template`` with the values of ``helm get values``."""
        values = work / f"{release}-values.yaml"
        values.write_text(self("get", "values", release, "--output", "yaml"))
        return documents(self("template", release, str(chart), "--skip-crds", "--values", str(values), *options))


def documents(text: str) -> list[dict[str, Any]]:
    """Read YAML documents, in an order that says nothing; nobody writes into what is read."""
    found = [read for document in re.split(r"^---$\n?", text, flags=re.MULTILINE) if (read := _document(document))]
    return sorted(found, key=lambda one: (one["kind"], one["metadata"]["name"]))


@functools.lru_cache(maxsize=1000)
def _document(text: str) -> Any:
    """Read one document, once for all renders that have it: CRDs are a megabyte, and most tests render them again."""
    return yaml.load(text, Loader=Loader)  # noqa: S506 - a safe loader, with one more scalar
