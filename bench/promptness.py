"""How soon a step is reported done after the last object it waits for became ready, as another process saw that."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from bench.contenders import Nksmesh, Ran
from bench.stage import MeasureError, Stage

_NAMESPACE: Final = "istio-system"
_WATCHED: Final = (
    "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
    f"/apis/apps/v1/namespaces/{_NAMESPACE}/deployments",
    f"/api/v1/namespaces/{_NAMESPACE}/pods",
    f"/api/v1/namespaces/{_NAMESPACE}/services",
    f"/api/v1/namespaces/{_NAMESPACE}/configmaps",
    f"/apis/discovery.k8s.io/v1/namespaces/{_NAMESPACE}/endpointslices",
    "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations",
)

Object = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Heard:
    """An object as it was at a moment (the monotonic clock's seconds)."""

    at: float
    item: Object


@contextmanager
def witnessed(stage: Stage) -> Iterator[list[Heard]]:
    """Watch the cluster for the time of a block; the list is filled when the block ends."""
    layout = stage.sandbox.layout
    server = stage.sandbox.status().server
    script = Path(__file__).with_name("witness.py")
    heard: list[Heard] = []
    with subprocess.Popen(
        [sys.executable, "-I", str(script), server, str(layout.certificates), *_WATCHED],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            if process.stdout is None or process.stdout.readline().strip() != "watching":
                raise MeasureError("the witness cannot watch the cluster")
            yield heard
            told, _ = process.communicate()
        finally:
            process.kill()
    heard += [Heard(at=event["at"], item=event["object"]) for event in map(json.loads, told.splitlines())]


def delays(stage: Stage, nksmesh: Nksmesh, profile: str) -> tuple[dict[str, float], Ran]:
    """Install on an empty cluster; return for each step that waits how late it was reported done, and the run."""
    stage.empty()
    with witnessed(stage) as heard:
        ran = nksmesh.run(profile, "-o", "json")
    heard.sort(key=lambda event: event.at)
    done = {line.step: line.at for line in ran.said if line.word == "done"}
    return {step: done[step] - ready for step, ready in _ready_moments(heard, done).items()}, ran


def _ready_moments(heard: list[Heard], steps: Iterable[str]) -> dict[str, float]:
    """Return for each step the moment that the last object it waits for became ready."""
    istiod = _last(heard, "Deployment", _is_available, "istiod")
    found = {
        "istiod": istiod,
        "injection webhook": max(
            istiod,
            _last(heard, "MutatingWebhookConfiguration", _has_bundles),
            _last(heard, "ConfigMap", lambda manifest: bool(manifest.get("data")), "istio-ca-root-cert"),
            _last(heard, "EndpointSlice", _has_endpoint, service="istiod"),
        ),
    }
    if "CRDs" in steps:
        found["CRDs"] = _last(heard, "CustomResourceDefinition", _is_established)
    for gateway in (step for step in steps if step.endswith("gateway")):
        moments = [
            _last(heard, "Deployment", _is_available, gateway),
            _last(heard, "Pod", _is_ready_pod, prefix=f"{gateway}-"),
        ]
        if any(_name(event.item) == gateway and event.item["spec"].get("type") == "LoadBalancer" for event in heard):
            moments.append(_last(heard, "Service", _has_address, gateway))
        found[gateway] = max(moments)
    return found


def _last(
    heard: list[Heard],
    kind: str,
    good: Callable[[Object], bool],
    name: str = "",
    *,
    prefix: str = "",
    service: str = "",
) -> float:
    """Return when the last of the objects meant became good, for the first time."""
    moments: dict[str, float] = {}
    unmet: set[str] = set()
    for event in heard:
        item = event.item
        labels = item["metadata"].get("labels") or {}
        meant = item["kind"] == kind and _name(item).startswith(prefix) and name in {"", _name(item)}
        if not meant or (service and labels.get("kubernetes.io/service-name") != service):
            continue
        if good(item):
            moments.setdefault(_name(item), event.at)
        else:
            unmet.add(_name(item))
    if not moments or unmet - moments.keys():
        raise MeasureError(f"the witness saw no ready {kind} {name or prefix or service}: {sorted(unmet)}")
    return max(moments.values())


def _name(item: Object) -> str:
    return str(item["metadata"]["name"])


def _is_established(crd: Object) -> bool:
    return _condition(crd, "Established")


def _is_available(deployment: Object) -> bool:
    status, wanted = deployment.get("status") or {}, deployment["spec"].get("replicas", 1)
    seen = status.get("observedGeneration", 0) >= deployment["metadata"]["generation"]
    return bool(seen and status.get("updatedReplicas") == wanted == status.get("availableReplicas"))


def _is_ready_pod(pod: Object) -> bool:
    return _condition(pod, "Ready")


def _has_address(service: Object) -> bool:
    return bool(((service.get("status") or {}).get("loadBalancer") or {}).get("ingress"))


def _has_bundles(configuration: Object) -> bool:
    return all((webhook["clientConfig"]).get("caBundle") for webhook in configuration.get("webhooks") or ())


def _has_endpoint(endpoints: Object) -> bool:
    return any((endpoint.get("conditions") or {}).get("ready") for endpoint in endpoints.get("endpoints") or ())


def _condition(item: Object, kind: str) -> bool:
    conditions = (item.get("status") or {}).get("conditions") or ()
    return any(condition["type"] == kind and condition["status"] == "True" for condition in conditions)
