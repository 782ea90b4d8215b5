"""A release that plain Helm made with a large integer in ``--set`` is described so that it renders the same again."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from nksmesh.adapters.helm.releases import Helm
from nksmesh.commands.adopt.description import describe, notes_on
from nksmesh.domain.adoption.adoption import HelmMesh
from nksmesh.domain.charts.installed import InstalledRelease
from nksmesh.domain.values.set_integers import set_integers
from tests.adapters.helm.conftest import RELEASE, make_chart
from tests.unit.domain.meshes import mesh

VALUES: dict[str, Any] = {"greeting": 356136738, "list": [{"n": 10**7}, -(10**6)], "small": 7, "text": "1000000"}
WRITTEN = "greeting=356136738,list[0].n=10000000,list[1]=-1000000,small=7"


def applied(program: str, chart: Path, *options: str) -> str:
    """Render as plain Helm does."""
    command = [program, "template", RELEASE.name, str(chart), "--namespace", "default", *options]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@pytest.mark.parametrize("by_set", [True, False])
async def test_an_adopted_integer_is_what_it_was(program: str, tmp_path: Path, *, by_set: bool) -> None:
    chart = make_chart(tmp_path / "tiny", version="1.20.0")
    (tmp_path / "values.json").write_text(json.dumps(VALUES))
    options = ["--set", WRITTEN, "--set-string", "text=1000000"] if by_set else ["-f", str(tmp_path / "values.json")]
    text = applied(program, chart.folder, *options)
    helm = Helm(program, kubeconfig=None, context="")
    installed = InstalledRelease(
        name=RELEASE.name,
        namespace=RELEASE.namespace,
        helm_revision=1,
        status="deployed",
        chart="tiny",
        chart_version="1.20.0",
        values=VALUES,
        chart_values={},
        manifest=text,
    )
    found = HelmMesh(namespace="default", releases={RELEASE: installed}, manifests={RELEASE: helm.parse(text)})
    row, warnings = await describe(RELEASE, found, mesh(RELEASE), {RELEASE.component: chart}, "", helm)
    assert warnings == []
    assert row.kept.beyond == VALUES
    marked = [path for path, _ in set_integers(row.kept.beyond)]
    assert marked == ([("greeting",), ("list", 0, "n"), ("list", 1)] if by_set else [])
    assert any("quotes in a values file" in note for note in notes_on(row)) is by_set
