"""What proves that a repair holds: rollouts that it caused are ready, the injector answers, CRDs are Established."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final

from nksmesh.commands.drift.apply import Wanted
from nksmesh.commands.drift.drift import Found
from nksmesh.domain.charts.releases import ISTIOD, Release
from nksmesh.domain.common.events import Event, EventKind
from nksmesh.domain.kube.images import proxy_image
from nksmesh.domain.kube.objects import Manifest
from nksmesh.domain.kube.readiness import Readiness
from nksmesh.domain.kube.workloads import ROLLOUT_KINDS
from nksmesh.engine import observation
from nksmesh.engine.discovery import Installation
from nksmesh.engine.executor.gate import Gate, Probe, pass_gate
from nksmesh.engine.executor.retries import Before
from nksmesh.engine.runtime import Runtime
from nksmesh.engine.waiting import Wait, wait_until_ready

_GATE_STEP: Final = "injection webhook"
_TEMPLATE: Final = "spec.template"


class RepairVerifier:
    """The proofs of one repair."""

    def __init__(self, installation: Installation, runtime: Runtime) -> None:
        """Prepare; ``begin`` follows what the proofs need."""
        self._releases = {release: runtime.helm.parse(one.manifest) for release, one in installation.releases.items()}
        self._namespace = installation.namespace
        self._runtime = runtime
        self._before = Before()

    async def begin(self, wanted: Iterable[Wanted]) -> None:
        """Follow what is to become ready, before anything is written."""
        namespaces = [release.namespace for release in self._releases]
        queries = observation.queries_for(namespaces, self._namespace)
        for release, manifests in self._releases.items():
            queries += observation.queries_of(release, manifests)
        queries += [observation.CRDS] if any(one.ref.kind == observation.CRDS.kind for one in wanted) else []
        await self._runtime.cluster.live.follow(queries)
        self._before = Before.of(self._releases.items(), self._runtime.cluster.live)

    def written(self, wanted: Wanted, after: Manifest) -> None:
        """Take what was written into the view: its watch events may still be on the way."""
        if wanted.ref.kind in ROLLOUT_KINDS:
            self._runtime.cluster.live.put(observation.query_for(wanted.ref), after)
        elif wanted.ref.kind == observation.CRDS.kind:
            self._runtime.cluster.live.put(observation.CRDS, after)

    async def prove(self, put_back: Sequence[Found]) -> list[str]:
        """Wait until what was put back is ready.

        Returns:
            What was proved, a sentence each.

        Raises:
            NotReadyError: It cannot become ready, or its time is over.
        """
        live = self._runtime.cluster.live
        proved = []
        crds = [one.drift.ref.name for one in put_back if one.drift.ref.kind == observation.CRDS.kind]
        if crds:
            proved.append(await self._wait("CRDs", lambda: observation.crds_established(live, crds)))
        for release, manifests in self._releases.items():
            some = [one for one in put_back if one.wanted.owner == release]
            rolled = [one for one in some if one.drift.ref.kind in ROLLOUT_KINDS]
            if rolled:
                proved.append(await self._wait(release.name, self._judge(release, rolled), release))
            if some and release.component == ISTIOD.name:
                proved.append(await self._pass_gate(release, manifests))
        return proved

    def stale(self) -> list[str]:
        """Name the gateways whose pods run another proxy than istiod gives now: only a restart changes that."""
        live, said = self._runtime.cluster.live, []
        for release, manifests in self._releases.items():
            proxy = self._proxy_of(release) if release.kind.injected else ""
            pods = observation.pods_on_other_proxy(live, release, manifests, proxy) if proxy else []
            if pods:
                names = ", ".join(str(pod["metadata"]["name"]) for pod in pods)
                said.append(f"{release.name}: {names} runs another proxy than {proxy}: nksmesh install restarts it")
        return said

    def _judge(self, release: Release, rolled: Sequence[Found]) -> Callable[[], Readiness]:
        """Judge a rollout; pods that the repair made anew must be on istiod's proxy, too."""
        live, manifests = self._runtime.cluster.live, self._releases[release]
        anew = any(
            not one.drift.fields or any(field.startswith(_TEMPLATE) for field in one.drift.fields) for one in rolled
        )
        proxy = self._proxy_of(release)
        if release.kind.injected and anew and proxy:
            return lambda: observation.gateway_ready(live, release, manifests, proxy)
        return lambda: observation.rollout_of(live, release, manifests)

    def _proxy_of(self, gateway: Release) -> str:
        """Return the proxy image that a gateway's istiod gives it: the one of its Istio revision, or else the first."""
        istiods = [release for release in self._releases if release.component == ISTIOD.name]
        own = next((one for one in istiods if one.istio_revision == gateway.istio_revision), None)
        chosen = own or next(iter(istiods), None)
        return proxy_image(self._releases[chosen]) if chosen else ""

    async def _pass_gate(self, istiod: Release, manifests: tuple[Manifest, ...]) -> str:
        gateways = [release for release in self._releases if release.kind.injected]
        alone = len([release for release in self._releases if release.component == ISTIOD.name]) == 1
        gate = Gate(
            step=_GATE_STEP,
            istiod=istiod,
            probes=tuple(
                dict.fromkeys(
                    Probe(one.namespace, one.istio_revision if gateways and alone else istiod.istio_revision)
                    for one in gateways or [istiod]
                )
            ),
            proxy_image=proxy_image(manifests),
        )
        self._tell(_GATE_STEP, EventKind.STARTED, "prove")
        passed = await pass_gate(gate, self._runtime)
        self._tell(_GATE_STEP, EventKind.DONE, passed)
        return passed

    async def _wait(self, step: str, judge: Callable[[], Readiness], release: Release | None = None) -> str:
        live = self._runtime.cluster.live
        wait = Wait(
            step=step,
            judge=judge,
            troubles=lambda: (
                self._before.troubles_of(live, release, self._releases[release]) if release is not None else []
            ),
        )
        self._tell(step, EventKind.STARTED, "prove")
        proved = await wait_until_ready(
            wait, live, self._runtime.cluster.objects, waits=self._runtime.waits, listener=self._runtime.listener
        )
        self._tell(step, EventKind.DONE, proved)
        return proved

    def _tell(self, step: str, kind: EventKind, message: str) -> None:
        self._runtime.listener(Event(step=step, kind=kind, message=message))
