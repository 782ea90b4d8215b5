"""Recipes: what a file of values/recipes/ says, and one that is applied to a Service or a namespace."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from nksmesh.domain.common.data import HIDDEN
from nksmesh.domain.common.errors import ConfigError
from nksmesh.domain.common.spelling import perhaps
from nksmesh.domain.kube.objects import Manifest
from nksmesh.domain.traffic.parameters import NUMBERS, Kind, Parameter, parse_given, values_of
from nksmesh.domain.traffic.placeholders import EACH, ITEM, names_in

TRAFFIC_OF: Final = "nksmesh.io/traffic-of"
"""The label of what recipes make: the Service it is for; empty for a whole namespace."""

RECIPES: Final = "nksmesh.io/recipes"
"""The annotation of what recipes make: which recipes, with which parameters. A later command adds to them."""

NAMESPACE: Final = "*"
"""What stands for a Service's name where all pods of a namespace are meant."""

GIVEN: Final = frozenset({"service", "namespace", "selector"})
"""Placeholders that have a value without a parameter."""


class Need(StrEnum):
    """What must hold before a recipe is applied."""

    VERSIONS = "versions"
    HTTP = "http"
    PROXIES = "proxies"
    LOCALITIES = "localities"


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A recipe.

    Attributes:
        path: Its file as a reader knows it.
        title: What it does, a sentence.
        follows: The page of Istio's documentation that it follows.
        effect: How its effect is seen, with placeholders.
        of_namespace: It can be applied to a whole namespace, too.
        needs: What must hold before.
        told_apart_by: The parameters that tell several of it on one Service apart; empty where there is one at most.
        clashes: Other recipes that do not go well with it, and why.
        first_route: A route of the VirtualService before its last one; empty for none.
        last_route: What it sets in the last route, which takes all other requests.
        every_route: What it sets in every route.
        destination_rule: What it sets in the DestinationRule's spec.
        objects: Whole objects that it makes.
    """

    name: str
    path: str = field(metadata=HIDDEN)
    title: str
    follows: str
    effect: str
    parameters: tuple[Parameter, ...] = ()
    of_namespace: bool = False
    needs: tuple[Need, ...] = ()
    told_apart_by: tuple[str, ...] = field(default=(), metadata=HIDDEN)
    clashes: Mapping[str, str] = field(default_factory=dict, metadata=HIDDEN)
    first_route: Mapping[str, Any] = field(default_factory=dict, metadata=HIDDEN)
    last_route: Mapping[str, Any] = field(default_factory=dict, metadata=HIDDEN)
    every_route: Mapping[str, Any] = field(default_factory=dict, metadata=HIDDEN)
    destination_rule: Mapping[str, Any] = field(default_factory=dict, metadata=HIDDEN)
    objects: tuple[Manifest, ...] = field(default=(), metadata=HIDDEN)

    @property
    def routes(self) -> bool:
        """Whether it makes a VirtualService."""
        return bool(self.first_route or self.last_route or self.every_route)

    def problems(self) -> Iterator[tuple[tuple[str | int, ...], str, str]]:
        """Yield what is wrong with it: the key, what is wrong, and what to do."""
        names = {parameter.name for parameter in self.parameters}
        for parameter in self.parameters:
            yield from _problems_of(parameter)
        parts = {
            "virtual_service": [self.first_route, self.last_route, self.every_route],
            "destination_rule": self.destination_rule,
            "objects": list(self.objects),
            "effect": self.effect,
        }
        for key, part in parts.items():
            for name in names_in(part):
                if name not in names | GIVEN:
                    known = sorted(names | GIVEN)
                    yield (key,), f"has ${{{name}}}, which no parameter is called", perhaps(name, known, "names")
            if any(EACH in found and set(found) != {EACH, ITEM} for found in _maps(part)):
                yield (key,), f"has {EACH} with other keys than {ITEM}", f"Write {{{EACH}: NAME, {ITEM}: ...}}."
        for name in self.told_apart_by:
            if name not in names:
                yield ("told_apart_by",), f"names {name}, which no parameter is called", f"Add it, or remove {name}."
        if not (self.routes or self.destination_rule or self.objects):
            yield (), "makes no object", "Add virtual_service, destination_rule or objects."


def _problems_of(parameter: Parameter) -> Iterator[tuple[tuple[str | int, ...], str, str]]:
    place = ("parameters", parameter.name)
    if parameter.kind is Kind.CHOICE and not parameter.choices:
        yield place, "is a choice without choices", "Add choices: [...]."
    bounded = parameter.minimum is not None or parameter.maximum is not None
    if bounded and parameter.kind not in NUMBERS | {Kind.WEIGHTS}:
        yield place, f"has a minimum or a maximum, which a {parameter.kind} cannot have", "Remove them."
    if parameter.required and parameter.default is not None:
        yield place, "is required and has a default", "Remove one of them."
    for key in ("default", "example"):
        text = getattr(parameter, key)
        if text and parameter.kind is not Kind.WEIGHTS:
            try:
                parameter.value(text)
            except ConfigError as problem:
                yield (*place, key), f"cannot be used: {problem.message}", "Correct it and run again."


def _maps(part: Any) -> Iterator[Mapping[str, Any]]:
    if isinstance(part, Mapping):
        yield part
    inner = part.values() if isinstance(part, Mapping) else part if isinstance(part, list) else ()
    for found in inner:
        yield from _maps(found)


@dataclass(frozen=True, kw_only=True)
class Applied:
    """A recipe with its parameters.

    Attributes:
        given: The parameters that were given, as texts.
        values: The value of each parameter, defaults included.
    """

    recipe: Recipe
    given: Mapping[str, str]
    values: Mapping[str, Any] = field(repr=False)

    @property
    def key(self) -> tuple[str, ...]:
        """What tells it apart from others on the same Service: applying it again replaces the one of the same key."""
        return (self.recipe.name, *(str(self.values.get(name, "")) for name in self.recipe.told_apart_by))

    @property
    def versions(self) -> dict[str, bool]:
        """The versions that its parameters name, and whether they get requests: those of weight 0 get none."""
        found: dict[str, bool] = {}
        for parameter in self.recipe.parameters:
            value = self.values.get(parameter.name)
            if parameter.kind is Kind.VERSION and value is not None:
                found[value] = True
            elif parameter.kind is Kind.WEIGHTS:
                found |= {row["version"]: row["weight"] > 0 for row in value or ()}
        return found

    def json_form(self) -> dict[str, Any]:
        """Return what JSON has: the recipe's name and the parameters that were given."""
        return {"recipe": self.recipe.name, "parameters": dict(self.given)}

    def __str__(self) -> str:
        return " ".join((self.recipe.name, *(f"{key}={text}" for key, text in self.given.items())))


def find_recipe(name: str, recipes: Mapping[str, Recipe]) -> Recipe:
    """Return a recipe.

    Raises:
        ConfigError: There is none of that name.
    """
    if name not in recipes:
        raise ConfigError(f"there is no recipe {name!r}", hint=perhaps(name, recipes, "recipes"))
    return recipes[name]


def applied(recipe: Recipe, texts: Iterable[str]) -> Applied:
    """Apply a recipe to ``key=value`` arguments.

    Raises:
        ConfigError: A parameter is unknown, missing, not of its kind, or out of bounds.
    """
    given = parse_given(texts, recipe.parameters, recipe.name)
    return Applied(recipe=recipe, given=given, values=values_of(given, recipe.parameters, recipe.name))


def applied_to(objects: Iterable[Manifest], recipes: Mapping[str, Recipe]) -> tuple[Applied, ...]:
    """Read back from live objects which recipes made them, each once, in the order of the annotation.

    Raises:
        ConfigError: An annotation cannot be read, or names a recipe or parameter that there is no more.
    """
    found: dict[tuple[str, ...], Applied] = {}
    for manifest in objects:
        metadata = manifest["metadata"]
        place = f"{manifest.get('kind')} {metadata.get('namespace')}/{metadata.get('name')}, annotation {RECIPES}"
        try:
            listed = json.loads((metadata.get("annotations") or {})[RECIPES])
            pairs = [
                (str(row["recipe"]), [f"{key}={text}" for key, text in row["parameters"].items()]) for row in listed
            ]
        except (KeyError, TypeError, ValueError, AttributeError) as problem:
            raise ConfigError(
                f"{place}: it cannot be read", hint="Delete the object, and apply its recipes again."
            ) from problem
        for name, given in pairs:
            try:
                entry = applied(find_recipe(name, recipes), given)
            except ConfigError as problem:
                raise ConfigError(f"{place}: {problem.message}", hint=problem.hint) from problem
            found.setdefault(entry.key, entry)
    return tuple(found.values())


def with_applied(before: Iterable[Applied], new: Applied) -> tuple[Applied, ...]:
    """Add an applied recipe; one of the same key is replaced where it stands."""
    listed = {entry.key: entry for entry in before}
    return tuple({**listed, new.key: new}.values())


def annotation_of(some: Iterable[Applied]) -> str:
    """Write the annotation of an object that some applied recipes make."""
    return json.dumps([entry.json_form() for entry in some], separators=(",", ":"), ensure_ascii=False)
