"""YAML as charts and their renders use it, read the way Helm reads it."""

from __future__ import annotations

import functools
import re
from typing import Any, Final

import yaml

_INT: Final = re.compile(r"[-+]?(0b[01_]+|0x[0-9a-fA-F_]+|0[0-7_]*|[1-9][0-9_]*)$")
_FLOAT: Final = re.compile(
    r"([-+]?([0-9][0-9_]*)(\.[0-9_]*)?[eE][-+]?[0-9]+|[-+]?[0-9][0-9_]*\.[0-9_]*|[-+]?\.[0-9][0-9_]*([eE][-+]?[0-9]+)?"
    r"|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN))$"
)

_MOST_VALUES: Final = 2_000_000


class NotYamlError(Exception):
    """Text that is not YAML; its words say where."""


@functools.cache
def _loader() -> type[yaml.CSafeLoader]:
    """PyYAML's loader with the scalars of Helm's.

    Go's YAML has no ``=`` value (https://github.com/yaml/pyyaml/issues/89), no numbers to base 60, and hands times
    on as strings; it does know 1e3.
    """

    class Loader(yaml.CSafeLoader):
        pass

    unlike_helm = {f"tag:yaml.org,2002:{name}" for name in ("value", "timestamp", "int", "float")}
    Loader.yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in resolvers if tag not in unlike_helm]
        for first, resolvers in yaml.CSafeLoader.yaml_implicit_resolvers.items()
    }
    Loader.add_implicit_resolver("tag:yaml.org,2002:int", _INT, list("-+0123456789"))
    Loader.add_implicit_resolver("tag:yaml.org,2002:float", _FLOAT, list("-+0123456789."))
    return Loader


def reads_as_number(text: str) -> bool:
    """Tell whether Helm reads a text as a number where it stands without quotes: ``1e3`` is one, unlike in PyYAML."""
    return bool(_INT.match(text) or _FLOAT.match(text))


def documents(text: bytes) -> list[Any]:
    """The documents of a YAML text, empty ones left out.

    Raises:
        NotYamlError: It is not YAML.
    """
    try:
        found = [document for document in yaml.load_all(text, Loader=_loader()) if document is not None]
        _bounded(found)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise NotYamlError(" ".join(str(error).split())) from error
    return found


def document(text: bytes) -> Any:
    """The one document of a YAML text, None where there is nothing.

    Raises:
        NotYamlError: It is not YAML, or more than one document.
    """
    found = documents(text)
    if len(found) > 1:
        raise NotYamlError("more than one document")
    return found[0] if found else None


def _bounded(found: list[Any]) -> None:
    """Refuse documents whose aliases multiply into more than anybody could have written."""
    left = _MOST_VALUES
    stack: list[Any] = [found]
    while stack:
        value = stack.pop()
        inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        left -= len(inside)
        if left < 0:
            raise NotYamlError(f"more than {_MOST_VALUES} values")
        stack.extend(item for item in inside if isinstance(item, dict | list))
