"""The value that an image comes from is named: of several that fit the one that moves the image when it changes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from nksmesh.domain.charts.chart import Chart
from nksmesh.domain.charts.releases import Release
from nksmesh.domain.common.errors import ChartError
from nksmesh.domain.common.findings import refuse_failures
from nksmesh.domain.kube.images import FoundImage
from nksmesh.domain.kube.objects import Manifest, ObjectRef
from nksmesh.domain.plan.rendered import check_images, pinned_images
from nksmesh.domain.plan.setters import setters_of
from nksmesh.domain.values.layers import Layer, LayerKind
from nksmesh.domain.values.set_values import parse_set, set_layer
from nksmesh.engine.setters import prove_setters
from tests.unit.domain.meshes import HUB, ISTIOD, change, changes_of, mesh
from tests.unit.fakes.cluster import FakeHelm

X = "docker.io/x"


class Rendering(FakeHelm):
    """A Helm whose one chart has istiod's image from pilot.hub and pilot.tag, and else from global's."""

    async def render(
        self, release: Release, chart: Chart, values: Mapping[str, Any], *, kubernetes: str = "", upgrade: bool
    ) -> str:
        await super().render(release, chart, values, kubernetes=kubernetes, upgrade=upgrade)
        if "-" in str(values.get("strict", "")):
            raise ChartError("no such value", hint="")
        return self.text(rendered(values))


def deployment(*images: str) -> Manifest:
    containers = [{"name": f"c{number}", "image": image} for number, image in enumerate(images)]
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "istiod"},
        "spec": {"template": {"spec": {"containers": containers}}},
    }


def rendered(values: Mapping[str, Any]) -> list[Manifest]:
    pilot, whole = values.get("pilot", {}), values["global"]
    images = values.get("extra", [])
    hub, tag = pilot.get("hub") or whole["hub"], pilot.get("tag") or whole["tag"]
    return [deployment(f"{hub}/pilot:{tag}", *(item["image"] for item in images))]


async def told(*layers: dict[str, Any], versions: bool = False) -> tuple[str, Rendering]:
    """Say what a plan of these layers complains of."""
    below = Layer(name="region kr1", values={"global": {"hub": HUB, "tag": "1.20.0"}})
    named = [below, *(Layer(name=f"layer {number}", values=values) for number, values in enumerate(layers))]
    plain = change(ISTIOD, layers=named, manifests=[])
    helm = Rendering()
    made = changes_of(change(ISTIOD, layers=named, manifests=rendered(plain.composed.values)))
    made = await prove_setters(mesh(), made, helm, kubernetes="v1.28.0", versions=versions)
    if versions:
        return "\n".join(pinned_images(mesh(), made)), helm
    try:
        refuse_failures(check_images(mesh(), made))
    except ChartError as problem:
        return problem.detail, helm
    return "", helm


async def test_nothing_is_rendered_where_every_image_is_in_order() -> None:
    detail, helm = await told({"a": HUB, "b": f"{HUB}/pilot:1.20.0"})
    assert (detail, helm.calls) == ("", [])


async def test_one_value_that_fits_is_named_without_a_render() -> None:
    detail, helm = await told({"pilot": {"hub": X}})
    assert detail.endswith("set by layer 0 (pilot.hub)")
    assert helm.calls == []


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
async def test_of_two_equal_keys_the_one_that_makes_the_image_is_named(order: tuple[int, int]) -> None:
    layers: list[dict[str, Any]] = [{"pilot": {"hub": X}}, {"global": {"hub": X}, "aaa": X, "zzz": X}]
    detail, _ = await told(*(layers[number] for number in order))
    assert detail.endswith(f"set by layer {order.index(0)} (pilot.hub)")


async def test_a_longer_value_that_makes_nothing_is_not_named() -> None:
    detail, _ = await told({"global": {"hub": X}, "note": f"{X}/pilot:1.20.0", "strict": f"{X}/pilot"})
    assert detail.endswith("set by layer 0 (global.hub)")


async def test_an_equal_value_of_a_stronger_layer_is_its_own() -> None:
    detail, _ = await told({"global": {"hub": X}}, {"global": {"hub": X}}, {"other": X})
    assert detail.endswith("set by layer 1 (global.hub)")


async def test_each_image_has_its_own_setter_in_lists_too() -> None:
    layer = {"extra": [{"image": f"{X}/a:1"}, {"image": f"{X}/b:1"}], "pilot": {"hub": X}, "same": f"{X}/b:1"}
    detail, _ = await told(layer)
    assert [line.rpartition("set by ")[2] for line in detail.splitlines()] == [
        "layer 0 (extra[0].image)",
        "layer 0 (extra[1].image)",
        "layer 0 (pilot.hub)",
    ]


def test_an_index_of_set_is_not_the_setter_of_the_items_that_it_takes_along() -> None:
    layers = [Layer(name="-f x", values={"l": [{"image": f"{X}/a:1"}, {"image": "b"}]}, kind=LayerKind.FILE)]
    layers.append(set_layer(parse_set(f"istiod:l[1].image={X}/b:1"), layers[0].values))
    made = change(ISTIOD, layers=layers)
    named = {}
    for image in ("a", "b"):
        found = FoundImage(f"{X}/{image}:1", ObjectRef("apps/v1", "Deployment", "x"), "c")
        (setter,) = setters_of(found, made)
        named[image] = str(setter)
    assert named == {"a": "-f x (l[0].image)", "b": "--set istiod:l[1].image (l[1].image)"}


async def test_a_pinned_tag_is_told_by_the_key_that_pins_it() -> None:
    detail, _ = await told({"global": {"tag": "1.19.0"}}, {"pilot": {"tag": "1.19.0"}, "zzz": "1.19.0"}, versions=True)
    assert detail.endswith("pinned by layer 1 (pilot.tag)")
    detail, _ = await told({"global": {"tag": "1.19.0"}}, {"zzz": "1.19.0"}, versions=True)
    assert detail.endswith("pinned by layer 0 (global.tag)")


def test_the_guess_prefers_the_strongest_layer_among_equals() -> None:
    layers = [Layer(name="z", values={"a": X}), Layer(name="a", values={"b": X})]
    made = change(ISTIOD, layers=layers, manifests=[deployment(f"{X}/pilot:1")])
    with pytest.raises(ChartError) as raised:
        refuse_failures(check_images(mesh(), changes_of(made)))
    assert raised.value.detail.endswith("set by a (b)")
