"""A run that is about a canary: other answers than the mesh's own, a part of its releases, another way to record it.

Everything else is install's: the plan, the lease, the gate, the proofs. What a canary adds is said here.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from nksmesh.domain.mesh.mesh import Mesh
from nksmesh.domain.mesh.record import Keep
from nksmesh.domain.mesh.request import Recorded
from nksmesh.domain.mesh.resolve import Resolved


@dataclass(frozen=True, kw_only=True)
class ReleaseScope:
    """What a run is about, where it is not about the whole mesh as it was recorded.

    Attributes:
        answers: What stands in the place of the record's answers.
        keep: How what it leaves is recorded.
        components: The components it is about; all of them where empty. Releases of others are left alone.
    """

    answers: Recorded = field(repr=False)
    keep: Keep = field(repr=False)
    components: frozenset[str] = frozenset()

    def of(self, resolved: Resolved) -> Resolved:
        """Leave of a mesh the releases that the run is about."""
        if not self.components:
            return resolved
        return replace(resolved, mesh=_only(resolved.mesh, self.components))


def _only(mesh: Mesh, components: frozenset[str]) -> Mesh:
    return replace(mesh, releases=tuple(release for release in mesh.releases if release.component in components))
