"""Rows on real proxies: the NKS guide against its own commands, and how long a look at many proxies takes."""

from __future__ import annotations

import json
import shlex
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from bench.contenders import Ran, timed
from bench.figures import Pairs, Row, Singles
from bench.stage import MeasureError, Stage
from nksmesh.domain.guide.walk import GATEWAY
from nksmesh.sandbox.builds import ISTIO, ISTIO_VERSION
from nksmesh.sandbox.data_plane.state import STATE_FILE

if TYPE_CHECKING:
    from bench.rows import Bench

HUB: Final = "docker.io/istio"
PROXIES: Final = 50
SERVICES: Final = 10
WINDOW: Final = 3

_NAMESPACE: Final = "shops"
_INSTANCES: Final = Path("/proc/sys/fs/inotify/max_user_instances")
_OF_SANDBOX, _OF_PROXY = 8, 2
"""The inotify instances that a sandbox takes, and each pilot-agent (docs/sandbox.md)."""

_LONGEST: Final = 600.0

# The guide's commands in their order. The script waits where a reader looks again until pods run or the page answers.
_THERE: Final = """
istioctl install --set profile=demo --set hub=$REGISTRY -y
kubectl get all -n istio-system
kubectl label namespace default istio-injection=enabled
kubectl apply -f samples/bookinfo/platform/kube/bookinfo.yaml
kubectl wait --for=condition=Available deployment --all --timeout=120s
kubectl get svc,pods
ratings=$(kubectl get pod -l app=ratings -o jsonpath='{.items[0].metadata.name}')
title='<title>.*</title>'
kubectl exec "$ratings" -c ratings -- curl -sS productpage:9080/productpage | grep -o "$title"
kubectl apply -f samples/bookinfo/networking/bookinfo-gateway.yaml
of_gateway="kubectl -n istio-system get service $GATEWAY -o"
INGRESS_HOST=$($of_gateway jsonpath='{.status.loadBalancer.ingress[0].ip}')
INGRESS_PORT=$($of_gateway jsonpath='{.spec.ports[?(@.name=="http2")].port}')
GATEWAY_URL=$INGRESS_HOST:$INGRESS_PORT
# The sandbox's load balancer answers on loopback.
relay=$(grep -o "\\"$GATEWAY_URL\\": [0-9]*" "$RELAYS" | grep -o '[0-9]*$')
end=$((SECONDS + 120))
until curl -sS --connect-to "$GATEWAY_URL:127.0.0.1:$relay" "http://$GATEWAY_URL/productpage" | grep -o "$title"; do
  [ $SECONDS -lt $end ]
  sleep 0.1
done
split=samples/bookinfo/networking/virtual-service-reviews-80-20.yaml
kubectl apply -f $split -f samples/bookinfo/networking/destination-rule-reviews.yaml
sed 's/weight: 80/weight: 0/; s/weight: 20/weight: 100/' $split | kubectl apply -f -
kubectl get virtualservice,destinationrule
"""
_BACK: Final = """
kubectl delete -f samples/bookinfo/networking/virtual-service-reviews-80-20.yaml \
  -f samples/bookinfo/networking/destination-rule-reviews.yaml
kubectl delete -f samples/bookinfo/networking/bookinfo-gateway.yaml
kubectl delete -f samples/bookinfo/platform/kube/bookinfo.yaml
kubectl wait --for=delete pod --all --timeout=120s
istioctl uninstall --purge -y
kubectl delete namespace istio-system
kubectl label namespace default istio-injection-
kubectl delete configmap --all-namespaces -l istio.io/config=true
"""


def guide(bench: Bench) -> list[Row]:
    """Walk the guide from nothing to the page and back to nothing: with nksmesh and by its own commands, in turn."""
    seconds: dict[str, list[float]] = {"nksmesh": [], "by hand": []}
    with bench.stage.another(with_data_plane=True) as stage:
        for number in range(bench.pairs):
            for way, walk in (("nksmesh", _walk), ("by hand", _by_hand)):
                stage.empty()
                there, back = walk(stage)
                _check_empty(stage, way)
                seconds[way].append(there.seconds + back.seconds)
                parts = bench.details.setdefault(f"the guide, {way}", {})
                for part, ran in (("there", there), ("back", back)):
                    parts.setdefault(part, []).append(ran.seconds)
                    for heading, took in _steps(ran):
                        parts.setdefault(f"{part}, {heading}", []).append(took)
                bench.tell(f"guide {number + 1}, {way}: {there.seconds:.1f} s there, {back.seconds:.1f} s back")
    what = "guide to the page and back, data plane : its istioctl and kubectl commands"
    ours, theirs = tuple(seconds["nksmesh"]), tuple(seconds["by hand"])
    return [Pairs(name="guide", what=what, ours=ours, theirs=theirs, target=1.0)]


def _walk(stage: Stage) -> tuple[Ran, Ran]:
    command = [*stage.nksmesh, "guide"]
    where = ["--hub", HUB, "--version", ISTIO_VERSION, "--charts", str(stage.charts), "--no-check-images"]
    there = timed(
        [*command, *where, "--samples", str(stage.charts / "samples"), "--yes"], stage.environment, stage.folder
    )
    return there, timed([*command, "--undo", "--yes"], stage.environment, stage.folder)


def _steps(ran: Ran) -> Iterator[tuple[str, float]]:
    """Say how long each step of a guide took, by its heading; the first one begins with the run."""
    headings = [line for line in ran.said if " of " in line.step]
    ends = [*(line.at for line in headings[1:]), ran.began + ran.seconds]
    begins = [ran.began, *ends]
    for heading, begun, end in zip(headings, begins, ends, strict=False):
        yield f"{heading.step}: {heading.word}", end - begun


def _by_hand(stage: Stage) -> tuple[Ran, Ran]:
    for program in ("kubectl", "curl"):
        if shutil.which(program, path=stage.environment.get("PATH")) is None:
            raise MeasureError(f"the guide by hand needs {program}: put one on PATH")
    names = {
        "PATH": f"{ISTIO.folder}:{stage.environment.get('PATH', '')}",
        "REGISTRY": HUB,
        "GATEWAY": GATEWAY,
        "RELAYS": str(stage.sandbox.layout.run / STATE_FILE),
    }
    there, back = (
        timed(["bash", "-c", f"set -eo pipefail\n{script}"], {**stage.environment, **names}, stage.charts)
        for script in (_THERE, _BACK)
    )
    return there, back


def _check_empty(stage: Stage, way: str) -> None:
    """Check that nothing of a walk is left.

    Raises:
        MeasureError: Something is: the time back is no time back to nothing.
    """
    kinds = "customresourcedefinitions,namespaces,configmaps,deployments,pods,validatingwebhookconfigurations"
    look = ["kubectl", "get", f"{kinds},mutatingwebhookconfigurations", "--all-namespaces", "--output", "name"]
    names = timed(look, stage.environment, stage.folder).out.split()
    if left := [name for name in names if "istio" in name or name.startswith(("pod/", "deployment"))]:
        raise MeasureError(f"{way} leaves {', '.join(left)}")


def live(bench: Bench) -> list[Row]:
    """Ask many proxies what they have counted, twice, and see how much longer that takes than the time in between.

    Raises:
        MeasureError: The machine allows fewer proxies, or they do not come up.
    """
    needed = _OF_SANDBOX + _OF_PROXY * (PROXIES + 2)
    allowed = int(_INSTANCES.read_text(encoding="ascii"))
    if allowed < needed:
        raise MeasureError(
            f"{PROXIES} proxies need {needed} inotify instances, and fs.inotify.max_user_instances is {allowed}: "
            f"run sysctl -w fs.inotify.max_user_instances={needed}"
        )
    beyond = []
    with bench.stage.another(with_data_plane=True) as stage:
        options = ["--hub", HUB, "--version", ISTIO_VERSION, "--charts", str(stage.charts), "--no-check-images"]
        timed([*stage.nksmesh, "install", *options, "--yes"], stage.environment, stage.folder)
        _start_proxies(stage)
        bench.tell(f"{PROXIES} proxies are ready")
        for number in range(bench.pairs + 1):
            stage.settle()
            command = [*stage.nksmesh, "traffic", "show", "shop-0", "--live", f"{WINDOW}s", "-n", _NAMESPACE]
            ran = timed([*command, "-o", "json"], stage.environment, stage.folder)
            counted = json.loads(ran.out)["data"]["live"]["proxies"]
            if counted < PROXIES:
                raise MeasureError(f"{counted} proxies were asked, not {PROXIES}")
            if number:  # the first time of all, files are read that nobody had in memory
                beyond.append(ran.seconds - WINDOW)
                bench.tell(f"live {number}: {beyond[-1]:.2f} s beyond {WINDOW} s, {counted} proxies")
    what = f"traffic show --live of {PROXIES} proxies, beyond its window"
    return [Singles(name="live", what=what, figures=tuple(beyond), unit="s", target=3)]


def _start_proxies(stage: Stage) -> None:
    """Start pods with proxies, so many to a Service, and wait until all are ready."""
    labels = {"istio-injection": "enabled"}
    objects: list[Mapping[str, Any]] = [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": _NAMESPACE, "labels": labels}}
    ]
    for number in range(SERVICES):
        objects += _shop(f"shop-{number}", PROXIES // SERVICES)
    file = stage.folder / "shops.json"
    file.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}), encoding="utf-8")
    wait = ["kubectl", "wait", "--for=condition=Available", "deployment", "--all", "-n", _NAMESPACE]
    script = f"kubectl apply -f {shlex.quote(str(file))} && {shlex.join([*wait, f'--timeout={_LONGEST:.0f}s'])}"
    timed(["bash", "-c", script], stage.environment, stage.folder)


def _shop(name: str, pods: int) -> list[Mapping[str, Any]]:
    labels, metadata = {"app": name, "version": "v1"}, {"name": name, "namespace": _NAMESPACE}
    container = {"name": "curl", "image": "docker.io/curlimages/curl:8.16.0", "command": ["sleep", "infinity"]}
    return [
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": metadata,
            "spec": {"selector": {"app": name}, "ports": [{"name": "http", "port": 80}]},
        },
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": metadata,
            "spec": {
                "replicas": pods,
                "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
            },
        },
    ]
