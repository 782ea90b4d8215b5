from __future__ import annotations

import pytest

from nksmesh.sandbox.failures import Failure
from nksmesh.sandbox.sandbox import Sandbox
from tests.sandbox.objects import condition, make_pod, pod, ready, until, until_event, until_pod, waiting

pytestmark = pytest.mark.cluster


async def test_an_image_that_never_pulls_until_it_is_healed(sandbox: Sandbox) -> None:
    await sandbox.fail(Failure.IMAGE, selector="app=broken")
    async with sandbox.api() as api:
        await make_pod(api, pod("broken", image="registry.example/app:1"))
        await make_pod(api, pod("fine"))
        broken = await until_pod(api, "broken", lambda p: waiting(p).get("reason") == "ErrImagePull")
        assert "registry.example/app:1: not found" in waiting(broken)["message"]
        assert broken["status"]["phase"] == "Pending"
        await until_event(api, "broken", 'Failed to pull image "registry.example/app:1"')
        broken = await until_pod(api, "broken", lambda p: waiting(p).get("reason") == "ImagePullBackOff")
        assert waiting(broken)["message"] == 'Back-off pulling image "registry.example/app:1"'
        await until_event(api, "broken", "Error: ImagePullBackOff")
        assert await until_pod(api, "fine", ready)

        assert (await sandbox.heal()).ended == 1
        assert await until_pod(api, "broken", ready)


@pytest.mark.parametrize(
    ("reason", "waits", "words"),
    [
        ("unauthorized", "ErrImagePull", "401 Unauthorized"),
        ("unknown", "ErrImagePull", "i/o timeout"),
        ("invalid-name", "InvalidImageName", "invalid reference format"),
    ],
)
async def test_other_reasons_of_an_image_failure(shared_sandbox: Sandbox, reason: str, waits: str, words: str) -> None:
    name = f"image-{reason}"
    await shared_sandbox.fail(Failure.IMAGE, selector=f"app={name}", reason=reason)
    async with shared_sandbox.api() as api:
        await make_pod(api, pod(name))
        broken = await until_pod(api, name, waiting)
    assert waiting(broken)["reason"] == waits
    assert words in waiting(broken)["message"]


async def test_an_image_failure_of_a_pod_with_an_init_container_stays_there(shared_sandbox: Sandbox) -> None:
    await shared_sandbox.fail(Failure.IMAGE, selector="app=with-init")
    body = pod("with-init")
    body["spec"]["initContainers"] = [{"name": "first", "image": "example/init:1"}]
    async with shared_sandbox.api() as api:
        await make_pod(api, body)
        broken = await until_pod(api, "with-init", waiting)
    assert waiting(broken)["reason"] == "PodInitializing"
    assert broken["status"]["initContainerStatuses"][0]["state"]["waiting"]["reason"] == "ErrImagePull"
    assert condition(broken, "Initialized") == "False"


async def test_a_running_pod_crashes_and_shows_its_log(sandbox: Sandbox) -> None:
    async with sandbox.api() as api:
        await make_pod(api, pod("crashing"))
        await until_pod(api, "crashing", ready)
        staged = await sandbox.fail(Failure.CRASH, selector="app=crashing")
        assert staged.marked == 1
        crashed = await until_pod(api, "crashing", lambda p: waiting(p).get("reason") == "CrashLoopBackOff")
        (status,) = crashed["status"]["containerStatuses"]
        assert status["lastState"]["terminated"]["exitCode"] == 255
        assert status["restartCount"] == 1
        assert condition(crashed, "Ready") == "False"
        await until_event(api, "crashing", "Back-off restarting failed container app in pod crashing")
        log = await api.text("/api/v1/namespaces/default/pods/crashing/log", {"previous": "true", "tailLines": "1"})
        assert log == "Error: exit status 255\n"
        await sandbox.heal()
        assert await until_pod(api, "crashing", ready)


async def test_a_pod_that_runs_and_is_not_ready(sandbox: Sandbox) -> None:
    await sandbox.fail(Failure.UNREADY, selector="app=unready")
    async with sandbox.api() as api:
        await make_pod(api, pod("unready"))
        unready = await until_pod(api, "unready", lambda p: condition(p, "Ready") == "False")
        assert unready["status"]["phase"] == "Running"
        await until_event(api, "unready", "Readiness probe failed")
        await sandbox.heal()
        assert await until_pod(api, "unready", ready)


async def test_a_pod_that_no_node_takes(sandbox: Sandbox) -> None:
    await sandbox.fail(Failure.UNSCHEDULABLE, selector="app=homeless")
    async with sandbox.api() as api:
        await make_pod(api, pod("homeless"))
        await make_pod(api, pod("settled"))
        homeless = await until_pod(api, "homeless", lambda p: condition(p, "PodScheduled") == "False")
        scheduled = next(c for c in homeless["status"]["conditions"] if c["type"] == "PodScheduled")
        assert scheduled["reason"] == "Unschedulable"
        assert "0/2 nodes are available" in scheduled["message"]
        assert await until_pod(api, "settled", ready)
        await sandbox.heal()
        assert await until_pod(api, "homeless", ready)


async def test_a_container_left_at_image_auto_never_runs(shared_sandbox: Sandbox) -> None:
    async with shared_sandbox.api() as api:
        await make_pod(api, pod("not-injected", image="auto"))
        stuck = await until_pod(api, "not-injected", lambda p: waiting(p).get("reason") == "ImagePullBackOff")
        assert stuck["status"]["phase"] == "Pending"
        await until_event(api, "not-injected", "docker.io/library/auto:latest")


@pytest.mark.parametrize("where", ["containers", "initContainers"])
async def test_an_image_name_that_is_none(shared_sandbox: Sandbox, where: str) -> None:
    name = f"broken-{where.lower()}"
    body = pod(name)
    body["spec"][where] = [{"name": "broken", "image": "registry.example/registry.example/proxyv2:1.20.0:1.20.0"}]
    async with shared_sandbox.api() as api:
        await make_pod(api, body)
        broken = await until_pod(api, name, waiting)
    statuses = broken["status"]["containerStatuses" if where == "containers" else "initContainerStatuses"]
    assert statuses[0]["state"]["waiting"]["reason"] == "InvalidImageName"


async def test_a_job_completes(shared_sandbox: Sandbox) -> None:
    job = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "once"},
        "spec": {"template": {"spec": {"restartPolicy": "Never", "containers": pod("once")["spec"]["containers"]}}},
    }
    async with shared_sandbox.api() as api:
        jobs = "/apis/batch/v1/namespaces/default/jobs"
        await api.request("POST", jobs, body=job)
        assert await until(api, jobs, "once", lambda item: condition(item, "Complete") == "True")
