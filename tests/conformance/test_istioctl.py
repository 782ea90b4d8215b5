"""``nksmesh istioctl`` with a real istioctl, on a mesh whose istiod is simulated."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from nksmesh.sandbox.sandbox import Sandbox
from tests.cluster.program import Program
from tests.cluster.reader import Reader, reader_of
from tests.real_istioctl import with_istioctl

pytestmark = [pytest.mark.cluster, pytest.mark.conformance]

ROUTES: Final = "/apis/networking.istio.io/v1/namespaces/default/virtualservices"
ROUTE: Final[dict[str, Any]] = {
    "apiVersion": "networking.istio.io/v1",
    "kind": "VirtualService",
    "metadata": {"name": "bookinfo", "namespace": "default"},
    "spec": {
        "hosts": ["*"],
        "gateways": ["bookinfo-gateway"],
        "http": [{"route": [{"destination": {"host": "productpage"}}]}],
    },
}


@pytest.fixture(scope="module")
def istioctl(module_sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory, real_charts: Path) -> Program:
    """The program on an empty cluster, with a real istioctl in a cache of its own."""
    folder = tmp_path_factory.mktemp("istioctl")
    program = Program(kubeconfig=module_sandbox.kubeconfig, folder=folder, charts=str(real_charts))
    return with_istioctl(program, folder)


@pytest.fixture(scope="module")
def cluster(module_sandbox: Sandbox) -> Iterator[Reader]:
    """Eyes on that cluster."""
    with reader_of(module_sandbox.kubeconfig) as reader:
        yield reader


def test_its_own_errors_and_exit_codes_come_through(istioctl: Program) -> None:
    unknown = istioctl("istioctl", "--", "no-such-command", code=None, output="")
    assert unknown.code not in {0, None}
    assert "no-such-command" in unknown.stderr
    without = istioctl("istioctl", "proxy-status", code=3)
    assert without.error["code"] == "istioctl"
    assert without.error["detail"]


def test_a_real_istioctl_finds_what_is_wrong_and_what_was_mended(istioctl: Program, cluster: Reader) -> None:
    version = json.loads(istioctl("istioctl", "--", "version", "--remote=false", "-o", "json", output="").stdout)
    istioctl("install", "--hub", "registry.example/istio", "--version", "1.24.6")
    cluster.apply(f"{ROUTES}/bookinfo", ROUTE, "a-user")

    found = istioctl("istioctl", "analyze", "-n", "default", code=7).data
    assert found["istioctl"] == version["clientVersion"]["version"]
    first = found["messages"][0]
    assert (first["id"], first["code"], first["level"]) == ("istioctl.analyzer-message", "IST0101", "failure")
    assert first["subject"] == "VirtualService default/bookinfo"
    assert first["documentation"].endswith("/ist0101/")
    shown = istioctl("istioctl", "analyze", code=7, output="").stdout
    assert "IST0101" in shown
    assert "in all namespaces: " in shown

    cluster.delete(f"{ROUTES}/bookinfo")
    mended = istioctl("istioctl", "analyze", "-n", "default").data
    assert {message["level"] for message in mended["messages"]} <= {"note", "warning"}
    gone = istioctl("istioctl", "analyze", "-n", "nowhere", code=3)
    assert 'namespace "nowhere" not found' in gone.error["detail"]
