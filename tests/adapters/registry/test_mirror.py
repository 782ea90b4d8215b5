"""Images copied between real registries: digests kept, nothing moved twice, resumed; skopeo is the oracle.

Images are small ones of these tests under Istio's names: Istio's own cannot be had without internet.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from hashlib import sha256
from pathlib import Path

import pytest

from nksmesh.domain.common.errors import ImageError
from nksmesh.domain.common.events import EventKind
from nksmesh.domain.images.reference import parse_reference
from nksmesh.engine.copies import CopyState
from tests.adapters.registry.faulty import Answer, Asked, manifest
from tests.adapters.registry.mirrors import VERSION, Mirror, raw, skopeo
from tests.adapters.registry.relay import Relay, relay
from tests.adapters.registry.servers import MANIFEST, Pusher, Server, registry

NODES = ("linux/amd64", "linux/arm64")
LAYER = bytes(range(256)) * 12_000
"""3 MB: more than one piece of a stream."""


@pytest.fixture(scope="module")
def other_registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with registry(tmp_path_factory.mktemp("other")) as server:
        yield server


@pytest.fixture
def target(other_registry: Server) -> Iterator[Relay]:
    with relay(other_registry.host) as relayed:
        yield relayed


@pytest.fixture
def source(open_registry: Server) -> Iterator[Relay]:
    with relay(open_registry.host) as relayed:
        yield relayed


@pytest.fixture
def mirror(source: Relay, target: Relay, request: pytest.FixtureRequest) -> Mirror:
    """From a hub that each test has of its own to another one."""
    name = sha256(request.node.name.encode()).hexdigest()[:12]
    return Mirror(source=f"{source.host}/{name}", to=f"{target.host}/{name}/istio")


def hub_of(mirror: Mirror) -> tuple[str, str]:
    return mirror.source.partition("/")[2], mirror.to.partition("/")[2]


@pytest.mark.parametrize("docker", [False, True], ids=["oci", "docker"])
async def test_an_index_keeps_its_digest_its_platforms_and_its_attestations(
    mirror: Mirror, pushed: Pusher, other_registry: Server, tmp_path: Path, docker: bool
) -> None:
    """What skopeo pushed is the same, byte for byte, when skopeo pulls the copy."""
    hub, to = hub_of(mirror)
    pushed.push(f"{hub}-made/pilot", VERSION, platforms=NODES, docker=docker, layers=[LAYER])
    oci = f"docker://{pushed.server.host}/{hub}"
    copy_by_skopeo(f"{oci}-made/pilot:{VERSION}", f"{oci}/pilot:{VERSION}")

    copied, findings = await mirror("pilot")

    assert findings == ()
    image = copied["pilot"]
    assert (image.state, image.verified) == (CopyState.COPIED, True)
    assert image.moved_bytes == image.bytes == image.missing_bytes > len(LAYER)
    index = raw(pushed.server, f"{hub}/pilot")
    assert raw(other_registry, f"{to}/pilot") == index
    assert len(index["manifests"]) == 2 * len(NODES)
    for name, server, path in (("before", pushed.server, hub), ("after", other_registry, to)):
        copy_by_skopeo(
            f"docker://{server.host}/{path}/pilot:{VERSION}",
            f"dir:{tmp_path / name}",
        )
    assert files_of(tmp_path / "before") == files_of(tmp_path / "after")
    assert len(files_of(tmp_path / "after")) > 2 * 4


def copy_by_skopeo(image: str, to: str) -> None:
    insecure = ("--src-tls-verify=false", "--dest-tls-verify=false")
    skopeo("copy", "--all", "--preserve-digests", *insecure, image, to)


def files_of(folder: Path) -> dict[str, str]:
    return {path.name: sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


async def test_what_is_there_is_not_sent_again(mirror: Mirror, source: Relay, target: Relay, pushed: Pusher) -> None:
    hub, _ = hub_of(mirror)
    digests = {name: pushed.push(f"{hub}/{name}", VERSION, platforms=NODES) for name in ("pilot", "proxyv2")}
    await mirror("pilot", "proxyv2")
    source.forget()
    target.forget()

    again, findings = await mirror("pilot", "proxyv2")

    assert {name: (image.state, image.digest) for name, image in again.items()} == {
        name: (CopyState.THERE, digest) for name, digest in digests.items()
    }
    assert all(image.verified for image in again.values())
    assert findings == ()
    assert {asked.method for asked in (*source.asked, *target.asked)} == {"HEAD"}
    assert {event.kind for event in mirror.told[-2:]} == {EventKind.KEPT}


async def test_a_dry_run_writes_nothing_and_says_how_much_it_would(
    mirror: Mirror, target: Relay, pushed: Pusher
) -> None:
    hub, _ = hub_of(mirror)
    pushed.push(f"{hub}/pilot", VERSION, platforms=NODES, layers=[LAYER])
    planned, _ = await mirror("pilot", dry_run=True)
    image = planned["pilot"]
    assert (image.state, image.moved_bytes, image.missing_bytes) == (CopyState.PLANNED, 0, image.bytes)
    assert image.bytes > len(LAYER)
    assert {asked.method for asked in target.asked} <= {"HEAD", "GET"}


async def test_what_two_images_share_is_sent_once_and_mounted(mirror: Mirror, target: Relay, pushed: Pusher) -> None:
    hub, _ = hub_of(mirror)
    for name in ("pilot", "proxyv2"):
        pushed.push(f"{hub}/{name}", VERSION, layers=[LAYER])
    copied, _ = await mirror("pilot", "proxyv2")
    shared = f"sha256:{sha256(LAYER).hexdigest()}"
    assert target.up[shared] == len(LAYER)
    assert sum(image.mounted_bytes >= len(LAYER) for image in copied.values()) == 1
    assert all(image.verified for image in copied.values())


async def test_within_one_registry_nothing_is_sent(pushed: Pusher) -> None:
    with relay(pushed.server.host) as there:
        hub = Mirror(source=f"{there.host}/within/from", to=f"{there.host}/within/to")
        pushed.push("within/from/pilot", VERSION, platforms=NODES, layers=[LAYER])
        copied, _ = await hub("pilot")
        assert (copied["pilot"].moved_bytes, copied["pilot"].mounted_bytes) == (0, copied["pilot"].bytes)
        assert there.down.keys() <= {""}


@pytest.mark.parametrize("status", [202, 403, 404, 405])
async def test_a_refused_mount_moves_the_blob(mirror: Mirror, target: Relay, pushed: Pusher, status: int) -> None:
    hub, _ = hub_of(mirror)
    for name in ("pilot", "proxyv2"):
        pushed.push(f"{hub}/{name}", VERSION, layers=[LAYER])
    if status == 202:  # what a registry does that does not mount: an ordinary upload begins
        target.rewrite = lambda path: path.partition("?mount=")[0]
    else:
        target.answer = lambda asked: Answer(status) if "mount=" in asked.path else None
    copied, _ = await mirror("pilot", "proxyv2")
    assert all(image.verified and not image.mounted_bytes for image in copied.values())
    assert target.up[f"sha256:{sha256(LAYER).hexdigest()}"] == 2 * len(LAYER)


async def test_chosen_platforms_make_another_index_with_their_attestations(
    mirror: Mirror, pushed: Pusher, other_registry: Server
) -> None:
    hub, to = hub_of(mirror)
    digest = pushed.push(f"{hub}/pilot", VERSION, platforms=NODES)
    copied, findings = await mirror("pilot", platforms=["linux/arm64"])
    whole, part = raw(pushed.server, f"{hub}/pilot"), raw(other_registry, f"{to}/pilot")
    (chosen, attestation) = part["manifests"]
    assert chosen["platform"] == {"os": "linux", "architecture": "arm64"}
    assert attestation["annotations"]["vnd.docker.reference.digest"] == chosen["digest"]
    assert all(entry in whole["manifests"] for entry in part["manifests"])
    assert part.keys() == whole.keys()
    assert (copied["pilot"].verified, findings) == (True, ())
    assert copied["pilot"].digest != digest
    again, _ = await mirror("pilot", platforms=["linux/arm64"])
    assert again["pilot"].state is CopyState.THERE


async def test_a_platform_that_is_not_there_is_refused_before_anything_is_written(
    mirror: Mirror, target: Relay, pushed: Pusher
) -> None:
    hub, _ = hub_of(mirror)
    pushed.push(f"{hub}/pilot", VERSION, platforms=NODES)
    with pytest.raises(ImageError, match=r"pilot:1\.20\.0 has no image for linux/s390x"):
        await mirror("pilot", platforms=["linux/s390x"])
    assert {asked.method for asked in target.asked} <= {"HEAD", "GET"}


async def test_a_tag_that_is_another_image_is_replaced_on_request_alone(
    mirror: Mirror, target: Relay, pushed: Pusher, other_registry: Server
) -> None:
    hub, to = hub_of(mirror)
    digest = pushed.push(f"{hub}/pilot", VERSION, platforms=NODES)
    pushed.push(f"{hub}/proxyv2", VERSION, platforms=NODES)
    there = Pusher(other_registry).push(f"{to}/pilot", VERSION)
    with pytest.raises(ImageError, match=r"istio/pilot:1\.20\.0 exists, and is another image") as caught:
        await mirror("pilot", "proxyv2")
    assert "--overwrite" in caught.value.hint
    assert digest in caught.value.detail
    assert there in caught.value.detail
    assert {asked.method for asked in target.asked} <= {"HEAD", "GET"}
    copied, _ = await mirror("pilot", "proxyv2", overwrite=True)
    assert (copied["pilot"].digest, copied["pilot"].verified) == (digest, True)


async def test_missing_images_are_all_named_and_nothing_is_written(
    mirror: Mirror, target: Relay, pushed: Pusher
) -> None:
    hub, _ = hub_of(mirror)
    pushed.push(f"{hub}/pilot", VERSION)
    with pytest.raises(
        ImageError, match=r"proxyv2:1\.20\.0 does not exist; .*ztunnel:1\.20\.0 does not exist"
    ) as caught:
        await mirror("pilot", "proxyv2", "ztunnel")
    assert caught.value.hint == "Check the version, or pass another --from."
    assert {asked.method for asked in target.asked} <= {"HEAD", "GET"}


async def test_copies_are_verified_through_the_address_that_nodes_use(
    mirror: Mirror, pushed: Pusher, open_registry: Server, other_registry: Server
) -> None:
    hub, _ = hub_of(mirror)
    pushed.push(f"{hub}/pilot", VERSION)
    with relay(other_registry.host) as nodes:
        copied, findings = await mirror("pilot", verify_as=nodes.host)
        assert (copied["pilot"].verified, findings) == (True, ())
        assert nodes.methods("/manifests/") == ["HEAD"]
    copied, (finding,) = await mirror("pilot", verify_as=open_registry.host)
    assert finding.id == "images.not-found-after-push"
    assert open_registry.host in finding.message
    assert not copied["pilot"].verified


def answer_with(body: bytes, _: Asked) -> Answer:
    return manifest(body, MANIFEST)


async def test_a_manifest_that_names_no_digest_is_refused(mirror: Mirror, source: Relay, target: Relay) -> None:
    for part in ({"digest": "../../catalog", "size": 1}, {"digest": f"sha256:{'a' * 64}", "size": -1}, {"size": 2}):
        body = json.dumps({"schemaVersion": 2, "config": part, "layers": []}).encode()
        source.answer = partial(answer_with, body)
        with pytest.raises(ImageError, match="its manifest cannot be used"):
            await mirror("pilot")
    assert {asked.method for asked in target.asked} <= {"HEAD", "GET"}
    assert parse_reference(f"{mirror.to}/pilot:1").host == target.host
