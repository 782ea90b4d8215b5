"""Eyes for tests of canaries: which injector a new pod would get, which proxies run, and a run that is killed."""

from __future__ import annotations

import signal

import pytest

from tests.cluster.program import Program
from tests.cluster.reader import Reader

HUB = "registry.example.com/istio"
INGRESS = "istio=ingressgateway"


def injected(cluster: Reader, namespace: str, **labels: str) -> tuple[str, str]:
    """Return the proxy's version and the Istio revision that a new pod would get; empty where it gets none."""
    body = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "asked", "labels": labels},
        "spec": {"containers": [{"name": "app", "image": "example/a"}]},
    }
    pod = cluster.post(f"/api/v1/namespaces/{namespace}/pods?dryRun=All", body)
    found = [container["image"] for container in pod["spec"]["containers"] if container["name"] == "istio-proxy"]
    version = found[0].rpartition(":")[2] if found else ""
    return version, (pod["metadata"].get("annotations") or {}).get("istio.io/rev", "")


def proxies(cluster: Reader, labels: str, namespace: str = "istio-system") -> set[str]:
    """Name the versions of the proxies that the pods of a label selector run."""
    return {image.rpartition(":")[2] for image in cluster.images(labels, namespace) if image.startswith(HUB)}


def killed_at(program: Program, words: str, *arguments: str) -> None:
    """Kill a run as soon as it says something."""
    running = program.start(*arguments)
    assert running.stderr is not None
    for line in running.stderr:
        if words in line:
            break
    else:
        pytest.fail(f"{words!r} was not said")
    running.send_signal(signal.SIGKILL)
    running.communicate()
