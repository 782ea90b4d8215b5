"""Packages whose own import is passed over, and those that cannot do without it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from nksmesh.adapters.bare_packages import import_from_bare


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Import from the test's folder, and forget what was imported."""
    monkeypatch.syspath_prepend(tmp_path)
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        del sys.modules[name]


def package(folder: Path, init: str, module: str) -> None:
    folder.mkdir()
    (folder / "__init__.py").write_text(init)
    (folder / "inside.py").write_text(module)


def test_a_packages_own_import_is_passed_over(tmp_path: Path) -> None:
    package(tmp_path / "large", "raise AssertionError('imported')", "from . import beside\nvalue = beside.value")
    (tmp_path / "large" / "beside.py").write_text("value = 7")
    (inside,) = import_from_bare(["large"], "large.inside")
    assert inside.value == 7


def test_a_package_that_is_imported_already_stays_as_it_is(tmp_path: Path) -> None:
    package(tmp_path / "here", "value = 3", "from here import value")
    import here  # type: ignore[import-not-found]  # noqa: PLC0415 - the folder is made by the test

    (inside,) = import_from_bare(["here"], "here.inside")
    assert (inside.value, sys.modules["here"]) == (3, here)


def test_a_module_that_needs_its_package_gets_it_whole(tmp_path: Path) -> None:
    package(tmp_path / "needed", "value = 5", "import needed\nfrom needed import value")
    (inside,) = import_from_bare(["needed"], "needed.inside")
    assert inside.value == 5


def test_what_cannot_be_imported_either_way_is_an_error(tmp_path: Path) -> None:
    package(tmp_path / "broken", "", "import nowhere_at_all")
    with pytest.raises(ImportError, match="nowhere_at_all"):
        import_from_bare(["broken"], "broken.inside")
    with pytest.raises(ImportError):
        import_from_bare(["no_such_package"], "no_such_package.inside")


def test_helm_is_driven_without_the_models_of_pyhelm3() -> None:
    """They take 0.1 s of an install's start."""
    import subprocess  # noqa: PLC0415 - for this test alone

    code = (
        "import sys, nksmesh.adapters.helm.command as it; print('pydantic' in sys.modules, it.HelmCommand.__mro__[1])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ran.stdout == "False <class 'pyhelm3.command.Command'>\n", ran.stderr
