"""How results look, held against golden files; NKSMESH_WRITE_GOLDEN=1 writes them anew, for a reader to compare."""

from __future__ import annotations

import importlib
import io
import os
import re
from dataclasses import dataclass, replace
from pathlib import Path
from pkgutil import iter_modules
from typing import Final

import pytest
from rich.console import Console

from nksmesh import report
from nksmesh.report import text
from nksmesh.report.report import Output, Report
from nksmesh.report.text import show

from .samples import MORE, RECORD, SAMPLES, STATUS

GOLDEN: Final = Path(__file__).parent / "golden"
RESULTS: Final = {**SAMPLES, **MORE}
DOCUMENTS: Final = {
    *("template", "images list", "images check", "images mirror", "bundle push", "istioctl push"),
    *("guide, as Markdown", "guide, stopped, as Markdown"),
    *("traffic apply", "traffic reset", "traffic reset, nothing there", "traffic shift, of Argo CD"),
}
"""What scripts read goes out as it is, and so do images and digests, which people copy, however wide a terminal is."""


def laid_out(name: str, *, width: int = 80, verbose: bool = False, color: bool = False) -> str:
    console = Console(
        file=io.StringIO(),
        width=width,
        highlight=False,
        markup=False,
        emoji=False,
        force_terminal=color,
        color_system="standard" if color else None,
    )
    with console.capture() as captured:
        document = show(RESULTS[name], console, verbose=verbose)
    return "\n".join(line.rstrip() for line in captured.get().split("\n")) + document


@pytest.mark.parametrize("name", RESULTS)
def test_it_looks_as_it_did(name: str) -> None:
    shown = laid_out(name)
    if name in {"history", "install", "plan", "status", "charts list", "images list", "sandbox status"}:
        shown += "\n---- with -v\n" + laid_out(name, verbose=True)
    golden = GOLDEN / (re.sub(r"\W+", "-", name) + ".txt")
    if os.environ.get("NKSMESH_WRITE_GOLDEN"):
        golden.write_text(shown, encoding="utf-8")
    assert shown == golden.read_text(encoding="utf-8")


def test_whatever_has_a_renderer_is_shown_by_it() -> None:
    """A type that moves to another command's module takes its renderers along."""
    modules = [importlib.import_module(f"nksmesh.report.{module.name}") for module in iter_modules(report.__path__)]
    of_modules = {module.__name__ for module in modules}
    registered = {kind: renderer.__module__ for kind, renderer in text._RENDERERS.items()}
    assert {kind: text.module_of(kind) for kind in registered} == registered
    assert set(registered.values()) <= of_modules
    assert {type(result) for result in RESULTS.values()} <= set(registered)


def test_no_golden_file_is_left_over() -> None:
    assert {path.stem for path in GOLDEN.iterdir()} == {re.sub(r"\W+", "-", name) for name in RESULTS}


@pytest.mark.parametrize("name", sorted(set(RESULTS) - DOCUMENTS))
@pytest.mark.parametrize("width", [40, 80, 200])
def test_no_line_is_wider_than_the_terminal(name: str, width: int) -> None:
    console = Console(width=1000)
    for line in laid_out(name, width=width).splitlines():
        # A diff's lines are the manifest's own: a terminal wraps them where it must.
        if not line.startswith(("+", "-")):
            assert console.measure(line).maximum <= width


def stripped(text: str) -> str:
    return "\n".join(line.rstrip() for line in re.sub(r"\x1b\[[0-9;]*m", "", text).split("\n"))


@pytest.mark.parametrize("name", RESULTS)
def test_colour_is_only_colour(name: str) -> None:
    assert stripped(laid_out(name, color=True)) == stripped(laid_out(name))


def test_a_template_is_on_stdout_byte_for_byte(capsys: pytest.CaptureFixture[str]) -> None:
    Report(command="template").show(SAMPLES["template"])
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == (SAMPLES["template"].manifests, "")


def test_what_goes_into_a_pipe_is_not_cut_to_a_terminals_width(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    Report(command="status").show(STATUS)
    out = capsys.readouterr().out
    assert "Deployment istio-ingressgateway: 0 of 1 replicas available\n" in out
    assert "\x1b" not in out
    assert all(line == line.rstrip() for line in out.splitlines())


def test_a_mesh_of_no_region_has_no_network_either(capsys: pytest.CaptureFixture[str]) -> None:
    """With a hub of the user's own the network says nothing."""
    recorded = replace(RECORD, settings=replace(RECORD.settings, region=""))
    Report(command="status").show(replace(STATUS, installation=replace(STATUS.installation, record=recorded)))
    assert "public" not in capsys.readouterr().out


def test_a_preview_is_on_stderr_whatever_stdout_gets(capsys: pytest.CaptureFixture[str]) -> None:
    Report(command="uninstall", output=Output.JSON).preview(MORE["uninstall, asked"])
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "203.0.113.7" in captured.err


@dataclass(frozen=True)
class Stranger:
    """A result that nobody has given a look of its own."""

    name: str = "[b]x[/b]"
    more: tuple[int, ...] = (1,)


@pytest.mark.parametrize("module", [__name__, "__main__", "nksmesh.commands.unseen"])
def test_a_result_without_a_look_shows_its_data(
    module: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Stranger, "__module__", module)
    Report(command="x").show(Stranger())
    assert capsys.readouterr().out == "name: [b]x[/b]\nmore: [1]\n"


@pytest.mark.parametrize("name", [name for name in RESULTS if not name.endswith(", asked")])
def test_no_warning_is_said_twice(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    Report(command=name, output=Output.TEXT).show(RESULTS[name])
    out, err = capsys.readouterr()
    said = " ".join(out.split()).split("warning: ")[1:]
    told = [line.removeprefix("warning: ").strip() for line in err.splitlines() if line.startswith("warning: ")]
    assert not [one for one in told for other in said if other.startswith(one)]
