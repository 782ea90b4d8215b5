"""The data plane's decisions: which pods have processes, with what variables, and what is told of them."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from nksmesh.sandbox.data_plane.pods import Machine, PodLife
from nksmesh.sandbox.data_plane.probes import Probe
from nksmesh.sandbox.data_plane.processes import Played, environment_of, expanded, field_of
from nksmesh.sandbox.data_plane.programs import Programs, has_processes, kind_of, running_containers
from nksmesh.sandbox.data_plane.services import external_addresses, services_of
from nksmesh.sandbox.data_plane.state import STATE_FILE, Written, read_data_plane
from nksmesh.sandbox.data_plane.statuses import ContainerState, pod_status
from nksmesh.sandbox.layout import Layout
from nksmesh.sandbox.stages import PLAYED_ANNOTATION, stages
from nksmesh.sandbox.workloads.images import Kind

Object = dict[str, Any]

HUB = "registry.example/istio"
PROGRAMS = Programs(istio=Path("/cache/istio"), envoy=Path("/venv/envoy"))


def proxy(version: str = "1.30.2", **more: Any) -> Object:
    return {"name": "istio-proxy", "image": f"{HUB}/proxyv2:{version}", "args": ["proxy", "sidecar"], **more}


def istiod(version: str = "1.30.2") -> Object:
    return {"name": "discovery", "image": f"{HUB}/pilot:{version}", "args": ["discovery", "--domain", "$(DOMAIN)"]}


def app(image: str = "docker.io/istio/examples-bookinfo-ratings-v1:1.20.3") -> Object:
    return {"name": "app", "image": image}


def pod(*containers: Object, inits: tuple[Object, ...] = (), **spec: Any) -> Object:
    return {
        "metadata": {
            "name": "ratings-1",
            "namespace": "bookinfo",
            "uid": "u",
            "labels": {"app": "ratings", "version": "v1"},
            "annotations": {"note": 'a "b"'},
        },
        "spec": {
            "nodeName": "sandbox-1",
            "serviceAccountName": "ratings",
            "containers": list(containers),
            "initContainers": list(inits),
            **spec,
        },
        "status": {"podIP": "10.244.128.7", "hostIP": "198.51.100.1"},
    }


@pytest.mark.parametrize(
    ("containers", "expected"),
    [
        ((istiod(),), True),
        ((istiod("1.22.0"),), True),
        ((istiod("1.21.6"),), False),
        ((istiod("1.20.0-distroless"),), False),
        ((istiod("latest"),), True),
        ((app(), proxy("1.28.10")), True),
        ((app(), proxy("1.19.0")), False),
        ((app(),), True),
        ((app("docker.io/library/nginx:1"),), False),
        ((app("docker.io/library/nginx:1"), proxy()), True),
        ((app("NGINX"), proxy()), False),
        (({"name": "istio-proxy", "image": "auto"},), False),
    ],
)
def test_which_pods_have_processes(containers: tuple[Object, ...], expected: bool) -> None:
    assert has_processes(pod(*containers)) is expected


def test_pods_of_jobs_and_of_the_nodes_network_are_simulated() -> None:
    of_a_job = pod(app(), proxy())
    of_a_job["metadata"]["ownerReferences"] = [{"kind": "Job"}]

    assert not has_processes(of_a_job)
    assert not has_processes(pod(app(), proxy(), hostNetwork=True))


def test_a_native_sidecar_runs_first_and_istio_init_does_not_run() -> None:
    native = proxy(restartPolicy="Always")
    running = running_containers(pod(app(), inits=({"name": "istio-init", "image": "x"}, native)))

    assert [container["name"] for container in running] == ["istio-proxy", "app"]


def test_how_true_a_container_is_to_its_image() -> None:
    assert [kind_of(c) for c in (istiod(), proxy(), app(), app("nginx:1"))] == [
        Kind.REAL,
        Kind.REAL,
        Kind.SMALL_SERVER,
        Kind.SIMULATED,
    ]


def test_variables_come_from_the_pod_and_those_of_limits_are_left_out() -> None:
    spec = proxy(
        env=[
            {"name": "POD_NAMESPACE", "valueFrom": {"fieldRef": {"fieldPath": "metadata.namespace"}}},
            {"name": "CA_ADDR", "value": "istiod.$(POD_NAMESPACE):$(PORT)"},
            {"name": "GOMEMLIMIT", "valueFrom": {"resourceFieldRef": {"resource": "limits.memory"}}},
            {"name": "PROXY_CONFIG", "value": '{"discoveryAddress":"istiod:15012","concurrency":2}\n'},
        ]
    )
    found = environment_of(pod(spec), spec, PROGRAMS, Path("/pods/u/istio-proxy"))

    assert found["CA_ADDR"] == "istiod.bookinfo:$(PORT)"
    assert "GOMEMLIMIT" not in found
    assert json.loads(found["PROXY_CONFIG"]) == {
        "discoveryAddress": "istiod:15012",
        "concurrency": 1,
        "binaryPath": "/venv/envoy",
        "configPath": "./etc/istio/proxy",
    }
    assert found["ISTIO_BOOTSTRAP"] == "/cache/istio/envoy_bootstrap.json"


def test_istiod_gets_its_own_arguments_and_the_switches_of_a_stock_envoy() -> None:
    spec = {**istiod(), "env": [{"name": "DOMAIN", "value": "cluster.local"}]}
    program = PROGRAMS.of(spec)
    assert program is not None
    process = Played(spec, program, PROGRAMS, Path("/pods/u/discovery")).process(pod(spec))

    assert process.command == [
        *("/cache/istio/pilot-discovery", "discovery", "--domain", "cluster.local"),
        *("--kubeconfig", "kubeconfig"),
    ]
    assert {"PILOT_ENABLE_METADATA_EXCHANGE=false", "PILOT_ENABLE_ALPN_FILTER=false"} <= {*process.environment}
    assert process.log == "/pods/u/discovery.log"
    assert process.directory == "/pods/u/discovery"


def test_fields_of_the_downward_api() -> None:
    one = pod(app())

    assert field_of(one, "status.podIP") == "10.244.128.7"
    assert field_of(one, "metadata.labels['app']") == "ratings"
    assert field_of(one, "metadata.labels") == 'app="ratings"\nversion="v1"'
    assert field_of(one, "metadata.annotations") == r'note="a \"b\""'
    assert field_of(one, "limits.cpu") == ""
    assert expanded("$(A) $(B)", {"A": "1"}) == "1 $(B)"


def service(name: str, *, cluster_ip: str = "10.96.0.7", ports: tuple[Object, ...] = (), **spec: Any) -> Object:
    return {
        "metadata": {"name": name, "namespace": "bookinfo"},
        "spec": {"clusterIP": cluster_ip, "ports": list(ports), **spec},
    }


def endpoints(of: str, port: int, *addresses: str, ready: bool | None = True, name: str = "") -> Object:
    return {
        "metadata": {"name": f"{of}-x", "namespace": "bookinfo", "labels": {"kubernetes.io/service-name": of}},
        "ports": [{"port": port, "name": name, "protocol": "TCP"}],
        "endpoints": [{"addresses": [address], "conditions": {"ready": ready}} for address in addresses],
    }


def test_a_service_leads_to_its_ready_endpoints_by_the_name_of_the_port() -> None:
    ports = ({"port": 9080, "name": "http"}, {"port": 53, "name": "dns", "protocol": "UDP"})
    slices = [
        endpoints("ratings", 9080, "10.244.128.1", name="http"),
        endpoints("ratings", 9080, "10.244.128.2", name="http", ready=False),
        endpoints("ratings", 1, "10.244.128.3", name="other"),
        endpoints("reviews", 9080, "10.244.128.4", name="http"),
    ]

    assert services_of([service("ratings", ports=ports)], slices) == [
        {
            "name": "ratings.bookinfo.svc",
            "resolved": ["10.96.0.7"],
            "forwards": {"10.96.0.7:9080": ["10.244.128.1:9080"]},
        }
    ]


def test_a_gateway_answers_on_its_external_address_and_on_the_nodes_ports() -> None:
    gateway = service("gateway", ports=({"port": 80, "nodePort": 31380},))
    gateway["status"] = {"loadBalancer": {"ingress": [{"ip": "203.0.113.7"}, {"hostname": "lb.example"}]}}
    [told] = services_of([gateway], [endpoints("gateway", 80, "10.244.128.1")])

    assert {*told["forwards"]} == {
        "10.96.0.7:80",
        "203.0.113.7:80",
        "198.51.100.1:31380",
        "198.51.100.2:31380",
    }
    assert external_addresses([gateway]) == ["203.0.113.7:80"]


def test_a_headless_service_resolves_to_its_endpoints_and_the_api_servers_is_not_forwarded() -> None:
    headless = service("db", cluster_ip="None", ports=({"port": 1},))
    own = {**service("kubernetes", ports=({"port": 443},)), "metadata": {"name": "kubernetes", "namespace": "default"}}
    told = services_of([headless, own], [endpoints("db", 1, "10.244.128.1", ready=None)])

    assert [(one["resolved"], one["forwards"]) for one in told] == [(["10.244.128.1"], {}), (["10.96.0.7"], {})]


def test_a_pod_is_ready_when_every_container_is_and_conditions_keep_their_time() -> None:
    one = pod(app(), proxy(), inits=({"name": "istio-init", "image": "x"},))
    states = {"app": ContainerState(waiting="", ready=True), "istio-proxy": ContainerState(waiting="")}
    unready = pod_status(one, "10.244.128.7", states)
    conditions = {condition["type"]: condition for condition in unready["conditions"]}

    assert unready["phase"] == "Running"
    assert conditions["Ready"]["status"] == "False"
    assert conditions["Ready"]["message"] == "containers with unready status: [istio-proxy]"
    assert [status["name"] for status in unready["initContainerStatuses"]] == ["istio-init"]

    for condition in unready["conditions"]:
        condition["lastTransitionTime"] = "2020-01-01T00:00:00Z"
    states["istio-proxy"].ready = True
    ready = pod_status({**one, "status": unready}, "10.244.128.7", states)
    times = {condition["type"]: condition["lastTransitionTime"] for condition in ready["conditions"]}
    assert times["Initialized"] == "2020-01-01T00:00:00Z" != times["Ready"]


def test_a_container_that_ended_says_so() -> None:
    states = {"app": ContainerState(waiting="CrashLoopBackOff", message="back-off", restarts=2, exit_code=1)}
    [told] = pod_status(pod(app()), "10.244.128.7", states)["containerStatuses"]

    assert told["state"] == {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off"}}
    assert told["lastState"]["terminated"]["exitCode"] == 1
    assert told["restartCount"] == 2


def test_a_relay_keeps_its_port_and_status_reads_what_the_agent_wrote(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    layout = Layout(name="x", home=tmp_path)
    layout.run.mkdir()
    monkeypatch.chdir(layout.run)
    assert read_data_plane(layout).images == ()

    written = Written()
    written.relays = {"203.0.113.7:80": 40080}
    written.write("1.31.0", {("a:1", "real"): 2})

    told = read_data_plane(layout)
    assert [(one.address, one.relay) for one in told.relays] == [("203.0.113.7:80", "127.0.0.1:40080")]
    assert [(one.image, one.kind, one.containers) for one in told.images] == [("a:1", "real", 2)]
    assert Written().relays == {"203.0.113.7:80": 40080}
    Path(STATE_FILE).write_text("broken")
    assert Written().relays == {}


def test_kwok_leaves_pods_with_processes_to_the_agent() -> None:
    def selected(*, data_plane: bool) -> dict[str, list[Object]]:
        every = stages(data_plane=data_plane)
        return {stage["metadata"]["name"]: stage["spec"]["selector"]["matchExpressions"] for stage in every}

    marked = {"key": f'.metadata.annotations["{PLAYED_ANNOTATION}"]', "operator": "In", "values": ["simulated"]}
    assert marked in selected(data_plane=True)["pod-ready"]
    assert marked not in selected(data_plane=False)["pod-ready"]
    assert {**marked, "operator": "NotIn", "values": ["processes"]} in selected(data_plane=True)["pod-delete"]


class Asked:
    """A data plane that notes what it is asked, and answers yes."""

    def __init__(self) -> None:
        self.asked: list[object] = []

    async def probe(self, url: str) -> bool:
        self.asked.append(url)
        return True

    async def listens(self, pod: str, container: str, port: int) -> bool:
        self.asked.append((pod, container, port))
        return True


async def test_a_probe_asks_by_http_by_port_or_not_at_all() -> None:
    plane: Any = Asked()
    spec = {"name": "app", "ports": [{"name": "web", "containerPort": 8080}]}
    by_http = {"httpGet": {"path": "/ready", "port": "web", "scheme": "HTTPS"}}

    assert await Probe(by_http, spec, "10.244.128.7").once(plane)
    assert await Probe({}, spec, "10.244.128.7", "a/b", 9080).once(plane)
    assert await Probe({"exec": {"command": ["true"]}}, spec, "10.244.128.7").once(plane)
    assert plane.asked == ["https://10.244.128.7:8080/ready", ("a/b", "app", 9080)]


class Running:
    """A data plane whose processes run until the test ends, and an API server that takes every status."""

    def __init__(self) -> None:
        self.ready = asyncio.Event()
        self.last: Object = {}
        self.ended: list[str] = []

    async def make_pod(self, *_: object, **__: object) -> None:
        pass

    async def start(self, *_: object) -> None:
        pass

    async def listens(self, *_: object) -> bool:
        return True

    async def exit_code(self, *_: object) -> int:
        await asyncio.Event().wait()
        return 0

    async def stop(self, _pod: str, container: str, _grace: float) -> None:
        self.ended.append(container)

    async def end_pod(self, pod: str, _uid: str) -> None:
        self.ended.append(pod)

    async def request(self, method: str, path: str, *, body: Object, **_: object) -> Object:
        self.last = {"method": method, "path": path, **body}
        if "status" in body and body["status"]["containerStatuses"][0]["ready"]:
            self.ready.set()
        return {}


async def test_a_pod_lives_until_it_is_to_end(tmp_path: Path) -> None:
    world: Any = Running()
    machine = Machine(world, world, PROGRAMS, lambda _namespace, _name: None, tmp_path / "pods")
    machine.ready.set()
    life = PodLife(pod(app()), "10.244.128.7", machine)
    living = asyncio.create_task(life.live())
    async with asyncio.timeout(10):
        await world.ready.wait()
        # the change that asks for the end, and the end: both at once
        life.touched({**pod(app()), "metadata": {**pod(app())["metadata"], "deletionGracePeriodSeconds": 5}})
        living.cancel()
        await asyncio.gather(living, return_exceptions=True)
        await life.end()

    assert world.ended == ["app", "bookinfo/ratings-1"]
    assert world.last["method"] == "DELETE"
    assert world.last["preconditions"] == {"uid": "u"}
    assert not (tmp_path / "pods" / "u").exists()
