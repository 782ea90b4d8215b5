"""Pull secrets: which of them pods will be given, in which namespace, and what to do where one does not exist.

The charts name them in service accounts and pod templates; istiod's injector adds istiod's own to every pod it injects
(``global.imagePullSecrets`` in its templates, Istio 1.19 to 1.30). The kubelet passes over one that does not exist.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from nksmesh.domain.charts.releases import ISTIOD
from nksmesh.domain.common.findings import Finding, Level
from nksmesh.domain.kube.objects import Manifest, ObjectRef, pod_template, ref_of
from nksmesh.domain.plan.plan import ReleaseChange


def wanted_secrets(changes: Iterable[ReleaseChange]) -> tuple[ObjectRef, ...]:
    """List the Secrets that pods of a mesh will be given to pull with, in the namespaces where those pods will run.

    Args:
        changes: What is to become of each release; Secrets that a release itself makes are left out.
    """
    some = tuple(changes)
    made = {
        ref_of(manifest, change.release.namespace)
        for change in some
        for manifest in change.manifests
        if manifest.get("kind") == "Secret"
    }
    injected = {ref.name for change in some if change.release.component == ISTIOD.name for ref in _named(change)}
    wanted = [ref for change in some for ref in _named(change)]
    wanted += [
        _secret(name, change.release.namespace)
        for change in some
        if change.release.kind.injected
        for name in sorted(injected)
    ]
    return tuple(ref for ref in dict.fromkeys(wanted) if ref not in made)


def missing_secrets(missing: Iterable[ObjectRef], hub: str, absent: Collection[str]) -> tuple[Finding, ...]:
    """Find the pull secrets that do not exist: a warning each, for the nodes may be able to pull without.

    Args:
        hub: The registry path that they are for.
        absent: The namespaces that do not exist either.
    """
    namespaces: dict[str, list[str]] = {}
    for ref in missing:
        namespaces.setdefault(ref.name, []).append(ref.namespace)
    host = hub.partition("/")[0]
    return tuple(
        Finding(
            id="images.missing-pull-secret",
            level=Level.WARNING,
            subject=f"Secret {name}",
            message=f"pull secret {name} does not exist in {'namespaces' if len(where) > 1 else 'namespace'} "
            f"{', '.join(where)}: pods there pull their images without it",
            hint=f"Create it first: docker login {host} && "
            + " && ".join(command for namespace in where for command in _commands(name, namespace, absent)),
        )
        for name, where in namespaces.items()
    )


def _commands(name: str, namespace: str, absent: Collection[str]) -> Iterator[str]:
    """Yield the commands that make a pull secret; the password stays in the file that docker login wrote."""
    if namespace in absent:
        yield f"kubectl create namespace {namespace}"
    yield (
        f"kubectl create secret docker-registry {name} -n {namespace} "
        '--from-file=.dockerconfigjson="$HOME/.docker/config.json"'
    )


def _named(change: ReleaseChange) -> Iterator[ObjectRef]:
    for manifest in change.manifests:
        for secret in _pull_secrets(manifest):
            yield _secret(str(secret.get("name") or ""), ref_of(manifest, change.release.namespace).namespace)


def _pull_secrets(manifest: Manifest) -> Iterable[Manifest]:
    """Return a manifest's ``imagePullSecrets``: its own of a service account, its pod template's of a workload."""
    account = manifest.get("kind") == "ServiceAccount"
    holder = manifest if account else (pod_template(manifest).get("spec") or {})
    return holder.get("imagePullSecrets") or ()


def _secret(name: str, namespace: str) -> ObjectRef:
    return ObjectRef("v1", "Secret", name, namespace)
