"""Environments that are written: what is read from them again is what was meant."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nksmesh.adapters.files.catalog import load_catalog, load_environment
from nksmesh.adapters.files.documents import dump_document, parse_document
from nksmesh.adapters.files.folders import ValuesFolders
from nksmesh.adapters.files.mesh_files import MeshFiles
from nksmesh.domain.common.errors import ConfigError
from nksmesh.domain.mesh.mesh import GatewaySpec

TEXTS = st.one_of(
    st.sampled_from(
        ["on", "1e3", "0o17", "1_000", "~", "", "null", "1.20", "a: b", "- a", "x\ny\n", "x\n\n", "#", "'"]
    ),
    st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), max_size=12),
)
LEAVES = st.one_of(TEXTS, st.booleans(), st.integers(-9, 10**6), st.none(), st.just(1.5))
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(TEXTS, inner, max_size=3)),
    max_leaves=8,
)


@given(st.dictionaries(st.text("abcXY-.", min_size=1, max_size=5), VALUES, max_size=4))
def test_what_is_written_is_read_again(values: dict[str, Any]) -> None:
    assert parse_document(dump_document(values).encode(), "x").values == values


def test_an_environment_is_written_and_loaded(folders: ValuesFolders, meshes: Path) -> None:
    mesh = {
        "hub": "registry.example/istio",
        "version": "1.20.0",
        "releases": {"istiod": "istio"},
        "gateways": [{"name": "edge", "namespace": "edge"}],
    }
    documents: dict[str, dict[str, Any]] = {"mesh.yaml": mesh, "istiod.yaml": {"pilot": {"env": {"A": "on"}}}}
    written = MeshFiles(folders=folders).write_environment("prod", documents)
    assert written == ("values/environments/prod/mesh.yaml", "values/environments/prod/istiod.yaml")
    assert all((meshes / name).is_file() for name in written)
    told = load_environment(folders, "prod")
    assert (told.hub, told.release_names) == ("registry.example/istio", {"istiod": "istio"})
    assert told.gateways == (GatewaySpec(name="edge", namespace="edge"),)
    assert told.files["istiod"].values == documents["istiod.yaml"]


def test_nothing_is_overwritten(folders: ValuesFolders, meshes: Path) -> None:
    (meshes / "values/environments/prod").mkdir(parents=True)
    with pytest.raises(ConfigError, match="already"):
        MeshFiles(folders=folders).write_environment("prod", {"mesh.yaml": {}})
    assert list((meshes / "values/environments/prod").iterdir()) == []


def test_without_a_folder_of_ones_own_nothing_is_written() -> None:
    with pytest.raises(ConfigError, match="no folder to write environment") as failed:
        MeshFiles(folders=ValuesFolders()).write_environment("prod", {"mesh.yaml": {}})
    assert "nksmesh init" in failed.value.hint


def test_a_folder_that_cannot_be_written_is_left_as_it_was(folders: ValuesFolders, meshes: Path) -> None:
    (meshes / "values").write_text("no folder")
    with pytest.raises(ConfigError, match="cannot be written"):
        MeshFiles(folders=folders).write_environment("prod", {"mesh.yaml": {}})
    assert (meshes / "values").read_text() == "no folder"


def with_load_balancer(meshes: Path, text: str) -> None:
    home = meshes / "values/environments/prod"
    home.mkdir(parents=True)
    gateway = f"region: kr1\ngateways:\n  - name: edge\n    load_balancer:\n{text}"
    (home / "mesh.yaml").write_text(gateway)


def test_a_load_balancer_is_read_as_it_is_written(folders: ValuesFolders, meshes: Path) -> None:
    with_load_balancer(meshes, "      internal: yes\n      listeners:\n        443: {protocol: HTTPS}\n")
    gateway = GatewaySpec(name="edge", load_balancer={"internal": True, "listeners": {"443": {"protocol": "HTTPS"}}})
    assert load_environment(folders, "prod").gateways == (gateway,)


def test_what_contradicts_itself_is_told_with_file_line_and_key(folders: ValuesFolders, meshes: Path) -> None:
    with_load_balancer(meshes, "      health:\n        interval: 5\n        timeout: 9\n")
    with pytest.raises(ConfigError) as failed:
        load_environment(folders, "prod")
    assert failed.value.message == (
        "values/environments/prod/mesh.yaml, line 7: gateways[0].load_balancer.health.timeout does not fit: the "
        "timeout (9 s) must be shorter than the interval (5 s)"
    )


def test_the_catalog_reads_yaml_in_values() -> None:
    read = load_catalog(ValuesFolders()).read_map
    assert read("gatewayTopology:\n  numTrustedProxies: 1\n") == {"gatewayTopology": {"numTrustedProxies": 1}}
    with pytest.raises(ConfigError):
        read("- a list")
