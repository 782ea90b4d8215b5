"""Who is the default: a revision tag that goes from one istiod's release to another, and an injector that retires.

Two traps are held here. A tag's objects belong to the Helm release of the istiod that it points to; Helm takes them
for another release only once that is their owner, and would remove them with the old one while its stored manifest
has them. And where the injector of an istiod without a revision stands beside the tag ``default``, both are called
for the same pods, in the order of their names, and the last wins, which is the old one: it has to go before any pod
is restarted (istioctl's ``tag set default`` switches it off for the same reason).

Every function that asks the cluster raises ClusterError where it cannot be reached, or refuses.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from dataclasses import replace
from typing import Any, Final

from nksmesh.domain.charts.releases import Release
from nksmesh.domain.kube.objects import Manifest, ObjectRef, owned_by, ref_of
from nksmesh.domain.kube.readiness import Readiness, of_webhooks, ready, waiting
from nksmesh.domain.mesh.revisions import DEFAULT_VALIDATOR, TAG_LABEL, names_of
from nksmesh.engine.ports import Cluster, Helm, Live

_WEBHOOKS: Final = "admissionregistration.k8s.io/v1"


async def hand_over_tags(
    tags: Collection[str], old: Release, new: Release, cluster: Cluster, helm: Helm
) -> tuple[str, ...]:
    """Make the objects of revision tags another release's, so that its next upgrade takes them; nothing else changes.

    They lead to the old istiod until then. Run again it does what is left to do, in whichever direction.

    Args:
        old: The istiod that has them.
        new: The istiod that is to have them.

    Returns:
        The tags whose objects were handed over.
    """
    owner = {"meta.helm.sh/release-name": new.name, "meta.helm.sh/release-namespace": new.namespace}
    # Where an earlier run was stopped, the objects may be the release's though no manifest of it has them yet.
    tagged = await _tagged(cluster, old.namespace)
    going = [manifest for manifest in tagged if tag_of(manifest) in tags and owned_by(old, manifest)]
    for manifest in going:
        ref = ref_of(manifest, old.namespace)
        await cluster.objects.merge({"metadata": {"annotations": owner}}, ref)
    installed = (await cluster.storage.installed([old])).get((old.namespace, old.name))
    manifests = helm.parse(installed.manifest) if installed else ()
    staying = [manifest for manifest in manifests if tag_of(manifest) not in tags]
    if installed and len(staying) < len(manifests):
        await _forget_proof(old, cluster)
        text = "".join(f"---\n{helm.dump(manifest)}" for manifest in staying)
        await cluster.storage.replace_manifest(installed, text)
    return tuple(dict.fromkeys(tag_of(manifest) for manifest in going))


async def _forget_proof(release: Release, cluster: Cluster) -> None:
    """Record that what Helm has of a release is not what its chart renders any more, so that the next plan compares."""
    record = (await cluster.records.read_all()).get(release.namespace)
    if record is not None:
        unproved = (replace(entry, helm_revision=0) if entry.release == release else entry for entry in record.releases)
        await cluster.records.write(replace(record, releases=tuple(unproved)))


async def retire_injector(istiod: Release, cluster: Cluster) -> bool:
    """Remove the injector of an istiod without a revision; what that istiod has injected goes on as it is.

    Helm brings it back when the release is written again.

    Returns:
        Whether it was there.
    """
    if istiod.istio_revision:
        return False  # it is called for those alone who name its revision
    name = names_of("", istiod.namespace).injector
    ref = ObjectRef(_WEBHOOKS, "MutatingWebhookConfiguration", name)
    found = await cluster.objects.get(ref, metadata_only=True)
    if found is None or not owned_by(istiod, found):
        return False
    return await cluster.objects.delete(ref)


def validator_calls(live: Live, istiod: Release) -> Readiness:
    """Judge base's validator: it calls this istiod, and trusts it."""
    found = live.get("ValidatingWebhookConfiguration", DEFAULT_VALIDATOR)
    if found is None:
        return ready("base has no validator of its own")
    service = names_of(istiod.istio_revision, istiod.namespace).workload
    called = {_service_of(webhook) for webhook in found.get("webhooks") or ()}
    if called != {service}:
        return waiting(f"{DEFAULT_VALIDATOR} to call {service}")
    return of_webhooks(found, DEFAULT_VALIDATOR, None)


async def _tagged(cluster: Cluster, namespace: str) -> list[dict[str, Any]]:
    """List the objects of revision tags: a webhook configuration each, and from chart 1.28 on a Service."""
    listed = await asyncio.gather(
        cluster.objects.list(_WEBHOOKS, "MutatingWebhookConfiguration", labels=TAG_LABEL),
        cluster.objects.list("v1", "Service", namespace, labels=TAG_LABEL),
    )
    kinds = ((_WEBHOOKS, "MutatingWebhookConfiguration"), ("v1", "Service"))
    return [
        {**manifest, "apiVersion": version, "kind": kind}
        for (version, kind), some in zip(kinds, listed, strict=True)
        for manifest in some
    ]


def tag_of(manifest: Manifest) -> str:
    """Return the revision tag that an object belongs to; empty where it is of none."""
    return str((manifest["metadata"].get("labels") or {}).get(TAG_LABEL, ""))


def _service_of(webhook: dict[str, Any]) -> str:
    return str(((webhook.get("clientConfig") or {}).get("service") or {}).get("name", ""))
