"""The program in a folder of a user's own, with a cluster that must never be asked anything."""

from __future__ import annotations

import json
import os
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import nksmesh
from nksmesh.cli.main import run_command_line
from tests.unit.fakes.command_line import CommandLine

CHARTS = Path(nksmesh.__file__).parents[1] / "examples" / "charts"


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """How a command line was refused."""

    code: int
    message: str
    hint: str
    text: str


class Silent:
    """A cluster's address: whoever connects is hung up on, and counted."""

    def __init__(self) -> None:
        self.asked = 0
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        self._thread = threading.Thread(target=self._hang_up, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._thread.join()

    def _hang_up(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            self.asked += 1
            connection.close()


class RefusingCommandLine(CommandLine):
    """The command line; every refusal is checked for what all of them must have."""

    def __init__(self, folder: Path, server: Silent, capsys: pytest.CaptureFixture[str]) -> None:
        super().__init__(capsys)
        self.folder = folder
        self.server = server

    def refused(self, *arguments: str, code: int = 2) -> Refusal:
        """Run a command line that must be refused, without a traceback, a write or a word to the cluster."""
        before = self._files()
        ended = self(*arguments, "-o", "json")
        told = f"{' '.join(arguments)}: {ended.code}\n{ended.out}\n{ended.err}"
        assert ended.code == code, told
        assert "Traceback" not in ended.err, told
        envelope = ended.envelope
        assert envelope["status"] == "error", told
        (error,) = envelope["errors"]
        assert error["message"].count("\n") <= 6, told
        assert error["hint"], told
        assert self._files() == before, told
        assert not self.server.asked, f"the cluster was asked: {told}"
        return Refusal(code=ended.code, message=error["message"], hint=error["hint"], text=told)

    def _files(self) -> dict[str, bytes]:
        return {
            str(path.relative_to(self.folder)): path.read_bytes()
            for path in sorted(self.folder.rglob("*"))
            if path.is_file() and "cache" not in path.parts
        }


@pytest.fixture
def program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[RefusingCommandLine]:
    """Provide the program in a folder that ``nksmesh init`` wrote."""
    for name in [name for name in os.environ if name.startswith(("NKSMESH_", "HELM_"))]:
        monkeypatch.delenv(name)
    folder = tmp_path / "mesh"
    server = Silent()
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(
        json.dumps(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "clusters": [{"name": "c", "cluster": {"server": server.url}}],
                "users": [{"name": "u", "user": {"token": "of-no-use"}}],
                "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u"}}],
                "current-context": "here",
            }
        )
    )
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig))
    monkeypatch.setenv("NKSMESH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NKSMESH_SANDBOX_HOME", str(tmp_path / "sandboxes"))
    assert run_command_line(["init", str(folder)]) == 0
    (folder / "values/environments/prod").mkdir()
    (folder / "values/environments/prod/mesh.yaml").write_text("context: here\nregion: kr1\nversion: 1.20.0\n")
    monkeypatch.chdir(folder)
    yield RefusingCommandLine(folder, server, capsys)
    server.close()
