"""What promoting or aborting a canary would do, what it did, and what it refuses.

An istiod stays while workloads are on it, or namespaces are labelled for it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any, Final

from nksmesh.commands.canary.status import CanaryStatus, NamespaceStatus
from nksmesh.commands.install import InstallResult
from nksmesh.domain.charts.releases import Release
from nksmesh.domain.common.data import data_of
from nksmesh.domain.common.errors import MeshError
from nksmesh.domain.common.findings import Finding, refuse_failures
from nksmesh.domain.common.spelling import counted
from nksmesh.domain.kube.restarts import RestartResult
from nksmesh.domain.kube.workloads import Workload
from nksmesh.domain.mesh.revisions import INJECTION_LABEL, REVISION_LABEL
from nksmesh.engine.executor.step_context import Progress

CANARY_STEP: Final = "canary"


@dataclass(frozen=True, kw_only=True)
class CanaryPlan:
    """What promoting or aborting a canary would do.

    Attributes:
        promote: It becomes the mesh's own istiod; else it goes.
        status: Who is on which Istio revision now.
        staying: The istiod that stays, in words.
        going: The release that is removed.
        returning: Namespaces that get the labels they had.
        left: Workloads that keep the proxy, and lose the istiod, of the release that goes.
        stranded: Namespaces that stay labelled for the release that goes.
        restart: Workloads that follow the default are restarted where they were not moved.
        force: Both are left as they are, and so is whatever cannot be restarted.
    """

    promote: bool
    status: CanaryStatus
    staying: str
    going: str
    returning: tuple[str, ...] = ()
    restarting: tuple[Workload, ...] = ()
    left: tuple[Workload, ...] = ()
    stranded: tuple[str, ...] = ()
    restart: bool = False
    force: bool = False

    @property
    def empty(self) -> bool:
        """Whether there is nothing to do: never, for a plan of nothing is not made."""
        return False

    def beyond(self, shown: CanaryPlan) -> tuple[str, ...]:
        """Name what this plan does and an earlier one did not say."""
        back = self.returning
        return (
            *([f"{self.going} is removed, {self.staying} stays"] if self._istiods != shown._istiods else []),
            *(f"{name} gets new pods" for name in map(str, self._rolled) if name not in map(str, shown._rolled)),
            *(f"namespace {name} gets its former labels back" for name in back if name not in shown.returning),
            *(f"{name} is restarted" for name in map(str, self.restarting) if name not in map(str, shown.restarting)),
            *(f"{name} keeps its proxy" for name in map(str, self.left) if name not in map(str, shown.left)),
            *(f"namespace {name} stays labelled" for name in self.stranded if name not in shown.stranded),
        )

    @property
    def more(self) -> tuple[str, str]:
        """What it would do more of, and what was not done."""
        return f"{'promoting' if self.promote else 'removing'} the canary would now do", "changed"

    @property
    def _istiods(self) -> tuple[str, str]:
        return self.staying, self.going

    @property
    def _rolled(self) -> tuple[Workload, ...]:
        return self.status.gateways if self.promote else ()

    def json_form(self) -> dict[str, Any]:
        """Return what JSON has: the workloads in words, and not how it was asked for."""
        return {
            "promote": self.promote,
            "staying": self.staying,
            "going": self.going,
            "gateways": [str(workload) for workload in self.status.gateways],
            "returning": self.returning,
            "restarting": [str(workload) for workload in self.restarting],
            "left": [str(workload) for workload in self.left],
            "stranded": self.stranded,
        }


@dataclass(frozen=True, kw_only=True)
class CanaryResult:
    """What promoting or aborting a canary did.

    Attributes:
        agreed: Whether the user agreed to it; nothing was done where not.
        installed: What came of the mesh's plan; None where nothing was done.
        newer: What stays at the later version, in sentences.
    """

    plan: CanaryPlan
    agreed: bool = True
    installed: InstallResult | None = None
    restarts: RestartResult = field(default_factory=RestartResult)
    newer: tuple[str, ...] = ()

    @property
    def warnings(self) -> tuple[str, ...]:
        """What still runs the proxy of the istiod that went."""
        left = tuple(
            f"{workload} still runs the proxy of {self.plan.going}, which was removed: restart it"
            for workload in self.plan.left
        )
        stranded = tuple(
            f"namespace {name} is labelled for {self.plan.going}, which was removed: change its label"
            for name in self.plan.stranded
        )
        return (*self.restarts.warnings, *((*left, *stranded) if self.installed else ()))

    @property
    def errors(self) -> tuple[MeshError, ...]:
        """What failed to restart."""
        return self.restarts.errors

    def json_form(self) -> dict[str, Any]:
        """Return what JSON has: the plan's keys, and what came of the install in parts."""
        progress = self.installed.progress if self.installed else Progress()
        return {
            **data_of(self.plan),
            "agreed": self.agreed,
            "version": self.installed.plan.mesh.version if self.installed else "",
            "steps": progress.outcomes,
            "addresses": progress.addresses,
            "restarts": self.restarts.restarts,
            "newer": self.newer,
        }


def names_one_of(namespace: NamespaceStatus, names: Collection[str]) -> bool:
    """Tell whether a namespace is labelled for an Istio revision or a tag; ``istio-injection`` has precedence."""
    return INJECTION_LABEL not in namespace.labels and namespace.labels.get(REVISION_LABEL) in names


def plan_removal(
    found: CanaryStatus,
    *,
    promote: bool,
    istiods: tuple[Release, Release],
    uses: Callable[[Workload], bool],
    pinned: Callable[[NamespaceStatus], bool],
    restart: bool,
    force: bool,
    hint: str,
) -> CanaryPlan:
    """Plan the removal of an istiod: who is restarted, who is left on it.

    Args:
        istiods: The one that stays, and the one that goes.
        uses: Whether a workload runs the proxy of the one that goes.
        pinned: Whether a namespace's labels name the one that goes, and do not change.
        restart: Workloads that a restart takes off it are restarted.
        force: Go on where somebody is left on it.
        hint: What else they can do.

    Raises:
        CheckError: Somebody is left on it.
    """
    staying, going = (istiod.name for istiod in istiods)
    restarting, left, stranded = list[Workload](), list[Workload](), list[str]()
    for namespace in found.namespaces:
        workloads = [workload for workload in namespace.workloads if uses(workload)]
        stays = pinned(namespace)
        if stays and not workloads:
            stranded.append(namespace.name)
        for workload in workloads:
            if stays or not workload.kept_by_istiod:  # what istiod keeps itself follows the default
                (restarting if restart and workload.restartable and not stays else left).append(workload)
    if not force:
        refuse_failures(_check_left(left, stranded, going, hint=hint))
    return CanaryPlan(
        promote=promote,
        status=found,
        staying=staying,
        going=going,
        returning=tuple(namespace.name for namespace in found.namespaces if namespace.moved),
        restarting=tuple(restarting),
        left=tuple(left),
        stranded=tuple(stranded),
        restart=restart,
        force=force,
    )


def _check_left(left: Collection[Workload], stranded: Collection[str], going: str, *, hint: str) -> tuple[Finding, ...]:
    """Judge the removal of an istiod: a failure where somebody is on it.

    Args:
        left: Workloads that no restart of the run's takes off it.
        stranded: Namespaces that are labelled for it, and whose new pods would get no proxy.
        going: The istiod's release.
    """
    said = []
    if left:
        workloads = counted(len(left), "workload is", "workloads are")
        said.append(f"{workloads} still on {going}, which would be removed")
    if stranded:
        namespaces = counted(len(stranded), "namespace is", "namespaces are")
        said.append(f"{namespaces} labelled for {going}: new pods would get no proxy")
    if not said:
        return ()
    words = [f"{workload}: {workload.not_restartable}".removesuffix(": ") for workload in left]
    detail = "\n".join((*words, *(f"Namespace {name}" for name in stranded)))
    message = "; ".join(said)
    return (Finding(id="canary.istiod-in-use", message=message, hint=hint, detail=detail),)


def check_restarted(restarts: RestartResult, going: str) -> tuple[Finding, ...]:
    """Judge the restarts before the removal of an istiod: a failure where a workload did not come off it."""
    finding = Finding(
        id="canary.not-restarted",
        subject=going,
        message=f"{going} stays, because some workloads still use it",
        hint="Restart the workloads as their messages say and run the same command again, "
        "or pass --force to leave them.",
        detail="\n".join(restarts.warnings),
    )
    return () if restarts.complete else (finding,)
