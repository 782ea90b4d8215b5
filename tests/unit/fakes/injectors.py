"""Istio's injectors with the selectors of its chart (templates/mutatingwebhook.yaml of istiod 1.20)."""

from __future__ import annotations

from typing import Any

Object = dict[str, Any]

_NOT_OFF = {"key": "sidecar.istio.io/inject", "operator": "NotIn", "values": ["false"]}


def _has(key: str, *values: str) -> Object:
    return {"key": key, "operator": "In", "values": list(values)}


def _lacks(key: str) -> Object:
    return {"key": key, "operator": "DoesNotExist"}


def _webhook(service: str, namespace: list[Object], pod: list[Object]) -> Object:
    return {
        "clientConfig": {"service": {"namespace": "istio-system", "name": service}},
        "namespaceSelector": {"matchExpressions": namespace},
        "objectSelector": {"matchExpressions": pod},
    }


def injector(revision: str = "", *, tag: str = "", every: bool = False) -> Object:
    """Make the webhook configuration of an istiod, or of a revision tag that points to it.

    Args:
        every: ``enableNamespacesByDefault`` is set.
    """
    served = tag or revision or "default"
    service = f"istiod-{revision}" if revision else "istiod"
    unlabelled = [_lacks("istio.io/rev"), _lacks("istio-injection")]
    webhooks = [
        _webhook(service, [_has("istio.io/rev", served), _lacks("istio-injection")], [_NOT_OFF]),
        _webhook(service, unlabelled, [_NOT_OFF, _has("istio.io/rev", served)]),
    ]
    if served == "default":
        asked = [_has("sidecar.istio.io/inject", "true"), _lacks("istio.io/rev")]
        webhooks += [
            _webhook(service, [_has("istio-injection", "enabled")], [_NOT_OFF]),
            _webhook(service, unlabelled, asked),
        ]
    if every:
        webhooks.append(_webhook(service, unlabelled, [_lacks("sidecar.istio.io/inject"), _lacks("istio.io/rev")]))
    labels = {"istio.io/rev": revision or "default", **({"istio.io/tag": tag} if tag else {})}
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "MutatingWebhookConfiguration",
        "metadata": {"name": f"istio-{'revision-tag' if tag else 'sidecar-injector'}-{served}", "labels": labels},
        "webhooks": webhooks,
    }
