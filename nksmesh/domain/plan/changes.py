"""Why a release must be written."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from nksmesh.domain.charts.chart import Chart
from nksmesh.domain.charts.installed import InstalledRelease
from nksmesh.domain.common.spelling import first_few
from nksmesh.domain.mesh.record import RecordedRelease, hash_of
from nksmesh.domain.values.layers import leaves
from nksmesh.domain.values.set_integers import LEAST, set_integers

_MOST_KEYS: Final = 4


def reasons_to_write(
    installed: InstalledRelease | None,
    chart: Chart,
    values: Mapping[str, Any],
    recorded: RecordedRelease | None,
) -> tuple[str, ...]:
    """Say why a release must be written; nothing where what Helm has is what is wanted.

    Args:
        recorded: What the last run left, or None where it is not known.
    """
    if installed is None:
        return ("it is not installed",)
    if installed.pending:
        return (f"a run that ended early left it {installed.status} (Helm revision {installed.helm_revision})",)
    reasons = [] if installed.deployed else [f"Helm left it {installed.status}"]
    if installed.chart_version != chart.ref.version:
        reasons.append(f"chart {installed.chart_version} becomes {chart.ref.version}")
    known = recorded if recorded and recorded.helm_revision == installed.helm_revision else None
    if known and known.chart_digest not in {"", chart.digest} and not reasons:  # an adopted one may be unproved
        reasons.append(f"chart {chart.ref.version} has another digest than the installed one")
    if known.values_hash != hash_of(values) if known else dict(installed.values) != dict(values):
        reasons.append(f"values change: {_changed_keys(installed.values, values)}")
    return tuple(reasons)


def _changed_keys(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    before, after = ({".".join(path): value for path, value in leaves(values)} for values in (old, new))
    keys = sorted(key for key in {*before, *after} if before.get(key) != after.get(key))
    if not keys:  # Helm stores an integer and the float of the same number alike
        return f"the type of {', '.join(key for key, value in sorted(after.items()) if _is_retyped(value))}"
    return first_few(keys, _MOST_KEYS)


def _is_retyped(value: Any) -> bool:
    """Tell what may be an integer to Helm where it was a float, or the reverse."""
    items = value if isinstance(value, list) else [value]
    return bool(set_integers(value)) or any(isinstance(item, int | float) and abs(item) >= LEAST for item in items)
