from __future__ import annotations

import re
import stat
from pathlib import Path

import pytest

from nksmesh.domain.common.errors import ConfigError
from nksmesh.domain.mesh.versions import parse_version
from nksmesh.sandbox import snapshot
from nksmesh.sandbox.builds import HELM, ISTIO, ISTIO_VERSION, KWOK, MODULES, REGISTRY, control_plane
from nksmesh.sandbox.certificates import load_authority, make_authority
from nksmesh.sandbox.credentials import write_certificates, write_kubeconfigs
from nksmesh.sandbox.documents import mapping_from_yaml
from nksmesh.sandbox.failures import SCHEDULABLE_LABEL, failure_patch, parse_selector
from nksmesh.sandbox.go_build import _binary_name
from nksmesh.sandbox.layout import (
    HOME_VARIABLE,
    Layout,
    Settings,
    layout_of,
    load_settings,
    sandbox_names,
    save_settings,
)
from nksmesh.sandbox.releases import OLDEST, Kubernetes
from nksmesh.sandbox.sandbox import Sandbox
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
    settings = Settings(port=1234, kubernetes=Kubernetes.V1_34, load_balancer=False)
    save_settings(layout, settings)
    assert sandbox_names() == ["try"]
    assert load_settings(layout) == settings


def test_a_sandbox_from_before_there_was_a_choice_is_of_the_oldest_kubernetes(layout: Layout) -> None:
    layout.home.mkdir()
    layout.settings.write_text('{"port": 1234, "load_balancer": true}')
    assert load_settings(layout) == Settings(port=1234, kubernetes=OLDEST)
    layout.settings.write_text('{"port": 1234, "load_balancer": true, "kubernetes": "1.2"}')
    with pytest.raises(ConfigError, match="cannot be read"):
        load_settings(layout)


async def test_a_sandbox_keeps_its_kubernetes(layout: Layout) -> None:
    layout.home.mkdir()
    save_settings(layout, Settings(port=1234))
    with pytest.raises(ConfigError, match=r"runs Kubernetes 1\.28, not 1\.34") as refused:
        await Sandbox("try").up(kubernetes=Kubernetes.V1_34)
    assert "sandbox up --name try-1-34 --kubernetes 1.34" in refused.value.hint
    assert sandbox_names() == ["try"]


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
    builds = (*map(control_plane, Kubernetes), KWOK, HELM, REGISTRY, ISTIO)
    assert len({build.key for build in builds}) == len(builds)
    names = {_binary_name(package) for build in builds for package in build.packages.values()}
    control = {"server", "kube-apiserver", "kube-controller-manager", "kube-scheduler"}
    assert names == {*control, "kwok", "helm", "registry", "pilot-discovery", "pilot-agent", "istioctl"}


def test_istios_version_is_one_that_nksmesh_reads_and_names_the_commit_of_its_module() -> None:
    major, minor, commit = *parse_version(ISTIO_VERSION)[:2], ISTIO_VERSION.rpartition(".")[2]
    assert (major, minor) == (1, 31)
    assert ISTIO.module
    [required] = re.findall(
        r"^require istio\.io/istio (\S+)$", (MODULES / ISTIO.module / "go.mod").read_text(), re.MULTILINE
    )
    assert required.endswith(f"-{commit}")


@pytest.mark.parametrize("kubernetes", Kubernetes)
def test_the_modules_of_a_kubernetes_are_of_its_release_and_of_its_etcd(kubernetes: Kubernetes) -> None:
    build = control_plane(kubernetes)
    assert build.module
    text = (MODULES / build.module / "go.mod").read_text()
    assert f"k8s.io/kubernetes v{kubernetes.release}\n" in text
    assert f"go.etcd.io/etcd/server/v3 v{kubernetes.etcd}\n" in text
    staging = f"v0{kubernetes.release.removeprefix('1')}"
    assert {line.split()[-1] for line in text.splitlines() if "=>" in line} == {staging}
