"""Files that make no sense: each is refused with the file, the line and the key, before the cluster is asked."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from nksmesh.cli.main import run_command_line
from tests.adapters.cli_input.conftest import CHARTS, RefusingCommandLine

MESH = "values/environments/prod/mesh.yaml"

BROKEN: dict[str, tuple[bytes, str, int]] = {
    "unclosed": (b"a: 1\nb: [1, 2\nc: 3\n", "not YAML", 3),
    "tab": (b"a: 1\n\tb: 2\n", "not YAML", 2),
    "indented": (b"a: 1\n  b: 2\n", "not YAML", 2),
    "twice": (b"a: 1\nb: 2\na: 3\n", "a", 3),
    "twice below": (b"a:\n  c: 1\n  c: 2\n", "c", 3),
    "not UTF-8": (b"a: 1\nb: \xff\xfe\n", "UTF-8", 2),
    "two documents": (b"a: 1\n---\nb: 2\n", "two documents", 2),
    "alias": (b"a: 1\nb: *nothing\n", "alias", 2),
}
FILES = (MESH, "values/environments/prod/istiod.yaml", "own.yaml", "charts.lock")


@pytest.mark.parametrize("name", BROKEN)
@pytest.mark.parametrize("where", FILES)
def test_yaml_that_is_none_is_refused_with_file_and_line(program: RefusingCommandLine, name: str, where: str) -> None:
    content, words, line = BROKEN[name]
    if where == "charts.lock":
        # What says that the folder is one of ours; without it, it is somebody else's file and is not read.
        content, line = b"nksmesh: 1\n" + content, line + 1
    (program.folder / where).write_bytes(content)
    options = ("-f", f"istiod={where}") if where == "own.yaml" else ()
    refusal = program.refused("install", "-e", "prod", *options)
    assert where in refusal.message
    assert f"line {line}" in refusal.message
    assert words in refusal.message


def test_empty_documents_mean_nothing_in_any_file(
    program: RefusingCommandLine, capsys: pytest.CaptureFixture[str]
) -> None:
    for where, content in {
        MESH: "region: kr1\nversion: 1.20.0\n",
        "values/environments/prod/istiod.yaml": "a: 1\n",
        "values/regions/kr9.yaml": (CHARTS.parents[1] / "values/regions/kr1.yaml").read_text(),
        "own.yaml": "b: 2\n",
        "charts.lock": "nksmesh: 1\ncharts: []\n",
    }.items():
        (program.folder / where).parent.mkdir(exist_ok=True)
        (program.folder / where).write_text(f"# words\n---\n# words\n---\n{content}...\n---\n# the end\n---\n")
    capsys.readouterr()
    assert run_command_line(["values", "show", "istiod", "-e", "prod", "-f", "istiod=own.yaml", "-o", "json"]) == 0
    (release,) = json.loads(capsys.readouterr().out)["data"]["releases"]
    assert {key["key"]: key["value"] for key in release["keys"]}.items() >= {"a": 1, "b": 2}.items()


@pytest.mark.parametrize(
    "content",
    [b"- a\n- b\n", b"only words\n", b"a: 1\nb: \x00\n", "a: 1\n".encode("utf-16")],
    ids=["list", "text", "NUL", "UTF-16"],
)
@pytest.mark.parametrize("where", FILES[:3])
def test_a_file_that_holds_no_map_is_refused(program: RefusingCommandLine, content: bytes, where: str) -> None:
    (program.folder / where).write_bytes(content)
    options = ("-f", f"istiod={where}") if where == "own.yaml" else ()
    assert where in program.refused("install", "-e", "prod", *options).message


def test_a_home_of_nobody_is_a_file_that_is_not_there(program: RefusingCommandLine) -> None:
    place = "~nobody-of-that-name/x"
    assert place in program.refused("template", "--region", "kr1", "--charts", place, code=3).message
    assert place in program.refused("status", "--kubeconfig", place, code=4).message


@pytest.mark.parametrize("options", ["install --dir ", "install -f istiod=", "template --charts "])
def test_a_path_that_no_file_can_have(program: RefusingCommandLine, options: str) -> None:
    path = "a" * 5000
    refusal = program.refused(*f"{options}{path} -e prod".split())
    assert path[:100] in refusal.message
    assert "name too long" in refusal.message


def test_a_tag_is_never_obeyed(program: RefusingCommandLine) -> None:
    made = program.folder / "made"
    (program.folder / MESH).write_text(f"region: !!python/object/apply:os.mkdir [{made}]\n")
    assert "region" in program.refused("install", "-e", "prod").text
    assert not made.exists()


WRONG = {
    "regoin: kr1\n": ("regoin", "region"),
    "region: [kr1]\n": ("region", ""),
    "region: 1\n": ("region", ""),
    "version: 1.2\n": ("version", ""),
    "network: dark\n": ("network", "private"),
    "profile: {}\n": ("profile", ""),
    "gateways: istio-ingressgateway\n": ("gateways", ""),
    "gateways: [{nam: a}]\n": ("nam", "name"),
    "gateways: [{name: 'a;reboot'}]\n": ("a;reboot", ""),
    "gateways: [{name: $(reboot)}]\n": ("$(reboot)", ""),
    "gateways: [{name: ../a}]\n": ("../a", ""),
    "gateways: [{name: a, namespace: 'x y'}]\n": ("x y", ""),
    "gateways: [{name: a}, {name: a}]\n": ("a", ""),
    "gateways: [{name: istiod}]\n": ("istiod", ""),
    "gateways: [{name: a, values: [1]}]\n": ("values", ""),
    "gateways: [{namespace: a}]\n": ("name", ""),
    "namespace: 'x;reboot'\n": ("x;reboot", ""),
    "namespace: UPPER\n": ("UPPER", ""),
    "hub: 'https://x/y'\n": ("hub", ""),
    "hub: 'x y'\n": ("x y", ""),
    "pull_secrets: key\n": ("pull_secrets", ""),
    "full_image_paths: sometimes\n": ("full_image_paths", ""),
    "version: 9.9.9\n": ("9.9.9", "1.20.0"),
    "region: kr9\n": ("kr9", "kr1"),
    "profile: ../x\n": ("../x", ""),
    "context: [a]\n": ("context", ""),
}


@pytest.mark.parametrize(("content", "words"), WRONG.items(), ids=WRONG)
def test_a_mesh_that_is_none_is_refused_with_its_key(
    program: RefusingCommandLine, content: str, words: tuple[str, str]
) -> None:
    base = "" if content.startswith("region") else "region: kr1\n"
    (program.folder / MESH).write_text(base + content)
    # Where a cluster is asked, its record may have that the version was forced: that is judged later.
    command, code = ("template", 7) if "9.9.9" in content else ("install", 2)
    refusal = program.refused(command, "-e", "prod", code=code)
    wrong, better = words
    assert wrong in refusal.text
    assert better in refusal.text


@pytest.mark.parametrize(
    "content",
    [
        "nksmesh: 1\ncharts: [{chart: base}]\n",
        "nksmesh: 1\ncharts: [{chart: base, version: 1.20.0, source: x, sha256: abc}]\n",
        "nksmesh: 1\ncharts: {}\n",
        "nksmesh: 2\ncharts: []\n",
        "charts: []\n",
    ],
)
def test_a_lock_that_is_none(program: RefusingCommandLine, content: str) -> None:
    (program.folder / "charts.lock").write_text(content)
    refusal = program.refused("install", "--dir", ".", "--region", "kr1")
    assert "charts.lock" in refusal.message


@pytest.mark.parametrize("what", [MESH, "own.yaml"])
def test_a_folder_where_a_file_is_expected(program: RefusingCommandLine, what: str) -> None:
    (program.folder / "own.yaml").write_text("{}\n")
    path = program.folder / what
    path.unlink()
    path.mkdir()
    refusal = program.refused("install", "-e", "prod", "-f", "istiod=own.yaml")
    assert "own.yaml" in refusal.message or "prod" in refusal.message


def user(**more: str) -> dict[str, object]:
    return {"name": "u", "user": more}


KUBECONFIGS: dict[str, bytes] = {
    "empty": b"",
    "no YAML": b"a: [\n",
    "a list": b"- a\n",
    "not UTF-8": b"\xff\xfe\x00",
    "words": b"only words\n",
    "wrong types": b"apiVersion: v1\nclusters: 3\nusers: yes\ncontexts: [a]\ncurrent-context: here\n",
    "no cluster": b"apiVersion: v1\nclusters: []\nusers: []\ncontexts: []\ncurrent-context: here\n",
    "no current context": b"apiVersion: v1\nclusters: []\nusers: []\ncontexts: []\n",
    "a context of nothing": (
        b"apiVersion: v1\nclusters: []\nusers: []\ncontexts: [{name: here, context: {cluster: c, user: u}}]\n"
        b"current-context: here\n"
    ),
}


@pytest.mark.parametrize("content", KUBECONFIGS.values(), ids=KUBECONFIGS)
def test_a_kubeconfig_that_is_none(program: RefusingCommandLine, tmp_path: Path, content: bytes) -> None:
    broken = tmp_path / "broken"
    broken.write_bytes(content)
    refusal = program.refused(
        "install", "--region", "kr1", "--charts", str(CHARTS), "--kubeconfig", str(broken), code=4
    )
    assert str(broken) in refusal.message


@pytest.mark.parametrize("place", ["nowhere", "values"])
def test_a_kubeconfig_that_is_not_there(program: RefusingCommandLine, place: str) -> None:
    refusal = program.refused("install", "--region", "kr1", "--kubeconfig", place, code=4)
    assert place in refusal.message


@pytest.mark.parametrize(
    "broken",
    [
        {"client-certificate-data": "no base64!", "client-key-data": "no base64!"},
        {"client-certificate-data": base64.b64encode(b"no certificate").decode(), "client-key-data": ""},
        {"client-certificate": "/nowhere/pem", "client-key": "/nowhere/key"},
    ],
    ids=["no base64", "no certificate", "no file"],
)
def test_a_credential_that_is_none(program: RefusingCommandLine, tmp_path: Path, broken: dict[str, str]) -> None:
    document = json.loads((tmp_path / "kubeconfig").read_text())
    document["users"] = [user(**broken)]
    document["clusters"][0]["cluster"]["server"] = "https://127.0.0.1:1"
    other = tmp_path / "other"
    other.write_text(json.dumps(document))
    refusal = program.refused("install", "--region", "kr1", "--kubeconfig", str(other), code=4)
    assert str(other) in refusal.message
