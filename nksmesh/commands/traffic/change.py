"""``nksmesh traffic apply``, ``shift`` and ``reset``: what recipes come to, printed for a repository or written.

What stands on a Service is read back from the annotations of its objects, so a second recipe adds to the first, and
the printed YAML is always the whole of it, whoever writes it in the end.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from nksmesh.commands.traffic.steps import own_part, steps_of
from nksmesh.domain.common.data import HIDDEN
from nksmesh.domain.common.errors import ConfigError, MeshError
from nksmesh.domain.common.findings import Finding, Level, has_failure, refuse_failures, warnings_of
from nksmesh.domain.common.spelling import perhaps
from nksmesh.domain.kube.objects import Manifest, ObjectRef, ref_of
from nksmesh.domain.plan.diff import ObjectDiff, diff_manifests
from nksmesh.domain.plan.plan import ObjectStep
from nksmesh.domain.traffic.callers import (
    allowed_by,
    allows_already,
    callers_among,
    calls,
    check_allowed,
    check_plain_text,
    turns_strict,
)
from nksmesh.domain.traffic.objects import Subject, make_objects
from nksmesh.domain.traffic.placeholders import fill
from nksmesh.domain.traffic.recipes import NAMESPACE, Applied, Recipe, applied_to, with_applied
from nksmesh.domain.traffic.rules import (
    check_gateways,
    check_owners,
    check_place,
    check_recipes,
    check_rivals,
    left_out,
)
from nksmesh.domain.traffic.surroundings import Surroundings
from nksmesh.engine.agreement import agreed
from nksmesh.engine.executor.executor import Executor
from nksmesh.engine.executor.step_context import Progress
from nksmesh.engine.runtime import Runtime
from nksmesh.engine.traffic import Proxies, read_peers, read_proxies, read_surroundings


@dataclass(frozen=True, kw_only=True)
class Order:
    """What was asked for.

    Attributes:
        service: The Service's name; ``*`` for the namespace.
        new: The recipe to apply; None to reset.
        reset: The recipe to take away; empty for all.
        write: It is written to the cluster; else it is printed.
    """

    service: str
    namespace: str
    new: Applied | None = None
    reset: str = ""
    write: bool = False


@dataclass(frozen=True, kw_only=True)
class TrafficPlan:
    """What recipes come to on one subject.

    Attributes:
        recipes: All that stand on it afterwards.
        objects: The objects they make.
        removed: Objects that no recipe makes any more.
        diff: How each object changes.
        effects: How the effect of the new recipe is seen.
    """

    more: ClassVar[tuple[str, str]] = ("traffic would now change", "changed")

    subject: Subject = field(metadata=HIDDEN)
    write: bool
    recipes: tuple[Applied, ...]
    objects: tuple[Manifest, ...] = field(repr=False)
    removed: tuple[ObjectRef, ...] = ()
    diff: tuple[ObjectDiff, ...] = ()
    effects: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()
    steps: tuple[ObjectStep, ...] = field(default=(), metadata=HIDDEN, repr=False)

    @property
    def refused(self) -> bool:
        """Whether it may be printed, and not written."""
        return has_failure(self.findings)

    @property
    def empty(self) -> bool:
        """Whether there is nothing to write, or nksmesh may not write it."""
        return self.refused or not self.steps

    def beyond(self, shown: TrafficPlan) -> tuple[str, ...]:
        """Name what this plan does and an earlier one did not say."""
        before = {step.ref: step.manifest for step in shown.steps}
        return tuple(
            f"{step.action.value} {step.ref}"
            for step in self.steps
            if step.ref not in before or before[step.ref] != step.manifest
        )


@dataclass(frozen=True, kw_only=True)
class TrafficResult:
    """What came of it.

    Attributes:
        agreed: Whether the user agreed to write it.
        written: The objects that were written or removed.
    """

    plan: TrafficPlan
    agreed: bool = True
    written: tuple[ObjectRef, ...] = ()
    progress: Progress = field(default_factory=Progress, metadata=HIDDEN)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a reader should know."""
        return warnings_of(self.plan.findings)

    @property
    def errors(self) -> tuple[MeshError, ...]:
        """Why nothing was written, where it was to be: the YAML is printed nevertheless."""
        try:
            refuse_failures(self.plan.findings)
        except MeshError as refused:
            return (refused,)
        return ()

    def json_form(self) -> dict[str, Any]:
        """Return what JSON has: the plan's keys, and what came of it."""
        plan = self.plan
        return {
            "service": plan.subject.service,
            "namespace": plan.subject.namespace,
            "write": plan.write,
            "recipes": plan.recipes,
            "objects": plan.objects,
            "removed": plan.removed,
            "diff": plan.diff,
            "effects": plan.effects,
            "findings": plan.findings,
            "agreed": self.agreed,
            "written": self.written,
        }


async def plan_traffic(order: Order, recipes: Mapping[str, Recipe], runtime: Runtime) -> TrafficPlan:
    """See what an order comes to; nothing is written.

    Raises:
        ConfigError: There is no such Service or recipe on it, or the recipes would not do what they say.
        CheckError: A version has no ready pod, or the pods have no proxy.
        ClusterError: The namespace is being deleted; or the cluster cannot be reached, or refuses an object.
    """
    cluster = runtime.cluster
    policies = order.new is not None and bool(order.new.recipe.objects)
    read = await read_surroundings(cluster, order.service, order.namespace, everywhere=policies)
    around = read.around
    goes = order.new is None and not order.reset and around.made  # what a deleted Service has left behind can go
    refuse_failures(() if goes else tuple(check_place(around, read.services)))
    before = applied_to(around.made, recipes)
    after = with_applied(before, order.new) if order.new else _without(before, order)
    judged = tuple(check_recipes(around, after)) if order.new else ()
    refuse_failures(judged)
    subject = around.subject
    made = make_objects(subject, after)
    refuse_failures(made.findings)
    steps = steps_of(around, made.manifests)
    touched = [step.manifest or around.live(step.ref) or {} for step in steps]
    changed = [step.manifest for step in steps if step.manifest is not None]
    findings = (
        *judged,
        *check_owners(around, touched, written=order.write),
        *(check_rivals(around, made.manifests, written=order.write) if order.new else ()),
        *check_gateways(around, made.manifests if order.new else ()),
        *(left_out(around, order.new) if order.new else ()),
        *(await _cut_off(around, changed, runtime) if order.new else ()),
        *(read.findings if policies else ()),
    )
    plan = TrafficPlan(
        subject=subject,
        write=order.write,
        recipes=after,
        objects=made.manifests,
        removed=tuple(step.ref for step in steps if step.manifest is None),
        diff=diff_manifests(
            [own_part(live) for step in steps if (live := around.live(step.ref))], changed, "", runtime.helm.dump
        ),
        effects=(str(fill(order.new.recipe.effect, subject.words)),) if order.new else (),
        findings=findings,
        steps=steps,
    )
    if order.write and not plan.refused:
        await asyncio.gather(*(cluster.objects.apply(manifest, ref_of(manifest), dry_run=True) for manifest in changed))
    return plan


async def write_traffic(
    shown: TrafficPlan, order: Order, recipes: Mapping[str, Recipe], runtime: Runtime
) -> TrafficResult:
    """Write what was shown, one object after another.

    Raises:
        ClusterError: There is more to write now than was shown; or the cluster cannot be reached, or refuses.
        HeldError: Another run holds the mesh.
    """
    command = f"traffic {'apply' if order.new else 'reset'} {order.service}"

    async def again() -> TrafficPlan:
        plan = await plan_traffic(order, recipes, runtime)
        refuse_failures(plan.findings)
        return plan

    async with agreed(shown, again, runtime, command=command, step="traffic") as plan:
        progress = await Executor(plan.steps, runtime).run()
    return TrafficResult(plan=plan, written=tuple(step.ref for step in plan.steps), progress=progress)


def _without(before: Sequence[Applied], order: Order) -> tuple[Applied, ...]:
    """Leave out the recipe that is reset, or all.

    Raises:
        ConfigError: The recipe does not stand on the subject.
    """
    names = sorted({entry.recipe.name for entry in before})
    if order.reset and order.reset not in names:
        raise ConfigError(
            f"recipe {order.reset!r} is not applied to {order.service} in namespace {order.namespace}",
            hint=perhaps(order.reset, names, "applied recipes"),
        )
    return tuple(entry for entry in before if order.reset and entry.recipe.name != order.reset)


async def _cut_off(around: Surroundings, changed: Sequence[Manifest], runtime: Runtime) -> tuple[Finding, ...]:
    """Name the callers that new policies would cut off, from what their proxies and the Service's know."""
    pods = runtime.cluster.pods
    findings: list[Finding] = []
    if turns_strict(changed):
        connected, silent = await read_peers(around.own_pods, pods)
        findings += [*silent, *check_plain_text(around, connected)]
    identities = allowed_by(changed)
    if identities and around.service != NAMESPACE and not allows_already(around):
        try:
            async with Proxies(pods) as proxies:
                callers = callers_among(around.pods)
                reading = await read_proxies(proxies, callers, around.service, around.namespace)
        except MeshError as silent:
            hint = "Look at who calls it before you go on."
            message = f"who calls {around.subject} is not known: {silent.message}"
            return (*findings, Finding(id="traffic.unknown-callers", level=Level.WARNING, message=message, hint=hint))
        findings += reading.findings
        findings += check_allowed(around, [who for who, what in reading.counted.items() if calls(what)], identities)
    return tuple(findings)
