from __future__ import annotations

import asyncio
from typing import Any

import pytest

from nksmesh.adapters.cluster.api import Api
from nksmesh.adapters.cluster.objects import Objects
from nksmesh.domain.common.errors import RefusedError
from nksmesh.domain.kube.objects import ObjectRef
from nksmesh.sandbox.failures import Failure
from nksmesh.sandbox.sandbox import Sandbox
from tests.sandbox.objects import make_pod, pod, ready, until_pod, waiting

pytestmark = pytest.mark.cluster

NAMESPACE = "default"


def config_map(name: str, **data: str) -> tuple[dict[str, Any], ObjectRef]:
    manifest = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}
    return manifest, ObjectRef("v1", "ConfigMap", name, NAMESPACE)


async def test_an_object_from_its_making_to_its_end(objects: Objects) -> None:
    manifest, ref = config_map("whole-life", a="1")
    assert await objects.get(ref) is None
    created = await objects.create(manifest, ref)
    with pytest.raises(RefusedError) as again:
        await objects.create(manifest, ref)
    assert again.value.reason == "AlreadyExists"
    merged = await objects.merge({"data": {"a": None, "b": "2"}}, ref)
    assert merged["data"] == {"b": "2"}
    with pytest.raises(RefusedError) as stale:
        await objects.replace({**created, "data": {}}, ref)
    assert (stale.value.status, stale.value.reason) == (409, "Conflict")
    replaced = await objects.replace({**merged, "data": {"c": "3"}}, ref)
    assert (await objects.get(ref) or {})["data"] == replaced["data"] == {"c": "3"}
    assert await objects.delete(ref)
    assert not await objects.delete(ref)


async def test_a_text_is_applied_as_it_is_whatever_characters_it_has(objects: Objects) -> None:
    text = (
        "".join(map(chr, [*range(0x20, 0x100), 0x2028, 0x2029, 0xFEFF, 0xFFFE, 0xFFFF, 0x1F510, 0x10FFFF]))
        + "\\ud83d\t\n"
    )
    manifest, ref = config_map("characters", text=text)
    assert (await objects.apply(manifest, ref))["data"] == {"text": text}


async def test_a_dry_run_leaves_nothing(objects: Objects) -> None:
    manifest, ref = config_map("never-there")
    assert (await objects.create(manifest, ref, dry_run=True))["metadata"]["uid"]
    assert (await objects.apply(manifest, ref, dry_run=True, force=False))["metadata"]["uid"]
    assert await objects.get(ref) is None


async def test_a_field_of_another_manager_is_a_conflict_that_names_it_and_force_takes_it(
    api: Api, objects: Objects
) -> None:
    manifest, ref = config_map("contended", owner="helm")
    await api.request(
        "PATCH",
        f"/api/v1/namespaces/{NAMESPACE}/configmaps/contended",
        query={"fieldManager": "helm"},
        body=manifest,
        content_type="application/apply-patch+yaml",
    )
    ours, _ = config_map("contended", owner="nksmesh")
    with pytest.raises(RefusedError) as caught:
        await objects.apply(ours, ref, dry_run=True, force=False)
    assert caught.value.reason == "Conflict"
    assert 'conflict with "helm"' in caught.value.detail
    assert (await objects.apply(ours, ref))["data"] == {"owner": "nksmesh"}
    await objects.delete(ref)


async def test_a_kind_that_is_not_served_does_not_exist(objects: Objects) -> None:
    ref = ObjectRef("nowhere.example/v1", "Thing", "x", NAMESPACE)
    assert await objects.get(ref) is None
    assert await objects.list("nowhere.example/v1", "Thing") == []
    assert await objects.list("v1", "Thing") == []
    assert not await objects.delete(ref)
    assert await objects.resource("v1", "Thing") is None
    for write in (objects.apply, objects.create, objects.replace, objects.merge):
        with pytest.raises(RefusedError, match="does not serve Thing"):
            await write({}, ref)


async def test_several_are_read_at_once_each_asked_once(objects: Objects) -> None:
    here, nowhere = ObjectRef("v1", "Namespace", "default"), ObjectRef("v1", "Namespace", "nowhere")
    found = await objects.get_all([here, nowhere, here], metadata_only=True)
    assert list(found) == [here, nowhere]
    assert found[nowhere] is None
    metadata = found[here]
    assert metadata is not None
    assert "spec" not in metadata


async def test_many_of_one_kind_are_one_list_of_metadata(api: Api, objects: Objects) -> None:
    made = [config_map(f"one-of-many-{number}", a="1") for number in range(10)]
    await asyncio.gather(*(objects.create(manifest, ref) for manifest, ref in made))
    wanted = [ref for _, ref in made] + [ObjectRef("v1", "ConfigMap", "none-of-many", NAMESPACE)]
    before = api.requests
    found = await objects.get_all(wanted, metadata_only=True)
    assert api.requests == before + 1
    assert list(found) == wanted
    assert [one["metadata"]["name"] if one else None for one in found.values()] == [ref.name for _, ref in made] + [
        None
    ]
    assert not any("data" in one for one in found.values() if one)
    whole = await objects.get_all(wanted)
    assert [one["data"] if one else None for one in whole.values()] == [{"a": "1"}] * 10 + [None]
    assert api.requests == before + 12


async def test_requests_that_wait_for_one_another_are_counted(api: Api, objects: Objects) -> None:
    ref = ObjectRef("v1", "Namespace", NAMESPACE)
    await asyncio.gather(*(objects.get(ref) for _ in range(5)))
    assert (api.requests, api.in_sequence) == (5, 1)  # and nothing was asked about what every API server serves
    await objects.get(ref)
    assert (api.requests, api.in_sequence) == (6, 2)


async def test_what_another_wrote_meanwhile_is_not_deleted(objects: Objects) -> None:
    manifest, ref = config_map("at-a-version", a="1")
    created = await objects.create(manifest, ref)
    merged = await objects.merge({"data": {"a": "2"}}, ref)
    with pytest.raises(RefusedError) as stale:
        await objects.delete(ref, version=created["metadata"]["resourceVersion"])
    assert stale.value.reason == "Conflict"
    assert await objects.delete(ref, version=merged["metadata"]["resourceVersion"])
    assert not await objects.delete(ref, version=merged["metadata"]["resourceVersion"])


async def test_lists_are_chosen_by_labels_and_fields(objects: Objects) -> None:
    for name in ("one", "two"):
        manifest, ref = config_map(name)
        await objects.apply({**manifest, "metadata": {"name": name, "labels": {"which": name, "of": "lists"}}}, ref)
    assert len(await objects.list("v1", "ConfigMap", NAMESPACE, labels="of=lists")) == 2
    (found,) = await objects.list("v1", "ConfigMap", labels="which in (one)")
    assert (found["kind"], found["metadata"]["name"]) == ("ConfigMap", "one")
    (found,) = await objects.list("v1", "ConfigMap", NAMESPACE, fields="metadata.name=two")
    assert found["metadata"]["labels"]["which"] == "two"
    await asyncio.gather(*(objects.delete(config_map(name)[1]) for name in ("one", "two")))


async def test_the_kinds_that_can_be_listed_in_a_namespace(objects: Objects) -> None:
    kinds, silent = await objects.kinds()
    assert silent == ()
    assert {("v1", "ConfigMap"), ("apps/v1", "Deployment")} <= {*kinds}
    assert not {("v1", "Namespace"), ("v1", "Binding"), ("v1", "Node")} & {*kinds}
    assert len({*kinds}) == len(kinds)
    assert silent == ()


async def test_an_aggregated_api_that_is_down_hides_no_other_kind(api: Api, objects: Objects) -> None:
    ref = ObjectRef("apiregistration.k8s.io/v1", "APIService", "v1beta1.metrics.k8s.io")
    spec = {
        "group": "metrics.k8s.io",
        "version": "v1beta1",
        "groupPriorityMinimum": 100,
        "versionPriority": 100,
        "insecureSkipTLSVerify": True,
        "service": {"name": "metrics-server", "namespace": "kube-system"},
    }
    await objects.apply({"apiVersion": ref.api_version, "kind": ref.kind, "metadata": {"name": ref.name}, "spec": spec}, ref)  # fmt: skip  # noqa: E501
    try:
        async with asyncio.timeout(30):
            while not (kinds := await Objects(api).kinds())[1]:  # noqa: ASYNC110 - no watch tells of it
                await asyncio.sleep(0.2)  # the aggregator takes an APIService up in its own time
        assert kinds[1] == ("metrics.k8s.io/v1beta1",)
        assert {("v1", "ConfigMap"), ("apps/v1", "Deployment")} <= {*kinds[0]}
    finally:
        await objects.delete(ref)


async def test_a_kind_that_only_an_older_version_has_is_listed_and_each_kind_once(api: Api, objects: Objects) -> None:
    def crd(plural: str, *versions: str) -> tuple[dict[str, object], ObjectRef]:
        name = f"{plural}.ages.tests.example"
        schema = {"openAPIV3Schema": {"type": "object"}}
        manifest: dict[str, object] = {
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": name},
            "spec": {
                "group": "ages.tests.example",
                "names": {"kind": plural.title(), "plural": plural},
                "scope": "Namespaced",
                "versions": [
                    {"name": api, "served": True, "storage": api == versions[0], "schema": schema} for api in versions
                ],
            },
        }  # fmt: skip
        return manifest, ObjectRef("apiextensions.k8s.io/v1", "CustomResourceDefinition", name)

    old, both = crd("olds", "v1beta1"), crd("boths", "v1", "v1beta1")
    await asyncio.gather(objects.apply(*old), objects.apply(*both))
    wanted = {("ages.tests.example/v1beta1", "Olds"), ("ages.tests.example/v1", "Boths")}
    try:
        async with asyncio.timeout(30):
            while not wanted <= set(kinds := (await Objects(api).kinds())[0]):  # noqa: ASYNC110 - no watch tells of it
                await asyncio.sleep(0.2)  # a group's versions are served one after the other, after its CRDs are there
        assert sorted(one for one in kinds if one[0].startswith("ages.")) == sorted(wanted)
    finally:
        await asyncio.gather(objects.delete(old[1]), objects.delete(both[1]))


async def test_a_new_crds_kind_is_known_after_it_was_forgotten(objects: Objects) -> None:
    crd = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "things.tests.example"},
        "spec": {
            "group": "tests.example",
            "names": {"kind": "Thing", "plural": "things"},
            "scope": "Namespaced",
            "versions": [
                {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": {"type": "object"}}}
            ],
        },
    }
    ref = ObjectRef("apiextensions.k8s.io/v1", "CustomResourceDefinition", "things.tests.example")
    assert await objects.resource("tests.example/v1", "Thing") is None
    await objects.apply(crd, ref)
    async with asyncio.timeout(10):
        while await objects.resource("tests.example/v1", "Thing") is None:
            await asyncio.sleep(0.05)  # discovery has no watch
            objects.forget("tests.example/v1")
    assert await objects.list("tests.example/v1", "Thing", NAMESPACE) == []
    await objects.delete(ref)


async def test_the_last_lines_of_a_container_that_crashed(sandbox: Sandbox) -> None:
    await sandbox.fail(Failure.CRASH, selector="app=crashing")
    async with sandbox.api() as api:
        await make_pod(api, pod("crashing"))
        await until_pod(api, "crashing", lambda item: waiting(item).get("reason") == "CrashLoopBackOff")
    async with await Api.connect(kubeconfig=sandbox.kubeconfig) as connected:
        objects = Objects(connected)
        lines = (await objects.log_tail(NAMESPACE, "crashing", "app", lines=2)).splitlines()
        assert 1 <= len(lines) <= 2
        assert await objects.log_tail(NAMESPACE, "crashing", "no-such-container", lines=2) == ""
        assert await objects.log_tail(NAMESPACE, "no-such-pod", "app", lines=2) == ""
    await sandbox.heal()


async def test_a_pod_that_has_said_nothing_has_no_last_lines(shared_sandbox: Sandbox, objects: Objects) -> None:
    async with shared_sandbox.api() as api:
        await make_pod(api, pod("silent"))
        await until_pod(api, "silent", ready)
    assert isinstance(await objects.log_tail(NAMESPACE, "silent", "app", lines=2), str)
    await objects.delete(ObjectRef("v1", "Pod", "silent", NAMESPACE))
