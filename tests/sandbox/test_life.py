from __future__ import annotations

import asyncio
import os
import signal
import socket
import stat
from pathlib import Path

import pytest

from nksmesh.domain.common.errors import ConfigError
from nksmesh.sandbox import processes
from nksmesh.sandbox.control_plane import Part
from nksmesh.sandbox.results import State
from nksmesh.sandbox.sandbox import Sandbox, statuses
from tests.sandbox.objects import make_pod, pod, ready, until_pod

pytestmark = pytest.mark.cluster

NAMESPACES = "/api/v1/namespaces"


def running(pids: list[int]) -> list[int]:
    return [pid for pid in pids if Path(f"/proc/{pid}").exists()]


def names_in(homes: Path) -> set[str]:
    return {path.name for path in homes.iterdir()}


async def test_up_gives_a_cluster_that_runs_pods(sandbox: Sandbox) -> None:
    async with sandbox.api() as api:
        await make_pod(api, pod("web"))
        web = await until_pod(api, "web", ready)
        version = await api.request("GET", "/version")
    assert web["status"]["podIP"].startswith("10.244.")
    assert version["gitVersion"] == "v1.28.15"


async def test_up_on_a_running_sandbox_starts_nothing(shared_sandbox: Sandbox) -> None:
    raised = await shared_sandbox.up()
    assert raised.started == ()
    assert raised.kubeconfig == shared_sandbox.kubeconfig


async def test_what_it_keeps_is_for_its_owner_alone(shared_sandbox: Sandbox) -> None:
    home = shared_sandbox.layout.home
    open_to_others = [
        path
        for path in (home, *home.rglob("*"))
        if path.parent == home and path.lstat().st_mode & (stat.S_IRWXG | stat.S_IRWXO)
    ]
    assert open_to_others == []


async def test_two_sandboxes_side_by_side_and_data_that_survives_down(sandbox_homes: Path) -> None:
    first, second = Sandbox("first"), Sandbox("second")
    try:
        await asyncio.gather(first.up(), second.up())
        assert first.status().server != second.status().server
        async with first.api() as api:
            await api.request("POST", NAMESPACES, body={"metadata": {"name": "kept"}})
        async with second.api() as api:
            names = {item["metadata"]["name"] for item in (await api.request("GET", NAMESPACES))["items"]}
        assert "kept" not in names

        kubeconfig = first.kubeconfig.read_bytes()
        await first.down()
        assert first.status().state is State.STOPPED
        await first.up()
        assert first.kubeconfig.read_bytes() == kubeconfig
        async with first.api() as api:
            assert (await api.request("GET", f"{NAMESPACES}/kept"))["status"]["phase"] == "Active"
            await make_pod(api, pod("after"))
            assert await until_pod(api, "after", ready)
    finally:
        pids = [part.pid for each in (first, second) for part in each.status().parts if part.pid]
        await asyncio.gather(first.delete(), second.delete())
    assert not running(pids)
    assert not {"first", "second"} & names_in(sandbox_homes)
    assert first.status().state is State.ABSENT


async def test_a_crashed_part_is_reported_and_started_again(sandbox: Sandbox) -> None:
    scheduler = next(part for part in sandbox.status().parts if part.part is Part.SCHEDULER)
    assert scheduler.pid
    os.kill(scheduler.pid, signal.SIGABRT)
    process = processes.find(sandbox.layout.process(Part.SCHEDULER))
    assert process
    await processes.ended(process)

    status = sandbox.status()
    crashed = next(part for part in status.parts if part.part is Part.SCHEDULER)
    assert status.state is State.CRASHED
    assert crashed.state is State.CRASHED
    assert "SIGABRT" in crashed.log.read_text()
    assert crashed.log_tail

    raised = await sandbox.up()
    assert raised.started == (Part.SCHEDULER,)
    assert sandbox.status().state is State.RUNNING


async def test_the_api_server_is_killed_and_all_goes_on_when_it_is_back(sandbox: Sandbox) -> None:
    await sandbox.stop_part("kube-apiserver")
    assert sandbox.status().state is State.CRASHED
    await sandbox.start_part("kube-apiserver")
    async with sandbox.api() as api:
        await make_pod(api, pod("later"))
        assert await until_pod(api, "later", ready)


async def test_kwok_started_again_takes_its_nodes_at_once(sandbox: Sandbox) -> None:
    await sandbox.stop_part("kwok")
    await sandbox.start_part("kwok")
    async with sandbox.api() as api:
        await make_pod(api, pod("soon"))
        assert await until_pod(api, "soon", ready)


async def test_a_port_taken_meanwhile_is_replaced_by_another(sandbox: Sandbox) -> None:
    await sandbox.down()
    before = sandbox.status().server
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", int(before.rpartition(":")[2])))
        other.listen()
        await sandbox.up()
    assert sandbox.status().server != before
    assert sandbox.status().server in sandbox.kubeconfig.read_text()
    async with sandbox.api() as api:
        await make_pod(api, pod("moved"))
        assert await until_pod(api, "moved", ready)


async def test_reset_empties_the_cluster_and_keeps_the_kubeconfig(sandbox: Sandbox) -> None:
    before = sandbox.kubeconfig.read_bytes()
    async with sandbox.api() as api:
        await api.request("POST", NAMESPACES, body={"metadata": {"name": "gone"}})
    await sandbox.reset()
    async with sandbox.api() as api:
        names = {item["metadata"]["name"] for item in (await api.request("GET", NAMESPACES))["items"]}
    assert "gone" not in names
    assert sandbox.kubeconfig.read_bytes() == before


async def test_commands_on_a_sandbox_that_is_not_there(sandbox_homes: Path) -> None:
    nobody = Sandbox("nobody")
    assert str(nobody.layout.home).startswith(str(sandbox_homes))
    assert not (await nobody.down()).stopped
    assert not (await nobody.delete()).existed
    (status,) = statuses("nobody").sandboxes
    assert status.state is State.ABSENT
    with pytest.raises(ConfigError, match="nobody") as refused:
        await nobody.heal()
    assert "sandbox up --name nobody" in refused.value.hint
