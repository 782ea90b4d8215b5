"""How a canary ends: what is shown before it does, what came of it, and that no more is done than was shown."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from nksmesh.commands.canary.status import CanaryStatus
from nksmesh.commands.install import InstallResult
from nksmesh.domain.common.data import data_of
from nksmesh.domain.common.errors import ClusterError, MeshError
from nksmesh.domain.kube.restarts import RestartResult
from nksmesh.domain.kube.workloads import Workload
from nksmesh.engine.executor.step_context import Progress

CANARY_STEP: Final = "canary"


@dataclass(frozen=True, kw_only=True)
class EndPlan:
    """What the end of a canary would do.

    Attributes:
        promote: It becomes the mesh's own istiod; else it goes.
        status: Who is on which Istio revision now.
        staying: The istiod that stays, in words.
        going: The release that is removed.
        returning: Namespaces that get the labels they had.
        restarting: Workloads that are restarted.
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

    def beyond(self, shown: EndPlan) -> tuple[str, ...]:
        """Name what this plan does and an earlier one did not say."""
        return (
            *([f"{self.going} is removed, {self.staying} stays"] if self._ends != shown._ends else []),
            *(f"{one} gets new pods" for one in map(str, self._rolled) if one not in map(str, shown._rolled)),
            *(f"namespace {one} gets its former labels back" for one in self.returning if one not in shown.returning),
            *(f"{one} is restarted" for one in map(str, self.restarting) if one not in map(str, shown.restarting)),
            *(f"{one} keeps its proxy" for one in map(str, self.left) if one not in map(str, shown.left)),
            *(f"namespace {one} stays labelled" for one in self.stranded if one not in shown.stranded),
        )

    def refusal(self, more: str) -> ClusterError:
        """Make the error that says what goes beyond what was shown."""
        verb = "promoting" if self.promote else "removing"
        return ClusterError(
            f"{verb} the canary would now do more than was shown: {more}; nothing was changed",
            hint="Run the same command again to see everything it does.",
        )

    @property
    def _ends(self) -> tuple[str, str]:
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
class EndResult:
    """What the end of a canary did.

    Attributes:
        plan: What was to be done.
        agreed: Whether the user agreed to it; nothing was done where not.
        installed: What came of the mesh's plan; None where nothing was done.
        restarts: What came of the workloads.
        newer: What stays at the later version, in sentences.
    """

    plan: EndPlan
    agreed: bool = True
    installed: InstallResult | None = None
    restarts: RestartResult = field(default_factory=RestartResult)
    newer: tuple[str, ...] = ()

    @property
    def warnings(self) -> tuple[str, ...]:
        """What still runs the proxy of the istiod that went."""
        left = tuple(f"{one} runs the proxy of {self.plan.going}, which is gone: restart it" for one in self.plan.left)
        stranded = tuple(
            f"namespace {name} is labelled for {self.plan.going}, which is gone: label it otherwise"
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
