"""The state of a mesh, object by object, without what differs between two meshes that are the same."""

from __future__ import annotations

from tests.cluster.reader import Object, Reader, Ref, wanted

OF_A_RUN = {"Pod", "ReplicaSet", "Lease", "CustomResourceDefinition", "APIService", "ControllerRevision"}
"""Kinds that are made anew (pods are compared by their images), or that stay by design: CRDs never go back."""

OURS = ("sh.helm.release.v1.", "nksmesh.")
COUNTED = {"uid", "generation", "creationTimestamp"}
ANNOTATIONS = {"deployment.kubernetes.io/revision", "kubectl.kubernetes.io/restartedAt"}


def state_of(cluster: Reader) -> dict[Ref, Object]:
    """Read what there is, and for each Deployment's pods the images that they run."""
    found: dict[Ref, Object] = {}
    for ref, one in cluster.objects():
        if ref.kind == "Pod" and not one["metadata"].get("deletionTimestamp"):
            labels = one["metadata"].get("labels", {})
            name = labels.get("app", ref.name)
            pods = found.setdefault(Ref("v1", "pods of", ref.namespace, name), {"images": set()})
            pods["images"] |= {container["image"] for container in one["spec"]["containers"]}
        if ref.kind in OF_A_RUN or ref.name.startswith(OURS):
            continue
        found[ref] = _timeless(wanted(one))
    return found


def changed(before: dict[Ref, Object], after: dict[Ref, Object]) -> dict[Ref, tuple[Object | None, Object | None]]:
    """Show what was made, changed or removed in between."""
    return {
        ref: (before.get(ref), after.get(ref))
        for ref in before.keys() | after.keys()
        if before.get(ref) != after.get(ref)
    }


def _timeless(one: Object) -> Object:
    metadata = {key: text for key, text in one["metadata"].items() if key not in COUNTED}
    metadata["annotations"] = _kept(metadata.get("annotations"))
    kept = {**one, "metadata": metadata}
    template = (one.get("spec") or {}).get("template")
    if isinstance(template, dict) and "metadata" in template:
        template = {**template, "metadata": {**template["metadata"]}}
        template["metadata"]["annotations"] = _kept(template["metadata"].get("annotations"))
        kept["spec"] = {**one["spec"], "template": template}
    return kept


def _kept(annotations: Object | None) -> Object:
    return {key: text for key, text in (annotations or {}).items() if key not in ANNOTATIONS}
