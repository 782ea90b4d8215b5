"""Recipes on real proxies: each one's effect in answers, and the live split against what the answers say."""

from __future__ import annotations

import asyncio
import base64
import json
import math
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from nksmesh.adapters.cluster.connection import Cluster
from nksmesh.domain.kube.readiness import is_ready
from tests.cluster.program import Ran
from tests.data_plane.bookinfo import NAMESPACE, SAMPLES, Bookinfo, documents

pytestmark = [pytest.mark.cluster, pytest.mark.conformance]

REQUESTS = 500
PATIENCE = 60.0
"""Seconds in which a change has to come to the proxies: it takes one or two on an idle machine."""

REVIEWS = "http://reviews:9080/reviews/0"
RATINGS = "http://ratings:9080/ratings/0"


@pytest.fixture(scope="module")
def shop(bookinfo: Bookinfo) -> Bookinfo:
    """Bookinfo without the DestinationRules of its samples: those that recipes make take their place."""
    for rule in documents(SAMPLES / "networking/destination-rule-all.yaml"):
        bookinfo.remove(rule)
    return bookinfo


@pytest.fixture(autouse=True)
def _clean(shop: Bookinfo) -> Iterator[None]:
    """Take away what a test has applied."""
    yield
    for service in traffic(shop, "show").data["services"]:
        traffic(shop, "reset", service["service"], "--write", "--yes")


def traffic(shop: Bookinfo, *arguments: str, code: int = 0) -> Ran:
    return shop.mesh("traffic", *arguments, "-n", NAMESPACE, code=code)


def apply(shop: Bookinfo, line: str) -> dict[str, Any]:
    return traffic(shop, "apply", *line.split(), "--write", "--yes").data


def run_in(shop: Bookinfo, app: str, *command: str) -> str:
    """Run a command in an application's pod, as nksmesh's own client does."""

    async def run() -> str:
        async with await Cluster.connect(kubeconfig=shop.sandbox.kubeconfig, context="") as cluster:
            return await cluster.pods.run(NAMESPACE, shop.pod(app), app, command)

    return asyncio.run(run())


def curl(shop: Bookinfo, app: str, *arguments: str) -> list[str]:
    """Fetch from a pod, and return a line for each request: the status, the seconds, and who served it."""
    form = r"\n@@%{http_code} %{time_total}\n"
    answers = run_in(shop, app, "sh", "-c", 'curl -s -m 10 -w "$0" "$@" || true', form, *arguments)
    found, body = [], ""
    for line in answers.splitlines():
        if line.startswith("@@"):
            served = re.search(r"reviews-(v\d)", body)
            found.append(f"{line[2:]} {served[1] if served else '-'}")
            body = ""
        else:
            body += line
    return found


def statuses(lines: list[str]) -> Counter[str]:
    return Counter(line.split()[0] for line in lines)


def until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < end, "the proxies do not do it"
        time.sleep(0.2)


def test_a_split_is_measured_at_the_callers(shop: Bookinfo) -> None:
    traffic(shop, "shift", "reviews", "v1=80", "v2=20", "--write", "--yes")
    until(lambda: served_by(shop) == {"v1", "v2"})
    with counting(shop, "reviews", "20s") as live:
        served: Counter[str] = Counter()
        for _ in range(REQUESTS // 50):  # one command has 15 s, and a busy machine takes 30 ms and more for a request
            served.update(line.split()[2] for line in curl(shop, "ratings", f"{REVIEWS}?[1-50]"))
    assert {row["version"]: row["requests"] for row in live["versions"]} == {
        "v1": served["v1"],
        "v2": served["v2"],
        "v3": 0,
    }
    assert abs(served["v1"] - REQUESTS * 0.8) <= 5 * math.sqrt(REQUESTS * 0.8 * 0.2)
    assert [(caller["pod"].partition("-v1")[0], caller["requests"]) for caller in live["callers"]] == [
        ("ratings", REQUESTS)
    ]
    assert live["proxies"] >= 7
    for row in live["versions"]:
        assert row["part"]["low"] <= row["part"]["share"] <= row["part"]["high"]
        assert row["errors"] == 0


def test_all_goes_to_one_version_and_a_header_leads_elsewhere(shop: Bookinfo) -> None:
    apply(shop, "shift reviews v1=0 v2=100")
    apply(shop, "header reviews header=end-user value=jason to=v3")
    until(lambda: served_by(shop) == {"v2"})
    assert Counter(line.split()[2] for line in curl(shop, "ratings", f"{REVIEWS}?[1-100]")) == {"v2": 100}
    jason = curl(shop, "ratings", "-H", "end-user: jason", f"{REVIEWS}?[1-50]")
    assert Counter(line.split()[2] for line in jason) == {"v3": 50}


def test_faults_and_a_timeout_are_felt(shop: Bookinfo) -> None:
    apply(shop, "delay ratings delay=1s")
    until(lambda: float(curl(shop, "reviews", RATINGS)[0].split()[1]) >= 1)
    apply(shop, "shift reviews v1=0 v2=100")  # v2 calls ratings, v1 does not
    apply(shop, "timeout reviews timeout=300ms")
    until(lambda: statuses(curl(shop, "details", REVIEWS)) == {"504": 1})
    assert float(curl(shop, "details", REVIEWS)[0].split()[1]) < 1
    traffic(shop, "reset", "ratings", "--write", "--yes")
    apply(shop, "abort ratings status=418 percent=50")
    until(lambda: set(statuses(curl(shop, "reviews", f"{RATINGS}?[1-20]"))) == {"200", "418"})
    assert 60 < statuses(curl(shop, "reviews", f"{RATINGS}?[1-200]"))["418"] < 140


def test_a_retry_hides_failures_and_each_attempt_counts(shop: Bookinfo) -> None:
    faulty, well = (
        {"spec": {"template": {"spec": {"containers": [{"name": "ratings", "env": env}]}}}}
        for env in ([{"name": "SERVICE_VERSION", "value": "v-faulty"}], None)
    )
    deployment = f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/ratings-v1"
    patch(shop, deployment, faulty)
    try:
        until(lambda: statuses(curl(shop, "reviews", f"{RATINGS}?[1-30]"))["503"] > 5)
        apply(shop, "retry ratings attempts=10 on=5xx")
        until(lambda: statuses(curl(shop, "reviews", f"{RATINGS}?[1-40]")) == {"200": 40})
        with counting(shop, "ratings", "15s") as live:
            served = statuses(curl(shop, "reviews", f"{RATINGS}?[1-60]"))
    finally:
        patch(shop, deployment, well)
    (row,) = live["versions"]
    assert served["200"] >= 58  # one of 2000 fails eleven times in a row
    assert row["requests"] - row["errors"] == served["200"]
    assert row["errors"] > 25  # half of the attempts fail


@contextmanager
def counting(shop: Bookinfo, service: str, seconds: str) -> Iterator[dict[str, Any]]:
    """Have requests counted that are sent inside; afterwards the dictionary has what was found."""
    looking = shop.mesh.start("traffic", "show", service, "--live", seconds, "-n", NAMESPACE)
    assert looking.stderr is not None
    while "count for" not in looking.stderr.readline():
        assert looking.poll() is None
    found: dict[str, Any] = {}
    with looking:
        yield found
        found |= json.loads(looking.communicate(timeout=60)[0])["data"]["live"]


def patch(shop: Bookinfo, path: str, body: dict[str, Any]) -> None:
    """Change a Deployment's container by strategic merge, and wait until the pods are new."""

    async def send() -> None:
        async with await Cluster.connect(kubeconfig=shop.sandbox.kubeconfig, context="") as cluster:
            await cluster._api.request("PATCH", path, body=body, content_type="application/strategic-merge-patch+json")

    asyncio.run(send())
    until(lambda: rolled_out(shop.cluster.get(path)))


def rolled_out(deployment: dict[str, Any]) -> bool:
    status = deployment["status"]
    return bool(
        status.get("observedGeneration") == deployment["metadata"]["generation"]
        and status.get("updatedReplicas") == status.get("replicas") == status.get("availableReplicas") == 1
    )


def served_by(shop: Bookinfo) -> set[str]:
    return {line.split()[2] for line in curl(shop, "ratings", f"{REVIEWS}?[1-30]")}


def test_a_breaker_opens_under_more_than_it_takes(shop: Bookinfo) -> None:
    apply(shop, "delay ratings delay=100ms")
    apply(shop, "circuit-breaker ratings connections=1 pending=1 per_connection=1 errors=1000")
    parallel = ("-Z", "--parallel-immediate", "--parallel-max", "20", f"{RATINGS}?[1-60]")
    until(lambda: statuses(curl(shop, "reviews", *parallel))["503"] > 0)
    assert statuses(curl(shop, "reviews", RATINGS)) == {"200": 1}


def test_a_rate_limit_answers_429(shop: Bookinfo) -> None:
    apply(shop, "rate-limit details requests=3 per=60s")
    url = "http://details:9080/details/0"
    until(lambda: statuses(curl(shop, "ratings", url)) == {"429": 1})
    assert "x-local-rate-limit: true" in run_in(shop, "ratings", "curl", "-sI", "-X", "GET", url)


def test_authorization_names_who_it_cuts_off_and_does_it(shop: Bookinfo) -> None:
    url = "http://details:9080/details/0"
    until(lambda: statuses(curl(shop, "ratings", url)) == {"200": 1})
    done = apply(shop, f"authorization details from={NAMESPACE}/bookinfo-productpage")
    (cut,) = [found for found in done["findings"] if "would get 403" in found["message"]]
    assert f"{NAMESPACE}/ratings-v1" in cut["message"]
    assert f"{NAMESPACE}/productpage-v1" not in cut["message"]
    until(lambda: statuses(curl(shop, "ratings", url)) == {"403": 1})
    assert statuses(curl(shop, "productpage", url)) == {"200": 1}


def test_a_token_is_asked_for_and_checked(shop: Bookinfo) -> None:
    key, other = (rsa.generate_private_key(public_exponent=65537, key_size=2048) for _ in range(2))
    url = "http://details:9080/details/0"
    apply(shop, f"jwt details issuer=tests@example.com jwks={jwks(key)}")
    until(lambda: statuses(curl(shop, "ratings", url)) == {"403": 1})
    assert statuses(curl(shop, "ratings", "-H", f"authorization: Bearer {token(key)}", url)) == {"200": 1}
    assert statuses(curl(shop, "ratings", "-H", f"authorization: Bearer {token(other)}", url)) == {"401": 1}


def coded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def jwks(key: rsa.RSAPrivateKey) -> str:
    numbers = key.public_key().public_numbers()
    modulus, exponent = (coded(number.to_bytes(size, "big")) for number, size in ((numbers.n, 256), (numbers.e, 3)))
    shown = {"kty": "RSA", "alg": "RS256", "use": "sig", "kid": "tests", "n": modulus, "e": exponent}
    return json.dumps({"keys": [shown]}, separators=(",", ":"))


def token(key: rsa.RSAPrivateKey) -> str:
    head = {"alg": "RS256", "kid": "tests", "typ": "JWT"}
    body = {"iss": "tests@example.com", "sub": "kim", "exp": int(time.time()) + 600}
    signed = ".".join(coded(json.dumps(part).encode()) for part in (head, body))
    return f"{signed}.{coded(key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256()))}"


def containers(pod: dict[str, Any]) -> list[dict[str, Any]]:
    return list(pod["status"].get("containerStatuses") or ())


def test_strict_names_the_pod_without_a_proxy_that_is_connected(shop: Bookinfo) -> None:
    container = {"name": "plain", "image": "docker.io/curlimages/curl:8.16.0", "command": ["sleep", "infinity"]}
    labels = {"app": "plain", "sidecar.istio.io/inject": "false"}
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "plain", "labels": labels},
        "spec": {"containers": [container]},
    }
    shop.apply(pod)
    try:
        pods = f"/api/v1/namespaces/{NAMESPACE}/pods"
        until(lambda: any(row.get("ready") for row in containers(shop.cluster.get(f"{pods}/plain"))))
        # By its address: the sandbox's Service proxy stands in between, and would be who is connected.
        address = shop.cluster.get(f"{pods}/{shop.pod('details')}")["status"]["podIP"]
        url = f"http://{address}:9080/details/0"
        with ThreadPoolExecutor(1) as threads:
            calling = threads.submit(curl, shop, "plain", "--rate", "5/s", f"{url}?[1-40]")
            time.sleep(1)
            warned = traffic(shop, "apply", "mutual-tls", "details", "mode=STRICT").data["findings"]
            assert any(
                "1 pod without a proxy is connected" in found["message"] and f"{NAMESPACE}/plain" in found["message"]
                for found in warned
            ), warned
            assert set(statuses(calling.result())) == {"200"}
        apply(shop, "mutual-tls details mode=STRICT")
        until(lambda: statuses(curl(shop, "plain", url)) == {"000": 1})
        until(lambda: statuses(curl(shop, "ratings", "http://details:9080/details/0")) == {"200": 1})
    finally:
        shop.remove(pod)


def test_an_access_log_has_a_line_for_each_request(shop: Bookinfo) -> None:
    apply(shop, "access-log details")

    def logged() -> bool:
        curl(shop, "ratings", "http://details:9080/details/0?logged")

        async def tail() -> str:
            async with await Cluster.connect(kubeconfig=shop.sandbox.kubeconfig, context="") as cluster:
                return await cluster.objects.log_tail(NAMESPACE, shop.pod("details"), "istio-proxy", lines=20)

        return "/details/0?logged" in asyncio.run(tail())

    until(logged)


def server_pod(name: str, app: str, image: str, **more: Any) -> dict[str, Any]:
    """Make a pod that plays an image, on the node that is named."""
    labels = {"app": app, "version": "v1", **more.pop("labels", {})}
    container = {"name": app, "image": f"docker.io/{image}", "command": ["sleep", "infinity"], **more.pop("own", {})}
    spec = {"containers": [container], **more}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": labels}, "spec": spec}


def service_of(app: str, **ports: int) -> dict[str, Any]:
    spec = {"selector": {"app": app}, "ports": [{"name": f"http-{name}", "port": ports[name]} for name in ports]}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": app}, "spec": spec}


@contextmanager
def there(shop: Bookinfo, *objects: dict[str, Any]) -> Iterator[dict[str, str]]:
    """Have objects there; gives the address of each pod once all are ready."""
    pods = f"/api/v1/namespaces/{NAMESPACE}/pods"
    names = [item["metadata"]["name"] for item in objects if item["kind"] == "Pod"]
    shop.apply(*objects)
    try:
        until(lambda: all(is_ready(shop.cluster.get(f"{pods}/{name}")) for name in names))
        yield {name: shop.cluster.get(f"{pods}/{name}")["status"]["podIP"] for name in names}
    finally:
        for item in objects:
            shop.remove(item)


def test_the_other_zone_answers_when_the_callers_own_fails(shop: Bookinfo) -> None:
    labels = [f"topology.kubernetes.io/{place}" for place in ("region", "zone")]
    zones = {"sandbox-1": ["kr1", "kr1-a"], "sandbox-2": ["kr1", "kr1-b"]}
    for node, places in zones.items():
        shop.cluster.merge(f"/api/v1/nodes/{node}", {"metadata": {"labels": dict(zip(labels, places, strict=True))}})
    ratings = "istio/examples-bookinfo-ratings-v1:1.20.3"
    faulty = {"env": [{"name": "SERVICE_VERSION", "value": "v-faulty"}]}
    objects = (
        service_of("books", books=9080),
        server_pod("near", "books", ratings, nodeName="sandbox-1", own=faulty),
        server_pod("far", "books", ratings, nodeName="sandbox-2"),
        server_pod("customer", "customer", "curlimages/curl:8.16.0", nodeName="sandbox-1"),
    )

    def served() -> set[str]:
        lines = run_in(shop, "customer", "curl", "-s", "-w", r"\n", "http://books:9080/ratings/0?[1-30]").splitlines()
        return {next((name for name in ("near", "far") if f'"{name}"' in line), "error") for line in lines}

    try:
        with there(shop, *objects) as addresses:
            for name in ("near", "far"):  # what a pod was posted is how its answers are told apart
                posted = json.dumps({"pod": name})
                run_in(shop, "customer", "curl", "-s", "-d", posted, f"http://{addresses[name]}:9080/ratings/0")
            until(lambda: served() == {"near", "far", "error"})
            apply(shop, "failover books errors=1000 interval=1s ejection=60s")
            until(lambda: served() == {"near", "error"})
            apply(shop, "failover books errors=1 interval=1s ejection=60s")
            until(lambda: served() == {"far"})
            traffic(shop, "reset", "books", "--write", "--yes")
    finally:
        for node in zones:
            shop.cluster.merge(f"/api/v1/nodes/{node}", {"metadata": {"labels": dict.fromkeys(labels)}})


COLLECTOR = """
import http.server, json, sys, threading

class Spans(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        with open(sys.argv[1], "a") as file:
            file.writelines(span["traceId"] + "\\n" for span in json.loads(self.sent()))
        self.send_response(202)
        self.send_header("content-length", "0")
        self.end_headers()

    def sent(self):
        if "content-length" in self.headers:
            return self.rfile.read(int(self.headers["content-length"]))
        parts = []
        while size := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        return b"".join(parts)

server = http.server.ThreadingHTTPServer(("", 9411), Spans)
threading.Timer(300, server.shutdown).start()
server.serve_forever()
"""
"""Takes the spans of Zipkin's clients, and writes the traces' ids into a file."""


def test_the_part_of_requests_that_was_asked_for_is_traced(shop: Bookinfo, tmp_path: Path) -> None:
    traces = tmp_path / "traces"
    settings = "/api/v1/namespaces/istio-system/configmaps/istio"
    before = shop.cluster.get(settings)["data"]["mesh"]
    provider = {
        "name": "collector",
        "zipkin": {"service": f"collector.{NAMESPACE}.svc.cluster.local", "port": 9411},
    }
    mesh = yaml.safe_dump({**yaml.safe_load(before), "extensionProviders": [provider]})
    own = {"sidecar.istio.io/inject": "false"}
    collector = server_pod("collector", "collector", "curlimages/curl:8.16.0", labels=own)
    shop.cluster.merge(settings, {"data": {"mesh": mesh}})

    def sampled() -> dict[str, bool]:
        """Ask for the headers that requests come with: the trace of each, and whether it is kept."""
        lines = run_in(shop, "ratings", "curl", "-s", "-w", r"\n", "http://collector/?[1-50]").splitlines()
        headers = [json.loads(line)["headers"] for line in lines]
        return {row["x-b3-traceid"]: row["x-b3-sampled"] == "1" for row in headers if "x-b3-sampled" in row}

    try:
        with there(shop, service_of("collector", echo=80, spans=9411), collector):
            started = 'python3 -c "$0" "$1" >/dev/null 2>&1 &'
            run_in(shop, "collector", "sh", "-c", started, COLLECTOR, str(traces))
            apply(shop, "tracing ratings percent=25 provider=collector")
            until(lambda: any(sampled().values()))
            found = {**sampled(), **sampled()}
            kept = {trace for trace, is_kept in found.items() if is_kept}
            assert abs(len(kept) - 25) <= 5 * math.sqrt(100 * 0.25 * 0.75)
            assert len(found) == 100
            until(lambda: traces.exists() and kept <= set(traces.read_text(encoding="utf-8").split()))
            assert not set(traces.read_text(encoding="utf-8").split()) & (found.keys() - kept)
    finally:
        shop.cluster.merge(settings, {"data": {"mesh": before}})
