"""What leads to the default istiod changes hands."""

from __future__ import annotations

from dataclasses import replace

from nksmesh.commands.canary.handover import hand_over_tags, retire_injector, validator_calls
from tests.unit.domain.meshes import BASE, INGRESS, ISTIOD, installed
from tests.unit.fakes.canaries import LATER, NEW, WEBHOOKS, owner_of, stored_names, webhook
from tests.unit.fakes.cluster import FakeCluster, FakeHelm
from tests.unit.fakes.meshes import BUNDLE


async def test_a_tag_becomes_the_other_releases_and_leaves_the_first_ones_manifest(
    cluster: FakeCluster, helm: FakeHelm
) -> None:
    tags = [webhook(f"istio-revision-tag-{tag}", NEW, tag=tag) for tag in ("default", "prod")]
    own = webhook("istio-sidecar-injector-1-22-8", NEW)
    cluster.storage.put(installed(NEW, manifest=helm.text([*tags, own])))
    for one in (*tags, own):
        cluster.objects.put(one)
    assert await hand_over_tags(["default"], NEW, LATER, cluster, helm) == ("default",)
    assert owner_of(cluster, "istio-revision-tag-default") == LATER.name
    assert owner_of(cluster, "istio-revision-tag-prod") == NEW.name
    # Helm would remove it with the old release otherwise, and with it everybody's injector
    assert stored_names(cluster, NEW) == ["istio-revision-tag-prod", "istio-sidecar-injector-1-22-8"]


async def test_the_next_plan_compares_what_was_taken_out_of_a_manifest(mesh: FakeCluster, helm: FakeHelm) -> None:
    mesh.storage.put(installed(ISTIOD, manifest=helm.text([webhook("istio-revision-tag-prod", ISTIOD, tag="prod")])))
    await hand_over_tags(["other"], ISTIOD, NEW, mesh, helm)
    assert mesh.records.asked("write") == []
    await hand_over_tags(["prod"], ISTIOD, NEW, mesh, helm)
    written = {recorded.release: recorded.helm_revision for recorded in mesh.records.kept["istio-system"].releases}
    assert written == {BASE: 1, ISTIOD: 0, INGRESS: 1, NEW: 1}


async def test_it_goes_back_though_no_manifest_had_it_yet(cluster: FakeCluster, helm: FakeHelm) -> None:
    cluster.storage.put(installed(LATER, manifest=helm.text([])))
    cluster.objects.put(webhook("istio-revision-tag-default", LATER, tag="default"))
    assert await hand_over_tags(["default"], LATER, NEW, cluster, helm) == ("default",)
    assert owner_of(cluster, "istio-revision-tag-default") == NEW.name
    assert await hand_over_tags(["default"], LATER, NEW, cluster, helm) == ()
    assert cluster.storage.asked("replace_manifest") == []


async def test_the_injector_without_a_revision_retires(cluster: FakeCluster) -> None:
    cluster.objects.put(webhook("istio-sidecar-injector", ISTIOD))
    assert await retire_injector(NEW, cluster) is False
    assert await retire_injector(ISTIOD, cluster) is True
    assert await retire_injector(ISTIOD, cluster) is False


async def test_somebody_elses_injector_stays(cluster: FakeCluster) -> None:
    cluster.objects.put(webhook("istio-sidecar-injector", replace(ISTIOD, name="other")))
    assert await retire_injector(ISTIOD, cluster) is False


def test_the_validator_has_to_call_the_new_istiod_and_trust_it(cluster: FakeCluster) -> None:
    def shown(service: str, bundle: str) -> str:
        hook = {"clientConfig": {"service": {"name": service}, "caBundle": bundle}}
        metadata = {"name": "istiod-default-validator"}
        kind = "ValidatingWebhookConfiguration"
        cluster.live.show({"apiVersion": WEBHOOKS, "kind": kind, "metadata": metadata, "webhooks": [hook]})
        return validator_calls(cluster.live, NEW).message

    assert validator_calls(cluster.live, NEW).ready
    assert shown("istiod", BUNDLE) == "istiod-default-validator to call istiod-1-22-8"
    assert shown("istiod-1-22-8", "") == "istiod to set the caBundle of istiod-default-validator"
    assert shown("istiod-1-22-8", BUNDLE) == "istiod-default-validator trusts istiod"
