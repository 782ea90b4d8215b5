"""What ``istioctl proxy-status`` reports: which configuration each proxy has taken from istiod.

Istio up to 1.2x prints a table alone, with a column for each kind of configuration. Later ones have ``-o json``: an
xDS answer for each istiod, with a ClientConfig for each proxy (envoy.service.status.v3).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from nksmesh.domain.common.findings import Finding, Level

SYNCED: Final = "SYNCED"
_KINDS: Final = {
    "envoy.config.cluster.v3.Cluster": "CDS",
    "envoy.config.listener.v3.Listener": "LDS",
    "envoy.config.endpoint.v3.ClusterLoadAssignment": "EDS",
    "envoy.config.route.v3.RouteConfiguration": "RDS",
    "envoy.config.core.v3.TypedExtensionConfig": "ECDS",
}
_ORDER: Final = {kind: place for place, kind in enumerate(_KINDS.values())}
_COLUMN: Final = re.compile(r"\S+(?: \S+)*")
_OWN_COLUMNS: Final = frozenset({"NAME", "CLUSTER", "ISTIOD", "VERSION"})


@dataclass(frozen=True, kw_only=True, order=True)
class ProxyStatus:
    """What istiod knows of one proxy.

    Attributes:
        name: ``POD.NAMESPACE``.
        istiod: The istiod that it is connected to.
        version: The proxy's Istio version, or with older istioctl istiod's; may be empty.
        types: The state of each kind of configuration: SYNCED, NOT SENT, STALE, ERROR, IGNORED.
    """

    name: str
    istiod: str
    version: str
    types: Mapping[str, str]

    @property
    def worst(self) -> Level | None:
        """How bad it is: a failure where it refused something, a warning where it has not taken it yet."""
        states = self.types.values()
        if any(state.startswith("ERROR") for state in states):
            return Level.FAILURE
        return Level.WARNING if any(state.startswith("STALE") for state in states) else None


def statuses_of(said: bytes) -> tuple[ProxyStatus, ...]:
    """Read what ``istioctl proxy-status`` wrote, in either form.

    Raises:
        ValueError: It is neither.
    """
    text = said.decode(errors="replace").strip()
    return tuple(sorted(_in_json(text) if text.startswith("{") else _in_table(text), key=lambda proxy: proxy.name))


def findings_of(proxies: tuple[ProxyStatus, ...]) -> tuple[Finding, ...]:
    """Say which proxies refused configuration, and which have not taken it yet."""
    found = []
    for proxy in proxies:
        states = ", ".join(f"{kind} {state}" for kind, state in proxy.types.items() if state[:5] in {"ERROR", "STALE"})
        if proxy.worst is Level.FAILURE:
            found.append(
                Finding(
                    id="istioctl.rejected-configuration",
                    subject=proxy.name,
                    message=f"the proxy {proxy.name} rejects configuration of {proxy.istiod}: {states}",
                    hint=f"Its log says why: kubectl logs {_pod(proxy.name)} -c istio-proxy",
                )
            )
        elif proxy.worst is Level.WARNING:
            found.append(
                Finding(
                    id="istioctl.stale-proxy",
                    level=Level.WARNING,
                    subject=proxy.name,
                    message=f"the proxy {proxy.name} has not accepted the last configuration of {proxy.istiod}: "
                    f"{states}",
                    hint="Run the command again in some seconds. If it stays: "
                    f"kubectl logs {_pod(proxy.name)} -c istio-proxy",
                )
            )
    return tuple(found)


def _pod(name: str) -> str:
    pod, _, namespace = name.rpartition(".")
    return f"{pod} -n {namespace}" if pod else name


def _in_json(text: str) -> Iterator[ProxyStatus]:
    """Read the answers of all istiods, which stand one behind the other."""
    decoder = json.JSONDecoder()
    while text:
        answer, end = decoder.raw_decode(text)
        text = text[end:].lstrip()
        try:
            yield from _of_answer(answer)
        except (AttributeError, TypeError, KeyError) as error:
            raise ValueError("it is no answer of istiod") from error


def _of_answer(answer: Mapping[str, Any]) -> Iterator[ProxyStatus]:
    identifier = (answer.get("controlPlane") or {}).get("identifier") or "{}"
    istiod = str(json.loads(identifier).get("ID") or "")
    for resource in answer.get("resources") or ():
        node = resource["node"]
        types = {}
        for config in resource.get("genericXdsConfigs") or ():
            kind = str(config["typeUrl"]).rpartition("/")[2]
            state = str(config.get("configStatus") or "UNKNOWN").replace("_", " ")
            types[_KINDS.get(kind, kind)] = "IGNORED" if state == "UNKNOWN" else state
        types = dict(sorted(types.items(), key=lambda entry: _ORDER.get(entry[0], len(_ORDER))))
        version = str((node.get("metadata") or {}).get("ISTIO_VERSION") or "")
        yield ProxyStatus(name=str(node["id"]), istiod=istiod, version=version, types=types)


def _in_table(text: str) -> Iterator[ProxyStatus]:
    """Read the table by its columns: a cell may be empty, and may hold a blank."""
    header, *lines = text.splitlines() or [""]
    columns = [(found[0], found.start()) for found in _COLUMN.finditer(header)]
    names = [name for name, _ in columns]
    if not columns:
        return
    if not {"NAME", "ISTIOD"} <= set(names):
        raise ValueError("it is no table of proxies")
    starts = [start for _, start in columns]
    for line in lines:
        cells = [line[start:end].strip() for start, end in zip(starts, [*starts[1:], None], strict=True)]
        row = dict(zip(names, cells, strict=True))
        yield ProxyStatus(
            name=row["NAME"],
            istiod=row["ISTIOD"],
            version=row.get("VERSION", ""),
            types={name: state for name, state in row.items() if name not in _OWN_COLUMNS},
        )
