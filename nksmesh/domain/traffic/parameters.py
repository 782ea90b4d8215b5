"""The parameters of a recipe: ``key=value`` as a user types it, judged by type and bounds, and what it stands for."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from nksmesh.domain.common.data import HIDDEN
from nksmesh.domain.common.durations import parse_duration
from nksmesh.domain.common.errors import ConfigError
from nksmesh.domain.common.spelling import perhaps


class Kind(StrEnum):
    """What a parameter's text is."""

    TEXT = "text"
    TEXTS = "texts"
    CHOICE = "choice"
    INTEGER = "integer"
    NUMBER = "number"
    DURATION = "duration"
    VERSION = "version"
    WEIGHTS = "weights"
    IDENTITIES = "identities"


NUMBERS: Final = frozenset({Kind.INTEGER, Kind.NUMBER, Kind.DURATION})
"""The kinds that have a minimum and a maximum; those of a duration are in seconds."""

LABEL_VALUE: Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")
"""The label ``version`` of a pod, as Kubernetes lets it be."""

_NAME: Final = r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?"
_IDENTITY: Final = re.compile(rf"(?P<namespace>{_NAME})/(?P<account>{_NAME}|\*)")
_INTEGER: Final = re.compile(r"-?\d{1,9}", re.ASCII)
_NUMBER: Final = re.compile(r"-?\d{1,9}(\.\d{1,4})?", re.ASCII)


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """One parameter of a recipe.

    Attributes:
        default: The text that stands for it where it is not given; None where nothing does.
        required: It must be given.
        minimum: The least number it may be, in seconds for a duration; None for none.
        maximum: The largest.
        choices: What a choice may be.
        pattern: What a text must match as a whole; empty for anything.
        example: A text as it could be given.
    """

    name: str
    kind: Kind
    description: str
    default: str | None = None
    required: bool = False
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()
    pattern: str = field(default="", metadata=HIDDEN)
    example: str = ""

    @property
    def bounds(self) -> str:
        """What it may be, in words: ``1 to 10``, ``STRICT or PERMISSIVE``; empty for anything."""
        if self.choices:
            return " or ".join(self.choices)
        if self.minimum is None and self.maximum is None:
            return ""
        unit = "s" if self.kind is Kind.DURATION else ""
        least, most = (f"{bound:g}{unit}" if bound is not None else "" for bound in (self.minimum, self.maximum))
        return f"{least} to {most}" if least and most else f"at least {least}" if least else f"at most {most}"

    def value(self, text: str) -> Any:
        """Turn its text into the value that stands in objects.

        Returns:
            Text, a number, a duration as Istio writes it (``1.5s``), or a list of texts or of maps.

        Raises:
            ConfigError: The text is not of its kind, or out of bounds.
        """
        reader = _READERS.get(self.kind)
        return reader(self, text) if reader else text

    def wrong(self, text: str, problem: str) -> ConfigError:
        """Make the error for a text that it cannot be."""
        example = f" Example: {self.name}={self.example}" if self.example else ""
        return ConfigError(f"{self.name}={text}: {problem}", hint=f"{self.description}{example}")


def parse_given(texts: Iterable[str], parameters: Iterable[Parameter], recipe: str) -> dict[str, str]:
    """Read ``key=value`` arguments; what no parameter is called is a version, where weights are asked for.

    Raises:
        ConfigError: One is not written so, is not known, or is given twice.
    """
    known = {parameter.name: parameter for parameter in parameters}
    weighted = any(parameter.kind is Kind.WEIGHTS for parameter in known.values())
    named = [name for name, parameter in known.items() if parameter.kind is not Kind.WEIGHTS]
    listing = f"Run nksmesh traffic recipes {recipe} to see its parameters."
    given: dict[str, str] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or not key or not value:
            raise ConfigError(f"{text!r} is not written KEY=VALUE", hint=listing)
        if key in given:
            raise ConfigError(f"{key} is given twice", hint="Give it once.")
        if key not in named and not (weighted and LABEL_VALUE.fullmatch(key)):
            raise ConfigError(f"recipe {recipe} has no parameter {key!r}", hint=perhaps(key, named, "parameters"))
        given[key] = value
    return given


def values_of(given: Mapping[str, str], parameters: Iterable[Parameter], recipe: str) -> dict[str, Any]:
    """Return the value of each parameter that was given or has a default; the others are left out.

    Raises:
        ConfigError: A required one is not given, or a text is not of its kind or out of bounds.
    """
    values: dict[str, Any] = {}
    some = tuple(parameters)
    for parameter in some:
        if parameter.kind is Kind.WEIGHTS:
            named = {other.name for other in some}
            values[parameter.name] = _weights(parameter, {key: text for key, text in given.items() if key not in named})
            continue
        text = given.get(parameter.name, parameter.default)
        if text is not None:
            values[parameter.name] = parameter.value(text)
        elif parameter.required:
            raise ConfigError(
                f"recipe {recipe} needs {parameter.name}=...",
                hint=f"{parameter.description} Run nksmesh traffic recipes {recipe} to see all parameters.",
            )
    return values


def subset_of(version: str) -> str:
    """Name the subset of a version: Istio takes a DNS label, and a version may have dots and capitals."""
    return re.sub(r"[._]", "-", version.lower())


def _weights(parameter: Parameter, given: Mapping[str, str]) -> list[dict[str, Any]]:
    if not given:
        raise ConfigError("no version and its weight was given", hint=f"Example: {parameter.example}")
    return [
        {"version": version, "subset": subset_of(version), "weight": _integer(parameter, text, name=version)}
        for version, text in given.items()
    ]


def _integer(parameter: Parameter, text: str, *, name: str = "") -> int:
    if not _INTEGER.fullmatch(text):
        raise _named(parameter, name).wrong(text, "it is not a whole number")
    return int(_bounded(_named(parameter, name), text, float(text)))


def _number(parameter: Parameter, text: str) -> float:
    if not _NUMBER.fullmatch(text):
        raise parameter.wrong(text, "it is not a number")
    found = _bounded(parameter, text, float(text))
    return int(found) if found.is_integer() else found


def _duration(parameter: Parameter, text: str) -> str:
    seconds = _bounded(parameter, text, parse_duration(text, parameter.name))
    return f"{seconds:.3f}".rstrip("0").rstrip(".") + "s"


def _choice(parameter: Parameter, text: str) -> str:
    if text not in parameter.choices:
        raise parameter.wrong(text, f"it must be {parameter.bounds}")
    return text


def _text(parameter: Parameter, text: str) -> str:
    if parameter.pattern and not re.fullmatch(parameter.pattern, text):
        raise parameter.wrong(text, f"it must look like {parameter.pattern}")
    return text


def _texts(parameter: Parameter, text: str) -> list[str]:
    return [_text(parameter, part) for part in text.split(",")]


def _version(parameter: Parameter, text: str) -> str:
    if not LABEL_VALUE.fullmatch(text):
        raise parameter.wrong(text, "it cannot be the label version of a pod")
    return text


def _identities(parameter: Parameter, text: str) -> list[dict[str, str]]:
    found = []
    for part in text.split(","):
        match = _IDENTITY.fullmatch(part)
        if match is None:
            raise parameter.wrong(text, f"{part!r} is not written NAMESPACE/SERVICEACCOUNT")
        found.append({"namespace": match["namespace"], "account": match["account"]})
    return found


def _named(parameter: Parameter, name: str) -> Parameter:
    return parameter if not name else Parameter(**{**vars(parameter), "name": name, "example": ""})


def _bounded(parameter: Parameter, text: str, number: float) -> float:
    least, most = parameter.minimum, parameter.maximum
    if (least is not None and number < least) or (most is not None and number > most):
        raise parameter.wrong(text, f"it must be {parameter.bounds}")
    return number


_READERS: Final[Mapping[Kind, Callable[[Parameter, str], Any]]] = {
    Kind.TEXT: _text,
    Kind.TEXTS: _texts,
    Kind.CHOICE: _choice,
    Kind.INTEGER: _integer,
    Kind.NUMBER: _number,
    Kind.DURATION: _duration,
    Kind.VERSION: _version,
    Kind.IDENTITIES: _identities,
}
