"""Disruption: how many pods a restart may take down at once, against what PodDisruptionBudgets allow.

The eviction API keeps to budgets; a rollout does not, so whoever begins one has to ask them. The rules of the
strategies are those of Kubernetes' own controllers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from nksmesh.domain.common.spelling import counted
from nksmesh.domain.kube.objects import Manifest

_QUARTER: Final = "25%"
"""What a Deployment's maxUnavailable and maxSurge are where it does not say."""


@dataclass(frozen=True)
class Obstacle:
    """A budget that does not allow a restart.

    Attributes:
        message: Which budget, what it allows, and what the restart would take.
        for_good: It would not allow it with every pod healthy either: waiting is no use.
    """

    message: str
    for_good: bool = False


def taken_down_at_once(workload: Manifest) -> int:
    """Return how many pods a restart of a Deployment, StatefulSet or DaemonSet may make unavailable at once."""
    spec, kind = workload.get("spec") or {}, workload.get("kind")
    if kind == "DaemonSet":
        wanted = int((workload.get("status") or {}).get("desiredNumberScheduled", 0))
        rolling = (spec.get("updateStrategy") or {}).get("rollingUpdate") or {}
        surges = _share(rolling.get("maxSurge", 0), wanted, up=True) > 0
        return 0 if surges else max(1, _share(rolling.get("maxUnavailable", 1), wanted, up=True))
    wanted = int(spec.get("replicas", 1))
    if kind == "StatefulSet":
        rolling = (spec.get("updateStrategy") or {}).get("rollingUpdate") or {}
        return max(1, _share(rolling.get("maxUnavailable", 1), wanted))
    strategy = spec.get("strategy") or {}
    if strategy.get("type") == "Recreate":
        return wanted
    rolling = strategy.get("rollingUpdate") or {}
    surge = _share(rolling.get("maxSurge", _QUARTER), wanted, up=True)
    unavailable = _share(rolling.get("maxUnavailable", _QUARTER), wanted)
    return unavailable if surge or unavailable else 1


def rounds(workload: Manifest) -> int:
    """Return in how many rounds a restart replaces all pods, each round as long as a pod takes to become ready."""
    spec, status = workload.get("spec") or {}, workload.get("status") or {}
    down = taken_down_at_once(workload)
    if workload.get("kind") == "DaemonSet":
        wanted, extra = int(status.get("desiredNumberScheduled", 0)), (spec.get("updateStrategy") or {})
        surge = _share((extra.get("rollingUpdate") or {}).get("maxSurge", 0), wanted, up=True)
    else:
        wanted, extra = int(spec.get("replicas", 1)), (spec.get("strategy") or {})
        surge = _share((extra.get("rollingUpdate") or {}).get("maxSurge", _QUARTER), wanted, up=True)
        surge = 0 if workload.get("kind") == "StatefulSet" or extra.get("type") == "Recreate" else surge
    return max(1, -(-wanted // max(1, down + surge)))


def obstacle(workload: Manifest, budgets: Iterable[Manifest]) -> Obstacle | None:
    """Return the budget that does not allow a workload's restart now; one that never will before the others.

    Args:
        budgets: The PodDisruptionBudgets of its namespace.
    """
    needed = taken_down_at_once(workload)
    labels = (((workload.get("spec") or {}).get("template") or {}).get("metadata") or {}).get("labels") or {}
    found = [
        refusal
        for budget in budgets
        if selects((budget.get("spec") or {}).get("selector"), labels) and (refusal := _judge(budget, needed))
    ]
    return next((refusal for refusal in found if refusal.for_good), found[0] if found else None) if needed else None


def selects(selector: Mapping[str, Any] | None, labels: Mapping[str, str]) -> bool:
    """Tell whether a label selector matches labels; an empty one matches all, and none matches nothing."""
    if selector is None:
        return False
    equal = all(labels.get(key) == text for key, text in (selector.get("matchLabels") or {}).items())
    return equal and all(_meets(labels, term) for term in selector.get("matchExpressions") or ())


def _judge(budget: Manifest, needed: int) -> Obstacle | None:
    status, name = budget.get("status") or {}, f"PodDisruptionBudget {budget['metadata']['name']}"
    if int(status.get("observedGeneration", 0)) < int(budget["metadata"].get("generation", 0)):
        return Obstacle(f"{name} to be observed by its controller")
    allowed = int(status.get("disruptionsAllowed", 0))
    if allowed >= needed:
        return None
    most = int(status.get("expectedPods", 0)) - int(status.get("desiredHealthy", 0))
    take = f"a restart may take down {counted(needed, 'pod')} at once"
    if most < needed:
        return Obstacle(f"{name} never allows more than {max(0, most)}: {take}", for_good=True)
    return Obstacle(f"{name} allows {allowed} now: {take}")


def _share(amount: object, whole: int, *, up: bool = False) -> int:
    """Read a number or a percentage of pods, rounded down, or up."""
    text = str(amount)
    if not text.endswith("%"):
        return int(text)
    part = int(text[:-1]) * whole
    return -(-part // 100) if up else part // 100


def _meets(labels: Mapping[str, str], expression: Mapping[str, Any]) -> bool:
    key, values = str(expression.get("key")), expression.get("values") or ()
    match expression.get("operator"):
        case "In":
            return labels.get(key) in values
        case "NotIn":
            return labels.get(key) not in values
        case "Exists":
            return key in labels
        case _:
            return key not in labels
