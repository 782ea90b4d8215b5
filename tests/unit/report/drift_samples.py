"""Results of ``nksmesh drift`` and ``repair``."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from nksmesh.commands.drift.apply import Wanted
from nksmesh.commands.drift.drift import DriftResult, Found, NotLookedAt, Survey
from nksmesh.commands.repair.repair import RepairPlan, RepairResult
from nksmesh.domain.charts.installed import InstalledRelease
from nksmesh.domain.charts.releases import Release
from nksmesh.domain.drift.drift import Change, ObjectDrift
from nksmesh.domain.kube.objects import ObjectRef
from nksmesh.engine.discovery import Installation

BASE: Final = Release(component="base", name="istio-base", namespace="istio-system")
ISTIOD: Final = Release(component="istiod", name="istiod", namespace="istio-system")
INSTALLATION: Final = Installation(
    namespace="istio-system",
    releases={
        ISTIOD: InstalledRelease(
            name="istiod",
            namespace="istio-system",
            helm_revision=2,
            status="deployed",
            chart="istiod",
            chart_version="1.20.0",
        )
    },
)
WITHOUT_BASE: Final = replace(INSTALLATION, gone=(BASE,))
DISCOVERY: Final = "spec.template.spec.containers[discovery]"


def found(
    ref: ObjectRef, change: Change, *fields: str, owner: Release | None = ISTIOD, lines: str = "", added: str = ""
) -> Found:
    """Show an object that is not as it should be."""
    return Found(
        wanted=Wanted(ref=ref, manifest={}, owner=owner, chart_version="1.20.0"),
        drift=ObjectDrift(
            ref=ref,
            release=owner.name if owner else "",
            change=change,
            fields=fields,
            added={added: "kubectl-edit"} if added else {},
            lines=tuple(lines.splitlines()),
        ),
    )


SURVEY: Final = Survey(
    looked=52,
    found=(
        found(
            ObjectRef("apiextensions.k8s.io/v1", "CustomResourceDefinition", "gateways.networking.istio.io"),
            Change.DIFFERS,
            "spec.names.shortNames",
            owner=None,
            lines="@@ -1 +1 @@\n-    - mine\n+    - gw",
        ),
        found(
            ObjectRef("apps/v1", "Deployment", "istiod", "istio-system"),
            Change.DIFFERS,
            "metadata.labels.istio",
            f"{DISCOVERY}.args",
            f"{DISCOVERY}.env[PILOT_ADDED]",
            f"{DISCOVERY}.image",
            "spec.template.spec.hostNetwork",
            added="spec.template.spec.hostNetwork",
            lines="@@ -1 +1 @@\n-  replicas: 2  # [x]\n+  replicas: 1",
        ),
        found(ObjectRef("v1", "ConfigMap", "istio", "istio-system"), Change.MISSING, lines="+kind: ConfigMap"),
    ),
)
UNSEEN: Final = NotLookedAt(ref=ObjectRef("v1", "Service", "istiod", "istio-system"), why='User "kim" cannot patch it')
PLAN: Final = RepairPlan(installation=INSTALLATION, survey=SURVEY, others=1)
REFUSED: Final = replace(SURVEY.found[1], drift=replace(SURVEY.found[1].drift, refusal="spec.selector: immutable"))


def drift_samples() -> dict[str, Any]:
    """Results by command."""
    return {
        "drift": DriftResult(installation=INSTALLATION, survey=SURVEY, diff=True, exit_code=10),
        "repair": RepairResult(
            plan=PLAN,
            repaired=tuple(one.drift.ref for one in SURVEY.found),
            proved=("14 CRDs are Established", "Deployment istiod is available"),
            said=("istio-ingressgateway: pod edge-1 runs another proxy. Run nksmesh install to restart it.",),
        ),
    }


def more_drift_samples() -> dict[str, Any]:
    """Other ways to end."""
    return {
        "drift, none": DriftResult(installation=INSTALLATION, survey=Survey(looked=52)),
        "drift, no mesh": DriftResult(installation=Installation(namespace="istio-system", releases={})),
        "drift, a release is gone": DriftResult(installation=WITHOUT_BASE, survey=Survey(looked=52), exit_code=10),
        "drift, in part": DriftResult(
            installation=WITHOUT_BASE,
            survey=replace(SURVEY, found=(REFUSED,), unseen=(UNSEEN,), notes=("the CRDs were not looked at",)),
        ),
        "drift, none of what was seen": DriftResult(
            installation=INSTALLATION, survey=Survey(looked=51, unseen=(UNSEEN,))
        ),
        "drift, nothing seen": DriftResult(installation=INSTALLATION, survey=Survey(unseen=(UNSEEN,))),
        "repair, asked": PLAN,
        "repair, not agreed": RepairResult(plan=PLAN, agreed=False),
        "repair, nothing to do": RepairResult(
            plan=RepairPlan(installation=WITHOUT_BASE, survey=Survey(looked=52)),
        ),
        "repair, no mesh": RepairResult(
            plan=RepairPlan(installation=Installation(namespace="istio-system", releases={}), survey=Survey()),
        ),
    }
