"""The steps of a repair: objects are put back one after the other, and what depends on them is proved behind them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from nksmesh.commands.drift.apply import Wanted, put
from nksmesh.commands.drift.drift import Found
from nksmesh.domain.charts.releases import ISTIOD, Release, titles_of
from nksmesh.domain.drift.drift import Change
from nksmesh.domain.kube.images import proxy_image
from nksmesh.domain.kube.objects import Manifest, ObjectRef
from nksmesh.domain.kube.readiness import Readiness
from nksmesh.domain.kube.workloads import ROLLOUT_KINDS
from nksmesh.domain.plan.plan import CRDS_STEP, GATE_STEP, Action, GateStep, Step, in_sequence
from nksmesh.engine import observation
from nksmesh.engine.executor.registry import handles
from nksmesh.engine.executor.removal_proof import await_end
from nksmesh.engine.executor.step_context import Progress, StepContext
from nksmesh.engine.ports import Cluster, Live

REPAIR_STEP: Final = "repair"
_TEMPLATE: Final = "spec.template"

Manifests = Mapping[Release, tuple[Manifest, ...]]
"""What Helm has of each release of the mesh."""


@dataclass(frozen=True, kw_only=True)
class EndingStep(Step):
    """What is being deleted is gone, before it is made again."""

    quiet = True

    refs: tuple[ObjectRef, ...]


@dataclass(frozen=True, kw_only=True)
class PutBackStep(Step):
    """An object is as its release says."""

    wanted: Wanted = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class CrdsProofStep(Step):
    """CRDs that were put back are Established."""

    names: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class RolloutProofStep(Step):
    """A release whose workloads were put back is rolled out.

    Attributes:
        proxy_image: The proxy that pods which the repair made anew must run; empty where none is asked for.
    """

    release: Release
    manifests: tuple[Manifest, ...] = field(repr=False)
    proxy_image: str


def repair_steps(found: Sequence[Found], releases: Manifests) -> tuple[Step, ...]:
    """Order a repair: the control plane's objects and their proofs, then the gateways', whose proxies istiod gives."""
    steps: list[Step] = []
    ending = tuple(entry.drift.ref for entry in found if entry.drift.change is Change.ENDING)
    if ending:
        steps.append(EndingStep(name=REPAIR_STEP, action=Action.REMOVE, refs=ending))
    injected = [entry for entry in found if entry.wanted.owner is not None and entry.wanted.owner.kind.injected]
    for some in ([entry for entry in found if entry not in injected], injected):
        steps += [PutBackStep(name=str(entry.drift.ref), action=Action.PUT_BACK, wanted=entry.wanted) for entry in some]
        steps += _proofs(some, releases)
    return in_sequence(steps)


def _proofs(put_back: Sequence[Found], releases: Manifests) -> Iterable[Step]:
    """Say what is to be proved of what was put back."""
    crds = tuple(found.drift.ref.name for found in put_back if found.drift.ref.kind == observation.CRDS.kind)
    if crds:
        yield CrdsProofStep(name=CRDS_STEP, action=Action.PROVE, names=crds)
    titles = titles_of(releases, REPAIR_STEP)
    for release, manifests in releases.items():
        some = [found for found in put_back if found.wanted.owner == release]
        rolled = [found for found in some if found.drift.ref.kind in ROLLOUT_KINDS]
        if rolled:
            yield RolloutProofStep(
                name=titles[release],
                action=Action.PROVE,
                release=release,
                manifests=manifests,
                proxy_image=_proxy_of(release, releases) if release.kind.injected and _makes_pods(rolled) else "",
            )
        if some and release.component == ISTIOD.name:
            yield _gate_of(release, releases)


def _makes_pods(rolled: Iterable[Found]) -> bool:
    """Tell whether a workload that was put back makes its pods anew: it was missing, or its template differed."""
    fields = [found.drift.fields for found in rolled]
    return not all(fields) or any(path.startswith(_TEMPLATE) for paths in fields for path in paths)


def _proxy_of(gateway: Release, releases: Manifests) -> str:
    """Return the proxy image that a gateway's istiod gives it: the one of its Istio revision, or else the first."""
    istiods = _istiods(releases)
    own = next((istiod for istiod in istiods if istiod.istio_revision == gateway.istio_revision), None)
    chosen = own or next(iter(istiods), None)
    return proxy_image(releases[chosen]) if chosen else ""


def _istiods(releases: Manifests) -> list[Release]:
    return [release for release in releases if release.component == ISTIOD.name]


def _gate_of(istiod: Release, releases: Manifests) -> GateStep:
    """Prove an injector by the pods that it injects; by a pod of its own namespace where there is no gateway."""
    alone = len(_istiods(releases)) == 1
    gateways = tuple(
        release if alone else replace(release, istio_revision=istiod.istio_revision)
        for release in releases
        if release.kind.injected
    )
    return GateStep(
        name=GATE_STEP if alone else f"{GATE_STEP} of {istiod.name}",
        action=Action.PROVE,
        istiod=istiod,
        gateways=gateways or (istiod,),
        proxy_image=proxy_image(releases[istiod]),
    )


async def follow_proofs(found: Iterable[Found], releases: Manifests, namespace: str, cluster: Cluster) -> None:
    """Follow what is to become ready, before anything is written.

    Args:
        namespace: The control plane's.

    Raises:
        ClusterError: The cluster cannot be reached, or refuses.
    """
    queries = observation.queries_for([release.namespace for release in releases], namespace)
    for release, manifests in releases.items():
        queries += observation.queries_of(release, manifests)
    queries += [observation.CRDS] if any(entry.wanted.ref.kind == observation.CRDS.kind for entry in found) else []
    await cluster.live.follow(queries)


def proved(progress: Progress) -> tuple[str, ...]:
    """Say what was proved, a sentence each."""
    return tuple(outcome.message for outcome in progress.outcomes if outcome.step.action is Action.PROVE)


def stale_gateways(releases: Manifests, live: Live) -> tuple[str, ...]:
    """Name the gateways whose pods run another proxy than istiod gives now: only a restart changes that."""
    said = []
    for release, manifests in releases.items():
        proxy = _proxy_of(release, releases) if release.kind.injected else ""
        pods = observation.pods_on_other_proxy(live, release, manifests, proxy) if proxy else []
        if pods:
            names = ", ".join(str(pod["metadata"]["name"]) for pod in pods)
            said.append(f"{release.name}: {names} runs another proxy than {proxy}. Run nksmesh install to restart it.")
    return tuple(said)


@handles(EndingStep)
async def await_ending(work: StepContext[EndingStep]) -> str:
    """Wait until what is being deleted is gone."""
    timeout, listener = work.runtime.waits.component, work.runtime.listener
    await await_end(work.step.refs, work.cluster, step=work.step.name, timeout=timeout, listener=listener)
    return ""


@handles(PutBackStep)
async def put_back(work: StepContext[PutBackStep]) -> str:
    """Put an object back, and take it into the view: its watch events may still be on the way."""
    wanted, objects = work.step.wanted, work.cluster.objects
    after = await put(wanted, await objects.get(wanted.ref), objects, dry_run=False)
    if wanted.ref.kind in {*ROLLOUT_KINDS, observation.CRDS.kind}:
        work.cluster.live.put(observation.query_for(wanted.ref), after)
    return "as its release defines it"


@handles(CrdsProofStep)
async def prove_crds(work: StepContext[CrdsProofStep]) -> str:
    """Wait until the CRDs are Established."""
    return await work.until_ready(lambda: observation.crds_established(work.cluster.live, work.step.names))


@handles(RolloutProofStep)
async def prove_rollout(work: StepContext[RolloutProofStep]) -> str:
    """Wait until the release is rolled out, pods that were made anew on istiod's proxy."""
    release, manifests, proxy = work.step.release, work.step.manifests, work.step.proxy_image
    live = work.cluster.live

    def judge() -> Readiness:
        if proxy:
            return observation.gateway_ready(live, release, manifests, proxy)
        return observation.rollout_of(live, release, manifests)

    return await work.until_ready(judge, release, manifests)
