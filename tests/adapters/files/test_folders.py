"""The user's folder over the packaged one, file by file."""

from __future__ import annotations

from pathlib import Path

import pytest

from nksmesh.adapters.files.folders import ValuesFolders, is_ours, packaged, user_folder
from nksmesh.domain.common.errors import ConfigError


def test_what_ships_is_found_in_a_checkout_and_in_a_wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert (packaged("values") / "versions.yaml").is_file()
    package = tmp_path / "nksmesh"
    (package / "data" / "values").mkdir(parents=True)
    monkeypatch.setattr("nksmesh.__file__", str(package / "__init__.py"))
    assert packaged("values") == package / "data" / "values"
    assert packaged("charts.lock") == tmp_path / "charts.lock"


@pytest.mark.parametrize(
    ("lock", "ours"),
    [
        (b"nksmesh: 1\n", True),
        (b"# ours\nnksmesh: 1  # format\r\ncharts: []\n", True),
        (b"nksmesh: 2\n", False),
        (b"  nksmesh: 1\n", False),
        (b"# nksmesh: 1\n", False),
        (b"\xff\xfe", False),
        (b"", False),
    ],
)
def test_a_folder_is_ours_by_its_lock(tmp_path: Path, lock: bytes, ours: bool) -> None:
    (tmp_path / "charts.lock").write_bytes(lock)
    assert is_ours(tmp_path) is ours


def test_the_current_folder_counts_only_when_it_is_ours(tmp_path: Path, meshes: Path) -> None:
    assert user_folder(None, meshes) == meshes
    assert user_folder(None, tmp_path) is None
    assert user_folder(meshes, tmp_path) == meshes


def test_a_folder_that_is_named_must_be_ours(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="the folder does not exist"):
        user_folder(tmp_path / "missing", tmp_path)
    with pytest.raises(ConfigError, match=r"has no charts\.lock with the key nksmesh: 1"):
        user_folder(tmp_path, tmp_path)


def test_a_file_of_the_users_takes_the_place_of_the_packaged_one(folders: ValuesFolders, meshes: Path) -> None:
    before = folders.find("regions", "kr1.yaml")
    own = meshes / "values" / "regions" / "kr1.yaml"
    own.parent.mkdir(parents=True)
    own.write_text("")
    after = folders.find("regions", "kr1.yaml")
    assert before is not None
    assert after is not None
    assert (before.ours, after.ours, after.file, after.shown) == (True, False, own, "values/regions/kr1.yaml")
    assert folders.names("regions") == ["gov-kr2.yaml", "kr1.yaml", "kr2.yaml", "kr3.yaml"]
    assert folders.find("regions", "kr9.yaml") is None


def test_the_packaged_folder_is_not_laid_over_itself() -> None:
    found = ValuesFolders(user=packaged("values").parent).find("versions.yaml")
    assert found is not None
    assert found.ours
