"""``nksmesh init``."""

from __future__ import annotations

from pathlib import Path

import pytest

from nksmesh.adapters.files.catalog import load_catalog, load_environment
from nksmesh.adapters.files.documents import read_document
from nksmesh.adapters.files.folders import ValuesFolders, is_ours
from nksmesh.adapters.files.mesh_files import MeshFiles
from nksmesh.adapters.files.schema import schema_named
from nksmesh.domain.common.errors import ConfigError
from nksmesh.domain.mesh.request import Request
from nksmesh.domain.mesh.resolve import resolve


def test_a_starter_is_a_folder_of_ours_that_resolves(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "meshes"
    written = MeshFiles(folders=ValuesFolders()).write_starter(folder)
    assert {"charts.lock", "README.md", "values/environments/example/mesh.yaml"} <= set(written)
    assert all((folder / name).is_file() for name in written)
    assert is_ours(folder)
    folders = ValuesFolders(user=folder)
    mesh = resolve(Request(), load_catalog(folders), load_environment(folders, "example")).mesh
    assert (mesh.region, mesh.version, mesh.profile) == ("kr1", "1.20.0", "default")


def test_the_starters_mesh_shows_every_key_there_is(tmp_path: Path) -> None:
    MeshFiles(folders=ValuesFolders()).write_starter(tmp_path)
    text = (tmp_path / "values/environments/example/mesh.yaml").read_text()
    shown = {key for key in schema_named("mesh")["properties"] if f"{key}:" in text}
    assert shown == set(schema_named("mesh")["properties"]) - {"sandbox"}


def test_what_the_starter_comments_out_is_right_when_uncommented(tmp_path: Path) -> None:
    MeshFiles(folders=ValuesFolders()).write_starter(tmp_path)
    for file in (tmp_path / "values/environments/example").iterdir():
        plain = [line for line in file.read_text().splitlines() if line.startswith("# ") and _is_yaml(line[2:])]
        file.write_text("\n".join(line[2:] for line in plain) + "\n")
        assert read_document(file).values
    assert load_environment(ValuesFolders(user=tmp_path), "example").pull_secrets == ("registry-key",)


def _is_yaml(line: str) -> bool:
    return line.startswith(" ") or (":" in line and " " not in line.split(":", maxsplit=1)[0])


def test_a_starter_overwrites_nothing_and_then_writes_nothing(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("mine")
    with pytest.raises(ConfigError, match=r"already has README\.md"):
        MeshFiles(folders=ValuesFolders()).write_starter(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["README.md"]
    assert (tmp_path / "README.md").read_text() == "mine"


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot be written"):
        MeshFiles(folders=ValuesFolders()).write_starter(tmp_path / "file")
