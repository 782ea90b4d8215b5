from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nksmesh.domain.common.errors import ChartError
from nksmesh.domain.common.findings import Level, refuse_failures
from nksmesh.domain.kube.images import FoundImage, images_of, proxy_image
from nksmesh.domain.kube.objects import ObjectRef
from nksmesh.domain.plan.rendered import check_images
from nksmesh.domain.values.layers import Layer
from tests.unit.domain.manifests import read
from tests.unit.domain.meshes import HUB, INGRESS, ISTIOD, change, changes_of, mesh

TEMPLATES = """\
templates:
  sidecar: |
    spec:
      containers:
      - name: istio-proxy
        image: "{{ .ProxyImage }}"
  grpc-simple: |
    spec:
      initContainers:
        - name: grpc-bootstrap-init
          image: busybox:1.28
"""


def injector(*, name: str = "istio-sidecar-injector", config: str = TEMPLATES, **settings: Any) -> dict[str, Any]:
    values = {"global": {"hub": HUB, "tag": "1.20.0", "proxy": {"image": "proxyv2"}, **settings}}
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name},
        "data": {"config": config, "values": json.dumps(values)},
    }


def deployment(image: str) -> dict[str, Any]:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "istiod"},
        "spec": {"template": {"spec": {"containers": [{"name": "discovery", "image": image}]}}},
    }


def test_every_image_of_a_render_is_found_where_it_stands() -> None:
    found = list(images_of([deployment(f"{HUB}/pilot:1.20.0"), injector()], "istio-system"))
    assert [(image.image, str(image.where), image.place, image.opt_in) for image in found] == [
        (f"{HUB}/pilot:1.20.0", "Deployment istio-system/istiod", "container discovery", False),
        (f"{HUB}/proxyv2:1.20.0", "ConfigMap istio-system/istio-sidecar-injector", "values, global.proxy.image", False),
        (
            f"{HUB}/proxyv2:1.20.0",
            "ConfigMap istio-system/istio-sidecar-injector",
            "values, global.proxy_init.image",
            False,
        ),
        ("busybox:1.28", "ConfigMap istio-system/istio-sidecar-injector", "template grpc-simple", True),
    ]


def test_an_image_written_out_in_a_template_that_is_used_is_no_opt_in() -> None:
    config = "templates:\n  sidecar: |\n    - image: 'docker.io/istio/proxyv2:1'\n"
    literal = [image for image in images_of([injector(config=config)], "n") if image.place.startswith("template")]
    assert [(image.image, image.opt_in) for image in literal] == [("docker.io/istio/proxyv2:1", False)]


def test_a_gateways_auto_is_no_image() -> None:
    assert list(images_of([deployment("auto"), deployment("")], "n")) == []


PROXY_IMAGES: dict[str, tuple[dict[str, Any], str]] = {
    "hub and tag": ({}, f"{HUB}/proxyv2:1.20.0"),
    "another name": ({"proxy": {"image": "proxyv3"}}, f"{HUB}/proxyv3:1.20.0"),
    "a full path is taken word for word": ({"proxy": {"image": "other.example/p:2"}}, "other.example/p:2"),
    "nothing set": ({"proxy": None}, f"{HUB}/proxyv2:1.20.0"),
    "a number for a tag": ({"tag": 2}, f"{HUB}/proxyv2:2"),
}


@pytest.mark.parametrize(("settings", "image"), PROXY_IMAGES.values(), ids=PROXY_IMAGES)
def test_the_proxys_image_is_built_as_istiod_builds_it(settings: dict[str, Any], image: str) -> None:
    assert proxy_image([injector(**settings)]) == image


def test_a_revisions_injector_counts_and_no_injector_gives_no_image() -> None:
    assert proxy_image([injector(name="istio-sidecar-injector-canary")]) == f"{HUB}/proxyv2:1.20.0"
    assert proxy_image([deployment("x")]) == ""


def test_an_init_image_left_bare_under_a_full_proxy_is_shown_as_the_broken_name_it_becomes() -> None:
    full = f"{HUB}/proxyv2:1.20.0"
    (init,) = [
        image.image
        for image in images_of([injector(proxy={"image": full}, proxy_init={"image": "proxyv2"})], "n")
        if image.place == "values, global.proxy_init.image"
    ]
    assert init != full


@pytest.mark.parametrize(
    ("tag", "expected"), [("1.20.0", "1.20.0-distroless"), ("1.20.0-distroless", "1.20.0-distroless")]
)
def test_an_image_type_goes_behind_the_tag_once(tag: str, expected: str) -> None:
    mesh_config = read('{kind: ConfigMap, metadata: {name: istio}, data: {mesh: "defaultConfig:\\n  image:\\n    imageType: distroless\\n"}}')  # fmt: skip  # noqa: E501 - one object, one line
    assert proxy_image([injector(tag=tag), mesh_config]) == f"{HUB}/proxyv2:{expected}"


def test_an_image_in_the_hub_passes() -> None:
    found = check_images(mesh(), changes_of(change(ISTIOD, manifests=[deployment(f"{HUB}/pilot:1.20.0")])))
    assert found == []


def test_an_opt_in_template_is_noted_once() -> None:
    (finding,) = check_images(
        mesh(), changes_of(change(ISTIOD, manifests=[injector()]), change(INGRESS, manifests=[injector()]))
    )
    assert finding.level is Level.NOTE
    assert finding.message == "injection template grpc-simple pulls busybox:1.28, which is not in the hub"


def test_a_stray_image_is_named_with_its_object_and_the_layer_that_set_it() -> None:
    layers = [
        Layer(name="region kr1", values={"global": {"hub": HUB}}),
        Layer(name="--set", values={"pilot": {"hub": "docker.io/istio", "other": "docker"}}),
    ]
    with pytest.raises(ChartError, match=f"1 image is not in the hub {HUB}") as caught:
        refuse_failures(
            check_images(
                mesh(), changes_of(change(ISTIOD, manifests=[deployment("docker.io/istio/pilot:1")], layers=layers))
            )
        )
    assert caught.value.detail == (
        "docker.io/istio/pilot:1 in Deployment istio-system/istiod (container discovery), set by --set (pilot.hub)"
    )
    assert "--allow-image" in caught.value.hint


def test_a_stray_image_that_no_layer_set_is_the_charts_own() -> None:
    with pytest.raises(ChartError) as caught:
        refuse_failures(
            check_images(mesh(), changes_of(change(ISTIOD, manifests=[deployment("a/b:1"), deployment("c/d:2")])))
        )
    assert caught.value.message.startswith("2 images are not")
    assert caught.value.detail.count("set by the chart's own default") == 2


def test_an_admitted_prefix_is_admitted() -> None:
    allowed = mesh(allow_images=("docker.io/istio",))
    assert check_images(allowed, changes_of(change(ISTIOD, manifests=[deployment("docker.io/istio/pilot:1")]))) == []


NAMES = st.from_regex(
    r"[a-z0-9]([a-z0-9._-]{0,12}[a-z0-9])?(/[a-z0-9]{1,8}){0,3}(:[A-Za-z0-9._-]{1,12})?", fullmatch=True
)
HUBS = st.from_regex(r"[a-z0-9]{1,8}(\.[a-z]{2,5})(:[0-9]{2,4})?(/[a-z0-9_]{1,8}){0,2}", fullmatch=True)


@given(hub=HUBS, name=NAMES, slash=st.sampled_from(["", "/"]))
def test_an_image_below_the_hub_is_never_a_stray(hub: str, name: str, slash: str) -> None:
    manifests = [deployment(f"{hub}/{name}")]
    assert check_images(mesh(hub=hub + slash), changes_of(change(ISTIOD, manifests=manifests))) == []


@given(hub=HUBS, name=NAMES, more=st.from_regex(r"[a-z0-9._-]{1,6}", fullmatch=True))
def test_a_hub_whose_name_only_begins_alike_is_another_hub(hub: str, name: str, more: str) -> None:
    found = FoundImage(f"{hub}{more}/{name}", ObjectRef("v1", "Pod", "x"), "container")
    assert not found.lies_in([hub])
    assert not FoundImage(hub, ObjectRef("v1", "Pod", "x"), "container").lies_in([hub])


def test_the_image_that_an_annotation_gives_the_proxy_is_found() -> None:
    annotated = deployment("auto")
    annotated["spec"]["template"]["metadata"] = {"annotations": {"sidecar.istio.io/proxyImage": "docker.io/p:1"}}
    (found,) = images_of([annotated], "istio-system")
    assert (found.image, found.place) == ("docker.io/p:1", "annotation sidecar.istio.io/proxyImage")
