from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from nksmesh.domain.common.errors import ClusterError, ConfigError
from nksmesh.domain.common.events import Event, EventKind
from nksmesh.sandbox import go_build, programs
from nksmesh.sandbox.builds import CACHE_VARIABLE, KWOK

GO = """#!/bin/sh
case "$1" in
env) echo go1.26.0 ;;
*) {build} ;;
esac
"""

MAKES_KWOK = 'for a in "$@"; do case "$a" in -o=*) echo x > "${a#-o=}kwok" ;; esac; done'


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    return folder


def put_go(folder: Path, build: str) -> None:
    (folder / "go").write_text(GO.replace("{build}", build))
    (folder / "go").chmod(0o755)


def is_there(path: Path) -> bool:
    return path.exists()


def put_file(path: Path) -> None:
    path.write_text("a file, where a folder should be")


def everything_in(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*"))


def contents(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in everything_in(folder) if path.is_file()}


def remove(*paths: Path) -> None:
    for path in paths:
        path.unlink()


def read_only_module(folder: Path) -> Path:
    """Make a module as Go's module cache has it: nobody may write anything in it."""
    (folder / "manifests" / "charts" / "base").mkdir(parents=True)
    (folder / "manifests" / "charts" / "base" / "Chart.yaml").write_text("name: base\n")
    (folder / "boot.json").write_text("{}")
    for path in everything_in(folder):
        path.chmod(0o555 if path.is_dir() else 0o444)
    return folder


def left_in(cache: Path) -> list[str]:
    return [path.name for path in (cache / "programs").iterdir() if not path.name.endswith(".lock")]


async def test_a_failed_build_repeats_gos_words_and_leaves_nothing(cache: Path, path: Path) -> None:
    put_go(path, "echo 'proxy.example: no such host' >&2; exit 1")
    with pytest.raises(ClusterError, match="kwok could not be built") as failed:
        await programs.ensure(KWOK)
    assert failed.value.detail == "proxy.example: no such host"
    assert left_in(cache) == []


async def test_a_build_is_told_and_kept(cache: Path, path: Path) -> None:
    put_go(path, MAKES_KWOK)
    heard: list[Event] = []
    folder = await programs.ensure(KWOK, heard.append)
    assert is_there(folder / "kwok")
    assert [event.kind for event in heard] == [EventKind.STARTED, EventKind.DONE]
    assert await programs.ensure(KWOK, heard.append) == folder
    assert len(heard) == 2
    assert left_in(cache) == [KWOK.key]


async def test_without_go_the_error_says_how_to_get_one(
    cache: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(go_build, "_packaged_go", lambda: None)
    with pytest.raises(ConfigError) as refused:
        await programs.ensure(KWOK)
    assert "nksmesh[sandbox]" in refused.value.hint
    assert not is_there(cache)


async def test_a_go_too_old_is_refused(cache: Path, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put_go(path, "true")
    monkeypatch.setattr(go_build, "_packaged_go", lambda: None)
    with pytest.raises(ConfigError, match=r"Go 99\.0 or later was not found .* too old"):
        await programs.ensure(replace(KWOK, go=(99, 0)))
    assert not is_there(cache)


@pytest.mark.usefixtures("cache")
async def test_files_are_copied_out_of_the_module_and_can_be_written(path: Path, tmp_path: Path) -> None:
    module = read_only_module(tmp_path / "module@v1")
    build = replace(KWOK, source="example.com/module", files={"charts": "manifests/charts", "boot.json": "boot.json"})
    put_go(path, f'{MAKES_KWOK}; [ "$1 $2 $4" = "list -m example.com/module" ] && echo {module}; true')
    folder = await programs.ensure(build)
    assert contents(folder) == {"kwok": "x\n", "boot.json": "{}", "charts/base/Chart.yaml": "name: base\n"}
    assert all(os.access(found, os.W_OK) and found.stat().st_mode & 0o200 for found in everything_in(folder))
    remove(folder / "charts" / "base" / "Chart.yaml", folder / "boot.json")
    assert contents(await programs.ensure(build))["boot.json"] == "{}"


async def test_a_module_that_go_does_not_know_is_an_error(cache: Path, path: Path) -> None:
    put_go(path, MAKES_KWOK)
    with pytest.raises(ClusterError, match=r"does not know where the module example\.com/module is"):
        await programs.ensure(replace(KWOK, source="example.com/module", files={"boot.json": "boot.json"}))
    assert left_in(cache) == []


async def test_a_cache_that_cannot_be_written_is_named(cache: Path, path: Path) -> None:
    put_go(path, "true")
    put_file(cache)
    with pytest.raises(ConfigError, match="cannot be kept"):
        await programs.ensure(KWOK)
