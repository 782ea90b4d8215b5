"""Objects from YAML files: samples and add-ons as people have them on disk."""

from __future__ import annotations

from pathlib import Path

import pytest

from nksmesh.adapters.files.manifests import read_manifests
from nksmesh.domain.common.errors import ConfigError

POD = "apiVersion: v1\nkind: Pod\nmetadata: {name: curl}\n"
LIST = "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: Service, metadata: {name: web}}\n"


def test_every_yaml_file_below_a_folder_is_read_and_a_list_as_its_items(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "a.yaml").write_text(f"{POD}---\n# nothing\n---\n{LIST}")
    (tmp_path / "deep" / "b.yml").write_text("apiVersion: apps/v1\nkind: Deployment\n")
    (tmp_path / "openapi.yaml").write_text("swagger: '2.0'\n")
    (tmp_path / "README.md").write_text("no: [yaml")
    found = read_manifests(tmp_path)
    assert [(one["kind"], one["metadata"]["name"]) for one in found] == [
        ("Pod", "curl"),
        ("Service", "web"),
        ("Deployment", ""),
    ]
    assert [manifest["kind"] for manifest in read_manifests(tmp_path / "a.yaml")] == ["Pod", "Service"]


@pytest.mark.parametrize(
    ("text", "words"), [("a: [", "bad.yaml is not YAML"), ("a: b\n", "bad.yaml has no Kubernetes object")]
)
def test_a_file_that_holds_no_object_is_named(tmp_path: Path, text: str, words: str) -> None:
    bad = tmp_path / "bad.yaml"
    bad.write_text(text)
    with pytest.raises(ConfigError, match=words) as caught:
        read_manifests(bad)
    assert caught.value.hint


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        read_manifests(tmp_path / "none")
