"""Recipes as files: nksmesh's own, a user's over them, and what is wrong in one by file, line and key."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from nksmesh.adapters.files.folders import ValuesFolders
from nksmesh.adapters.files.recipes import load_recipes
from nksmesh.domain.common.errors import ConfigError
from nksmesh.domain.traffic.objects import Subject, make_objects
from nksmesh.domain.traffic.recipes import applied

Write = Callable[[str, str], Path]

RECIPE = """\
title: Send a copy of each request to another version.
follows: https://istio.io/latest/docs/tasks/traffic-management/mirroring/
effect: nksmesh traffic show ${service} --live 30s counts them.
needs: [versions, http]
parameters:
  to:
    type: version
    required: true
    description: The version that gets the copies.
virtual_service:
  every_route:
    mirror: {host: "${service}", subset: "${to}"}
"""

NAMES = {
    *("shift", "header", "timeout", "retry", "circuit-breaker", "delay", "abort", "failover"),
    *("rate-limit", "mutual-tls", "jwt", "authorization", "access-log", "tracing"),
}


def test_every_recipe_that_ships_reads_and_names_istios_document() -> None:
    recipes = load_recipes(ValuesFolders())
    assert set(recipes) == NAMES
    assert all(recipe.follows.startswith("https://istio.io/latest/docs/") for recipe in recipes.values())
    assert all(re.fullmatch(r"[A-Z\"].*\.", recipe.title) for recipe in recipes.values())


def test_one_more_recipe_is_one_file(folders: ValuesFolders, write: Write) -> None:
    write("recipes/mirror.yaml", RECIPE)
    recipes = load_recipes(folders)
    assert set(recipes) == NAMES | {"mirror"}
    subject = Subject(service="reviews", namespace="default", selector={"app": "reviews"})
    virtual_service, rule = make_objects(subject, [applied(recipes["mirror"], ["to=v2"])]).manifests
    assert virtual_service["spec"]["http"][0]["mirror"] == {"host": "reviews", "subset": "v2"}
    assert [subset["name"] for subset in rule["spec"]["subsets"]] == ["v2"]


def test_a_users_file_takes_the_place_of_ours(folders: ValuesFolders, write: Write) -> None:
    write("recipes/timeout.yaml", RECIPE)
    assert load_recipes(folders)["timeout"].title.startswith("Send a copy")


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("title: Send a copy of each request to another version.\n", "", ": the file lacks the key 'title'"),
        ("follows: https://", "follows: ", ", line 2: follows cannot be "),
        ("[versions, http]", "[version]", ", line 4: needs[0] cannot be 'version'"),
        ("type: version", "type: vesion", ", line 7: parameters.to.type cannot be 'vesion'"),
        ("required: true", "required: yes please", ", line 8: parameters.to.required must be true or false"),
        ("required: true", "minimum: '1'", ", line 8: parameters.to.minimum must be a number"),
        ("required: true", "minimum: 1", ", line 6: parameters.to has a minimum or a maximum"),
        ("required: true", "default: v 1", ", line 8: parameters.to.default cannot be used: to=v 1"),
        ("type: version", "type: choice", ", line 6: parameters.to is a choice without choices"),
        ("required: true", "required: true\n    default: v1", ", line 6: parameters.to is required and has a default"),
        ('"${to}"', '"${too}"', ", line 10: virtual_service has ${too}, which no parameter is called"),
        ('"${to}"', "{$each: to, item: x}", ", line 10: virtual_service has $each with other keys than $item"),
        ("${service} --live", "${servce} --live", ", line 3: effect has ${servce}"),
        ("virtual_service:\n  every_route", "virtual_services:\n  every_route", "there is no key 'virtual_services'"),
        ("needs:", "told_apart_by: [header]\nneeds:", "told_apart_by names header, which no parameter is called"),
        (RECIPE[RECIPE.index("virtual_service") :], "", ": the file makes no object"),
        ("  to:", "  To:", "parameters.To the key does not look like"),
        ("title", "title: x\ntitle", "line 2"),
    ],
)
def test_what_is_wrong_is_named_with_file_line_and_key(
    folders: ValuesFolders, write: Write, old: str, new: str, words: str
) -> None:
    assert old in RECIPE
    write("recipes/mirror.yaml", RECIPE.replace(old, new, 1))
    with pytest.raises(ConfigError) as refused:
        load_recipes(folders)
    assert refused.value.message.startswith("values/recipes/mirror.yaml")
    assert words in refused.value.message
    assert refused.value.hint
