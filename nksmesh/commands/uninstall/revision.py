"""One Istio revision goes, and the mesh stays: its istiod's release, with the tags that are its own.

base and the gateways are never touched. The mesh's own istiod goes with the whole mesh alone, and a canary with
``canary abort``, which takes those who are on it back first.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Collection, Iterable, Mapping
from dataclasses import replace
from typing import Any, Final

from nksmesh.commands.uninstall.leftovers import leases_of
from nksmesh.commands.uninstall.orphan_webhooks import istio_revision_of, services_of, webhooks_left_by
from nksmesh.commands.uninstall.plan import UninstallPlan
from nksmesh.commands.uninstall.steps import UNINSTALL_STEP, removal_steps
from nksmesh.commands.uninstall.uninstall import UninstallResult, noting_what_went, result_of
from nksmesh.domain.charts.installed import InstalledRelease, component_of
from nksmesh.domain.charts.releases import ISTIOD, Release
from nksmesh.domain.common.errors import ConfigError
from nksmesh.domain.common.findings import Finding, refuse_failures
from nksmesh.domain.kube.objects import Manifest, ObjectRef, called_services
from nksmesh.domain.kube.workloads import Workload
from nksmesh.domain.mesh.record import Record
from nksmesh.domain.mesh.revisions import (
    DEFAULT_TAG,
    DEFAULT_VALIDATOR,
    REVISION_LABEL,
    TAG_LABEL,
    follows,
    injection_labels,
    spoken_revision,
)
from nksmesh.domain.uninstall.leftovers import Labelled, Leftover, few
from nksmesh.engine.agreement import agreed
from nksmesh.engine.discovery import Installation, find_installation
from nksmesh.engine.executor.executor import Executor
from nksmesh.engine.executor.step_context import Progress
from nksmesh.engine.ports import Cluster
from nksmesh.engine.runs.history import recorded_run
from nksmesh.engine.runs.recording import run_on
from nksmesh.engine.runtime import Runtime
from nksmesh.engine.workloads import injected_workloads

_COMMAND: Final = "uninstall --revision"
_API: Final = "admissionregistration.k8s.io/v1"


async def plan_revision(cluster: Cluster, namespace: str, istio_revision: str, *, yes: bool) -> UninstallPlan:
    """See what would go with an Istio revision, and who is on it; nothing is written.

    Args:
        namespace: The control plane's namespace; empty for istio-system's, or the only one there is.
        istio_revision: The Istio revision in words: the istiod without one is ``default``.
        yes: Namespaces and workloads may be on it.

    Raises:
        ConfigError: There is no such istiod, or it is the mesh's own, or a canary.
        CheckError: Somebody is on it and ``yes`` was not said, or base's validator calls it.
        ClusterError: The cluster cannot be reached, or refuses.
    """
    mesh = await find_installation(cluster, namespace)
    refuse_failures(mesh.findings)
    istiods = await _istiods(mesh, cluster)
    release, installed = _choose(istiods, mesh, istio_revision)
    refuse_failures(_check_alone(istiods, mesh.record, istio_revision))
    going = Installation(namespace=mesh.namespace, releases={release: installed}, record=mesh.record, notes=mesh.notes)
    webhooks, workloads, (namespaces, tags), leases, validator = await asyncio.gather(
        webhooks_left_by(going, cluster),
        injected_workloads(cluster),
        _namespaces_and_tags(cluster),
        leases_of(cluster, mesh.namespace, istio_revision),
        cluster.objects.get(ObjectRef(_API, "ValidatingWebhookConfiguration", DEFAULT_VALIDATOR)),
    )
    labelled = _on_it(namespaces, tags, istio_revision)
    running = tuple(workload for workload in workloads if istio_revision in workload.istio_revisions)
    called = _check_validator(going, validator, istio_revision)
    refuse_failures((*called, *(() if yes else _check_nobody(labelled, running, istio_revision))))
    return UninstallPlan(
        installation=going,
        purge=False,
        istio_revision=istio_revision,
        leftovers=tuple(Leftover(ref=ref) for ref in leases),
        labelled=labelled,
        webhooks=webhooks,
        workloads=running,
    )


async def uninstall_revision(shown: UninstallPlan, runtime: Runtime, *, yes: bool) -> UninstallResult:
    """Remove an Istio revision: webhooks of no release that call it, then its release; the record forgets it.

    Args:
        yes: Namespaces and workloads may be on it.

    Raises:
        MeshError: It could not be removed; what was removed is noted on it.
        CheckError: Somebody is on it now, and ``yes`` was not said.
        ClusterError: There is more now than the plan named, or Helm reaches another cluster; nothing was removed.
    """

    def again() -> Awaitable[UninstallPlan]:
        return plan_revision(runtime.cluster, shown.installation.namespace, shown.istio_revision, yes=yes)

    async with agreed(shown, again, runtime, command=_COMMAND, step=UNINSTALL_STEP) as plan:
        await runtime.helm.prove_same_cluster(await runtime.cluster.uid())
        progress = Progress()
        async with recorded_run(runtime.cluster, await run_on(plan.installation, _COMMAND, runtime.cluster)):
            with noting_what_went(progress):
                await Executor(removal_steps(plan), runtime, progress=progress, account=False).run()
                for release in plan.installation.releases:
                    await _forget(release, plan.installation.record, runtime.cluster)
    return result_of(plan, progress, {})


async def _istiods(mesh: Installation, cluster: Cluster) -> dict[Release, InstalledRelease]:
    """Find the istiods of a mesh's namespace, each with its Istio revision: those nobody recorded, too."""
    everything = await cluster.storage.installed(namespace=mesh.namespace, unreadable=[])
    recorded = {release.key: release for release in mesh.releases}
    found: dict[Release, InstalledRelease] = {}
    for (where, name), installed in everything.items():
        if component_of(installed) == ISTIOD.name:
            plain = recorded.get((where, name)) or Release(component=ISTIOD.name, name=name, namespace=where)
            found[replace(plain, istio_revision=istio_revision_of(plain, installed))] = installed
    return found


def _choose(
    istiods: Mapping[Release, InstalledRelease], mesh: Installation, istio_revision: str
) -> tuple[Release, InstalledRelease]:
    """Choose the istiod that is meant.

    Raises:
        ConfigError: There is none, so nothing can be planned.
    """
    names = sorted(spoken_revision(release.istio_revision) for release in istiods)
    chosen = [release for release in istiods if spoken_revision(release.istio_revision) == istio_revision]
    if not chosen:
        foreign = " ".join(f"{istiod}. {istiod.way_on}" for istiod in mesh.foreign)
        raise ConfigError(
            f"there is no istiod of Istio revision {istio_revision!r} in {mesh.namespace}",
            hint=f"The Istio revisions are {', '.join(names)}." if names else foreign or "No mesh is installed there.",
        )
    return chosen[0], istiods[chosen[0]]


def _check_alone(istiods: Collection[Release], record: Record | None, istio_revision: str) -> tuple[Finding, ...]:
    """Judge an istiod that is to go alone: a failure where it is the canary, or the mesh's own."""
    if record is not None and record.canary is not None and record.canary.istio_revision == istio_revision:
        message = f"Istio revision {istio_revision} is the canary"
        hint = "Run nksmesh canary abort to remove it. It first moves everything on the canary back."
        return (Finding(id="uninstall.canary", message=message, hint=hint, error=ConfigError),)
    own = spoken_revision(record.settings.revisions.istio_revision) if record is not None else ""
    if istio_revision == own or len(istiods) == 1:
        message = f"Istio revision {istio_revision} is the mesh's own istiod: its gateways and base depend on it"
        hint = "Run nksmesh uninstall to remove the whole mesh, or nksmesh canary start to install a newer istiod."
        return (Finding(id="uninstall.own-istiod", message=message, hint=hint, error=ConfigError),)
    return ()


def _check_validator(going: Installation, validator: Manifest | None, istio_revision: str) -> tuple[Finding, ...]:
    """Judge an istiod that goes while base's validator calls it: a failure, every Istio object would be refused."""
    message = f"base's validator calls Istio revision {istio_revision}: without it, every Istio object would be refused"
    hint = (
        "Set base's defaultRevision to another Istio revision first, or run nksmesh uninstall to remove the whole mesh."
    )
    finding = Finding(id="uninstall.called-by-validator", message=message, hint=hint)
    return (finding,) if called_services(validator or {}) & services_of(going) else ()


async def _namespaces_and_tags(cluster: Cluster) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """List the namespaces, and for each revision tag the Istio revision it points to."""
    namespaces, tags = await asyncio.gather(
        cluster.objects.list("v1", "Namespace", metadata_only=True),
        cluster.objects.list(_API, "MutatingWebhookConfiguration", labels=TAG_LABEL, metadata_only=True),
    )
    labels = [webhook["metadata"].get("labels") or {} for webhook in tags]
    return namespaces, {str(own[TAG_LABEL]): str(own.get(REVISION_LABEL, "")) for own in labels}


def _on_it(
    namespaces: Iterable[Mapping[str, Any]], tags: Mapping[str, str], istio_revision: str
) -> tuple[Labelled, ...]:
    """List the namespaces whose labels lead to an Istio revision."""
    pointing = [tag for tag, named in tags.items() if named == istio_revision]
    default = DEFAULT_TAG in pointing or (istio_revision == DEFAULT_TAG and DEFAULT_TAG not in tags)
    found = {str(manifest["metadata"]["name"]): manifest["metadata"].get("labels") or {} for manifest in namespaces}
    plain = "" if istio_revision == DEFAULT_TAG else istio_revision
    return tuple(
        Labelled(namespace=name, labels=injection_labels(labels))
        for name, labels in found.items()
        if follows(labels, istio_revision=plain, tags=pointing, default=default)
    )


def _check_nobody(
    labelled: Iterable[Labelled], running: Iterable[Workload], istio_revision: str
) -> tuple[Finding, ...]:
    """Judge an istiod that goes while somebody is on it: a failure."""
    on_it = [*(f"namespace {label.namespace} ({label.words})" for label in labelled), *map(str, running)]
    finding = Finding(
        id="uninstall.revision-in-use",
        message=f"Istio revision {istio_revision} is in use: {few(on_it)}",
        hint="Change the labels of those namespaces to another Istio revision and restart "
        "their workloads first, or pass --yes to leave them without an istiod.",
        detail="\n".join(on_it),
    )
    return (finding,) if on_it else ()


async def _forget(release: Release, record: Record | None, cluster: Cluster) -> None:
    """Put the record right: a release that it had is gone."""
    if record is None:
        return
    left = tuple(entry for entry in record.releases if entry.release.key != release.key)
    if len(left) < len(record.releases):
        await cluster.records.write(replace(record, releases=left))
