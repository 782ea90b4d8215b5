"""How the parts of a sandbox are started."""

from __future__ import annotations

from pathlib import Path

import pytest

from nksmesh.adapters.charts.cache import cache_folder
from nksmesh.sandbox.control_plane import Part, program
from nksmesh.sandbox.layout import Layout, Settings


@pytest.mark.parametrize("variable", ["NKSMESH_CACHE", "XDG_CACHE_HOME"])
def test_pods_find_their_programs_in_the_cache_of_the_command(
    variable: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("NKSMESH_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(variable, str(tmp_path / "cache"))
    agent = program(Part.AGENT, Layout("test", tmp_path), {}, Settings(port=1))
    monkeypatch.delenv(variable)
    assert cache_folder(agent.environment).is_relative_to(tmp_path / "cache")
