"""Folders of a user's own, and Helm."""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from nksmesh.adapters.files.folders import ValuesFolders

Write = Callable[[str, str], Path]


@pytest.fixture(params=["helm3", "helm4"])
def helm(request: pytest.FixtureRequest) -> str:
    """A Helm program, each one there is in turn."""
    program: str = request.getfixturevalue(request.param)
    return program


@pytest.fixture
def echo(tmp_path: Path) -> Callable[..., Any]:
    """Render a chart that prints its values as JSON."""

    def render(helm: str, *options: str, defaults: Mapping[str, Any] | None = None, stdin: str = "") -> Any:
        chart = tmp_path / "echo"
        (chart / "templates").mkdir(parents=True, exist_ok=True)
        (chart / "Chart.yaml").write_text("apiVersion: v2\nname: echo\nversion: 0.1.0\n")
        (chart / "values.yaml").write_text(json.dumps(defaults or {}))
        (chart / "templates" / "echo.yaml").write_text("values: {{ .Values | toJson | b64enc | quote }}\n")
        (chart / "templates" / "NOTES.txt").write_text("")
        done = subprocess.run(
            [helm, "template", "echo", str(chart), *options],
            input=stdin,
            capture_output=True,
            text=True,
            check=True,
            cwd=tmp_path,
        )
        return json.loads(base64.b64decode(done.stdout.split('values: "')[1].split('"')[0]))

    return render


@pytest.fixture
def meshes(tmp_path: Path) -> Path:
    """A user's folder, empty but for its charts.lock."""
    folder = tmp_path / "meshes"
    folder.mkdir()
    (folder / "charts.lock").write_text("# ours\nnksmesh: 1\ncharts: []\n")
    return folder


@pytest.fixture
def folders(meshes: Path) -> ValuesFolders:
    """The user's folder over the packaged values."""
    return ValuesFolders(user=meshes)


@pytest.fixture
def write(meshes: Path) -> Write:
    """Write a file below the user's values/."""

    def written(name: str, text: str) -> Path:
        file = meshes / "values" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return file

    return written
