"""Releases that Helm does not show where they are looked for: said by every command, and written by none."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest

from nksmesh.commands.canary.start import recorded_mesh
from nksmesh.commands.drift.drift import drift
from nksmesh.commands.repair.repair import plan_repair
from nksmesh.commands.rollback.plan import plan_rollback
from nksmesh.commands.status import status
from nksmesh.commands.uninstall.plan import plan_uninstall
from nksmesh.commands.uninstall.revision import plan_revision
from nksmesh.domain.charts.installed import InstalledRelease
from nksmesh.domain.charts.lock import Lock
from nksmesh.domain.charts.releases import Release
from nksmesh.domain.common.data import data_of
from nksmesh.domain.common.errors import ClusterError, ConfigError, MeshError
from nksmesh.domain.kube.objects import owned_by
from nksmesh.domain.plan.history import History
from nksmesh.engine.discovery import find_installation
from nksmesh.engine.pipeline import resolve_mesh
from tests.unit.domain.meshes import BASE, EDGE, INGRESS, ISTIOD, installed
from tests.unit.fakes.cluster import FakeCluster, Heard
from tests.unit.fakes.meshes import NAMESPACE, SIGNED
from tests.unit.fakes.world import AGAIN, REQUEST, World

WRITES = ("apply", "merge", "create", "delete")

Act = Callable[[World], Awaitable[Any]]

WRITERS: dict[str, Act] = {
    "install": lambda world: world.install(),
    "install again": lambda world: world.install(AGAIN),
    "upgrade": lambda world: world.install(replace(REQUEST, allow_version_change=True)),
    "uninstall": lambda world: plan_uninstall(world.cluster, "", purge=False),
    "uninstall --purge": lambda world: plan_uninstall(world.cluster, "", purge=True),
    "uninstall --revision": lambda world: plan_revision(world.cluster, "", "default", yes=True),
    "rollback": lambda world: plan_rollback(world.runtime, "", to_run=None),
    "repair": lambda world: plan_repair(world.runtime, "", lock=Lock(), objects=()),
    "canary and tag": lambda world: recorded_mesh(world.cluster, ""),
}


@pytest.fixture
async def world(cluster: FakeCluster, heard: Heard) -> World:
    """A mesh of two runs, whose releases have the objects that Istio's charts give them."""
    world = World(cluster, heard)
    for release in (BASE, INGRESS):
        account = {**json.loads(SIGNED)[0]}
        account["metadata"] = {**account["metadata"], "name": release.name}
        world.helm.renders[release.name] = [*world.helm.renders[release.name], account]
    await world.install()
    run = world.cluster.histories.kept[NAMESPACE].runs[0]
    (first,) = world.cluster.records.kept.values()
    moves = tuple(replace(move, before=1) for move in run.releases)
    again = replace(run, number=2, before=first, releases=moves, from_versions=("1.20.0",))
    world.cluster.histories.kept[NAMESPACE] = History(namespace=NAMESPACE, runs=(run, again))
    return world


def away(world: World, *releases: Release, namespace: str = "flux-system") -> None:
    """Let the records of releases lie in another namespace."""
    for release in releases:
        stored = world.cluster.storage.kept.pop((release.namespace, release.name))
        world.cluster.storage.away.append(replace(stored, storage_namespace=namespace))


def label(world: World, release: Release, **labels: str) -> None:
    """Let another tool's labels stand on a release's objects."""
    for one in world.cluster.objects.stored.values():
        if owned_by(release, one):
            one["metadata"]["labels"] |= labels


def written(world: World) -> list[str]:
    return [*world.wrote(), *(f"{verb} {ref}" for verb in WRITES for ref in world.cluster.objects.asked(verb))]


async def refused(world: World, act: Act, kind: type[MeshError] = ClusterError) -> MeshError:
    """Return the error of a command that writes nothing."""
    before = written(world)
    with pytest.raises(kind) as caught:
        await act(world)
    assert written(world) == before
    return caught.value


@pytest.mark.parametrize("command", WRITERS)
@pytest.mark.parametrize("recorded", [True, False])
async def test_a_record_in_another_namespace_is_refused_at_once(world: World, command: str, recorded: bool) -> None:
    away(world, BASE, ISTIOD, INGRESS)
    label(world, ISTIOD, **{"helm.toolkit.fluxcd.io/name": "mesh", "helm.toolkit.fluxcd.io/namespace": "apps"})
    if not recorded:
        world.cluster.records.kept.clear()
        if command in {"canary and tag", "rollback", "install again"}:
            return  # without a record there is nothing that they could be about
    error = await refused(world, WRITERS[command])
    assert "flux-system" in error.message
    said = f"{error.message} {error.hint} {error.detail}"
    assert "HelmRelease apps/mesh" in said


@pytest.mark.parametrize("release", [BASE, INGRESS])
@pytest.mark.parametrize("recorded", [True, False])
async def test_one_release_of_the_mesh_is_enough(world: World, release: Release, recorded: bool) -> None:
    away(world, release)
    if not recorded:
        world.cluster.records.kept.clear()
    for command in ("install", "uninstall --purge"):
        error = await refused(world, WRITERS[command])
        assert f"release {release.name} is in namespace flux-system" in error.message


async def test_a_look_says_where_the_record_is(world: World) -> None:
    away(world, BASE, ISTIOD, INGRESS)
    for recorded in (True, False):
        if not recorded:
            world.cluster.records.kept.clear()
        found = await status(world.cluster, world.helm, "")
        assert [release.release.name for release in found.releases] == [BASE.name, ISTIOD.name, INGRESS.name]
        assert sum("is in namespace flux-system" in note for note in found.notes) == 3
        differing = await drift(
            world.runtime,
            "",
            lock=Lock(),
            diff=False,
            exit_code=False,
        )
        assert any("flux-system" in note for note in differing.survey.notes)


async def test_the_record_that_helm_goes_by_comes_before_a_copy_elsewhere(world: World) -> None:
    world.cluster.records.kept.clear()
    stored = world.cluster.storage.kept[ISTIOD.namespace, ISTIOD.name]
    world.cluster.storage.away.append(replace(stored, storage_namespace="backup"))
    found = await find_installation(world.cluster, "")
    assert not any(release.elsewhere for release in found.releases.values())
    assert found.notes == ()


def another_driver(world: World, *, recorded: str = "configmap", there: bool = True) -> None:
    """Look from a shell with another HELM_DRIVER than the one that installed."""
    storage, records = world.cluster.storage, world.cluster.records.kept
    records[NAMESPACE] = replace(records[NAMESPACE], helm_driver=recorded)
    if there:
        storage.under_other = list(storage.kept.values())
    storage.kept.clear()


async def test_the_record_knows_the_driver(world: World) -> None:
    world.cluster.storage.driver = "configmap"
    await world.install(AGAIN)
    assert world.cluster.records.kept[NAMESPACE].helm_driver == "configmap"
    world.cluster.records.kept[NAMESPACE] = replace(world.cluster.records.kept[NAMESPACE], helm_driver="")
    await world.install(AGAIN)  # a record from before learns it
    assert world.cluster.records.kept[NAMESPACE].helm_driver == "configmap"


@pytest.mark.parametrize("command", WRITERS)
@pytest.mark.parametrize("recorded", ["configmap", ""])
async def test_another_driver_is_named_and_nothing_is_installed_over(world: World, command: str, recorded: str) -> None:
    another_driver(world, recorded=recorded)
    error = await refused(world, WRITERS[command])
    assert "HELM_DRIVER=configmap" in error.message
    assert "HELM_DRIVER=secret" in error.message
    assert "HELM_DRIVER=configmap nksmesh" in error.hint
    assert "deleted" not in f"{error.message} {error.hint}"


@pytest.mark.parametrize("command", WRITERS)
@pytest.mark.parametrize("recorded", ["secret", ""])
async def test_records_that_were_deleted_are_a_mesh_all_the_same(world: World, command: str, recorded: str) -> None:
    another_driver(world, recorded=recorded, there=False)
    error = await refused(world, WRITERS[command])
    assert "Deployment istio-system/istiod" in error.message
    assert "HELM_DRIVER=configmap nksmesh" in error.hint
    assert "were deleted" in error.hint


async def test_status_does_not_say_that_there_is_no_mesh(world: World) -> None:
    another_driver(world)
    found = await status(world.cluster, world.helm, "")
    data = data_of(found)
    assert (data["installed"], data["ready"], data["recorded"], data["region"]) == (True, False, True, "kr1")
    assert "HELM_DRIVER=configmap" in data["notes"][0]


async def test_without_objects_there_is_no_mesh(world: World) -> None:
    another_driver(world, there=False)
    world.cluster.objects.stored = {
        ref: one for ref, one in world.cluster.objects.stored.items() if ref.kind == "CustomResourceDefinition"
    }
    found = await find_installation(world.cluster, "")
    assert (found.releases, found.record, found.unseen) == ({}, None, None)
    assert (await plan_uninstall(world.cluster, "", purge=False)).installation.releases == {}
    with pytest.raises(ConfigError):
        await recorded_mesh(world.cluster, "")


async def test_objects_that_are_being_deleted_are_no_mesh(world: World) -> None:
    another_driver(world, there=False)
    for one in world.cluster.objects.stored.values():
        one["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert (await find_installation(world.cluster, "")).unseen is None


async def test_nothing_more_is_read_while_helm_shows_the_mesh(world: World) -> None:
    await world.install(AGAIN)
    await status(world.cluster, world.helm, "")
    assert world.cluster.storage.asked("elsewhere") == world.cluster.storage.asked("under_other_driver") == []


async def test_a_release_that_helm_lost_and_that_lives_stops_an_uninstall(world: World) -> None:
    world.cluster.storage.kept.pop((INGRESS.namespace, INGRESS.name))
    error = await refused(world, WRITERS["uninstall --purge"])
    assert f"Helm has no record of {INGRESS.name}" in error.message


async def test_values_are_shown_as_the_record_has_them(world: World) -> None:
    another_driver(world)
    found = await resolve_mesh(AGAIN, world.cluster, to_write=False)
    assert found.resolved.mesh.region == "kr1"


async def test_of_a_record_that_belongs_to_another_releases_namespace_nothing_is_taken(world: World) -> None:
    """Flux's HelmRelease in the mesh's own namespace, with the mesh's names, and another target."""
    stored: InstalledRelease = installed(
        replace(EDGE, name=INGRESS.name), manifest="[]", storage_namespace=INGRESS.namespace
    )
    world.cluster.storage.kept[INGRESS.namespace, INGRESS.name] = stored
    error = await refused(world, WRITERS["install"])
    assert "is in namespace istio-system" in error.message
