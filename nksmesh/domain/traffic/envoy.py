"""What an Envoy has counted of each endpoint it calls: ``/clusters?format=json`` of its admin port.

https://www.envoyproxy.io/docs/envoy/latest/operations/admin#get--clusters. A cluster of Istio's for a Service is called
``outbound|PORT|SUBSET|HOST``. Counters begin at 0 when the proxy does, or when it first hears of the endpoint.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias
from urllib.parse import urlencode

from nksmesh.domain.traffic.surroundings import CLUSTER_DOMAIN

_FIELDS: Final = ("rq_total", "rq_error", "rq_timeout", "cx_total", "cx_active")


@dataclass(frozen=True, kw_only=True)
class Counts:
    """What a caller has counted of one endpoint.

    Attributes:
        rq_total: Requests that were sent to it, retries included.
        rq_error: Of these, those that got 5xx, were reset, or got no answer.
        rq_timeout: Of these, those that took too long.
        cx_total: Connections that were made.
        cx_active: Connections that are open.
    """

    rq_total: int = 0
    rq_error: int = 0
    rq_timeout: int = 0
    cx_total: int = 0
    cx_active: int = 0

    def since(self, before: Counts) -> Counts:
        """Return what was counted since; from the start where the counters began anew."""
        if self.rq_total < before.rq_total or self.cx_total < before.cx_total:
            return self
        grown = {name: getattr(self, name) - getattr(before, name) for name in _FIELDS[:-1]}
        return Counts(**grown, cx_active=self.cx_active)

    def plus(self, other: Counts) -> Counts:
        """Add two counts."""
        return Counts(**{name: getattr(self, name) + getattr(other, name) for name in _FIELDS})


EndpointCounts: TypeAlias = Mapping[tuple[str, str], Counts]
"""What one caller has counted: by (cluster, endpoint's IP)."""


class NotEnvoyError(ValueError):
    """An answer that is not that of an Envoy's admin port."""


def clusters_path(service: str, namespace: str) -> str:
    """Return what to ask an admin port for: the clusters of one Service. An Envoy without that filter gives all."""
    pattern = f"outbound.*[|]{re.escape(_host(service, namespace))}"
    return "/clusters?" + urlencode({"format": "json", "filter": pattern})


def _host(service: str, namespace: str) -> str:
    return f"{service}.{namespace}.{CLUSTER_DOMAIN}"


def counts_of(text: str, service: str, namespace: str) -> dict[tuple[str, str], Counts]:
    """Read what an Envoy has counted of a Service's endpoints.

    Args:
        text: The answer to ``clusters_path``, or that of all clusters.

    Returns:
        By (cluster, endpoint's IP); all ports of an endpoint together.

    Raises:
        NotEnvoyError: The text is not such an answer.
    """
    host = _host(service, namespace)
    found: dict[tuple[str, str], Counts] = {}
    try:
        for cluster in json.loads(text).get("cluster_statuses") or ():
            name = str(cluster.get("name", ""))
            if not (name.startswith("outbound|") and name.endswith(f"|{host}")):
                continue
            for endpoint in cluster.get("host_statuses") or ():
                address = str(((endpoint.get("address") or {}).get("socket_address") or {}).get("address", ""))
                key = (name, address)
                found[key] = found.get(key, Counts()).plus(_counts(endpoint.get("stats") or ()))
    except (AttributeError, TypeError, ValueError) as problem:
        raise NotEnvoyError("it is not the list of clusters that an Envoy gives") from problem
    return found


def _counts(stats: Iterable[Mapping[str, Any]]) -> Counts:
    values = {str(row.get("name")): int(row.get("value", 0)) for row in stats}
    return Counts(**{name: values.get(name, 0) for name in _FIELDS})


def grown(before: EndpointCounts, after: EndpointCounts) -> dict[tuple[str, str], Counts]:
    """Return what a caller has counted in between; an endpoint that is new to it counts from 0."""
    return {key: counts.since(before.get(key, Counts())) for key, counts in after.items()}
