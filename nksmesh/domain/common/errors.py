"""Every error that can end a run, and the exit code each has.

::

    MeshError              1   a bug of ours, when it is raised bare
     ├─ ConfigError        2   options, values/, mesh.yaml, charts.lock: what the user wrote
     ├─ ChartError         3   a chart, its values or an image that may not be used
     ├─ ClusterError       4   the cluster: unreachable, refused, not the one that was meant
     │   ├─ UnreachableError   nothing answers: a wait goes on until its own time is over
     │   └─ RefusedError       the API server answered, with an error
     ├─ ReleaseError       5   Helm failed; ``detail`` carries Helm's own words
     ├─ NotReadyError      6   a component did not become ready, or never will
     ├─ CheckError         7   a check failed, or a version is unsupported
     ├─ HeldError          8   another run holds the mesh
     ├─ RolledBackError   11   a step failed, and what it did was rolled back
     ├─ RollbackError     12   a step failed, and so did its rollback
     └─ InterruptedRunError 130   Ctrl-C or SIGTERM

Exit code 0 is success; 10 is ``plan --exit-code`` with changes pending, or ``drift --exit-code`` with drift: neither is
an error.
Adapters translate foreign exceptions into these at their edge; nothing else catches and re-raises.
"""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from typing import ClassVar, Final

CHANGES_PENDING: Final = 10

_BUSY: Final = (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.GATEWAY_TIMEOUT)
"""What an API server answers that has too much to do, or is not up yet."""


class MeshError(Exception):
    """A run that ends: what failed and where, what to do next, and the failing tool's own words.

    Attributes:
        message: One sentence: what failed, where.
        hint: One sentence: what to do next.
        detail: The words of the tool that failed (Helm's stderr, an event's message), may be empty.
        passing: What failed may be over by itself: the same command may end well, with nothing changed before it.
    """

    exit_code: ClassVar[int] = 1
    code: ClassVar[str] = "bug"

    def __init__(self, message: str, *, hint: str, detail: str = "", passing: bool = False) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.detail = detail
        self.passing = passing


class ConfigError(MeshError):
    """What the user wrote cannot be used: an option, a values file, mesh.yaml, charts.lock."""

    exit_code = 2
    code = "config"


class ChartError(MeshError):
    """A chart that cannot be had or trusted, values it refuses, or an image outside the hub."""

    exit_code = 3
    code = "chart"


class ImageError(ChartError):
    """An image that a registry does not give, or that cannot be what was asked for."""

    code = "image"


class MissingImageError(ImageError):
    """A registry that answers, and does not have the image."""


class DeniedImageError(ImageError):
    """A registry that does not give the image to this login, or to nobody without one."""


class BundleError(ChartError):
    """A bundle that is damaged, or that holds other things than it may."""

    code = "bundle"


class IstioctlError(ChartError):
    """An istioctl that cannot be had or trusted, or that failed."""

    code = "istioctl"


class ClusterError(MeshError):
    """The cluster cannot be reached, refuses us, or is not the one that was meant."""

    exit_code = 4
    code = "cluster"


class UnreachableError(ClusterError):
    """Nothing answers at the API server's address, for now at least."""

    def __init__(self, message: str, *, hint: str, detail: str = "") -> None:
        super().__init__(message, hint=hint, detail=detail, passing=True)


class RefusedError(ClusterError):
    """The API server answered, with an error; its words are in ``detail``.

    Attributes:
        status: The HTTP status.
        reason: The Status object's reason, such as ``Conflict`` or ``AlreadyExists``.
        causes: For each field that is at fault, its path and what the API server says of it.
    """

    def __init__(
        self,
        message: str,
        *,
        hint: str,
        status: int,
        reason: str,
        detail: str = "",
        causes: Sequence[tuple[str, str]] = (),
    ) -> None:
        super().__init__(message, hint=hint, detail=detail, passing=status in _BUSY or reason == "Conflict")
        self.status = status
        self.reason = reason
        self.causes = tuple(causes)


class ReleaseError(MeshError):
    """Helm failed on a release."""

    exit_code = 5
    code = "release"


class HelmStartError(ReleaseError):
    """Helm could not be started: whatever it was to do, neither a chart nor the cluster is the cause."""


class NotReadyError(MeshError):
    """A component did not become ready in time, or certainly never will."""

    exit_code = 6
    code = "not-ready"


class CheckError(MeshError):
    """A check failed, or a version is not supported."""

    exit_code = 7
    code = "check"


class HeldError(MeshError):
    """Another run is at work on the same mesh."""

    exit_code = 8
    code = "held"


class RolledBackError(MeshError):
    """A step failed, and the run was rolled back."""

    exit_code = 11
    code = "rolled-back"


class RollbackError(MeshError):
    """A step failed, and rolling it back failed too."""

    exit_code = 12
    code = "rollback"


class InterruptedRunError(MeshError):
    """The user or the system asked the run to stop."""

    exit_code = 130
    code = "interrupted"
