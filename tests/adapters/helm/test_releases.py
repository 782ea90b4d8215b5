from __future__ import annotations

import asyncio
import base64
import os
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from nksmesh.adapters import processes
from nksmesh.adapters.cluster.connection import Cluster
from nksmesh.adapters.helm import command, releases
from nksmesh.adapters.helm.releases import Helm
from nksmesh.domain.charts.chart import Chart
from nksmesh.domain.common.errors import ClusterError, ConfigError, ReleaseError
from nksmesh.domain.kube.objects import ObjectRef
from nksmesh.domain.plan.history import MOST_RUNS
from nksmesh.sandbox.failures import Failure
from nksmesh.sandbox.sandbox import Sandbox
from tests.adapters.helm.conftest import RELEASE

pytestmark = pytest.mark.cluster

CONFIG_MAP = ObjectRef("v1", "ConfigMap", RELEASE.name, RELEASE.namespace)
KEY = (RELEASE.namespace, RELEASE.name)
THEIRS = {"metadata": {"name": RELEASE.name, "namespace": RELEASE.namespace}, "data": {"greeting": "somebody's"}}


class Watched(list[int | None]):
    """What a watcher was told, and what the process told of was then."""

    def __init__(self) -> None:
        super().__init__()
        self.sessions: list[int] = []

    def __call__(self, process: int | None) -> None:
        self.append(process)
        if process:
            self.sessions.append(os.getsid(process))


@pytest.fixture
async def cluster(shared_sandbox: Sandbox) -> AsyncIterator[Cluster]:
    """The sandbox's cluster, without the release."""
    async with await Cluster.connect(kubeconfig=shared_sandbox.kubeconfig, context="") as connected:
        yield connected


@pytest.fixture
def watched() -> Watched:
    return Watched()


@pytest.fixture
async def helm(program: str, shared_sandbox: Sandbox, watched: Watched, cluster: Cluster) -> AsyncIterator[Helm]:
    """Each Helm in turn, on the sandbox; what it installs goes with the test."""
    driven = Helm(program, kubeconfig=shared_sandbox.kubeconfig, context=shared_sandbox.context, watcher=watched)
    yield driven
    if await cluster.storage.installed([RELEASE]):
        await driven.uninstall(RELEASE, timeout=20)


async def test_a_release_from_its_install_to_its_end(
    helm: Helm, chart: Chart, cluster: Cluster, watched: Watched
) -> None:
    await helm.install(RELEASE, chart, {"greeting": "one"}, timeout=20)
    found = (await cluster.storage.installed([RELEASE]))[KEY]
    assert (found.helm_revision, found.status, found.values) == (1, "deployed", {"greeting": "one"})
    await helm.upgrade(RELEASE, chart, {"quiet": False}, timeout=20)
    found = (await cluster.storage.installed([RELEASE]))[KEY]
    assert (found.helm_revision, found.values) == (2, {"quiet": False})  # these values and no others
    config_map = await cluster.objects.get(CONFIG_MAP)
    assert config_map is not None
    assert (config_map["data"]["mode"], config_map["data"]["greeting"]) == ("upgrade", "hello")
    await helm.uninstall(RELEASE, timeout=20)
    assert await cluster.objects.get(CONFIG_MAP) is None
    assert await cluster.storage.installed([RELEASE]) == {}
    await helm.uninstall(RELEASE, timeout=20)  # what is gone already is no failure
    assert watched[1::2] == [None] * 4
    assert all(watched[::2])


async def test_a_release_goes_back_to_a_helm_revision_whichever_helm_wrote_it(
    helm: Helm, chart: Chart, cluster: Cluster, shared_sandbox: Sandbox, helm3: str, helm4_program: str
) -> None:
    """Helm 4 applies server-side what Helm 3 wrote, and takes the fields that others hold."""
    of_3, of_4 = (
        Helm(program, kubeconfig=shared_sandbox.kubeconfig, context=shared_sandbox.context)
        for program in (helm3, helm4_program)
    )
    await of_3.install(RELEASE, chart, {"greeting": "one"}, timeout=20)
    await of_4.upgrade(RELEASE, chart, {"greeting": "two"}, timeout=20)
    await cluster.objects.apply({"apiVersion": "v1", "kind": "ConfigMap", **THEIRS}, CONFIG_MAP)
    await helm.rollback(RELEASE, 1, timeout=20)
    found = (await cluster.storage.installed([RELEASE]))[KEY]
    assert (found.helm_revision, found.status, found.values) == (3, "deployed", {"greeting": "one"})
    assert found.manifest == (await cluster.storage.at({RELEASE: 1}))[RELEASE].manifest
    config_map = await cluster.objects.get(CONFIG_MAP)
    assert config_map is not None
    assert (config_map["data"]["greeting"], config_map["data"]["mode"]) == ("one", "install")
    with pytest.raises(ReleaseError, match="helm rollback tiny failed"):
        await helm.rollback(RELEASE, 99, timeout=20)


async def test_helm_keeps_as_many_revisions_as_runs_are_kept_and_no_more(
    helm: Helm, chart: Chart, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert releases._HISTORY > MOST_RUNS  # what stood before the oldest of them is there, too
    monkeypatch.setattr(releases, "_HISTORY", 3)  # as many upgrades as that take seconds
    await helm.install(RELEASE, chart, {}, timeout=20)
    for number in range(4):
        await helm.upgrade(RELEASE, chart, {"greeting": str(number)}, timeout=20)
    await helm.rollback(RELEASE, 4, timeout=20)
    assert await cluster.storage.revisions([RELEASE]) == {KEY: (6, "deployed")}
    kept = await cluster.objects.list("v1", "Secret", RELEASE.namespace, labels=f"owner=helm,name={RELEASE.name}")
    assert {one["metadata"]["labels"]["version"] for one in kept} == {"4", "5", "6"}


async def test_what_helm_refuses_is_a_release_error_with_its_words(helm: Helm, chart: Chart) -> None:
    with pytest.raises(ReleaseError, match="helm upgrade tiny failed") as caught:
        await helm.upgrade(RELEASE, chart, {}, timeout=20)
    assert "has no deployed releases" in caught.value.detail
    await helm.install(RELEASE, chart, {}, timeout=20)
    with pytest.raises(ReleaseError, match="helm install tiny failed") as caught:
        await helm.install(RELEASE, chart, {}, timeout=20)
    assert "in use" in caught.value.detail


async def test_what_the_api_server_refuses_is_a_release_error_too(helm: Helm, chart: Chart, cluster: Cluster) -> None:
    (chart.folder / "templates/wrong.yaml").write_text(
        "apiVersion: v1\nkind: Service\nmetadata: {name: tiny}\nspec: {ports: [{port: 99999999}]}\n"
    )
    with pytest.raises(ReleaseError) as caught:
        await helm.install(RELEASE, chart, {}, timeout=20)
    assert "99999999" in caught.value.detail
    assert (await cluster.storage.revisions([RELEASE]))[KEY] == (1, "failed")


async def test_a_helm_at_work_is_in_a_session_of_its_own_and_marked_as_ours(
    helm: Helm, slow_chart: Chart, watched: Watched
) -> None:
    work = asyncio.create_task(helm.install(RELEASE, slow_chart, {}, timeout=20))
    async with asyncio.timeout(10):
        while not watched:  # noqa: ASYNC110 - the cluster is asked, nothing here could set an event
            await asyncio.sleep(0.01)
    (process,) = watched
    assert process
    assert watched.sessions == [process]  # its own leader: a terminal's Ctrl-C does not reach it
    async with asyncio.timeout(10):
        while processes.helms_of(processes.this_run("install")) != (process,):  # noqa: ASYNC110 - the cluster is asked, nothing here could set an event
            await asyncio.sleep(0.01)  # until the process has become Helm
    await work
    assert processes.helms_of(processes.this_run("install")) == ()


async def test_a_cancelled_install_lets_helm_finish(
    helm: Helm, slow_chart: Chart, cluster: Cluster, watched: Watched
) -> None:
    """The hook takes a second or two: Helm is in the middle of its work when the run is stopped."""
    work = asyncio.create_task(helm.install(RELEASE, slow_chart, {}, timeout=20))
    async with asyncio.timeout(15):
        while (await cluster.storage.revisions([RELEASE])).get(KEY) != (1, "pending-install"):  # noqa: ASYNC110 - the cluster is asked, nothing here could set an event
            await asyncio.sleep(0.05)
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    assert watched[-1] is None
    assert (await cluster.storage.revisions([RELEASE]))[KEY] == (1, "deployed")


async def test_a_helm_that_does_not_finish_in_time_is_asked_to_end(
    helm: Helm,
    slow_chart: Chart,
    cluster: Cluster,
    shared_sandbox: Sandbox,
    watched: Watched,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(command, "FINISH_SECONDS", 0.5)
    await shared_sandbox.fail(Failure.UNSCHEDULABLE, selector="app=slow")
    try:
        work = asyncio.create_task(helm.install(RELEASE, slow_chart, {}, timeout=60))
        async with asyncio.timeout(15):
            while (await cluster.storage.revisions([RELEASE])).get(KEY) != (1, "pending-install"):  # noqa: ASYNC110 - the cluster is asked, nothing here could set an event
                await asyncio.sleep(0.05)
        work.cancel()
        began = asyncio.get_running_loop().time()
        with pytest.raises(asyncio.CancelledError):
            await work
        assert asyncio.get_running_loop().time() - began < 10
        (process, *_) = watched
        assert process
        assert processes.start_of(process) is None
    finally:
        await shared_sandbox.heal()
    found = (await cluster.storage.installed([RELEASE])).get(KEY)
    assert found is not None
    await cluster.storage.forget(found)
    for ref in (CONFIG_MAP, replace(CONFIG_MAP, kind="Secret")):
        await cluster.objects.delete(ref)
    await cluster.objects.delete(ObjectRef("batch/v1", "Job", f"{RELEASE.name}-slow", RELEASE.namespace))


ELSEWHERE = {
    "HELM_KUBEAPISERVER": "https://127.0.0.1:9",
    "HELM_KUBECONTEXT": "no-such-context",
    "HELM_KUBETOKEN": "token",
    "HELM_NAMESPACE": "elsewhere",
    "KUBECONFIG": "/nowhere/kubeconfig",
}


async def test_the_environment_does_not_turn_helm_to_another_cluster(
    helm: Helm, chart: Chart, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, text in ELSEWHERE.items():
        monkeypatch.setenv(name, text)
    await helm.install(RELEASE, chart, {}, timeout=20)
    assert KEY in await cluster.storage.installed([RELEASE])
    await helm.prove_same_cluster(await cluster.uid())


def kubeconfig_with(sandbox: Sandbox, file: Path, **changed: Any) -> Path:
    data = yaml.safe_load(sandbox.kubeconfig.read_text())
    data["clusters"][0]["cluster"].update(changed.get("cluster", {}))
    if "user" in changed:
        data["users"][0]["user"] = changed["user"]
    file.write_text(yaml.safe_dump(data))
    return file


async def test_a_refused_credential_is_the_clusters_error_and_is_not_shown(
    program: str, chart: Chart, shared_sandbox: Sandbox, tmp_path: Path
) -> None:
    file = kubeconfig_with(shared_sandbox, tmp_path / "k", user={"token": "expired-token"})
    driven = Helm(program, kubeconfig=file, context="")
    with pytest.raises(ClusterError) as caught:
        await driven.install(RELEASE, chart, {}, timeout=20)
    with pytest.raises(ClusterError):
        await driven.prove_same_cluster("uid")
    assert "expired-token" not in f"{caught.value}{caught.value.detail}"


async def test_an_api_server_that_does_not_answer_is_the_clusters_error(
    program: str, chart: Chart, shared_sandbox: Sandbox, tmp_path: Path
) -> None:
    file = kubeconfig_with(shared_sandbox, tmp_path / "k", cluster={"server": "https://127.0.0.1:9"})
    driven = Helm(program, kubeconfig=file, context="")
    for act in (
        driven.install(RELEASE, chart, {}, timeout=20),
        driven.upgrade(RELEASE, chart, {}, timeout=20),
        driven.uninstall(RELEASE, timeout=20),
        driven.prove_same_cluster("uid"),
    ):
        with pytest.raises(ClusterError) as caught:
            await act
        assert not isinstance(caught.value, ReleaseError)
        assert "connection refused" in caught.value.detail


async def test_two_clusters_are_told_apart(program: str, shared_sandbox: Sandbox, cluster: Cluster) -> None:
    other = Sandbox("test-other")
    try:
        await other.up()
        here = Helm(program, kubeconfig=shared_sandbox.kubeconfig, context="")
        there = Helm(program, kubeconfig=other.kubeconfig, context="")
        await here.prove_same_cluster(await cluster.uid())
        with pytest.raises(ClusterError, match="a different cluster from nksmesh"):
            await there.prove_same_cluster(await cluster.uid())
    finally:
        await other.delete()


async def test_values_reach_helm_whole_however_many(helm: Helm, chart: Chart, cluster: Cluster) -> None:
    await helm.install(RELEASE, chart, {"greeting": "x" * 200_000}, timeout=20)
    found = await cluster.objects.get(CONFIG_MAP)
    assert found is not None
    assert len(found["data"]["greeting"]) == 200_000


async def test_what_helm_stores_is_read_as_it_is(helm: Helm, chart: Chart, cluster: Cluster) -> None:
    await helm.install(RELEASE, chart, {"greeting": "판교"}, timeout=20)
    found = (await cluster.storage.installed([RELEASE]))[KEY]
    assert (found.chart, found.chart_version, found.app_version) == ("tiny", "1.0.0", "1.2.3")
    assert (found.name, found.namespace, found.deployed, found.pending) == ("tiny", "default", True, False)
    assert found.values == {"greeting": "판교"}
    assert [one["kind"] for one in helm.parse(found.manifest)] in (["ConfigMap", "Secret"], ["Secret", "ConfigMap"])
    assert found.updated is not None
    assert found.updated.tzinfo is not None
    assert found == (await cluster.storage.installed())[KEY]
    assert await cluster.storage.installed([replace(RELEASE, name="other")]) == {}
    assert await cluster.storage.installed([]) == {}
    await cluster.storage.forget(found)
    assert await cluster.storage.installed([RELEASE]) == {}
    for ref in (CONFIG_MAP, replace(CONFIG_MAP, kind="Secret")):
        await cluster.objects.delete(ref)


async def test_a_name_whose_history_was_kept_can_be_installed_again(
    helm: Helm, program: str, chart: Chart, cluster: Cluster, shared_sandbox: Sandbox
) -> None:
    await helm.install(RELEASE, chart, {"greeting": "one"}, timeout=20)
    place = ("--namespace", RELEASE.namespace, "--kubeconfig", str(shared_sandbox.kubeconfig))
    ended = await asyncio.create_subprocess_exec(program, "uninstall", RELEASE.name, "--keep-history", *place)
    assert await ended.wait() == 0
    assert await cluster.storage.installed([RELEASE]) == {}
    await helm.install(RELEASE, chart, {"greeting": "two"}, timeout=20)
    found = (await cluster.storage.installed([RELEASE]))[KEY]
    assert (found.helm_revision, found.status, found.values) == (2, "deployed", {"greeting": "two"})


async def test_config_maps_are_read_where_helm_keeps_its_records_there(
    program: str, chart: Chart, shared_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HELM_DRIVER", "configmap")
    driven = Helm(program, kubeconfig=shared_sandbox.kubeconfig, context="")
    async with await Cluster.connect(kubeconfig=shared_sandbox.kubeconfig, context="") as cluster:
        await driven.install(RELEASE, chart, {"greeting": "kept"}, timeout=20)
        found = (await cluster.storage.installed([RELEASE]))[KEY]
        assert (found.values, found.status) == ({"greeting": "kept"}, "deployed")
        await driven.uninstall(RELEASE, timeout=20)
        assert await cluster.storage.installed([RELEASE]) == {}


async def test_a_driver_outside_of_the_cluster_is_refused(
    shared_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HELM_DRIVER", "sql")
    with pytest.raises(ConfigError, match="HELM_DRIVER is sql"):
        await Cluster.connect(kubeconfig=shared_sandbox.kubeconfig, context="")


@pytest.mark.parametrize("content", [b"plain", base64.b64encode(b"{}"), base64.b64encode(b"\x1f\x8bgarbage"), b""])
async def test_a_record_of_helm_that_cannot_be_read_is_named(cluster: Cluster, content: bytes) -> None:
    ref = ObjectRef("v1", "Secret", "sh.helm.release.v1.broken.v1", "default")
    labels = {"owner": "helm", "name": "broken", "status": "deployed", "version": "1"}
    manifest = {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "helm.sh/release.v1",
        "metadata": {"name": ref.name, "labels": labels},
        "data": {"release": base64.b64encode(content).decode()},
    }
    await cluster.objects.apply(manifest, ref)
    try:
        with pytest.raises(ClusterError, match=r"Secret default/sh\.helm\.release\.v1\.broken\.v1") as caught:
            await cluster.storage.installed()
        assert caught.value.hint
        assert await cluster.storage.revisions([replace(RELEASE, name="broken")]) == {
            ("default", "broken"): (1, "deployed")
        }
    finally:
        await cluster.objects.delete(ref)
