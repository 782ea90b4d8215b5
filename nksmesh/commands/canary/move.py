"""Moving namespaces to a canary and back: their labels, and a restart of what istiod has injected in them.

A namespace keeps the labels it had in an annotation of its own, so that it can be moved back by whoever comes next.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from nksmesh.commands.canary.plan import CANARY_STEP
from nksmesh.commands.canary.relabelling import Move, labels_before, moved_beyond, said
from nksmesh.commands.canary.start import canary_of, own_istiod, recorded_mesh
from nksmesh.commands.canary.status import followed
from nksmesh.commands.canary.steps import move_steps
from nksmesh.domain.charts.releases import Release
from nksmesh.domain.common.data import HIDDEN, MERGED, fields_of
from nksmesh.domain.common.errors import ConfigError, MeshError
from nksmesh.domain.common.findings import Finding, refuse_failures
from nksmesh.domain.kube.images import proxy_image
from nksmesh.domain.kube.restarts import RestartResult
from nksmesh.domain.kube.workloads import without_releases
from nksmesh.domain.mesh.record import Canary, Record
from nksmesh.domain.mesh.revisions import INJECTION_LABEL, REVISION_LABEL, injection_labels, spoken_revision
from nksmesh.domain.plan.history import Run
from nksmesh.engine.agreement import agreed
from nksmesh.engine.executor.executor import Executor
from nksmesh.engine.ports import Cluster, Helm
from nksmesh.engine.runs.history import recorded_run
from nksmesh.engine.runtime import Runtime
from nksmesh.engine.workloads import injected_workloads


@dataclass(frozen=True, kw_only=True)
class MovePlan:
    """What moving namespaces would do.

    Attributes:
        mesh: The control plane's namespace.
        istio_revision: The Istio revision they come to, in words.
        proxy_image: The proxy they come to.
        passed_over: Namespaces that are left alone, each with the reason.
    """

    more: ClassVar[tuple[str, str]] = ("the move would now do", "changed")

    mesh: str = field(metadata=HIDDEN)
    istio_revision: str
    version: str
    proxy_image: str
    moves: tuple[Move, ...] = ()
    passed_over: tuple[str, ...] = ()

    @property
    def empty(self) -> bool:
        """Whether there is nothing to do."""
        return not any(change.workloads or change.before != change.after for change in self.moves)

    def beyond(self, shown: MovePlan) -> tuple[str, ...]:
        """Name what this plan does and an earlier one did not say."""
        return moved_beyond(self.moves, shown.moves)


@dataclass(frozen=True, kw_only=True)
class MoveResult:
    """What moving namespaces did.

    Attributes:
        agreed: Whether the user agreed to it; nothing was done where not.
        moved: The namespaces whose labels were changed.
    """

    plan: MovePlan = field(metadata=MERGED)
    agreed: bool = True
    moved: tuple[str, ...] = ()
    restarts: RestartResult = field(default_factory=RestartResult)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What still runs its old proxy."""
        return self.restarts.warnings

    @property
    def errors(self) -> tuple[MeshError, ...]:
        """What failed to restart."""
        return self.restarts.errors

    def json_form(self) -> dict[str, Any]:
        """Return what JSON has: the fields, and what came of each workload."""
        return fields_of(self) | {"restarts": self.restarts.restarts}


async def plan_move(
    names: Iterable[str], cluster: Cluster, helm: Helm, namespace: str, *, everything: bool, back: bool
) -> MovePlan:
    """See what moving namespaces to the canary, or back from it, would do; nothing is written.

    Args:
        namespace: The control plane's namespace, or empty.
        everything: All that follow the mesh's own istiod; with ``back`` all that were moved.
        back: Back to where they were.

    Raises:
        ConfigError: No canary is on, it is being promoted, or a namespace cannot be moved.
        ClusterError: The cluster cannot be reached, or refuses.
    """
    record = await recorded_mesh(cluster, namespace)
    canary = canary_of(record)
    wanted = list(dict.fromkeys(names))
    listed = await cluster.objects.list("v1", "Namespace")
    found = {str(namespace["metadata"]["name"]): namespace for namespace in listed}
    missing = [name for name in wanted if name not in found]
    if everything:
        wanted = [name for name, namespace in found.items() if _concerned(namespace, record, back=back)]
    where = {
        name: _labels_after(found[name], record, back=back, named=not everything) for name in wanted if name in found
    }
    staying = [after for after in where.values() if isinstance(after, str)]
    named = () if everything else _check_named(missing, staying)
    refuse_failures((*check_promoting(canary), *named))
    target = own_istiod(record) if back else canary.release
    injected = await injected_workloads(cluster, namespaces=list(where) or [record.namespace])
    workloads = without_releases(injected, [entry.release for entry in record.releases])
    behind = [workload for workload in workloads if workload.istio_revisions != (_spoken(target),)]
    moves = tuple(
        Move(
            namespace=name,
            before=injection_labels(found[name]["metadata"].get("labels") or {}),
            after=after,
            workloads=tuple(workload for workload in behind if workload.namespace == name),
        )
        for name, after in where.items()
        if not isinstance(after, str)
    )
    return MovePlan(
        mesh=record.namespace,
        istio_revision=_spoken(target),
        version=record.settings.version if back else canary.version,
        proxy_image=await proxy_of(target, cluster, helm),
        moves=moves,
        passed_over=tuple(staying),
    )


async def move(shown: MovePlan, runtime: Runtime, *, back: bool) -> MoveResult:
    """Move namespaces: label each, then restart what istiod has injected in it.

    Args:
        back: Back to where they were.

    Raises:
        ClusterError: There is more to move now than was shown; or the cluster cannot be reached, or refuses.
        ConfigError: The canary ended, or began to be promoted, since the plan was made.
        HeldError: Another run holds the mesh.
    """
    names = tuple(namespace.namespace for namespace in shown.moves)
    command = f"canary move{' --back' if back else ''} {' '.join(names)}"

    async def again() -> MovePlan:
        plan = await plan_move(names, runtime.cluster, runtime.helm, shown.mesh, everything=False, back=back)
        if plan.istio_revision != shown.istio_revision:
            raise ConfigError(
                "the canary is not the one this was planned for",
                hint="Run the same command again to see what it moves now.",
            )
        return replace(plan, passed_over=shown.passed_over)

    async with agreed(shown, again, runtime, command="canary move", step=CANARY_STEP) as plan:
        run = Run(command=command, namespace=plan.mesh, from_versions=(plan.version,), to_version=plan.version)
        async with recorded_run(runtime.cluster, run):
            steps = move_steps(plan.moves, back=back, proxy_image=plan.proxy_image)
            progress = await Executor(steps, runtime).run()
    moved = tuple(move.namespace for move in plan.moves if move.before != move.after)
    return MoveResult(plan=plan, moved=moved, restarts=progress.restarted)


async def proxy_of(istiod: Release, cluster: Cluster, helm: Helm) -> str:
    """Return the proxy that an istiod gives; empty where Helm has nothing of it.

    Raises:
        ClusterError: The cluster cannot be reached, or refuses.
    """
    installed = (await cluster.storage.installed([istiod])).get((istiod.namespace, istiod.name))
    return proxy_image(helm.parse(installed.manifest)) if installed else ""


def check_promoting(canary: Canary) -> tuple[Finding, ...]:
    """Judge a move to a canary or back from it: a failure where the canary is being promoted."""
    message = "the canary is being promoted: namespaces can no longer be moved"
    hint = "Run nksmesh canary promote to finish, or nksmesh canary abort to undo."
    rule = "canary.being-promoted"
    found = Finding(id=rule, message=message, hint=hint, error=ConfigError)
    return (found,) if canary.promoting else ()


def _check_named(missing: Iterable[str], staying: Iterable[str]) -> tuple[Finding, ...]:
    """Judge the namespaces that the user names: a failure for each that does not exist, or cannot be moved.

    Args:
        staying: Why each of those stays that cannot be moved.
    """
    listing = "Run kubectl get namespaces to list them."
    status = "Run nksmesh canary status to see which istiod each namespace uses."
    messages = [f"there is no namespace {name!r}" for name in missing]
    return (
        *(Finding(id="canary.missing-namespace", message=text, hint=listing, error=ConfigError) for text in messages),
        *(Finding(id="canary.unmovable-namespace", message=text, hint=status, error=ConfigError) for text in staying),
    )


def _concerned(namespace: Mapping[str, Any], record: Record, *, back: bool) -> bool:
    """Tell whether ``--all`` means a namespace: it follows the mesh's own istiod, or was moved away from it."""
    if back:
        return labels_before(namespace) is not None
    labels = namespace["metadata"].get("labels") or {}
    canary = canary_of(record).istio_revision
    return followed(labels, record) == _spoken(own_istiod(record)) or (
        labels_before(namespace) is not None and labels.get(REVISION_LABEL) == canary
    )


def _labels_after(namespace: Mapping[str, Any], record: Record, *, back: bool, named: bool) -> dict[str, str] | str:
    """Return the labels that a namespace comes to, or why it is not moved; some have to be named."""
    name, labels = namespace["metadata"]["name"], namespace["metadata"].get("labels") or {}
    canary = canary_of(record)
    if back:
        before = labels_before(namespace)
        return f"namespace {name} was not moved" if before is None else before
    if name == record.namespace:
        return f"namespace {name} is the control plane's own: its gateways move to the canary when it is promoted"
    if labels.get(REVISION_LABEL) == canary.istio_revision and INJECTION_LABEL not in labels:
        return {REVISION_LABEL: canary.istio_revision}
    if not named and any(entry.release.kind.injected and entry.release.namespace == name for entry in record.releases):
        return (
            f"namespace {name} has gateways of the mesh, which move to the canary when it "
            "is promoted: it cannot be moved"
        )
    if not followed(labels, record):
        found = said(injection_labels(labels))
        return (
            f"namespace {name} uses no istiod of this mesh ({found}): either all of its pods would get a proxy, or none"
        )
    return {REVISION_LABEL: canary.istio_revision}


def _spoken(istiod: Release) -> str:
    return spoken_revision(istiod.istio_revision)
