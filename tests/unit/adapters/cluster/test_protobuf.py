"""Lists as protobuf: the named fields are decoded, all others are passed over, and what is no list is said."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from nksmesh.adapters.cluster.protobuf import NotProtobufError, read_list

NUMBER = 0
FIXED_64 = 1
BYTES = 2
FIXED_32 = 5


def varint(value: int) -> bytes:
    more = bytearray()
    while value > 0x7F:
        more.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*more, value])


def field(number: int, value: bytes | str | int) -> bytes:
    if isinstance(value, int):
        return varint(number << 3 | NUMBER) + varint(value)
    content = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | BYTES) + varint(len(content)) + content


def entry(key: str, value: str) -> bytes:
    return field(1, key) + field(2, value)


def envelope(page: bytes) -> bytes:
    return b"k8s\x00" + field(1, field(1, "v1") + field(2, "PodList")) + field(2, page) + field(3, "") + field(4, "")


def read(answer: bytes, kind: str = "Pod") -> list[dict[str, Any]]:
    async def reading() -> list[dict[str, Any]]:
        body = asyncio.StreamReader()
        body.feed_data(answer)
        body.feed_eof()
        return await read_list(body, kind)

    return asyncio.run(reading())


OWNER = field(1, "ReplicaSet") + field(3, "cart-1") + field(4, "uid-1") + field(5, "apps/v1") + field(6, 1)
METADATA = b"".join(
    (
        field(1, "cart-1-x"),
        field(3, "shop"),
        field(7, 300),
        field(8, field(1, 1_780_000_000)),
        field(9, field(1, 1_790_000_000)),
        field(11, entry("app", "cart")),
        field(11, entry("empty", "")),
        field(12, entry("istio.io/rev", "default")),
        field(13, OWNER),
        field(17, "x" * 1000),
    )
)
CONTAINER = field(1, "istio-proxy") + field(2, "hub/proxyv2:1.20.0") + field(7, "x" * 1000)
SPEC = b"".join(
    (
        field(1, "a volume"),
        field(2, CONTAINER),
        field(2, field(1, "app") + field(2, "app:1")),
        field(4, 30),
        field(11, 1),
        field(15, field(1, "ncr")),
    )
)
POD = field(1, METADATA) + field(2, SPEC + field(20, CONTAINER)) + field(3, field(1, "Running") + field(6, "10.0.0.1"))


def test_a_pod_is_what_tells_its_owner_and_its_proxy() -> None:
    proxy = {"name": "istio-proxy", "image": "hub/proxyv2:1.20.0"}
    assert read(envelope(field(1, field(2, "7")) + field(2, POD) + field(2, POD))) == 2 * [
        {
            "kind": "Pod",
            "metadata": {
                "name": "cart-1-x",
                "namespace": "shop",
                "creationTimestamp": "2026-05-28T20:26:40Z",
                "deletionTimestamp": True,
                "labels": {"app": "cart", "empty": ""},
                "annotations": {"istio.io/rev": "default"},
                "ownerReferences": [{"kind": "ReplicaSet", "name": "cart-1", "uid": "uid-1", "controller": True}],
            },
            "spec": {
                "containers": [proxy, {"name": "app", "image": "app:1"}],
                "hostNetwork": True,
                "imagePullSecrets": [{"name": "ncr"}],
                "initContainers": [proxy],
            },
            "status": {"phase": "Running"},
        }
    ]


def test_fields_of_a_fixed_size_are_passed_over() -> None:
    fixed = bytes([2 << 3 | FIXED_64]) + b"\xff" * 8 + bytes([3 << 3 | FIXED_32]) + b"\xff" * 4
    assert read(envelope(field(2, field(1, field(1, "a")) + field(2, fixed + field(7, 1)))), "Deployment") == [
        {"kind": "Deployment", "metadata": {"name": "a"}, "spec": {"paused": True}}
    ]


@pytest.mark.parametrize(
    ("kind", "spec", "wanted"),
    [
        (
            "StatefulSet",
            field(7, field(1, "RollingUpdate") + field(2, field(1, 2))),
            {"updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 2}}},
        ),
        ("DaemonSet", field(3, field(1, "OnDelete")), {"updateStrategy": {"type": "OnDelete"}}),
        ("Deployment", field(1, 3) + field(7, 0), {"replicas": 3, "paused": False}),
        ("StatefulSet", field(1, 2), {"replicas": 2}),
    ],
)
def test_of_an_owner_is_kept_whether_it_can_be_restarted(kind: str, spec: bytes, wanted: dict[str, Any]) -> None:
    (found,) = read(envelope(field(2, field(2, spec))), kind)
    assert found == {"kind": kind, "spec": wanted}


def test_an_empty_list_has_no_objects() -> None:
    assert read(envelope(b"")) == []


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b'{"kind": "PodList"}',
        b"k8s\x00",
        envelope(field(2, POD))[:-600],
        envelope(field(1, 7)),
        envelope(field(2, field(1, b"\x0a\x7f"))),
        envelope(field(2, field(1, field(1, b"\xff\xfe")))),
        envelope(field(2, field(1, 7))),
    ],
)
def test_what_is_no_list_is_said(answer: bytes) -> None:
    with pytest.raises(NotProtobufError):
        read(answer)
