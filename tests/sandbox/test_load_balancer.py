from __future__ import annotations

import pytest

from nksmesh.domain.kube.readiness import addresses_of
from nksmesh.sandbox.agent.agent import PENDING, PENDING_ANNOTATION
from nksmesh.sandbox.sandbox import Sandbox
from tests.sandbox.objects import Object, until

pytestmark = pytest.mark.cluster

SERVICES = "/api/v1/namespaces/default/services"


def service(name: str, **annotations: str) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "annotations": annotations},
        "spec": {"type": "LoadBalancer", "selector": {"app": name}, "ports": [{"port": 80}]},
    }


async def test_a_service_gets_an_address_and_the_same_when_made_again(shared_sandbox: Sandbox) -> None:
    async with shared_sandbox.api() as api:
        await api.request("POST", SERVICES, body=service("gate"))
        (first,) = addresses_of(await until(api, SERVICES, "gate", addresses_of))
        await api.request("DELETE", f"{SERVICES}/gate")
        await api.request("POST", SERVICES, body=service("gate"))
        (second,) = addresses_of(await until(api, SERVICES, "gate", addresses_of))
    assert first.startswith("203.0.113.")
    assert second == first


async def test_a_service_told_to_stay_pending_does(shared_sandbox: Sandbox) -> None:
    async with shared_sandbox.api() as api:
        await api.request("POST", SERVICES, body=service("pending", **{PENDING_ANNOTATION: PENDING}))
        await api.request("POST", SERVICES, body=service("next"))
        # addresses are given in order: when the later Service has one, the earlier was passed over
        await until(api, SERVICES, "next", addresses_of)
        assert not addresses_of(await api.request("GET", f"{SERVICES}/pending"))


async def test_an_option_leaves_every_service_pending(sandbox: Sandbox) -> None:
    await sandbox.up(load_balancer=False)
    try:
        async with sandbox.api() as api:
            await api.request("POST", SERVICES, body=service("alone"))
            assert not addresses_of(await api.request("GET", f"{SERVICES}/alone"))
            await sandbox.up(load_balancer=True)
            assert addresses_of(await until(api, SERVICES, "alone", addresses_of))
    finally:
        await sandbox.up(load_balancer=True)
