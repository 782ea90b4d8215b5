"""Options that make no sense: each is refused by name, before anything is read of the cluster."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest

from nksmesh.cli.main import run_command_line
from tests.adapters.cli_input.conftest import CHARTS, RefusingCommandLine

KR1 = ("install", "--region", "kr1", "--charts", str(CHARTS))

UNKNOWN = {
    "install --region kr9": ("kr9", "kr1"),
    "install --region KR1x": ("KR1x", "kr1"),
    "plan --region kr1;reboot": ("kr1;reboot", "kr1"),
    "template --region kr1 --version 9.9.9": ("9.9.9", "1.20.0"),
    "install --region kr1 --version latest": ("latest", "1.20.0"),
    "install --region kr1 --version ../1.20.0": ("../1.20.0", "1.20.0"),
    "install --region kr1 --profile ambient": ("ambient", "demo"),
    "install --region kr1 --profile ../../etc": ("../../etc", "demo"),
    "install --region kr1 --network dark": ("dark", "private"),
    "install -e prdo": ("prdo", "prod"),
    "install -e ../prod": ("../prod", "prod"),
    "install -e prod --set istoid:a=1": ("istoid", "istiod"),
    "install -e prod -f istoid=/dev/null": ("istoid", "istiod"),
    "install -e prod --grace crsh=3s": ("crsh", "crash"),
    "install -e prod --grace image=3s": ("image", "crash"),
    "env show prdo": ("prdo", "prod"),
    "values show istoid -e prod": ("istoid", "istiod"),
}


@pytest.mark.parametrize(("line", "words"), UNKNOWN.items(), ids=UNKNOWN)
def test_an_unknown_name_is_refused_with_those_there_are(
    program: RefusingCommandLine, line: str, words: tuple[str, str]
) -> None:
    unknown, known = words
    refusal = program.refused(*shlex.split(line.replace(";", "\\;")), code=7 if "9.9.9" in line else 2)
    assert unknown in refusal.message
    assert known in refusal.message + refusal.hint


@pytest.mark.parametrize("option", ["--timeout", "--address-timeout"])
@pytest.mark.parametrize(
    "text", ["-5s", "5", "5 minutes", "25h", "1e9s", "NaN", "5m-1s", "٣s", "s", "0x10s", "99999999999h"]
)
def test_a_duration_that_is_none(program: RefusingCommandLine, option: str, text: str) -> None:
    refusal = program.refused(*KR1, f"{option}={text}")
    assert option in refusal.message
    assert text in refusal.message


def test_a_timeout_of_nothing_at_all(program: RefusingCommandLine) -> None:
    refusal = program.refused(*KR1, "--timeout=0")
    assert "--timeout" in refusal.message


@pytest.mark.parametrize("text", ["crash", "crash=", "=3s", "crash=soon", "crash=-1s", "crash:3s"])
def test_a_grace_that_is_none(program: RefusingCommandLine, text: str) -> None:
    assert "--grace" in program.refused(*KR1, "--grace", text).message


@pytest.mark.parametrize(
    "text",
    [
        "",
        "istiod",
        "istiod:",
        "istiod:=1",
        "istiod:a",
        "a=1",
        "istiod:a[x]=1",
        "istiod:a[-1]=1",
        "istiod:a[999999999]=1",
        f"istiod:a[{'9' * 5000}]=1",
    ],
)
def test_a_set_that_is_none(program: RefusingCommandLine, text: str) -> None:
    assert "--set" in program.refused(*KR1, "--set", text).message


@pytest.mark.parametrize("command", ["install", "plan", "template", "upgrade --to 1.20.0", "values show istiod"])
@pytest.mark.parametrize("option", ["--set", "--set-string", "--set-json", "--set-file"])
def test_every_kind_of_set_is_taken_where_set_is(program: RefusingCommandLine, command: str, option: str) -> None:
    common = ("--region", "kr1", "--charts", str(CHARTS))
    refusal = program.refused(*command.split(), *common, option, "istiod:a[=hunter2")
    assert refusal.message == f"{option} istiod:a: an index does not end with ']'"


@pytest.mark.parametrize(
    ("content", "words"),
    [(None, "No such file"), (b"a\n\xff\n", "line 2: it is not UTF-8"), (b"x" * (4 * 1024 * 1024 + 1), "larger than")],
)
@pytest.mark.parametrize("path", ["certs/ca.pem", "../ca.pem", "~nobody-of-that-name/ca.pem"])
def test_a_file_of_a_set_that_cannot_be_read_is_named(
    program: RefusingCommandLine, content: bytes | None, words: str, path: str
) -> None:
    if content is not None and not path.startswith("~"):
        (program.folder / path).parent.mkdir(exist_ok=True)
        (program.folder / path).write_bytes(content)
    else:
        words = "No such file"
    refusal = program.refused(*KR1, "--set-file", f"istiod:meshConfig.ca={path}")
    assert refusal.message.startswith(f"--set-file istiod:meshConfig.ca: {path}")
    assert words in refusal.message


def test_a_set_file_gives_its_content_as_it_is(
    program: RefusingCommandLine, capsys: pytest.CaptureFixture[str]
) -> None:
    content = "\ufeff 1000000\r\ntrue, {x}\n\n"
    (program.folder / "one.txt").write_bytes(content.encode())
    capsys.readouterr()
    line = ["values", "show", "istiod", "--region", "kr1", "-o", "json", "--set-file", "istiod:a=one.txt,b={one.txt}"]
    assert run_command_line(line) == 0
    (release,) = json.loads(capsys.readouterr().out)["data"]["releases"]
    shown = {key["key"]: key["value"] for key in release["keys"]}
    assert (shown["a"], shown["b"]) == (content, [content])


MAKES = {"pilot": "pilot.hub", "proxyv2": "global.hub"}


@pytest.mark.parametrize("keys", [("global.hub", "pilot.hub", "zzz"), ("zzz", "pilot.hub", "global.hub")])
def test_of_equal_values_the_one_that_makes_the_image_is_named(
    program: RefusingCommandLine, keys: tuple[str, ...]
) -> None:
    options = [part for key in keys for part in ("--set", f"istiod:{key}=docker.io/x")]
    refusal = program.refused("template", "--region", "kr1", "--charts", str(CHARTS), *options, code=3)
    lines = [line for line in refusal.text.splitlines() if "set by" in line and line.startswith("  |")]
    told = {line.split("/")[2].partition(":")[0]: line.rpartition("set by ")[2] for line in lines}
    assert told == {image: f"--set istiod:{key} ({key})" for image, key in MAKES.items()}


@pytest.mark.parametrize(
    "text", ["istiod", "istiod=", "=values.yaml", "istiod=nowhere.yaml", "istiod=.", "istiod=~nobody-of-that-name/x"]
)
def test_a_values_file_that_is_not_there(program: RefusingCommandLine, text: str) -> None:
    refusal = program.refused(*KR1, "-f", text)
    assert "-f" in refusal.message or text.partition("=")[2] in refusal.message


@pytest.mark.parametrize(
    "name", ["x;reboot", "$(reboot)", "`id`", "a b", "../x", "UPPER", "x" * 64, "-x", "", "a\nb", "x|y", "é"]
)
def test_a_namespace_that_cannot_be(program: RefusingCommandLine, name: str) -> None:
    if not name:
        return
    refusal = program.refused(*KR1, f"--namespace={name}")
    assert "namespace" in refusal.message.lower()


@pytest.mark.parametrize(
    "hub",
    [
        "",
        "https://registry.example.com/istio",
        "registry.example.com/istio;x",
        "a b",
        "host/UP",
        "host/x:1.20.0",
        "host/$(id)",
    ],
)
def test_a_hub_that_is_none(program: RefusingCommandLine, hub: str) -> None:
    if not hub:
        return
    assert "hub" in program.refused(*KR1, "--hub", hub).message


@pytest.mark.parametrize("name", ["nobody's", "x;reboot", "$(reboot)"])
def test_a_context_that_is_not_there(program: RefusingCommandLine, name: str) -> None:
    refusal = program.refused(*KR1, "--context", name, code=4)
    assert name in refusal.message


def test_a_context_that_contradicts_the_environment(program: RefusingCommandLine) -> None:
    refusal = program.refused("install", "-e", "prod", "--context", "there")
    assert "--context there" in refusal.message
    assert "prod" in refusal.message
    assert "here" in refusal.message


def test_an_environment_whose_sandbox_is_not_there(program: RefusingCommandLine) -> None:
    refusal = program.refused("install", "-e", "sandbox")
    assert "nksmesh sandbox up" in refusal.hint


@pytest.mark.parametrize("source", ["nowhere", "./nowhere", "/dev/null"])
def test_charts_from_a_folder_that_is_not_there(program: RefusingCommandLine, source: str) -> None:
    refusal = program.refused("template", "--region", "kr1", "--charts", source, code=3)
    assert source.removeprefix("./") in refusal.message
    assert refusal.hint


def test_charts_from_a_folder_without_any(program: RefusingCommandLine) -> None:
    refusal = program.refused("template", "--region", "kr1", "--charts", str(program.folder / "values"), code=3)
    assert "base" in refusal.message


@pytest.mark.parametrize("driver", ["sql", "memory", "nonsense"])
def test_a_helm_driver_that_is_not_in_the_cluster(
    program: RefusingCommandLine, monkeypatch: pytest.MonkeyPatch, driver: str
) -> None:
    monkeypatch.setenv("HELM_DRIVER", driver)
    refusal = program.refused(*KR1)
    assert f"HELM_DRIVER is {driver}" in refusal.message


def script(folder: Path, text: str) -> str:
    path = folder / "helm"
    path.write_text(text)
    path.chmod(0o700)
    return str(path)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("#!/bin/sh\necho v3.12.0\n", "3.12.0"),
        ("#!/bin/sh\necho v2.17.0\n", "2.17.0"),
        ("#!/bin/sh\necho hello\n", "does not run as Helm"),
        ("#!/bin/sh\nexit 3\n", "does not run as Helm"),
        ("#!/nowhere\n", "does not run as Helm"),
        ("neither a script nor a program", "does not run as Helm"),
        ("#!/bin/sh\nprintf '\\377\\376'\n", "does not run as Helm"),
        ("#!/bin/sh\nwhile :; do echo v3.17.3; done\n", "does not run as Helm"),
    ],
    ids=["old", "ancient", "no version", "fails", "no interpreter", "no program", "no text", "no end"],
)
@pytest.mark.parametrize("how", ["option", "environment"])
def test_a_helm_that_is_none_or_too_old(
    program: RefusingCommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, words: str, how: str
) -> None:
    named = script(tmp_path, text)
    if how == "environment":
        monkeypatch.setenv("NKSMESH_HELM", named)
    options = ("--helm", named) if how == "option" else ()
    refusal = program.refused("template", "--region", "kr1", "--charts", str(CHARTS), *options)
    assert named in refusal.message
    assert words in refusal.message
    assert "helm.sh" in refusal.hint


@pytest.mark.parametrize("named", ["nowhere/helm", "no-such-program", "/etc/hostname", "/"])
def test_a_helm_that_is_not_there(program: RefusingCommandLine, named: str) -> None:
    refusal = program.refused("template", "--region", "kr1", "--charts", str(CHARTS), "--helm", named)
    assert named in refusal.message


@pytest.mark.parametrize(
    "line", ["instal", "install --regoin kr1", "install extra", "charts", "install --region", "-o xml regions"]
)
def test_a_command_line_that_is_none(
    line: str, program: RefusingCommandLine, capsys: pytest.CaptureFixture[str]
) -> None:
    code = run_command_line(shlex.split(line))
    out, err = capsys.readouterr()
    assert code == 2, out + err
    assert "Traceback" not in err
    assert err or out
    assert not program.server.asked


@pytest.mark.parametrize("folder", ["nowhere", "values", "charts.lock"])
def test_a_dir_that_is_none_of_ours(program: RefusingCommandLine, folder: str) -> None:
    refusal = program.refused("install", "--dir", folder, "--region", "kr1")
    assert folder in refusal.message
    assert "nksmesh init" in refusal.hint
