from __future__ import annotations

import base64
import gzip
import json

import pytest

from nksmesh.adapters.cluster.objects import Objects
from nksmesh.adapters.cluster.records import MOST_BYTES, Histories
from nksmesh.domain.common.errors import ClusterError
from nksmesh.domain.kube.objects import ObjectRef
from nksmesh.domain.plan.history import History, Outcome
from tests.unit.domain.runs import run

pytestmark = pytest.mark.cluster

MESH = "mesh-h"
REF = ObjectRef("v1", "Secret", f"nksmesh.history.{MESH}", "kube-system")


async def test_histories_are_kept_changed_and_forgotten_and_what_another_wrote_is_not_lost(objects: Objects) -> None:
    ours, theirs = Histories(objects), Histories(objects)
    try:
        await ours.update(MESH, lambda kept: kept.begun(run(kept.next_number, Outcome.RUNNING)))
        await theirs.update(MESH, lambda kept: kept.begun(run(kept.next_number)))
        kept = await ours.update(MESH, lambda kept: kept.begun(run(kept.next_number)))
        assert [one.number for one in kept.runs] == [1, 2, 3]
        assert kept == (await theirs.read_all())[MESH]
        found = await objects.get(REF)
        assert found is not None
        assert found["type"] == "nksmesh/history"
    finally:
        await ours.delete(MESH)
    assert MESH not in await ours.read_all()
    await ours.update(MESH, lambda kept: kept.begun(run(kept.next_number)))
    await theirs.delete(MESH)
    assert (await ours.update(MESH, lambda kept: kept.begun(run(kept.next_number)))).runs == (run(1),)
    await ours.delete(MESH)


def noise(run_number: int) -> str:
    """Text that gzip makes no smaller than half of it."""
    import random  # noqa: PLC0415

    return random.Random(run_number).randbytes(40_000).hex()  # noqa: S311 - no secret


async def test_the_oldest_runs_go_where_they_are_too_much_for_a_secret(objects: Objects) -> None:
    histories = Histories(objects)
    runs = tuple(run(number, reason=noise(number)) for number in range(1, 21))
    kept = await histories.update(MESH, lambda _: History(namespace=MESH, runs=runs))
    try:
        assert [one.number for one in kept.runs][-1] == 20
        assert 5 < len(kept.runs) < 20
        assert (await Histories(objects).read_all())[MESH] == kept
        found = await objects.get(REF)
        assert found is not None
        assert len(base64.b64decode(found["data"]["history"])) <= MOST_BYTES
    finally:
        await histories.delete(MESH)


def packed(data: object) -> str:
    return base64.b64encode(gzip.compress(json.dumps(data).encode())).decode()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (base64.b64encode(b"plain").decode(), "cannot be read"),
        (packed([]), "cannot be read"),
        (packed({"nksmesh": 1, "namespace": MESH, "runs": [{"number": 1}]}), "cannot be read"),
        (packed({"nksmesh": 2}), "a newer nksmesh"),
    ],
    ids=["not packed", "not a history", "a run without its keys", "of a later nksmesh"],  # a gzip has the time in it
)
async def test_a_history_that_cannot_be_read_is_named_with_the_way_out(
    objects: Objects, content: str, words: str
) -> None:
    manifest = {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "nksmesh/history",
        "metadata": {"name": REF.name, "namespace": REF.namespace},
        "data": {"history": content},
    }
    await objects.create(manifest, REF)
    try:
        with pytest.raises(ClusterError, match=words) as caught:
            await Histories(objects).read_all()
        assert REF.name in caught.value.message
        with pytest.raises(ClusterError, match=words):
            await Histories(objects).update(MESH, lambda kept: kept)
    finally:
        await objects.delete(REF)
