"""Reads values/recipes/: a file for each recipe, nksmesh's own with the user's over them."""

from __future__ import annotations

from typing import Any, Final

from nksmesh.adapters.files.catalog import yaml_files
from nksmesh.adapters.files.documents import Document, KeyPath, read_document
from nksmesh.adapters.files.folders import ValuesFolders
from nksmesh.adapters.files.schema import check_document, spoken
from nksmesh.domain.common.errors import ConfigError
from nksmesh.domain.traffic.parameters import Kind, Parameter
from nksmesh.domain.traffic.recipes import Need, Recipe

RECIPES: Final = "recipes"


def load_recipes(folders: ValuesFolders) -> dict[str, Recipe]:
    """Read every recipe, by name.

    Raises:
        ConfigError: A file is not what its schema wants, or what it says does not hold together; the message names
            the file, the line and the key.
    """
    return {
        name: _recipe(name, check_document(read_document(found.file, found.shown), "recipe"))
        for name, found in yaml_files(folders, RECIPES).items()
    }


def _recipe(name: str, document: Document) -> Recipe:
    said: dict[str, Any] = dict(document.values)
    routes = said.get("virtual_service", {})
    recipe = Recipe(
        name=name,
        path=document.path,
        title=said["title"],
        follows=said["follows"],
        effect=said["effect"],
        parameters=tuple(_parameter(key, entry) for key, entry in said.get("parameters", {}).items()),
        of_namespace=said.get("of_namespace", False),
        needs=tuple(Need(need) for need in said.get("needs", ())),
        told_apart_by=tuple(said.get("told_apart_by", ())),
        clashes=said.get("clashes", {}),
        first_route=routes.get("first_route", {}),
        last_route=routes.get("last_route", {}),
        every_route=routes.get("every_route", {}),
        destination_rule=said.get("destination_rule", {}),
        objects=tuple(said.get("objects", ())),
    )
    for path, problem, hint in recipe.problems():
        raise ConfigError(f"{document.at(path)}: {_key(path)} {problem}", hint=hint)
    return recipe


def _parameter(name: str, entry: dict[str, Any]) -> Parameter:
    given = {**entry, "choices": tuple(entry.get("choices", ()))}
    return Parameter(name=name, kind=Kind(given.pop("type")), **given)


def _key(path: KeyPath) -> str:
    return spoken(path) or "the file"
