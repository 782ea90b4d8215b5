"""The walk on the command line: its lines are command lines, and it goes as far as they are proved."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from nksmesh.cli.guide import choices_of, walk
from nksmesh.cli.mesh_options import InstallOptions
from nksmesh.cli.options import Shell
from nksmesh.cli.run import show
from nksmesh.commands.guide import GuidePlan
from nksmesh.domain.common.data import HIDDEN
from nksmesh.domain.common.errors import NotReadyError
from nksmesh.domain.guide.walk import Choices, GuideStep, Made, walk_of, way_back
from nksmesh.report.report import Output

if TYPE_CHECKING:
    from tests.unit.cli.conftest import ProbedCommandLine
    from tests.unit.fakes.command_line import CommandLine

CHOICES = Choices(
    install=("--hub", "registry.example.com/istio", "--profile", "demo"),
    fetch=("--hub", "registry.example.com/istio"),
    where=("--environment", "prod"),
    samples=("--samples", "samples", "--image-hub", "registry.example.com/istio"),
    namespace="shop",
)
ALL = Made(traffic=True, sample=True, label=True, mesh=True)


@dataclass(frozen=True)
class Words:
    """A result."""

    words: str
    exit_code: int = field(default=0, metadata=HIDDEN)


@pytest.mark.parametrize("step", [*walk_of(CHOICES), *way_back(CHOICES, ALL)], ids=lambda step: step.line)
def test_each_step_is_a_command_line(parser: CommandLine, step: GuideStep) -> None:
    assert parser(*step.words).err == ""
    assert "--environment prod" in step.line
    assert (
        step.line.split()[1] in {"install", "status", "uninstall", "gateway"}
        or "fetch" in step.words
        or "shop" in step.line
    )


def test_the_walk_writes_nothing_without_asking_but_what_was_agreed_to() -> None:
    asking = {"inject", "sample", "traffic", "uninstall"}
    for step in (*walk_of(CHOICES), *way_back(CHOICES, ALL)):
        reads = step.words[1] in {"verify", "show"}
        assert ("--yes" in step.words) == (step.words[0] in asking and not reads), step.line


def test_the_options_of_install_go_to_install_and_those_of_the_place_to_every_command() -> None:
    options = InstallOptions(
        environment="prod",
        directory=Path("meshes"),
        region="kr2",
        network="private",
        sets=["istiod:a=b c", "gateway:d=e"],
        no_check_images=True,
    )
    choices = choices_of(Shell(command="guide", namespace="shop"), options, Path("samples"), "", "9m")
    assert choices.install == (
        *("--no-check-images", "--region", "kr2", "--network", "private", "--profile", "demo"),
        *("--set", "istiod:a=b c", "--set", "gateway:d=e"),
    )
    assert choices.where == ("--environment", "prod", "--dir", "meshes")
    assert choices.fetch is None
    assert choices.samples == ("--samples", "samples", "--no-check-images")
    assert (choices.namespace, choices.wait) == ("shop", "9m")
    plain = choices_of(
        Shell(command="guide"), InstallOptions(profile="default", hub="HUB", offline=True), None, "", "5m"
    )
    assert plain.install == ("--hub", "HUB", "--profile", "default", "--offline")
    assert (plain.fetch, plain.where, plain.samples) == (("--hub", "HUB"), (), ())
    assert plain.namespace == "default"


def plan_of(*sizes: int) -> GuidePlan:
    steps = tuple(
        GuideStep(title=f"Probe {size}", words=("probe", "--size", str(size)), proof=lambda data: str(data["words"]))
        for size in sizes
    )
    return GuidePlan(context="nks", server="kr1", namespace="default", mesh="istio-system", undo=False, steps=steps)


def test_each_command_is_run_on_the_cluster_that_was_agreed_to(
    program: ProbedCommandLine, capsys: pytest.CaptureFixture[str]
) -> None:
    shells: list[Shell] = []

    def body(shell: Shell) -> None:
        shells.append(shell)
        show(shell, Words("done"))

    program.body = body
    given = Shell(command="guide", kubeconfig="k", context="other", helm="h", quiet=True, color=False)
    taken = list(walk(given, plan_of(1, 2), silent=False))
    assert [(walked.proof, walked.proved) for walked in taken] == [("done", True)] * 2
    assert program.sizes == [1, 2]
    assert {(shell.kubeconfig, shell.context, shell.helm, shell.quiet) for shell in shells} == {("k", "nks", "h", True)}
    said = capsys.readouterr()
    assert said.out == "words: done\nwords: done\n"
    assert "2 of 2: Probe 2\n$ nksmesh probe --size 2\nproved: done\n" in said.err


@pytest.mark.parametrize("fault", ["error", "exit code", "no proof"])
def test_it_stops_where_a_proof_fails(
    program: ProbedCommandLine, capsys: pytest.CaptureFixture[str], fault: str
) -> None:
    def body(shell: Shell) -> None:
        if program.sizes[-1] == 1:
            show(shell, Words("done"))
        elif fault == "error":
            raise NotReadyError("a pod is not ready", hint="Look at it.")
        else:
            show(shell, Words("" if fault == "no proof" else "no", exit_code=0 if fault == "no proof" else 7))

    program.body = body
    taken = list(walk(Shell(command="guide", output=Output.JSON), plan_of(1, 2, 3), silent=True))
    assert [walked.proved for walked in taken] == [True, False]
    assert taken[-1].code == {"error": NotReadyError.exit_code, "exit code": 7, "no proof": 0}[fault]
    assert str(taken[-1].error or "") == ("a pod is not ready" if fault == "error" else "")
    said = capsys.readouterr()
    assert said.out == ""
    assert "error:" not in said.err  # the walk shows it, at its end
    assert said.err.endswith("not proved: the guide stops here\n")
