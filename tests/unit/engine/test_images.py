"""Looking for images as pods will pull them, over a registry that is a table."""

from __future__ import annotations

import base64
import json

import pytest

from nksmesh.domain.common.errors import ConfigError, ImageError
from nksmesh.domain.common.findings import Level
from nksmesh.domain.images.login import Login
from nksmesh.domain.images.manifest import FoundManifest
from nksmesh.domain.images.reference import Reference
from nksmesh.domain.kube.objects import ObjectRef
from nksmesh.engine.image_lookup import CheckedImage, check_images
from tests.unit.fakes.cluster import FakeCluster
from tests.unit.fakes.registries import Table, index

PILOT = "registry.example.com/istio/pilot:1.30.2"
SECRET = ObjectRef("v1", "Secret", "key", "istio-system")
BOTH = ("linux/amd64", "linux/arm64")
OWN = Login(source="~/.docker/config.json", username="kim", password="of kim")  # noqa: S106 - nobody's


def put_nodes(cluster: FakeCluster, *architectures: str) -> None:
    for number, architecture in enumerate(architectures):
        labels = {"kubernetes.io/arch": architecture, "kubernetes.io/os": "linux"}
        cluster.objects.put(
            {"apiVersion": "v1", "kind": "Node", "metadata": {"name": f"node-{number}", "labels": labels}}
        )


def put_secret(cluster: FakeCluster, content: str) -> None:
    data = {".dockerconfigjson": base64.b64encode(content.encode()).decode()}
    metadata = {"name": SECRET.name, "namespace": SECRET.namespace}
    cluster.objects.put({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": data})


async def check(cluster: FakeCluster, table: Table) -> CheckedImage:
    (found,) = await check_images([PILOT], [SECRET], cluster, table)
    return found


async def test_an_image_is_found_with_the_pods_own_login(cluster: FakeCluster) -> None:
    put_nodes(cluster, "amd64")
    put_secret(cluster, json.dumps({"auths": {"registry.example.com": {"username": "pods", "password": "of pods"}}}))
    table = Table(pilot=index(*BOTH))
    table.lets_in = {"pods"}
    found = await check(cluster, table)
    assert (found.found, found.findings) == (index(*BOTH), ())
    assert found.login == "Secret istio-system/key"
    assert "of pods" not in repr(found)


async def test_a_missing_image_is_a_failure_with_the_registrys_words(cluster: FakeCluster) -> None:
    (finding,) = (await check(cluster, Table())).findings
    assert (finding.id, finding.level, finding.error) == ("images.missing", Level.FAILURE, ImageError)
    assert finding.detail == "MANIFEST_UNKNOWN"


async def test_pods_without_a_login_are_told_where_this_machine_has_one(cluster: FakeCluster) -> None:
    table = Table(pilot=index(*BOTH))
    table.lets_in = {"kim"}
    (finding,) = (await check(cluster, table)).findings
    assert finding.id == "images.denied"
    table.own = OWN
    (finding,) = (await check(cluster, table)).findings
    assert (finding.id, finding.level) == ("images.no-pull-secret", Level.WARNING)
    # a login that pods have and that is refused is not made good by this machine's
    put_secret(cluster, json.dumps({"auths": {"registry.example.com": {"username": "pods", "password": "x"}}}))
    (finding,) = (await check(cluster, table)).findings
    assert finding.id == "images.denied"


@pytest.mark.parametrize(
    ("nodes", "platforms", "level"),
    [
        (["arm64"], ["linux/amd64"], Level.FAILURE),
        (["amd64", "arm64"], ["linux/amd64"], Level.WARNING),
        (["amd64", "amd64"], ["linux/amd64"], None),
        (["amd64"], [], None),
        ([], ["linux/amd64"], None),
    ],
)
async def test_an_index_has_an_image_for_the_nodes(
    cluster: FakeCluster, nodes: list[str], platforms: list[str], level: Level | None
) -> None:
    put_nodes(cluster, *nodes)
    found = await check(cluster, Table(pilot=index(*platforms)))
    told = [(finding.id, finding.level) for finding in found.findings]
    assert told == ([("images.missing-platform", level)] if level else [])


async def test_a_registry_that_is_down_is_told_as_that(cluster: FakeCluster) -> None:
    table = Table()
    table.down = True
    (finding,) = (await check(cluster, table)).findings
    assert finding.id == "images.unreachable"


async def test_a_secret_that_is_no_pull_secret_is_named_and_not_shown(cluster: FakeCluster) -> None:
    put_secret(cluster, "a secret that is no JSON")
    with pytest.raises(ConfigError, match="Secret istio-system/key is no pull secret") as caught:
        await check(cluster, Table())
    assert "a secret that" not in f"{caught.value.message}{caught.value.hint}{caught.value.detail}"


async def test_each_pull_secret_is_tried_as_the_kubelet_does(cluster: FakeCluster) -> None:
    put_nodes(cluster, "amd64")
    table = Table(pilot=index(*BOTH))
    table.lets_in = {"good"}
    refs = [ObjectRef("v1", "Secret", name, "istio-system") for name in ("good", "stale")]
    for ref in refs:
        config = {"auths": {"registry.example.com": {"username": ref.name, "password": "x"}}}
        data = {".dockerconfigjson": base64.b64encode(json.dumps(config).encode()).decode()}
        metadata = {"name": ref.name, "namespace": ref.namespace}
        cluster.objects.put({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": data})
    for order in (refs, refs[::-1]):
        (found,) = await check_images([PILOT], order, cluster, table)
        assert (found.login, found.findings) == ("Secret istio-system/good", ())
    (found,) = await check_images([PILOT], refs[1:], cluster, table)
    assert [finding.id for finding in found.findings] == ["images.denied"]


async def test_a_slow_registry_hides_nothing_that_another_one_says(cluster: FakeCluster) -> None:
    class HalfSlow(Table):
        async def find(self, image: Reference, login: Login | None) -> FoundManifest:
            self.slow = 60.0 if image.host == "registry.example.net" else 0.0
            return await super().find(image, login)

    names = [PILOT, "registry.example.net/x:1"]
    missing, slow = await check_images(names, [], cluster, HalfSlow(), patience=0.05)
    assert [finding.id for finding in missing.findings] == ["images.missing"]
    assert [finding.id for finding in slow.findings] == ["images.unreachable"]
    assert "registry.example.net does not answer within" in slow.findings[0].message
