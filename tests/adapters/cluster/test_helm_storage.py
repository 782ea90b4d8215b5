from __future__ import annotations

import base64
import gzip
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from nksmesh.adapters.cluster.helm_storage import HelmStorage
from nksmesh.adapters.cluster.objects import Objects
from nksmesh.domain.charts.releases import Release
from nksmesh.domain.common.errors import ClusterError
from nksmesh.domain.kube.objects import ObjectRef

pytestmark = pytest.mark.cluster

NAMESPACE = "default"
RELEASE = Release(component="istiod", name="stored", namespace=NAMESPACE)
KEY = (NAMESPACE, "stored")


def packed(name: str, revision: int, status: str) -> str:
    stored = {
        "name": name,
        "namespace": NAMESPACE,
        "version": revision,
        "info": {"status": status, "last_deployed": "2026-01-01T00:00:00Z"},
        "chart": {"metadata": {"name": "istiod", "version": "1.20.0"}},
        "config": {"a": 1},
        "manifest": "kind: A",
        "hooks": ["kept as they are"],
    }
    return base64.b64encode(base64.b64encode(gzip.compress(json.dumps(stored).encode()))).decode()


class Kept:
    """Puts records there as Helm does."""

    def __init__(self, objects: Objects) -> None:
        self.objects = objects
        self.refs: list[ObjectRef] = []

    async def __call__(self, name: str, revision: int, status: str, *, content: str = "", **labels: str) -> ObjectRef:
        ref = ObjectRef("v1", "Secret", f"sh.helm.release.v1.{name}.v{revision}", NAMESPACE)
        said = {"owner": "helm", "name": name, "status": status, "version": str(revision), **labels}
        manifest: dict[str, Any] = {
            "apiVersion": "v1",
            "kind": "Secret",
            "type": "helm.sh/release.v1",
            "metadata": {"name": ref.name, "labels": said},
            "data": {"release": content or packed(name, revision, status)},
        }
        await self.objects.create(manifest, ref)
        self.refs.append(ref)
        return ref


@pytest.fixture
async def keep(objects: Objects) -> AsyncIterator[Kept]:
    kept = Kept(objects)
    yield kept
    for ref in kept.refs:
        await objects.delete(ref)


async def test_the_newest_revision_counts(objects: Objects, keep: Kept) -> None:
    for revision, status in ((1, "superseded"), (9, "failed"), (10, "deployed")):
        await keep("stored", revision, status)
    storage = HelmStorage(objects)
    assert (await storage.installed([RELEASE]))[KEY].helm_revision == 10
    assert (await storage.installed())[KEY].status == "deployed"
    assert KEY not in await storage.installed(namespace="kube-system")
    assert await storage.revisions([RELEASE]) == {KEY: (10, "deployed")}


async def test_a_release_that_was_uninstalled_with_its_history_kept_is_not_there(objects: Objects, keep: Kept) -> None:
    await keep("stored", 1, "failed")
    await keep("stored", 2, "uninstalled")
    storage = HelmStorage(objects)
    assert await storage.installed([RELEASE]) == {}
    assert KEY not in await storage.installed()
    assert await storage.revisions([RELEASE]) == {}


async def test_a_record_that_cannot_be_read_is_an_error_or_is_named(objects: Objects, keep: Kept) -> None:
    await keep("stored", 1, "deployed")
    await keep("broken", 3, "deployed", content=base64.b64encode(b"plain").decode())
    await keep("labelled", 1, "deployed", version="one")
    storage = HelmStorage(objects)
    with pytest.raises(ClusterError, match=r"default/sh\.helm\.release\.v1\.broken\.v3 cannot be read"):
        await storage.installed()
    passed_over: list[str] = []
    assert KEY in await storage.installed(unreadable=passed_over)
    assert passed_over == ["Secret default/sh.helm.release.v1.broken.v3"]


async def test_a_manifest_is_replaced_and_nothing_else(objects: Objects, keep: Kept) -> None:
    ref = await keep("stored", 4, "deployed")
    before = (await objects.get(ref) or {})["metadata"]
    storage = HelmStorage(objects)
    found = (await storage.installed([RELEASE]))[KEY]
    await storage.replace_manifest(found, "kind: B")
    after = await objects.get(ref) or {}
    assert after["metadata"]["labels"] == before["labels"]
    stored = json.loads(gzip.decompress(base64.b64decode(base64.b64decode(after["data"]["release"]))))
    assert (stored["manifest"], stored["hooks"]) == ("kind: B", ["kept as they are"])
    assert (await storage.installed([RELEASE]))[KEY].manifest == "kind: B"


async def test_what_stands_is_what_was_deployed_not_what_failed_since_or_was_left_half_way(
    objects: Objects, keep: Kept
) -> None:
    storage = HelmStorage(objects)
    assert await storage.deployed([RELEASE]) == {}
    await keep("stored", 1, "superseded")
    await keep("stored", 2, "failed")
    assert await storage.deployed([RELEASE]) == {KEY: 2}
    await keep("stored", 9, "deployed")
    await keep("stored", 10, "failed")
    await keep("stored", 11, "pending-rollback")
    assert await storage.deployed([RELEASE]) == {KEY: 9}
    await keep("began", 1, "pending-install")
    assert await storage.deployed([Release(component="istiod", name="began", namespace=NAMESPACE)]) == {}


async def test_older_revisions_are_read_where_helm_still_has_them(objects: Objects, keep: Kept) -> None:
    for revision, status in ((1, "superseded"), (2, "deployed")):
        await keep("stored", revision, status)
    gone = Release(component="gateway", name="gone", namespace=NAMESPACE)
    found = await HelmStorage(objects).at({RELEASE: 1, gone: 1})
    assert list(found) == [RELEASE]
    assert (found[RELEASE].helm_revision, found[RELEASE].status) == (1, "superseded")
    assert await HelmStorage(objects).at({RELEASE: 3}) == {}


async def test_a_record_in_another_namespace_is_known_with_its_namespace(objects: Objects, keep: Kept) -> None:
    await keep("stored", 3, "superseded")
    ref = await keep("stored", 4, "deployed")
    await keep("broken", 1, "deployed", content=base64.b64encode(b"plain").decode())
    storage = HelmStorage(objects)
    here = (await storage.installed([RELEASE]))[KEY]
    assert (here.storage_namespace, here.elsewhere, here.record["name"]) == (NAMESPACE, False, ref.name)
    assert await storage.elsewhere([RELEASE]) == {}
    stored = json.loads(gzip.decompress(base64.b64decode(base64.b64decode(packed("stored", 4, "deployed")))))
    content = gzip.compress(json.dumps({**stored, "namespace": "istio-system"}).encode())
    await objects.merge({"data": {"release": base64.b64encode(base64.b64encode(content)).decode()}}, ref)
    release = Release(component="istiod", name="stored", namespace="istio-system")
    broken = Release(component="istiod", name="broken", namespace="istio-system")
    assert await storage.installed([release]) == {}
    found = await storage.elsewhere([release, broken])
    assert {
        key: (installed.storage_namespace, installed.helm_revision, installed.elsewhere)
        for key, installed in found.items()
    } == {("istio-system", "stored"): (NAMESPACE, 4, True)}


async def test_releases_under_the_other_driver_are_named(
    objects: Objects, keep: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    await keep("stored", 1, "deployed")
    storage = HelmStorage(objects)
    assert (storage.driver, await storage.under_other_driver([RELEASE])) == ("secret", frozenset())
    monkeypatch.setenv("HELM_DRIVER", "configmaps")
    storage = HelmStorage(objects)
    assert storage.driver == "configmap"
    assert await storage.installed([RELEASE]) == {}
    assert await storage.under_other_driver([RELEASE]) == frozenset({KEY})
