"""Putting one object back: by an apply as Helm would; and by a patch, which Helm 4 must not trip over."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import pytest

from nksmesh.commands.drift import apply as putting
from nksmesh.commands.drift.apply import Wanted, put
from nksmesh.domain.charts.releases import Release
from nksmesh.domain.common.errors import RefusedError
from nksmesh.domain.kube.objects import Manifest, ObjectRef
from tests.unit.fakes.cluster import FakeLive, FakeObjects

REF = ObjectRef("v1", "Service", "edge", "istio-system")
OWNER = Release(component="gateway", name="edge", namespace="istio-system")
PORT = {"name": "http2", "port": 80, "protocol": "TCP"}
CONFLICT = RefusedError("refused", hint="Again.", status=409, reason="Conflict")


def entry(operation: str, *names: str, manager: str = "helm", subresource: str = "") -> dict[str, Any]:
    fields: dict[str, Any] = {"f:spec": {f"f:{name}": {} for name in names}}
    return {"manager": manager, "operation": operation, "subresource": subresource, "fieldsV1": fields}


STATUS = entry("Update", "status", subresource="status")
EDITED = entry("Update", "ports", manager="kubectl-edit")


class Server(FakeObjects):
    """Notes who writes, as an API server does; may refuse the first writes of managedFields."""

    def __init__(self, *managed: dict[str, Any], conflicts: int = 0) -> None:
        super().__init__(FakeLive())
        self.conflicts = conflicts
        self.put(
            {
                "apiVersion": "v1",
                "kind": "Service",
                "metadata": {"name": "edge", "namespace": "istio-system", "managedFields": list(managed)},
                "spec": {"ports": [PORT, {**PORT, "name": "mine", "port": 81}]},
            }
        )

    @property
    def held(self) -> list[dict[str, Any]]:
        return list(self.stored[REF]["metadata"]["managedFields"])

    async def merge(
        self, patch: Mapping[str, Any], ref: ObjectRef, *, dry_run: bool = False, manager: str = "nksmesh"
    ) -> dict[str, Any]:
        if "managedFields" in patch["metadata"]:
            if self.conflicts:
                self.conflicts -= 1
                raise CONFLICT
            return await super().merge(patch, ref, dry_run=dry_run, manager=manager)
        others = [one for one in self.held if (one["manager"], one["operation"]) != (manager, "Update")]
        status = [one for one in self.held if one["subresource"]]
        await super().merge(patch, ref, dry_run=dry_run, manager=manager)
        self.stored[ref]["metadata"]["managedFields"] = [*others, *status, entry("Update", "ports", "type")]
        return copy.deepcopy(self.stored[ref])

    async def apply(
        self, manifest: Manifest, ref: ObjectRef, *, dry_run: bool = False, force: bool = True, manager: str = "nksmesh"
    ) -> dict[str, Any]:
        assert (dry_run, force, manager) == (False, True, "helm")
        return copy.deepcopy(self.stored[ref])


async def put_back(server: Server) -> dict[str, Any]:
    manifest = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "edge"}, "spec": {"ports": [PORT]}}
    wanted = Wanted(ref=REF, manifest=manifest, owner=OWNER, chart_version="1.20.0")
    return await put(wanted, await server.get(REF), server, dry_run=False)


@pytest.mark.parametrize("conflicts", [0, 6])
async def test_what_helm_4_applied_is_held_by_its_apply_alone(conflicts: int) -> None:
    server = Server(entry("Apply", "ports"), STATUS, EDITED, conflicts=conflicts)
    after = await put_back(server)
    assert after["spec"]["ports"] == [PORT]
    assert server.held == [entry("Apply", "ports"), EDITED, STATUS]


async def test_what_helm_3_had_written_before_is_held_as_it_was() -> None:
    server = Server(entry("Apply", "ports"), entry("Update", "type"))
    await put_back(server)
    assert server.held == [entry("Apply", "ports"), entry("Update", "type")]


async def test_what_helm_3_alone_wrote_stays_as_the_patch_left_it() -> None:
    server = Server(entry("Update", "ports"))
    await put_back(server)
    assert server.held == [entry("Update", "ports", "type")]


async def test_somebody_who_never_stops_writing_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(putting, "_PAUSE", 0)
    with pytest.raises(RefusedError):
        await put_back(Server(entry("Apply", "ports"), conflicts=99))


class Picky(FakeObjects):
    """Refuses an apply."""

    def __init__(self, status: int = 0) -> None:
        super().__init__(FakeLive())
        self.status = status

    async def apply(
        self, manifest: Manifest, ref: ObjectRef, *, dry_run: bool = False, force: bool = True, manager: str = "nksmesh"
    ) -> dict[str, Any]:
        if self.status:
            raise RefusedError("refused", hint="Look.", status=self.status, reason="Invalid")
        return await super().apply(manifest, ref, dry_run=dry_run, force=force, manager=manager)


def service(*ports: dict[str, Any]) -> dict[str, Any]:
    metadata = {"name": "edge", "namespace": "istio-system"}
    return {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": {"ports": list(ports)}}


WANTED = Wanted(ref=REF, manifest=service(PORT), owner=OWNER, chart_version="1.20.0")
OTHER = {**PORT, "name": "other", "nodePort": 30080}


async def test_what_is_missing_is_made_with_helms_marks() -> None:
    objects = Picky()
    made = await put(WANTED, None, objects, dry_run=False)
    assert objects.calls == [("apply", f"{REF} as helm")]
    assert made["metadata"]["labels"] == {"app.kubernetes.io/managed-by": "Helm"}
    assert made["metadata"]["annotations"]["meta.helm.sh/release-name"] == "edge"


@pytest.mark.parametrize("ports", [(OTHER, {**PORT, "port": 81}), (OTHER,)], ids=["added to a list", "not applied"])
async def test_what_an_apply_does_not_bring_about_is_asked_of_a_patch_that_keeps_what_was_given(ports: Any) -> None:
    objects = Picky(status=422)
    there = service(*ports)
    objects.put(there)
    asked = await put(WANTED, there, objects, dry_run=True)
    assert objects.calls == [("ask", f"{REF} as helm")]
    assert asked["spec"]["ports"] == [{**PORT, "nodePort": 30080}]


async def test_what_may_not_be_applied_is_not_patched_either() -> None:
    objects = Picky(status=403)
    there = service(OTHER)
    objects.put(there)
    with pytest.raises(RefusedError):
        await put(WANTED, there, objects, dry_run=True)
    assert objects.calls == []
