"""``install --bundle``: a mesh from one file, on a cluster without internet; every connection is looked at."""

from __future__ import annotations

import ast
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from nksmesh.sandbox.sandbox import Sandbox
from tests.adapters.registry.servers import Pusher, registry
from tests.cluster.program import ROOT, Program, Ran
from tests.cluster.reader import Reader
from tests.sandbox.test_registry import host_of, login_of

pytestmark = pytest.mark.cluster

VERSION, CURRENT = "1.20.0", "1.30.2"
WATCHER = """
import os, sys

def look(event, arguments):
    if event == "socket.connect":
        with open(os.environ["CONNECTIONS"], "a") as log:
            log.write(f"{arguments[1]!r}\\n")

sys.addaudithook(look)
"""
"""Python runs it before anything else (sitecustomize), and hears of every connection of the process."""


def warned(ran: Ran) -> list[str]:
    return [finding["message"] for finding in ran.data["findings"] if finding["level"] == "warning"]


@pytest.mark.kubernetes("1.34")
def test_a_mesh_is_installed_from_a_file_and_nobody_else_is_asked(
    istio: Program, cluster: Reader, sandbox: Sandbox, tmp_path: Path
) -> None:
    with registry(tmp_path / "registry") as server:
        for name in ("pilot", "proxyv2"):
            Pusher(server).push(f"istio/{name}", CURRENT, platforms=("linux/amd64",))
        mesh = ("--hub", f"{server.host}/istio", "--version", CURRENT, "--charts", istio.charts)
        sha256 = istio("bundle", "create", "mesh.tar", *mesh, "--images").data["sha256"]

    # From here on there is the API server, the registry that the nodes pull from, and nothing else.
    host, login, log = host_of(sandbox), login_of(sandbox), tmp_path / "connections"
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(WATCHER)
    own = {
        "NKSMESH_NO_CHECK_IMAGES": "",
        "NKSMESH_CACHE": str(tmp_path / "cache"),
        "NKSMESH_REGISTRY_USERNAME": login.username,
        "NKSMESH_REGISTRY_PASSWORD": login.password,
        "PYTHONPATH": f"{tmp_path / 'site'}:{ROOT}",
        "CONNECTIONS": str(log),
        # Whatever Helm asks beside the API server goes to a proxy that is not there, and fails the run.
        "HTTPS_PROXY": "http://127.0.0.1:9",
        "HTTP_PROXY": "http://127.0.0.1:9",
        "NO_PROXY": "127.0.0.1",
    }
    closed = replace(istio, charts="", environment=own)
    hub = f"{host}/closed/istio"
    ended(closed, "bundle", "push", "mesh.tar", "--to", hub, "--sha256", sha256)
    options = ("--bundle", "mesh.tar", "--sha256", sha256, "--hub", hub, "--create-pull-secret", "--yes")
    installed = ended(closed, "install", *options)
    told = [finding["message"] for finding in installed["findings"] if finding["level"] == "warning"]
    assert [message for message in told if "can read the password" not in message] == []
    assert cluster.images("app=istiod") == {f"{hub}/pilot:{CURRENT}"}
    assert cluster.images("istio=ingressgateway") == {f"{hub}/proxyv2:{CURRENT}"}
    assert ended(closed, "check", "--offline")["counts"]["failure"] == 0
    (entry,) = yaml.safe_load(istio.kubeconfig.read_text())["clusters"]
    allowed = {urlsplit(entry["cluster"]["server"]).port, int(host.rpartition(":")[2])}
    connected = [ast.literal_eval(line) for line in log.read_text().splitlines()]
    assert connected
    assert {(address[0], address[1]) for address in connected} <= {("127.0.0.1", port) for port in allowed}

    # the charts are in the cache from then on, as if they had been fetched
    assert all(step["action"] in {"keep", "prove"} for step in ended(closed, "install", "--offline")["steps"])
    later = ("upgrade", "--to", "1.30.3", "--offline", "--force-version")
    assert "came in a bundle, and is not in the cache" in closed(*later, code=3).error["message"]
    elsewhere = closed(*later, "--charts", "https://charts.invalid", code=3).error
    assert "is not in the cache, and --offline fetches nothing" in elsewhere["message"]


def ended(program: Program, *arguments: str) -> dict[str, Any]:
    """Run the program as a process of its own to a good end; return its data."""
    process = program.start(*arguments)
    stdout, stderr = process.communicate(timeout=120)
    assert process.returncode == 0, stdout + stderr
    return dict(json.loads(stdout)["data"])


@pytest.mark.parametrize(
    ("harm", "options", "words"),
    [
        (lambda whole: whole[:-20_000], (), "no bundle that can be used"),
        (
            lambda whole: whole.replace(b'"name": "istiod"', b'"name": "istioe"', 1),
            (),
            "has no charts/istioe-1.20.0.tgz",
        ),
        (
            lambda whole: whole.replace(b"nksmesh may install", b"nksmesh may inst@ll"),
            (),
            "is not what bundle.json lists",
        ),
        (lambda whole: whole, ("--sha256", "0" * 64), "is not the file that --sha256 names"),
    ],
    ids=["truncated", "foreign", "tampered", "another"],
)
def test_a_bundle_that_is_not_what_it_was_is_refused_with_nothing_written(
    istio: Program, cluster: Reader, harm: Callable[[bytes], bytes], options: tuple[str, ...], words: str
) -> None:
    mesh = ("--hub", "registry.invalid/istio", "--version", VERSION)
    istio("bundle", "create", "mesh.tar", *mesh, "--charts", istio.charts)
    file = istio.folder / "mesh.tar"
    file.write_bytes(harm(file.read_bytes()))
    before = cluster.everything()
    refused = replace(istio, charts="")("install", "--bundle", "mesh.tar", *mesh, *options, code=3)
    assert words in refused.error["message"]
    assert cluster.everything() == before


def test_charts_that_a_lock_outside_of_the_bundle_pins_otherwise_are_refused(istio: Program, cluster: Reader) -> None:
    mesh = ("--hub", "registry.invalid/istio", "--version", VERSION)
    made = istio("bundle", "create", "mesh.tar", *mesh, "--charts", istio.charts)
    charts = made.data["contents"]["charts"]
    closed = replace(istio, charts="")

    def lock(change: Callable[[str], str]) -> None:
        entries = [
            {"chart": one["name"], "version": one["version"], "source": one["source"]}
            | {"sha256": change(one["digest"].removeprefix("sha256:"))}
            for one in charts
        ]
        (istio.folder / "charts.lock").write_text(yaml.safe_dump({"nksmesh": 1, "charts": entries}))

    before = cluster.everything()
    unvouched = closed("install", "--bundle", "mesh.tar", *mesh, "--dry-run")
    assert any("covers not its charts either" in message for message in warned(unvouched))
    lock(lambda digest: digest)
    vouched = closed("install", "--bundle", "mesh.tar", *mesh, "--dry-run")
    assert any("covers its charts alone" in message for message in warned(vouched))
    lock(lambda digest: "0" * len(digest))
    refused = closed("install", "--bundle", "mesh.tar", *mesh, code=3).error
    assert "is not the archive that" in refused["message"]
    assert "charts.lock pins" in refused["message"]
    assert cluster.everything() == before
