"""Names of images, as distribution's own tests and the container runtimes read them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nksmesh.domain.common.errors import ConfigError
from nksmesh.domain.images.reference import DOCKER_HUB, Reference, parse_reference

DIGEST = "sha256:" + "0123456789abcdef" * 4

names = st.from_regex(r"[a-z0-9]{1,4}((\.|_|__|-{1,2})[a-z0-9]{1,3})?", fullmatch=True)
repositories = st.lists(names, min_size=1, max_size=3).map("/".join)
hosts = st.one_of(
    st.just("localhost"),
    st.from_regex(r"[a-z0-9]{1,5}(\.[a-z0-9]{1,5}){1,2}(:[0-9]{1,5})?", fullmatch=True),
    st.from_regex(r"\[[0-9a-f:]{2,8}\](:[0-9]{1,5})?", fullmatch=True),
    st.from_regex(r"[a-z]{1,5}:[0-9]{1,5}", fullmatch=True),
)
tags = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,10}", fullmatch=True)
digests = st.from_regex(r"sha256:[0-9a-f]{64}", fullmatch=True)
ends = st.one_of(
    st.tuples(tags, st.just("")),
    st.tuples(st.just(""), digests),
    st.tuples(tags, digests),
)


@given(hosts, repositories, ends)
def test_a_reference_reads_as_it_is_written(host: str, repository: str, end: tuple[str, str]) -> None:
    image = Reference(host, repository, *end)
    assert parse_reference(str(image)) == image


@given(repositories, ends)
def test_a_reference_of_docker_hub_reads_as_it_is_written(repository: str, end: tuple[str, str]) -> None:
    image = Reference(DOCKER_HUB, f"library/{repository}", *end)
    assert parse_reference(str(image)) == image


@given(st.text(max_size=60))
def test_any_text_is_a_reference_or_an_error_of_its_own(text: str) -> None:
    try:
        image = parse_reference(text)
    except ConfigError:
        return
    assert parse_reference(str(image)) == image
    assert image.at


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("busybox", Reference(DOCKER_HUB, "library/busybox", "latest")),
        ("busybox:1.36", Reference(DOCKER_HUB, "library/busybox", "1.36")),
        ("istio/pilot:1.30.2", Reference(DOCKER_HUB, "istio/pilot", "1.30.2")),
        ("docker.io/istio/pilot:1.30.2", Reference(DOCKER_HUB, "istio/pilot", "1.30.2")),
        ("docker.io/busybox", Reference(DOCKER_HUB, "library/busybox", "latest")),
        ("index.docker.io/istio/pilot:1", Reference(DOCKER_HUB, "istio/pilot", "1")),
        ("registry-1.docker.io/istio/pilot:1", Reference(DOCKER_HUB, "istio/pilot", "1")),
        ("localhost/a:1", Reference("localhost", "a", "1")),
        ("localhost:5000/a", Reference("localhost:5000", "a", "latest")),
        ("registry:5000/a", Reference("registry:5000", "a", "latest")),
        ("[::1]:5000/a:1", Reference("[::1]:5000", "a", "1")),
        ("127.0.0.1:5000/a/b/c:1", Reference("127.0.0.1:5000", "a/b/c", "1")),
        ("REGISTRY/a:1", Reference("REGISTRY", "a", "1")),
        (f"gcr.io/istio-release/pilot@{DIGEST}", Reference("gcr.io", "istio-release/pilot", "", DIGEST)),
        (f"gcr.io/istio-release/pilot:1@{DIGEST}", Reference("gcr.io", "istio-release/pilot", "1", DIGEST)),
        (
            "a1b2c3-kr1-registry.container.nhncloud.com/mesh/istio/proxyv2:1.30.2-distroless",
            Reference("a1b2c3-kr1-registry.container.nhncloud.com", "mesh/istio/proxyv2", "1.30.2-distroless"),
        ),
    ],
)
def test_names_are_read_as_the_runtimes_read_them(text: str, expected: Reference) -> None:
    assert parse_reference(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":1",
        "a:",
        "a@",
        "a:b:c",
        "Pilot:1",
        "gcr.io/Istio/pilot:1",
        "https://gcr.io/istio/pilot:1",
        "gcr.io//pilot:1",
        "gcr.io/pilot/:1",
        "gcr.io/-pilot:1",
        "gcr.io/pilot:-1",
        "gcr.io/pilot:1\n",
        " gcr.io/pilot:1",
        "gcr.io/../pilot:1",
        f"gcr.io/pilot:{'1' * 129}",
        "gcr.io/pilot@sha256:0123",
        f"gcr.io/pilot@{DIGEST.upper()}",
        f"gcr.io/pilot@{DIGEST}0",
        "user:password@gcr.io/pilot:1",
        "${HUB}/pilot:1",
    ],
)
def test_what_is_no_image_is_an_error(text: str) -> None:
    with pytest.raises(ConfigError, match="is not an image"):
        parse_reference(text)


def test_a_digest_is_asked_for_before_a_tag() -> None:
    assert parse_reference(f"gcr.io/pilot:1@{DIGEST}").at == DIGEST
    assert parse_reference("gcr.io/pilot:1").at == "1"


@pytest.mark.parametrize(
    ("text", "server"),
    [
        ("istio/pilot:1", "registry-1.docker.io"),
        ("index.docker.io/istio/pilot:1", "registry-1.docker.io"),
        ("gcr.io/istio/pilot:1", "gcr.io"),
        ("localhost:5000/pilot:1", "localhost:5000"),
    ],
)
def test_only_docker_hubs_api_is_elsewhere(text: str, server: str) -> None:
    assert parse_reference(text).server == server
