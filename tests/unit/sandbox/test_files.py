from __future__ import annotations

import stat
from pathlib import Path

import pytest

from nksmesh.domain.common.errors import ConfigError
from nksmesh.sandbox import snapshot
from nksmesh.sandbox.certificates import load_authority, make_authority
from nksmesh.sandbox.credentials import write_certificates, write_kubeconfigs
from nksmesh.sandbox.documents import mapping_from_yaml
from nksmesh.sandbox.failures import SCHEDULABLE_LABEL, failure_patch, parse_selector
from nksmesh.sandbox.layout import (
    HOME_VARIABLE,
    Layout,
    Settings,
    layout_of,
    load_settings,
    sandbox_names,
    save_settings,
)
from nksmesh.sandbox.programs import CONTROL_PLANE, HELM, KWOK, _binary_name
from nksmesh.sandbox.stages import FAILURE_ANNOTATION, stages


@pytest.fixture
def layout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Layout:
    monkeypatch.setenv(HOME_VARIABLE, str(tmp_path))
    return layout_of("try")


@pytest.mark.parametrize("name", ["", "A", "a/b", "..", "-a", "a" * 41, "a b", "$(id)"])
def test_a_name_that_could_be_no_folder_is_refused(name: str) -> None:
    with pytest.raises(ConfigError):
        layout_of(name)


def test_sandboxes_are_found_by_their_settings(layout: Layout) -> None:
    assert sandbox_names() == []
    layout.home.mkdir()
    save_settings(layout, Settings(port=1234, load_balancer=False))
    assert sandbox_names() == ["try"]
    assert load_settings(layout) == Settings(port=1234, load_balancer=False)


def test_settings_that_are_not_ours_are_refused(layout: Layout) -> None:
    layout.home.mkdir()
    layout.settings.write_text("[]")
    with pytest.raises(ConfigError, match="cannot be read"):
        load_settings(layout)


def test_keys_and_kubeconfig_are_private_and_the_users_file_stands_alone(layout: Layout) -> None:
    layout.home.mkdir()
    write_certificates(layout.certificates, service_address="10.96.0.1")
    write_kubeconfigs(layout, "https://127.0.0.1:1")
    shared = [
        path
        for path in (*layout.certificates.iterdir(), layout.kubeconfig)
        if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO)
    ]
    assert shared == []
    kubeconfig = mapping_from_yaml(layout.kubeconfig.read_text())
    assert kubeconfig["current-context"] == "nksmesh-sandbox-try"
    assert set(kubeconfig["users"][0]["user"]) == {"client-certificate-data", "client-key-data"}
    assert str(layout.home) not in layout.kubeconfig.read_text()


def test_certificates_are_written_once(layout: Layout) -> None:
    layout.home.mkdir()
    write_certificates(layout.certificates, service_address="10.96.0.1")
    before = (layout.certificates / "ca.crt").read_bytes()
    write_certificates(layout.certificates, service_address="10.96.0.1")
    assert (layout.certificates / "ca.crt").read_bytes() == before


def test_an_authority_of_another_kind_is_refused() -> None:
    assert make_authority("", "cluster.local").certificate.subject.rfc4514_string() == "O=cluster.local"
    with pytest.raises(ValueError, match="PEM"):
        load_authority(b"nothing", b"nothing")


def test_a_restored_snapshot_is_what_was_taken(layout: Layout) -> None:
    (layout.snapshot / "member").mkdir(parents=True)
    with (layout.snapshot / "member" / "log").open("wb") as file:
        file.write(b"head")
        file.truncate(1 << 20)
    layout.data.mkdir()
    (layout.data / "later").touch()
    snapshot.restore(layout)
    restored = layout.data / "member" / "log"
    assert not (layout.data / "later").exists()
    assert restored.read_bytes() == b"head".ljust(1 << 20, b"\0")


def test_a_selector_is_read() -> None:
    assert parse_selector("app=a, tier!=b") == [
        {"key": "app", "operator": "In", "values": ["a"]},
        {"key": "tier", "operator": "NotIn", "values": ["b"]},
    ]
    assert parse_selector("") == []
    with pytest.raises(ConfigError, match="not a label selector"):
        parse_selector("app in (a)")


def test_a_pod_is_marked_to_fail_and_keeps_its_annotations() -> None:
    pod = {"metadata": {"annotations": {"a": "b"}}, "spec": {"nodeSelector": {"disk": "fast"}}}
    (mark,) = failure_patch(pod, "/crash?timeout=5s")
    assert mark["value"] == {"a": "b", FAILURE_ANNOTATION: "crash"}
    _, selector = failure_patch(pod, "/unschedulable")
    assert selector["value"] == {"disk": "fast", SCHEDULABLE_LABEL: "true"}


def test_stages_have_names_of_their_own() -> None:
    names = [stage["metadata"]["name"] for stage in stages()]
    assert len(set(names)) == len(names)
    assert {"pod-ready", "pod-delete", "pod-complete"} <= set(names)


def test_builds_are_told_apart_and_their_programs_named() -> None:
    assert len({build.key for build in (CONTROL_PLANE, KWOK, HELM)}) == 3
    names = {_binary_name(package) for build in (CONTROL_PLANE, KWOK, HELM) for package in build.packages.values()}
    assert names == {"server", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kwok", "helm"}
