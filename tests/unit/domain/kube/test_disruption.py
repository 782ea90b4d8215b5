from __future__ import annotations

import pytest

from nksmesh.domain.kube.disruption import Obstacle, obstacle, rounds, selects, taken_down_at_once
from tests.unit.domain.manifests import read

STRATEGIES = {
    "a Deployment of one, which surges": ("{kind: Deployment, spec: {replicas: 1}}", 0, 1),
    "a Deployment that says nothing is of one": ("{kind: Deployment, spec: {}}", 0, 1),
    "a quarter, rounded down; the surge is rounded up": ("{kind: Deployment, spec: {replicas: 7}}", 1, 3),
    "a percentage": (
        "{kind: Deployment, spec: {replicas: 10, strategy: {rollingUpdate: {maxUnavailable: 50%, maxSurge: 0}}}}",
        5,
        2,
    ),
    "a number": (
        "{kind: Deployment, spec: {replicas: 4, strategy: {rollingUpdate: {maxUnavailable: 3, maxSurge: 1}}}}",
        3,
        1,
    ),
    "neither: Kubernetes takes one": (
        "{kind: Deployment, spec: {replicas: 3, strategy: {rollingUpdate: {maxUnavailable: 0, maxSurge: 0}}}}",
        1,
        3,
    ),
    "Recreate": ("{kind: Deployment, spec: {replicas: 3, strategy: {type: Recreate}}}", 3, 1),
    "a StatefulSet": ("{kind: StatefulSet, spec: {replicas: 3}}", 1, 3),
    "a StatefulSet's own number": (
        "{kind: StatefulSet, spec: {replicas: 5, updateStrategy: {rollingUpdate: {maxUnavailable: 2}}}}",
        2,
        3,
    ),
    "a DaemonSet": ("{kind: DaemonSet, spec: {}, status: {desiredNumberScheduled: 3}}", 1, 3),
    "a DaemonSet's percentage is rounded up": (
        """
        kind: DaemonSet
        spec: {updateStrategy: {rollingUpdate: {maxUnavailable: 10%}}}
        status: {desiredNumberScheduled: 11}
        """,
        2,
        6,
    ),
    "a DaemonSet that surges": (
        """
        kind: DaemonSet
        spec: {updateStrategy: {rollingUpdate: {maxUnavailable: 0, maxSurge: 1}}}
        status: {desiredNumberScheduled: 4}
        """,
        0,
        4,
    ),
}


@pytest.mark.parametrize(("text", "down", "times"), STRATEGIES.values(), ids=STRATEGIES)
def test_what_a_restart_may_take_down_at_once(text: str, down: int, times: int) -> None:
    assert taken_down_at_once(read(text)) == down
    assert rounds(read(text)) == times


STATEFUL = """
    kind: StatefulSet
    spec: {replicas: 3, template: {metadata: {labels: {app: db, tier: back}}}}
"""
BUDGET = """
    metadata: {name: db, generation: 1}
    spec: {selector: {matchLabels: {app: db}}}
    status: {observedGeneration: 1, disruptionsAllowed: 1, expectedPods: 3, desiredHealthy: 2}
"""


def judged(*budgets: str, workload: str = STATEFUL) -> Obstacle | None:
    return obstacle(read(workload), [read(budget) for budget in budgets])


def test_a_budget_that_allows_as_many_is_no_obstacle() -> None:
    assert judged() is None
    assert judged(BUDGET) is None


def test_a_budget_that_does_not_allow_as_many_now_is_waited_for() -> None:
    found = judged(BUDGET, BUDGET.replace("name: db", "name: strict").replace("disruptionsAllowed: 1", "x: 1"))
    message = "PodDisruptionBudget strict allows 0 now: a restart may take down 1 pod at once"
    assert found == Obstacle(message, for_good=False)


def test_a_budget_that_never_allows_as_many_is_told_first() -> None:
    waits = BUDGET.replace("disruptionsAllowed: 1", "disruptionsAllowed: 0")
    never = waits.replace("name: db", "name: all").replace("desiredHealthy: 2", "desiredHealthy: 3")
    message = "PodDisruptionBudget all never allows more than 0: a restart may take down 1 pod at once"
    assert judged(waits, never) == Obstacle(message, for_good=True)


def test_a_budget_that_its_controller_has_not_seen_says_nothing_yet() -> None:
    found = judged(BUDGET.replace("observedGeneration: 1", "observedGeneration: 0"))
    assert found == Obstacle("PodDisruptionBudget db to be observed by its controller")


def test_a_budget_of_other_pods_is_no_obstacle() -> None:
    other = BUDGET.replace("disruptionsAllowed: 1", "disruptionsAllowed: 0").replace("app: db", "app: web")
    assert judged(other) is None


def test_a_restart_that_takes_nothing_down_needs_no_budget() -> None:
    surging = "{kind: Deployment, spec: {replicas: 1, template: {metadata: {labels: {app: db}}}}}"
    assert judged(BUDGET.replace("disruptionsAllowed: 1", "disruptionsAllowed: 0"), workload=surging) is None


@pytest.mark.parametrize(
    ("selector", "matches"),
    [
        (None, False),
        ({}, True),
        ({"matchLabels": {"app": "db", "tier": "back"}}, True),
        ({"matchLabels": {"app": "db", "zone": "a"}}, False),
        ({"matchExpressions": [{"key": "app", "operator": "In", "values": ["db", "web"]}]}, True),
        ({"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["db"]}]}, False),
        ({"matchExpressions": [{"key": "zone", "operator": "NotIn", "values": ["a"]}]}, True),
        ({"matchExpressions": [{"key": "tier", "operator": "Exists"}]}, True),
        ({"matchExpressions": [{"key": "tier", "operator": "DoesNotExist"}]}, False),
        ({"matchLabels": {"app": "db"}, "matchExpressions": [{"key": "zone", "operator": "Exists"}]}, False),
    ],
)
def test_selectors(selector: dict[str, object] | None, matches: bool) -> None:
    assert selects(selector, {"app": "db", "tier": "back"}) is matches
