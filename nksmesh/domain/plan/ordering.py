"""The order of a plan's steps: what truly waits for what.

On a fresh mesh CRDs go first, and istiod follows as soon as they are Established: an istiod that starts before its CRDs
are served backs off, and its webhook answers 1.4 to 1.9 s later (measured with istiod 1.20). base's release is written
beside it, for istiod needs nothing else of it. Where a mesh is installed already, istiod waits for all of base, as
Istio's notes on upgrades say. The webhook gate waits until CRDs, base and istiod are proved, and gateways wait for the
gate. The table of components says which stands on which.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from graphlib import TopologicalSorter
from typing import Final

from nksmesh.domain.charts.releases import COMPONENTS, Component, Proof, Release
from nksmesh.domain.kube.objects import crds_of
from nksmesh.domain.mesh.mesh import Mesh
from nksmesh.domain.plan.plan import CRDS_STEP, GATE_STEP, Action, CrdChange, Need, Phase, ReleaseChange, Step, StepKind

_UNWANTED: Final = "the record has it and the mesh no longer does"


def make_steps(
    mesh: Mesh,
    changes: Mapping[str, ReleaseChange],
    crds: tuple[CrdChange, ...],
    *,
    missing_namespaces: frozenset[str],
    unwanted: tuple[Release, ...],
) -> tuple[Step, ...]:
    """Order what is to be done: namespaces, CRDs, components before the gate, the gate, gateways, restarts, removals.

    Args:
        changes: What is to become of each release, by name.
        crds: What becomes of the CRDs of base's crds/ folder.
        missing_namespaces: Those of the mesh's namespaces that do not exist.
    """
    namespaces = [_namespace_step(name, missing_namespaces) for name in _namespaces(mesh)]
    ordered = components_in_order()
    proofs = {component: _proofs_of(component, changes, crds) for component in ordered}
    before_gate = [change for one in ordered if not one.injected for change in _of(changes, one)]
    fresh = not any(change.installed or change.taken for change in before_gate)
    steps = [*namespaces, *([_crds_step(crds)] if crds else [])]
    for change in before_gate:
        below = [
            need
            for component in _below(change.release.kind)
            for need in (
                _established(component, changes, crds)
                if fresh and component.proof is Proof.CRDS
                else [Need(name) for name in proofs[component]]
            )
        ]
        steps.append(_release_step(change, (_placed(change), *below)))
    injected = [component for component in ordered if component.injected]
    foundation = [one for one in ordered if any(one in _below(component) for component in injected)]
    steps.append(_gate_step(mesh, [name for one in foundation for name in proofs[one]], namespaces))
    gateways = [change for component in injected for change in _of(changes, component)]
    steps += [_release_step(change, (Need(GATE_STEP), _placed(change))) for change in gateways]
    steps += [restart_step(change, (Need(GATE_STEP),)) for change in gateways if change.stale_pods]
    everything = tuple(Need(step.name) for step in steps)
    steps += [removal_step(release, everything, why=_UNWANTED) for release in unwanted]
    return tuple(steps)


def components_in_order() -> tuple[Component, ...]:
    """List the components, each behind those it stands on."""
    sorter = TopologicalSorter({name: component.after for name, component in COMPONENTS.items()})
    return tuple(COMPONENTS[name] for name in sorter.static_order())


def _established(component: Component, changes: Mapping[str, ReleaseChange], crds: tuple[CrdChange, ...]) -> list[Need]:
    """Wait for the CRDs of a component alone: those of its crds/ folder, and those that its releases render."""
    own = [Need(CRDS_STEP)] if crds else []
    bringing = [change for change in _of(changes, component) if crds_of(change.manifests)]
    return [*own, *(Need(change.release.name, Phase.ESTABLISHED) for change in bringing)]


def _placed(change: ReleaseChange) -> Need:
    return Need(_namespace(change.release.namespace), Phase.WRITTEN)


def _below(component: Component) -> frozenset[Component]:
    """Name the components that a component stands on, directly or by way of others."""
    direct = [COMPONENTS[name] for name in component.after]
    return frozenset(direct).union(*(_below(one) for one in direct))


def _proofs_of(
    component: Component, changes: Mapping[str, ReleaseChange], crds: tuple[CrdChange, ...]
) -> tuple[str, ...]:
    """Name the steps that prove a component; the CRDs of a crds/ folder are a part of whoever brings CRDs."""
    own = (CRDS_STEP,) if crds and component.proof is Proof.CRDS else ()
    return (*own, *(change.release.name for change in _of(changes, component)))


def _of(changes: Mapping[str, ReleaseChange], component: Component) -> list[ReleaseChange]:
    return [change for change in changes.values() if change.release.component == component.name]


def _namespaces(mesh: Mesh) -> tuple[str, ...]:
    return tuple(dict.fromkeys((mesh.namespace, *(release.namespace for release in mesh.releases))))


def _namespace(name: str) -> str:
    return f"namespace {name}"


def _namespace_step(name: str, missing: frozenset[str]) -> Step:
    absent = name in missing
    return Step(
        name=_namespace(name),
        kind=StepKind.NAMESPACE,
        action=Action.CREATE if absent else Action.KEEP,
        reasons=("it does not exist",) if absent else (),
        namespace=name,
    )


def why_the_gate(*, gateways: bool) -> tuple[str, ...]:
    """Say what the webhook gate is for: a canary, and a mesh without gateways, have others behind it."""
    return ("gateways get their image from it" if gateways else "pods get their proxy from it",)


def _gate_step(mesh: Mesh, foundation: Iterable[str], namespaces: Iterable[Step]) -> Step:
    return Step(
        name=GATE_STEP,
        kind=StepKind.GATE,
        action=Action.PROVE,
        reasons=why_the_gate(gateways=any(one.kind.injected for one in mesh.releases)),
        needs=(
            *(Need(name) for name in foundation),
            *(Need(step.name, Phase.WRITTEN) for step in namespaces),
        ),
        namespace=mesh.namespace,
    )


def _crds_step(crds: tuple[CrdChange, ...]) -> Step:
    new = [crd for crd in crds if not crd.exists]
    changed = [crd for crd in crds if crd.exists and crd.differs]
    taken = sorted({manager for crd in changed for manager in crd.taken_from})
    reasons = [f"{len(new)} of {len(crds)} do not exist"] if new else []
    reasons += [f"{len(changed)} of {len(crds)} differ from the chart's"] if changed else []
    reasons += [f"fields are taken from {', '.join(taken)}"] if taken else []
    newer = [crd.newer for crd in crds if crd.newer]
    stays = (
        [f"{len(newer)} of {len(crds)} stay as they are: of Istio {newer[0]}, newer than the chart's"] if newer else []
    )
    return Step(
        name=CRDS_STEP,
        kind=StepKind.CRDS,
        action=Action.APPLY if reasons else Action.KEEP,
        reasons=(*reasons, *stays),
    )


def _release_step(change: ReleaseChange, needs: tuple[Need, ...]) -> Step:
    return Step(
        name=change.release.name,
        kind=StepKind.RELEASE,
        action=change.action,
        reasons=change.reasons,
        needs=needs,
        release=change.release,
    )


def restart_step(change: ReleaseChange, needs: tuple[Need, ...]) -> Step:
    """Restart a release's pods once it is written and something else is there."""
    return Step(
        name=f"restart {change.release.name}",
        kind=StepKind.RESTART,
        action=Action.RESTART,
        reasons=change.stale_pods,
        needs=(Need(change.release.name, Phase.WRITTEN), *needs),
        release=change.release,
    )


def removal_step(release: Release, needs: tuple[Need, ...], *, why: str) -> Step:
    """Remove a release once something else is there."""
    return Step(
        name=f"remove {release.name}",
        kind=StepKind.REMOVAL,
        action=Action.REMOVE,
        reasons=(why,),
        needs=needs,
        release=release,
    )
