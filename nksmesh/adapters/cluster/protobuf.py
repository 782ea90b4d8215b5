"""Lists of many objects, read as protobuf: a few fields of each are decoded, and all others are passed over.

A pod with a sidecar is 25 kB of JSON, of which little more than the image of its proxy counts; JSON has to be parsed
whole, and takes the API server longer, too. The field numbers are those of ``generated.proto`` in k8s.io/api and
k8s.io/apimachinery: within an API version they never change.
"""

from __future__ import annotations

from asyncio import IncompleteReadError
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final, Protocol, TypeAlias

PROTOBUF: Final = "application/vnd.kubernetes.protobuf"

Decode: TypeAlias = Callable[[Any], Any]
Fields: TypeAlias = Mapping[int, tuple[str, Decode]]
"""By its number, a field's name in JSON and what decodes it."""

_MAGIC: Final = b"k8s\x00"
_RAW: Final = 2
"""The field of the envelope that has the list (``Unknown`` in apimachinery's pkg/runtime)."""

_ITEMS: Final = 2
_VARINT, _BYTES = 0, 2
_FIXED: Final[Mapping[int, int]] = {1: 8, 5: 4}
_MORE: Final = 0x80


class NotProtobufError(ValueError):
    """The bytes are no list as the API server writes it."""


class Stream(Protocol):
    """The body of an answer, as it comes."""

    async def readexactly(self, n: int) -> bytes:
        """Return the next bytes; IncompleteReadError where there are fewer."""


async def read_list(body: Stream, kind: str) -> list[dict[str, Any]]:
    """Read a list and decode each object as it comes: nothing else of the answer is ever held.

    Args:
        kind: The kind of its objects: one of DECODED.

    Returns:
        The objects, each as the part of its JSON that tells its owner, its proxy, its Istio revision, what decides
        whether it is injected, and whether it can be restarted.

    Raises:
        NotProtobufError: It is none.
    """
    objects, decode = [], DECODED[kind]
    try:
        if await body.readexactly(len(_MAGIC)) != _MAGIC:
            raise NotProtobufError("it does not begin as Kubernetes' protobuf does")
        while (begun := await _begin(body))[0] != _RAW:
            await body.readexactly(begun[1])
        left = begun[1]
        while left:
            number, size, head = await _begin(body)
            message = await body.readexactly(size)
            left -= head + size
            if number == _ITEMS:
                objects.append({"kind": kind, **decode(message)})
    except (IncompleteReadError, IndexError, KeyError, TypeError, UnicodeDecodeError) as exc:
        raise NotProtobufError("it ends too early, or is of another form") from exc
    return objects


async def _begin(body: Stream) -> tuple[int, int, int]:
    """Read where a field begins that has a length; return its number, its length, and how many bytes said so."""
    numbers, read = [0, 0], 0
    for which in range(2):
        shift, byte = 0, _MORE
        while byte & _MORE:
            byte = (await body.readexactly(1))[0]
            numbers[which] |= (byte & ~_MORE) << shift
            shift, read = shift + 7, read + 1
    if numbers[0] & 7 != _BYTES:
        raise NotProtobufError("it is no list")
    return numbers[0] >> 3, numbers[1], read


def _varint(message: bytes, at: int) -> tuple[int, int]:
    if (value := message[at]) < _MORE:
        return value, at + 1
    value = shift = 0
    while True:
        byte = message[at]
        at += 1
        value |= (byte & ~_MORE) << shift
        if not byte & _MORE:
            return value, at
        shift += 7


def _of(fields: Fields) -> Decode:
    """Make what decodes the named fields of a message; what is repeated becomes one list, or one map.

    The API server writes fields in the order of their numbers: behind the last of the named ones nothing is looked at.
    """
    last = max(fields, default=0)

    def decode(message: bytes) -> dict[str, Any]:
        found: dict[str, Any] = {}
        at, end, number = 0, len(message), 0
        while at < end:
            number, value, begin, at = _field(message, at)
            if number > last:
                break
            if (field := fields.get(number)) is None:
                continue
            name, inner = field
            decoded = inner(message[begin:at] if begin else value)
            if isinstance(decoded, list):
                found.setdefault(name, []).extend(decoded)
            elif inner is _entry:
                found.setdefault(name, {}).update(decoded)
            else:
                found[name] = decoded
        if at > end:
            raise IndexError
        return found

    return decode


def _field(message: bytes, at: int) -> tuple[int, int, int, int]:
    """Find the field at a place.

    Returns:
        Its number; its value, if that is a number; where its bytes begin, 0 if there are none; where the next one is.
    """
    tag, at = _varint(message, at)
    size = _FIXED.get(tag & 7, 0)
    if not size:
        size, at = _varint(message, at)
    return tag >> 3, size, 0 if tag & 7 == _VARINT else at, at if tag & 7 == _VARINT else at + size


def _each(fields: Fields) -> Decode:
    decode = _of(fields)
    return lambda value: [decode(value)]


def _text(value: bytes) -> str:
    return value.decode()


def _moment(value: bytes) -> str:
    """Decode a ``Time``: its seconds since 1970, as JSON has it."""
    seconds = _SECONDS(value).get("seconds", 0)
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _entry(value: bytes) -> dict[str, str]:
    """Decode an entry of a map of texts."""
    entry = _KEY_AND_VALUE(value)
    return {entry.get("key", ""): entry.get("value", "")}


_SECONDS: Final = _of({1: ("seconds", int)})
_KEY_AND_VALUE: Final = _of({1: ("key", _text), 2: ("value", _text)})
_OWNER: Final[Fields] = {1: ("kind", _text), 3: ("name", _text), 4: ("uid", _text), 6: ("controller", bool)}
_METADATA: Final[Fields] = {
    1: ("name", _text),
    3: ("namespace", _text),
    8: ("creationTimestamp", _moment),
    9: ("deletionTimestamp", bool),
    11: ("labels", _entry),
    12: ("annotations", _entry),
    13: ("ownerReferences", _each(_OWNER)),
}
_CONTAINER: Final[Fields] = {1: ("name", _text), 2: ("image", _text)}
_POD_SPEC: Final[Fields] = {
    2: ("containers", _each(_CONTAINER)),
    11: ("hostNetwork", bool),
    15: ("imagePullSecrets", _each({1: ("name", _text)})),
    20: ("initContainers", _each(_CONTAINER)),
}
_STRATEGY: Final[Fields] = {1: ("type", _text), 2: ("rollingUpdate", _of({1: ("partition", int)}))}


def _object(spec: Fields, more: Fields | None = None) -> Decode:
    return _of({1: ("metadata", _of(_METADATA)), 2: ("spec", _of(spec)), **(more or {})})


DECODED: Final[Mapping[str, Decode]] = {
    "Pod": _object(_POD_SPEC, {3: ("status", _of({1: ("phase", _text)}))}),
    "ReplicaSet": _object({}),
    "Deployment": _object({1: ("replicas", int), 7: ("paused", bool)}),
    "StatefulSet": _object({1: ("replicas", int), 7: ("updateStrategy", _of(_STRATEGY))}),
    "DaemonSet": _object({3: ("updateStrategy", _of({1: ("type", _text)}))}),
}
"""What is decoded of each kind that can be read in this way."""
