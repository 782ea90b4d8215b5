"""``nksmesh images mirror`` as a user runs it: killed and run again, 200 MB, charts that Helm reads, no secret told."""

from __future__ import annotations

import base64
import json
import os
import signal
import sys
import threading
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest

from tests.adapters.registry.mirrors import ROOT, VERSION, environment, program, run, running
from tests.adapters.registry.relay import relay
from tests.adapters.registry.servers import Pusher, Server, TokenService, registry, token_service

NAMES = ("pilot", "proxyv2")
MOST_MB = 120
PASSWORD = "pa55-of-the-member"  # noqa: S105 - what must not show


@pytest.fixture(scope="module")
def charts(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The small charts of the examples, packed."""
    folder = tmp_path_factory.mktemp("charts")
    for name in ("base", "istiod", "gateway"):
        run([str(helm()), "package", str(ROOT / "examples" / "charts" / name), "-d", str(folder)], environment(folder))
    return str(folder)


def helm() -> Path:
    return Path(sys.executable).with_name("helm")


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with registry(tmp_path_factory.mktemp("target"), on_disk=True) as server:
        yield server


def layers_of(seed: int, count: int, size: int) -> list[bytes]:
    """Make layers that no compression makes smaller, the same each time."""
    return [sha256(f"{seed}-{number}".encode()).digest() * (size // 32) for number in range(count)]


def test_after_a_kill_only_what_is_missing_is_sent(charts: str, target: Server, pushed: Pusher, tmp_path: Path) -> None:
    sizes: dict[str, int] = {}
    for seed, name in enumerate(NAMES):
        layers = layers_of(seed, 4, 2_000_000)
        pushed.push(f"killed/{name}", VERSION, layers=layers)
        sizes |= {f"sha256:{sha256(layer).hexdigest()}": len(layer) for layer in layers}
    env = environment(tmp_path / "home")
    with relay(target.host) as relayed:
        written: list[str] = []
        enough, over = threading.Event(), threading.Event()

        def hold(digest: str) -> None:
            written.append(digest)
            if len(written) == 4:
                enough.set()
            if len(written) > 3:
                over.wait(60)  # written, and nobody hears of it

        relayed.written = hold
        command = program(
            "--charts", charts, "--from", f"{pushed.server.host}/killed", "--to", f"{relayed.host}/killed/istio"
        )
        with running(command, env) as process:
            assert enough.wait(60)
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
        over.set()
        relayed.rest()
        relayed.written = lambda _: None
        there = {digest for digest in sizes if digest in written}
        assert there
        assert len(there) < len(sizes)
        relayed.forget()

        told = json.loads(run([*command, "-o", "json"], env).stdout)["data"]

        assert not there & relayed.up.keys()
        assert {digest: relayed.up[digest] for digest in sizes.keys() - there} == {
            digest: size for digest, size in sizes.items() if digest not in there
        }
        assert all(image["verified"] for image in told["images"])


def test_200_mb_take_little_memory(charts: str, target: Server, tmp_path: Path) -> None:
    with registry(tmp_path / "source", on_disk=True) as source:
        pusher = Pusher(source)
        for seed, name in enumerate(NAMES):
            pusher.push(f"istio/{name}", VERSION, layers=layers_of(seed, 4, 25_000_000))
        command = program("--charts", charts, "--from", f"{source.host}/istio", "--to", f"{target.host}/large")
        peak = tmp_path / "peak"
        measured = [sys.executable, str(ROOT / "bench" / "measured.py"), str(peak), *command[3:]]
        ended = run(measured, environment(tmp_path / "home"))
    assert "200 MB sent" in ended.stdout
    assert int(peak.read_text()) / 1024 <= MOST_MB


def test_images_of_add_ons_go_where_image_hub_finds_them(
    charts: str, target: Server, pushed: Pusher, tmp_path: Path
) -> None:
    for name in NAMES:
        pushed.push(f"beside/{name}", VERSION)
    addon = f"{pushed.server.host}/others/kiali"
    pushed.push("others/kiali", "v1.76")
    file = tmp_path / "kiali.yaml"
    pod = {"metadata": {"name": "kiali"}, "spec": {"containers": [{"name": "kiali", "image": f"{addon}:v1.76"}]}}
    file.write_text(json.dumps({"apiVersion": "v1", "kind": "Pod", **pod}))
    to = f"{target.host}/beside/istio"
    command = program("--charts", charts, "--from", f"{pushed.server.host}/beside", "--to", to, "--addons", str(file))
    told = json.loads(run([*command, "-o", "json"], environment(tmp_path / "home")).stdout)["data"]
    copies = {image["image"]: image["verified"] for image in told["images"]}
    assert copies == {f"{to}/{name}": True for name in ("kiali:v1.76", *(f"{name}:{VERSION}" for name in NAMES))}
    assert not told["findings"]


def test_charts_are_copied_as_helm_reads_them(charts: str, target: Server, pushed: Pusher, tmp_path: Path) -> None:
    for name in NAMES:
        pushed.push(f"charted/{name}", VERSION)
    env = environment(tmp_path / "home")
    to = f"{target.host}/charted/istio"
    command = program("--charts", charts, "--from", f"{pushed.server.host}/charted", "--to", to, "--charts-too")
    told = json.loads(run([*command, "-o", "json"], env).stdout)["data"]
    assert told["next_command"] == f"nksmesh install --hub {to} --version {VERSION} --charts {charts}"
    assert {image["image"].rpartition("/")[2] for image in told["images"] if "/charts/" in image["image"]} == {
        f"{name}:{VERSION}" for name in ("base", "istiod", "gateway")
    }
    pulled = tmp_path / "pulled"
    pulled.mkdir()
    for name in ("base", "istiod", "gateway"):
        chart = f"oci://{to}/charts/{name}"
        run([str(helm()), "pull", chart, "--version", VERSION, "--plain-http", "-d", str(pulled)], env)
        archive = f"{name}-{VERSION}.tgz"
        assert (pulled / archive).read_bytes() == (Path(charts) / archive).read_bytes()
        assert f"version: {VERSION}" in run([str(helm()), "show", "chart", chart, "--plain-http"], env).stdout
    run([str(helm()), "push", str(Path(charts) / f"istiod-{VERSION}.tgz"), f"oci://{to}/charts", "--plain-http"], env)
    again = json.loads(run([*command, "-o", "json"], env).stdout)["data"]
    assert {image["state"] for image in again["images"]} == {"there"}, "the same archive, whoever pushed it"


@pytest.fixture(scope="module")
def roles(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TokenService]:
    with token_service(tmp_path_factory.mktemp("roles"), {"member": PASSWORD, "viewer": PASSWORD}) as service:
        service.may = {"viewer": {"pull"}}
        yield service


def test_no_secret_shows_anywhere(charts: str, pushed: Pusher, roles: TokenService, tmp_path: Path) -> None:
    for name in NAMES:
        pushed.push(f"secret/{name}", VERSION)
    with registry(tmp_path / "closed", auth=roles.auth) as closed:
        command = program(
            "-v",
            "--debug",
            "--charts",
            charts,
            "--from",
            f"{pushed.server.host}/secret",
            "--to",
            f"{closed.host}/istio",
        )
        home = tmp_path / "home"
        secrets = (PASSWORD, base64.b64encode(f"member:{PASSWORD}".encode()).decode(), "eyJ")
        for user, password, code in (("member", PASSWORD, 0), ("viewer", PASSWORD, 3), ("member", "wr0ng-one", 3)):
            env = environment(home, NKSMESH_REGISTRY_USERNAME=user, NKSMESH_REGISTRY_PASSWORD=password)
            to = [
                word.replace("/istio", f"/istio-{user}") if word.startswith(closed.host) else word for word in command
            ]
            for more in ([], ["-o", "json"]):
                with running([*to, *more], env) as process:
                    listed = Path(f"/proc/{process.pid}/cmdline").read_bytes().decode()
                    out, err = process.communicate(timeout=60)
                assert process.returncode == code, err
                assert not [secret for secret in (*secrets, password) if secret in out + err + listed]
        kept = [path.read_bytes() for path in home.rglob("*") if path.is_file()]
        assert not [secret for secret in secrets[:2] if any(secret.encode() in content for content in kept)]


def test_a_hub_that_is_the_source_is_refused(charts: str, pushed: Pusher, tmp_path: Path) -> None:
    hub = f"{pushed.server.host}/istio"
    command = program("--charts", charts, "--from", hub, "--to", hub)
    assert f"--to {hub} is where the images are" in run(command, environment(tmp_path), code=2).stderr


def test_a_missing_image_is_exit_code_3(charts: str, pushed: Pusher, target: Server, tmp_path: Path) -> None:
    pushed.push("half/pilot", VERSION)
    command = program("--charts", charts, "--from", f"{pushed.server.host}/half", "--to", f"{target.host}/half-too")
    ended = run(command, environment(tmp_path), code=3)
    assert "half/proxyv2:1.20.0 does not exist" in ended.stderr
    assert "hint: Check the version, or pass another --from." in ended.stderr
    assert not [request for request in target.requests if "half-too" in request and request[:3] in {"PUT", "POS"}]


@pytest.mark.parametrize(
    ("options", "host"), [((), "registry-1.docker.io"), (("--region", "kr1"), "dfe965c3-kr1-registry.container")]
)
def test_without_from_it_is_istios_registry_or_that_of_the_region(
    options: tuple[str, ...], host: str, charts: str, target: Server, tmp_path: Path
) -> None:
    """Nothing is reached: the proxy on the way is not there."""
    env = environment(tmp_path, HTTPS_PROXY="http://127.0.0.1:1", NO_PROXY="127.0.0.1")
    ended = run(program("--charts", charts, "--to", f"{target.host}/x", *options), env, code=3)
    assert f"the registry {host}" in ended.stderr
    assert "through the proxy http://127.0.0.1:1" in ended.stderr
    assert ended.stderr.count("cannot be reached") == 1, "told once, not for each image"


def test_an_image_outside_of_the_hub_is_left_out_with_a_warning(
    charts: str, pushed: Pusher, target: Server, tmp_path: Path
) -> None:
    pushed.push("outside/pilot", VERSION)
    other = f"elsewhere.example.com/proxyv2:{VERSION}"
    command = program(
        *("--charts", charts, "--from", f"{pushed.server.host}/outside", "--to", f"{target.host}/outside/istio"),
        *("--set", f"istiod:global.proxy.image={other}", "--allow-image", "elsewhere.example.com"),
        *("--set", f"istiod:global.proxy_init.image={other}"),
    )
    ended = run([*command, "-o", "json"], environment(tmp_path))
    told = json.loads(ended.stdout)
    assert [image["image"] for image in told["data"]["images"]] == [f"{target.host}/outside/istio/pilot:{VERSION}"]
    assert f"{other} is not in {pushed.server.host}/outside, and was not copied" in json.dumps(told)
