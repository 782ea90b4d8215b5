"""Unit tests touch no world: a process, a connection or a name look-up fails the test that asks for it."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
from collections.abc import Callable
from typing import Any, NoReturn

import pytest

from nksmesh.domain.mesh.catalog import Catalog, Environment, Profile, ValuesFile
from nksmesh.domain.mesh.mesh import GatewaySpec, IstioVersion, Network, Region


def _refused(what: str) -> Callable[..., NoReturn]:
    def refuse(*args: Any, **_kwargs: Any) -> NoReturn:
        asked = next((arg for arg in args if not isinstance(arg, socket.socket)), "")
        pytest.fail(f"a unit test {what}: {asked!r}; such a test belongs to tests/adapters or tests/cluster")

    return refuse


@pytest.fixture(autouse=True)
def no_world(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make everything that reaches out of this process fail."""
    for name in ("Popen", "run", "call", "check_call", "check_output"):
        monkeypatch.setattr(subprocess, name, _refused("started a process"))
    for name in ("create_subprocess_exec", "create_subprocess_shell"):
        monkeypatch.setattr(asyncio, name, _refused("started a process"))
    for name in ("system", "fork", "posix_spawn", "execv", "execve"):
        monkeypatch.setattr(os, name, _refused("started a process"))
    for name in ("connect", "connect_ex", "sendto"):
        monkeypatch.setattr(socket.socket, name, _refused("opened a connection"))
    for name in ("create_connection", "getaddrinfo", "gethostbyname"):
        monkeypatch.setattr(socket, name, _refused("opened a connection"))


@pytest.fixture
def catalog() -> Catalog:
    """Regions kr1 and kr2, profiles default and demo."""
    regions = {
        name: Region(
            name=name,
            title=name.upper(),
            hubs={network: f"{network}-{name}.example.com/istio" for network in Network},
            versions=("1.19.0", "1.20.0"),
            kubernetes=("1.28",),
        )
        for name in ("kr1", "kr2")
    }
    demo = Profile(
        name="demo",
        gateways=(GatewaySpec(name="istio-ingressgateway"), GatewaySpec(name="istio-egressgateway")),
        files={
            "istiod": ValuesFile(path="values/profiles/demo/istiod.yaml", values={"pilot": {"x": "demo"}}, ours=True),
            "gateway": ValuesFile(path="values/profiles/demo/gateway.yaml", values={"a": "demo", "b": 1}, ours=True),
            "istio-egressgateway": ValuesFile(
                path="values/profiles/demo/istio-egressgateway.yaml", values={"b": 2}, ours=True
            ),
        },
        path="values/profiles/demo/profile.yaml",
        ours=True,
    )
    return Catalog(
        regions=regions,
        versions=(
            IstioVersion(
                minor="1.20",
                kubernetes_min="1.25",
                kubernetes_max="1.29",
                kubernetes_floor="1.25",
                versions=("1.20.0",),
            ),
        ),
        profiles={
            "default": Profile(name="default", gateways=(GatewaySpec(name="istio-ingressgateway"),), ours=True),
            "demo": demo,
        },
        components={"istiod": ValuesFile(path="values/istiod.yaml", values={"pilot": {"x": "component"}}, ours=True)},
    )


@pytest.fixture
def prod() -> Environment:
    """An environment that says something about everything."""
    return Environment(
        name="prod",
        path="values/environments/prod/mesh.yaml",
        context="prod-cluster",
        region="kr2",
        network=Network.PRIVATE,
        version="1.19.0",
        profile="demo",
        pull_secrets=("key",),
        gateways=(
            GatewaySpec(name="istio-egressgateway", values={"b": 5}),
            GatewaySpec(name="edge", namespace="edge", values={"a": "edge"}),
        ),
        files={
            "istiod": ValuesFile(path="values/environments/prod/istiod.yaml", values={"pilot": {"x": "prod"}}),
            "gateway": ValuesFile(path="values/environments/prod/gateway.yaml", values={"b": 3, "c": 3}),
            "istio-egressgateway": ValuesFile(
                path="values/environments/prod/istio-egressgateway.yaml", values={"b": 4, "c": 4}
            ),
        },
    )
