from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Callable
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from nksmesh.adapters import processes
from nksmesh.adapters.cluster import lease as lease_module
from nksmesh.adapters.cluster.api import Api
from nksmesh.adapters.cluster.lease import Lease
from nksmesh.adapters.cluster.objects import Objects
from nksmesh.domain.common.errors import ClusterError, HeldError, InterruptedRunError, RefusedError, UnreachableError
from nksmesh.domain.kube.objects import ObjectRef
from nksmesh.domain.mesh.holding import LEASE_SECONDS, Holder
from nksmesh.sandbox.control_plane import Part
from nksmesh.sandbox.sandbox import Sandbox

pytestmark = pytest.mark.cluster

REF = ObjectRef("coordination.k8s.io/v1", "Lease", "nksmesh", "kube-system")
ELSEWHERE = Holder(host="another-machine", process=7, started=1, user="kim", command="install")


@pytest.fixture(autouse=True)
async def _free(objects: Objects, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    """Renew quickly, and begin and end with nobody holding the mesh."""
    monkeypatch.setattr(lease_module, "RENEW_SECONDS", 0.1)
    await objects.delete(REF)
    yield
    await objects.delete(REF)


async def leave(objects: Objects, holder: Holder | None, *, seconds_ago: float = 0, identity: str = "") -> None:
    """Let a lease be there, as a run left it."""
    renewed = datetime.now(UTC) - timedelta(seconds=seconds_ago)
    annotations = {"nksmesh/holder": json.dumps(asdict(holder))} if holder else {}
    manifest = {
        "apiVersion": REF.api_version,
        "kind": REF.kind,
        "metadata": {"name": REF.name, "namespace": REF.namespace, "annotations": annotations},
        "spec": {
            "holderIdentity": identity or (holder.identity if holder else "somebody"),
            "leaseDurationSeconds": LEASE_SECONDS,
            "renewTime": renewed.isoformat(timespec="microseconds").replace("+00:00", "Z"),
        },
    }
    await objects.apply(manifest, REF)


async def held_lease(objects: Objects) -> dict[str, Any]:
    found = await objects.get(REF)
    assert found is not None
    return found


async def until(holds: Callable[[dict[str, Any]], object], objects: Objects) -> dict[str, Any]:
    async with asyncio.timeout(15):
        while not holds(found := await held_lease(objects)):  # noqa: ASYNC110 - the cluster is asked, nothing here could set an event
            await asyncio.sleep(0.02)
    return found


async def test_a_run_takes_the_mesh_renews_it_and_gives_it_back(objects: Objects) -> None:
    async with Lease(objects).held("install") as dead:
        assert dead is None
        taken = await held_lease(objects)
        mine = processes.this_run("install")
        assert taken["spec"]["holderIdentity"] == mine.identity
        await until(lambda one: one["spec"]["renewTime"] > taken["spec"]["renewTime"], objects)
    assert await objects.get(REF) is None


async def test_it_is_given_back_when_the_run_fails(objects: Objects) -> None:
    with pytest.raises(ZeroDivisionError):
        async with Lease(objects).held("install"):
            raise ZeroDivisionError
    assert await objects.get(REF) is None


async def test_a_second_run_is_refused_with_the_holders_name(objects: Objects) -> None:
    async with Lease(objects).held("install"):
        with pytest.raises(HeldError, match=rf"process {os.getpid()}, install\)"):
            async with (second := Lease(objects)).held("uninstall"):
                raise AssertionError("two runs hold the mesh")
        assert second.holder is None
        assert await objects.get(REF)  # and the first one's lease is left alone


async def test_a_run_on_another_machine_holds_as_long_as_it_renews(objects: Objects) -> None:
    await leave(objects, ELSEWHERE)
    with pytest.raises(HeldError, match="kim on another-machine"):
        async with Lease(objects).held("install"):
            pass
    await leave(objects, ELSEWHERE, seconds_ago=LEASE_SECONDS + 1)
    async with Lease(objects).held("install") as dead:
        assert dead == ELSEWHERE


async def test_a_holder_that_is_dead_on_this_machine_is_taken_over_at_once(objects: Objects) -> None:
    ended = subprocess.Popen(["true"])  # noqa: ASYNC220 - started before anything runs beside it
    ended.wait()
    gone = replace(processes.this_run("install"), process=ended.pid, started=1, user="kim", helm=(1,))
    await leave(objects, gone)
    async with Lease(objects).held("install") as dead:
        assert dead == gone


async def test_a_process_id_given_out_again_is_not_the_holder(objects: Objects) -> None:
    other = replace(processes.this_run("install"), started=1)
    await leave(objects, other)
    async with Lease(objects).held("install") as dead:
        assert dead == other


@pytest.mark.parametrize("elsewhere", [{"boot": "another"}, {"namespace": "another"}, {"boot": "", "namespace": ""}])
async def test_a_process_of_a_machine_or_container_of_our_name_is_not_looked_for_here(
    objects: Objects, elsewhere: dict[str, Any]
) -> None:
    await leave(objects, replace(processes.this_run("install"), started=1, **elsewhere))
    with pytest.raises(HeldError):
        async with Lease(objects).held("install"):
            raise AssertionError("a run that may be alive lost the mesh")


@pytest.mark.parametrize("seconds_ago", [LEASE_SECONDS + 60, -LEASE_SECONDS - 60])
async def test_a_holder_whose_clock_is_another_holds_as_long_as_it_renews(objects: Objects, seconds_ago: float) -> None:
    """Its renewals seem long past, or not yet to have come: that it makes them is what counts."""

    async def renew() -> None:
        for _ in range(100):
            await leave(objects, ELSEWHERE, seconds_ago=seconds_ago)
            await asyncio.sleep(0.03)

    await leave(objects, ELSEWHERE, seconds_ago=seconds_ago)
    renewing = asyncio.create_task(renew())
    try:
        with pytest.raises(HeldError, match="kim on another-machine"):
            async with Lease(objects).held("install"):
                raise AssertionError("a run that is alive lost the mesh")
    finally:
        renewing.cancel()
        await asyncio.gather(renewing, return_exceptions=True)


async def test_what_a_later_version_says_of_its_holder_is_passed_over(objects: Objects) -> None:
    await leave(objects, ELSEWHERE)
    holder = json.dumps({**asdict(ELSEWHERE), "cluster_role": "new"})
    await objects.merge({"metadata": {"annotations": {"nksmesh/holder": holder}}}, REF)
    with pytest.raises(HeldError, match="kim on another-machine"):
        async with Lease(objects).held("install"):
            raise AssertionError("two runs hold the mesh")


async def test_a_refusal_is_not_taken_for_another_run(objects: Objects, monkeypatch: pytest.MonkeyPatch) -> None:
    async def forbidden(*_: object, **__: object) -> dict[str, Any]:
        raise RefusedError("context x may not update leases", hint="ask", status=403, reason="Forbidden")

    await leave(objects, replace(processes.this_run("install"), started=1))
    monkeypatch.setattr(objects, "replace", forbidden)
    with pytest.raises(ClusterError, match="may not update leases"):
        async with Lease(objects).held("install"):
            pass


@pytest.mark.parametrize(
    ("failure", "hint"),
    [
        (
            UnreachableError("cannot reach the API server", hint="look"),
            "When the API server answers, run the same command again",
        ),
        (
            RefusedError("cannot reach the API server", hint="Ask for it.", status=403, reason="Forbidden"),
            "Ask for it.",
        ),
    ],
)
async def test_a_run_that_cannot_renew_for_too_long_ends(
    objects: Objects, monkeypatch: pytest.MonkeyPatch, failure: ClusterError, hint: str
) -> None:
    async def away(*_: object, **__: object) -> dict[str, Any]:
        raise failure

    monkeypatch.setattr(lease_module, "WITHOUT_RENEWAL_SECONDS", 0.3)

    async def run() -> None:
        async with Lease(objects).held("install"):
            monkeypatch.setattr(objects, "replace", away)
            try:
                await asyncio.sleep(15)
            except asyncio.CancelledError:
                raise InterruptedRunError("stopped", hint="", detail="done: istio-base") from None

    with pytest.raises(ClusterError, match="could not renew its lease") as caught:
        await run()
    assert caught.value.detail == "cannot reach the API server\ndone: istio-base"
    assert caught.value.hint.startswith(hint)
    assert caught.value.passing is failure.passing


async def test_a_lease_that_cannot_be_read_is_somebodys_until_it_lapses(objects: Objects) -> None:
    """A later nksmesh may write its holder otherwise: it holds the mesh all the same."""
    await leave(objects, None, identity="kim@desk/7/1")
    with pytest.raises(HeldError, match="kim@desk/7/1"):
        async with Lease(objects).held("install"):
            raise AssertionError("two runs hold the mesh")
    await leave(objects, None, seconds_ago=LEASE_SECONDS + 1)
    async with Lease(objects).held("install") as dead:
        assert dead is None


async def test_a_run_whose_lease_was_taken_over_ends_with_the_others_name(objects: Objects) -> None:
    async def run() -> None:
        async with Lease(objects).held("install"):
            await leave(objects, ELSEWHERE)
            await asyncio.sleep(15)

    with pytest.raises(HeldError, match="lost its lease of the mesh to another run: kim on another-machine"):
        await run()
    assert (await held_lease(objects))["spec"]["holderIdentity"] == ELSEWHERE.identity  # the other's stays


async def test_what_the_lost_run_had_done_is_not_forgotten(objects: Objects) -> None:
    async def run() -> None:
        async with Lease(objects).held("install"):
            await leave(objects, ELSEWHERE)
            try:
                await asyncio.sleep(15)
            except asyncio.CancelledError:
                raise InterruptedRunError("stopped", hint="", detail="done: istio-base") from None

    with pytest.raises(HeldError) as caught:
        await run()
    assert caught.value.detail == "done: istio-base"


async def test_ctrl_c_is_not_taken_for_a_lost_lease(objects: Objects) -> None:
    async def run() -> None:
        async with Lease(objects).held("install"):
            await asyncio.sleep(15)

    task = asyncio.create_task(run())
    await asyncio.sleep(0.3)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await objects.get(REF) is None


async def test_a_lease_that_somebody_touched_is_still_ours(objects: Objects) -> None:
    async with Lease(objects).held("install"):
        touched = await objects.merge({"metadata": {"labels": {"touched": "yes"}}}, REF)
        await until(lambda one: one["spec"]["renewTime"] > touched["spec"]["renewTime"], objects)


async def test_a_lease_that_somebody_deleted_is_taken_again(objects: Objects) -> None:
    async with Lease(objects).held("install"):
        await objects.delete(REF)
        async with asyncio.timeout(15):
            while await objects.get(REF) is None:  # noqa: ASYNC110 - the cluster is asked, nothing here could set an event
                await asyncio.sleep(0.02)
        with pytest.raises(HeldError):
            async with Lease(objects).held("uninstall"):
                pass


async def test_a_helm_at_work_is_noted_for_whoever_finds_us_dead(objects: Objects, tmp_path: Path) -> None:
    sleep = shutil.which("sleep")
    assert sleep
    named_helm = tmp_path / "helm"
    shutil.copy(sleep, named_helm)
    helm = subprocess.Popen([named_helm, "30"])  # noqa: ASYNC220 - started before anything runs beside it
    try:
        lease = Lease(objects)
        lease.note_helm(helm.pid)  # nobody holds the mesh: nothing to note
        async with lease.held("install"):
            lease.note_helm(helm.pid)
            noted = await until(
                lambda one: json.loads(one["metadata"]["annotations"]["nksmesh/holder"])["helm"], objects
            )
            holder = json.loads(noted["metadata"]["annotations"]["nksmesh/holder"])
            assert holder["helm"] == [helm.pid]
            helm.kill()
            helm.wait()
            lease.note_helm(None)
            await until(lambda one: not json.loads(one["metadata"]["annotations"]["nksmesh/holder"])["helm"], objects)
    finally:
        helm.kill()
        helm.wait()


async def test_an_api_server_that_is_away_for_a_while_does_not_end_a_run(sandbox: Sandbox) -> None:
    async with await Api.connect(kubeconfig=sandbox.kubeconfig) as api:
        objects = Objects(api)
        async with Lease(objects).held("install"):
            before = await held_lease(objects)
            await sandbox.stop_part(Part.API_SERVER)
            await asyncio.sleep(0.5)
            await sandbox.start_part(Part.API_SERVER)
            await until(lambda one: one["spec"]["renewTime"] > before["spec"]["renewTime"], objects)
        assert await objects.get(REF) is None


async def test_a_cluster_that_forbids_leases_says_so(objects: Objects, monkeypatch: pytest.MonkeyPatch) -> None:
    async def forbidden(*_: object, **__: object) -> dict[str, Any]:
        raise RefusedError("context x may not create leases", hint="ask", status=403, reason="Forbidden")

    monkeypatch.setattr(objects, "create", forbidden)
    with pytest.raises(ClusterError, match="may not create leases"):
        async with Lease(objects).held("install"):
            pass
