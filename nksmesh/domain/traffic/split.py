"""The split of requests that really happened, and how sure one can be of it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from nksmesh.domain.common.data import rounded
from nksmesh.domain.traffic.envoy import Counts, EndpointCounts
from nksmesh.domain.traffic.parameters import Kind
from nksmesh.domain.traffic.recipes import Applied

_Z95: Final = 1.959963984540054
"""The 97.5 % quantile of the normal distribution: an interval that holds the truth 95 times of 100."""

UNKNOWN_VERSION: Final = ""
"""Where the endpoint's pod has no label ``version``, or is gone."""


@dataclass(frozen=True)
class Interval:
    """A share with its 95 % interval, from 0 to 1."""

    share: float = field(metadata=rounded(4))
    low: float = field(metadata=rounded(4))
    high: float = field(metadata=rounded(4))

    def holds(self, share: float) -> bool:
        """Tell whether a share lies in the interval."""
        return self.low <= share <= self.high


def wilson(successes: int, trials: int) -> Interval:
    """Return the share of successes and its 95 % score interval (Wilson 1927), also right near 0 and 1.

    Args:
        trials: How often was counted; of 0 nothing is known, and the interval is all from 0 to 1.
    """
    if trials <= 0:
        return Interval(0.0, 0.0, 1.0)
    share, square = successes / trials, _Z95**2
    denominator = 1 + square / trials
    middle = (share + square / (2 * trials)) / denominator
    half = _Z95 / denominator * math.sqrt(share * (1 - share) / trials + square / (4 * trials**2))
    low = 0.0 if successes == 0 else max(0.0, middle - half)
    high = 1.0 if successes == trials else min(1.0, middle + half)
    return Interval(share, low, high)


@dataclass(frozen=True, kw_only=True)
class VersionSplit:
    """What one version got.

    Attributes:
        version: The label ``version`` of its pods; empty where they have none.
        wanted: The weight that a recipe gives it, in percent; None where none does.
        requests: The requests that it got, retries included.
        errors: Of these, those that got 5xx, were reset, or got no answer.
        part: Its share of all requests.
        error_rate: Which share of its requests were errors.
        as_wanted: Whether the weight lies in the interval; None where there is none, or no request.
    """

    version: str
    wanted: int | None
    requests: int
    errors: int
    timeouts: int
    part: Interval
    error_rate: Interval
    as_wanted: bool | None


def weights_of(some: Iterable[Applied]) -> dict[str, int]:
    """Return the weights, in percent, that applied recipes give to versions; none where a route goes before the split.

    What such a route takes goes to one version, and proxies count it together with the rest.
    """
    applied = tuple(some)
    if any(entry.recipe.first_route for entry in applied):
        return {}
    return {
        row["version"]: row["weight"]
        for entry in applied
        for parameter in entry.recipe.parameters
        if parameter.kind is Kind.WEIGHTS
        for row in entry.values[parameter.name]
    }


def split_of(
    callers: Iterable[EndpointCounts], versions: Mapping[str, str], wanted: Mapping[str, int]
) -> tuple[VersionSplit, ...]:
    """Put together what all callers have counted, by version.

    Args:
        callers: What each caller has counted in the time.
        versions: The version of each pod, by its IP.
        wanted: The weight of each version, in percent.

    Returns:
        A row for each version that is known, wanted, or got a request, by name.
    """
    totals = {version: Counts() for version in (*versions.values(), *wanted)}
    for counted in callers:
        for (_, address), counts in counted.items():
            version = versions.get(address, UNKNOWN_VERSION)
            if counts.rq_total or version in totals:
                totals[version] = totals.get(version, Counts()).plus(counts)
    everything = sum(counts.rq_total for counts in totals.values())
    return tuple(
        _row(version, counts, everything, wanted.get(version, 0 if wanted else None))
        for version, counts in sorted(totals.items())
    )


def _row(version: str, counts: Counts, everything: int, wanted: int | None) -> VersionSplit:
    errors = min(counts.rq_error, counts.rq_total)
    part = wilson(counts.rq_total, everything)
    return VersionSplit(
        version=version,
        wanted=wanted,
        requests=counts.rq_total,
        errors=errors,
        timeouts=counts.rq_timeout,
        part=part,
        error_rate=wilson(errors, counts.rq_total),
        as_wanted=part.holds(wanted / 100) if wanted is not None and everything else None,
    )
