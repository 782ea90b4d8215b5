"""Registries for a module's tests, each started when the first of them asks for it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.adapters.registry.servers import Pusher, Server, TokenService, passwords, registry, token_service

PULLER = {"puller": "s3cret of a puller"}


@pytest.fixture(scope="module")
def open_registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A registry on loopback that lets everybody in."""
    with registry(tmp_path_factory.mktemp("open")) as server:
        yield server


@pytest.fixture(scope="module")
def basic_registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A registry with TLS of its own authority, and passwords."""
    folder = tmp_path_factory.mktemp("basic")
    with registry(folder, tls=True, auth=passwords(folder, PULLER)) as server:
        yield server


@pytest.fixture(scope="module")
def tokens(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TokenService]:
    """A token service."""
    with token_service(tmp_path_factory.mktemp("tokens"), PULLER) as service:
        yield service


@pytest.fixture(scope="module")
def token_registry(tmp_path_factory: pytest.TempPathFactory, tokens: TokenService) -> Iterator[Server]:
    """A registry that wants a token of the service."""
    with registry(tmp_path_factory.mktemp("token"), auth=tokens.auth) as server:
        yield server


@pytest.fixture
def pushed(open_registry: Server) -> Pusher:
    """What pushes into the open registry."""
    return Pusher(open_registry)
