"""Copies that do not go well: what is taken up again, what ends them, what is told of a login, and where it is sent."""

from __future__ import annotations

import base64
import gc
import json
import time
from collections.abc import Callable, Iterator, Mapping
from hashlib import sha256
from pathlib import Path

import pytest
from tenacity import wait_none

from nksmesh.adapters import http
from nksmesh.adapters.registry import blobs, requests
from nksmesh.domain.common.errors import DeniedImageError, ImageError
from nksmesh.domain.common.events import EventKind
from nksmesh.domain.common.findings import Level
from nksmesh.engine.copies import CopyState
from tests.adapters.registry.faulty import Answer, Asked, failure, faulty
from tests.adapters.registry.mirrors import VERSION, Mirror
from tests.adapters.registry.relay import Relay, relay
from tests.adapters.registry.servers import Pusher, Server, TokenService, passwords, registry, token_service

LAYER = bytes(range(256)) * 12_000
"""3 MB: more than one piece of a stream."""

DIGEST = f"sha256:{sha256(LAYER).hexdigest()}"
USERS = {"viewer": "s3cret of a viewer", "member": "s3cret of a member"}


# The first blob that fails ends the others: anyio loses a connection that has just been made for one of them, and
# asyncio says so when it is collected.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@pytest.fixture(autouse=True)
def collected() -> Iterator[None]:
    """Collect what a test left within its own time."""
    yield
    gc.collect()


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requests, "wait_exponential", lambda **_: wait_none())
    monkeypatch.setattr(requests, "wait_random", lambda *_: wait_none())
    monkeypatch.setattr(blobs, "PAUSE", 0.0)


@pytest.fixture
def source(open_registry: Server) -> Iterator[Relay]:
    with relay(open_registry.host) as relayed:
        yield relayed


@pytest.fixture
def target(open_registry: Server) -> Iterator[Relay]:
    """Another host, and so another registry for a client; what lies in it is told apart by its path."""
    with relay(open_registry.host) as relayed:
        yield relayed


@pytest.fixture
def mirror(source: Relay, target: Relay, pushed: Pusher, request: pytest.FixtureRequest) -> Mirror:
    """A mirror of an image with a large layer."""
    name = sha256(request.node.name.encode()).hexdigest()[:12]
    pushed.push(f"{name}/pilot", VERSION, layers=[LAYER])
    return Mirror(source=f"{source.host}/{name}", to=f"{target.host}/{name}-copied")


def basic(user: str) -> str:
    return base64.b64encode(f"{user}:{USERS[user]}".encode()).decode()


def config_of(folder: Path, logins: Mapping[str, str]) -> Path:
    """Write a config.json with a login for each registry."""
    auths = {
        host: {"auth": base64.b64encode(f"{user}:{USERS[user]}".encode()).decode()} for host, user in logins.items()
    }
    path = folder / "config.json"
    path.write_text(json.dumps({"auths": auths}))
    return path


def once(answer: Callable[[Asked], Answer | None]) -> Callable[[Asked], Answer | None]:
    """Answer the first request that there is an answer to, and let everything else through."""
    left = [True]

    def first(asked: Asked) -> Answer | None:
        said = answer(asked) if left else None
        if said is not None:
            left.clear()
        return said

    return first


async def test_a_broken_download_goes_on_where_it_was(mirror: Mirror, source: Relay) -> None:
    cuts = [1_000_000, 700_000]
    source.cut_after = lambda asked: cuts.pop() if DIGEST in asked.path and asked.method == "GET" and cuts else None
    copied, _ = await mirror("pilot")
    assert copied["pilot"].verified
    ranges = [asked.headers.get("range", "") for asked in source.asked if DIGEST in asked.path]
    assert len(ranges) == 3
    assert [bool(text) for text in ranges] == [False, True, True]
    assert len(LAYER) <= source.down[DIGEST] < len(LAYER) + 400_000  # what was on its way when it broke comes again


async def test_a_download_without_ranges_is_begun_again(mirror: Mirror, source: Relay) -> None:
    cuts = [1_000_000]
    source.cut_after = lambda asked: cuts.pop() if DIGEST in asked.path and asked.method == "GET" and cuts else None
    source.drop_headers = {"range"}
    copied, _ = await mirror("pilot")
    assert copied["pilot"].verified
    assert source.down[DIGEST] > len(LAYER) + 900_000


async def test_a_download_that_always_breaks_is_an_error_and_leaves_no_tag(
    mirror: Mirror, source: Relay, target: Relay
) -> None:
    source.cut_after = lambda asked: 0 if DIGEST in asked.path and asked.method == "GET" else None
    source.drop_headers = {"range"}
    with pytest.raises(ImageError, match=r"broke off after \d+ of 3072000 bytes: ") as caught:
        await mirror("pilot")
    assert DIGEST in caught.value.message
    assert "what is there is not moved again" in caught.value.hint
    assert mirror.told[-1].kind is EventKind.FAILED
    assert not [asked for asked in target.asked if asked.method == "PUT" and "/manifests/" in asked.path]


async def test_a_blob_that_is_not_what_its_digest_names_never_gets_there(
    mirror: Mirror, source: Relay, target: Relay
) -> None:
    source.corrupt.add(DIGEST)
    with pytest.raises(ImageError, match="the registry's answer is not what the digest names") as caught:
        await mirror("pilot")
    assert source.host in caught.value.message
    assert DIGEST in caught.value.detail
    assert target.up[DIGEST] < len(LAYER)
    assert not [asked for asked in target.asked if asked.method == "PUT" and "/manifests/" in asked.path]


async def test_a_broken_upload_is_begun_again(mirror: Mirror, target: Relay) -> None:
    cuts = [1_000_000]
    target.cut_after = lambda asked: cuts.pop() if asked.method == "PUT" and DIGEST[7:] in asked.path and cuts else None
    copied, _ = await mirror("pilot")
    assert copied["pilot"].verified
    assert copied["pilot"].moved_bytes == copied["pilot"].bytes
    assert target.up[DIGEST] > len(LAYER)


@pytest.mark.parametrize("status", [429, 500, 503])
@pytest.mark.parametrize("method", ["POST", "PUT"])
async def test_a_registry_that_is_busy_is_asked_again(mirror: Mirror, target: Relay, status: int, method: str) -> None:
    busy = failure(status, "TOOMANYREQUESTS", "too much to do", Retry_After="0")
    target.answer = once(lambda asked: busy if asked.method == method and "/blobs/" in asked.path else None)
    copied, findings = await mirror("pilot")
    assert (copied["pilot"].state, copied["pilot"].verified, findings) == (CopyState.COPIED, True, ())


async def test_a_full_disk_is_told_and_not_tried_again(mirror: Mirror, target: Relay) -> None:
    full = failure(507, "UNKNOWN", "quota exceeded")
    target.answer = lambda asked: full if asked.method == "PUT" and "/blobs/" in asked.path else None
    with pytest.raises(ImageError, match=f"{target.host}/.*: the server says 507 Insufficient Storage") as caught:
        await mirror("pilot")
    assert caught.value.hint.startswith(f"Free some space in the registry {target.host}")
    assert "quota exceeded" in caught.value.detail
    digests = [asked.path.partition("digest=")[2] for asked in target.asked if asked.method == "PUT"]
    assert len(digests) == len(set(digests))


async def test_a_registry_may_take_long_to_store_a_blob(
    mirror: Mirror, target: Relay, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "SILENCE_SECONDS", 2.0)
    target.written = lambda digest: time.sleep(3.0) if digest == DIGEST else None
    copied, _ = await mirror("pilot")
    assert copied["pilot"].verified
    assert target.up[DIGEST] == len(LAYER)


async def test_a_manifest_that_is_stored_as_another_is_an_error(mirror: Mirror, target: Relay) -> None:
    wrong = Answer(201, b"", {"docker-content-digest": f"sha256:{'a' * 64}"})
    target.answer = lambda asked: wrong if asked.method == "PUT" and "/manifests/" in asked.path else None
    with pytest.raises(ImageError, match="another digest than was asked for"):
        await mirror("pilot")


async def test_a_login_stays_where_it_is_for_when_a_blob_lies_elsewhere(tmp_path: Path, target: Relay) -> None:
    """NCR sends its clients to Object Storage for layers."""
    folder = tmp_path / "basic"
    login = {"Authorization": f"Basic {basic('member')}"}
    with (
        registry(folder, auth=passwords(folder, USERS)) as server,
        relay(server.host) as source,
        faulty(lambda asked: Answer(200, LAYER if DIGEST in asked.path else b"")) as storage,
    ):
        Pusher(server, login).push("istio/pilot", VERSION, layers=[LAYER])
        elsewhere = Answer(307, b"", {"Location": f"{storage.url}/{DIGEST}?signature=of-a-link"})
        source.answer = lambda asked: elsewhere if asked.method == "GET" and DIGEST in asked.path else None
        mirror = Mirror(source=f"{source.host}/istio", to=f"{target.host}/elsewhere")
        mirror.config = config_of(tmp_path, {source.host: "member"})
        copied, _ = await mirror("pilot")
        assert copied["pilot"].verified
        assert [asked.headers.get("authorization") for asked in storage.asked] == [None]
        assert any("authorization" in asked.headers for asked in source.asked)


async def test_a_login_stays_where_it_is_for_when_an_upload_goes_elsewhere(mirror: Mirror, target: Relay) -> None:
    mirror.environ = {"NKSMESH_REGISTRY_USERNAME": "member", "NKSMESH_REGISTRY_PASSWORD": USERS["member"]}
    with faulty(lambda _: Answer(201)) as storage:
        away = Answer(202, b"", {"Location": f"{storage.url}/upload?state=1"})
        wanted = failure(401, "UNAUTHORIZED", "who?", WWW_Authenticate='Basic realm="tests"')
        target.answer = lambda asked: (
            (away if asked.method == "POST" else None) if "authorization" in asked.headers else wanted
        )
        with pytest.raises(ImageError, match="/pilot"):  # the registry never gets the blobs that its manifest names
            await mirror("pilot")
        assert storage.asked
        assert not [asked for asked in storage.asked if "authorization" in asked.headers]


async def test_the_environments_login_never_goes_to_the_source(mirror: Mirror, source: Relay, target: Relay) -> None:
    mirror.environ = {"NKSMESH_REGISTRY_USERNAME": "member", "NKSMESH_REGISTRY_PASSWORD": USERS["member"]}
    wanted = failure(401, "UNAUTHORIZED", "who?", WWW_Authenticate='Basic realm="tests"')
    target.answer = lambda asked: None if "authorization" in asked.headers else wanted
    copied, _ = await mirror("pilot")
    assert copied["pilot"].verified
    assert not [asked for asked in source.asked if "authorization" in asked.headers]
    source.answer = lambda _: wanted
    with pytest.raises(ImageError, match="a request without a login") as caught:
        await mirror("pilot")
    assert caught.value.hint == f"Run nksmesh registry login {source.host}, as a user who may pull from there."
    assert not [asked for asked in source.asked if "authorization" in asked.headers]


@pytest.fixture(scope="module")
def roles(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TokenService]:
    with token_service(tmp_path_factory.mktemp("roles"), USERS) as service:
        service.may = {"viewer": {"pull"}}
        yield service


@pytest.fixture(scope="module")
def ncr(tmp_path_factory: pytest.TempPathFactory, roles: TokenService) -> Iterator[Server]:
    """A registry with two of NCR's roles: Service Viewer, Project Member."""
    with registry(tmp_path_factory.mktemp("ncr"), auth=roles.auth) as server:
        yield server


def as_user(mirror: Mirror, ncr: Server, user: str, folder: Path) -> Mirror:
    hub = f"{ncr.host}/{mirror.to.partition('/')[2]}"
    return Mirror(source=mirror.source, to=hub, config=config_of(folder, {ncr.host: user} if user else {}))


async def test_who_may_push_and_not_pull_is_told_that_nothing_was_verified(
    mirror: Mirror, ncr: Server, roles: TokenService, tmp_path: Path
) -> None:
    """NCR's Image Uploader. Distribution itself has no such role: it lets nobody push who may not pull."""
    denied = failure(
        401,
        "UNAUTHORIZED",
        "authentication required",
        WWW_Authenticate=f'Bearer realm="{roles.realm}",service="tests",error="insufficient_scope"',
    )
    with relay(ncr.host) as uploaders:
        uploaders.answer = lambda asked: denied if asked.method in {"GET", "HEAD"} and asked.path != "/v2/" else None
        hub = f"{uploaders.host}/{mirror.to.partition('/')[2]}"
        uploader = Mirror(source=mirror.source, to=hub, config=config_of(tmp_path, {uploaders.host: "member"}))
        copied, findings = await uploader("pilot")
    assert [(finding.id, finding.level) for finding in findings] == [("images.unverified", Level.WARNING)]
    assert hub in findings[0].message
    assert "may push there, but not pull" in findings[0].message
    assert (copied["pilot"].state, copied["pilot"].verified) == (CopyState.COPIED, False)
    again, findings = await as_user(mirror, ncr, "member", tmp_path)("pilot")
    assert (again["pilot"].state, again["pilot"].verified, findings) == (CopyState.THERE, True, ())
    assert again["pilot"].digest == copied["pilot"].digest


async def test_who_may_not_push_is_told_what_the_login_lacks(mirror: Mirror, ncr: Server, tmp_path: Path) -> None:
    with pytest.raises(
        DeniedImageError, match=r"-copied/pilot@sha256:\w+: the registry refuses the login of "
    ) as caught:
        await as_user(mirror, ncr, "viewer", tmp_path)("pilot")
    error = caught.value
    assert error.message.startswith(f"{ncr.host}/")
    assert error.message.endswith("which may not push there")
    assert "may push to that repository" in error.hint
    assert USERS["viewer"] not in f"{error} {error.hint} {error.detail}"


async def test_without_a_login_the_next_command_is_named(mirror: Mirror, ncr: Server, tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="refuses a request without a login") as caught:
        await as_user(mirror, ncr, "", tmp_path)("pilot")
    assert caught.value.hint == f"Run nksmesh registry login {ncr.host}, as a user who may push there."
