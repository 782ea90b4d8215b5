"""Renders that are kept: taken again for the very same, and only while nothing of it is damaged or secret."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nksmesh.adapters.helm.releases import Helm
from nksmesh.adapters.helm.renders import Renders
from nksmesh.domain.charts.chart import Chart
from nksmesh.domain.common.errors import HelmStartError
from tests.adapters.helm.conftest import RELEASE, make_chart

GREETING = {"greeting": "one"}


@pytest.fixture
def chart(tmp_path: Path) -> Chart:
    """A chart of a ConfigMap alone."""
    made = make_chart(tmp_path / "tiny")
    template = made.folder / "templates/objects.yaml"
    template.write_text(template.read_text().partition("---\n# nothing")[0])
    return made


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def helm(program: str, cache: Path) -> Helm:
    return Helm(program, kubeconfig=None, context="", cache=cache)


async def rendered(helm: Helm, chart: Chart, values: Mapping[str, Any], *, upgrade: bool = False) -> tuple[str, int]:
    """Return a render, and how many Helm processes it took."""
    before = helm.processes
    text = await helm.render(RELEASE, chart, values, kubernetes="v1.28.15", upgrade=upgrade)
    return text, helm.processes - before


async def test_the_same_is_taken_again_and_anything_else_is_rendered(helm: Helm, chart: Chart) -> None:
    text, _ = await rendered(helm, chart, GREETING)
    assert await rendered(helm, chart, GREETING) == (text, 0)
    other, processes = await rendered(helm, chart, {"greeting": "two"})
    assert (processes, other == text) == (1, False)
    assert (await rendered(helm, chart, GREETING, upgrade=True))[1] == 1
    assert (await rendered(helm, replace(chart, digest="sha256:" + "0" * 64), GREETING))[1] == 1
    assert await helm.render(RELEASE, chart, GREETING, kubernetes="v1.29.0", upgrade=False)
    assert (await rendered(helm, chart, GREETING)) == (text, 0)


async def test_the_same_program_elsewhere_is_the_same_and_another_renders_itself(
    helm: Helm, chart: Chart, cache: Path, tmp_path: Path
) -> None:
    text, _ = await rendered(helm, chart, GREETING)
    program = (await helm.program()).path.read_bytes()
    for name, content, processes in (("copy", program, 0), ("other", program + b"\0", 1)):
        copied = tmp_path / name
        copied.write_bytes(content)
        copied.chmod(0o755)
        elsewhere = Helm(str(copied), kubeconfig=None, context="", cache=cache)
        assert await rendered(elsewhere, chart, GREETING) == (text, processes)


async def test_a_helm_that_is_gone_is_an_error_and_no_bug_of_ours(
    program: str, chart: Chart, cache: Path, tmp_path: Path
) -> None:
    copied = tmp_path / "helm"
    copied.symlink_to(shutil.which(program) or program)
    helm = Helm(str(copied), kubeconfig=None, context="", cache=cache)
    await helm.program()
    copied.unlink()
    with pytest.raises(HelmStartError, match="cannot be started: No such file or directory"):
        await helm.render(RELEASE, chart, GREETING, upgrade=False)


async def test_only_the_owner_can_read_what_is_kept(helm: Helm, chart: Chart, cache: Path) -> None:
    await rendered(helm, chart, GREETING)
    (kept,) = (cache / "renders").iterdir()
    assert [stat.S_IMODE(path.stat().st_mode) for path in (kept.parent, kept)] == [0o700, 0o600]


@pytest.mark.parametrize("damage", [b"", b"half of it", None])
async def test_what_is_damaged_is_rendered_again(helm: Helm, chart: Chart, cache: Path, damage: bytes | None) -> None:
    text, _ = await rendered(helm, chart, GREETING)
    (kept,) = (cache / "renders").iterdir()
    content = kept.read_bytes()
    kept.write_bytes(content[:-40] if damage is None else damage)
    assert await rendered(helm, chart, GREETING) == (text, 1)
    assert await rendered(helm, chart, GREETING) == (text, 0)


async def test_what_may_hold_a_secret_is_not_kept(helm: Helm, chart: Chart, cache: Path, tmp_path: Path) -> None:
    with_a_secret = make_chart(tmp_path / "secret")
    for wanted, values in ((with_a_secret, GREETING), (chart, {**GREETING, "password": "of mine"})):
        for _ in range(2):
            assert (await rendered(helm, wanted, values))[1] == 1
    assert not (cache / "renders").exists()


async def test_a_cache_that_cannot_be_written_keeps_nothing(program: str, chart: Chart) -> None:
    helm = Helm(program, kubeconfig=None, context="", cache=Path(os.devnull))
    for _ in range(2):
        assert (await rendered(helm, chart, GREETING))[1] == 1


def test_those_not_used_for_the_longest_time_go_first(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nksmesh.adapters.helm.renders._MOST", 2)
    renders = Renders(cache)
    for number, key in enumerate("abc"):
        renders.keep(key, f"render {key}", {})
        os.utime(cache / "renders" / key, (number, number)) if key != "c" else None
    assert [renders.find(key) for key in "abc"] == [None, "render b", "render c"]
