"""Walks through the guide: shown before, to their end, and stopped."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from nksmesh.commands.guide import GuidePlan, GuideResult, Walked, walked
from nksmesh.domain.common.errors import NotReadyError
from nksmesh.domain.guide.walk import Choices, Made, walk_of, way_back

from .gateway_samples import GATEWAY_SAMPLES
from .inject_samples import INJECT_SAMPLES
from .sample_samples import SAMPLE_SAMPLES

_CHOICES: Final = Choices(
    install=("--region", "kr1", "--profile", "demo"), samples=("--samples", "istio-1.20.0/samples")
)
_PLAN: Final = GuidePlan(
    context="nks", server="kr1.example", namespace="default", mesh="istio-system", undo=False, steps=walk_of(_CHOICES)
)
_BACK: Final = way_back(_CHOICES, Made(traffic=True, sample=True, label=True, mesh=True))
_STEPS: Final = {step.words[0] + " " + step.words[1]: step for step in (*reversed(_PLAN.steps), *_BACK)}


def _taken(command: str, result: object) -> Walked:
    return walked(_STEPS[command], 0, [result], [])


_PART: Final = replace(_PLAN, steps=tuple(_STEPS[name] for name in ("inject enable", "sample deploy", "gateway url")))
WALKED: Final = GuideResult(
    plan=_PART,
    walked=(
        _taken("inject enable", INJECT_SAMPLES["inject enable"]),
        _taken("sample deploy", SAMPLE_SAMPLES["sample deploy"]),
        _taken("gateway url", GATEWAY_SAMPLES["gateway url"]),
    ),
)
STOPPED: Final = GuideResult(
    plan=_PART,
    walked=(
        WALKED.walked[0],
        walked(
            _STEPS["sample deploy"], 6, [], [NotReadyError("pods: details-v1 is not ready", hint="Look at its events.")]
        ),
    ),
)
UNDONE: Final = GuideResult(
    plan=replace(_PLAN, undo=True, steps=(_STEPS["sample delete"], _STEPS["inject disable"])),
    walked=(
        _taken("sample delete", SAMPLE_SAMPLES["sample delete"]),
        _taken("inject disable", INJECT_SAMPLES["inject disable"]),
    ),
)
GUIDE_SAMPLES: Final = {"guide": WALKED}
MORE_GUIDE_SAMPLES: Final = {
    "guide, asked": _PLAN,
    "guide, declined": GuideResult(plan=_PLAN, agreed=False),
    "guide, stopped": STOPPED,
    "guide, as Markdown": replace(WALKED, printed=True),
    "guide, stopped, as Markdown": replace(STOPPED, printed=True),
    "guide, undone": UNDONE,
    "guide, nothing there": GuideResult(plan=replace(_PLAN, undo=True, steps=())),
}
