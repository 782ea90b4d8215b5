"""Noise: what istiod, controllers and clouds rightly write over what Istio's charts render, and how that is known."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from nksmesh.domain.kube.keyed_lists import by_key
from nksmesh.domain.kube.objects import Manifest

_EACH: Final = "[]"
_WEBHOOKS: Final = frozenset({"MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"})
_CLOUD_KEYS: Final = frozenset({"control-plane", "kubernetes.azure.com/managedby"})


@dataclass(frozen=True, kw_only=True)
class Noise:
    """A field that a chart may render and somebody else rightly writes: the live value is taken for the wanted one.

    Attributes:
        kinds: The kinds that have it.
        path: Where it is; ``[]`` is every item of a list.
        source: Who writes it, and where that is known from.
        rightly: Tells from the manifest's value and the live one whether it is theirs to write.
        autoscaled: It holds only where a HorizontalPodAutoscaler of the release targets the object.
    """

    kinds: frozenset[str]
    path: tuple[str, ...]
    source: str
    rightly: Callable[[Any, Any], bool] = lambda _wanted, _live: True
    autoscaled: bool = False


def _turned_on(wanted: Any, live: Any) -> bool:
    return bool(wanted == "Ignore" and live == "Fail")


def _left_open(wanted: Any, _live: Any) -> bool:
    return not wanted


def _clouds_own(wanted: Any, live: Any) -> bool:
    """Tell a namespaceSelector that has all that the chart wants, and beyond it only a cloud's own exceptions."""
    said, found = ((selector or {}).get("matchExpressions") or () for selector in (wanted, live))
    labels, theirs = ((selector or {}).get("matchLabels") or {} for selector in (wanted, live))
    added = [term for term in found if term not in said]
    return (
        labels == theirs
        and all(term in found for term in said)
        and all(
            term.get("key") in _CLOUD_KEYS and str(term.get("operator")) in {"NotIn", "DoesNotExist"} for term in added
        )
    )


NOISE: Final = (
    Noise(
        kinds=_WEBHOOKS,
        path=("webhooks", _EACH, "clientConfig", "caBundle"),
        source="istiod writes its root certificate (istio-facts 7)",
    ),
    Noise(
        kinds=frozenset({"ValidatingWebhookConfiguration"}),
        path=("webhooks", _EACH, "failurePolicy"),
        source="istiod turns Ignore into Fail when its validator answers (istio-facts 5 and 7)",
        rightly=_turned_on,
    ),
    Noise(
        kinds=_WEBHOOKS,
        path=("webhooks", _EACH, "namespaceSelector"),
        source="AKS keeps its own namespaces out of every webhook (Azure/AKS issue 4002)",
        rightly=_clouds_own,
    ),
    Noise(
        kinds=frozenset({"Deployment"}),
        path=("spec", "replicas"),
        source="the HorizontalPodAutoscaler scales it (Kubernetes, Horizontal Pod Autoscaling)",
        autoscaled=True,
    ),
    *(
        Noise(
            kinds=frozenset({"Service"}),
            path=("spec", *path),
            source="the API server or the cloud gives one where none is asked for (Kubernetes, ServiceSpec)",
            rightly=_left_open,
        )
        for path in (
            ("clusterIP",),
            ("clusterIPs",),
            ("healthCheckNodePort",),
            ("loadBalancerIP",),
            ("ports", _EACH, "nodePort"),
        )
    ),
)
"""What others write over what Istio's charts render, with the source of each fact.

What no chart renders needs no line: a dry run leaves what others hold as it is.
"""


def take_noise(body: dict[str, Any], live: Manifest, *, autoscaled: bool) -> None:
    """Put into a manifest what is live of the noise, in place.

    Args:
        body: The manifest, which is changed.
        autoscaled: A HorizontalPodAutoscaler of the release targets it.
    """
    for noise in NOISE:
        if body.get("kind") in noise.kinds and (autoscaled or not noise.autoscaled):
            _take_live(body, live, noise.path, noise)


def _take_live(wanted: Any, live: Any, path: tuple[str, ...], noise: Noise) -> None:
    """Put the live value in the manifest's place, where the manifest has one at all."""
    head, *rest = path
    if not isinstance(wanted, dict) or not isinstance(live, Mapping) or head not in wanted or head not in live:
        return
    if not rest:
        if noise.rightly(wanted[head], live[head]):
            wanted[head] = copy.deepcopy(live[head])
        return
    if rest[0] != _EACH:
        _take_live(wanted[head], live[head], tuple(rest), noise)
        return
    items, there = by_key(head, wanted[head]) or {}, by_key(head, live[head]) or {}
    for key, item in items.items():
        _take_live(item, there.get(key), tuple(rest[1:]), noise)
