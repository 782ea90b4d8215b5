"""Rules about a mesh that is installed: ready, trusted by the API server, and its proxies served."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Final

from nksmesh.domain.charts.releases import ISTIOD
from nksmesh.domain.checks.facts import ClusterFacts
from nksmesh.domain.checks.rule import Rule
from nksmesh.domain.common.findings import Finding, Level
from nksmesh.domain.common.spelling import counted, first_few
from nksmesh.domain.kube.objects import Manifest, called_services
from nksmesh.domain.kube.workloads import on_other_proxy
from nksmesh.domain.plan.upgrade_path import proxies_too_old

_MOST_NAMES: Final = 5
_SOON: Final = timedelta(days=90)
_VALIDATOR: Final = "ValidatingWebhookConfiguration"


def _ready(facts: ClusterFacts) -> Iterator[Finding]:
    if facts.installed is None:
        return
    unready = [
        f"{release.name}: {answer.message}" for release, answer in facts.installed.readiness.items() if not answer.ready
    ]
    unready += [f"{release.name}: Helm has no release of it" for release in facts.installed.gone]
    if unready:
        yield Finding(
            id="after-install.ready",
            message=f"the mesh is not ready: {'; '.join(unready)}",
            hint="Run nksmesh status to see why, then nksmesh install to go on.",
        )


def _own_webhooks(facts: ClusterFacts) -> Iterator[Manifest]:
    """Return the webhook configurations that call a Service in the namespace of the installed mesh."""
    for webhook in facts.webhooks or ():
        if facts.installed and facts.installed.namespace in {namespace for namespace, _ in called_services(webhook)}:
            yield webhook


def _bundles(facts: ClusterFacts) -> Iterator[Finding]:
    namespace = facts.installed.namespace if facts.installed else ""
    for webhook in _own_webhooks(facts):
        empty = [
            str(entry.get("name"))
            for entry in webhook.get("webhooks") or ()
            if not (entry.get("clientConfig") or {}).get("caBundle")
        ]
        if empty:
            name = webhook["metadata"]["name"]
            yield Finding(
                id="after-install.webhook-trust",
                subject=name,
                message=f"{webhook.get('kind')} {name} has no caBundle: the API server cannot trust its istiod",
                hint=f"Run kubectl logs -n {namespace} -l app={ISTIOD.name} to see why istiod does not write it.",
            )


def _validators(facts: ClusterFacts) -> Iterator[Finding]:
    for webhook in _own_webhooks(facts):
        open_ = any(entry.get("failurePolicy") != "Fail" for entry in webhook.get("webhooks") or ())
        if webhook.get("kind") == _VALIDATOR and open_:
            name = webhook["metadata"]["name"]
            yield Finding(
                id="after-install.validation",
                level=Level.WARNING,
                subject=name,
                message=f"{name} accepts invalid Istio objects: istiod has not set its failurePolicy to Fail",
                hint="istiod does so when its webhook answers. Run nksmesh check --wait 2m to wait for that.",
            )


def _proxies(facts: ClusterFacts) -> Iterator[Finding]:
    installed = facts.installed
    if installed is None or not installed.proxy_image or not installed.version:
        return
    behind = on_other_proxy(installed.workloads, installed.proxy_image)
    outdated = [workload for workload in behind if proxies_too_old(workload.proxies, installed.version)]
    if behind:
        names = first_few([str(workload) for workload in outdated or behind], _MOST_NAMES)
        message = (
            f"{counted(len(outdated), 'workload runs', 'workloads run')} a proxy that istiod {installed.version} does "
            f"not support: {names}"
            if outdated
            else f"{counted(len(behind), 'workload runs', 'workloads run')} another proxy than istiod injects now: "
            f"{names}"
        )
        yield Finding(
            id="after-install.proxies",
            level=Level.FAILURE if outdated else Level.WARNING,
            message=message,
            hint=f"Run nksmesh upgrade --to {installed.version} --restart-workloads to restart them.",
        )


def _root_certificate(facts: ClusterFacts) -> Iterator[Finding]:
    ends = facts.installed.root_ends if facts.installed else None
    if ends is None or ends - facts.now > _SOON:
        return
    over = ends <= facts.now
    yield Finding(
        id="after-install.root-certificate",
        level=Level.FAILURE if over else Level.WARNING,
        message=f"the mesh's root certificate {'expired' if over else 'expires'} on {ends:%Y-%m-%d}: "
        f"proxies {'no longer trust' if over else 'will no longer trust'} each other",
        hint="Plug in a new certificate as istio.io, Plug in CA Certificates, says; then restart the workloads.",
    )


RULES: Final = (
    Rule(id="after-install.ready", passed="every release is ready", judge=_ready, needs=("installed",)),
    Rule(
        id="after-install.webhook-trust",
        passed="the API server trusts istiod's webhooks",
        judge=_bundles,
        needs=("installed", "webhooks"),
    ),
    Rule(
        id="after-install.validation",
        passed="invalid Istio objects are refused",
        judge=_validators,
        needs=("installed", "webhooks"),
    ),
    Rule(
        id="after-install.proxies",
        passed="every workload runs the proxy that istiod injects",
        judge=_proxies,
        needs=("installed",),
    ),
    Rule(
        id="after-install.root-certificate",
        passed="the mesh's root certificate does not expire within 90 days",
        judge=_root_certificate,
        needs=("installed",),
    ),
)
