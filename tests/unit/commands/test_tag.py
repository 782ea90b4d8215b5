"""Revision tags that may not go, or are nobody's."""

from __future__ import annotations

import pytest

from nksmesh.commands.tag import check_removal, check_target, list_tags
from nksmesh.domain.common.errors import CheckError, ConfigError
from tests.unit.domain.meshes import ISTIOD
from tests.unit.fakes.canaries import canary, furnish, namespace, record, webhook
from tests.unit.fakes.cluster import FakeCluster


@pytest.fixture
def tagged(cluster: FakeCluster) -> FakeCluster:
    mesh = furnish(cluster)
    mesh.records.kept = {"istio-system": record(canary(tags=("next",)), tags=("prod", "default"))}
    mesh.objects.put(webhook("istio-revision-tag-prod", ISTIOD, tag="prod", rev="default"))
    mesh.objects.put(namespace("till", istio_rev="prod"))
    return mesh


async def test_they_are_listed_with_who_carries_them(tagged: FakeCluster) -> None:
    (tag,) = (await list_tags(tagged, "")).tags
    assert (tag.name, tag.istio_revision, tag.release, tag.namespaces) == ("prod", "default", "istiod", ("till",))


async def test_one_that_is_carried_stays(tagged: FakeCluster) -> None:
    with pytest.raises(CheckError, match="1 namespace uses the tag prod") as refused:
        await check_removal("prod", tagged, "", yes=False)
    assert (refused.value.detail, refused.value.exit_code) == ("till", 7)
    assert (await check_removal("prod", tagged, "", yes=True)).namespaces == ("till",)
    assert (await check_removal("next", tagged, "", yes=False)).namespaces == ()


@pytest.mark.parametrize(
    ("name", "words"), [("default", "cannot be removed"), ("other", "this mesh has no tag 'other'")]
)
async def test_the_default_and_what_is_not_ours_stay(tagged: FakeCluster, name: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        await check_removal(name, tagged, "", yes=True)


@pytest.mark.parametrize(
    ("name", "istio_revision", "rules"),
    [
        ("prod", "1-22-8", []),
        ("default", "1-22-8", ["tag.default"]),
        ("1-22-8", "default", ["tag.named-as-revision"]),
        ("prod", "1-99-0", ["tag.missing-istiod"]),
        ("default", "1-99-0", ["tag.default", "tag.missing-istiod"]),
        ("1-22-8", "1-99-0", ["tag.named-as-revision", "tag.missing-istiod"]),
    ],
)
def test_every_reason_why_a_tag_may_not_point_to_an_istiod_is_named(
    name: str, istio_revision: str, rules: list[str]
) -> None:
    assert [finding.id for finding in check_target(name, istio_revision, ["default", "1-22-8"])] == rules


async def test_every_reason_why_a_tag_may_not_go_is_named(tagged: FakeCluster) -> None:
    tagged.records.kept = {"istio-system": record(canary(tags=("next",)), tags=("prod",))}
    with pytest.raises(ConfigError, match="has no tag 'default'; the tag default cannot be removed"):
        await check_removal("default", tagged, "", yes=True)
