"""Taking a mesh over from istioctl: what is there, what would change, and its way into plain Helm releases.

The plan and its steps are install's own; each release takes its objects over before Helm writes it. What decides the
mesh is recorded before the first of them, so whoever is stopped goes on with the same.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Final

from nksmesh.commands.adopt.istioctl_mesh import former_mesh
from nksmesh.commands.adopt.istioctl_settings import FormerValues
from nksmesh.commands.install import install
from nksmesh.domain.adoption.takeover import (
    COMPONENT_LABEL,
    FORMER_MANAGERS,
    GATEWAY_COMPONENTS,
    LEAVABLE,
    OPERATOR_API,
    SELECTOR,
    TakenObject,
    changed_paths,
    former_managers,
    is_default_tag,
    left_over,
    of_istioctl,
    owned_manifest,
    selects_otherwise,
)
from nksmesh.domain.charts.releases import ISTIOD
from nksmesh.domain.common.data import HIDDEN, MERGED, data_of, fields_of
from nksmesh.domain.common.findings import Finding, refuse_failures
from nksmesh.domain.common.spelling import counted
from nksmesh.domain.kube.objects import HELM_MANAGER, ObjectRef, owned_by, ref_of
from nksmesh.domain.kube.owners import ISTIO_OPERATOR, owner_of
from nksmesh.domain.plan.plan import Action, Plan, ReleaseChange, Step
from nksmesh.engine.agreement import check_agreed
from nksmesh.engine.executor.executor import Executor
from nksmesh.engine.executor.registry import handles
from nksmesh.engine.executor.removal_proof import delete_all
from nksmesh.engine.executor.step_context import Progress, StepContext
from nksmesh.engine.planning import make_plan
from nksmesh.engine.ports import Objects
from nksmesh.engine.request import MeshRequest
from nksmesh.engine.runtime import Runtime

TAKEOVER_STEP: Final = "adopt"
ORPHANS_STEP: Final = "leftovers of istioctl"


@dataclass(frozen=True, kw_only=True)
class TakeoverPlan:
    """What is taken over, and what becomes of the rest.

    Attributes:
        request: What install is told, for the mesh to become what it is.
        plan: The plan that brings the mesh into Helm releases.
        objects: The objects that are taken, each with what changes in it.
        values: What keeps the mesh what istioctl made it, and what it was told and is not carried over.
        replaced: What the releases take the place of: it goes at the end.
        orphans: What istioctl made and no release has.
        prune: The orphans go, too.
    """

    more: ClassVar[tuple[str, str]] = ("adopt would now take over", "changed")

    request: MeshRequest = field(repr=False)
    plan: Plan
    objects: tuple[TakenObject, ...] = ()
    values: FormerValues = field(default_factory=FormerValues)
    replaced: tuple[ObjectRef, ...] = ()
    orphans: tuple[ObjectRef, ...] = ()
    prune: bool = False

    @property
    def going(self) -> tuple[ObjectRef, ...]:
        """What is removed at the end."""
        return (*self.replaced, *(self.orphans if self.prune else ()))

    @property
    def empty(self) -> bool:
        """Whether there is nothing to do."""
        return not (self.plan.changes or self.going)

    def beyond(self, shown: TakeoverPlan) -> tuple[str, ...]:
        """Name what this plan takes over and was not shown."""
        taken = {ref for change in self.plan.releases.values() for ref in change.taken}
        return tuple(map(str, sorted(taken - {known.ref for known in shown.objects})))

    def json_form(self) -> dict[str, Any]:
        """Return what JSON has: the plan's keys, and istioctl's values without what they are."""
        return {
            "from": "istioctl",
            **data_of(self.plan),
            "objects": self.objects,
            "kept": [f"{name}: {', '.join(keys)} as istioctl set it" for name, keys in self.values.kept.items()],
            "carried": self.values.carried,
            "left": self.values.left,
            "replaced": self.replaced,
            "orphans": self.orphans,
            "prune": self.prune,
        }


@dataclass(frozen=True, kw_only=True)
class TakeoverResult:
    """What a takeover did.

    Attributes:
        dry_run: Nothing was done: the description alone was wanted.
        agreed: Whether the user agreed to it; nothing was done where not.
        removed: What was removed at the end, in words.
    """

    plan: TakeoverPlan = field(metadata=MERGED)
    dry_run: bool = False
    agreed: bool = True
    removed: tuple[str, ...] = ()
    progress: Progress = field(default_factory=Progress, metadata=HIDDEN)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a reader should know though nothing failed."""
        return (*self.plan.values.warnings, *self.progress.warnings)

    def json_form(self) -> dict[str, Any]:
        """Return what JSON has: the fields, and of the progress the addresses."""
        return fields_of(self) | {"addresses": self.progress.addresses, "warnings": self.warnings}


async def plan_takeover(request: MeshRequest, runtime: Runtime) -> TakeoverPlan:
    """Find a mesh that istioctl made, and say what taking it over would change; nothing is written.

    Raises:
        ConfigError: There is no such mesh, or the options contradict it.
        CheckError: It cannot be taken over as it is.
        MeshError: As ``make_plan`` says.
    """
    former = await former_mesh(request, runtime)
    plan = await make_plan(former.request, runtime)
    refuse_failures(await check_other_gateways(plan, runtime.cluster.objects))
    replaced, orphans = await _left_behind(plan, runtime.cluster.objects)
    objects = await asyncio.gather(
        *(_taken(ref, change, runtime.cluster.objects) for change in plan.releases.values() for ref in change.taken)
    )
    return TakeoverPlan(
        request=former.request,
        plan=plan,
        objects=tuple(objects),
        values=former.values,
        replaced=replaced,
        orphans=orphans,
        prune=request.prune,
    )


async def take_over(shown: TakeoverPlan, runtime: Runtime) -> TakeoverResult:
    """Take a mesh over from istioctl: CRDs, base, istiod, the webhook's proof, gateways; then what is left over goes.

    Stopped anywhere, it has lost nothing: the same command goes on.

    Raises:
        MeshError: As ``install`` says.
    """

    def check(plan: Plan) -> None:
        check_agreed(replace(shown, plan=plan), shown)

    done = await install(shown.request, runtime, dry_run=False, command=TAKEOVER_STEP, check=check)
    removed: list[str] = []
    if shown.going:
        step = OrphansStep(name=ORPHANS_STEP, action=Action.REMOVE, plan=done.plan, shown=shown.going)
        async with runtime.cluster.lease.held(TAKEOVER_STEP):
            removed = (await Executor([step], runtime, account=False).run()).removed
    return TakeoverResult(plan=shown, progress=done.progress, removed=tuple(removed))


@dataclass(frozen=True, kw_only=True)
class OrphansStep(Step):
    """What istioctl made and no release has is gone.

    Attributes:
        plan: The plan that was followed: its releases stand.
    """

    plan: Plan = field(repr=False)
    shown: tuple[ObjectRef, ...]


@handles(OrphansStep)
async def remove_orphans(work: StepContext[OrphansStep]) -> str:
    """Look once more for what is left over, remove it where it was shown, and prove that it is gone."""
    replaced, orphans = await _left_behind(work.step.plan, work.cluster.objects)
    going = [ref for ref in (*replaced, *orphans) if ref in work.step.shown]
    timeout, listener = work.runtime.waits.component, work.runtime.listener
    await delete_all(going, work.cluster, step=work.step.name, timeout=timeout, listener=listener)
    work.progress.removed += map(str, going)
    return f"{counted(len(going), 'object')} removed"


async def check_other_gateways(plan: Plan, objects: Objects) -> tuple[Finding, ...]:
    """Find gateways that run and that an environment leaves out, a failure: they would count as left over."""
    found = []
    names = {(release.namespace, release.name) for release in plan.mesh.releases}
    for deployment in await objects.list("apps/v1", "Deployment", labels=COMPONENT_LABEL, metadata_only=True):
        where, name = str(deployment["metadata"]["namespace"]), str(deployment["metadata"]["name"])
        gateway = deployment["metadata"]["labels"][COMPONENT_LABEL] in GATEWAY_COMPONENTS
        if gateway and (where, name) not in names and of_istioctl(deployment):
            message = (
                f"environment {plan.mesh.environment} has no gateway {name} in namespace "
                f"{where}, but istioctl installed one"
            )
            hint = "Add it to gateways in mesh.yaml, or remove it with istioctl first."
            found.append(Finding(id="ownership.omitted-gateway", subject=name, message=message, hint=hint))
    return tuple(found)


async def _left_behind(plan: Plan, objects: Objects) -> tuple[tuple[ObjectRef, ...], tuple[ObjectRef, ...]]:
    """Name what the releases take the place of, and what no release has."""
    listed = await asyncio.gather(
        *(objects.list(version, kind, labels=COMPONENT_LABEL, metadata_only=True) for version, kind in LEAVABLE),
        objects.list(OPERATOR_API, ISTIO_OPERATOR, metadata_only=True),
    )
    *labelled, states = listed
    namespaces = {release.namespace for release in plan.mesh.releases}
    found = [
        manifest
        for some in labelled
        for manifest in some
        if str(manifest["metadata"].get("namespace") or plan.mesh.namespace) in namespaces
    ]
    wanted = [ref_of(made, change.release.namespace) for change in plan.releases.values() for made in change.manifests]
    revision = next(release.istio_revision for release in plan.mesh.releases if release.component == ISTIOD.name)
    tags = [] if revision else [hook for hook in found if hook["kind"].startswith("Mutating") and is_default_tag(hook)]
    replaced = {ref_of(tag) for tag in tags} - set(wanted)
    rest = [manifest for manifest in found if ref_of(manifest) not in replaced]
    orphans = left_over(rest, wanted, [ref_of(manifest) for manifest in rest])
    return tuple(sorted(replaced)), (*sorted(orphans), *sorted(ref_of(state) for state in states))


async def _taken(ref: ObjectRef, change: ReleaseChange, objects: Objects) -> TakenObject:
    """Ask what taking an object over changes in it: what its former manager applies next prunes its own."""
    live = await objects.get(ref)
    manifest = next(rendered for rendered in change.manifests if ref_of(rendered, change.release.namespace) == ref)
    if live is None or owned_by(change.release, live):  # it went, or was taken, a moment ago
        return TakenObject(ref=ref, release=change.release.name, owner="nobody")
    entries = live["metadata"].get("managedFields") or ()
    appliers = (entry["manager"] for entry in entries if entry.get("operation") == "Apply")
    applier = next((manager for manager in appliers if manager in FORMER_MANAGERS), HELM_MANAGER)
    wanted, anew = owned_manifest(manifest, change.release), selects_otherwise(live, manifest)
    if anew:  # asked with the selector that is there, for another would be refused
        wanted = {**wanted, "spec": {**wanted["spec"], "selector": live["spec"]["selector"]}}
    after = await objects.apply(wanted, ref, dry_run=True, manager=applier)
    return TakenObject(
        ref=ref,
        release=change.release.name,
        owner=str(owner_of(live)),
        managers=former_managers(live),
        changes=(*([SELECTOR] if anew else []), *changed_paths(live, after)),
    )
