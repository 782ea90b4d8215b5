"""Dry runs of what a plan would change: what is sent, when nothing is, and that a failure stops every writer."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nksmesh.domain.common.errors import CheckError, RefusedError, UnreachableError
from nksmesh.domain.common.findings import Level
from nksmesh.domain.kube.objects import Manifest
from nksmesh.domain.plan.plan import ReleaseChange
from nksmesh.engine.dry_runs import dry_run_changes
from tests.unit.commands.test_rollback import OTHER, Here
from tests.unit.domain.meshes import ISTIOD, change, installed
from tests.unit.fakes.cluster import FakeCluster, FakeHelm, Heard
from tests.unit.fakes.meshes import NAMESPACE, deployment
from tests.unit.fakes.world import AGAIN

LABELLED: Manifest = {**deployment("istiod"), "metadata": {"name": "istiod", "labels": {"istio": "pilot"}}}
"""What the chart renders now; Helm has applied it without the label."""
WRITES = ("apply", "merge", "create", "delete")
IMMUTABLE = RefusedError(
    "refused",
    hint="",
    status=422,
    reason="Invalid",
    detail="invalid",
    causes=[("spec.selector", "Invalid value: v1.LabelSelector{}: field is immutable")],
)
FORBIDDEN = RefusedError("no", hint="", status=403, reason="Forbidden", detail="may not patch")


@pytest.fixture
async def here(cluster: FakeCluster, heard: Heard) -> Here:
    """A mesh whose istiod the chart renders otherwise now."""
    here = Here(cluster, heard)
    await here.install()
    await here.install(AGAIN)
    assert cluster.objects.asked("ask") == []
    here.helm.renders[ISTIOD.name] = [LABELLED, *here.helm.renders[ISTIOD.name][1:]]
    return here


def changed(**fields: object) -> ReleaseChange:
    before = installed(ISTIOD, manifest=FakeHelm.text([deployment("istiod")]), **fields)
    return change(ISTIOD, manifests=[LABELLED], installed=before, reasons=["values change"])


async def test_nothing_is_sent_for_what_is_new_or_stays(cluster: FakeCluster) -> None:
    same = replace(changed(), manifests=(deployment("istiod"),))
    fresh, kept = replace(changed(), installed=None), replace(changed(), reasons=())
    for one in (same, fresh, kept):
        assert await dry_run_changes([one], cluster, FakeHelm()) == ()
    assert cluster.objects.calls == []


async def test_what_changes_is_asked_as_helm_writes_it(cluster: FakeCluster) -> None:
    cluster.objects.put(deployment("istiod"), NAMESPACE)
    assert await dry_run_changes([changed()], cluster, FakeHelm()) == ()
    assert cluster.objects.asked("ask") == [f"Deployment {NAMESPACE}/istiod as helm"]
    assert cluster.objects.asked("merge") == []


async def test_after_a_failed_run_the_revision_that_is_deployed_is_what_helm_compares_with(
    cluster: FakeCluster,
) -> None:
    after = FakeHelm.text([LABELLED])
    failed = changed(status="failed", helm_revision=2, last_deployed=FakeHelm.text([deployment("istiod")]))
    failed = replace(failed, installed=replace(failed.installed or installed(ISTIOD), manifest=after))
    cluster.objects.fails["ask"] = IMMUTABLE
    (found,) = await dry_run_changes([failed], cluster, FakeHelm())
    assert found.level is Level.FAILURE


async def test_what_is_forbidden_is_a_note_and_no_answer_is_an_error(cluster: FakeCluster) -> None:
    cluster.objects.fails["ask"] = FORBIDDEN
    (found,) = await dry_run_changes([changed()], cluster, FakeHelm())
    assert (found.level, found.id) == (Level.NOTE, "kube.dry-run-refused")
    for failure in (
        UnreachableError("nothing answers", hint=""),
        RefusedError("no", hint="", status=401, reason="Unauthorized"),
    ):
        cluster.objects.fails["ask"] = failure
        with pytest.raises(type(failure)):
            await dry_run_changes([changed()], cluster, FakeHelm())


async def test_install_and_plan_refuse_before_anything_is_written(here: Here) -> None:
    objects = here.cluster.objects
    objects.fails["ask"] = IMMUTABLE
    before, written = len([call for call in objects.calls if call[0] in WRITES]), list(here.helm.finished)
    for run in (here.install, here.preview):
        with pytest.raises(CheckError, match=r"spec\.selector: field is immutable") as caught:
            await run(OTHER)
        assert "delete deployment istiod" in caught.value.hint
    assert len([call for call in objects.calls if call[0] in WRITES]) == before
    assert here.helm.finished == written
    objects.fails["ask"] = FORBIDDEN
    plan = (await here.preview(OTHER)).plan
    assert [(finding.level, finding.subject) for finding in plan.findings if finding.id == "kube.dry-run-refused"] == [
        (Level.NOTE, f"Deployment {NAMESPACE}/istiod")
    ]


async def test_a_rollback_refuses_as_well(here: Here) -> None:
    await here.set()
    asked = len(here.cluster.objects.asked("ask"))
    assert (await here.plan()).plan.changes
    assert len(here.cluster.objects.asked("ask")) == asked + 1
    here.cluster.objects.fails["ask"] = IMMUTABLE
    with pytest.raises(CheckError, match="field is immutable"):
        await here.plan()
