"""``nksmesh bundle`` as a user runs it: from one real registry into a file, and from the file into another one.

The images are small ones of these tests under Istio's names; skopeo reads the bundle's layout as an oracle.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.adapters.registry.mirrors import ROOT, VERSION, environment, raw, run
from tests.adapters.registry.servers import Pusher, Server, registry

NAMES = ("pilot", "proxyv2")
BOTH = ("linux/amd64", "linux/arm64")
MOST_MB = 120


@pytest.fixture
def target(tmp_path: Path) -> Iterator[Server]:
    with registry(tmp_path / "target", on_disk=True) as server:
        yield server


@pytest.fixture(scope="module")
def charts(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The small charts of the examples, packed."""
    folder = tmp_path_factory.mktemp("charts")
    helm = Path(sys.executable).with_name("helm")
    for name in ("base", "istiod", "gateway"):
        run([str(helm), "package", str(ROOT / "examples" / "charts" / name), "-d", str(folder)], environment(folder))
    return str(folder)


def bundle(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "nksmesh", "bundle", *arguments, "-o", "json"]


def said(ended: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    return dict(json.loads(ended.stdout)["data"])


def test_images_go_through_a_file_with_their_digests(
    charts: str, pushed: Pusher, target: Server, tmp_path: Path
) -> None:
    digests = {name: pushed.push(f"bundled/{name}", VERSION, platforms=BOTH) for name in NAMES}
    env = environment(tmp_path / "home")
    file = tmp_path / "mesh.tar"
    mesh = ("--charts", charts, "--hub", f"{pushed.server.host}/bundled", "--version", VERSION, "--images")
    made = said(run(bundle("create", str(file), *mesh), env))
    assert {image["name"]: image["digest"] for image in made["contents"]["images"]} == {
        f"{name}:{VERSION}": digest for name, digest in digests.items()
    }
    assert made["sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
    assert all(image["platforms"] == list(BOTH) for image in made["contents"]["images"])
    again = said(run(bundle("create", str(tmp_path / "again.tar"), *mesh), env))
    assert again["sha256"] == made["sha256"]

    assert said(run(bundle("verify", str(file), "--sha256", made["sha256"]), env))["verified"] is True
    refused = run(bundle("verify", str(file), "--sha256", "0" * 64), env, code=3)
    assert "is not the file that --sha256 names" in refused.stdout

    to = f"{target.host}/closed/istio"
    sent = said(run(bundle("push", str(file), "--to", to), env))
    assert {image["image"]: (image["digest"], image["verified"]) for image in sent["images"]} == {
        f"{to}/{name}:{VERSION}": (digest, True) for name, digest in digests.items()
    }
    for name in NAMES:
        assert raw(target, f"closed/istio/{name}") == raw(pushed.server, f"bundled/{name}")
    resent = said(run(bundle("push", str(file), "--to", to), env))
    assert [image["moved_bytes"] for image in resent["images"]] == [0, 0]


def test_the_layout_in_it_is_one_that_others_read(charts: str, pushed: Pusher, target: Server, tmp_path: Path) -> None:
    if shutil.which("skopeo") is None:
        pytest.skip("there is no skopeo: apt-get install skopeo")
    digests = {name: pushed.push(f"laid/{name}", VERSION, platforms=BOTH) for name in NAMES}
    file = tmp_path / "mesh.tar"
    mesh = ("--charts", charts, "--hub", f"{pushed.server.host}/laid", "--version", VERSION, "--images")
    run(bundle("create", str(file), *mesh), environment(tmp_path / "home"))
    with tarfile.open(file) as tar:
        tar.extractall(tmp_path / "out", filter="data")
    subprocess.run(["sha256sum", "-c", "--quiet", "SHA256SUMS"], cwd=tmp_path / "out", check=True)
    for name, digest in digests.items():
        subprocess.run(
            [
                "skopeo",
                "--insecure-policy",
                "copy",
                "--all",
                "--preserve-digests",
                "--dest-tls-verify=false",
                f"oci:{tmp_path}/out/images:{name}:{VERSION}",
                f"docker://{target.host}/by-skopeo/{name}:{VERSION}",
            ],
            check=True,
            capture_output=True,
        )
        found = json.dumps(raw(target, f"by-skopeo/{name}"), separators=(",", ":"))
        assert found == json.dumps(raw(pushed.server, f"laid/{name}"), separators=(",", ":"))
        assert digest.startswith("sha256:")


def test_a_large_one_takes_no_more_memory_than_a_small_one(charts: str, target: Server, tmp_path: Path) -> None:
    with registry(tmp_path / "source", on_disk=True) as source:
        pusher = Pusher(source)
        for seed, name in enumerate(NAMES):
            layers = [hashlib.sha256(f"{seed}-{part}".encode()).digest() * (25_000_000 // 32) for part in range(4)]
            pusher.push(f"large/{name}", VERSION, layers=layers)
        env = environment(tmp_path / "home")
        file = tmp_path / "mesh.tar"
        mesh = ("--charts", charts, "--hub", f"{source.host}/large", "--version", VERSION, "--images")
        assert peak_mb(bundle("create", str(file), *mesh), env) < MOST_MB
    assert file.stat().st_size > 200_000_000
    assert peak_mb(bundle("verify", str(file)), env) < MOST_MB
    assert peak_mb(bundle("push", str(file), "--to", f"{target.host}/large"), env) < MOST_MB


def peak_mb(command: list[str], env: dict[str, str]) -> float:
    """Run a program to its end, and return the most memory that it had, in MB."""
    measured = (
        "import resource, subprocess, sys;"
        "code = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL).returncode;"
        "print(code, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    )
    ended = run([sys.executable, "-c", measured, *command], env)
    code, peak = ended.stdout.split()[-2:]
    assert code == "0", ended.stderr
    return int(peak) / 1024


def test_values_with_a_secret_go_in_only_on_request(charts: str, tmp_path: Path) -> None:
    folder = tmp_path / "meshes" / "values" / "environments" / "prod"
    folder.mkdir(parents=True)
    (tmp_path / "meshes" / "charts.lock").write_text("nksmesh: 1\ncharts: []\n")
    (folder / "mesh.yaml").write_text(f"hub: registry.example.com/istio\nversion: {VERSION}\n")
    (folder / "istiod.yaml").write_text("env:\n  API_PASSWORD: of-nobody\n")
    other = folder.parent / "other"
    other.mkdir()
    (other / "mesh.yaml").write_text("region: kr1\n")
    env, file = environment(tmp_path / "home"), tmp_path / "mesh.tar"
    create = ("create", str(file), "--dir", str(tmp_path / "meshes"), "-e", "prod", "--charts", charts)
    refused = run(bundle(*create), env, code=2)
    assert "env.API_PASSWORD" in refused.stdout
    assert "of-nobody" not in refused.stdout + refused.stderr
    assert not file.exists()
    made = said(run(bundle(*create, "--include-secrets"), env))
    paths = [entry["path"] for entry in made["contents"]["files"]]
    assert "values/environments/prod/istiod.yaml" in paths
    assert not any("environments/other" in path for path in paths)


def test_an_image_that_is_missing_leaves_no_file(charts: str, pushed: Pusher, tmp_path: Path) -> None:
    pushed.push("half/pilot", VERSION)
    file = tmp_path / "mesh.tar"
    mesh = ("--charts", charts, "--hub", f"{pushed.server.host}/half", "--version", VERSION, "--images")
    ended = run(bundle("create", str(file), *mesh), environment(tmp_path / "home"), code=3)
    assert f"half/proxyv2:{VERSION} does not exist" in ended.stdout
    assert [path.name for path in tmp_path.iterdir() if path.suffix == ".tar" or path.name.startswith(".mesh")] == []
