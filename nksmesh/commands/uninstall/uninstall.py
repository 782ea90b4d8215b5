"""Uninstall: gateways, every istiod and base in one go, and on request what they leave behind."""

from __future__ import annotations

from collections.abc import Awaitable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from nksmesh.commands.uninstall.namespace_contents import Contents, NamespaceReader
from nksmesh.commands.uninstall.plan import UninstallPlan, namespaces_of, plan_uninstall
from nksmesh.commands.uninstall.steps import UNINSTALL_STEP, purge_steps, removal_steps
from nksmesh.domain.common.data import MERGED, fields_of
from nksmesh.domain.common.errors import MeshError
from nksmesh.domain.uninstall.leftovers import in_words, labels_in_words, next_steps, sidecars_in_words
from nksmesh.engine.agreement import agreed
from nksmesh.engine.executor.executor import Executor
from nksmesh.engine.executor.step_context import Progress
from nksmesh.engine.runs.history import recorded_run
from nksmesh.engine.runs.recording import begun_on, run_on
from nksmesh.engine.runtime import Runtime

__all__ = ["UninstallPlan", "UninstallResult", "plan_uninstall", "uninstall"]

HISTORY: Final = "the history of the mesh's runs"


@dataclass(frozen=True, kw_only=True)
class UninstallResult:
    """What went, and what is left.

    Attributes:
        agreed: Whether the user agreed to it; nothing was done where not.
        removed: What went, in order.
    """

    plan: UninstallPlan = field(metadata=MERGED)
    agreed: bool = True
    removed: tuple[str, ...] = ()
    left: tuple[str, ...] = ()

    @classmethod
    def of_nothing(cls, plan: UninstallPlan, *, agreed: bool = True) -> UninstallResult:
        """Make the result of doing nothing: there is nothing to do, or it was not agreed to."""
        return cls(plan=plan, left=left_of(plan, plan.namespaces) if agreed else (), agreed=agreed)

    @property
    def next_steps(self) -> tuple[str, ...]:
        """What takes the sidecars away whose istiod went."""
        return next_steps(self.plan.workloads) if self.removed else ()

    def json_form(self) -> dict[str, Any]:
        """Return what JSON has: the fields, and what to do next."""
        return fields_of(self) | {"next_steps": self.next_steps}


async def uninstall(shown: UninstallPlan, runtime: Runtime) -> UninstallResult:
    """Remove what a plan names, in the order of its steps.

    Raises:
        MeshError: Something could not be removed; what was removed is noted on it.
        ClusterError: There is more now than the plan named, or Helm reaches another cluster; nothing was removed.
    """

    def again() -> Awaitable[UninstallPlan]:
        where = shown.installation.namespace
        return plan_uninstall(runtime.cluster, where, purge=shown.purge, keep_crds=shown.keep_crds)

    progress = Progress()
    async with agreed(shown, again, runtime, command="uninstall", step=UNINSTALL_STEP) as plan:
        installation = plan.installation
        if installation.releases:
            await runtime.helm.prove_same_cluster(await runtime.cluster.uid())
        steps, kept = removal_steps(plan), dict[str, Contents]()
        if plan.purge:
            purge_steps(plan, steps, NamespaceReader(runtime.cluster, installation, plan.leftovers), kept)
        async with recorded_run(runtime.cluster, await run_on(installation, "uninstall", runtime.cluster)):
            with noting_what_went(progress):
                if installation.record is not None:
                    await runtime.cluster.records.write(begun_on(installation.record, installation.releases))
                await Executor(steps, runtime, progress=progress, account=False).run()
                await runtime.cluster.records.delete(installation.namespace)
        if plan.purge:  # the last: until here the history has this run, too
            await runtime.cluster.histories.delete(installation.namespace)
            progress.removed += [HISTORY] if plan.runs else []
    return result_of(plan, progress, kept)


def result_of(plan: UninstallPlan, progress: Progress, kept: dict[str, Contents]) -> UninstallResult:
    """Make the result of a plan that was followed.

    Args:
        kept: The namespaces that a purge left, and why.
    """
    left = (*progress.staying, *left_of(plan, kept))
    return UninstallResult(plan=plan, removed=tuple(progress.removed), left=left)


@contextmanager
def noting_what_went(progress: Progress) -> Iterator[None]:
    """Note on what fails inside the block what was removed before it."""
    try:
        yield
    except MeshError as exc:
        exc.add_note(f"removed before it failed: {', '.join(progress.removed) or 'nothing'}")
        raise


def left_of(plan: UninstallPlan, namespaces: dict[str, Contents]) -> tuple[str, ...]:
    """Say what is left when a plan is done.

    Args:
        namespaces: The namespaces that a purge left, and why.
    """
    left = (*in_words(plan.staying), *labels_in_words(plan.keeping_labels), *sidecars_in_words(plan.workloads))
    if plan.purge:
        return (*left, *(f"namespace {name}: {', '.join(why.words)}" for name, why in namespaces.items() if why.words))
    if plan.istio_revision:
        return left
    history = (HISTORY,) if plan.runs else ()
    return (*left, *history, *(f"namespace {name}" for name in namespaces_of(plan.installation)))
