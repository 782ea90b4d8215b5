"""The rules of ``nksmesh check``: what provokes each, and what does not."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import nksmesh
from nksmesh.commands.check import GROUPS, IMAGES, PLAN, REACHABLE, RULES, Choice
from nksmesh.domain.charts.releases import Release
from nksmesh.domain.checks.facts import ClusterFacts, InstalledFacts
from nksmesh.domain.checks.rule import Status, judge
from nksmesh.domain.common.errors import ConfigError
from nksmesh.domain.kube.objects import Manifest
from nksmesh.domain.kube.readiness import ready, waiting
from nksmesh.domain.kube.workloads import Workload
from nksmesh.domain.mesh.mesh import DeployedRevisions, Network
from nksmesh.domain.values.layers import Layer
from tests.unit.domain.meshes import BASE, EDGE, INGRESS, ISTIOD, change, chart, mesh

NOW = datetime(2026, 11, 26, tzinfo=UTC)
NCR = "0a1b2c3d-kr1-registry.container.nhncloud.com/team/istio"
CNI = Release(component="cni", name="istio-cni", namespace="kube-system")


def deployment(cpu: str, memory: str, name: str = "istiod", **spec: Any) -> Manifest:
    requests = {"cpu": cpu, "memory": memory}
    template = {
        "metadata": {"labels": {"app": name}},
        "spec": {"containers": [{"name": "x", "resources": {"requests": requests}}]},
    }
    return {"kind": "Deployment", "metadata": {"name": name}, "spec": {"template": template, **spec}}


def taint(key: str, value: str = "", effect: str = "NoSchedule") -> dict[str, str]:
    return {"key": key, "value": value, "effect": effect}


def tolerating(*tolerations: dict[str, str], memory: str = "2Gi") -> dict[str, Any]:
    made = deployment("500m", memory)
    made["spec"]["template"]["spec"]["tolerations"] = list(tolerations)
    return istiod(made)


def node(cpu: str, memory: str, **spec: Any) -> Manifest:
    return {"metadata": {"name": "node"}, "spec": spec, "status": {"allocatable": {"cpu": cpu, "memory": memory}}}


def daemon_set(name: str, **environment: str) -> Manifest:
    container = {"name": "x", "env": [{"name": key, "value": value} for key, value in environment.items()]}
    return {"metadata": {"name": name}, "spec": {"template": {"spec": {"containers": [container]}}}}


def namespace(name: str = "shop", **labels: str) -> Manifest:
    return {"metadata": {"name": name, "labels": {key.replace("__", "/"): text for key, text in labels.items()}}}


def webhook(
    kind: str = "MutatingWebhookConfiguration",
    *,
    revision: str = "default",
    service: str = "istiod",
    policy: str = "Fail",
    bundle: str = "Q0E=",
    namespace: str = "istio-system",
) -> Manifest:
    config = {"service": {"namespace": namespace, "name": service}, "caBundle": bundle}
    return {
        "kind": kind,
        "metadata": {"name": "istio-sidecar-injector", "labels": {"istio.io/rev": revision}},
        "webhooks": [{"name": "x.istio.io", "failurePolicy": policy, "clientConfig": config}],
    }


def external() -> Manifest:
    """Return the injector of an istiod outside of the cluster."""
    made = webhook()
    return {**made, "webhooks": [{**made["webhooks"][0], "clientConfig": {"url": "https://istiod.example/inject"}}]}


def guarded(**labels: str) -> Manifest:
    """Return a namespace that refuses init containers with NET_ADMIN."""
    return namespace(**{**labels, "pod-security.kubernetes.io__enforce": "baseline"})


def of(*changes: Any) -> dict[str, Any]:
    return {found.release.name: found for found in changes}


def istiod(*manifests: Manifest, values: dict[str, Any] | None = None) -> dict[str, Any]:
    return of(change(ISTIOD, manifests=manifests, layers=layer(values or {})))


def layer(values: dict[str, Any]) -> list[Layer]:
    return [Layer(name="values.yaml", values=values)]


WELL = ClusterFacts(
    now=NOW,
    helm="3.17.3",
    credential_ends=NOW + timedelta(days=900),
    nodes=[node("4", "8Gi")],
    namespaces=[namespace()],
    daemon_sets=[daemon_set("calico-node")],
    cilium={},
    felix={},
    gateway_api=False,
    token_request=True,
    denied=(),
    webhooks=[webhook(), webhook("ValidatingWebhookConfiguration")],
    services=frozenset({("istio-system", "istiod")}),
    left_crds=(),
    mesh=mesh(INGRESS),
    changes=istiod(deployment("500m", "2Gi")),
    installed=InstalledFacts(
        namespace="istio-system",
        version="1.20.0",
        proxy_image="hub/proxyv2:1.20.0",
        readiness={ISTIOD: ready("x")},
        root_ends=None,
    ),
)
INJECTED = {"istio-injection": "enabled"}
PDB: Manifest = {
    "kind": "PodDisruptionBudget",
    "metadata": {"name": "istiod"},
    "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "istiod"}}},
}
HPA: Manifest = {
    "kind": "HorizontalPodAutoscaler",
    "metadata": {"name": "istiod"},
    "spec": {"minReplicas": 2, "scaleTargetRef": {"name": "istiod"}},
}
CART = Workload(
    namespace="shop",
    kind="Deployment",
    name="cart",
    pods=1,
    proxies=("hub/proxyv2:1.19.0",),
    istio_revisions=("default",),
    restartable=True,
)


def old(proxy: str) -> InstalledFacts:
    assert WELL.installed is not None
    return replace(WELL.installed, workloads=(replace(CART, proxies=(f"hub/proxyv2:{proxy}",)),))


def with_chart(version: str) -> dict[str, Any]:
    return of(replace(change(INGRESS), chart=chart("gateway", version=version)))


PROVOKED: list[tuple[str, Status, dict[str, Any], str]] = [
    ("tools.helm-schema", Status.WARNING, {"helm": "3.18.5", "changes": with_chart("1.24.6")}, "leaves its schema out"),
    (
        "cluster.credential-expiry",
        Status.WARNING,
        {"credential_ends": NOW + timedelta(days=3)},
        "expires on 2026-11-29",
    ),
    ("cluster.credential-expiry", Status.FAILURE, {"credential_ends": NOW}, "expired on 2026-11-26"),
    ("cluster.permissions", Status.FAILURE, {"denied": ("create CRDs",)}, "may not create CRDs"),
    ("cluster.third-party-jwt", Status.FAILURE, {"token_request": False}, "issues no tokens"),
    ("cluster.capacity", Status.FAILURE, {"nodes": [node("2", "1600Mi")]}, "the largest node has 2 CPUs and 1600Mi"),
    (
        "cluster.capacity",
        Status.FAILURE,
        {"nodes": [node("4", "8Gi", taints=[taint("gpu", "a100")]), node("100m", "9Gi")]},
        "0.5 CPUs",
    ),
    (
        "cluster.capacity",
        Status.FAILURE,
        {"nodes": [node("4", "8Gi", taints=[taint("gpu", effect="NoExecute")])]},
        "a pod of Deployment istiod tolerates the taints of no node",
    ),
    *(
        (
            "cluster.capacity",
            Status.FAILURE,
            {"nodes": [node("4", "8Gi", taints=[taint("gpu", "a100")])], "changes": tolerating(toleration)},
            "tolerates the taints of no node",
        )
        for toleration in (
            {"key": "gpu", "operator": "Equal", "value": "other"},
            {"key": "gpu"},
            {"key": "other", "operator": "Exists"},
            {"key": "gpu", "operator": "Exists", "effect": "NoExecute"},
            {"operator": "Equal", "value": "a100"},
        )
    ),
    (
        "cluster.disruption-budget",
        Status.WARNING,
        {"changes": istiod(deployment("1", "1"), PDB)},
        "Deployment istiod has one replica, and PodDisruptionBudget istiod does not allow its eviction: upgrades of",
    ),
    ("network.calico-ebpf", Status.FAILURE, {"daemon_sets": [daemon_set("calico-node", FELIX_BPFENABLED="true")]}, ""),
    (
        "network.calico-ebpf",
        Status.FAILURE,
        {"felix": {"bpfEnabled": True}},
        "Calico runs in eBPF mode, and its connect-time load balancing bypasses the sidecar",
    ),
    (
        "network.calico-ebpf",
        Status.FAILURE,
        {
            "daemon_sets": [daemon_set("calico-node", FELIX_BPFCONNECTTIMELOADBALANCING="TCP")],
            "felix": {"bpfEnabled": True, "bpfConnectTimeLoadBalancing": "Disabled"},
        },
        "eBPF mode",
    ),
    (
        "network.cilium-settings",
        Status.FAILURE,
        {"daemon_sets": [daemon_set("cilium")], "cilium": {"kube-proxy-replacement": "true"}},
        "bpf-lb-sock-hostns-only must be set",
    ),
    (
        "network.cilium-settings",
        Status.FAILURE,
        {"daemon_sets": [daemon_set("cilium")], "changes": of(change(CNI))},
        "cni-exclusive must be set",
    ),
    (
        "network.cni-folder",
        Status.FAILURE,
        {
            "daemon_sets": [daemon_set("calico-node", CNI_NET_DIR="/etc/cni/net.d/calico")],
            "changes": of(change(CNI, layers=layer({"cni": {"cniConfDir": ""}}))),
        },
        "in /etc/cni/net.d/calico; istio-cni waits for one in /etc/cni/net.d",
    ),
    ("network.registry-address", Status.WARNING, {"mesh": mesh(hub=f"private-{NCR}")}, "the private address"),
    ("network.gateway-api", Status.OK, {"gateway_api": True}, "are there"),
    (
        "mesh.dead-webhook",
        Status.FAILURE,
        {"webhooks": [webhook(service="istiod-1-18")]},
        "the API server rejects every object that this webhook matches",
    ),
    ("mesh.dead-webhook", Status.WARNING, {"webhooks": [webhook(service="x", policy="Ignore")]}, "it does nothing"),
    ("mesh.left-crds", Status.WARNING, {"left_crds": ("a", "b")}, "2 CRDs of Istio and no mesh"),
    (
        "namespaces.pod-security",
        Status.FAILURE,
        {
            "namespaces": [
                namespace(**{"istio-injection": "enabled", "pod-security.kubernetes.io__enforce": "baseline"})
            ]
        },
        "in shop",
    ),
    (
        "namespaces.pod-security",
        Status.FAILURE,
        {
            "namespaces": [guarded(**{"istio.io__rev": "stable"})],
            "mesh": mesh(revisions=DeployedRevisions(istio_revision="1-20-0", tags=("stable",))),
        },
        "in shop",
    ),
    (
        "namespaces.injection-labels",
        Status.WARNING,
        {"namespaces": [namespace(**{"istio-injection": "true"})]},
        "injects nothing",
    ),
    (
        "namespaces.injection-labels",
        Status.WARNING,
        {"namespaces": [namespace(**{"istio-injection": "disabled", "istio.io__rev": "default"})]},
        "is ignored",
    ),
    (
        "namespaces.injection-labels",
        Status.WARNING,
        {"namespaces": [namespace(**{"istio.io__rev": "1-18"})]},
        "no istiod serves istio.io/rev=1-18 (there are: default)",
    ),
    (
        "after-install.ready",
        Status.FAILURE,
        {
            "installed": InstalledFacts(
                namespace="istio-system",
                version="1",
                proxy_image="",
                readiness={ISTIOD: waiting("a pod"), BASE: ready("x")},
                gone=(EDGE,),
            )
        },
        "istiod: ",
    ),
    ("after-install.webhook-trust", Status.FAILURE, {"webhooks": [webhook(bundle="")]}, "has no caBundle"),
    (
        "after-install.validation",
        Status.WARNING,
        {"webhooks": [webhook("ValidatingWebhookConfiguration", policy="Ignore")]},
        "istio-sidecar-injector accepts invalid Istio objects: istiod has not set",
    ),
    ("after-install.proxies", Status.WARNING, {"installed": old("1.19.0")}, "Deployment shop/cart"),
    ("after-install.proxies", Status.FAILURE, {"installed": old("1.17.0")}, "does not support"),
    (
        "after-install.root-certificate",
        Status.WARNING,
        {"installed": replace(old("1.20.0"), root_ends=NOW + timedelta(days=10))},
        "certificate expires on 2026-12-06",
    ),
]


def results(facts: ClusterFacts, name: str) -> list[tuple[Status, str]]:
    return [(found.status, found.message) for found in judge(RULES, facts) if found.id == name]


@pytest.mark.parametrize(("name", "status", "facts", "words"), PROVOKED)
def test_each_rule_finds_what_it_is_about(name: str, status: Status, facts: dict[str, Any], words: str) -> None:
    ((found, message),) = results(replace(WELL, **facts), name)
    assert found is status
    assert words in message


def test_every_rule_is_provoked_here() -> None:
    assert {rule.id for rule in RULES} == {name for name, _, _, _ in PROVOKED}


def test_where_all_is_well_every_rule_says_so() -> None:
    found = list(judge(RULES, WELL))
    assert [result.id for result in found] == [rule.id for rule in RULES]
    assert {result.status for result in found} == {Status.OK}
    assert all(result.message for result in found)


@pytest.mark.parametrize(
    ("name", "facts"),
    [
        ("cluster.capacity", {"nodes": [node("1", "1Gi"), node("500m", "2Gi")]}),
        ("cluster.capacity", {"nodes": []}),
        ("cluster.capacity", {"nodes": [node("4", "8Gi", unschedulable=True), node("100m", "9Gi")]}),
        (
            "cluster.capacity",
            {"nodes": [node("4", "8Gi", taints=[taint("node.kubernetes.io/not-ready", effect="NoExecute")])]},
        ),
        ("cluster.capacity", {"nodes": [node("4", "8Gi", taints=[taint("gpu", effect="PreferNoSchedule")])]}),
        ("cluster.capacity", {"changes": istiod(deployment("500m", "2GB"))}),
        ("cluster.capacity", {"changes": istiod(deployment("half", "2Gi"))}),
        ("cluster.capacity", {"nodes": [{"metadata": {"name": "new"}, "spec": {}}, node("4", "8Gi")]}),
        *(
            (
                "cluster.capacity",
                {"nodes": [node("4", "8Gi", taints=[taint("gpu", "a100")])], "changes": tolerating(toleration)},
            )
            for toleration in (
                {"key": "gpu", "operator": "Equal", "value": "a100", "effect": "NoSchedule"},
                {"key": "gpu", "value": "a100"},
                {"key": "gpu", "operator": "Exists"},
                {"operator": "Exists"},
            )
        ),
        ("cluster.disruption-budget", {"changes": istiod(deployment("1", "1"), PDB, HPA)}),
        ("cluster.disruption-budget", {"changes": istiod(deployment("1", "1", replicas=2), PDB)}),
        ("cluster.credential-expiry", {"credential_ends": None}),
        (
            "network.calico-ebpf",
            {
                "daemon_sets": [
                    daemon_set("calico-node", FELIX_BPFENABLED="true", FELIX_BPFCONNECTTIMELOADBALANCING="Disabled")
                ]
            },
        ),
        (
            "network.calico-ebpf",
            {"daemon_sets": [daemon_set("calico-node", FELIX_BPFENABLED="False")], "felix": {"bpfEnabled": True}},
        ),
        ("network.calico-ebpf", {"felix": {"bpfEnabled": True, "bpfConnectTimeLoadBalancing": "disabled"}}),
        ("network.calico-ebpf", {"felix": {"bpfEnabled": True, "bpfConnectTimeLoadBalancingEnabled": False}}),
        (
            "network.calico-ebpf",
            {
                "daemon_sets": [daemon_set("calico-node", FELIX_BPFConnectTimeLoadBalancingEnabled="FALSE")],
                "felix": {"bpfEnabled": True},
            },
        ),
        ("network.cilium-settings", {"daemon_sets": [daemon_set("cilium")], "cilium": {}}),
        ("mesh.dead-webhook", {"webhooks": [external()]}),
        ("after-install.webhook-trust", {"webhooks": [external(), webhook(bundle="", namespace="other-mesh")]}),
        (
            "after-install.validation",
            {"webhooks": [webhook("ValidatingWebhookConfiguration", policy="Ignore", namespace="other-mesh")]},
        ),
        *(
            ("namespaces.pod-security", {"namespaces": [guarded(**labels)], **facts})
            for labels, facts in (
                ({"istio.io__rev": "1-18"}, {}),
                ({"istio-injection": "disabled", "istio.io__rev": "default"}, {}),
                ({"istio-injection": "enabled", "istio.io__dataplane-mode": "ambient"}, {}),
                ({"istio-injection": "enabled"}, {"daemon_sets": [daemon_set("istio-cni-node")]}),
                ({"istio-injection": "enabled"}, {"mesh": mesh(revisions=DeployedRevisions(istio_revision="1-20-0"))}),
            )
        ),
        (
            "network.cni-folder",
            {
                "daemon_sets": [daemon_set("calico-node", CNI_NET_DIR="/etc/cni/net.d/calico")],
                "changes": of(change(CNI, layers=layer({"cniConfDir": "/etc/cni/net.d/calico"}))),
            },
        ),
        ("network.registry-address", {"mesh": mesh(hub=f"private-{NCR}", network=Network.PRIVATE)}),
        ("tools.helm-schema", {"helm": "3.18.5", "changes": with_chart("1.28.10")}),
        (
            "namespaces.pod-security",
            {
                "namespaces": [
                    namespace(**{"istio-injection": "enabled", "pod-security.kubernetes.io__enforce": "restricted"})
                ],
                "changes": of(change(CNI)),
            },
        ),
    ],
)
def test_what_is_as_it_should_be_is_no_finding(name: str, facts: dict[str, Any]) -> None:
    ((status, _),) = results(replace(WELL, **facts), name)
    assert status is Status.OK


def test_a_fact_that_may_not_be_read_is_said_and_one_that_does_not_concern_is_not() -> None:
    facts = replace(WELL, nodes=None, installed=None, unknown={"nodes": "the user may not list nodes"})
    assert results(facts, "cluster.capacity") == [(Status.WARNING, "not checked: the user may not list nodes")]
    assert results(facts, "after-install.ready") == []


@pytest.mark.parametrize(
    ("name", "facts"),
    [
        ("cluster.capacity", {"nodes": [{"metadata": {"name": "new"}, "spec": {}}]}),
        ("cluster.capacity", {"nodes": [node("many", "8Gi")]}),
        ("cluster.capacity", {"nodes": [{"metadata": {"name": "odd"}, "status": {"allocatable": {"cpu": "4"}}}]}),
        ("namespaces.injection-labels", {"namespaces": [{}]}),
        ("after-install.webhook-trust", {"webhooks": [{"metadata": {}, "webhooks": ["odd"]}]}),
    ],
)
def test_an_object_of_an_odd_form_is_a_check_that_was_not_made(name: str, facts: dict[str, Any]) -> None:
    ((status, message),) = results(replace(WELL, **facts), name)
    assert status is Status.WARNING
    assert message.startswith("not checked: an object does not have the expected form (")


def test_a_webhook_without_trust_leads_to_the_namespace_of_its_istiod() -> None:
    assert WELL.installed is not None
    facts = replace(
        WELL, installed=replace(WELL.installed, namespace="mesh-b"), webhooks=[webhook(bundle="", namespace="mesh-b")]
    )
    (found,) = (found for found in judge(RULES, facts) if found.id == "after-install.webhook-trust")
    assert "kubectl logs -n mesh-b -l app=istiod" in found.hint


def test_a_value_that_is_no_quantity_is_not_the_one_to_lower() -> None:
    values = {
        "pilot": {"resources": {"requests": {"memory": "2Gi"}}},
        "a": {"resources": {"requests": {"memory": None}}},
    }
    values["b"] = {"resources": {"requests": {"memory": "2GB"}}}
    facts = replace(WELL, nodes=[node("2", "1Gi")], changes=istiod(deployment("500m", "2Gi"), values=values))
    (found,) = (found for found in judge(RULES, facts) if found.id == "cluster.capacity")
    assert "--set istiod:pilot.resources.requests.memory=512Mi" in found.hint


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("cluster.capcity", "Did you mean 'cluster.capacity'? The checks are "),
        ("registry.image", "Did you mean 'registry.images'?"),
        ("netwrok", "Did you mean 'network'? The groups are tools, "),
        ("nothing.known", "The checks are "),
    ],
)
def test_a_name_that_is_no_check_is_refused_with_those_there_are(name: str, words: str) -> None:
    for choice in (Choice(only=(name,)), Choice(skip=(name,))):
        with pytest.raises(ConfigError, match=f"there is no .*{re.escape(name)}") as caught:
            choice.check()
        assert words in caught.value.hint


def test_groups_and_the_ids_of_checks_and_of_plans_are_names() -> None:
    of_plans = ("images.missing", "version.untested", "mesh.kept-revision-name", "balancer.new-address")
    Choice(only=(*GROUPS, *(rule.id for rule in RULES), REACHABLE, IMAGES, PLAN, *of_plans)).check()


def test_a_choice_knows_whether_a_group_can_be_wanted() -> None:
    assert Choice().concerns("registry")
    assert Choice(only=("images.missing",), skip=("registry.images",)).concerns("registry")
    assert not Choice(only=("network", "cluster.capacity")).concerns("registry")
    assert not Choice(skip=("registry",)).concerns("registry")


def test_values_that_lower_what_istiod_asks_for_are_named() -> None:
    values = {"pilot": {"resources": {"requests": {"cpu": "500m", "memory": "2Gi"}}}}
    facts = replace(WELL, nodes=[node("2", "1Gi")], changes=istiod(deployment("500m", "2Gi"), values=values))
    (found,) = (found for found in judge(RULES, facts) if found.id == "cluster.capacity")
    assert "nksmesh install --set istiod:pilot.resources.requests.memory=512Mi" in found.hint


def test_the_docs_have_a_section_for_each_check() -> None:
    sections = re.findall(
        r"^## (.+)$", (Path(nksmesh.__file__).parents[1] / "docs" / "checks.md").read_text(), re.MULTILINE
    )
    assert sorted(sections) == sorted({*(rule.id for rule in RULES), REACHABLE, IMAGES, PLAN})
    assert [section.partition(".")[0] for section in sections] == sorted(
        (section.partition(".")[0] for section in sections), key=GROUPS.index
    )
