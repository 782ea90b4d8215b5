"""This machine's logins: Docker's configuration, credential helpers, the environment's login, and how each fails."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import time
import traceback
from pathlib import Path
from typing import Any

import pytest

from nksmesh.adapters.registry import credential_helper as module
from nksmesh.adapters.registry.credentials import Credentials
from nksmesh.domain.common.errors import ConfigError
from nksmesh.domain.images.login import Login
from nksmesh.domain.images.reference import parse_reference

SECRET = "pa55-of-kim"  # noqa: S105 - what must not show
HUB_HOST = "a1b2-kr1-registry.container.nhncloud.com"


class Machine:
    """A folder with Docker's configuration and credential helpers."""

    def __init__(self, folder: Path) -> None:
        self.config = folder / "docker" / "config.json"
        self.config.parent.mkdir()
        self.programs = folder / "bin"
        self.programs.mkdir()
        self.environ = {"PATH": f"{self.programs}:/usr/bin:/bin", "DOCKER_CONFIG": str(self.config.parent)}

    def write(self, **config: Any) -> None:
        self.config.write_text(json.dumps(config))

    def helper(self, name: str, script: str, *, mode: int = 0o700) -> Path:
        path = self.programs / f"docker-credential-{name}"
        path.write_text(script if script.startswith("#!") else f"#!/bin/sh\n{script}\n")
        path.chmod(mode)
        return path

    async def login(self, host: str = "reg.example", **how: Any) -> Login | None:
        return await Credentials(self.environ, **how).login(parse_reference(f"{host}/istio/pilot:1"))

    async def failed(self, **how: Any) -> ConfigError:
        with pytest.raises(ConfigError) as caught:
            await self.login(**how)
        error = caught.value
        shown = "".join(traceback.format_exception(error)) + error.hint + error.detail
        assert SECRET not in shown
        assert error.hint
        return error


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def answering(user: str, secret: str = SECRET) -> str:
    return f"cat > \"$0.asked\"; echo '{json.dumps({'Username': user, 'Secret': secret})}'"


def entry(user: str) -> dict[str, str]:
    return {"auth": base64.b64encode(f"{user}:{SECRET}".encode()).decode()}


# The file


async def test_the_folder_of_docker_config_is_read(machine: Machine) -> None:
    machine.write(auths={"reg.example": entry("kim")})
    login = await machine.login()
    assert login == Login(source=str(machine.config), username="kim", password=SECRET)


async def test_a_file_that_is_named_is_read_before_docker_config(machine: Machine, tmp_path: Path) -> None:
    machine.write(auths={"reg.example": entry("kim")})
    named = tmp_path / "other.json"
    named.write_text(json.dumps({"auths": {"reg.example": entry("lee")}}))
    login = await machine.login(config=named)
    assert login is not None
    assert (login.username, login.source) == ("lee", str(named))


async def test_the_home_folders_file_is_read_without_docker_config(
    machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    del machine.environ["DOCKER_CONFIG"]
    (tmp_path / ".docker").mkdir()
    (tmp_path / ".docker" / "config.json").write_text(json.dumps({"auths": {"reg.example": entry("kim")}}))
    login = await machine.login()
    assert login is not None
    assert login.username == "kim"


async def test_a_user_without_a_home_folder_has_no_login(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pod may run as a user that /etc/passwd does not know."""

    def no_home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", no_home)
    monkeypatch.delenv("HOME", raising=False)
    del machine.environ["DOCKER_CONFIG"]
    monkeypatch.setattr(os.path, "expanduser", lambda text: text)
    assert await machine.login() is None


async def test_a_machine_without_a_configuration_has_no_login(machine: Machine) -> None:
    assert await machine.login() is None


async def test_a_file_that_is_named_has_to_be_there(machine: Machine, tmp_path: Path) -> None:
    error = await machine.failed(config=tmp_path / "none.json")
    assert error.message == f"{tmp_path / 'none.json'} does not exist"


async def test_a_file_that_cannot_be_read_is_an_error(machine: Machine) -> None:
    machine.config.mkdir()  # root may read whatever modes say
    assert str(machine.config) in (await machine.failed()).message


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads whatever modes say")
async def test_a_file_that_may_not_be_read_is_an_error(machine: Machine) -> None:
    machine.write()
    machine.config.chmod(0)
    assert "cannot be read: Permission denied" in (await machine.failed()).message


async def test_docker_config_that_is_a_file_is_an_error(machine: Machine, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("{}")
    machine.environ["DOCKER_CONFIG"] = str(tmp_path / "file")
    assert "cannot be read: Not a directory" in (await machine.failed()).message


@pytest.mark.parametrize(
    "content",
    [
        b"",
        SECRET.encode(),
        f'{{"auths": {{"reg.example": {{"auth": "{SECRET}'.encode(),
        f'["{SECRET}"]'.encode(),
        b"\xff\xfe" + SECRET.encode(),
        b"[" * 100_000,
        json.dumps({"auths": SECRET}).encode(),
        json.dumps({"auths": {"reg.example": {"auth": SECRET}}}).encode(),
        json.dumps({"credHelpers": SECRET}).encode(),
        json.dumps({"credHelpers": [SECRET]}).encode(),
    ],
    ids=range(10),
)
async def test_a_broken_file_is_an_error_that_repeats_nothing_of_it(machine: Machine, content: bytes) -> None:
    machine.config.write_bytes(content)
    assert str(machine.config) in (await machine.failed()).message


# Helpers


async def test_a_helper_of_the_host_is_asked_before_the_general_one(machine: Machine) -> None:
    machine.write(credHelpers={"reg.example": "own"}, credsStore="general", auths={"reg.example": entry("file")})
    machine.helper("own", answering("own"))
    machine.helper("general", answering("general"))
    for host, user in (("reg.example", "own"), ("other.example", "general")):
        login = await machine.login(host)
        assert login is not None
        assert (login.username, login.password) == (user, SECRET)
        assert f"docker-credential-{user}" in login.source
        assert (machine.programs / f"docker-credential-{user}.asked").read_text() == host


async def test_docker_hub_is_asked_for_under_its_old_address(machine: Machine) -> None:
    machine.write(credsStore="general")
    machine.helper("general", answering("kim"))
    assert await machine.login("docker.io") is not None
    assert (machine.programs / "docker-credential-general.asked").read_text() == "https://index.docker.io/v1/"


@pytest.mark.parametrize("key", ["https://index.docker.io/v1/", "index.docker.io", "docker.io"])
async def test_docker_hubs_own_helper_is_found_under_its_names(machine: Machine, key: str) -> None:
    machine.write(credHelpers={key: "own"})
    machine.helper("own", answering("kim"))
    assert await machine.login("docker.io") is not None


async def test_a_helper_that_has_an_identity_token_says_so_by_its_user(machine: Machine) -> None:
    machine.write(credsStore="general")
    machine.helper("general", answering("<token>"))
    login = await machine.login()
    assert login is not None
    assert (login.username, login.password, login.token) == ("", "", SECRET)


async def test_a_helper_is_asked_once_for_a_host(machine: Machine) -> None:
    machine.write(credsStore="general")
    machine.helper("general", 'cat >/dev/null; echo asked >> "$0.log"; echo \'{"Username": "kim", "Secret": "x"}\'')
    credentials = Credentials(machine.environ)
    images = [parse_reference(f"reg.example/istio/{name}:1") for name in ("pilot", "proxyv2", "ztunnel")]
    logins = await asyncio.gather(*map(credentials.login, images))
    assert len(set(logins)) == 1
    assert (machine.programs / "docker-credential-general.log").read_text() == "asked\n"


@pytest.mark.parametrize("script", ["echo credentials not found in native keychain; exit 1", "exec false", "exit 1"])
async def test_a_helper_that_has_no_login_leaves_the_file_to_be_read(machine: Machine, script: str) -> None:
    machine.helper("general", script)
    machine.write(credsStore="general")
    assert await machine.login() is None
    machine.write(credsStore="general", auths={"reg.example": entry("file")})
    login = await machine.login()
    assert login is not None
    assert login.username == "file"


@pytest.mark.parametrize("script", ["exec sleep 30", "sleep 30", "trap '' TERM; sleep 30"], ids=range(3))
async def test_a_helper_that_hangs_is_ended(machine: Machine, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    monkeypatch.setattr(module, "_SECONDS", 0.3)
    machine.write(credsStore="slow")
    machine.helper("slow", f'echo $$ > "$0.pid"; {script}')
    begun = time.monotonic()
    assert "docker-credential-slow did not answer within" in (await machine.failed()).message
    assert time.monotonic() - begun < 5
    pid = int((machine.programs / "docker-credential-slow.pid").read_text())
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


@pytest.mark.parametrize("name", ["../evil", "a b", "a;b", "", "UP", "-", {"a": 1}, [SECRET], 1, "a\n"], ids=range(10))
async def test_only_a_name_is_a_helper(machine: Machine, name: Any) -> None:
    machine.write(credHelpers={"reg.example": name})
    marker = machine.helper("evil", 'echo ran > "$0.ran"')
    if name == "":
        assert await machine.login() is None  # as Docker has it: no helper for this host
        return
    error = await machine.failed()
    assert str(machine.config) in error.message
    assert not marker.with_name(f"{marker.name}.ran").exists()


@pytest.mark.parametrize("there", [False, True], ids=["not there", "not executable"])
async def test_a_helper_that_is_not_on_path_is_named(machine: Machine, there: bool) -> None:
    machine.write(credsStore="vault")
    if there:
        machine.helper("vault", "exit 0", mode=0o600)
    error = await machine.failed()
    assert "docker-credential-vault, which is not on PATH" in error.message
    assert str(machine.config) in error.message


@pytest.mark.parametrize("script", ["#!/no/such/interpreter\n", "#!/bin/sh\0\n"], ids=range(2))
async def test_a_helper_that_cannot_be_started_is_an_error(machine: Machine, script: str) -> None:
    machine.write(credsStore="vault")
    machine.helper("vault", script)
    assert "docker-credential-vault" in (await machine.failed()).message


@pytest.mark.parametrize(
    "said",
    ["", SECRET, f'["{SECRET}"]', f'"{SECRET}"', f'{{"Secret": "{SECRET}"}}', '{"Username": "kim"}', "null"],
    ids=range(7),
)
async def test_a_helper_that_answers_no_login_is_an_error_that_repeats_nothing(machine: Machine, said: str) -> None:
    machine.write(credsStore="vault")
    machine.helper("vault", f"cat >/dev/null; printf '%s' '{said}'")
    assert "docker-credential-vault answers no login" in (await machine.failed()).message


# The environment


ENVIRONMENT = {"NKSMESH_REGISTRY_USERNAME": "env", "NKSMESH_REGISTRY_PASSWORD": SECRET}


@pytest.mark.parametrize(
    ("named", "hub", "host", "used"),
    [
        ("", HUB_HOST, HUB_HOST, True),
        ("", HUB_HOST, "reg.example", False),
        ("", HUB_HOST, "docker.io", False),
        ("", HUB_HOST, f"{HUB_HOST}:5000", False),
        ("", HUB_HOST, f"{HUB_HOST}.example", False),
        ("", "", "reg.example", False),
        ("", "", "docker.io", False),
        ("reg.example", HUB_HOST, "reg.example", True),
        ("reg.example", HUB_HOST, HUB_HOST, False),
        ("reg.example", "", "reg.example", True),
        ("reg.example", "", "other.example", False),
    ],
)
async def test_the_environments_login_is_for_one_registry(
    machine: Machine, named: str, hub: str, host: str, used: bool
) -> None:
    machine.write(auths={key: entry("file") for key in (HUB_HOST, "reg.example")})
    machine.environ |= ENVIRONMENT | {"NKSMESH_REGISTRY_HOST": named}
    login = await machine.login(host, hub_host=hub)
    assert (login is not None and login.username == "env") is used
    if used:
        assert login is not None
        assert login.password == SECRET
        assert login.source == "NKSMESH_REGISTRY_USERNAME"


async def test_the_environments_login_needs_no_configuration(machine: Machine) -> None:
    machine.config.write_text("broken")
    machine.environ |= ENVIRONMENT
    assert await machine.login(HUB_HOST, hub_host=HUB_HOST) is not None


async def test_a_password_without_a_user_is_no_login(machine: Machine) -> None:
    machine.environ["NKSMESH_REGISTRY_PASSWORD"] = SECRET
    assert await machine.login(HUB_HOST, hub_host=HUB_HOST) is None
