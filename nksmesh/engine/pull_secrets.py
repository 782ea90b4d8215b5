"""Pull secrets in a cluster: which do not exist where pods will be given them, and which a run makes."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from nksmesh.domain.common.errors import ConfigError
from nksmesh.domain.common.findings import Finding
from nksmesh.domain.images.reference import parse_reference
from nksmesh.domain.kube.objects import Manifest, ObjectRef, called_services, pod_template, ref_of
from nksmesh.domain.mesh.mesh import Mesh
from nksmesh.domain.mesh.revisions import injected_by
from nksmesh.domain.plan.ordering import namespace_needs
from nksmesh.domain.plan.plan import ReleaseChange
from nksmesh.domain.plan.pull_secrets import (
    NewPullSecret,
    PullSecretStep,
    about_the_account,
    injected_secrets,
    missing_secrets,
    named_secrets,
    pull_secret_step,
    wanted_secrets,
)
from nksmesh.engine.permissions import SOMETHING, where_allowed
from nksmesh.engine.ports import Cluster
from nksmesh.engine.request import MeshRequest
from nksmesh.engine.runtime import Runtime


@dataclass(frozen=True, kw_only=True)
class PullSecrets:
    """What becomes of the pull secrets of a mesh's pods, and of the pods it injects.

    Attributes:
        steps: Those that the run makes, or was asked to and need not.
        findings: Those that do not exist.
    """

    steps: tuple[PullSecretStep, ...] = ()
    findings: tuple[Finding, ...] = ()


async def new_pull_secret(request: MeshRequest, mesh: Mesh, runtime: Runtime) -> NewPullSecret | None:
    """Find what the pull secrets that a run makes are to hold; None where it makes none.

    Raises:
        ConfigError: There is no login, or one that a pull secret cannot hold; or the environment names no pull secret.
    """
    order = request.pull_secret
    if order is None:
        return None
    name, path = mesh.pull_secrets[0], request.environment.path if request.environment else ""
    if path and request.environment and name not in request.environment.pull_secrets:
        raise ConfigError(
            f"{path} names no pull secret: the next install from it would leave {name} out",
            hint=f"Add pull_secrets: [{name}] to {path}.",
        )
    login = order.login
    if login is None and runtime.registries is not None:
        async with runtime.registries.open(mesh.hub) as registries:
            login = await registries.login(parse_reference(f"{mesh.hub}/any"), stored=order.stored)
    if login is None:
        host = mesh.hub.partition("/")[0]
        where = "Docker's config.json has none, and neither has a credential helper" if order.stored else ""
        raise ConfigError(
            f"there is no login for {host} to create a pull secret with" + (f": {where}" if where else ""),
            hint="Set NKSMESH_REGISTRY_USERNAME and NKSMESH_REGISTRY_PASSWORD, and NKSMESH_REGISTRY_HOST if it is set "
            f"to another host than {host}. Or pass --from-login to use the login of docker login {host}.",
        )
    if login.token or not login.username:
        raise ConfigError(
            f"{login.source} holds a token, which a pull secret cannot hold",
            hint="Set NKSMESH_REGISTRY_USERNAME and NKSMESH_REGISTRY_PASSWORD instead.",
        )
    return NewPullSecret(name=name, registry=mesh.hub.partition("/")[0], mesh=mesh.namespace, login=login)


async def survey_pull_secrets(
    changes: Iterable[ReleaseChange],
    mesh: Mesh,
    cluster: Cluster,
    *,
    absent: Collection[str],
    new: NewPullSecret | None = None,
) -> PullSecrets:
    """Find the pull secrets that do not exist where pods will be given them, in namespaces with injection too.

    Args:
        cluster: The cluster; a Secret that may not be read is taken to be there.
        absent: The namespaces of the mesh that do not exist: nothing in them is read.
        new: What those hold that the run is to make.

    Raises:
        ClusterError: The cluster cannot be reached.
    """
    some = tuple(changes)
    own, names, whole = wanted_secrets(some), injected_secrets(some), new is not None
    found, others = await asyncio.gather(
        _found(own, cluster, absent, whole=whole), _where_injected(names, mesh, cluster, whole=whole)
    )
    found = {**others, **found}
    steps = tuple(
        pull_secret_step(ref, live, new, namespace_needs(mesh, ref.namespace))
        for ref, live in found.items()
        if new is not None and ref.name == new.name
    )
    made = {step.secret for step in steps}
    missing = [ref for ref in (*own, *others) if found[ref] is None and ref not in made]
    findings = missing_secrets(dict.fromkeys(missing), mesh.hub, absent)
    return PullSecrets(steps=steps, findings=(*findings, *about_the_account(steps)))


async def secrets_of_pods(
    manifests: Iterable[Manifest], cluster: Cluster, injector: Manifest | None
) -> tuple[ObjectRef, ...]:
    """List the Secrets that pods of objects will pull with, which are to be applied: those of their accounts, too.

    Args:
        manifests: The objects, each with its namespace.
        cluster: The cluster; an account that may not be read names none.
        injector: The webhook configuration that gives the pods a proxy, and istiod's own pull secrets; None for none.

    Raises:
        ClusterError: The cluster cannot be reached.
    """
    known = tuple(manifests)
    templates = [
        (ref_of(manifest).namespace, spec) for manifest in known if (spec := pod_template(manifest).get("spec"))
    ]
    pods = [_account(spec.get("serviceAccountName") or "default", namespace) for namespace, spec in templates]
    istiods = [_account(name, namespace) for namespace, name in called_services(injector or {}) if name]
    accounts, injecting = await asyncio.gather(
        _read({*pods} - {ref_of(manifest) for manifest in known}, cluster), _read(istiods, cluster)
    )
    named = [*named_secrets(known, ""), *named_secrets(accounts, "")]
    for istiod in named_secrets(injecting, ""):  # the chart calls istiod's account as its Service
        named += [ObjectRef("v1", "Secret", istiod.name, namespace) for namespace, _ in templates]
    return tuple(dict.fromkeys(named))


def _account(name: str, namespace: str) -> ObjectRef:
    return ObjectRef("v1", "ServiceAccount", name, namespace)


async def _read(refs: Iterable[ObjectRef], cluster: Cluster) -> list[Manifest]:
    found = await asyncio.gather(*(where_allowed(cluster.objects.get(ref), None) for ref in refs))
    return [{"kind": "ServiceAccount", **account} for account in found if account]


async def _found(
    wanted: Iterable[ObjectRef], cluster: Cluster, absent: Collection[str], *, whole: bool
) -> dict[ObjectRef, Manifest | None]:
    """Read Secrets; one that may not be read counts as there."""
    refs = tuple(wanted)
    there = [ref for ref in refs if ref.namespace not in absent]
    read = await asyncio.gather(
        *(where_allowed(cluster.objects.get(ref, metadata_only=not whole), SOMETHING) for ref in there)
    )
    return dict.fromkeys(refs) | dict(zip(there, read, strict=True))


async def _where_injected(
    names: Collection[str], mesh: Mesh, cluster: Cluster, *, whole: bool
) -> dict[ObjectRef, Manifest | None]:
    """Look for the injector's pull secrets in every namespace with injection; there may be hundreds of these."""
    if not names:
        return {}
    namespaces, listed = await asyncio.gather(
        _injected_namespaces(mesh, cluster),
        asyncio.gather(*(_of_name(name, cluster, whole=whole) for name in names)),
    )
    found: dict[ObjectRef, Manifest | None] = {}
    for name, some in zip(names, listed, strict=True):
        for namespace in namespaces:
            found[ObjectRef("v1", "Secret", name, namespace)] = SOMETHING if some is None else some.get(namespace)
    return found


async def _of_name(name: str, cluster: Cluster, *, whole: bool) -> dict[str, Manifest] | None:
    """List the Secrets of a name, by namespace; None where they may not be listed."""
    listed = cluster.objects.list("v1", "Secret", fields=f"metadata.name={name}", metadata_only=not whole)
    found = await where_allowed(listed, None)
    return None if found is None else {str(secret["metadata"]["namespace"]): secret for secret in found}


async def _injected_namespaces(mesh: Mesh, cluster: Cluster) -> tuple[str, ...]:
    """Name the namespaces whose labels have this mesh inject their pods; none where they may not be listed."""
    listed = await where_allowed(cluster.objects.list("v1", "Namespace", metadata_only=True), ())
    return tuple(
        str(namespace["metadata"]["name"])
        for namespace in listed
        if injected_by(mesh, namespace["metadata"].get("labels") or {})
    )
