from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nksmesh.domain.charts.releases import COMPONENTS, Release
from nksmesh.domain.mesh.mesh import DeployedRevisions, GatewaySpec, Network
from nksmesh.domain.mesh.record import Canary, Record, RecordedRelease, hash_of
from nksmesh.domain.mesh.request import Recorded
from nksmesh.domain.values.layers import Layer, LayerKind
from nksmesh.domain.values.set_integers import SetInteger, set_integers

WORDS = st.text(max_size=8)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=6,
)
VALUES = st.dictionaries(WORDS, JSON, max_size=3)
LAYERS = st.lists(
    st.builds(Layer, name=WORDS, values=VALUES, ours=st.booleans(), kind=st.sampled_from(LayerKind)),
    max_size=2,
).map(tuple)
GATEWAYS = st.lists(st.builds(GatewaySpec, name=WORDS, namespace=WORDS, values=VALUES), max_size=2).map(tuple)
TUPLES = st.lists(WORDS, max_size=2).map(tuple)
RECORDED = st.builds(
    Recorded,
    region=WORDS,
    network=st.none() | st.sampled_from(Network),
    hub=WORDS,
    version=WORDS,
    profile=WORDS,
    namespace=WORDS,
    charts=WORDS,
    gateways=st.none() | GATEWAYS,
    full_image_paths=st.booleans(),
    pull_secrets=TUPLES,
    allow_images=TUPLES,
    layers=st.dictionaries(WORDS, LAYERS, max_size=2),
    revisions=st.builds(
        DeployedRevisions, istio_revision=WORDS, default_revision=WORDS, tags=TUPLES, base_version=WORDS
    ),
)
RELEASE = st.builds(
    Release, component=st.sampled_from(sorted(COMPONENTS)), name=WORDS, namespace=WORDS, istio_revision=WORDS
)
RELEASES = st.builds(
    RecordedRelease,
    release=RELEASE,
    chart_digest=WORDS,
    values_hash=WORDS,
    helm_revision=st.integers(0, 99),
    layers=st.lists(st.tuples(WORDS, WORDS), max_size=2).map(tuple),
)
RECORDS = st.builds(
    Record,
    settings=RECORDED,
    hub=WORDS,
    environment=WORDS,
    releases=st.lists(RELEASES, max_size=3).map(tuple),
    written_by=WORDS,
    canary=st.none() | st.builds(Canary, settings=RECORDED, release=RELEASE, promoting=st.booleans()),
)


@given(RECORDS)
def test_a_record_reads_back_as_it_was_written(record: Record) -> None:
    assert Record.from_data(json.loads(json.dumps(record.to_data()))) == record


def a_record() -> Record:
    release = Release(component="istiod", name="istiod", namespace="mesh")
    return Record(
        settings=Recorded(
            region="kr1", network=Network.PRIVATE, namespace="mesh", gateways=(GatewaySpec(name="edge"),)
        ),
        hub="h",
        releases=(RecordedRelease(release=release, chart_digest="d", values_hash="v", helm_revision=2),),
    )


def as_json(record: Record) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(json.dumps(record.to_data()))
    return data


def test_integers_of_set_and_maps_of_json_are_told_from_others() -> None:
    """JSON has no word for them; without it a later run would give Helm floats, and merge what was replaced."""
    values = {"a.b": [{"c": SetInteger(10**6)}, 10**6], "d": SetInteger(-(2**63)), "e": {}}
    layer = Layer(name="--set x", values=values, kind=LayerKind.SET, replaces=(("e",),))
    settings = Recorded(layers={"istiod": (layer,)})
    canary = Canary(settings=settings, release=Release(component="istiod", name="b", namespace="n"))
    record = Record(settings=settings, hub="", canary=canary)
    back = Record.from_data(json.loads(json.dumps(record.to_data())))
    assert back == record
    assert back.canary is not None
    for found in (back.settings, back.canary.settings):
        (kept,) = found.layers["istiod"]
        assert set_integers(kept.values) == ((("a.b", 0, "c"), 10**6), (("d",), -(2**63)))
        assert hash_of(kept.values) == hash_of(values)


def test_a_layer_that_was_recorded_without_its_kind_has_the_kind_of_its_option() -> None:
    kept = tuple(Layer(name=kind.option, values={"a": 1}, kind=kind) for kind in (LayerKind.FILE, LayerKind.SET))
    record = Record(settings=Recorded(layers={"istiod": kept}), hub="")
    data = json.loads(json.dumps(record.to_data()))
    for layer in data["answers"]["layers"]["istiod"]:
        assert layer["option"] == layer["name"]  # so that the version before finds it, too
        del layer["kind"]
    assert Record.from_data(data) == record


def test_the_hash_tells_an_integer_from_a_float_and_is_the_old_one_without() -> None:
    assert hash_of({"a": SetInteger(10**6)}) != hash_of({"a": 10**6})
    old = "sha256:" + hashlib.sha256(b'{"a": 1000000, "b": {"c": 1}}').hexdigest()
    assert hash_of({"b": {"c": 1}, "a": 10**6}) == old


def test_a_record_is_known_by_its_control_planes_namespace() -> None:
    record = a_record()
    assert record.namespace == "mesh"
    assert record.of_release(record.releases[0].release) == record.releases[0]
    assert record.of_release(Release(component="base", name="istio-base", namespace="mesh")) is None


def test_keys_of_a_later_nksmesh_are_passed_over() -> None:
    data = as_json(a_record())
    data["later"] = data["answers"]["later"] = data["answers"]["gateways"][0]["later"] = 1
    data["releases"][0]["later"] = data["releases"][0]["release"]["later"] = 1
    assert Record.from_data(data) == a_record()


def test_keys_that_an_earlier_nksmesh_did_not_write_are_empty() -> None:
    data = as_json(a_record())
    for key in ("layers", "full_image_paths", "pull_secrets", "allow_images", "gateways", "standing"):
        del data["answers"][key]
    del data["environment"], data["written_by"], data["releases"][0]["layers"], data["canary"]
    found = Record.from_data(data)
    assert (found.canary, found.settings.revisions) == (None, DeployedRevisions())
    assert found.settings.gateways is None
    assert (found.settings.layers, found.settings.pull_secrets) == ({}, ())


@pytest.mark.parametrize("missing", ["answers", "hub", "releases"])
def test_a_record_without_what_every_record_has_is_none(missing: str) -> None:
    data = as_json(a_record())
    del data[missing]
    with pytest.raises(KeyError):
        Record.from_data(data)


def test_an_unknown_network_is_refused() -> None:
    data = as_json(a_record())
    data["answers"]["network"] = "hybrid"
    with pytest.raises(ValueError, match="hybrid"):
        Record.from_data(data)


@given(VALUES)
def test_the_hash_of_values_does_not_know_their_order(values: dict[str, Any]) -> None:
    assert hash_of(dict(reversed(values.items()))) == hash_of(values)
    assert hash_of({**values, "one more": 1}) != hash_of(values)
