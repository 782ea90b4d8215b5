"""The artifact in a registry: the layer that a machine needs, and the manifest that a push writes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from nksmesh.domain.common.errors import IstioctlError
from nksmesh.domain.images.manifest import TITLE, Descriptor, Manifest
from nksmesh.domain.istioctl.archive import IstioctlArchive
from nksmesh.domain.istioctl.artifact import artifact_in, config_blob, layer_of, manifest_of

ARCHIVE = IstioctlArchive(version="1.20.0", platform="linux-amd64")
OTHER = IstioctlArchive(version="1.20.0", platform="linux-arm64")
ARTIFACT = artifact_in("registry.example.com/istio/", "1.20.0")
BLOB = Descriptor(digest=f"sha256:{'a' * 64}", size=26)
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"


def manifest(layers: Any, media_type: str = MANIFEST) -> Manifest:
    return Manifest(content=json.dumps({"config": {}, "layers": layers}).encode(), media_type=media_type)


def test_it_is_named_as_the_guides_name_it() -> None:
    assert str(ARTIFACT) == "registry.example.com/istio/istioctl-tool:1.20.0"


def test_what_is_written_is_read_again_and_holds_no_time() -> None:
    made = manifest_of({ARCHIVE.name: BLOB})
    assert layer_of(made, ARCHIVE, ARTIFACT) == BLOB
    assert made == manifest_of({ARCHIVE.name: BLOB})
    assert made.blobs == (config_blob(), BLOB)


def test_the_layer_of_this_platform_is_chosen() -> None:
    arm = Descriptor(digest=f"sha256:{'b' * 64}", size=27)
    assert layer_of(manifest_of({OTHER.name: arm, ARCHIVE.name: BLOB}), ARCHIVE, ARTIFACT) == BLOB


def test_another_platforms_archive_alone_is_refused_by_name() -> None:
    with pytest.raises(IstioctlError, match=f"does not have {ARCHIVE.name}.*it has {OTHER.name}") as refused:
        layer_of(manifest_of({OTHER.name: BLOB}), ARCHIVE, ARTIFACT)
    assert "linux-amd64" in refused.value.hint


def test_an_index_without_this_platform_is_refused_by_its_platforms() -> None:
    entry = {"digest": BLOB.digest, "size": 1, "platform": {"os": "linux", "architecture": "arm64"}}
    index = Manifest(content=json.dumps({"manifests": [entry]}).encode(), media_type=INDEX)
    with pytest.raises(IstioctlError, match="it has linux/arm64"):
        layer_of(index, ARCHIVE, ARTIFACT)


@pytest.mark.parametrize(
    "layers",
    [
        None,
        [1],
        [{"annotations": 1}],
        [{"annotations": {TITLE: ARCHIVE.name}, "digest": "md5:1", "size": 1}],
        [{"annotations": {TITLE: ARCHIVE.name}, "digest": BLOB.digest, "size": -1}],
    ],
)
def test_a_manifest_of_another_form_is_refused(layers: Any) -> None:
    with pytest.raises(IstioctlError, match="is not an artifact that can be used"):
        layer_of(manifest(layers), ARCHIVE, ARTIFACT)


@pytest.mark.parametrize("layers", [[], [{"digest": BLOB.digest, "size": 1}]])
def test_an_image_in_its_place_has_no_files(layers: Any) -> None:
    with pytest.raises(IstioctlError, match="it has no files"):
        layer_of(manifest(layers), ARCHIVE, ARTIFACT)
