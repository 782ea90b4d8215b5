"""One real result of each command that is about Istio's samples."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from nksmesh.commands.sample.change import SamplePlan, SampleResult
from nksmesh.commands.sample.verify import Verified
from nksmesh.domain.checks.rule import Checked, Status, checked
from nksmesh.domain.common.findings import Level
from nksmesh.domain.kube.objects import ObjectRef
from nksmesh.domain.plan.plan import Action, ObjectStep
from nksmesh.engine.executor.step_context import Progress, StepOutcome
from nksmesh.engine.samples import PodsStep

from .gateway_samples import GATEWAY_LIST

_REFS: Final = (
    ObjectRef("v1", "Service", "details", "default"),
    ObjectRef("apps/v1", "Deployment", "details-v1", "default"),
)
_PODS: Final = PodsStep(name="pods", action=Action.PROVE, workloads=(_REFS[1],))
DEPLOY: Final = SamplePlan(
    sample="bookinfo",
    namespace="default",
    deploy=True,
    steps=(*(ObjectStep(name=str(ref), action=Action.CREATE, ref=ref) for ref in _REFS), _PODS),
    images=("docker.io/istio/examples-bookinfo-details-v1:1.18.0",),
    findings=GATEWAY_LIST.findings,
)
DELETE: Final = SamplePlan(
    sample="bookinfo",
    namespace="shop",
    deploy=False,
    steps=tuple(ObjectStep(name=str(ref), action=Action.REMOVE, ref=ref) for ref in _REFS),
)
_DONE: Final = Progress(
    outcomes=[
        StepOutcome(step=DEPLOY.steps[0], message="created", seconds=0.02),
        StepOutcome(step=_PODS, message="6 pods are ready, each with its proxy", seconds=4.1),
    ]
)
VERIFIED: Final = Verified(
    sample="bookinfo",
    namespace="default",
    url="http://114.110.160.79:80/productpage",
    checks=(
        Checked(id="sample.pods", status=Status.OK, message="the pods are ready, each with its proxy"),
        Checked(id="sample.page-inside", status=Status.OK, message="pod ratings gets the page 'Simple Bookstore App'"),
    ),
)
SAMPLE_SAMPLES: Final = {
    "sample verify": VERIFIED,
    "sample deploy": SampleResult(plan=DEPLOY, progress=_DONE),
    "sample delete": SampleResult(plan=DELETE),
}
MORE_SAMPLE_SAMPLES: Final = {
    "sample deploy, asked": DEPLOY,
    "sample deploy, declined": SampleResult(plan=DEPLOY, agreed=False),
    "sample deploy, elsewhere": SampleResult(plan=replace(DEPLOY, namespace="shop"), progress=_DONE),
    "sample verify, refused": replace(
        VERIFIED, url="", checks=(*VERIFIED.checks, checked(replace(GATEWAY_LIST.findings[0], level=Level.FAILURE)))
    ),
    "sample delete, asked": DELETE,
    "sample delete, none": SampleResult(plan=replace(DELETE, steps=())),
}
