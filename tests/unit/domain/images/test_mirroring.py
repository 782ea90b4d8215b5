"""Where copies go, what is left of an index, how copies are seen, and how charts lie in a registry."""

from __future__ import annotations

import json
from typing import Any

import pytest

from nksmesh.domain.images.manifest import INDEXES, MANIFESTS, Manifest
from nksmesh.domain.images.mirroring import PackedChart, seen_through, target_of
from nksmesh.domain.images.reference import parse_reference

NCR = "1a2b3c4d-kr1-registry.container.nhncloud.com"


@pytest.mark.parametrize(
    ("image", "hub", "to", "copy"),
    [
        ("docker.io/istio/pilot:1.30.2", "docker.io/istio", f"{NCR}/mesh/istio", f"{NCR}/mesh/istio/pilot:1.30.2"),
        ("localhost:5000/a/b/c:1", "localhost:5000/a/", "localhost:5001/z", "localhost:5001/z/b/c:1"),
        ("gcr.io/x/pilot:1", "docker.io/istio", f"{NCR}/mesh", None),
        ("docker.io/istio-two/pilot:1", "docker.io/istio", f"{NCR}/mesh", None),
    ],
)
def test_a_copy_is_below_its_hub_what_the_image_was(image: str, hub: str, to: str, copy: str | None) -> None:
    found = target_of(image, hub, to)
    assert (str(found) if found else None) == copy


@pytest.mark.parametrize(
    ("address", "seen"),
    [
        ("", f"{NCR}/mesh/istio/pilot:1"),
        (f"private-{NCR}", f"private-{NCR}/mesh/istio/pilot:1"),
        ("cache.example.com/two", "cache.example.com/two/pilot:1"),
    ],
)
def test_a_copy_is_seen_through_another_host_or_hub(address: str, seen: str) -> None:
    to = f"{NCR}/mesh/istio"
    assert str(seen_through(parse_reference(f"{to}/pilot:1"), to, address)) == seen


def test_a_chart_is_what_helm_writes() -> None:
    chart = PackedChart(name="base", version="1.2.3+a", about={"name": "base", "version": "1.2.3+a"}, archive=b"x")
    said = json.loads(chart.manifest.content)
    assert said["config"]["mediaType"] == "application/vnd.cncf.helm.config.v1+json"
    (layer,) = said["layers"]
    assert layer["mediaType"] == "application/vnd.cncf.helm.chart.content.v1.tar+gzip"
    assert layer["size"] == 1
    assert str(chart.below("r.example.com/mesh")) == "r.example.com/mesh/charts/base:1.2.3_a"
    assert chart.manifest.blobs == tuple(chart.blobs)


def entry(letter: str, platform: dict[str, str], of: str = "") -> dict[str, Any]:
    notes = {"vnd.docker.reference.digest": f"sha256:{of * 64}"} if of else {}
    found = {"digest": f"sha256:{letter * 64}", "size": 1, "platform": platform}
    return {**found, "annotations": notes} if of else found


WHOLE = [
    entry("a", {"os": "linux", "architecture": "amd64"}),
    entry("b", {"os": "linux", "architecture": "arm64", "variant": "v8"}),
    entry("c", {"os": "unknown", "architecture": "unknown"}, of="a"),
    entry("d", {"os": "unknown", "architecture": "unknown"}, of="b"),
    entry("e", {"os": "unknown", "architecture": "unknown"}),
]


def index_of(*entries: dict[str, Any]) -> Manifest:
    content = json.dumps({"manifests": entries, "annotations": {"x": "y"}}).encode()
    return Manifest(content=content, media_type=min(INDEXES))


@pytest.mark.parametrize(
    ("platforms", "kept"),
    [
        (["linux/amd64"], "ace"),
        (["linux/arm64"], "bde"),
        (["linux/arm64/v8"], "bde"),
        (["linux/amd64", "linux/arm64"], "abcde"),
        ([], "abcde"),
    ],
)
def test_of_an_index_the_images_of_platforms_are_left_with_their_attestations(platforms: list[str], kept: str) -> None:
    whole = index_of(*WHOLE)
    part = whole.only(platforms)
    assert "".join(child.digest[-1] for child in part.children) == kept
    assert (part is whole) == (kept == "abcde")
    assert json.loads(part.content)["annotations"] == {"x": "y"}


@pytest.mark.parametrize("platform", ["linux/arm", "linux/amd64/v2", "windows/amd64", "linux", ""])
def test_a_platform_is_not_guessed(platform: str) -> None:
    whole = index_of(*WHOLE)
    if platform == "linux":  # any of it: what it says
        assert len(whole.only([platform]).children) == len(WHOLE)
        return
    with pytest.raises(LookupError):
        whole.only([platform])


def test_a_layer_that_stays_elsewhere_is_no_blob() -> None:
    parts = [
        {"digest": f"sha256:{letter * 64}", "size": 2, "mediaType": kind}
        for letter, kind in (
            ("a", "application/vnd.oci.image.config.v1+json"),
            ("b", "application/vnd.oci.image.layer.v1.tar+gzip"),
            ("c", "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"),
        )
    ]
    body = json.dumps({"config": parts[0], "layers": parts[1:]}).encode()
    manifest = Manifest(content=body, media_type=min(MANIFESTS))
    assert [blob.digest[-1] for blob in manifest.blobs] == ["a", "b"]
    assert manifest.children == ()


@pytest.mark.parametrize(
    "body", [b"[]", b"{}", b"null", b'{"config": 1, "layers": []}', b'{"config": {}, "layers": 3}']
)
def test_what_is_no_manifest_is_told(body: bytes) -> None:
    for media_type in (min(MANIFESTS), min(INDEXES)):
        manifest = Manifest(content=body, media_type=media_type)
        with pytest.raises(ValueError, match=r"it has no|a digest|its manifests"):
            _ = (*manifest.blobs, *manifest.children)
