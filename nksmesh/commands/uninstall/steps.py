"""The steps of an uninstall: releases and what would be in their way, then what Helm leaves, and empty namespaces."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Final

from nksmesh.commands.canary.steps import MOVES_STEP, MovesBackStep
from nksmesh.commands.uninstall.namespace_contents import Contents, NamespaceReader
from nksmesh.commands.uninstall.plan import UninstallPlan
from nksmesh.domain.charts.releases import COMPONENTS, ISTIOD, titles_of
from nksmesh.domain.common.events import Event, EventKind
from nksmesh.domain.common.spelling import counted
from nksmesh.domain.kube.objects import ObjectRef
from nksmesh.domain.plan.plan import Action, Need, Phase, RemovalStep, Step
from nksmesh.domain.uninstall.leftovers import Labelled, Leftover, in_words, labels_in_words
from nksmesh.engine import observation
from nksmesh.engine.executor.registry import handles
from nksmesh.engine.executor.removal_proof import await_end, await_gone, delete_all
from nksmesh.engine.executor.step_context import StepContext

UNINSTALL_STEP: Final = "uninstall"
WEBHOOKS_STEP: Final = "webhooks"
LEFTOVERS_STEP: Final = "leftovers"
LABELS_STEP: Final = "labels"
NAMESPACES_STEP: Final = "namespaces"


@dataclass(frozen=True, kw_only=True)
class WebhooksStep(Step):
    """The webhooks of no release go, before what they call does: after it they would refuse everything."""

    quiet: ClassVar[bool] = True

    webhooks: tuple[ObjectRef, ...]


@dataclass(frozen=True, kw_only=True)
class LeftoversStep(Step):
    """What the releases leave goes, the CRDs among it with all their objects."""

    leftovers: tuple[Leftover, ...]


@dataclass(frozen=True, kw_only=True)
class LabelsStep(Step):
    """Istio's own labels come off namespaces, and nothing else."""

    quiet: ClassVar[bool] = True

    labelled: tuple[Labelled, ...]


@dataclass(frozen=True, kw_only=True)
class NamespacesStep(Step):
    """The namespaces that the plan found empty, and that are so still, go.

    Attributes:
        planned: The mesh's namespaces, and what the plan found in each.
        kept: Takes in those that stay, and why.
    """

    quiet: ClassVar[bool] = True

    reader: NamespaceReader = field(repr=False)
    planned: Mapping[str, Contents]
    kept: dict[str, Contents]


def removal_steps(plan: UninstallPlan) -> list[Step]:
    """Order what goes: gateways at once, then the istiods, then base, without a pause before it, then what they leave.

    Without istiod, base's validating webhook refuses every Istio object (istio-facts 5). So what is still being
    deleted, as a LoadBalancer's Service is until the cloud let it go, holds nobody up.
    """
    steps: list[Step] = []
    releases = plan.installation.releases
    titles = titles_of(releases, WEBHOOKS_STEP, LEFTOVERS_STEP, LABELS_STEP, NAMESPACES_STEP)
    record = plan.installation.record
    for component in reversed(COMPONENTS.values()):
        if component is ISTIOD and not plan.istio_revision and record is not None and record.canary is not None:
            steps.append(MovesBackStep(name=MOVES_STEP, action=Action.APPLY, needs=_written(steps)))
        if component is ISTIOD and plan.webhooks:
            needs = _written(steps)
            steps.append(WebhooksStep(name=WEBHOOKS_STEP, action=Action.REMOVE, needs=needs, webhooks=plan.webhooks))
        needs = _written(steps)
        steps += [
            RemovalStep(
                name=titles[release],
                action=Action.REMOVE,
                needs=needs,
                release=release,
                stored=stored,
            )
            for release, stored in releases.items()
            if release.component == component.name
        ]
    if plan.going:
        needs = tuple(Need(step.name) for step in steps)
        steps.append(LeftoversStep(name=LEFTOVERS_STEP, action=Action.REMOVE, needs=needs, leftovers=plan.going))
    return steps


def purge_steps(plan: UninstallPlan, steps: list[Step], reader: NamespaceReader, kept: dict[str, Contents]) -> None:
    """Add what a purge takes when the releases are gone: labels, and namespaces that hold nothing else.

    It takes them beside the leftovers: Kubernetes begins with what a namespace holds 5 s after its deletion was asked
    for (namespaceDeletionGracePeriod of its namespace controller), and then takes leftovers, too.

    Args:
        steps: The steps that remove the releases; the purge's are added.
        kept: Takes in the namespaces that stay, and why.
    """

    def needs() -> tuple[Need, ...]:
        return tuple(Need(step.name) for step in steps if not isinstance(step, LeftoversStep))

    if plan.losing_labels:
        labelled = plan.losing_labels
        steps.append(LabelsStep(name=LABELS_STEP, action=Action.REMOVE, needs=needs(), labelled=labelled))
    steps.append(
        NamespacesStep(
            name=NAMESPACES_STEP,
            action=Action.REMOVE,
            needs=needs(),
            reader=reader,
            planned=plan.namespaces,
            kept=kept,
        )
    )


@handles(WebhooksStep)
async def remove_webhooks(work: StepContext[WebhooksStep]) -> str:
    """Remove the webhooks, and prove that they are gone."""
    refs, listener = work.step.webhooks, work.runtime.listener
    await delete_all(refs, work.cluster, step=UNINSTALL_STEP, timeout=work.runtime.waits.component, listener=listener)
    for ref in refs:
        work.progress.removed.append(str(ref))
        listener(Event(step=str(ref), kind=EventKind.DONE, message="removed"))
    return ""


@handles(LeftoversStep)
async def remove_leftovers(work: StepContext[LeftoversStep]) -> str:
    """Remove the leftovers, and wait until they are gone."""
    cluster, leftovers = work.cluster, work.step.leftovers
    refs = [leftover.ref for leftover in leftovers]
    crds = [ref for ref in refs if ref.kind == observation.CRDS.kind]
    if crds:
        await cluster.live.follow_from_now(observation.CRDS)
    for ref, found in (await cluster.objects.get_all(crds, metadata_only=True)).items():
        if found is not None:
            cluster.live.put(observation.CRDS, {**found, "kind": ref.kind})
    there = await asyncio.gather(*(cluster.objects.delete(ref) for ref in refs))
    going = [ref for ref, deleted in zip(refs, there, strict=True) if deleted and ref in crds]
    step, timeout, listener = work.step.name, work.runtime.waits.component, work.runtime.listener
    await await_end(going, cluster, step=step, timeout=timeout, listener=listener, followed=True)
    others = [ref for ref in refs if ref not in crds]
    again = await await_gone(others, cluster, step=step, timeout=timeout, listener=listener)
    work.progress.removed += in_words(leftover for leftover in leftovers if leftover.ref not in again)
    work.progress.staying += [f"{ref} (it was deleted, and exists again)" for ref in again]
    return f"removed {len(refs) - len(again)}"


@handles(LabelsStep)
async def remove_labels(work: StepContext[LabelsStep]) -> str:
    """Take the labels off."""
    objects, labelled = work.cluster.objects, work.step.labelled
    for namespace in labelled:
        ref = ObjectRef("v1", "Namespace", namespace.namespace)
        if await objects.get(ref, metadata_only=True) is not None:
            await objects.merge({"metadata": {"labels": dict.fromkeys(namespace.labels)}}, ref)
    work.progress.removed += labels_in_words(labelled)
    work.tell(EventKind.DONE, f"removed from {counted(len(labelled), 'namespace')}")
    return ""


@handles(NamespacesStep)
async def remove_namespaces(work: StepContext[NamespacesStep]) -> str:
    """Look into each namespace once more, remove what holds nothing, and wait until it is gone."""
    planned, kept, listener = work.step.planned, work.step.kept, work.runtime.listener
    kept |= {name: contents for name, contents in planned.items() if not contents.empty}
    for name in [name for name in planned if name not in kept]:
        survey = await work.step.reader.survey([name], planned)
        if not survey.namespaces[name].empty:
            kept[name] = survey.namespaces[name]
            continue
        step, ref = f"namespace {name}", ObjectRef("v1", "Namespace", name)
        listener(Event(step=step, kind=EventKind.STARTED, message="remove"))
        await work.cluster.objects.delete(ref)
        await await_end([ref], work.cluster, step=step, timeout=work.runtime.waits.component, listener=listener)
        work.progress.removed.append(step)
        listener(Event(step=step, kind=EventKind.DONE, message="removed"))
    return ""


def _written(steps: Iterable[Step]) -> tuple[Need, ...]:
    return tuple(Need(step.name, Phase.WRITTEN) for step in steps)
