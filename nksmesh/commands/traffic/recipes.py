"""``nksmesh traffic recipes``: what can be applied, and with which parameters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from nksmesh.domain.traffic.placeholders import fill
from nksmesh.domain.traffic.recipes import Recipe, find_recipe

_WORDS: Final = {"service": "SERVICE", "namespace": "NAMESPACE"}
"""What stands for the placeholders of an effect where no Service is named."""


@dataclass(frozen=True, kw_only=True)
class RecipeList:
    """The recipes, by name.

    Attributes:
        one: One of them was asked for: it is shown with its parameters.
    """

    recipes: tuple[Recipe, ...]
    one: bool = False


def list_recipes(recipes: Mapping[str, Recipe], name: str = "") -> RecipeList:
    """List all recipes, or one.

    Raises:
        ConfigError: There is none of that name.
    """
    wanted = [find_recipe(name, recipes)] if name else [recipes[known] for known in sorted(recipes)]
    shown = (replace(recipe, effect=str(fill(recipe.effect, _WORDS))) for recipe in wanted)
    return RecipeList(recipes=tuple(shown), one=bool(name))
