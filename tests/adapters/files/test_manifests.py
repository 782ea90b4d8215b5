"""Objects from YAML files: samples and add-ons as people have them on disk."""

from __future__ import annotations

from pathlib import Path

import pytest

from nksmesh.adapters.files.manifests import read_manifests, read_sample
from nksmesh.domain.common.errors import ConfigError
from nksmesh.domain.samples.sample import BOOKINFO

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


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("kind: Pod\nmetadata: curl\n", "Pod: metadata is not a map"),
        ("kind: Pod\nmetadata: {name: curl, annotations: x}\n", "Pod curl: metadata.annotations is not a map"),
        ("kind: Pod\nmetadata: {name: curl}\nspec: x\n", "Pod curl: spec is not a map"),
        ("kind: Pod\nspec: {containers: [x]}\n", "Pod: spec.containers is not a list of maps"),
        ("kind: Deployment\nspec: {template: {spec: x}}\n", "Deployment: spec.template.spec is not a map"),
        ("kind: CronJob\nspec: {jobTemplate: x}\n", "CronJob: spec.jobTemplate is not a map"),
        ("kind: ConfigMap\ndata: x\n", "ConfigMap: data is not a map"),
    ],
)
def test_an_object_that_kubernetes_would_not_take_is_an_error_with_its_field(
    tmp_path: Path, text: str, words: str
) -> None:
    bad = tmp_path / "bad.yaml"
    bad.write_text(f"apiVersion: v1\n{text}")
    with pytest.raises(ConfigError, match=f"bad.yaml: {words}") as caught:
        read_manifests(tmp_path)
    assert caught.value.hint


def test_what_is_of_no_kind_is_passed_over_and_other_kinds_may_have_any_spec(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("apiVersion: [1]\nkind: {a: 1}\n---\napiVersion: a/v1\nkind: Other\nspec: x\n")
    assert [manifest["kind"] for manifest in read_manifests(tmp_path)] == ["Other"]


@pytest.mark.parametrize(("name", "words"), [("none", "No such file"), ("x" * 300, "File name too long")])
def test_a_path_that_cannot_be_read_is_an_error(tmp_path: Path, name: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        read_manifests(tmp_path / name)


@pytest.mark.parametrize("below", ["", "bookinfo", "samples/bookinfo"])
def test_a_sample_is_found_in_its_folder_or_above(tmp_path: Path, below: str) -> None:
    for file in BOOKINFO.files:
        path = tmp_path / below / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"apiVersion: v1\nkind: Service\nmetadata: {{name: {path.stem}}}\n")
    (tmp_path / below / "platform" / "kube" / "bookinfo-db.yaml").write_text("kind: [")
    found = read_sample(tmp_path, BOOKINFO)
    assert [manifest["metadata"]["name"] for manifest in found] == ["bookinfo", "bookinfo-gateway"]


def test_a_folder_without_the_sample_is_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"does not contain Istio's sample bookinfo: it has no bookinfo/platform"):
        read_sample(tmp_path, BOOKINFO)
