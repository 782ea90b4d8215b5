"""Istio revisions: what is handed over, moved and refused."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nksmesh.commands.canary.handover import hand_over_tags, retire_injector, validator_calls
from nksmesh.commands.canary.move import move, plan_move
from nksmesh.commands.canary.promote import check_default_tag
from nksmesh.commands.canary.start import LABELS_BEFORE, answers_of_canary
from nksmesh.commands.canary.status import status
from nksmesh.commands.tag import check_removal, list_tags
from nksmesh.domain.common.data import data_of
from nksmesh.domain.common.errors import ChartError, CheckError, ClusterError, ConfigError
from nksmesh.domain.kube.objects import Manifest, ObjectRef
from nksmesh.domain.mesh.mesh import Standing
from nksmesh.domain.mesh.record import Canary
from nksmesh.domain.plan.plan import Plan
from nksmesh.engine.scope import refuse_during_canary
from tests.unit.domain.meshes import BASE, INGRESS, ISTIOD, change, installed
from tests.unit.domain.meshes import mesh as mesh_of
from tests.unit.fakes.canaries import (
    LATER,
    NEW,
    WEBHOOKS,
    canary,
    deployment,
    kept,
    namespace,
    on_proxies,
    owner_of,
    pod,
    record,
    stored_names,
    webhook,
)
from tests.unit.fakes.cluster import FakeCluster, FakeHelm, Heard
from tests.unit.fakes.meshes import BUNDLE
from tests.unit.fakes.runtime import runtime_of


class TestHandover:
    """What leads to the default istiod changes hands."""

    async def test_a_tag_becomes_the_other_releases_and_leaves_the_first_ones_manifest(
        self, cluster: FakeCluster, helm: FakeHelm
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

    async def test_the_next_plan_compares_what_was_taken_out_of_a_manifest(
        self, mesh: FakeCluster, helm: FakeHelm
    ) -> None:
        mesh.storage.put(
            installed(ISTIOD, manifest=helm.text([webhook("istio-revision-tag-prod", ISTIOD, tag="prod")]))
        )
        await hand_over_tags(["other"], ISTIOD, NEW, mesh, helm)
        assert mesh.records.asked("write") == []
        await hand_over_tags(["prod"], ISTIOD, NEW, mesh, helm)
        written = {one.release: one.helm_revision for one in mesh.records.kept["istio-system"].releases}
        assert written == {BASE: 1, ISTIOD: 0, INGRESS: 1, NEW: 1}

    async def test_it_goes_back_though_no_manifest_had_it_yet(self, cluster: FakeCluster, helm: FakeHelm) -> None:
        cluster.storage.put(installed(LATER, manifest=helm.text([])))
        cluster.objects.put(webhook("istio-revision-tag-default", LATER, tag="default"))
        assert await hand_over_tags(["default"], LATER, NEW, cluster, helm) == ("default",)
        assert owner_of(cluster, "istio-revision-tag-default") == NEW.name
        assert await hand_over_tags(["default"], LATER, NEW, cluster, helm) == ()
        assert cluster.storage.asked("replace_manifest") == []

    async def test_the_injector_without_a_revision_retires(self, cluster: FakeCluster) -> None:
        cluster.objects.put(webhook("istio-sidecar-injector", ISTIOD))
        assert await retire_injector(NEW, cluster) is False
        assert await retire_injector(ISTIOD, cluster) is True
        assert await retire_injector(ISTIOD, cluster) is False

    async def test_somebody_elses_injector_stays(self, cluster: FakeCluster) -> None:
        cluster.objects.put(webhook("istio-sidecar-injector", replace(ISTIOD, name="other")))
        assert await retire_injector(ISTIOD, cluster) is False

    def test_the_validator_has_to_call_the_new_istiod_and_trust_it(self, cluster: FakeCluster) -> None:
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


class TestMoving:
    """Namespaces go to the canary and come back."""

    async def test_all_are_those_that_follow_the_meshs_own_istiod(self, mesh: FakeCluster, helm: FakeHelm) -> None:
        plan = await plan_move((), mesh, helm, "", everything=True, back=False)
        assert [(one.namespace, one.after) for one in plan.moves] == [
            ("shop", {"istio.io/rev": "1-22-8"}),
            ("pay", {"istio.io/rev": "1-22-8"}),
        ]
        assert [len(one.workloads) for one in plan.moves] == [1, 0]

    @pytest.mark.parametrize("name", ["off", "none"])
    async def test_one_that_follows_nobody_is_not_moved(self, mesh: FakeCluster, helm: FakeHelm, name: str) -> None:
        with pytest.raises(ConfigError, match="uses no istiod"):
            await plan_move([name], mesh, helm, "", everything=False, back=False)

    async def test_one_that_is_not_there_is_named(self, mesh: FakeCluster, helm: FakeHelm) -> None:
        with pytest.raises(ConfigError, match="'shopp'"):
            await plan_move(["shopp"], mesh, helm, "", everything=False, back=False)

    async def test_one_that_was_not_moved_does_not_come_back(self, mesh: FakeCluster, helm: FakeHelm) -> None:
        with pytest.raises(ConfigError, match="was not moved"):
            await plan_move(["shop"], mesh, helm, "", everything=False, back=True)

    async def test_nothing_moves_while_a_promotion_is_under_way(self, mesh: FakeCluster, helm: FakeHelm) -> None:
        mesh.records.kept = {"istio-system": record(canary(promoting=True))}
        with pytest.raises(ConfigError, match="is being promoted"):
            await plan_move(["shop"], mesh, helm, "", everything=False, back=False)

    async def test_without_a_canary_there_is_nowhere_to_go(self, mesh: FakeCluster, helm: FakeHelm) -> None:
        mesh.records.kept = {"istio-system": record()}
        with pytest.raises(ConfigError, match="no canary is installed"):
            await plan_move(["shop"], mesh, helm, "", everything=False, back=False)

    async def test_the_meshs_own_gateways_stay(self, mesh: FakeCluster, helm: FakeHelm) -> None:
        out = replace(INGRESS, name="edge", namespace="edge")
        known = record(canary())
        mesh.records.kept = {"istio-system": replace(known, releases=(*known.releases, kept(out)))}
        gateway = deployment("edge", "edge", "default")
        gateway[0]["metadata"]["annotations"] = {
            "meta.helm.sh/release-name": "edge",
            "meta.helm.sh/release-namespace": "edge",
        }
        for one in (*gateway, *deployment("app", "edge", "default")):
            mesh.objects.put(one)
        for name in ("edge", "istio-system"):
            mesh.objects.put(namespace(name, istio_injection="enabled"))
        plan = await plan_move((), mesh, helm, "", everything=True, back=False)
        assert {"edge", "istio-system"}.isdisjoint(one.namespace for one in plan.moves)
        assert [words.split()[1] for words in plan.passed_over] == ["edge", "istio-system"]
        with pytest.raises(ConfigError, match="the control plane's own"):
            await plan_move(["istio-system"], mesh, helm, "", everything=False, back=False)
        (shared,) = (await plan_move(["edge"], mesh, helm, "", everything=False, back=False)).moves
        assert [str(one) for one in shared.workloads] == ["Deployment edge/app"]

    @pytest.mark.parametrize("now", [None, canary(promoting=True), replace(canary(), release=LATER)])
    async def test_nothing_moves_to_a_canary_that_went_while_the_user_was_asked(
        self, mesh: FakeCluster, helm: FakeHelm, heard: Heard, now: Canary | None
    ) -> None:
        plan = await plan_move(["shop"], mesh, helm, "", everything=False, back=False)
        mesh.records.kept = {"istio-system": record(now)}
        with pytest.raises(ConfigError, match="canary"):
            await move(plan, runtime_of(mesh, listener=heard), back=False)
        assert mesh.objects.asked("merge") == []

    async def test_a_workload_that_came_while_the_user_was_asked_is_not_restarted(
        self, mesh: FakeCluster, helm: FakeHelm, heard: Heard
    ) -> None:
        plan = await plan_move(["shop"], mesh, helm, "", everything=False, back=False)
        on_proxies(mesh, *deployment("late", "shop", "default"))
        with pytest.raises(ClusterError, match="Deployment shop/late is restarted; nothing was changed"):
            await move(plan, runtime_of(mesh, listener=heard), back=False)
        assert mesh.objects.asked("merge") == []

    async def test_labels_from_before_are_kept_and_put_back(
        self, mesh: FakeCluster, helm: FakeHelm, heard: Heard
    ) -> None:
        on_proxies(mesh, pod("cart", "shop", "default"))

        def metadata() -> tuple[dict[str, str], dict[str, str]]:
            found = mesh.objects.stored[ObjectRef("v1", "Namespace", "shop")]["metadata"]
            return found["labels"], found["annotations"]

        there = await plan_move(["shop"], mesh, helm, "", everything=False, back=False)
        result = await move(there, runtime_of(mesh, listener=heard), back=False)
        assert result.moved == ("shop",)
        assert metadata() == ({"istio.io/rev": "1-22-8"}, {LABELS_BEFORE: '{"istio-injection": "enabled"}'})
        assert len(result.warnings) == 1  # a lone pod cannot be restarted: it is said
        back = await plan_move(["shop"], mesh, helm, "", everything=False, back=True)
        assert back.istio_revision == "default"
        await move(back, runtime_of(mesh, listener=heard), back=True)
        assert metadata() == ({"istio-injection": "enabled"}, {})
        assert [run.command for run in mesh.histories.kept["istio-system"].runs] == [
            "canary move shop",
            "canary move --back shop",
        ]

    async def test_an_annotation_that_cannot_be_read_is_named(self, mesh: FakeCluster, helm: FakeHelm) -> None:
        broken = {"metadata": {"annotations": {LABELS_BEFORE: "enabled"}}}
        await mesh.objects.merge(broken, ObjectRef("v1", "Namespace", "pay"))
        with pytest.raises(ConfigError, match="cannot be read"):
            await plan_move((), mesh, helm, "", everything=True, back=True)


async def test_status_tells_who_is_on_which(mesh: FakeCluster) -> None:
    told = await status(mesh, "")
    assert [(one.name, one.follows, one.moved) for one in told.namespaces] == [
        ("shop", "default", False),
        ("pay", "1-22-8", True),
    ]
    assert data_of(told)["canary"] == {"istio_revision": "1-22-8", "version": "1.22.8", "promoting": False}


async def test_once_the_default_has_moved_the_label_means_the_canary(mesh: FakeCluster) -> None:
    mesh.records.kept = {"istio-system": record(canary(promoting=True, tags=("default",)))}
    assert {one.follows for one in (await status(mesh, "")).namespaces} == {"1-22-8"}


async def test_without_a_record_there_is_nothing_to_say(cluster: FakeCluster) -> None:
    with pytest.raises(ConfigError, match="no mesh that nksmesh recorded") as refused:
        await status(cluster, "")
    assert "nksmesh adopt" in refused.value.hint


def test_a_canarys_values_are_the_meshs_own() -> None:
    before = record(default_revision="1-20-1", tags=("prod",))
    before = replace(before, answers=replace(before.answers, layers={"istiod": (), "istio-base": ()}))
    answers = answers_of_canary(before, "1.22.8")
    assert sorted(answers.layers) == ["istio-base", "istiod-1-22-8"]
    # the validator stays with the old istiod, and so do its tags
    assert answers.standing == Standing(istio_revision="1-22-8", default_revision="1-20-1")


def test_a_canary_is_not_named_as_the_meshs_own_istiod() -> None:
    with pytest.raises(ConfigError, match="is already named 1-22-8") as refused:
        answers_of_canary(record(istio_revision="1-22-8"), "1.22.8")
    assert "upgrade --to 1.22.8" in refused.value.hint


def test_a_canary_is_not_named_as_a_tag() -> None:
    with pytest.raises(ConfigError, match="already a revision tag") as refused:
        answers_of_canary(record(tags=("1-22-8",)), "1.22.8")
    assert refused.value.hint == "Run nksmesh tag remove 1-22-8 first."


@pytest.mark.parametrize(("promoting", "words"), [(False, "a canary is on"), (True, "is being promoted")])
def test_install_and_upgrade_leave_a_canary_alone(*, promoting: bool, words: str) -> None:
    with pytest.raises(ConfigError, match=words) as refused:
        refuse_during_canary(record(canary(promoting=promoting)))
    assert "canary abort" in refused.value.hint
    refuse_during_canary(record())
    refuse_during_canary(None)


class TestTags:
    """Revision tags that may not go, or are nobody's."""

    @pytest.fixture
    def tagged(self, mesh: FakeCluster) -> FakeCluster:
        mesh.records.kept = {"istio-system": record(canary(tags=("next",)), tags=("prod", "default"))}
        mesh.objects.put(webhook("istio-revision-tag-prod", ISTIOD, tag="prod", rev="default"))
        mesh.objects.put(namespace("till", istio_rev="prod"))
        return mesh

    async def test_they_are_listed_with_who_carries_them(self, tagged: FakeCluster) -> None:
        (tag,) = (await list_tags(tagged, "")).tags
        assert (tag.name, tag.istio_revision, tag.release, tag.namespaces) == ("prod", "default", "istiod", ("till",))

    async def test_one_that_is_carried_stays(self, tagged: FakeCluster) -> None:
        with pytest.raises(CheckError, match="1 namespace uses the tag prod") as refused:
            await check_removal("prod", tagged, "", yes=False)
        assert refused.value.detail == "till"
        assert (await check_removal("prod", tagged, "", yes=True)).namespaces == ("till",)
        assert (await check_removal("next", tagged, "", yes=False)).namespaces == ()

    @pytest.mark.parametrize(("name", "words"), [("default", "is not removed"), ("other", "there is no tag 'other'")])
    async def test_the_default_and_what_is_not_ours_stay(self, tagged: FakeCluster, name: str, words: str) -> None:
        with pytest.raises(ConfigError, match=words):
            await check_removal(name, tagged, "", yes=True)


@pytest.mark.parametrize("tags", [[], ["prod"]])
def test_the_old_injector_stays_where_the_new_istiod_has_no_default_tag(tags: list[str]) -> None:
    manifests = [webhook(f"istio-revision-tag-{tag}", NEW, tag=tag) for tag in tags]

    def plan(*rendered: Manifest) -> Plan:
        return Plan(mesh=mesh_of(), steps=(), releases={NEW.name: replace(change(NEW), manifests=rendered)})

    with pytest.raises(ChartError, match="renders no tag default"):
        check_default_tag(plan(*manifests), NEW)
    check_default_tag(plan(*manifests, webhook("istio-revision-tag-default", NEW, tag="default")), NEW)
