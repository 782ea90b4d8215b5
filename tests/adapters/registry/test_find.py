"""What real registries have under an image's name, with the logins that they want.

Images are small ones of these tests under Istio's names: Istio's own cannot be had without internet.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from nksmesh.adapters.registry.credentials import Credentials
from nksmesh.adapters.registry.registries import Registries
from nksmesh.domain.common.errors import DeniedImageError, ImageError, MissingImageError
from nksmesh.domain.images.login import Login
from nksmesh.domain.images.reference import parse_reference
from tests.adapters.registry.conftest import PULLER
from tests.adapters.registry.servers import DOCKER, INDEX, MANIFEST, Pusher, Server, TokenService

NODES = ("linux/amd64", "linux/arm64")
LOGIN = Login(source="a test", username="puller", password=PULLER["puller"])
WRONG = replace(LOGIN, password="-".join(PULLER))


@asynccontextmanager
async def registries(environ: Mapping[str, str] | None = None) -> AsyncIterator[Registries]:
    told = environ or {}
    async with Registries(told, Credentials(told, config=None)) as opened:
        yield opened


@pytest.mark.parametrize("docker", [False, True], ids=["oci", "docker"])
async def test_an_index_is_told_with_its_platforms_and_without_attestations(pushed: Pusher, docker: bool) -> None:
    name = f"{'docker' if docker else 'oci'}/istio/pilot"
    digest = pushed.push(name, "1.30.2", platforms=NODES, docker=docker)
    async with registries() as asked:
        found = await asked.find(parse_reference(f"{pushed.server.host}/{name}:1.30.2"), None)
        again = await asked.find(parse_reference(f"{pushed.server.host}/{name}@{digest}"), None)
    assert (found.digest, found.platforms) == (digest, NODES)
    assert found.media_type == (f"{DOCKER}.list.v2+json" if docker else INDEX)
    assert again == found


async def test_a_single_image_is_found_by_a_head_alone(pushed: Pusher) -> None:
    digest = pushed.push("single/proxyv2", "1.30.2")
    async with registries() as asked:
        found = await asked.find(parse_reference(f"{pushed.server.host}/single/proxyv2:1.30.2"), None)
    assert (found.digest, found.platforms, found.media_type) == (digest, (), MANIFEST)
    asked_for = [request for request in pushed.server.requests if "single/proxyv2/manifests/1.30.2" in request]
    assert [request.split()[0] for request in asked_for] == ["PUT", "HEAD"]


async def test_a_missing_image_is_told_with_the_registrys_words(pushed: Pusher) -> None:
    async with registries() as asked:
        with pytest.raises(MissingImageError, match=r"istio/pilot:1\.99\.0 does not exist") as caught:
            await asked.find(parse_reference(f"{pushed.server.host}/istio/pilot:1.99.0"), None)
    assert "MANIFEST_UNKNOWN" in caught.value.detail or "NAME_UNKNOWN" in caught.value.detail


async def test_a_password_is_sent_where_the_registry_asks_for_it(basic_registry: Server) -> None:
    digest = Pusher(basic_registry, {"Authorization": LOGIN.basic}).push("istio/pilot", "1.30.2", platforms=NODES)
    image = parse_reference(f"{basic_registry.host}/istio/pilot:1.30.2")
    async with registries({"SSL_CERT_FILE": str(basic_registry.authority)}) as asked:
        assert (await asked.find(image, LOGIN)).digest == digest
        for login, words in ((None, "a request without a login"), (WRONG, "the login of a test")):
            with pytest.raises(DeniedImageError, match=words) as caught:
                await asked.find(image, login)
            assert WRONG.password not in f"{caught.value} {caught.value.detail} {caught.value.hint}"


async def test_a_certificate_that_nobody_trusts_is_an_error_at_once(basic_registry: Server) -> None:
    async with registries() as asked:
        with pytest.raises(ImageError, match="its certificate is not trusted"):
            await asyncio.wait_for(asked.find(parse_reference(f"{basic_registry.host}/istio/pilot:1"), None), 5)


async def test_one_token_serves_all_requests_of_a_repository(token_registry: Server, tokens: TokenService) -> None:
    service = tokens
    pusher = Pusher(token_registry, {"Authorization": f"Bearer {service.token('repository:istio/pilot:pull,push')}"})
    digest = pusher.push("istio/pilot", "1.30.2", platforms=NODES)
    image = parse_reference(f"{token_registry.host}/istio/pilot:1.30.2")
    service.asked.clear()
    async with registries() as asked:
        found = await asyncio.gather(*(asked.find(image, LOGIN) for _ in range(6)))
        assert {one.digest for one in found} == {digest}
        assert service.asked == ["repository:istio/pilot:pull"]
        with pytest.raises(DeniedImageError, match="a request without a login"):
            await asked.find(image, None)
        with pytest.raises(DeniedImageError, match="the login of a test") as caught:
            await asked.find(image, WRONG)
    assert "wrong password" in caught.value.detail


async def test_a_registry_that_is_not_there_is_not_asked_again_and_again() -> None:
    async with registries() as asked:
        with pytest.raises(ImageError, match=r"127\.0\.0\.1:1 cannot be reached") as caught:
            await asyncio.wait_for(asked.find(parse_reference("127.0.0.1:1/istio/pilot:1"), None), 5)
    assert caught.value.passing


async def test_a_config_of_docker_and_a_helper_are_read(tmp_path: Path) -> None:
    helper = tmp_path / "docker-credential-vault"
    helper.write_text(
        '#!/bin/sh\nread host\ntest "$host" = helped.example || { echo none; exit 1; }\n'
        'echo \'{"Username": "kim", "Secret": "of the vault"}\'\n'
    )
    helper.chmod(0o700)
    config = tmp_path / "config.json"
    config.write_text('{"auths": {"https://plain.example/v1/": {"auth": "a2ltOnBsYWlu"}}, "credsStore": "vault"}')
    credentials = Credentials({"PATH": f"{tmp_path}:/bin:/usr/bin"}, config=config)
    found = {
        host: await credentials.login(parse_reference(f"{host}/a/b:1"))
        for host in ("helped.example", "plain.example", "none.example")
    }
    logins = {host: login and (login.username, login.password) for host, login in found.items()}
    assert logins == {
        "helped.example": ("kim", "of the vault"),
        "plain.example": ("kim", "plain"),
        "none.example": None,
    }
