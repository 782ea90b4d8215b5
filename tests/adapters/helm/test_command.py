"""How Helm's end becomes ours: with programs that fail as Helm does."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from nksmesh.adapters.helm.command import HelmCommand
from nksmesh.adapters.helm.releases import Helm
from nksmesh.domain.charts.chart import Chart
from nksmesh.domain.common.errors import ClusterError, ReleaseError
from tests.adapters.helm.conftest import RELEASE


def program(folder: Path, says: str, *flags: str) -> HelmCommand:
    file = folder / "helm"
    file.write_text(f"#!/bin/sh\n{says}\n")
    file.chmod(0o755)
    place = folder / "kube config"
    return HelmCommand(file, kubeconfig=place, context="a context", watcher=lambda _: None, history_max=7, flags=flags)


async def test_arguments_pass_no_shell_and_end_with_the_cluster(tmp_path: Path) -> None:
    helm = program(tmp_path, 'for word in "$@"; do echo "$word"; done; cat', "--a-flag", "c d")
    answer = (await helm.run(["template", "$HOME `id`; true", "a b"], b'"values"')).decode()
    assert answer.splitlines() == [
        "template",
        "$HOME `id`; true",
        "a b",
        "--a-flag",
        "c d",
        "--kubeconfig",
        str(tmp_path / "kube config"),
        "--kube-context",
        "a context",
        '"values"',
    ]


ECHO = 'for word in "$@"; do echo "$word"; done'


async def test_pyhelm3_writes_the_commands_that_it_has_methods_for(tmp_path: Path) -> None:
    values = {"greeting": "판교 \U0001f600", "blank": "\u00a0"}
    said = await program(tmp_path, f"{ECHO}; cat", "--set", "a=1").template("x", Path("/chart"), values, namespace="n")
    words = said.splitlines()
    assert words[:8] == ["template", "x", "/chart", "--skip-crds", "--values", "-", "--namespace", "n"]
    assert words[8:10] == ["--set", "a=1"]
    assert words[-1] == '{"greeting": "판교 \U0001f600", "blank": "\\u00a0"}'  # no surrogate pairs: YAML has none
    told = f"{ECHO} > {tmp_path}/told"
    await program(tmp_path, told).rollback("x", 3, namespace="n", timeout="20s")
    words = (tmp_path / "told").read_text().splitlines()
    assert words[:9] == ["rollback", "x", "3", "--history-max", "7", "--timeout", "20s", "--namespace", "n"]
    await program(tmp_path, told, "--ignore-not-found").uninstall("x", namespace="n", timeout="20s")
    words = (tmp_path / "told").read_text().splitlines()
    assert words[:7] == ["uninstall", "x", "--timeout", "20s", "--namespace", "n", "--ignore-not-found"]


async def test_a_helm_without_values_reads_nothing(tmp_path: Path) -> None:
    assert await program(tmp_path, "cat").run(["template", "x"]) == b""


async def test_what_a_helm_is_told_does_not_come_from_our_terminal_and_carries_our_mark(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HELM_KUBETOKEN", "HELM_KUBECONTEXT", "HELM_NAMESPACE", "HELM_KUBEAPISERVER"):
        monkeypatch.setenv(name, "elsewhere")
    monkeypatch.setenv("HELM_DRIVER", "configmap")
    told = (await program(tmp_path, "env").run(["template", "x"])).decode().splitlines()
    assert not [line for line in told if line.startswith(("HELM_KUBE", "HELM_NAMESPACE"))]
    assert "HELM_DRIVER=configmap" in told
    assert [line for line in told if line.startswith("NKSMESH_RUN=")]


async def test_helm_does_not_look_for_garbage_unless_its_user_wants_it_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("GOGC", "GOMEMLIMIT"):
        monkeypatch.delenv(name, raising=False)
    told = (await program(tmp_path, "env").run(["template", "x"])).decode().splitlines()
    assert {"GOGC=off", "GOMEMLIMIT=512MiB"} <= set(told)
    monkeypatch.setenv("GOGC", "50")
    assert "GOGC=50" in (await program(tmp_path, "env").run(["template", "x"])).decode().splitlines()


UNREACHABLE = {
    "nothing listens": 'Get "https://10.0.0.1:6443/version": dial tcp 10.0.0.1:6443: connect: connection refused',
    "no such name": "dial tcp: lookup kubernetes.example: no such host",
    "refused credentials": (
        "Error: Kubernetes cluster unreachable: the server has asked for the client to provide credentials"
    ),
    "Helm 4's way of saying it": "Error: kubernetes cluster unreachable: context deadline exceeded",
    "cut": 'Error: Get "https://10.0.0.1:6443/api": unexpected EOF',
}


@pytest.mark.parametrize("words", UNREACHABLE.values(), ids=UNREACHABLE)
async def test_a_lost_api_server_is_the_clusters_error(tmp_path: Path, words: str) -> None:
    helm = program(tmp_path, f"echo '{words.replace(chr(39), '')}' >&2; exit 1")
    with pytest.raises(ClusterError, match="helm install lost its connection to the API server") as caught:
        await helm.run(["install", "istiod"])
    assert caught.value.detail == words.replace("'", "")
    assert caught.value.passing is ("credentials" not in words), "no repetition makes credentials good"


REFUSED = {
    "an object that is somebody else's": "Error: rendered manifests contain a resource that already exists",
    "a webhook that does not answer, told by an API server that does": (
        'Error: Internal error occurred: failed calling webhook "validation.istio.io": failed to call webhook: '
        'Post "https://istiod.istio-system.svc:443/validate": dial tcp 10.96.0.9:443: connect: connection refused'
    ),
    "nothing said": "",
}


@pytest.mark.parametrize("words", REFUSED.values(), ids=REFUSED)
async def test_what_helm_failed_at_is_the_releases_error(tmp_path: Path, words: str) -> None:
    helm = program(tmp_path, f"echo '{words.replace(chr(39), '')}' >&2; exit 1")
    with pytest.raises(ReleaseError, match="helm install istiod failed") as caught:
        await helm.run(["install", "istiod"])
    assert caught.value.detail == words.replace("'", "")


async def test_a_helm_that_is_killed_is_told_as_that(tmp_path: Path) -> None:
    with pytest.raises(ReleaseError, match="helm template x failed") as caught:
        await program(tmp_path, "kill -9 $$").run(["template", "x"])
    assert caught.value.detail == "Helm was ended by the signal Killed"


def _without_permission(helm: Path) -> None:
    helm.chmod(0o644)


def _for_another_processor(helm: Path) -> None:
    helm.write_bytes(b"\x7fELF\x02\x01\x01" + bytes(57))


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (Path.unlink, "No such file or directory"),
        (_without_permission, "Permission denied"),
        (_for_another_processor, "Exec format error"),
    ],
)
@pytest.mark.parametrize("call", ["render", "install", "upgrade", "rollback", "uninstall", "prove_same_cluster"])
async def test_every_call_of_a_helm_that_cannot_be_started_says_why(
    tmp_path: Path, chart: Chart, call: str, broken: Callable[[Path], None], reason: str
) -> None:
    file = tmp_path / "helm"
    file.write_text("#!/bin/sh\necho v3.18.0\n")
    file.chmod(0o755)
    helm = Helm(str(file), kubeconfig=None, context="")
    await helm.program()
    broken(file)
    calls: dict[str, Callable[[], Awaitable[object]]] = {
        "render": lambda: helm.render(RELEASE, chart, {}, upgrade=False),
        "install": lambda: helm.install(RELEASE, chart, {}, timeout=5),
        "upgrade": lambda: helm.upgrade(RELEASE, chart, {}, timeout=5),
        "rollback": lambda: helm.rollback(RELEASE, 1, timeout=5),
        "uninstall": lambda: helm.uninstall(RELEASE, timeout=5),
        "prove_same_cluster": lambda: helm.prove_same_cluster("uid"),
    }
    with pytest.raises(ReleaseError) as caught:
        await calls[call]()
    assert caught.value.message == f"{file} cannot be started: {reason}"


async def test_a_helm_that_only_reads_is_ended_at_once_when_nobody_wants_its_answer(tmp_path: Path) -> None:
    work = asyncio.create_task(program(tmp_path, "exec sleep 60").run(["template", "x"]))
    await asyncio.sleep(0.3)
    work.cancel()
    async with asyncio.timeout(10):
        with pytest.raises(asyncio.CancelledError):
            await work
