"""The published schemas hold for real results, and the envelope's keys are what readers rely on.

Schemas are additive only: a key may be added, none may go or change its type, and readers ignore what they do not know.
"""

from __future__ import annotations

import json
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

import pytest
from jsonschema import Draft202012Validator
from typer.core import TyperGroup
from typer.main import get_command

from nksmesh.cli.app import make_app
from nksmesh.domain.common.data import data_of
from nksmesh.domain.common.errors import ReleaseError
from nksmesh.report.documents import json_text
from nksmesh.report.envelope import envelope, error_envelope

from .samples import MORE, SAMPLES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


ENVELOPE: Final = "envelope"
FOLDER: Final = files("nksmesh.report") / "schemas"


def schema_names() -> tuple[str, ...]:
    """List the commands that have a schema, a ``-`` for each blank."""
    names = (entry.name.removesuffix(".json") for entry in FOLDER.iterdir() if entry.name.endswith(".json"))
    return tuple(sorted(name for name in names if name != ENVELOPE))


def files_of(names: Iterable[str]) -> set[str]:
    """Write commands as their schemas' files are called."""
    return {name.replace(" ", "-") for name in names}


def schema_of(command: str) -> dict[str, Any]:
    """Read the schema of a command's ``data``, or of the envelope."""
    text = (FOLDER / f"{command.replace(' ', '-')}.json").read_text(encoding="utf-8")
    schema: dict[str, Any] = json.loads(text)
    return schema


def validator(name: str) -> Draft202012Validator:
    schema = schema_of(name)
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


def commands(node: Any, path: tuple[str, ...] = ()) -> Iterator[str]:
    if isinstance(node, TyperGroup):
        for name in node.commands:
            yield from commands(node.commands[name], (*path, name))
    else:
        yield " ".join(path)


def objects_in(schema: Any) -> Iterator[dict[str, Any]]:
    if isinstance(schema, dict):
        if "properties" in schema:
            yield schema
        for value in schema.values():
            yield from objects_in(value)


def test_every_command_has_a_schema_and_every_schema_a_command() -> None:
    assert set(schema_names()) == files_of(commands(get_command(make_app())))


def test_every_schema_is_held_against_a_real_result() -> None:
    assert set(schema_names()) == files_of(SAMPLES)


@pytest.mark.parametrize("command", SAMPLES)
def test_a_result_is_what_its_schema_says(command: str) -> None:
    document = json.loads(json_text(envelope(command, SAMPLES[command])))
    validator(ENVELOPE).validate(document)
    validator(command).validate(document["data"])


@pytest.mark.parametrize("name", MORE)
def test_every_way_to_end_is_what_the_schema_says(name: str) -> None:
    command = name.split(",", maxsplit=1)[0]
    if name.endswith(", asked"):
        return  # is shown before the question, and is no command's result
    validator(command).validate(json.loads(json_text(data_of(MORE[name]))))


@pytest.mark.parametrize("command", SAMPLES)
def test_a_schema_names_every_key_of_the_result(command: str) -> None:
    data = data_of(SAMPLES[command])
    assert set(data) == set(schema_of(command)["properties"]) & set(data)
    assert not set(data) - set(schema_of(command)["properties"])


def unnamed(data: Any, schema: dict[str, Any], path: str) -> Iterator[str]:
    """Find the keys that a schema does not name, at any depth: a new field of a result is in its JSON by itself."""
    if isinstance(data, list):
        for element in data:
            yield from unnamed(element, schema.get("items", {}), f"{path}[]")
    elif isinstance(data, dict) and "properties" in schema:
        for key, value in data.items():
            if key not in schema["properties"]:
                yield f"{path}.{key}"
            yield from unnamed(value, schema["properties"].get(key, {}), f"{path}.{key}")


@pytest.mark.parametrize("name", [name for name in {**SAMPLES, **MORE} if not name.endswith(", asked")])
def test_no_result_has_a_key_that_its_schema_does_not_name(name: str) -> None:
    command = name.split(",", maxsplit=1)[0]
    assert not set(unnamed(data_of({**SAMPLES, **MORE}[name]), schema_of(command), command))


@pytest.mark.parametrize("name", [ENVELOPE, *schema_names()])
def test_a_schema_is_additive(name: str) -> None:
    for part in objects_in(schema_of(name)):
        assert part["additionalProperties"] is True
        assert part["required"]


def test_the_envelope_has_these_keys_and_no_others() -> None:
    error = ReleaseError("failed", hint="Look.", detail="words")
    error.add_note("while upgrading istiod (2 of 3)")
    for document in (envelope("regions", SAMPLES["regions"]), error_envelope("install", error)):
        assert list(document) == ["nksmesh", "command", "status", "data", "errors"]
        assert document["nksmesh"] == 1
        validator(ENVELOPE).validate(document)
    (shown,) = error_envelope("install", error)["errors"]
    assert list(shown) == ["code", "message", "hint", "detail", "notes"]
    (bare,) = error_envelope("install", ReleaseError("failed", hint="Look."))["errors"]
    assert list(bare) == ["code", "message", "hint"]
