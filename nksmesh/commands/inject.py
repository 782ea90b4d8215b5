"""Injection of namespaces: one label that has the mesh's istiod inject their pods, and who is injected and who is not.

Labels are changed, and workloads restarted, as ``canary move`` does it: the same steps, under the lease.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final

from nksmesh.commands.canary.move import MovePlan, MoveResult, check_promoting, proxy_of
from nksmesh.commands.canary.relabelling import Move, labels_before
from nksmesh.commands.canary.start import recorded_mesh
from nksmesh.commands.canary.steps import label_steps
from nksmesh.domain.common.data import HIDDEN, MERGED, fields_of
from nksmesh.domain.common.errors import CheckError
from nksmesh.domain.common.findings import Finding, Level, refuse_failures, warnings_of
from nksmesh.domain.injection.labels import (
    check_choice,
    check_injected,
    check_known,
    check_namespace,
    choices,
    default_choice,
    labels_after,
)
from nksmesh.domain.injection.workloads import NamespaceInjection
from nksmesh.domain.kube.workloads import Workload, without_releases
from nksmesh.domain.mesh.record import Record
from nksmesh.domain.mesh.revisions import injection_labels, spoken_revision
from nksmesh.domain.plan.history import Run
from nksmesh.domain.plan.plan import in_sequence
from nksmesh.engine.agreement import agreed
from nksmesh.engine.executor.executor import Executor
from nksmesh.engine.injection import InjectionFacts, judge_injection, read_injection
from nksmesh.engine.ports import Cluster, Helm
from nksmesh.engine.runs.history import recorded_run
from nksmesh.engine.runtime import Runtime
from nksmesh.engine.workloads import restart_steps

INJECT_STEP: Final = "injection"


@dataclass(frozen=True, kw_only=True)
class InjectionOrder:
    """What is asked for.

    Attributes:
        on: The namespaces are to be injected; else they are not to be.
        choice: The Istio revision or tag that they are to name; empty for the mesh's own istiod.
        restart: Their workloads are restarted.
    """

    namespaces: tuple[str, ...]
    on: bool
    choice: str = ""
    restart: bool = False

    @property
    def command(self) -> str:
        """The command, for the history."""
        options = (f"--revision {self.choice}" if self.choice else "", "--restart" if self.restart else "")
        return " ".join(filter(None, (f"inject {'enable' if self.on else 'disable'}", *self.namespaces, *options)))


@dataclass(frozen=True, kw_only=True)
class InjectPlan(MovePlan):
    """What changing the injection of namespaces would do.

    Attributes:
        on: They are to be injected.
        waiting: Workloads that go on as they are until somebody restarts them.
    """

    more: ClassVar[tuple[str, str]] = ("the command would now do", "changed")

    on: bool
    waiting: tuple[Workload, ...] = ()

    def json_form(self) -> dict[str, Any]:
        """Return what JSON has: the fields, and the workloads in words."""
        return fields_of(self) | {"waiting": [str(workload) for workload in self.waiting]}


@dataclass(frozen=True, kw_only=True)
class InjectResult(MoveResult):
    """What changing the injection of namespaces did.

    Attributes:
        plan: What was shown.
    """

    plan: InjectPlan = field(metadata=MERGED)


@dataclass(frozen=True, kw_only=True)
class InjectionStatus:
    """Who is injected, and who is not.

    Attributes:
        asked_for_exit_code: Something that does not take effect as the labels have it is an exit code.
    """

    namespaces: tuple[NamespaceInjection, ...]
    asked_for_exit_code: bool = field(default=False, metadata=HIDDEN)

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What was found."""
        return tuple(finding for namespace in self.namespaces for finding in namespace.findings)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What does not take effect as the labels have it."""
        return warnings_of(self.findings)

    @property
    def exit_code(self) -> int:
        """7 where something does not take effect and the exit code was asked for, else 0."""
        wrong = any(finding.level is Level.WARNING for finding in self.findings)
        return CheckError.exit_code if self.asked_for_exit_code and wrong else 0

    def json_form(self) -> dict[str, Any]:
        """Return what JSON has: the findings beside the namespaces."""
        return fields_of(self) | {
            "findings": [{"id": finding.id, **fields_of(finding)} for finding in self.findings],
        }


async def status(names: Collection[str], cluster: Cluster, *, asked_for_exit_code: bool) -> InjectionStatus:
    """Look who is injected in some namespaces, or in all that have injection where none is named.

    Raises:
        ConfigError: There is no such namespace.
        ClusterError: The cluster cannot be reached, or refuses.
    """
    facts = await read_injection(cluster, names)
    refuse_failures(check_known(names, facts.namespaces))
    namespaces = await judge_injection(facts, names, cluster)
    return InjectionStatus(namespaces=namespaces, asked_for_exit_code=asked_for_exit_code)


async def plan_inject(order: InjectionOrder, cluster: Cluster, helm: Helm, namespace: str) -> InjectPlan:
    """See what changing the injection of namespaces would do; nothing is written.

    Args:
        namespace: The control plane's namespace, or empty.

    Raises:
        ConfigError: No recorded mesh is installed, or a namespace or the Istio revision may not be used.
        CheckError: No istiod would inject the pods.
        ClusterError: The cluster cannot be reached, or refuses.
    """
    record = await recorded_mesh(cluster, namespace)
    names = list(dict.fromkeys(order.namespaces))
    choice = order.choice or default_choice(record)
    facts = await read_injection(cluster, names)
    refuse_failures(check_known(names, facts.namespaces))
    refuse_failures(
        (
            *(check_promoting(record.canary) if record.canary else ()),
            *(check_choice(choice, record) if order.on else ()),
            *(finding for name in names for finding in _check(name, facts, record, on=order.on)),
        )
    )
    istiod = choices(record)[choice if order.on else default_choice(record)]
    before = {name: facts.place(name) for name in names}
    after = {
        name: place.labelled(labels_after(place, record, on=order.on, choice=order.choice))
        for name, place in before.items()
    }
    if order.on:
        refuse_failures(finding for place in after.values() for finding in check_injected(place, istiod))
    releases = [entry.release for entry in record.releases]
    changed = {
        name: without_releases((entry.workload for entry in facts.judge(place).workloads if entry.moves), releases)
        for name, place in after.items()
    }
    return InjectPlan(
        mesh=record.namespace,
        on=order.on,
        istio_revision=spoken_revision(istiod.istio_revision) if order.on else "",
        version=record.settings.version,
        proxy_image=await proxy_of(istiod, cluster, helm) if order.on and order.restart else "",
        moves=tuple(
            Move(
                namespace=name,
                before=injection_labels(before[name].labels),
                after=injection_labels(place.labels),
                workloads=changed[name] if order.restart else (),
            )
            for name, place in after.items()
        ),
        waiting=() if order.restart else tuple(workload for some in changed.values() for workload in some),
    )


async def inject(shown: InjectPlan, order: InjectionOrder, runtime: Runtime) -> InjectResult:
    """Change the injection of namespaces: label each, then restart its workloads where that was asked for.

    Raises:
        ClusterError: There is more to do now than was shown; or the cluster cannot be reached, or refuses.
        MeshError: As ``plan_inject`` says.
        HeldError: Another run holds the mesh.
    """

    async def again() -> InjectPlan:
        return await plan_inject(order, runtime.cluster, runtime.helm, shown.mesh)

    async with agreed(shown, again, runtime, command=order.command, step=INJECT_STEP) as plan:
        run = Run(command=order.command, namespace=plan.mesh, from_versions=(plan.version,), to_version=plan.version)
        async with recorded_run(runtime.cluster, run):
            restarts = restart_steps(
                (workload for move in plan.moves for workload in move.workloads),
                proxy_image=plan.proxy_image,
                without_proxy=not plan.on,
            )
            steps = in_sequence((*label_steps(plan.moves, keep=False), *restarts))
            progress = await Executor(steps, runtime).run()
    moved = tuple(move.namespace for move in plan.moves if move.before != move.after)
    return InjectResult(plan=plan, moved=moved, restarts=progress.restarted)


def _check(name: str, facts: InjectionFacts, record: Record, *, on: bool) -> Iterable[Finding]:
    namespace = facts.namespaces[name]
    return check_namespace(name, namespace, on=on, mesh=record.namespace, moved=labels_before(namespace) is not None)
