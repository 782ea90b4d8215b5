"""``nksmesh check``: whether a mesh can be installed on a cluster, and whether the one that is there works."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Final

from nksmesh.commands.status import StatusResult, status
from nksmesh.domain.charts.releases import ISTIOD
from nksmesh.domain.checks import after_install, cluster, namespaces, network
from nksmesh.domain.checks.facts import InstalledFacts
from nksmesh.domain.checks.rule import Checked, Status, checked, judge
from nksmesh.domain.common.errors import CheckError, ConfigError, MeshError, UnreachableError
from nksmesh.domain.common.events import Event, EventKind
from nksmesh.domain.common.findings import Level
from nksmesh.domain.common.spelling import counted
from nksmesh.domain.kube.images import proxy_image
from nksmesh.domain.kube.objects import ObjectRef
from nksmesh.domain.kube.workloads import without_releases
from nksmesh.domain.plan.plan import Plan
from nksmesh.engine import observation
from nksmesh.engine.checks import Reader, read_facts
from nksmesh.engine.crds import istio_crds
from nksmesh.engine.images import look_for_images
from nksmesh.engine.planning import make_plan
from nksmesh.engine.request import MeshRequest
from nksmesh.engine.runtime import Runtime
from nksmesh.engine.workloads import injected_workloads

CHECK_STEP: Final = "check"
RULES: Final = (*cluster.RULES, *network.RULES, *namespaces.RULES, *after_install.RULES)
GROUPS: Final = ("tools", "cluster", "network", "registry", "region", "mesh", "namespaces", "after-install")
"""The groups of rules, in the order in which they are shown."""

REACHABLE: Final = "cluster.reachable"
IMAGES: Final = "registry.images"
PLAN: Final = "mesh.plan"

_OF_PLANS: Final = {"images": "registry", "location": "region", "injection": "namespaces"}
"""Where what a plan finds belongs; all else of it is about the mesh."""

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
        group = group_of(found)
        names = {found.id, group}
        left_out = (self.before and group == _AFTER) or names.intersection(self.skip)
        return not left_out and (not self.only or bool(names.intersection(self.only)))

    def check(self) -> None:
        """Refuse what is neither a group nor written as a rule's id.

        Raises:
            ConfigError: It is neither.
        """
        for name in (*self.only, *self.skip):
            if name not in GROUPS and "." not in name:
                raise ConfigError(f"there is no group of checks {name!r}", hint=f"The groups are {', '.join(GROUPS)}.")


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


def group_of(found: Checked) -> str:
    """Name the group that what came of a rule is shown in."""
    group = _OF_PLANS.get(found.group, found.group)
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
        words = f"{counted(result.failures, 'failure')} to be over"
        runtime.listener(Event(step=CHECK_STEP, kind=EventKind.WAITING, message=words))
        await runtime.cluster.live.changed(version, min(left, _PAUSE))


async def _look(request: MeshRequest, runtime: Runtime, choice: Choice) -> CheckResult:
    reader, context = Reader(runtime.cluster), runtime.cluster.context
    try:
        kubernetes = await runtime.cluster.version()
    except UnreachableError as error:
        return _result(CheckResult(kubernetes="", context=context, counts={}), [_failed(REACHABLE, error)], choice)
    plan, facts, installed = await asyncio.gather(
        _planned(request, runtime),
        read_facts(reader, runtime.cluster, runtime.helm),
        _nothing() if choice.before else _installed(runtime, request.options.namespace),
    )
    facts = replace(facts, installed=installed, unknown=reader.unknown)
    found = [Checked(id=REACHABLE, status=Status.OK, message=f"the API server answers: Kubernetes {kubernetes}")]
    version = ""
    if isinstance(plan, MeshError):
        found.append(_failed(PLAN, plan))
    else:
        version = plan.mesh.version
        denied, images, left = await asyncio.gather(
            reader.denied(plan.releases), _images(plan, runtime), _left_crds(plan, runtime)
        )
        facts = replace(facts, denied=denied, left_crds=left, mesh=plan.mesh, changes=plan.releases)
        found += [*images, *_of_plan(plan)]
    bare = CheckResult(kubernetes=kubernetes, context=context, version=version, counts={})
    return _result(bare, [*found, *judge(RULES, facts)], choice)


def _result(bare: CheckResult, found: Iterable[Checked], choice: Choice) -> CheckResult:
    wanted = [result for result in found if choice.takes(result)]
    groups = {group: tuple(result for result in wanted if group_of(result) == group) for group in GROUPS}
    counts = Counter(result.status for result in wanted)
    return replace(
        bare,
        groups=tuple(GroupResult(group=group, results=results) for group, results in groups.items() if results),
        counts={status.value: counts[status] for status in Status},
    )


def _failed(name: str, error: MeshError) -> Checked:
    return Checked(id=name, status=Status.FAILURE, message=error.message, hint=error.hint)


async def _planned(request: MeshRequest, runtime: Runtime) -> Plan | MeshError:
    """Plan an install; what keeps it from being planned is what came of the rule about it."""
    try:
        return await make_plan(request, runtime)
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
    found = tuple({finding.message: checked(finding) for image in images for finding in image.findings}.values())
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
