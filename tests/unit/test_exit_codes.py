"""The exit codes and the error codes that scripts rely on: a change here breaks somebody's pipeline."""

from __future__ import annotations

from nksmesh.domain.common import errors
from nksmesh.domain.common.errors import MeshError

PINNED = {
    "MeshError": ("bug", 1),
    "ConfigError": ("config", 2),
    "ChartError": ("chart", 3),
    "ImageError": ("image", 3),
    "BundleError": ("bundle", 3),
    "IstioctlError": ("istioctl", 3),
    "MissingImageError": ("image", 3),
    "DeniedImageError": ("image", 3),
    "ClusterError": ("cluster", 4),
    "UnreachableError": ("cluster", 4),
    "RefusedError": ("cluster", 4),
    "ReleaseError": ("release", 5),
    "HelmStartError": ("release", 5),
    "NotReadyError": ("not-ready", 6),
    "CheckError": ("check", 7),
    "HeldError": ("held", 8),
    "RolledBackError": ("rolled-back", 11),
    "RollbackError": ("rollback", 12),
    "InterruptedRunError": ("interrupted", 130),
}


def error_classes() -> dict[str, type[MeshError]]:
    return {name: kind for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, MeshError)}


def test_every_class_has_the_codes_it_always_had() -> None:
    assert {name: (kind.code, kind.exit_code) for name, kind in error_classes().items()} == PINNED


def test_no_two_families_share_a_code() -> None:
    families = [kind for kind in error_classes().values() if kind.__bases__ == (MeshError,)]
    assert len({kind.exit_code for kind in families}) == len(families)
    assert len({kind.code for kind in families}) == len(families)


def test_no_error_has_the_code_of_pending_changes_or_of_success() -> None:
    assert errors.CHANGES_PENDING == 10
    assert not {0, errors.CHANGES_PENDING} & {kind.exit_code for kind in error_classes().values()}
