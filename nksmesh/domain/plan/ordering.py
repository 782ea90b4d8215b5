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

from nksmesh.domain.charts.installed import InstalledRelease
from nksmesh.domain.charts.releases import COMPONENTS, ISTIOD, Component, Proof, Release, titles_of
from nksmesh.domain.kube.objects import crds_of
from nksmesh.domain.mesh.mesh import Mesh, Network
from nksmesh.domain.plan.plan import (
    CRDS_STEP,
    GATE_STEP,
    Action,
    CrdChange,
    CrdsStep,
    GateStep,
    NamespaceStep,
    Need,
    Phase,
    ReleaseChange,
    ReleaseStep,
    RemovalStep,
    RestartStep,
    Step,
)
from nksmesh.domain.plan.pull_secrets import PullSecretStep

_UNWANTED: Final = "it is in the record but no longer in the mesh"


def make_steps(
    mesh: Mesh,
    changes: Mapping[str, ReleaseChange],
    crds: tuple[CrdChange, ...],
    *,
    missing_namespaces: frozenset[str],
    unwanted: Mapping[Release, InstalledRelease],
    proxy_image: str,
    take_over: bool = False,
    pull_secrets: tuple[PullSecretStep, ...] = (),
) -> tuple[Step, ...]:
    """Order what is to be done: namespaces, pull secrets, CRDs, what the gate needs, the gate, gateways, removals.

    Args:
        missing_namespaces: Those of the mesh's namespaces that do not exist.
        unwanted: What goes, with what Helm has of it.
        proxy_image: The image that every gateway must end on.
        take_over: What istioctl made becomes ours.
        pull_secrets: What makes the pull secrets, in namespaces of the mesh and in others.
    """

    def placed(change: ReleaseChange) -> tuple[Need, ...]:
        here = (secret for secret in pull_secrets if secret.secret.namespace == change.release.namespace)
        return (_placed(change), *(Need(secret.name, Phase.WRITTEN) for secret in here))

    def written(change: ReleaseChange, needs: tuple[Need, ...]) -> ReleaseStep:
        return release_step(
            change.release.name, change, needs, proxy_image=proxy_image, network=mesh.network, take_over=take_over
        )

    namespaces: list[Step] = [_namespace_step(name, missing_namespaces) for name in _namespaces(mesh)]
    ordered = components_in_order()
    proofs = {component: _proofs_of(component, changes, crds) for component in ordered}
    before_gate = [change for component in ordered if not component.injected for change in _of(changes, component)]
    fresh = not any(change.installed or change.taken for change in before_gate)
    steps = [*namespaces, *pull_secrets, *([_crds_step(crds, take_over=take_over)] if crds else [])]
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
        steps.append(written(change, (*placed(change), *below)))
    injected = [component for component in ordered if component.injected]
    foundation = [lower for lower in ordered if any(lower in _below(component) for component in injected)]
    needs = [
        *(Need(name) for component in foundation for name in proofs[component]),
        *(Need(step.name, Phase.WRITTEN) for step in namespaces),
    ]
    steps.append(gate_step(mesh.releases, needs, proxy_image=proxy_image))
    gateways = [change for component in injected for change in _of(changes, component)]
    steps += [written(change, (Need(GATE_STEP), *placed(change))) for change in gateways]
    steps += [restart_step(written(change, (Need(GATE_STEP),))) for change in gateways if change.stale_pods]
    everything = tuple(Need(step.name) for step in steps)
    titles = titles_of(unwanted)
    steps += [
        removal_step(titles[release], release, stored, everything, why=_UNWANTED)
        for release, stored in unwanted.items()
    ]
    return tuple(steps)


def namespace_needs(mesh: Mesh, namespace: str) -> tuple[Need, ...]:
    """Name the step that makes a namespace, where it is one of the mesh's."""
    return (Need(_namespace(namespace), Phase.WRITTEN),) if namespace in _namespaces(mesh) else ()


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
    return frozenset(direct).union(*(_below(lower) for lower in direct))


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


def _namespace_step(name: str, missing: frozenset[str]) -> NamespaceStep:
    absent = name in missing
    return NamespaceStep(
        name=_namespace(name),
        action=Action.CREATE if absent else Action.KEEP,
        reasons=("it does not exist",) if absent else (),
        namespace=name,
    )


def gate_step(releases: Iterable[Release], needs: Iterable[Need], *, proxy_image: str) -> GateStep:
    """Prove the injector: a canary, and a mesh without gateways, have others behind it."""
    there = tuple(releases)
    gateways = tuple(release for release in there if release.kind.injected)
    return GateStep(
        name=GATE_STEP,
        action=Action.PROVE,
        reasons=("gateways get their image from it" if gateways else "pods get their proxy from it",),
        needs=tuple(needs),
        istiod=next(release for release in there if release.component == ISTIOD.name),
        gateways=gateways,
        proxy_image=proxy_image,
    )


def _crds_step(crds: tuple[CrdChange, ...], *, take_over: bool) -> CrdsStep:
    new = [crd for crd in crds if not crd.exists]
    changed = [crd for crd in crds if crd.exists and crd.differs]
    taken = sorted({manager for crd in changed for manager in crd.taken_from})
    reasons = [f"{len(new)} of {len(crds)} {'does' if len(new) == 1 else 'do'} not exist"] if new else []
    differ = "differs" if len(changed) == 1 else "differ"
    reasons += [f"{len(changed)} of {len(crds)} {differ} from the chart's"] if changed else []
    reasons += [f"takes ownership of fields from {', '.join(taken)}"] if taken else []
    newer = [crd.newer for crd in crds if crd.newer]
    stay = "stays unchanged: it is" if len(newer) == 1 else "stay unchanged: they are"
    stays = [f"{len(newer)} of {len(crds)} {stay} of Istio {newer[0]}, newer than the chart's"] if newer else []
    return CrdsStep(
        name=CRDS_STEP,
        action=Action.APPLY if reasons else Action.KEEP,
        reasons=(*reasons, *stays),
        crds=crds,
        take_over=take_over,
    )


def release_step(
    title: str,
    change: ReleaseChange,
    needs: tuple[Need, ...],
    *,
    proxy_image: str,
    network: Network,
    take_over: bool = False,
) -> ReleaseStep:
    """Write a release where it must be."""
    return ReleaseStep(
        name=title,
        action=change.action,
        reasons=change.reasons,
        needs=needs,
        change=change,
        proxy_image=proxy_image,
        network=network,
        take_over=take_over,
    )


def restart_step(written: ReleaseStep) -> RestartStep:
    """Restart a release's pods once it is written and something else, which its step needs, is there."""
    change = written.change
    return RestartStep(
        name=f"restart {written.name}",
        action=Action.RESTART,
        reasons=change.stale_pods,
        needs=(Need(written.name, Phase.WRITTEN), *written.needs),
        change=change,
        proxy_image=written.proxy_image,
        network=written.network,
    )


def removal_step(
    title: str, release: Release, stored: InstalledRelease, needs: tuple[Need, ...], *, why: str
) -> RemovalStep:
    """Remove a release once something else is there."""
    return RemovalStep(
        name=f"remove {title}",
        action=Action.REMOVE,
        reasons=(why,),
        needs=needs,
        release=release,
        stored=stored,
    )
