"""What applying the CRDs of a chart's crds/ folder (up to chart 1.23) would do to a cluster."""

from __future__ import annotations

import asyncio
import re
from typing import Any, Final

from nksmesh.domain.charts import Chart
from nksmesh.domain.errors import RefusedError
from nksmesh.domain.objects import Manifest, ObjectRef, ref_of
from nksmesh.domain.plan import CrdChange
from nksmesh.workflows.ports import Objects

_HOLDER: Final = re.compile(r'conflicts? with "([^"]+)"')


async def survey_crds(chart: Chart, objects: Objects, *, applied_digest: str) -> tuple[CrdChange, ...]:
    """Ask, for each CRD of a chart, what applying it would change; nothing is written.

    Args:
        chart: The chart of base.
        objects: The cluster's objects.
        applied_digest: The digest of the chart whose CRDs the last run applied, or empty: those of the same
            chart need no asking.

    Raises:
        ClusterError: The cluster cannot be reached, or refuses.
    """
    refs = [ref_of(crd) for crd in chart.crds]
    live = await objects.get_all(refs, metadata_only=True)
    same = applied_digest == chart.digest
    return tuple(
        await asyncio.gather(
            *(_survey(crd, ref, live[ref], objects, same=same) for crd, ref in zip(chart.crds, refs, strict=True))
        )
    )


async def _survey(
    crd: Manifest, ref: ObjectRef, live: dict[str, Any] | None, objects: Objects, *, same: bool
) -> CrdChange:
    if live is None:
        return CrdChange(name=ref.name, manifest=crd)
    if same:
        return CrdChange(name=ref.name, manifest=crd, exists=True, differs=False)
    try:
        after = await objects.apply(crd, ref, dry_run=True, force=False)
    except RefusedError as exc:
        if exc.reason != "Conflict":
            raise
        holders = tuple(sorted(set(_HOLDER.findall(exc.detail))))
        return CrdChange(name=ref.name, manifest=crd, exists=True, taken_from=holders)
    return CrdChange(name=ref.name, manifest=crd, exists=True, differs=_shown(after) != _shown(live))


def _shown(crd: Manifest) -> tuple[Any, ...]:
    """Return what tells two states of a CRD apart: the API server counts changes of its spec in generation."""
    metadata = crd["metadata"]
    return metadata.get("generation"), metadata.get("labels"), metadata.get("annotations")
