"""``nksmesh check``: whether a mesh can be installed on a cluster, and whether the one that is there works."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Final, TypeVar

from nksmesh.commands.status import StatusResult, status
from nksmesh.domain.charts.releases import ISTIOD
from nksmesh.domain.checks import after_install, cluster, namespaces, network
from nksmesh.domain.checks.facts import InstalledFacts
from nksmesh.domain.checks.rule import Checked, Status, checked, judge
from nksmesh.domain.common.errors import CheckError, ConfigError, MeshError, UnreachableError
from nksmesh.domain.common.events import Event, EventKind
from nksmesh.domain.common.findings import Level
from nksmesh.domain.common.spelling import counted, perhaps
from nksmesh.domain.kube.images import proxy_image
from nksmesh.domain.kube.objects import ObjectRef
from nksmesh.domain.kube.workloads import without_releases
from nksmesh.domain.plan.plan import Plan
from nksmesh.engine import observation
from nksmesh.engine.checks import Reader, read_facts
from nksmesh.engine.crds import istio_crds
from nksmesh.engine.images import look_for_images, softened
from nksmesh.engine.planning import make_plan
from nksmesh.engine.request import MeshRequest
from nksmesh.engine.runtime import Runtime
from nksmesh.engine.workloads import injected_workloads

T = TypeVar("T")

CHECK_STEP: Final = "check"
RULES: Final = (*cluster.RULES, *network.RULES, *namespaces.RULES, *after_install.RULES)
GROUPS: Final = ("tools", "cluster", "network", "registry", "region", "mesh", "namespaces", "after-install")
"""The groups of rules, in the order in which they are shown."""

REACHABLE: Final = "cluster.reachable"
IMAGES: Final = "registry.images"
PLAN: Final = "mesh.plan"

_OF_PLANS: Final = {"images": "registry", "location": "region", "injection": "namespaces"}
"""Where what a plan finds belongs; all else of it is about the mesh."""

_PLANS: Final = frozenset({*_OF_PLANS, "balancer", "charts", "kube", "mesh", "version"})
"""How the ids of what a plan finds begin; docs/findings.md lists them."""

_LEFT_CRDS: Final = "mesh.left-crds"
_READY: Final = "after-install.ready"

_AFTER: Final = "after-install"
_PAUSE: Final = 5.0
"""Seconds after which it is looked again, though nothing of the mesh has changed: a registry tells nobody."""


@dataclass(frozen=True, kw_only=True)
class Choice:
    """Which rules are looked at.

    Attributes:
        before: Leave out what is about a mesh that is installed.
        only: Ids or groups to look at; all where empty.
        skip: Ids or groups to leave out.
    """

    before: bool = False
    only: tuple[str, ...] = ()
    skip: tuple[str, ...] = ()

    def takes(self, found: Checked) -> bool:
        """Tell whether what came of a rule is wanted."""
        group = group_of(found.id)
        names = {found.id, group}
        left_out = (self.before and group == _AFTER) or names.intersection(self.skip)
        return not left_out and (not self.only or bool(names.intersection(self.only)))

    def concerns(self, group: str) -> bool:
        """Tell whether anything of a group can be wanted."""
        return group not in self.skip and (not self.only or any(group_of(name) == group for name in self.only))

    def check(self) -> None:
        """Refuse what is neither a group nor the id of a check or of what a plan finds.

        Raises:
            ConfigError: It is neither.
        """
        ids = (*(rule.id for rule in RULES), REACHABLE, IMAGES, PLAN)
        for name in (*self.only, *self.skip):
            group, dot, _ = name.partition(".")
            if not dot and name not in GROUPS:
                raise ConfigError(f"there is no group of checks {name!r}", hint=perhaps(name, GROUPS, "groups"))
            if dot and name not in ids and group not in _PLANS:
                raise ConfigError(f"there is no check {name!r}", hint=perhaps(name, ids, "checks"))


@dataclass(frozen=True, kw_only=True)
class GroupResult:
    """What came of one group of rules."""

    group: str
    results: tuple[Checked, ...]


@dataclass(frozen=True, kw_only=True)
class CheckResult:
    """What came of all rules that were looked at, by group.

    Attributes:
        kubernetes: The cluster's version; empty where it cannot be reached.
        version: The Istio version that is meant; empty where no plan could be made.
        counts: How many results are ok, a warning, a failure.
    """

    kubernetes: str
    context: str
    version: str = ""
    groups: tuple[GroupResult, ...] = ()
    counts: dict[str, int]

    @property
    def failures(self) -> int:
        """How many results are failures."""
        return self.counts[Status.FAILURE]

    @property
    def exit_code(self) -> int:
        """7 where something failed; warnings do not count."""
        return CheckError.exit_code if self.failures else 0


def group_of(name: str) -> str:
    """Name the group that what came of a rule is shown in, by the rule's id."""
    first = name.partition(".")[0]
    group = _OF_PLANS.get(first, first)
    return group if group in GROUPS else "mesh"


async def check(request: MeshRequest, runtime: Runtime, choice: Choice, *, wait: float = 0.0) -> CheckResult:
    """Look at a cluster by all rules that were chosen.

    Args:
        request: The mesh that is meant; omitted settings are as installed.
        wait: Seconds for which it is looked again until no rule fails.

    Raises:
        ConfigError: There is no Helm.
        ClusterError: The connection to the cluster was lost while it was looked at.
    """
    clock = asyncio.get_running_loop().time
    deadline = clock() + wait
    while True:
        version = runtime.cluster.live.version
        result = await _look(request, runtime, choice)
        left = deadline - clock()
        if not result.failures or left <= 0:
            return result
        words = f"{counted(result.failures, 'failed check')} to pass"
        runtime.listener(Event(step=CHECK_STEP, kind=EventKind.WAITING, message=words))
        await runtime.cluster.live.changed(version, min(left, _PAUSE))


async def _look(request: MeshRequest, runtime: Runtime, choice: Choice) -> CheckResult:
    reader, context = Reader(runtime.cluster), runtime.cluster.context
    try:
        kubernetes = await runtime.cluster.version()
    except UnreachableError as error:
        return _result(CheckResult(kubernetes="", context=context, counts={}), [_failed(REACHABLE, error)], choice)
    plan, facts, installed = await asyncio.gather(
        _tried(make_plan(request, runtime)),
        read_facts(reader, runtime.cluster, runtime.helm),
        _nothing() if choice.before else _tried(_installed(runtime, request.options.namespace)),
    )
    facts = replace(facts, unknown=reader.unknown)
    found = [Checked(id=REACHABLE, status=Status.OK, message=f"the API server answers: Kubernetes {kubernetes}")]
    if isinstance(installed, MeshError):
        found.append(_failed(_READY, installed))
    else:
        facts = replace(facts, installed=installed)
    version = ""
    if isinstance(plan, MeshError):
        found.append(_failed(PLAN, plan))
    else:
        version = plan.mesh.version
        denied, more, images, left = await asyncio.gather(
            reader.denied(plan.releases),
            reader.daemon_sets(plan.mesh.namespace),
            _tried(_images(plan, runtime)) if choice.concerns("registry") else _nothing(),
            _tried(_left_crds(plan, runtime)),
        )
        if isinstance(left, MeshError):
            found.append(Checked(id=_LEFT_CRDS, status=Status.WARNING, message=f"not checked: {left.message}"))
        else:
            facts = replace(facts, left_crds=left)
        if facts.daemon_sets is not None:
            facts = replace(facts, daemon_sets=(*facts.daemon_sets, *(more or ())))
        facts = replace(facts, denied=denied, mesh=plan.mesh, changes=plan.releases)
        found += [_failed(IMAGES, images)] if isinstance(images, MeshError) else images or ()
        found += _of_plan(plan)
    bare = CheckResult(kubernetes=kubernetes, context=context, version=version, counts={})
    return _result(bare, [*found, *judge(RULES, facts)], choice)


def _result(bare: CheckResult, found: Iterable[Checked], choice: Choice) -> CheckResult:
    wanted = [result for result in found if choice.takes(result)]
    groups = {group: tuple(result for result in wanted if group_of(result.id) == group) for group in GROUPS}
    counts = Counter(result.status for result in wanted)
    return replace(
        bare,
        groups=tuple(GroupResult(group=group, results=results) for group, results in groups.items() if results),
        counts={status.value: counts[status] for status in Status},
    )


def _failed(name: str, error: MeshError) -> Checked:
    return Checked(id=name, status=Status.FAILURE, message=error.message, hint=error.hint)


async def _tried(reading: Awaitable[T]) -> T | MeshError:
    """Return what is read, or what keeps it from being read: that is what came of the rule about it."""
    try:
        return await reading
    except UnreachableError:
        raise
    except MeshError as error:
        return error


def _of_plan(plan: Plan) -> Iterator[Checked]:
    steps = sum(step.changes for step in plan.steps)
    changing = f"{counted(steps, 'step changes', 'steps change')} something" if steps else "nothing is to be changed"
    yield Checked(id=PLAN, status=Status.OK, message=f"an install can be planned: {changing}")
    yield from (checked(finding) for finding in plan.findings if finding.level is not Level.NOTE)


async def _images(plan: Plan, runtime: Runtime) -> tuple[Checked, ...]:
    """Look for all images of the mesh, with the pods' login."""
    images = await look_for_images(plan.releases.values(), plan.mesh, runtime)
    findings = softened((finding for image in images for finding in image.findings), "--skip registry")
    found = tuple({finding.message: checked(finding) for finding in findings}.values())
    pulled = sum(image.found is not None for image in images)
    words = f"{counted(pulled, 'image')} of {plan.mesh.hub} can be pulled"
    return (*found, Checked(id=IMAGES, status=Status.OK, message=words)) if pulled else found


async def _left_crds(plan: Plan, runtime: Runtime) -> tuple[str, ...]:
    """Name Istio's CRDs where no mesh is recorded and Helm has no release of one."""
    if plan.recorded is not None or any(change.installed for change in plan.releases.values()):
        return ()
    return tuple(str(crd["metadata"]["name"]) for crd in await istio_crds(runtime.cluster.objects))


async def _installed(runtime: Runtime, namespace: str) -> InstalledFacts | None:
    """Look at the mesh that is there; None where there is none."""
    found = await status(runtime.cluster, runtime.helm, namespace)
    if not found.releases:
        return None
    certificate = ObjectRef("v1", "ConfigMap", observation.ROOT_CERT, found.installation.namespace)
    root, workloads = await asyncio.gather(
        runtime.cluster.objects.get(certificate), injected_workloads(runtime.cluster)
    )
    pem = ((root or {}).get("data") or {}).get("root-cert.pem", "")
    record = found.installation.record
    return InstalledFacts(
        namespace=found.installation.namespace,
        version=record.settings.version if record else "",
        proxy_image=_proxy(found, runtime),
        readiness={row.release: row.readiness for row in found.releases},
        gone=found.installation.gone,
        root_ends=runtime.cluster.certificate_ends(pem),
        workloads=without_releases(workloads, tuple(found.installation.releases)),
    )


def _proxy(found: StatusResult, runtime: Runtime) -> str:
    """Return the proxy image that istiod injects; empty where there are several, and a workload may be on either."""
    istiods = [row for row in found.releases if row.release.component == ISTIOD.name]
    return proxy_image(runtime.helm.parse(istiods[0].installed.manifest)) if len(istiods) == 1 else ""


async def _nothing() -> None:
    return None
