"""The templates of an unpacked chart, read when they are asked for: only values of a user's own need that."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path

from nksmesh.domain.common.errors import ChartError


class Templates(Mapping[str, str]):
    """The texts of a chart's templates, by their paths in it.

    They are what Helm renders (templates/), what is a template below files/, and charts that it depends on (charts/).

    Args:
        folder: The unpacked chart.
        title: What errors call it.
    """

    def __init__(self, folder: Path, *, title: str) -> None:
        self._folder = folder
        self._title = title

    def __getitem__(self, name: str) -> str:
        return self._texts[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._texts)

    def __len__(self) -> int:
        return len(self._texts)

    @cached_property
    def _texts(self) -> dict[str, str]:
        try:
            return dict(self._read())
        except OSError as error:
            raise ChartError(
                f"{self._title}: a template cannot be read: {error.filename}: {error.strerror or error}",
                hint="Make the chart's folder readable, or name another source with --charts.",
            ) from error

    def _read(self) -> Iterator[tuple[str, str]]:
        for top in ("charts", "files", "templates"):
            for path in sorted((self._folder / top).rglob("*")):
                if not path.is_file():
                    continue
                text = path.read_bytes().decode(errors="replace")
                if top != "files" or "{{" in text:
                    yield path.relative_to(self._folder).as_posix(), text
