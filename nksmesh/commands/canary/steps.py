"""The steps of a canary: of moving namespaces, and of a promotion or an abort before and between their installs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

from nksmesh.commands.canary.handover import hand_over_tags, retire_injector, validator_calls
from nksmesh.commands.canary.plan import CanaryPlan, check_restarted
from nksmesh.commands.canary.relabelling import Move, forget_moves, moves_back, relabel
from nksmesh.domain.charts.releases import Release
from nksmesh.domain.common.events import Event, EventKind
from nksmesh.domain.common.findings import refuse_failures
from nksmesh.domain.mesh.revisions import DEFAULT_TAG
from nksmesh.domain.plan.plan import Action, GateStep, Step, in_sequence
from nksmesh.engine.executor.registry import handles
from nksmesh.engine.executor.step_context import StepContext
from nksmesh.engine.workloads import restart_steps

DEFAULT_STEP: Final = "default Istio revision"
MOVES_STEP: Final = "moved namespaces"


@dataclass(frozen=True, kw_only=True)
class TagsStep(Step):
    """Revision tags belong to another istiod's release, whose next upgrade writes them."""

    quiet: ClassVar[bool] = True

    name: str = "revision tags"
    action: Action = Action.APPLY
    tags: tuple[str, ...]
    old: Release
    new: Release


@dataclass(frozen=True, kw_only=True)
class ValidatorStep(Step):
    """base's validator calls an istiod and trusts it: without one every Istio object is refused."""

    istiod: Release


@dataclass(frozen=True, kw_only=True)
class InjectorRemovalStep(Step):
    """The injector of an istiod without a revision is gone: the default tag points to another istiod."""

    istiod: Release


@dataclass(frozen=True, kw_only=True)
class MoveStep(Step):
    """A namespace has the labels that it moves to.

    Attributes:
        keep: It keeps those it had in an annotation, to be moved back.
    """

    move: Move
    keep: bool


@dataclass(frozen=True, kw_only=True)
class ForgetStep(Step):
    """Namespaces that moved back no longer keep the labels they had, unless a restart before it failed."""

    quiet: ClassVar[bool] = True

    moves: tuple[Move, ...]


@dataclass(frozen=True, kw_only=True)
class MovesBackStep(Step):
    """Namespaces that were moved to a canary get the labels they had.

    Attributes:
        staying: An Istio revision: namespaces whose former labels name it keep those they have.
        relabel: The labels are changed; else this was done before.
        forget: The namespaces no longer keep the labels they had.
    """

    quiet: ClassVar[bool] = True

    staying: str = ""
    relabel: bool = True
    forget: bool = True


@dataclass(frozen=True, kw_only=True)
class UnusedStep(Step):
    """Every workload that was to come off an istiod has, before it goes.

    Attributes:
        force: It goes all the same.
    """

    quiet: ClassVar[bool] = True

    going: str
    force: bool


def move_steps(moves: Sequence[Move], *, back: bool, proxy_image: str) -> tuple[Step, ...]:
    """Order what moves namespaces to a canary, or back: first the labels of each, then the restarts.

    Args:
        proxy_image: The proxy that they come to.
    """
    forget = ForgetStep(name="former labels", action=Action.APPLY, moves=tuple(moves))
    restarts = restart_steps((workload for move in moves for workload in move.workloads), proxy_image=proxy_image)
    return in_sequence((*label_steps(moves, keep=not back), *restarts, *((forget,) if back else ())))


def label_steps(moves: Sequence[Move], *, keep: bool) -> tuple[Step, ...]:
    """Return the steps that change the labels of namespaces, for those whose labels change.

    Args:
        keep: Those from before are kept, for a move back.
    """
    changing = (move for move in moves if move.before != move.after)
    return tuple(MoveStep(name=move.step, action=Action.APPLY, move=move, keep=keep) for move in changing)


def promote_steps(
    plan: CanaryPlan, new: Release, old: Release, gateways: Sequence[Release], *, proxy_image: str
) -> tuple[Step, ...]:
    """Order what brings everybody to the new istiod, which has the default tag by now.

    Args:
        new: The canary's istiod.
        old: The mesh's own.
        gateways: The mesh's gateways: where a pod that names no Istio revision is asked for.
        proxy_image: The new istiod's proxy.
    """
    injector = InjectorRemovalStep(name=f"injector of {old.name}", action=Action.REMOVE, istiod=old)
    return in_sequence(
        (
            ValidatorStep(name="validator", action=Action.PROVE, istiod=new),
            *(() if old.istio_revision else (injector,)),  # with a revision it is called for those who name it
            GateStep(
                name=DEFAULT_STEP, action=Action.PROVE, istiod=new, gateways=tuple(gateways), proxy_image=proxy_image
            ),
            MovesBackStep(name=MOVES_STEP, action=Action.APPLY, staying=old.istio_revision),
            *restart_steps(plan.restarting, proxy_image=proxy_image),
            UnusedStep(name=f"workloads of {old.name}", action=Action.PROVE, going=old.name, force=plan.force),
        )
    )


def abort_steps(plan: CanaryPlan, *, proxy_image: str) -> tuple[Step, ...]:
    """Order what brings everybody back to the mesh's own istiod.

    Args:
        proxy_image: The mesh's own istiod's proxy.
    """
    going = plan.going
    return in_sequence(
        (
            MovesBackStep(name=MOVES_STEP, action=Action.APPLY, forget=False),
            *restart_steps(plan.restarting, proxy_image=proxy_image),
            UnusedStep(name=f"workloads of {going}", action=Action.PROVE, going=going, force=plan.force),
            MovesBackStep(name="former labels", action=Action.APPLY, relabel=False),
        )
    )


@handles(TagsStep)
async def hand_over(work: StepContext[TagsStep]) -> str:
    """Hand the tags over."""
    await hand_over_tags(work.step.tags, work.step.old, work.step.new, work.cluster, work.helm)
    return ""


@handles(ValidatorStep)
async def prove_validator(work: StepContext[ValidatorStep]) -> str:
    """Wait until the validator calls the istiod."""
    return await work.until_ready(lambda: validator_calls(work.cluster.live, work.step.istiod))


@handles(InjectorRemovalStep)
async def remove_injector(work: StepContext[InjectorRemovalStep]) -> str:
    """Remove the injector; what it has injected goes on as it is."""
    removed = await retire_injector(work.step.istiod, work.cluster)
    return f"removed: the tag {DEFAULT_TAG} takes its place" if removed else "was removed before"


@handles(MoveStep)
async def move_namespace(work: StepContext[MoveStep]) -> str:
    """Change the labels."""
    return await relabel(work.step.move, work.cluster, keep=work.step.keep)


@handles(ForgetStep)
async def forget_former_labels(work: StepContext[ForgetStep]) -> str:
    """Remove the labels from before, where nobody needs them to move the rest back."""
    if not work.progress.restarted.errors:
        await forget_moves(work.step.moves, work.cluster)
    return ""


@handles(MovesBackStep)
async def move_back(work: StepContext[MovesBackStep]) -> str:
    """Give the labels back, and forget the moves, as far as the step says."""
    step, moves = work.step, await moves_back(work.cluster)
    if step.relabel:
        back = [move for move in moves if not (step.staying and step.staying in move.after.values())]
        for move in (move for move in back if move.before != move.after):
            done = await relabel(move, work.cluster, keep=False)
            work.runtime.listener(Event(step=move.step, kind=EventKind.DONE, message=done))
    if step.forget:
        await forget_moves(moves, work.cluster)
    return ""


@handles(UnusedStep)
async def check_unused(work: StepContext[UnusedStep]) -> str:
    """Look what came of the restarts before it: a failed one ends the run with its own error."""
    restarts, going = work.progress.restarted, work.step.going
    if work.step.force:
        return ""
    if restarts.errors:
        restarts.errors[0].add_note(f"{going} stays until no workload uses it")
        raise restarts.errors[0]
    refuse_failures(check_restarted(restarts, going))
    return ""
