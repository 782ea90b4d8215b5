"""The platforms that an index has images for."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nksmesh.domain.images.manifest import INDEXES, MANIFESTS, platforms_of


def entry(platform: Any) -> dict[str, Any]:
    return {"digest": "sha256:" + "0" * 64, "size": 1, **({"platform": platform} if platform is not None else {})}


def index(*platforms: Any) -> bytes:
    return json.dumps({"schemaVersion": 2, "manifests": [entry(platform) for platform in platforms]}).encode()


AMD64 = {"os": "linux", "architecture": "amd64"}
ARM64 = {"os": "linux", "architecture": "arm64", "variant": "v8"}
ATTESTATION = {"os": "unknown", "architecture": "unknown"}


@pytest.mark.parametrize(
    ("platforms", "expected"),
    [
        ((), ()),
        ((AMD64,), ("linux/amd64",)),
        ((AMD64, ARM64), ("linux/amd64", "linux/arm64")),
        ((ARM64, AMD64), ("linux/arm64", "linux/amd64")),
        ((AMD64, ATTESTATION, ARM64, ATTESTATION), ("linux/amd64", "linux/arm64")),
        ((AMD64, AMD64), ("linux/amd64",)),
        ((None, AMD64), ("linux/amd64",)),
        (({}, AMD64), ("linux/amd64",)),
        ((ATTESTATION,), ()),
    ],
)
def test_platforms_are_listed_once_and_attestations_are_not(platforms: Any, expected: tuple[str, ...]) -> None:
    assert platforms_of(index(*platforms)) == expected


def test_the_platforms_of_a_real_index_are_read() -> None:
    """The form of docker buildx: two images, and an attestation for each."""
    data = b"""{
      "schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": [
       {"mediaType": "application/vnd.oci.image.manifest.v1+json", "size": 1, "digest": "sha256:1",
        "platform": {"architecture": "amd64", "os": "linux"}},
       {"mediaType": "application/vnd.oci.image.manifest.v1+json", "size": 1, "digest": "sha256:2",
        "platform": {"architecture": "arm64", "os": "linux"}},
       {"mediaType": "application/vnd.oci.image.manifest.v1+json", "size": 1, "digest": "sha256:3",
        "annotations": {"vnd.docker.reference.type": "attestation-manifest"},
        "platform": {"architecture": "unknown", "os": "unknown"}}]}"""
    assert platforms_of(data) == ("linux/amd64", "linux/arm64")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<html>sign in</html>",
        b"\xff\xfe",
        b"{",
        b"[]",
        b"null",
        b"1",
        b"{}",
        b'{"manifests": null}',
        b'{"manifests": 1}',
        b'{"manifests": ["linux/amd64"]}',
        b'{"manifests": [{"platform": "linux/amd64"}]}',
        b'{"manifests": [{"platform": ["linux"]}]}',
        b"[" * 100_000,
    ],
    ids=range(14),
)
def test_what_is_no_index_is_an_error(data: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        platforms_of(data)


@given(st.recursive(st.none() | st.integers() | st.text(max_size=5), lambda inner: st.lists(inner, max_size=3)))
def test_whatever_stands_for_a_platform_is_read_or_refused_with_a_value_error(platform: Any) -> None:
    for data in (index(platform), json.dumps({"manifests": platform}).encode(), json.dumps(platform).encode()):
        try:
            platforms_of(data)
        except ValueError:
            continue


def test_an_index_is_no_manifest() -> None:
    assert not INDEXES & MANIFESTS
    assert all(kind.startswith("application/vnd.") for kind in INDEXES | MANIFESTS)
