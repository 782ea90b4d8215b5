"""Logins of a Docker configuration: how they are read, which one is meant for an image, and that they never show."""

from __future__ import annotations

import base64
import traceback
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nksmesh.domain.common.errors import ConfigError
from nksmesh.domain.images.login import Login, login_for, logins_of, without_secrets
from nksmesh.domain.images.reference import parse_reference

SECRET = "pa55-of-kim"  # noqa: S105 - what must not show
TOKEN = "t0ken-of-kim"  # noqa: S105 - the same


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def config(*keys: str) -> dict[str, Any]:
    """A configuration whose logins have their key for a user."""
    return {"auths": {key: {"username": key, "password": SECRET} for key in keys}}


def chosen(image: str, *keys: str) -> str | None:
    login = login_for(parse_reference(image), logins_of(config(*keys), "a test"))
    return login.username if login else None


@given(st.text(min_size=1, max_size=20).map(lambda text: f"<<{text}>>"))
def test_nothing_secret_of_a_login_is_shown(secret: str) -> None:
    login = Login(source="a file", username=secret, password=secret, token=secret)
    for shown in (repr(login), str(login), f"{login}", f"{[login]!r}", f"{login!a}"):
        assert secret not in shown
        assert ascii(secret)[1:-1] not in shown
        assert "a file" in shown


def test_the_header_of_basic_authentication_is_that_of_rfc_7617() -> None:
    login = Login(source="a test", username="Aladdin", password="open sesame")  # noqa: S106 - the RFC's own
    assert login.basic == "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="
    assert Login(source="a test", username="test", password="123£").basic == "Basic dGVzdDoxMjPCow=="  # noqa: S106


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ({"auth": encoded(f"kim:{SECRET}")}, ("kim", SECRET, "")),
        ({"auth": encoded(f"kim:{SECRET}:with:colons")}, ("kim", f"{SECRET}:with:colons", "")),
        ({"auth": encoded(f"kim:{SECRET}\0\0")}, ("kim", SECRET, "")),
        ({"auth": encoded("kim:비밀")}, ("kim", "비밀", "")),
        ({"auth": encoded("kim:")}, ("kim", "", "")),
        ({"username": "kim", "password": SECRET}, ("kim", SECRET, "")),
        ({"username": "kim", "password": SECRET, "auth": encoded("lee:other")}, ("lee", "other", "")),
        ({"identitytoken": TOKEN}, ("", "", TOKEN)),
        ({"auth": encoded("kim:"), "identitytoken": TOKEN}, ("", "", TOKEN)),
        ({"username": "", "password": ""}, None),
        ({"email": "kim@example.com"}, None),
        ({}, None),
    ],
)
def test_an_entry_is_read_as_docker_writes_it(entry: dict[str, Any], expected: tuple[str, str, str] | None) -> None:
    login = logins_of({"auths": {"reg.example": entry}}, "a test").get("reg.example")
    assert (login and (login.username, login.password, login.token)) == expected
    assert login is None or login.source == "a test"


@pytest.mark.parametrize(
    ("key", "normal"),
    [
        ("reg.example", "reg.example"),
        ("reg.example:5000", "reg.example:5000"),
        ("reg.example/", "reg.example"),
        ("https://reg.example", "reg.example"),
        ("http://reg.example:5000", "reg.example:5000"),
        ("https://reg.example/v1/", "reg.example"),
        ("https://reg.example/v2", "reg.example"),
        ("reg.example/v2/team", "reg.example/team"),
        ("reg.example/team", "reg.example/team"),
        ("reg.example/team/", "reg.example/team"),
        ("reg.example/team/v1", "reg.example/team/v1"),
        ("[::1]:5000", "[::1]:5000"),
        ("https://index.docker.io/v1/", "docker.io"),
        ("index.docker.io", "docker.io"),
        ("registry-1.docker.io", "docker.io"),
        ("docker.io/istio", "docker.io/istio"),
    ],
)
def test_a_key_is_a_host_or_a_url(key: str, normal: str) -> None:
    assert list(logins_of(config(key), "a test")) == [normal]


@pytest.mark.parametrize("found", [{}, {"auths": {}}, {"auths": None}, {"credsStore": "pass"}])
def test_a_configuration_without_logins_has_none(found: Any) -> None:
    assert logins_of(found, "a test") == {}


@pytest.mark.parametrize(
    "broken",
    [
        [SECRET],
        SECRET,
        None,
        {"auths": [SECRET]},
        {"auths": SECRET},
        {"auths": {"reg.example": SECRET}},
        {"auths": {"reg.example": [SECRET]}},
        {"auths": {"reg.example": {"auth": SECRET}}},
        {"auths": {"reg.example": {"auth": encoded(SECRET)}}},
        {"auths": {"reg.example": {"auth": f"{SECRET}é"}}},
        {"auths": {"reg.example": {"auth": [SECRET]}}},
        {"auths": {"reg.example": {"auth": base64.b64encode(b"\xff\xfe:" + SECRET.encode()).decode()}}},
        {"auths": {f"https://[{SECRET}": {"auth": encoded(f"kim:{SECRET}")}}},
    ],
)
def test_a_broken_configuration_is_an_error_that_repeats_nothing_of_it(broken: Any) -> None:
    with pytest.raises(ConfigError, match="Secret istio-system/pull has no usable logins") as caught:
        logins_of(broken, "Secret istio-system/pull")
    error = caught.value
    told = "".join((error.message, error.hint, error.detail, *traceback.format_exception_only(error)))
    for secret in (SECRET, encoded(SECRET), encoded(f"kim:{SECRET}")):
        assert secret not in told
    assert error.__suppress_context__ or error.__context__ is None


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=8),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["auths", "auth", "username", "password", "identitytoken"]) | st.text(max_size=8),
                inner,
                max_size=3,
            )
        ),
        max_leaves=12,
    )
)
def test_whatever_a_configuration_holds_is_logins_or_an_error(found: Any) -> None:
    for config in (found, {"auths": found}, {"auths": {"reg.example": found}}):
        try:
            logins = logins_of(config, "a test")
        except ConfigError:
            continue
        assert all(isinstance(login, Login) for login in logins.values())


@pytest.mark.parametrize(
    ("key", "image", "matches"),
    [
        ("reg.example", "reg.example/a:1", True),
        ("reg.example", "reg.example:5000/a:1", False),
        ("reg.example:5000", "reg.example:5000/a:1", True),
        ("reg.example:5000", "reg.example/a:1", False),
        ("reg.example", "other.example/a:1", False),
        ("*.example", "reg.example/a:1", True),
        ("*.example", "kr1.reg.example/a:1", False),
        ("*.*.example", "kr1.reg.example/a:1", True),
        ("*.example:5000", "reg.example:5000/a:1", True),
        ("*.example:5000", "reg.example:5001/a:1", False),
        ("reg-*.example", "reg-kr1.example/a:1", True),
        ("reg.*", "reg.example/a:1", True),
        ("*", "reg.example/a:1", False),
        ("reg.example/team", "reg.example/team/a:1", True),
        ("reg.example/team", "reg.example/team:1", True),
        ("reg.example/team/a", "reg.example/team:1", False),
        ("reg.example/team", "reg.example/other/team/a:1", False),
        ("*.example/team", "reg.example/team/a:1", True),
        ("https://reg.example/v1/", "reg.example/a:1", True),
        ("https://index.docker.io/v1/", "istio/pilot:1", True),
        ("docker.io", "busybox", True),
        ("docker.io/istio", "istio/pilot:1", True),
        ("docker.io/library", "istio/pilot:1", False),
        ("[::1]:5000", "[::1]:5000/a:1", True),
        ("[::1]:5000", "1:5000/a:1", False),
        ("127.0.0.1:5000", "127.0.0.1:5000/a:1", True),
    ],
)
def test_a_key_is_compared_as_the_kubelet_does(key: str, image: str, matches: bool) -> None:
    assert (chosen(image, key) is not None) is matches


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        ("reg.example/team/mesh/pilot:1", "reg.example/team/mesh"),
        ("reg.example/team/other:1", "reg.example/team"),
        ("reg.example/else:1", "reg.example"),
        ("kr1.example/else:1", "*.example"),
        ("istio/pilot:1", "https://index.docker.io/v1/"),
        ("quay.io/a:1", None),
    ],
)
@pytest.mark.parametrize("backwards", [False, True])
def test_the_longest_key_that_matches_is_chosen(image: str, expected: str | None, backwards: bool) -> None:
    keys = ["*.example", "reg.example", "reg.example/team", "reg.example/team/mesh", "https://index.docker.io/v1/"]
    assert chosen(image, *(reversed(keys) if backwards else keys)) == expected


def test_a_servers_words_lose_the_secrets_they_repeat() -> None:
    login = Login(source="a test", username="kim", password=SECRET)
    identity = Login(source="a test", token=TOKEN)
    words = f"{SECRET} is wrong ({login.basic}), {TOKEN} is old"
    clean = without_secrets(words, [None, login, identity])
    assert clean == "*** is wrong (Basic ***), *** is old"
    assert without_secrets("nothing", [None, Login(source="a test")]) == "nothing"


def test_a_secret_that_is_a_piece_of_another_leaves_no_piece_of_it() -> None:
    short = Login(source="a test", username="kim", password="abc")  # noqa: S106 - a test's
    long = Login(source="a test", username="lee", password="abcdef")  # noqa: S106 - a test's
    assert without_secrets("it was abcdef", [short, long]) == "it was ***"
