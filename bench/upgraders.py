"""Who upgrades: nksmesh, and a careful hand that does with kubectl and Helm all that an upgrade takes."""

from __future__ import annotations

import shlex
import shutil
from dataclasses import dataclass
from typing import Final, Protocol

from bench.contenders import REGION, PlainHelm, Ran, chart, timed
from bench.stage import MeasureError, Stage

OLD: Final = "1.19.0"
NEW: Final = "1.20.0"

_PROFILE: Final = "default"
_GATEWAY: Final = "istio-ingressgateway"
_NAMESPACE: Final = "istio-system"


class Upgrader(Protocol):
    """Upgrades a mesh of its own making."""

    @property
    def name(self) -> str:
        """Its name in the results."""

    def install(self) -> None:
        """Install the old version; not timed."""

    def upgrade(self) -> Ran:
        """Upgrade to the new one."""


@dataclass(frozen=True)
class NksmeshUpgrade:
    """``nksmesh upgrade``, driving one Helm, and what looks at its mesh; started as its user does, unless told how."""

    stage: Stage
    helm: int
    program: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Its name in the results."""
        return f"nksmesh upgrade driving Helm {self.helm}"

    def install(self) -> None:
        """Install the old version."""
        self._run("install", "--region", REGION, "--version", OLD, "--profile", _PROFILE)

    def upgrade(self) -> Ran:
        """Upgrade in place; everything else is as installed."""
        return self._run("upgrade", "--to", NEW)

    def status(self) -> Ran:
        """Look at the mesh."""
        return self._run("status", charts=False)

    def plan(self) -> Ran:
        """Plan the upgrade."""
        return self._run("plan", "--to", NEW)

    def go_back(self) -> None:
        """Undo the upgrade; not timed."""
        self._run("rollback", "--yes", charts=False)

    def _run(self, *arguments: str, charts: bool = True) -> Ran:
        command = [*(self.program or self.stage.nksmesh), *arguments]
        command += ["--charts", str(self.stage.charts)] if charts else []
        return timed([*command, "--helm", str(self.stage.helm[self.helm])], self.stage.environment, self.stage.folder)


@dataclass(frozen=True)
class CarefulHand:
    """CRDs by kubectl, the releases by ``helm upgrade --wait``, then the gateway restarted and watched."""

    stage: Stage
    helm: int

    @property
    def name(self) -> str:
        """Its name in the results."""
        return f"a careful hand with Helm {self.helm}"

    def install(self) -> None:
        """Install the old version with Helm alone, CRDs included."""
        helm = PlainHelm(self.stage, self.helm)
        helm.run(helm.commands(_PROFILE, OLD))

    def upgrade(self) -> Ran:
        """Do what the guides leave to the reader.

        Raises:
            MeasureError: There is no kubectl.
        """
        kubectl = shutil.which("kubectl", path=self.stage.environment.get("PATH"))
        if kubectl is None:
            raise MeasureError("a careful hand needs kubectl: put one on PATH")
        helm = PlainHelm(self.stage, self.helm)
        crds = shlex.join([str(self.stage.helm[self.helm]), "show", "crds", str(chart(self.stage.charts, "base", NEW))])
        # Helm made the CRDs, so that their fields are Helm's.
        apply = shlex.join([kubectl, "apply", "--server-side", "--force-conflicts", "--filename", "-"])
        rollout = [kubectl, "--namespace", _NAMESPACE, "rollout"]
        return helm.run(
            [
                f"{crds} | {apply}",
                *helm.commands(_PROFILE, NEW),
                shlex.join([*rollout, "restart", f"deployment/{_GATEWAY}"]),
                shlex.join([*rollout, "status", f"deployment/{_GATEWAY}"]),
            ]
        )
