"""Results of ``nksmesh traffic``."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from nksmesh.commands.traffic.change import TrafficPlan, TrafficResult
from nksmesh.commands.traffic.recipes import list_recipes
from nksmesh.commands.traffic.show import CallerSplit, LiveSplit, ServiceTraffic, TrafficShown
from nksmesh.domain.common.errors import ClusterError
from nksmesh.domain.common.findings import Finding, Level
from nksmesh.domain.kube.objects import ref_of
from nksmesh.domain.plan.diff import ObjectDiff
from nksmesh.domain.plan.plan import Action, ObjectStep
from nksmesh.domain.traffic.envoy import Counts
from nksmesh.domain.traffic.objects import Subject, make_objects
from nksmesh.domain.traffic.split import split_of
from nksmesh.domain.traffic.surroundings import Version
from nksmesh.engine.executor.step_context import Progress, StepOutcome
from tests.unit.fakes.bookinfo import recipe, recipes

REVIEWS = Subject(service="reviews", namespace="default", selector={"app": "reviews"}, versions=("v1", "v2"))
APPLIED = (recipe("shift v1=80 v2=20"), recipe("timeout timeout=2s"))
OBJECTS = make_objects(REVIEWS, APPLIED).manifests
STEPS = tuple(
    ObjectStep(name=str(ref_of(manifest)), action=Action.CREATE, ref=ref_of(manifest), manifest=manifest)
    for manifest in OBJECTS
)
FOREIGN = Finding(
    id="traffic.foreign-object",
    subject="VirtualService default/reviews",
    message="VirtualService default/reviews belongs to Argo CD (Application shop), and nksmesh does not write it",
    hint="Commit the YAML of this command where that owner takes it from.",
    error=ClusterError,
)
PLAN = TrafficPlan(
    subject=REVIEWS,
    write=False,
    recipes=APPLIED,
    objects=OBJECTS,
    effects=("nksmesh traffic show reviews -n default --live 30s prints the split of real requests.",),
    findings=(
        Finding(
            id="traffic.gateway-route",
            level=Level.WARNING,
            subject="VirtualService default/bookinfo",
            message="VirtualService default/bookinfo sends requests of gateway edge to reviews itself",
            hint="Set the same weights, timeouts or faults in VirtualService default/bookinfo.",
        ),
        Finding(id="traffic.version-left-out", level=Level.NOTE, message="v3 of reviews gets no requests"),
    ),
)
TO_WRITE = replace(
    PLAN,
    write=True,
    steps=STEPS,
    diff=(
        ObjectDiff(
            ref=STEPS[0].ref,
            change="changed",
            lines=("--- VirtualService default/reviews (installed)", "-      weight: 100", "+      weight: 80"),
        ),
    ),
)
WRITTEN = TrafficResult(
    plan=TO_WRITE,
    written=tuple(step.ref for step in STEPS),
    progress=Progress(outcomes=[StepOutcome(step=step, message="created", seconds=0.12) for step in STEPS]),
)
RESET = TrafficResult(plan=replace(PLAN, recipes=(), objects=(), effects=(), removed=(STEPS[0].ref,), findings=()))
SHOWN = TrafficShown(
    namespace="default",
    services=(
        ServiceTraffic(
            service="reviews",
            recipes=APPLIED,
            objects=tuple(step.ref for step in STEPS),
            versions=(Version(name="v1", pods=2, ready=2), Version(name="v2", pods=1, ready=1)),
        ),
    ),
)
LIVE = replace(
    SHOWN,
    live=LiveSplit(
        seconds=30.0,
        proxies=7,
        versions=split_of(
            [{("c", "10.0.0.1"): Counts(rq_total=404, rq_error=2), ("c", "10.0.0.2"): Counts(rq_total=96)}],
            {"10.0.0.1": "v1", "10.0.0.2": "v2"},
            {"v1": 80, "v2": 20},
        ),
        callers=(
            CallerSplit(namespace="default", pod="productpage-v1-6987489c74-lpkgl", requests=500, errors=2),
        ),
    ),
)  # fmt: skip


def traffic_samples() -> dict[str, Any]:
    """Return a result of each command."""
    return {
        "traffic recipes": list_recipes(recipes()),
        "traffic apply": TrafficResult(plan=PLAN),
        "traffic shift": WRITTEN,
        "traffic reset": RESET,
        "traffic show": LIVE,
    }


def more_traffic_samples() -> dict[str, Any]:
    """Return other ways for them to end."""
    refused = replace(TO_WRITE, findings=(FOREIGN,))
    none = replace(LIVE.live, versions=(), callers=()) if LIVE.live else None
    return {
        "traffic recipes, one": list_recipes(recipes(), "header"),
        "traffic shift, asked": TO_WRITE,
        "traffic shift, declined": replace(WRITTEN, agreed=False, written=()),
        "traffic shift, as it was": TrafficResult(plan=replace(TO_WRITE, steps=())),
        "traffic shift, of Argo CD": TrafficResult(plan=refused),
        "traffic reset, nothing there": TrafficResult(plan=replace(RESET.plan, removed=())),
        "traffic show, none": TrafficShown(namespace="default", services=()),
        "traffic show, no request": replace(LIVE, live=none),
    }
