"""Who an istiod that goes would leave behind: it stays while workloads are on it, or namespaces are labelled for it."""

from __future__ import annotations

from collections.abc import Collection

from nksmesh.commands.canary.status import NamespaceStatus
from nksmesh.domain.common.errors import CheckError
from nksmesh.domain.kube.restarts import RestartResult
from nksmesh.domain.kube.workloads import Workload
from nksmesh.domain.mesh.revisions import INJECTION_LABEL, REVISION_LABEL


def names_one_of(namespace: NamespaceStatus, names: Collection[str]) -> bool:
    """Tell whether a namespace is labelled for an Istio revision or a tag; ``istio-injection`` has precedence."""
    return INJECTION_LABEL not in namespace.labels and namespace.labels.get(REVISION_LABEL) in names


def refuse_to_leave(left: Collection[Workload], stranded: Collection[str], going: str, *, hint: str) -> None:
    """Refuse to remove an istiod that somebody is on.

    Args:
        left: Workloads that no restart of the run's takes off it.
        stranded: Namespaces that are labelled for it, and whose new pods would get no proxy.
        going: The istiod's release.

    Raises:
        CheckError: There are some.
    """
    said = []
    if left:
        said.append(f"{len(left)} workload{'s are' if len(left) > 1 else ' is'} on {going} still, which is to go")
    if stranded:
        many = len(stranded)
        said.append(
            f"{many} namespace{'s are' if many > 1 else ' is'} labelled for {going}: new pods would get no proxy"
        )
    if said:
        told = [f"{one}: {one.not_restartable}" if one.not_restartable else str(one) for one in left]
        raise CheckError(
            "; ".join(said), hint=hint, detail="\n".join((*told, *(f"Namespace {name}" for name in stranded)))
        )


def check_restarted(restarts: RestartResult, going: str, *, force: bool) -> None:
    """Check that every workload that was to come off an istiod has, before it goes.

    Raises:
        MeshError: One has not; the first failure where there is one.
    """
    if force or restarts.complete:
        return
    if restarts.errors:
        restarts.errors[0].add_note(f"{going} stays until no workload uses it")
        raise restarts.errors[0]
    raise CheckError(
        f"{going} stays, because some workloads still use it",
        hint="Restart the workloads as their messages say and run the same command again, "
        "or pass --force to leave them.",
        detail="\n".join(restarts.warnings),
    )
