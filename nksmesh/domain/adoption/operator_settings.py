"""An IstioOperator's spec as single settings: each with its path, in the order in which they outdo each other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from nksmesh.domain.adoption.operator_keys import SIDES
from nksmesh.domain.values.layers import Path


def settings_of(spec: Mapping[str, Any]) -> Iterator[tuple[Path, Any]]:
    """Yield each setting with its path, the weaker first: what patches rendered objects outdoes values.

    A gateway is a part of the path by its name, and so is a variable; one that was not enabled was never made.
    """
    order = ("values", "unvalidatedValues", "meshConfig", "components")
    for key in sorted(spec, key=lambda name: order.index(name) if name in order else -1):
        yield from _below((key,), spec[key])


def _below(path: Path, value: Any) -> Iterator[tuple[Path, Any]]:
    match path:
        case ("components", side) if side in SIDES and _all_maps(value):
            for gateway in value:
                if gateway.get("enabled") is not False:  # else nothing of it was ever made
                    rest = {key: inner for key, inner in gateway.items() if key not in {"name", "namespace", "enabled"}}
                    yield from _below((*path, str(gateway.get("name") or SIDES[side])), rest)
            return
        case (*_, "k8s", "env") if _all_maps(value):
            for variable in value:
                yield (*path, str(variable.get("name"))), variable.get("valueFrom") or str(variable.get("value", ""))
            return
        case (*_, "hpaSpec", "metrics") if utilization := _utilization(value):
            yield from (((*path, name), percent) for name, percent in utilization.items())
            return
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _below((*path, key), inner)
    else:
        yield path, value


def _utilization(metrics: Any) -> dict[str, Any]:
    """Read metrics of a HorizontalPodAutoscaler as percents by resource; none where they say anything else."""
    found: dict[str, Any] = {}
    for metric in metrics if _all_maps(metrics) else ():
        resource = metric.get("resource") or {}
        target = resource.get("target") or {}
        percent = target.get("averageUtilization") or resource.get("targetAverageUtilization")
        if metric.get("type") != "Resource" or resource.get("name") not in {"cpu", "memory"} or not percent:
            return {}
        found[resource["name"]] = percent
    return found


def _all_maps(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(entry, Mapping) for entry in value)
