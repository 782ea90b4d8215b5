"""What charts.lock pins of istioctl: the digest of each archive, by version, platform and source."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from nksmesh.domain.common.errors import IstioctlError
from nksmesh.domain.istioctl.archive import IstioctlArchive, Origin


@dataclass(frozen=True, kw_only=True, order=True)
class IstioctlPin:
    """An archive of istioctl that is pinned; the manifest is empty where it came from no registry."""

    archive: IstioctlArchive
    source: str
    digest: str
    manifest: str = ""

    @property
    def key(self) -> tuple[str, str, str]:
        """What it is pinned for: version, platform, source."""
        return self.archive.version, self.archive.platform, self.source


@dataclass(frozen=True)
class IstioctlPins:
    """All of them.

    Attributes:
        file: The charts.lock, for errors.
    """

    pins: tuple[IstioctlPin, ...]
    file: str

    def of(self, archive: IstioctlArchive, source: str) -> IstioctlPin | None:
        """Find what an archive of a source is pinned to."""
        key = (archive.version, archive.platform, source)
        return next((pin for pin in self.pins if pin.key == key), None)

    def has(self, archive: IstioctlArchive, origin: Origin) -> bool:
        """Tell whether an archive is pinned, for whatever source: the same bytes are the same archive."""
        return any(pin.archive == archive and pin.digest == origin.digest for pin in self.pins)

    def check(self, archive: IstioctlArchive, origin: Origin, *, locked: bool) -> None:
        """Compare an archive with what is pinned.

        Args:
            locked: Refuse what is not pinned.

        Raises:
            IstioctlError: Another archive is pinned for that source, or none at all with ``locked``.
        """
        pin = self.of(archive, origin.source)
        if pin is not None and pin.digest != origin.digest:
            raise IstioctlError(
                f"{archive.name} from {origin.source} is not the archive that {self.file} pins",
                hint="Find out why it changed. If the new one is correct, delete its entry from the file, and run the "
                "same command again.",
                detail=f"in the lock: {pin.digest}\nthe archive: {origin.digest}",
            )
        if locked and not self.has(archive, origin):
            raise IstioctlError(
                f"{archive.name} from {origin.source} is not pinned in {self.file}, and --locked requires it",
                hint="Run the same command without --locked to pin it.",
            )


def with_pin(pins: Iterable[IstioctlPin], added: IstioctlPin) -> tuple[IstioctlPin, ...]:
    """Add a pin, in the place of one for the same archive and source."""
    return tuple(sorted((*(pin for pin in pins if pin.key != added.key), added)))
