"""A sandbox's registry: its login, and what its nodes make of an image that is not there or may not be pulled."""

from __future__ import annotations

import base64
import json
import stat
from dataclasses import replace

import pytest

from nksmesh.adapters.cluster.api import Api
from nksmesh.domain.images.login import Login, config_of, logins_of
from nksmesh.sandbox.control_plane import Part
from nksmesh.sandbox.failures import merge
from nksmesh.sandbox.results import State
from nksmesh.sandbox.sandbox import Sandbox
from tests.adapters.registry.servers import Pusher, Server
from tests.sandbox.objects import Object, condition, make_pod, pod, ready, until_event, until_pod, waiting

pytestmark = [pytest.mark.cluster, pytest.mark.kubernetes("1.34")]

SECRETS = "/api/v1/namespaces/default/secrets"
NODES = ("linux/amd64", "linux/arm64")


def host_of(sandbox: Sandbox) -> str:
    host = sandbox.status().registry
    assert host.startswith("127.0.0.1:")
    return host


def login_of(sandbox: Sandbox) -> Login:
    text = (sandbox.layout.docker_config / "config.json").read_text()
    return logins_of(json.loads(text), "the sandbox")[host_of(sandbox)]


def push(sandbox: Sandbox, repository: str, *, tag: str = "1", platforms: tuple[str, ...] = NODES) -> str:
    server = Server(host=host_of(sandbox), log=sandbox.layout.log(Part.REGISTRY))
    Pusher(server, {"Authorization": login_of(sandbox).basic}).push(repository, tag, platforms=platforms)
    return f"{server.host}/{repository}:{tag}"


def secret(name: str, host: str, login: Login) -> Object:
    config = json.dumps(config_of(host, login))
    return {
        "metadata": {"name": name},
        "type": "kubernetes.io/dockerconfigjson",
        "data": {".dockerconfigjson": base64.b64encode(config.encode()).decode()},
    }


async def make_secret(api: Api, sandbox: Sandbox, login: Login | None = None) -> None:
    body = secret("registry", host_of(sandbox), login or login_of(sandbox))
    await api.request("POST", SECRETS, body=body)


def pulled(name: str, image: str) -> Object:
    body = pod(name, image=image)
    body["spec"]["imagePullSecrets"] = [{"name": "registry"}]
    return body


def refused(item: Object) -> bool:
    return waiting(item).get("reason") == "ErrImagePull"


async def test_an_image_is_missing_until_it_is_pushed(sandbox: Sandbox) -> None:
    image = f"{host_of(sandbox)}/late/app:1"
    async with sandbox.api() as api:
        await make_secret(api, sandbox)
        await make_pod(api, pulled("late", image))
        late = await until_pod(api, "late", refused)
        assert waiting(late)["message"] == (
            f'rpc error: code = NotFound desc = failed to pull and unpack image "{image}": failed to resolve '
            f'reference "{image}": {image}: not found'
        )
        assert late["status"]["phase"] == "Pending"
        await until_event(api, "late", f'Failed to pull image "{image}": rpc error: code = NotFound')
        late = await until_pod(api, "late", lambda p: waiting(p).get("reason") == "ImagePullBackOff")
        assert waiting(late)["message"] == f'Back-off pulling image "{image}"'
        assert push(sandbox, "late/app") == image
        assert await until_pod(api, "late", ready)


async def test_the_pull_secret_is_absent_then_wrong_then_right(sandbox: Sandbox) -> None:
    image = push(sandbox, "guarded/app")
    async with sandbox.api() as api:
        await make_pod(api, pulled("early", image))
        early = await until_pod(api, "early", refused)
        assert waiting(early)["message"].endswith("authorization failed: no basic auth credentials")

        wrong = replace(login_of(sandbox), password=login_of(sandbox).password[:-1])
        await make_secret(api, sandbox, wrong)
        await make_pod(api, pulled("mistaken", image))
        mistaken = await until_pod(api, "mistaken", refused)
        url = f"http://{host_of(sandbox)}/v2/guarded/app/manifests/1"
        assert waiting(mistaken)["message"].endswith(f"unexpected status from HEAD request to {url}: 401 Unauthorized")

        body = secret("registry", host_of(sandbox), login_of(sandbox))
        await merge(api, f"{SECRETS}/registry", {"data": body["data"]})
        assert await until_pod(api, "early", ready)
        assert await until_pod(api, "mistaken", ready)


async def test_a_pod_comes_no_further_than_its_init_container(sandbox: Sandbox) -> None:
    fine, missing = push(sandbox, "there/app"), f"{host_of(sandbox)}/there/init:1"
    body = pulled("with-init", fine)
    body["spec"]["initContainers"] = [{"name": "first", "image": missing}]
    async with sandbox.api() as api:
        await make_secret(api, sandbox)
        await make_pod(api, body)
        found = await until_pod(api, "with-init", waiting)
        (first,) = found["status"]["initContainerStatuses"]
        assert first["state"]["waiting"]["reason"] == "ErrImagePull"
        assert f"{missing}: not found" in first["state"]["waiting"]["message"]
        assert waiting(found)["reason"] == "PodInitializing"
        assert condition(found, "Initialized") == "False"


async def test_of_two_containers_the_one_without_an_image_waits(sandbox: Sandbox) -> None:
    body = pulled("two", push(sandbox, "there/first"))
    body["spec"]["containers"].append({"name": "second", "image": f"{host_of(sandbox)}/there/second:1"})
    body["spec"]["containers"].append({"name": "third", "image": "example/elsewhere:1"})
    async with sandbox.api() as api:
        await make_secret(api, sandbox)
        await make_pod(api, body)
        found = await until_pod(api, "two", lambda item: (item.get("status") or {}).get("containerStatuses"))
        states = {status["name"]: next(iter(status["state"])) for status in found["status"]["containerStatuses"]}
    assert states == {"app": "running", "second": "waiting", "third": "running"}


async def test_an_image_for_another_processor_alone_is_not_pulled(sandbox: Sandbox) -> None:
    image = push(sandbox, "foreign/app", platforms=("linux/arm64",))
    async with sandbox.api() as api:
        await make_secret(api, sandbox)
        await make_pod(api, pulled("foreign", image))
        foreign = await until_pod(api, "foreign", refused)
    assert waiting(foreign)["message"].endswith("no match for platform in manifest: not found")


async def test_a_registry_that_is_down_gives_nothing_and_comes_back_with_what_it_had(sandbox: Sandbox) -> None:
    image, before = push(sandbox, "kept/app"), host_of(sandbox)
    async with sandbox.api() as api:
        await make_secret(api, sandbox)
        await sandbox.stop_part(Part.REGISTRY)
        assert sandbox.status().state is State.CRASHED
        await make_pod(api, pulled("patient", image))
        patient = await until_pod(api, "patient", refused)
        assert waiting(patient)["message"].endswith(f"dial tcp {before}: connect: connection refused")
        assert (await sandbox.up()).started == (Part.REGISTRY,)
        assert host_of(sandbox) == before
        assert await until_pod(api, "patient", ready)


async def test_pods_without_an_image_of_the_registry_do_not_wait_for_it(sandbox: Sandbox) -> None:
    async with sandbox.api() as api:
        await make_pod(api, pod("plain"))
        assert await until_pod(api, "plain", ready)


async def test_the_password_is_in_one_file_for_its_owner_alone(shared_sandbox: Sandbox) -> None:
    login, home = login_of(shared_sandbox), shared_sandbox.layout.home
    config = shared_sandbox.layout.docker_config / "config.json"
    assert len(login.password) > 20
    files = [path for path in home.rglob("*") if path.is_file() and "etcd" not in path.relative_to(home).parts[0]]
    told = [login.password.encode(), login.basic.removeprefix("Basic ").encode()]
    assert [path for path in files if any(word in path.read_bytes() for word in told)] == [config]
    assert not config.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO)
    assert login.password not in str(shared_sandbox.status())


async def test_a_sandbox_that_runs_gets_a_registry_with_a_login_of_its_own(shared_sandbox: Sandbox) -> None:
    other = Sandbox("gets-a-registry")
    try:
        await other.up()
        assert other.status().registry == ""
        raised = await other.up(with_registry=True)
        assert raised.started == (Part.REGISTRY, Part.AGENT, Part.KWOK)
        assert raised.registry != host_of(shared_sandbox)
        assert login_of(other).password != login_of(shared_sandbox).password
        async with other.api() as api:
            await make_secret(api, other)
            await make_pod(api, pulled("app", push(other, "app")))
            assert await until_pod(api, "app", ready)
    finally:
        await other.delete()
