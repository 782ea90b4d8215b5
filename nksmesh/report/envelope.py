"""The versioned envelope: what ``-o json`` and ``-o yaml`` print, whatever the command and however it ended.

schemas/ has its JSON schema, and that of each command's ``data``: additive only, no key may go or change its type.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import Field
from enum import StrEnum
from typing import Any, ClassVar, Final, Protocol

from nksmesh.domain.common.data import data_of
from nksmesh.domain.common.errors import MeshError
from nksmesh.report.redaction import redact

ENVELOPE_VERSION: Final = 1
"""Raised only when a key changes its meaning or goes; keys may be added without."""


class Status(StrEnum):
    """How a command ended."""

    SUCCESS = "success"
    PARTIAL = "partial"
    ERROR = "error"


class Result(Protocol):
    """What a command comes to: a dataclass, of which ``data_of`` makes the envelope's ``data``.

    It may also have ``exit_code`` (where a success is not 0: ``plan --exit-code``), ``warnings`` (sentences for
    stderr) and ``errors`` (what failed where the rest was done, which makes the status ``partial``).
    """

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]


def exit_code_of(result: Result) -> int:
    """Return the exit code a result asks for, 0 where it asks for none."""
    errors = errors_of(result)
    return int(getattr(result, "exit_code", 0)) or (errors[0].exit_code if errors else 0)


def warnings_of(result: Result) -> Sequence[str]:
    """Return the sentences a result wants read."""
    return tuple(str(warning) for warning in getattr(result, "warnings", ()))


def errors_of(result: Result) -> Sequence[MeshError]:
    """Return what failed while the rest was done."""
    return tuple(getattr(result, "errors", ()))


def envelope(command: str, result: Result) -> dict[str, Any]:
    """Wrap what a command came to."""
    errors = errors_of(result)
    status = Status.PARTIAL if errors else Status.SUCCESS
    return _envelope(command, status, data=data_of(result), errors=errors)


def error_envelope(command: str, error: MeshError) -> dict[str, Any]:
    """Wrap what ended a command."""
    return _envelope(command, Status.ERROR, data={}, errors=(error,))


def _envelope(command: str, status: Status, *, data: Mapping[str, Any], errors: Sequence[MeshError]) -> dict[str, Any]:
    return {
        "nksmesh": ENVELOPE_VERSION,
        "command": command,
        "status": status.value,
        "data": dict(data),
        "errors": [_error(error) for error in errors],
    }


def _error(error: MeshError) -> dict[str, Any]:
    shown: dict[str, Any] = {"code": error.code, "message": redact(error.message), "hint": redact(error.hint)}
    if error.detail.strip():
        shown["detail"] = redact(error.detail.strip())
    if notes := [redact(note) for note in getattr(error, "__notes__", ())]:
        shown["notes"] = notes
    return shown
