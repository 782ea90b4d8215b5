"""``install --bundle``: a mesh from one file, on a cluster without internet; every connection is looked at."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml

from tests.adapters.registry.servers import Pusher, registry
from tests.cluster.program import ROOT, Program, Ran
from tests.cluster.reader import Reader

pytestmark = pytest.mark.cluster

VERSION = "1.20.0"
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


def test_a_mesh_is_installed_from_a_file_and_nobody_else_is_asked(
    istio: Program, cluster: Reader, tmp_path: Path
) -> None:
    del cluster
    closed = replace(
        istio, charts="", environment={"NKSMESH_NO_CHECK_IMAGES": "", "NKSMESH_CACHE": str(tmp_path / "c")}
    )
    with registry(tmp_path / "registry") as server:
        for name in ("pilot", "proxyv2"):
            Pusher(server).push(f"istio/{name}", VERSION, platforms=("linux/amd64",))
        hub = f"{server.host}/istio"
        made = istio(
            "bundle", "create", "mesh.tar", "--hub", hub, "--version", VERSION, "--charts", istio.charts, "--images"
        )

        (tmp_path / "site").mkdir()
        (tmp_path / "site" / "sitecustomize.py").write_text(WATCHER)
        log = tmp_path / "connections"
        watched = {"PYTHONPATH": f"{tmp_path / 'site'}:{ROOT}", "CONNECTIONS": str(log)}
        # Whatever Helm asks beside the API server goes to a proxy that is not there, and fails the run.
        away = {"HTTPS_PROXY": "http://127.0.0.1:9", "HTTP_PROXY": "http://127.0.0.1:9", "NO_PROXY": "127.0.0.1"}
        program = replace(closed, environment={**closed.environment, **watched, **away})
        sha256 = made.data["sha256"]
        process = program.start("install", "--bundle", "mesh.tar", "--sha256", sha256, "--hub", hub)
        stdout, stderr = process.communicate(timeout=120)
        assert process.returncode == 0, stderr
        assert not [one for one in json.loads(stdout)["data"]["findings"] if one["level"] == "warning"]
        (entry,) = yaml.safe_load(istio.kubeconfig.read_text())["clusters"]
        allowed = {urlsplit(entry["cluster"]["server"]).port, int(server.host.rpartition(":")[2])}
        connected = [eval(line) for line in log.read_text().splitlines()]  # noqa: S307 - what the watcher wrote
        assert connected
        assert {(address[0], address[1]) for address in connected} <= {("127.0.0.1", port) for port in allowed}

    # the charts are in the cache from then on, as if they had been fetched
    later = replace(closed, environment={**closed.environment, "NKSMESH_NO_CHECK_IMAGES": "1"})
    assert later("install", "--offline").changes == {}
    missing = later("upgrade", "--to", "1.20.1", "--offline", code=3).error
    assert "is not in the cache, and --offline fetches nothing" in missing["message"]


@pytest.mark.parametrize(
    ("harm", "options", "words"),
    [
        (lambda whole: whole[:-20_000], (), "no bundle that can be used"),
        (
            lambda whole: whole.replace(b'"name": "istiod"', b'"name": "istioe"', 1),
            (),
            "has no charts/istioe-1.20.0.tgz",
        ),
        (lambda whole: whole[:5000] + bytes([whole[5000] ^ 1]) + whole[5001:], (), "is not what bundle.json lists"),
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
    assert any("vouches for its charts" in message for message in warned(unvouched))
    lock(lambda digest: digest)
    vouched = closed("install", "--bundle", "mesh.tar", *mesh, "--dry-run")
    assert not any("vouches" in message for message in warned(vouched))
    lock(lambda digest: "0" * len(digest))
    refused = closed("install", "--bundle", "mesh.tar", *mesh, code=3).error
    assert "is not the archive that" in refused["message"]
    assert "charts.lock pins" in refused["message"]
    assert cluster.everything() == before
