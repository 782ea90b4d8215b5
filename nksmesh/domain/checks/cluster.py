"""Rules about the tools of this machine and about the cluster: rights, credentials, room for the pods."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Any, Final

from nksmesh.domain.charts.gateway_schema import STRICT_SCHEMAS, has_broken_schema
from nksmesh.domain.charts.releases import GATEWAY
from nksmesh.domain.checks.facts import ClusterFacts
from nksmesh.domain.checks.rule import Rule
from nksmesh.domain.common.findings import Finding, Level
from nksmesh.domain.common.spelling import first_few
from nksmesh.domain.kube.disruption import selects
from nksmesh.domain.kube.objects import Manifest, pod_template
from nksmesh.domain.kube.quantities import parse_quantity, spoken_bytes
from nksmesh.domain.kube.workloads import ROLLOUT_KINDS
from nksmesh.domain.mesh.versions import parse_version
from nksmesh.domain.plan.plan import ReleaseChange
from nksmesh.domain.values.layers import dotted

_SOON: Final = timedelta(days=30)
_MOST_NAMES: Final = 5
_HOLDING: Final = frozenset({"NoSchedule", "NoExecute"})
_PASSING: Final = "node.kubernetes.io/"
"""How the keys of taints begin that Kubernetes itself sets for a while, such as not-ready and unschedulable."""


def _helm_schema(facts: ClusterFacts) -> Iterator[Finding]:
    changes = facts.changes or {}
    broken = [
        change
        for change in changes.values()
        if change.release.component == GATEWAY.name and has_broken_schema(change.chart.ref.version)
    ]
    if broken and parse_version(facts.helm) >= STRICT_SCHEMAS:
        yield Finding(
            id="tools.helm-schema",
            level=Level.WARNING,
            subject=broken[0].release.name,
            message=f"Helm {facts.helm} refuses the gateway chart {broken[0].chart.ref.version} for its own defaults; "
            "nksmesh leaves its schema out",
            hint="Pass --skip-schema-validation to your own helm commands on gateways.",
        )


def _credential(facts: ClusterFacts) -> Iterator[Finding]:
    ends = facts.credential_ends
    if ends is None or ends - facts.now > _SOON:
        return
    over = ends <= facts.now
    yield Finding(
        id="cluster.credential-expiry",
        level=Level.FAILURE if over else Level.WARNING,
        message=f"the kubeconfig's credential {'expired' if over else 'expires'} on {ends:%Y-%m-%d}",
        hint="Download the cluster's kubeconfig again (NKS console, or its API), after its certificates were renewed.",
    )


def _permissions(facts: ClusterFacts) -> Iterator[Finding]:
    if facts.denied:
        yield Finding(
            id="cluster.permissions",
            message=f"the kubeconfig's user may not {first_few(facts.denied, _MOST_NAMES)}",
            hint="Use a kubeconfig of a cluster administrator (the cluster role cluster-admin).",
        )


def _third_party_jwt(facts: ClusterFacts) -> Iterator[Finding]:
    if not facts.token_request:
        yield Finding(
            id="cluster.third-party-jwt",
            message="the API server issues no tokens for service accounts (TokenRequest): proxies get no identity",
            hint="Start it with --service-account-issuer and --service-account-signing-key-file.",
        )


def _capacity(facts: ClusterFacts) -> Iterator[Finding]:
    for change in (facts.changes or {}).values():
        for manifest in change.manifests:
            if manifest.get("kind") not in ROLLOUT_KINDS or not facts.nodes:
                continue
            template = pod_template(manifest)
            tolerations = (template.get("spec") or {}).get("tolerations") or ()
            nodes = [node for node in facts.nodes if _admits(node, tolerations)]
            room, wanted = [there for there in map(_allocatable, nodes) if there], _requests(template)
            if any(all(wanted[name] <= there[name] for name in wanted) for there in room):
                continue
            if len(room) < len(nodes):
                raise ValueError("a node does not say what pods may have of it")
            yield _too_big(manifest, change, wanted, room) if room else _not_tolerated(manifest, change)


def _not_tolerated(manifest: Manifest, change: ReleaseChange) -> Finding:
    return Finding(
        id="cluster.capacity",
        subject=change.release.name,
        message=f"a pod of {manifest['kind']} {manifest['metadata']['name']} tolerates the taints of no node: "
        "it would stay Pending",
        hint="Add a node without taints, or set tolerations in the values of this component.",
    )


def _too_big(
    manifest: Manifest, change: ReleaseChange, wanted: Mapping[str, Decimal], room: Iterable[Mapping[str, Decimal]]
) -> Finding:
    largest = max(room, key=lambda there: (there["memory"], there["cpu"]))
    name, kind = manifest["metadata"]["name"], manifest["kind"]
    keys = [
        dotted(path)
        for path, value, _ in change.composed.leaves()
        if path[-3:] == ("resources", "requests", "memory") and 0 < _amount(value) <= wanted["memory"]
    ]
    set_it = f" --set {change.release.name}:{min(keys, key=len)}=512Mi" if keys else ""
    return Finding(
        id="cluster.capacity",
        subject=change.release.name,
        message=f"a pod of {kind} {name} asks for {_spoken(wanted)}; the largest node has {_spoken(largest)}: "
        "it would stay Pending",
        hint=f"Use larger nodes, or lower what it asks for: nksmesh install{set_it or ' -f COMPONENT=FILE'}.",
    )


def _spoken(room: Mapping[str, Decimal]) -> str:
    return f"{room['cpu'].normalize():f} CPUs and {spoken_bytes(room['memory'])} of memory"


def _admits(node: Manifest, tolerations: Iterable[Mapping[str, Any]]) -> bool:
    """Tell whether a pod tolerates a node's taints, those that pass left out: a cordoned node counts."""
    taints = (node.get("spec") or {}).get("taints") or ()
    return all(
        taint.get("effect") not in _HOLDING
        or str(taint.get("key")).startswith(_PASSING)
        or any(_tolerates(toleration, taint) for toleration in tolerations)
        for taint in taints
    )


def _tolerates(toleration: Mapping[str, Any], taint: Mapping[str, Any]) -> bool:
    """Match as Kubernetes does: no effect is every effect, and no key with Exists is every taint."""
    if (toleration.get("effect") or taint["effect"]) != taint["effect"]:
        return False
    key, exists = toleration.get("key") or "", toleration.get("operator") == "Exists"
    if not key:
        return exists
    return key == taint.get("key") and (exists or (toleration.get("value") or "") == (taint.get("value") or ""))


def _allocatable(node: Manifest) -> dict[str, Decimal]:
    """Return what pods may have of a node; empty where it does not say so yet."""
    found = (node.get("status") or {}).get("allocatable") or {}
    return {name: parse_quantity(found[name]) for name in ("cpu", "memory")} if found else {}


def _amount(value: object) -> Decimal:
    """Read a quantity; none where it is not one: refusing that is the API server's."""
    try:
        return parse_quantity(value)
    except ValueError:
        return Decimal()


def _requests(template: Mapping[str, Any]) -> dict[str, Decimal]:
    """Add up what a pod's containers ask for; an init container's part is smaller than theirs in Istio's charts."""
    asked = [
        (container.get("resources") or {}).get("requests") or {}
        for container in (template.get("spec") or {}).get("containers") or ()
    ]
    return {name: sum((_amount(some.get(name) or 0) for some in asked), Decimal()) for name in ("cpu", "memory")}


def _disruption_budget(facts: ClusterFacts) -> Iterator[Finding]:
    for change in (facts.changes or {}).values():
        budgets = [manifest for manifest in change.manifests if manifest.get("kind") == "PodDisruptionBudget"]
        for manifest in change.manifests:
            if manifest.get("kind") != "Deployment" or _replicas(manifest, change) != 1:
                continue
            labels = (pod_template(manifest).get("metadata") or {}).get("labels") or {}
            held = [budget for budget in budgets if selects(budget["spec"].get("selector"), labels) and _holds(budget)]
            for budget in held[:1]:
                keys = [dotted(path) for path, _, _ in change.composed.leaves() if path[-1] == "autoscaleMin"]
                more = f"--set {change.release.name}:{min(keys, key=len)}=2" if keys else "two replicas"
                yield Finding(
                    id="cluster.disruption-budget",
                    level=Level.WARNING,
                    subject=change.release.name,
                    message=f"Deployment {manifest['metadata']['name']} has one replica, and PodDisruptionBudget "
                    f"{budget['metadata']['name']} does not allow its eviction: upgrades of NKS node groups will fail",
                    hint=f"Install with {more} before you upgrade node groups.",
                )


def _replicas(deployment: Manifest, change: ReleaseChange) -> int:
    name = deployment["metadata"]["name"]
    for manifest in change.manifests:
        target = (manifest.get("spec") or {}).get("scaleTargetRef") or {}
        if manifest.get("kind") == "HorizontalPodAutoscaler" and target.get("name") == name:
            return int(manifest["spec"].get("minReplicas") or 1)
    replicas = (deployment.get("spec") or {}).get("replicas")
    return 1 if replicas is None else int(replicas)


def _holds(budget: Manifest) -> bool:
    """Tell whether a budget lets nothing go of a single pod."""
    least, most = budget["spec"].get("minAvailable"), budget["spec"].get("maxUnavailable")
    return str(least) not in {"None", "0", "0%"} or str(most) in {"0", "0%"}


RULES: Final = (
    Rule(
        id="tools.helm-schema",
        passed="Helm takes the gateway charts as they are",
        judge=_helm_schema,
        needs=("changes",),
    ),
    Rule(
        id="cluster.credential-expiry",
        passed="the kubeconfig's credential does not expire within 30 days",
        judge=_credential,
    ),
    Rule(
        id="cluster.permissions",
        passed="the kubeconfig's user may do everything that an install does",
        judge=_permissions,
        needs=("denied",),
        on_install=True,
    ),
    Rule(
        id="cluster.third-party-jwt",
        passed="the API server issues tokens for pods' service accounts",
        judge=_third_party_jwt,
        needs=("token_request",),
    ),
    Rule(
        id="cluster.capacity",
        passed="each pod of the mesh fits on a node",
        judge=_capacity,
        needs=("nodes", "changes"),
        on_install=True,
    ),
    Rule(
        id="cluster.disruption-budget",
        passed="no PodDisruptionBudget of the mesh forbids to drain a node",
        judge=_disruption_budget,
        needs=("changes",),
    ),
)
