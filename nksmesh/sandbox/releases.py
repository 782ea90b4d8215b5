"""The Kubernetes releases that a sandbox can be of."""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class Kubernetes(StrEnum):
    """A minor version of Kubernetes: what a user names."""

    V1_28 = "1.28"
    V1_34 = "1.34"

    @property
    def release(self) -> str:
        """The release of it that is built, such as 1.28.15."""
        return _RELEASES[self]

    @property
    def etcd(self) -> str:
        """The release of etcd that this Kubernetes itself asks for."""
        return _ETCD[self]


OLDEST: Final = Kubernetes.V1_28
"""What a new sandbox is of, unless another is asked for."""

_RELEASES: Final = {Kubernetes.V1_28: "1.28.15", Kubernetes.V1_34: "1.34.4"}
_ETCD: Final = {Kubernetes.V1_28: "3.5.9", Kubernetes.V1_34: "3.6.4"}
