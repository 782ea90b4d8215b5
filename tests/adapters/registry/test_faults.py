"""Registries and token services with one fault each: what is asked again, what ends it, and that no secret shows."""

from __future__ import annotations

import asyncio
import gzip
import json
import logging
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import httpx
import pytest
from tenacity import wait_none

from nksmesh.adapters.registry import requests
from nksmesh.adapters.registry.credentials import Credentials
from nksmesh.adapters.registry.registries import Registries
from nksmesh.domain.common.errors import DeniedImageError, ImageError, MissingImageError
from nksmesh.domain.images.login import Login
from nksmesh.domain.images.manifest import FoundManifest
from nksmesh.domain.images.reference import parse_reference
from tests.adapters.registry.faulty import (
    DIGEST,
    IMAGE,
    LISTED,
    Answer,
    Asked,
    Faulty,
    digest_of,
    failure,
    faulty,
    manifest,
)
from tests.adapters.registry.servers import INDEX, MANIFEST

PASSWORD = "pa55-of-kim"  # noqa: S105 - what must not show
IDENTITY = "identity-of-kim"
BEARER = "bearer-of-kim"
SIGNATURE = "signature-of-a-link"
LOGIN = Login(source="a test", username="kim", password=PASSWORD)
TOKEN_LOGIN = Login(source="a test", token=IDENTITY)
SECRETS = (PASSWORD, IDENTITY, BEARER, SIGNATURE, LOGIN.basic.partition(" ")[2])
ENDS = 10.0
"""Seconds within which a look-up ends where nothing has to be waited for."""

Serve = Callable[..., Faulty]


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requests, "wait_exponential", lambda **_: wait_none())
    monkeypatch.setattr(requests, "wait_random", lambda *_: wait_none())


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Start servers with a fault; they stop with the test."""
    with ExitStack() as stack:

        def start(answer: Callable[[Asked], Answer], *, tls: bool = False) -> Faulty:
            folder = tmp_path / f"tls-{time.monotonic_ns()}" if tls else None
            return stack.enter_context(faulty(answer, tls=folder))

        yield start


@pytest.fixture(autouse=True)
def nothing_secret_is_logged(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Every test here runs with all logging on, and leaves no secret in it."""
    caplog.set_level(logging.DEBUG)
    yield
    logged = "\n".join(
        f"{record.getMessage()} {record.args!r} {record.exc_text or ''}" for record in caplog.get_records("call")
    )
    assert not [secret for secret in SECRETS if secret in logged]
    assert "HTTP Request" not in logged


async def find(
    *servers: Faulty, login: Login | None = None, name: str = "istio/pilot:1", times: int = 1
) -> FoundManifest:
    """Look for an image in the first server, several times with the same client."""
    bundle = next((str(server.authority) for server in servers if server.authority), "")
    environ = {"SSL_CERT_FILE": bundle} if bundle else {}
    plain = [server.host for server in servers if not server.authority]
    async with Registries(environ, Credentials({}, config=None), plain_http=plain) as asked:
        for _ in range(times):
            found = await asyncio.wait_for(asked.find(parse_reference(f"{servers[0].host}/{name}"), login), ENDS)
    return found


async def failed(*servers: Faulty, kind: type[ImageError] = ImageError, **how: Any) -> str:
    """Look for an image that cannot be had; return all that is told of it."""
    with pytest.raises(ImageError) as caught:
        await find(*servers, **how)
    error = caught.value
    assert type(error) is kind
    told = f"{error.message}\n{error.hint}\n{error.detail}"
    shown = told + "".join(traceback.format_exception_only(error))
    assert not [secret for secret in SECRETS if secret in shown]
    assert error.message
    assert error.hint
    assert servers[0].host in error.message
    return told


def in_turn(*answers: Answer, then: Answer) -> Callable[[Asked], Answer]:
    left = list(answers)
    return lambda _: left.pop(0) if left else then


def challenge(realm: str, status: int = 401) -> Answer:
    return failure(
        status, "UNAUTHORIZED", "authentication required", WWW_Authenticate=f'Bearer realm="{realm}",service="tests"'
    )


def token(text: str = BEARER, **more: Any) -> Answer:
    return Answer(200, json.dumps({"token": text, **more}).encode())


def wanting(realm: Callable[[], str], *, good: Answer | None = None) -> Callable[[Asked], Answer]:
    """Want a token of a service before anything is told."""

    def answer(asked: Asked) -> Answer:
        allowed = asked.headers.get("authorization", "") == f"Bearer {BEARER}"
        return (good or manifest()) if allowed else challenge(realm())

    return answer


# What may be over in a moment


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
async def test_a_fault_that_is_over_in_a_moment_is_asked_again(serve: Serve, status: int) -> None:
    passing = failure(status, "UNAVAILABLE", "come back", Retry_After="1")
    server = serve(in_turn(passing, passing, then=manifest()))
    found = await find(server)
    assert found.digest == digest_of(LISTED)
    assert server.methods() == ["HEAD"] * 3 + ["GET"]


async def test_a_registry_that_is_always_too_busy_is_told_with_its_words(serve: Serve) -> None:
    server = serve(lambda _: failure(429, "TOOMANYREQUESTS", f"slow down, {PASSWORD}", Retry_After="1"))
    told = await failed(server, login=LOGIN)
    assert "429 Too Many Requests" in told
    assert "TOOMANYREQUESTS: slow down, ***" in told
    assert len(server.asked) <= 2 * requests.ATTEMPTS


async def test_a_registry_that_never_answers_ends_the_wait(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nksmesh.adapters.http.SILENCE_SECONDS", 0.2)
    server = serve(lambda _: Answer(silent=True))
    assert "no answer for 0 s" in await failed(server)
    assert len(server.asked) == requests.ATTEMPTS


async def test_an_answer_that_is_cut_off_once_is_asked_for_again(serve: Serve) -> None:
    cut = Answer(200, LISTED, {"Content-Type": INDEX, DIGEST: digest_of(LISTED)}, cut=True)
    assert (await find(serve(in_turn(cut, cut, then=manifest())))).platforms == ("linux/amd64",)
    assert "the response was cut off" in await failed(serve(lambda _: cut))


# What a registry should not say


@pytest.mark.parametrize("body", [LISTED, IMAGE], ids=["index", "other bytes"])
async def test_an_index_of_another_digest_than_the_header_says_is_refused(serve: Serve, body: bytes) -> None:
    wrong = digest_of(b"something else")
    told = await failed(serve(lambda _: Answer(200, body, {"Content-Type": INDEX, DIGEST: wrong})))
    assert "another digest than it says" in told
    assert wrong in told
    assert digest_of(body) in told


@pytest.mark.parametrize(("body", "kind"), [(LISTED, INDEX), (IMAGE, MANIFEST)], ids=["index", "image"])
async def test_another_image_than_the_digest_that_was_asked_for_is_refused(
    serve: Serve, body: bytes, kind: str
) -> None:
    wanted = digest_of(b"what was asked for")
    told = await failed(serve(lambda _: manifest(body, kind)), name=f"istio/pilot@{wanted}")
    assert wanted in told
    assert digest_of(body) in told


@pytest.mark.parametrize("digest", ["", "latest", "sha256:0", "md5:0", "../../other/manifests/1"])
async def test_a_header_that_is_no_digest_is_not_believed(serve: Serve, digest: str) -> None:
    server = serve(lambda _: Answer(200, LISTED, {"Content-Type": INDEX, DIGEST: digest}))
    assert (await find(server)).digest == digest_of(LISTED)
    assert {asked.path for asked in server.asked} == {"/v2/istio/pilot/manifests/1"}


@pytest.mark.parametrize("body", [b"no JSON", b"[]", b'{"manifests": 1}', b"[" * 100_000], ids=range(4))
async def test_an_index_that_is_none_is_told(serve: Serve, body: bytes) -> None:
    assert "is not an index" in await failed(serve(lambda _: manifest(body)))


async def test_a_page_that_asks_for_a_sign_in_is_no_image(serve: Serve) -> None:
    page = Answer(200, b"<html>sign in</html>", {"Content-Type": "text/html; charset=utf-8"})
    assert "text/html" in await failed(serve(lambda _: page))


async def test_an_answer_larger_than_any_manifest_is_not_read_to_its_end(serve: Serve) -> None:
    server = serve(lambda _: manifest(b" " * (9 * 1024 * 1024)))
    assert "larger than any manifest" in await failed(server)


async def test_a_compressed_answer_is_held_to_the_same_bound(serve: Serve) -> None:
    bomb = gzip.compress(b" " * (64 * 1024 * 1024))
    server = serve(lambda _: Answer(200, bomb, {"Content-Type": INDEX, "Content-Encoding": "gzip"}))
    assert "larger than any manifest" in await failed(server)


async def test_an_answer_that_is_not_compressed_as_it_says_is_an_error(serve: Serve) -> None:
    server = serve(lambda _: Answer(200, LISTED, {"Content-Type": INDEX, "Content-Encoding": "gzip"}))
    await failed(server)


async def test_a_compressed_answer_is_read_though_nobody_asked_for_it(serve: Serve) -> None:
    packed = gzip.compress(LISTED)
    headers = {"Content-Type": INDEX, "Content-Encoding": "gzip", DIGEST: digest_of(LISTED)}
    assert (await find(serve(lambda _: Answer(200, packed, headers)))).platforms == ("linux/amd64",)


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"null", b'{"errors": 1}', b'{"errors": ["x"]}', b"[" * 100_000], ids=range(6)
)
async def test_an_error_without_words_of_the_specification_is_told_by_its_status(serve: Serve, body: bytes) -> None:
    assert "does not exist" in await failed(serve(lambda _: Answer(404, body)), kind=MissingImageError)
    assert "418" in await failed(serve(lambda _: Answer(418, body)))


async def test_endless_words_of_a_server_are_cut_short(serve: Serve) -> None:
    told = await failed(serve(lambda _: failure(404, "NAME_UNKNOWN", "x" * 1_000_000)), kind=MissingImageError)
    assert "NAME_UNKNOWN" in told
    assert len(told) < 10_000


async def test_a_server_that_repeats_a_password_in_its_status_line_is_not_repeated(serve: Serve) -> None:
    def answer(asked: Asked) -> Answer:
        if "authorization" not in asked.headers:
            return failure(401, "UNAUTHORIZED", "who?", WWW_Authenticate='Basic realm="tests"')
        return failure(403, "DENIED", f"no: {asked.headers['authorization']} {PASSWORD}")

    told = await failed(serve(answer), kind=DeniedImageError, login=LOGIN)
    assert "DENIED: no: Basic *** ***" in told


# Redirects


async def test_a_login_does_not_go_along_to_another_host(serve: Serve) -> None:
    store = serve(lambda _: manifest())

    def answer(asked: Asked) -> Answer:
        if "authorization" not in asked.headers:
            return failure(401, "UNAUTHORIZED", "who?", WWW_Authenticate='Basic realm="tests"')
        return Answer(307, headers={"Location": f"{store.url}/blob?sig={SIGNATURE}"})

    server = serve(answer)
    assert (await find(server, login=LOGIN)).platforms == ("linux/amd64",)
    assert [asked.headers.get("authorization") for asked in server.asked] == [None, LOGIN.basic, LOGIN.basic]
    assert store.methods() == ["HEAD", "GET"]
    assert not [asked for asked in store.asked if "authorization" in asked.headers]


async def test_another_host_that_wants_a_login_gets_none(serve: Serve) -> None:
    store = serve(lambda _: failure(401, "UNAUTHORIZED", "who?", WWW_Authenticate='Basic realm="store"'))
    server = serve(lambda _: Answer(307, headers={"Location": f"{store.url}/blob?sig={SIGNATURE}"}))
    await failed(server, kind=DeniedImageError, login=LOGIN)
    assert not [asked for asked in store.asked if "authorization" in asked.headers]


async def test_a_redirect_out_of_tls_is_refused(serve: Serve) -> None:
    store = serve(lambda _: manifest())
    server = serve(lambda _: Answer(307, headers={"Location": f"{store.url}/blob?sig={SIGNATURE}"}), tls=True)
    assert "it redirects to http://, which is not safe" in await failed(server)
    assert store.asked == []


@pytest.mark.parametrize("location", ["", "http://[", "http://:x/", "file:///etc/passwd", "http://\u00e9\u0301 /"])
async def test_a_redirect_to_nowhere_is_an_error(serve: Serve, location: str) -> None:
    encoded = location.encode().decode("latin-1")
    await failed(serve(lambda _: Answer(307, headers={"Location": f"{encoded}"})))


async def test_an_error_behind_a_signed_link_does_not_repeat_the_link(serve: Serve) -> None:
    server = serve(lambda _: Answer(307, headers={"Location": f"http://127.0.0.1:1/blob?sig={SIGNATURE}"}))
    await failed(server)


# Token services


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (Answer(500, b"{}"), "500"),
        (Answer(503, b"busy"), "503"),
        (Answer(200, b"no JSON"), "gives no token"),
        (Answer(200, b"[" * 100_000), "gives no token"),
        (Answer(200, b"[]"), "gives no token"),
        (Answer(200, b"{}"), "gives no token"),
        (Answer(200, b'{"token": ""}'), "gives no token"),
        (Answer(200, b'{"token": 1, "expires_in": "soon"}'), "gives no token"),
        (Answer(200, b'{"token": "t", "expires_in": ' + b"9" * 400 + b"}"), "gives no token"),
        (token(f"{BEARER}\r\nX-Other: 1"), "gives no token"),
        (token(f"{BEARER}\u00e9"), "gives no token"),
        (Answer(307, headers={"Location": f"http://127.0.0.1:1/?{SIGNATURE}"}), "gives no token"),
        (Answer(200, b"no gzip", {"Content-Encoding": "gzip"}), ""),
        (Answer(200, b" " * (9 * 1024 * 1024)), ""),
        (Answer(200, gzip.compress(b" " * (64 * 1024 * 1024)), {"Content-Encoding": "gzip"}), ""),
        (token(cut=True), None),
    ],
    ids=range(16),
)
@pytest.mark.parametrize("login", [LOGIN, TOKEN_LOGIN], ids=["password", "token"])
async def test_a_token_service_that_gives_no_token_is_told(
    serve: Serve, said: Answer, words: str | None, login: Login
) -> None:
    if words is None:
        said, words = Answer(200, said.body, cut=True), "cut off"
    service = serve(lambda _: said)
    server = serve(wanting(lambda: f"{service.url}/token"))
    told = await failed(server, login=login)
    assert "token service" in told
    assert service.host in told
    assert words in told


@pytest.mark.parametrize("status", [400, 401, 403])
async def test_a_token_service_that_refuses_a_login_is_told_with_its_words(serve: Serve, status: int) -> None:
    service = serve(lambda asked: failure(status, "UNAUTHORIZED", f"no {asked.headers['authorization']} {PASSWORD}"))
    told = await failed(serve(wanting(lambda: f"{service.url}/token")), kind=DeniedImageError, login=LOGIN)
    assert "UNAUTHORIZED: no Basic *** ***" in told


async def test_a_token_service_that_never_answers_ends_the_wait(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nksmesh.adapters.http.SILENCE_SECONDS", 0.2)
    service = serve(lambda _: Answer(silent=True))
    assert "no answer" in await failed(serve(wanting(lambda: f"{service.url}/token")), login=LOGIN)


async def test_a_token_service_without_tls_gets_no_password(serve: Serve) -> None:
    service = serve(lambda _: token())
    told = await failed(serve(wanting(lambda: f"{service.url}/token"), tls=True), login=LOGIN)
    assert "a token service without TLS" in told
    assert service.asked == []


@pytest.mark.parametrize("realm", ["http://[", "http://:x/", "nowhere", "file:///etc/passwd", "http://"])
async def test_a_realm_that_is_no_address_is_an_error(serve: Serve, realm: str) -> None:
    await failed(serve(wanting(lambda: realm)), login=LOGIN)


async def test_a_registry_that_refuses_every_token_is_asked_twice(serve: Serve) -> None:
    service = serve(lambda _: token())
    server = serve(lambda _: challenge(f"{service.url}/token"))
    told = await failed(server, kind=DeniedImageError, login=LOGIN)
    assert "the login of a test" in told
    assert len(service.asked) <= 2
    assert len(server.asked) <= 4


async def test_a_registry_that_repeats_a_token_is_not_repeated(serve: Serve) -> None:
    service = serve(lambda _: token())

    def answer(asked: Asked) -> Answer:
        header = asked.headers.get("authorization")
        return failure(403, "DENIED", f"not with {header}") if header else challenge(f"{service.url}/token")

    assert "DENIED: not with" in await failed(serve(answer), kind=DeniedImageError, login=LOGIN)


async def test_a_token_that_has_expired_is_fetched_again(serve: Serve) -> None:
    service = serve(lambda _: token(expires_in=1))
    server = serve(wanting(lambda: f"{service.url}/token"))
    async with Registries({}, Credentials({}, config=None), plain_http=[server.host]) as asked:
        image = parse_reference(f"{server.host}/istio/pilot:1")
        await asked.find(image, LOGIN)
        await asyncio.sleep(1.1)
        await asked.find(image, LOGIN)
    assert len(service.asked) == 2


async def test_a_token_that_the_registry_no_longer_takes_is_fetched_again(serve: Serve) -> None:
    """A clock may be wrong, and a key may have changed."""
    given: list[str] = []

    def service_answer(_: Asked) -> Answer:
        given.append(f"{BEARER}{len(given)}")
        return token(given[-1], expires_in=300)

    service = serve(service_answer)
    used: list[str] = []

    def answer(asked: Asked) -> Answer:
        header = asked.headers.get("authorization", "")
        if not given or header != f"Bearer {given[-1]}" or used.count(header) == 2:
            return challenge(f"{service.url}/token")
        used.append(header)
        return manifest()

    await find(serve(answer), login=LOGIN, times=2)
    assert len(given) == 2


async def test_an_identity_token_is_posted_as_a_refresh_token(serve: Serve) -> None:
    service = serve(lambda _: Answer(200, json.dumps({"access_token": BEARER}).encode()))
    await find(serve(wanting(lambda: f"{service.url}/token")), login=TOKEN_LOGIN)
    (asked,) = service.asked
    assert asked.method == "POST"
    assert asked.path == "/token"
    assert "authorization" not in asked.headers
    assert parse_qs(asked.body) == {
        "grant_type": ["refresh_token"],
        "client_id": ["nksmesh"],
        "refresh_token": [IDENTITY],
        "service": ["tests"],
        "scope": ["repository:istio/pilot:pull"],
    }


async def test_a_password_is_sent_to_the_token_service_in_a_header_alone(serve: Serve) -> None:
    service = serve(lambda _: token())
    server = serve(wanting(lambda: f"{service.url}/token?account=kim"))
    await find(server, login=LOGIN)
    (asked,) = service.asked
    assert (asked.method, asked.headers["authorization"]) == ("GET", LOGIN.basic)
    assert parse_qs(asked.path.partition("?")[2]) == {
        "account": ["kim"],
        "service": ["tests"],
        "scope": ["repository:istio/pilot:pull"],
    }
    assert not [asked for asked in server.asked if asked.headers.get("authorization") == LOGIN.basic]


async def test_no_session_of_one_login_serves_another(serve: Serve) -> None:
    """Harbor sets a cookie, and a client that kept it would be let in by it."""

    def answer(asked: Asked) -> Answer:
        if "authorization" in asked.headers or "cookie" in asked.headers:
            return manifest(Set_Cookie="sid=of-kim; Path=/")
        return failure(401, "UNAUTHORIZED", "who?", WWW_Authenticate='Basic realm="tests"')

    server = serve(answer)
    image = parse_reference(f"{server.host}/istio/pilot:1")
    async with Registries({}, Credentials({}, config=None), plain_http=[server.host]) as asked:
        await asked.find(image, LOGIN)
        with pytest.raises(DeniedImageError):
            await asked.find(image, None)


async def test_httpx_logs_no_address_at_all(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    store = serve(lambda _: manifest())
    server = serve(lambda _: Answer(307, headers={"Location": f"{store.url}/blob?sig={SIGNATURE}"}))
    await find(server)
    assert not [record for record in caplog.records if record.name.partition(".")[0] in {"httpx", "httpcore"}]
    assert logging.getLogger(httpx.__name__).isEnabledFor(logging.WARNING)
