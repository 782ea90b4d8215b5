"""``nksmesh registry login`` and ``logout``: real registries, what is stored where, and that no secret is told."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import pty
import stat
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from nksmesh.adapters.registry.credentials import Credentials
from nksmesh.domain.images.reference import parse_reference
from tests.adapters.registry.conftest import PULLER
from tests.adapters.registry.mirrors import ROOT, environment
from tests.adapters.registry.servers import Server, passwords, registry

USER, PASSWORD = next(iter(PULLER.items()))
WRONG = "wr0ng-password"
AUTH = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
HELPER = """#!/bin/sh
read text
case "$1" in
store) echo "$text" > "$0.kept" ;;
get) test -f "$0.kept" || { echo credentials not found; exit 1; }; cat "$0.kept" ;;
erase) rm "$0.kept" ;;
esac
"""


@pytest.fixture(scope="module")
def plain_registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A registry with passwords."""
    folder = tmp_path_factory.mktemp("plain")
    with registry(folder, auth=passwords(folder, PULLER)) as server:
        yield server


@dataclass
class Program:
    """The program and its config.json."""

    home: Path
    more: Mapping[str, str]

    @property
    def config(self) -> Path:
        return self.home / ".docker" / "config.json"

    def read(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.config.read_text())
        return found

    def __call__(
        self, *arguments: str, text: str = "", code: int = 0, secrets: tuple[str, ...] = (PASSWORD, AUTH, WRONG)
    ) -> str:
        """Run it; return all that it said."""
        env = environment(self.home, **self.more)
        command = [sys.executable, "-m", "nksmesh", "registry", *arguments]
        ended = subprocess.run(
            command, check=False, input=text, capture_output=True, text=True, env=env, cwd=ROOT, timeout=60
        )
        told = ended.stdout + ended.stderr
        assert ended.returncode == code, told
        assert not [secret for secret in secrets if secret in told]
        assert "Traceback" not in told
        return told


@pytest.fixture
def program(tmp_path: Path) -> Program:
    return Program(tmp_path / "home", {})


def login(server: Server, *more: str) -> tuple[str, ...]:
    return ("login", server.host, "--username", USER, "--password-stdin", *more)


@pytest.mark.parametrize("kind", ["plain_registry", "token_registry"])
def test_a_login_is_tried_and_stored_for_its_owner_alone(
    kind: str, program: Program, request: pytest.FixtureRequest
) -> None:
    server: Server = request.getfixturevalue(kind)
    told = program(*login(server), text=f"{PASSWORD}\n")
    assert f"{server.host} took the login of {USER}\nstored in {program.config}\n" in told
    assert program.read() == {"auths": {server.host: {"auth": AUTH}}}
    assert stat.S_IMODE(program.config.stat().st_mode) == 0o600
    assert stat.S_IMODE(program.config.parent.stat().st_mode) == 0o700
    assert [path.name for path in program.config.parent.iterdir()] == ["config.json"]

    assert program("logout", server.host).startswith(f"removed the login for {server.host} from {program.config}")
    assert program.read() == {"auths": {}}
    assert program("logout", server.host).startswith(f"no login for {server.host}")


@pytest.mark.parametrize("kind", ["plain_registry", "token_registry"])
def test_a_wrong_password_stores_nothing(kind: str, program: Program, request: pytest.FixtureRequest) -> None:
    server: Server = request.getfixturevalue(kind)
    told = program(*login(server, "-v"), text=WRONG, code=3)
    assert f"{server.host} refuses this user name and password; nothing was stored" in told
    assert "User Access Key ID" in told
    assert not program.config.exists()


def test_tls_of_an_own_authority(basic_registry: Server, program: Program) -> None:
    assert "its certificate is not trusted" in program(*login(basic_registry), text=PASSWORD, code=3)
    program.more = {"SSL_CERT_FILE": str(basic_registry.authority)}
    assert "took the login" in program(*login(basic_registry), text=PASSWORD)


def test_an_open_registry_proves_nothing(open_registry: Server, program: Program) -> None:
    told = program(*login(open_registry), text=PASSWORD)
    assert f"warning: {open_registry.host} asks for no login" in told
    assert program.read()["auths"].keys() == {open_registry.host}


def test_everything_else_in_config_json_stays(plain_registry: Server, program: Program) -> None:
    host = plain_registry.host
    real = program.home / "elsewhere" / "real.json"
    real.parent.mkdir(parents=True)
    before = {
        "auths": {"other.example": {"auth": "eDp5"}, f"https://{host}/v1/": {"auth": "b2xkOm9sZA=="}},
        "HttpHeaders": {"X": "y"},
        "psFormat": "table",
    }
    real.write_text(json.dumps(before))
    program.config.parent.mkdir()
    program.config.symlink_to(real)
    program(*login(plain_registry), text=PASSWORD)
    assert program.config.is_symlink()
    assert program.read() == {**before, "auths": {"other.example": {"auth": "eDp5"}, host: {"auth": AUTH}}}
    program("logout", f"https://{host}")
    assert program.read() == {**before, "auths": {"other.example": {"auth": "eDp5"}}}


@pytest.mark.parametrize("key", ["credsStore", "credHelpers"])
def test_a_credential_helper_keeps_the_login(key: str, plain_registry: Server, program: Program) -> None:
    host, tools = plain_registry.host, program.home / "tools"
    tools.mkdir(parents=True)
    helper = tools / "docker-credential-vault"
    helper.write_text(HELPER)
    helper.chmod(0o700)
    program.more = {"PATH": f"{tools}:{os.environ['PATH']}"}
    program.config.parent.mkdir()
    named = {key: "vault" if key == "credsStore" else {host: "vault"}}
    program.config.write_text(json.dumps({**named, "auths": {host: {"auth": "b2xkOm9sZA=="}}}))
    told = program(*login(plain_registry), text=PASSWORD)
    assert "stored in the credential helper docker-credential-vault" in told
    assert program.read() == {**named, "auths": {host: {}}}, "the old password is gone"
    kept = json.loads((tools / "docker-credential-vault.kept").read_text())
    assert kept == {"ServerURL": host, "Username": USER, "Secret": PASSWORD}
    assert "docker-credential-vault" in program("logout", host)
    assert not (tools / "docker-credential-vault.kept").exists()
    helper.write_text("#!/bin/sh\necho $2 >&2\nexit 3\n")
    assert "does not store the login (it ended with 3)" in program(*login(plain_registry), text=PASSWORD, code=2)


@pytest.mark.parametrize("content", ["not JSON s3cret", "[1]", '{"auths": 3}', '{"auths": {"h": {"auth": "s3cret!"}}}'])
def test_a_config_that_is_none_is_left_as_it_is(content: str, plain_registry: Server, program: Program) -> None:
    program.config.parent.mkdir(parents=True)
    program.config.write_text(content)
    for arguments in (login(plain_registry), ("logout", plain_registry.host)):
        told = program(*arguments, text=PASSWORD, code=2, secrets=(PASSWORD, AUTH, "s3cret"))
        assert str(program.config) in told
    assert program.config.read_text() == content


def test_a_file_that_cannot_be_written_is_named(plain_registry: Server, program: Program) -> None:
    told = program(*login(plain_registry, "--registry-config", "/proc/config.json"), text=PASSWORD, code=2)
    assert "/proc/config.json cannot be written: " in told
    assert "--registry-config" in told


def test_docker_config_names_the_folder(plain_registry: Server, program: Program) -> None:
    program.more = {"DOCKER_CONFIG": str(program.home / "docker")}
    program(*login(plain_registry), text=PASSWORD)
    assert (program.home / "docker" / "config.json").exists()
    assert not program.config.exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("login", "registry.example.com/path"), "is not the host of a registry"),
        (("login", "a word"), "is not the host of a registry"),
        (("login", "r.example.com", "--password-stdin"), "--password-stdin needs a user name"),
        (("login", "r.example.com", "--username", "kim", "--password-stdin"), "there is no password on stdin"),
        (("login", "r.example.com", "--username", "kim"), "cannot ask for a login without a terminal"),
        (("login", "r.example.com", "--password", WRONG), "no such option"),
    ],
)
def test_what_cannot_be_meant_is_told(arguments: tuple[str, ...], words: str, program: Program) -> None:
    assert words in program(*arguments, code=2).lower().replace("\n", " ") or words in program(*arguments, code=2)


def test_on_a_terminal_the_password_is_asked_for_and_not_shown(plain_registry: Server, program: Program) -> None:
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "nksmesh", "registry", "login", plain_registry.host]
    env = environment(program.home)
    with subprocess.Popen(
        command, stdin=theirs, stdout=theirs, stderr=theirs, env=env, cwd=ROOT, start_new_session=True
    ) as process:
        os.close(theirs)
        screen = until(ours, "ID): ")
        os.write(ours, f"{USER}\n".encode())
        screen += until(ours, "Key): ")
        os.write(ours, f"{PASSWORD}\n".encode())
        screen += until(ours, "")
        assert process.wait(30) == 0
    os.close(ours)
    assert f"Login for {plain_registry.host}." in screen
    assert f"took the login of {USER}" in screen
    assert PASSWORD not in screen
    assert program.read()["auths"] == {plain_registry.host: {"auth": AUTH}}


def until(terminal: int, words: str) -> str:
    """Read what a terminal shows until there are some words; without any, to the end."""
    shown = ""
    while not words or words not in shown:
        try:
            piece = os.read(terminal, 4096)
        except OSError:  # the program has ended
            break
        shown += piece.decode()
    return shown


def test_a_login_is_what_images_are_copied_with(plain_registry: Server, program: Program) -> None:
    """The whole way: log in, and the registry lets this machine in."""
    program(*login(plain_registry), text=PASSWORD)
    found = asyncio.run(Credentials({}, config=program.config).login(parse_reference(f"{plain_registry.host}/a/b:1")))
    assert found is not None
    assert (found.username, found.password) == (USER, PASSWORD)
