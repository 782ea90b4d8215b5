"""A sample verified: what the guide looks at, each with what was found."""

from __future__ import annotations

from typing import Any

import pytest

from nksmesh.commands.gateway import UrlOrder
from nksmesh.commands.sample.verify import Analyzer, Verified, verify
from nksmesh.domain.checks.rule import Status
from nksmesh.domain.common.errors import CheckError, ClusterError
from nksmesh.domain.gateways.answers import Answer as PageAnswer
from nksmesh.domain.samples.object_set import SAMPLE_LABEL
from nksmesh.domain.samples.sample import BOOKINFO
from tests.unit.commands.istioctl.test_reports import Answer, Program
from tests.unit.domain.meshes import INGRESS, installed
from tests.unit.fakes.canaries import kept, record
from tests.unit.fakes.cluster import FakeCluster, FakeHelm
from tests.unit.fakes.meshes import deployment, pod, replica_set, service
from tests.unit.fakes.runtime import runtime_of

Object = dict[str, Any]

PAGE = "<html><title>Simple Bookstore App</title></html>"


class Answering:
    """Pages that answer as they are told."""

    def __init__(self, **answer: Any) -> None:
        self.answer = answer or {"status": 200, "title": "Simple Bookstore App"}

    async def ask(self, url: str, *, host: str = "") -> PageAnswer:
        assert host == ""
        return PageAnswer(url=url, **self.answer)


def of_bookinfo(item: Object) -> Object:
    metadata = {**item["metadata"], "labels": {SAMPLE_LABEL: "bookinfo"}, "namespace": "shop"}
    return {**item, "metadata": metadata}


def istio(kind: str, port: int = 80) -> Object:
    spec = {"selector": {"istio": "ingressgateway"}, "servers": [{"port": {"number": port}}]}
    return {
        "apiVersion": "networking.istio.io/v1beta1",
        "kind": kind,
        "metadata": {"name": "bookinfo"},
        "spec": spec if kind == "Gateway" else {},
    }


@pytest.fixture
def mesh(cluster: FakeCluster) -> FakeCluster:
    """Bookinfo's ratings, deployed and ready, behind a gateway."""
    for item in (deployment("ratings-v1", namespace="shop"), istio("Gateway"), istio("VirtualService")):
        cluster.objects.put(of_bookinfo(item))
    ratings = pod("ratings-v1", namespace="shop")
    ratings["metadata"]["labels"] = {"app": "ratings"}
    ratings["status"]["conditions"] = [{"type": "Ready", "status": "True"}]
    gateway = pod(INGRESS.name)
    gateway["metadata"]["labels"] = {"istio": "ingressgateway"}
    manifest = FakeHelm.text([deployment(INGRESS.name), service(INGRESS.name)])
    cluster.storage.put(installed(INGRESS, manifest=manifest))
    known = record()
    cluster.records.kept = {"istio-system": type(known)(settings=known.settings, hub="h", releases=(kept(INGRESS),))}
    cluster.live.show(
        deployment("ratings-v1", namespace="shop"),
        replica_set("ratings-v1", namespace="shop"),
        ratings,
        deployment(INGRESS.name),
        replica_set(INGRESS.name),
        gateway,
        service(INGRESS.name, address="203.0.113.9"),
    )
    cluster.pods.answers["ratings-v1-1-x", "curl"] = [PAGE]
    return cluster


async def verified(mesh: FakeCluster, pages: Answering | None = None, *says: Answer) -> Verified:
    analyzer = Analyzer(program=Program([*says]), version="1.30.2") if says else None
    return await verify(BOOKINFO, "shop", runtime_of(mesh), pages or Answering(), UrlOrder(), analyzer)


def failures(found: Verified) -> dict[str, str]:
    return {check.id: check.message for check in found.checks if check.status is Status.FAILURE}


async def test_a_sample_that_works_is_proved_in_the_guides_order(mesh: FakeCluster) -> None:
    found = await verified(mesh)
    assert [(check.id, check.status.value) for check in found.checks] == [
        ("sample.pods", "ok"),
        ("sample.page-inside", "ok"),
        ("sample.gateway-objects", "ok"),
        ("sample.not-analyzed", "ok"),
        ("sample.page-outside", "ok"),
    ]
    assert (found.url, found.exit_code) == ("http://203.0.113.9:80/productpage", 0)
    assert mesh.pods.asked("run") == ["shop/ratings-v1-1-x ratings curl -sS productpage:9080/productpage"]


async def test_what_was_not_deployed_is_said_and_nothing_is_asked_inside(mesh: FakeCluster) -> None:
    mesh.objects.stored.clear()
    found = await verified(mesh)
    assert failures(found) == {
        "sample.pods": "nksmesh has not deployed bookinfo in namespace shop",
        "sample.gateway-objects": "there is no Gateway and no VirtualService that nksmesh applied",
    }
    assert (found.exit_code, mesh.pods.asked("run")) == (CheckError.exit_code, [])


async def test_pods_that_are_not_ready_are_said(mesh: FakeCluster) -> None:
    mesh.live.show(deployment("ratings-v1", namespace="shop", available=False))
    found = await verified(mesh)
    assert failures(found) == {"sample.pods": "not ready: Deployment ratings-v1: 0 of 1 replicas available"}
    assert "sample.page-inside" not in {check.id for check in found.checks}


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (["<title>502</title>"], "the page has the title '502'"),
        (ClusterError("it failed", hint="", detail="curl: (7) refused"), "it failed curl: (7) refused"),
    ],
)
async def test_another_page_inside_is_no_proof(mesh: FakeCluster, answer: Any, words: str) -> None:
    mesh.pods.answers["ratings-v1-1-x", "curl"] = answer
    assert failures(await verified(mesh)) == {
        "sample.page-inside": f"curl -sS productpage:9080/productpage in a pod of ratings: {words}"
    }


async def test_the_port_of_bookinfo_that_nobody_can_connect_to_is_a_failure(mesh: FakeCluster) -> None:
    mesh.objects.put(of_bookinfo(istio("Gateway", 8080)))
    found = await verified(mesh, Answering(failure="Connection refused"))
    assert list(failures(found)) == ["gateway.closed-port", "gateway.unreachable", "gateway.no-listener"]
    assert found.exit_code == CheckError.exit_code


async def test_another_page_outside_is_said(mesh: FakeCluster) -> None:
    found = await verified(mesh, Answering(status=200, title="Welcome to nginx!"))
    assert failures(found) == {
        "sample.page-outside": "http://203.0.113.9:80/productpage has the title 'Welcome to nginx!', "
        "not 'Simple Bookstore App'"
    }


async def test_a_gateway_without_an_address_is_said(mesh: FakeCluster) -> None:
    mesh.live.show(service(INGRESS.name))
    found = await verified(mesh)
    assert found.url == ""
    assert failures(found) == {
        "sample.page-outside": "the load balancer of Service istio-system/istio-ingressgateway has no address yet"
    }


async def test_without_an_istioctl_the_command_that_fetches_it_is_said(mesh: FakeCluster) -> None:
    (note,) = [check for check in (await verified(mesh)).checks if check.id == "sample.not-analyzed"]
    assert (note.status, "run nksmesh istioctl fetch" in note.message) == (Status.OK, True)


async def test_each_message_of_an_analyzer_is_a_finding_and_an_error_fails(mesh: FakeCluster) -> None:
    said = b"""[{"code": "IST0102", "level": "Info", "message": "not injected", "origin": "Namespace shop"},
        {"code": "IST0101", "level": "Error", "message": "no such host", "origin": "VirtualService shop/bookinfo"}]"""
    found = await verified(mesh, None, Answer(out=said))
    analyzed = [check for check in found.checks if check.id == "istioctl.analyzer-message"]
    assert [(check.status, check.message) for check in analyzed] == [
        (Status.FAILURE, "IST0101 VirtualService shop/bookinfo: no such host"),
        (Status.OK, "IST0102 Namespace shop: not injected"),
    ]
    assert found.exit_code == CheckError.exit_code


async def test_an_analysis_without_a_message_is_ok_and_one_that_fails_is_a_warning(mesh: FakeCluster) -> None:
    clean = await verified(mesh, None, Answer(out=b"[]"))
    assert (Status.OK, "istioctl 1.30.2 has no message on namespace shop") in [
        (check.status, check.message) for check in clean.checks
    ]
    failed = await verified(mesh, None, Answer(code=1, err=b"unknown flag"))
    assert (Status.WARNING, "istioctl analyze failed: unknown flag") in [
        (check.status, check.message) for check in failed.checks
    ]
    assert (clean.exit_code, failed.exit_code) == (0, 0)
