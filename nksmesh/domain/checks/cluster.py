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
        message=f"the kubeconfig's credential {'ended' if over else 'ends'} on {ends:%Y-%m-%d}",
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
    nodes = [node for node in facts.nodes or () if _takes_pods(node)]
    room = [_allocatable(node) for node in nodes]
    for change in (facts.changes or {}).values():
        for manifest in change.manifests:
            if manifest.get("kind") not in ROLLOUT_KINDS or not room:
                continue
            wanted = _requests(pod_template(manifest))
            if any(all(wanted[name] <= there[name] for name in wanted) for there in room):
                continue
            yield _too_big(manifest, change, wanted, room)


def _too_big(
    manifest: Manifest, change: ReleaseChange, wanted: Mapping[str, Decimal], room: Iterable[Mapping[str, Decimal]]
) -> Finding:
    largest = max(room, key=lambda there: (there["memory"], there["cpu"]))
    name, kind = manifest["metadata"]["name"], manifest["kind"]
    keys = [
        dotted(path)
        for path, value, _ in change.composed.leaves()
        if path[-3:] == ("resources", "requests", "memory") and parse_quantity(value) <= wanted["memory"]
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


def _takes_pods(node: Manifest) -> bool:
    spec = node.get("spec") or {}
    held = any(taint.get("effect") in _HOLDING for taint in spec.get("taints") or ())
    return not spec.get("unschedulable") and not held


def _allocatable(node: Manifest) -> dict[str, Decimal]:
    found = (node.get("status") or {}).get("allocatable") or {}
    return {name: parse_quantity(found.get(name) or 0) for name in ("cpu", "memory")}


def _requests(template: Mapping[str, Any]) -> dict[str, Decimal]:
    """Add up what a pod's containers ask for; an init container's part is smaller than theirs in Istio's charts."""
    asked = [
        (container.get("resources") or {}).get("requests") or {}
        for container in (template.get("spec") or {}).get("containers") or ()
    ]
    return {name: sum((parse_quantity(some.get(name) or 0) for some in asked), Decimal()) for name in ("cpu", "memory")}


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
                    message=f"PodDisruptionBudget {budget['metadata']['name']} lets no pod of Deployment "
                    f"{manifest['metadata']['name']} be evicted, for there is one: upgrading a worker node group of "
                    "NKS fails",
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
        passed="the kubeconfig's credential does not end within 30 days",
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
