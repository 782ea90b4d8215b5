"""A mesh from the sandbox's own registry: its nodes pull from it, with the pods' pull secret or not at all."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from nksmesh.sandbox.sandbox import Sandbox
from tests.cluster.program import Program
from tests.cluster.reader import Reader
from tests.cluster.test_environments import write
from tests.sandbox.test_registry import host_of, login_of, push, secret

pytestmark = [pytest.mark.cluster, pytest.mark.kubernetes("1.34")]

VERSION = "1.20.0"  # of the charts in examples/charts, and too old for this Kubernetes


@pytest.fixture
def own(mesh: Program, sandbox: Sandbox) -> Program:
    """The program in a folder with an environment of the sandbox's registry, which has pilot and no proxyv2."""
    settings = {
        "hub": f"{host_of(sandbox)}/istio",
        "version": VERSION,
        "profile": "default",
        "pull_secrets": ["registry"],
    }
    (mesh.folder / "charts.lock").write_text("nksmesh: 1\ncharts: []\n")
    write(mesh.folder, "own", mesh=settings)
    push(sandbox, "istio/pilot", tag=VERSION)
    return mesh


def give_secrets(cluster: Reader, sandbox: Sandbox, *, wrong: bool = False) -> None:
    login = login_of(sandbox)
    given = replace(login, password=login.password[:-1]) if wrong else login
    cluster.post("/api/v1/namespaces", {"metadata": {"name": "istio-system"}})
    cluster.post("/api/v1/namespaces/istio-system/secrets", secret("registry", host_of(sandbox), given))


def test_what_the_nodes_cannot_pull_ends_an_install_with_their_words(
    own: Program, cluster: Reader, sandbox: Sandbox
) -> None:
    give_secrets(cluster, sandbox)
    image = f"{host_of(sandbox)}/istio/proxyv2:{VERSION}"
    failed = own("install", "-e", "own", "--force-version", code=6)
    assert failed.seconds < 60
    assert f"{image}: not found" in json.dumps(failed.envelope)

    push(sandbox, "istio/proxyv2", tag=VERSION)
    own("install", "-e", "own", "--force-version")
    assert own("status").data["ready"]
    assert cluster.images("app=istiod") == {f"{host_of(sandbox)}/istio/pilot:{VERSION}"}


def test_a_wrong_pull_secret_is_the_reason_that_an_install_gives(
    own: Program, cluster: Reader, sandbox: Sandbox
) -> None:
    give_secrets(cluster, sandbox, wrong=True)
    failed = own("install", "-e", "own", "--force-version", code=6)
    assert failed.seconds < 60
    assert "401 Unauthorized" in json.dumps(failed.envelope)
    assert login_of(sandbox).password not in failed.stdout + failed.stderr
