from __future__ import annotations

import base64
import gzip
import json
from typing import Any

import pytest

from nksmesh.adapters.cluster.objects import Objects
from nksmesh.adapters.cluster.records import Records
from nksmesh.domain.charts.releases import Release
from nksmesh.domain.common.errors import ClusterError
from nksmesh.domain.kube.objects import ObjectRef
from nksmesh.domain.mesh.mesh import GatewaySpec, Network
from nksmesh.domain.mesh.record import Record, RecordedRelease
from nksmesh.domain.mesh.request import Recorded
from nksmesh.domain.values.layers import Layer, LayerKind

pytestmark = pytest.mark.cluster

RELEASE = Release(component="istiod", name="istiod", namespace="mesh-a")


def record(namespace: str, *, helm_revision: int = 1) -> Record:
    return Record(
        settings=Recorded(
            region="kr1",
            network=Network.PRIVATE,
            version="1.20.0",
            namespace=namespace,
            gateways=(GatewaySpec(name="edge", namespace="edge", values={"replicas": 2}),),
            layers={"istiod": (Layer(name="--set", values={"pilot": {"env": {"A": "판교"}}}, kind=LayerKind.SET),)},
        ),
        hub="h",
        releases=(RecordedRelease(release=RELEASE, chart_digest="d", values_hash="v", helm_revision=helm_revision),),
        written_by="1",
    )


async def test_records_are_kept_replaced_and_forgotten_one_for_each_mesh(objects: Objects) -> None:
    records = Records(objects)
    assert await records.read_all() == {}
    await records.write(record("mesh-a"))
    await records.write(record("mesh-b"))
    await records.write(record("mesh-a", helm_revision=2))
    assert await records.read_all() == {"mesh-a": record("mesh-a", helm_revision=2), "mesh-b": record("mesh-b")}
    await records.delete("mesh-a")
    await records.delete("mesh-a")
    assert list(await records.read_all()) == ["mesh-b"]
    await records.delete("mesh-b")


async def test_a_record_is_a_secret_outside_of_the_mesh_for_it_holds_values(objects: Objects) -> None:
    await Records(objects).write(record("mesh-a"))
    found = await objects.get(ObjectRef("v1", "Secret", "nksmesh.mesh-a", "kube-system"))
    assert found is not None
    assert found["type"] == "nksmesh/record"
    await Records(objects).delete("mesh-a")


def packed(data: object) -> str:
    return base64.b64encode(gzip.compress(json.dumps(data).encode())).decode()


WHOLE: dict[str, Any] = {"nksmesh": 1, **record("mesh-a").to_data()}
BROKEN = {
    "not packed": base64.b64encode(b"plain").decode(),
    "cut short": base64.b64encode(gzip.compress(json.dumps(WHOLE).encode())[:-20]).decode(),
    "garbled": base64.b64encode(gzip.compress(b"x" * 99)[:12] + b"garbage garbage").decode(),
    "not JSON": base64.b64encode(gzip.compress(b"{")).decode(),
    "a list": packed([]),
    "without its answers": packed({key: value for key, value in WHOLE.items() if key != "answers"}),
    "layers that are none": packed({**WHOLE, "answers": {**WHOLE["answers"], "layers": None}}),
    "an unknown network": packed({**WHOLE, "answers": {**WHOLE["answers"], "network": "hybrid"}}),
    "releases that are words": packed({**WHOLE, "releases": ["istiod"]}),
}


@pytest.mark.parametrize("content", BROKEN.values(), ids=BROKEN)
async def test_a_record_that_cannot_be_read_is_named_with_the_way_out(objects: Objects, content: str) -> None:
    ref = ObjectRef("v1", "Secret", "nksmesh.broken", "kube-system")
    manifest = {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "nksmesh/record",
        "metadata": {"name": ref.name},
        "data": {"record": content},
    }
    await objects.apply(manifest, ref)
    try:
        with pytest.raises(ClusterError, match=r"Secret kube-system/nksmesh\.broken cannot be read") as caught:
            await Records(objects).read_all()
        assert "kubectl delete secret" in caught.value.hint
    finally:
        await objects.delete(ref)


async def test_a_later_nksmeshs_record_is_not_guessed_at(objects: Objects) -> None:
    ref = ObjectRef("v1", "Secret", "nksmesh.later", "kube-system")
    manifest = {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "nksmesh/record",
        "metadata": {"name": ref.name},
        "data": {"record": packed({"nksmesh": 2, "written_by": "7.0.0"})},
    }
    await objects.apply(manifest, ref)
    try:
        with pytest.raises(
            ClusterError, match=r"a newer nksmesh wrote the record in Secret .*nksmesh\.later"
        ) as caught:
            await Records(objects).read_all()
        assert caught.value.hint == "Use nksmesh 7.0.0 or newer on this cluster."
    finally:
        await objects.delete(ref)
