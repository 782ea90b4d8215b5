"""Revision tags: names that namespaces may carry in place of an Istio revision, and that can point to another istiod.

They are the value ``revisionTags`` of the istiod's Helm release, so every one belongs to a release and goes with it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from nksmesh.commands.canary.start import CONTROL_PLANE, install_scope, later_base, merged, own_istiod, recorded_mesh
from nksmesh.commands.canary.steps import TagsStep
from nksmesh.domain.charts.releases import Release
from nksmesh.domain.common.errors import ConfigError
from nksmesh.domain.common.findings import Finding, refuse_failures
from nksmesh.domain.common.spelling import counted
from nksmesh.domain.mesh.record import Keep, Record
from nksmesh.domain.mesh.request import Recorded
from nksmesh.domain.mesh.revisions import (
    DEFAULT_TAG,
    INJECTION_LABEL,
    REVISION_LABEL,
    TAG_LABEL,
    check_revision,
    spoken_revision,
)
from nksmesh.engine.executor.executor import Executor
from nksmesh.engine.ports import Cluster
from nksmesh.engine.request import MeshRequest, ReleaseScope
from nksmesh.engine.runtime import Runtime


@dataclass(frozen=True, kw_only=True)
class Tag:
    """A revision tag.

    Attributes:
        istio_revision: The Istio revision it points to, in words.
        release: The Helm release that makes it; empty where nobody's does.
    """

    name: str
    istio_revision: str
    release: str
    namespaces: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class TagsResult:
    """The revision tags of a mesh, and what was done to one.

    Attributes:
        name: The tag that was set or removed, if one was.
        done: ``set``, ``removed``, ``unchanged``, ``declined``, or empty.
    """

    tags: tuple[Tag, ...]
    name: str = ""
    done: str = ""


@dataclass(frozen=True, kw_only=True)
class _Holder:
    """An istiod that tags may point to."""

    release: Release
    settings: Recorded

    @property
    def tags(self) -> tuple[str, ...]:
        """The tags that point to it."""
        return self.settings.revisions.tags

    def with_tags(self, tags: tuple[str, ...]) -> _Holder:
        """Point other tags to it."""
        return replace(self, settings=replace(self.settings, revisions=replace(self.settings.revisions, tags=tags)))


async def list_tags(cluster: Cluster, namespace: str) -> TagsResult:
    """List the revision tags of a cluster's mesh.

    Raises:
        ConfigError: No recorded mesh is installed.
        ClusterError: The cluster cannot be reached, or refuses.
    """
    await recorded_mesh(cluster, namespace)
    webhooks, namespaces = await asyncio.gather(
        cluster.objects.list(
            "admissionregistration.k8s.io/v1", "MutatingWebhookConfiguration", labels=TAG_LABEL, metadata_only=True
        ),
        cluster.objects.list("v1", "Namespace", metadata_only=True),
    )
    return TagsResult(tags=tuple(sorted((_tag(hook, namespaces) for hook in webhooks), key=lambda tag: tag.name)))


async def set_tag(name: str, istio_revision: str, request: MeshRequest, runtime: Runtime) -> TagsResult:
    """Point a revision tag to an istiod; one that pointed to another goes over without a gap.

    Args:
        istio_revision: The istiod's Istio revision, in words.

    Raises:
        ConfigError: There is no such Istio revision, or the tag is the default one, which promotion moves.
        MeshError: As ``install`` says.
    """
    cluster = runtime.cluster
    record = await recorded_mesh(cluster, request.options.namespace)
    holders = _holders(record)
    check_revision(name, "tag")
    refuse_failures(check_target(name, istio_revision, holders))
    target = holders[istio_revision]
    others = [peer for key, peer in holders.items() if key != istio_revision and name in peer.tags]
    for old in others:
        async with cluster.lease.held("tag set"):
            step = TagsStep(tags=(name,), old=old.release, new=target.release)
            await Executor([step], runtime, account=False).run()
    changed = [target.with_tags(tuple(dict.fromkeys((*target.tags, name)))), *(_without(peer, name) for peer in others)]
    wrote = await _apply(changed, request, runtime, f"tag set {name}")
    found = await list_tags(cluster, request.options.namespace)
    return replace(found, name=name, done="set" if wrote else "unchanged")


async def check_removal(name: str, cluster: Cluster, namespace: str, *, yes: bool) -> Tag:
    """Check that a tag may be removed: it is the mesh's, and no namespace carries it.

    Args:
        namespace: The control plane's namespace, or empty.
        yes: Namespaces may carry it.

    Raises:
        ConfigError: There is no such tag, or it is the default one.
        CheckError: Namespaces carry it, and ``yes`` was not said.
    """
    record = await recorded_mesh(cluster, namespace)
    ours = {tag for holder in _holders(record).values() for tag in holder.tags}
    known = {tag.name: tag for tag in (await list_tags(cluster, namespace)).tags}
    tag = known.get(name) or Tag(name=name, istio_revision="", release="")
    refuse_failures((*_check_removable(name, ours), *(() if yes else _check_uncarried(tag))))
    return tag


async def remove_tag(name: str, request: MeshRequest, runtime: Runtime) -> TagsResult:
    """Remove a revision tag that ``check_removal`` let pass.

    Raises:
        MeshError: As ``install`` says.
    """
    record = await recorded_mesh(runtime.cluster, request.options.namespace)
    changed = [_without(holder, name) for holder in _holders(record).values() if name in holder.tags]
    await _apply(changed, request, runtime, f"tag remove {name}")
    return replace(await list_tags(runtime.cluster, request.options.namespace), name=name, done="removed")


async def _apply(changed: Iterable[_Holder], request: MeshRequest, runtime: Runtime, command: str) -> bool:
    """Have Helm upgrade each istiod whose tags change; tell whether anything was written."""
    wrote = False
    for holder in changed:
        record = await recorded_mesh(runtime.cluster, request.options.namespace)
        revisions = replace(holder.settings.revisions, base_version=await later_base(record, runtime.cluster))
        scope = ReleaseScope(
            settings=replace(holder.settings, revisions=revisions), keep=_keep(holder.release), components=CONTROL_PLANE
        )
        done = await install_scope(request, scope, runtime, command)
        wrote = wrote or done.plan.changes
    return wrote


def _keep(istiod: Release) -> Keep:
    """Record the tags of the mesh's own istiod, or of its canary."""

    def keep(before: Record | None, after: Record, done: bool) -> Record:  # noqa: ARG001 - the type of Keep
        if before is None:
            return after
        kept = replace(before, releases=merged(before, after))
        if before.canary and before.canary.release == istiod:
            return replace(kept, canary=replace(before.canary, settings=after.settings))
        return replace(kept, settings=after.settings)

    return keep


def _holders(record: Record) -> dict[str, _Holder]:
    """Return the istiods that a tag may point to, by their Istio revision in words."""
    own = own_istiod(record)
    holders = {spoken_revision(own.istio_revision): _Holder(release=own, settings=record.settings)}
    if record.canary:
        holders[record.canary.istio_revision] = _Holder(release=record.canary.release, settings=record.canary.settings)
    return holders


def _without(holder: _Holder, name: str) -> _Holder:
    return holder.with_tags(tuple(tag for tag in holder.tags if tag != name))


def check_target(name: str, istio_revision: str, istio_revisions: Collection[str]) -> tuple[Finding, ...]:
    """Judge a tag that is to point to an istiod: a failure for each reason why it may not.

    Args:
        istio_revision: The istiod's Istio revision, in words.
        istio_revisions: Those of the istiods that tags may point to.
    """
    findings = []
    if name == DEFAULT_TAG:
        message = "the tag default cannot be set by hand: it moves with its istiod's injector, validator and gateways"
        hint = "Run nksmesh canary promote to move it."
        findings.append(Finding(id="tag.default", message=message, hint=hint, error=ConfigError))
    elif name in istio_revisions:
        message = f"{name!r} is an Istio revision, so it cannot be a tag"
        hint = "Choose another name."
        findings.append(Finding(id="tag.named-as-revision", message=message, hint=hint, error=ConfigError))
    if istio_revision not in istio_revisions:
        message = f"there is no istiod of Istio revision {istio_revision!r}"
        hint = f"The Istio revisions are {', '.join(istio_revisions)}."
        findings.append(Finding(id="tag.missing-istiod", message=message, hint=hint, error=ConfigError))
    return tuple(findings)


def _check_removable(name: str, tags: Collection[str]) -> tuple[Finding, ...]:
    """Judge the removal of a tag: a failure where it is not one of the mesh's tags, or the default one."""
    findings = []
    if name not in tags:
        message, hint = f"this mesh has no tag {name!r}", f"The tags are {', '.join(sorted(tags)) or 'none'}."
        findings.append(Finding(id="tag.unknown", message=message, hint=hint, error=ConfigError))
    if name == DEFAULT_TAG:
        message = "the tag default cannot be removed: gateways and istio-injection=enabled use it"
        hint = "Run nksmesh canary promote to move it to another istiod."
        findings.append(Finding(id="tag.default", message=message, hint=hint, error=ConfigError))
    return tuple(findings)


def _check_uncarried(tag: Tag) -> tuple[Finding, ...]:
    """Judge the removal of a tag that namespaces carry: a failure."""
    many = counted(len(tag.namespaces), "namespace uses", "namespaces use")
    message = f"{many} the tag {tag.name}: new pods would get no proxy"
    hint = "Change the labels of the namespaces first, or pass --yes."
    finding = Finding(id="tag.in-use", message=message, hint=hint, detail="\n".join(tag.namespaces))
    return (finding,) if tag.namespaces else ()


def _tag(webhook: Mapping[str, Any], namespaces: Iterable[Mapping[str, Any]]) -> Tag:
    metadata = webhook["metadata"]
    name = str((metadata.get("labels") or {}).get(TAG_LABEL, ""))
    return Tag(
        name=name,
        istio_revision=str((metadata.get("labels") or {}).get(REVISION_LABEL, "")),
        release=str((metadata.get("annotations") or {}).get("meta.helm.sh/release-name", "")),
        namespaces=tuple(str(namespace["metadata"]["name"]) for namespace in namespaces if _carries(namespace, name)),
    )


def _carries(namespace: Mapping[str, Any], tag: str) -> bool:
    labels = namespace["metadata"].get("labels") or {}
    if INJECTION_LABEL in labels:
        return tag == DEFAULT_TAG and labels[INJECTION_LABEL] == "enabled"
    return bool(labels.get(REVISION_LABEL) == tag)
