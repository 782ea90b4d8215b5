"""What recipes make, against the schemas of the CRDs in Istio's own charts: the oldest and the newest."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from nksmesh.domain.kube.objects import Manifest
from nksmesh.domain.traffic.objects import Subject, make_objects
from tests.conformance.recipes import APPLIED, base_crds
from tests.unit.fakes.bookinfo import recipe, recipes

REVIEWS = Subject(service="reviews", namespace="default", selector={"app": "reviews"}, versions=("v1", "v2", "v3"))
EVERYTHING = Subject(service="*", namespace="default", selector={})


def schemas_in(archive: Path) -> dict[tuple[str, str], dict[str, Any]]:
    """Return the schemas of a base chart's CRDs, by (apiVersion, kind)."""
    return {
        (f"{crd['spec']['group']}/{version['name']}", crd["spec"]["names"]["kind"]): version["schema"][
            "openAPIV3Schema"
        ]
        for crd in base_crds(archive)
        for version in crd["spec"]["versions"]
        if version["served"]
    }


def closed(schema: Any) -> Any:
    """Return a schema that refuses what an API server would prune: keys that it does not name."""
    if isinstance(schema, list):
        return [closed(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    open_to_all = schema.get("x-kubernetes-preserve-unknown-fields") or "additionalProperties" in schema
    kept = {key: closed(part) for key, part in schema.items() if key not in {"format", "anyOf", "oneOf", "not"}}
    if schema.get("x-kubernetes-int-or-string"):
        kept.pop("type", None)
    if "properties" in schema and not open_to_all:
        kept["additionalProperties"] = False
    return kept


def made() -> Iterator[tuple[str, Manifest]]:
    for name, lines in APPLIED.items():
        for line in lines:
            for subject in (REVIEWS, EVERYTHING):
                if subject is REVIEWS or recipes()[name].of_namespace:
                    found = make_objects(subject, [recipe(f"{name} {line}")])
                    assert not found.findings
                    yield from ((name, manifest) for manifest in found.manifests)


def test_every_recipe_and_every_parameter_of_it_is_tried() -> None:
    assert set(APPLIED) == set(recipes())
    for name, lines in APPLIED.items():
        given = {word.partition("=")[0] for line in lines for word in line.split()}
        named = {parameter.name for parameter in recipes()[name].parameters if parameter.name != "weights"}
        assert {word for word in named if recipe_needs(name, word)} <= given, name


def recipe_needs(name: str, word: str) -> bool:
    """Tell whether a parameter has no default, so that its key would be left out."""
    return next(parameter for parameter in recipes()[name].parameters if parameter.name == word).default is None


@pytest.mark.parametrize("version", ["1.19.0", "1.20.0", "1.24.6", "1.28.10", "1.30.2"])
def test_what_recipes_make_is_what_the_crds_take(version: str, real_charts: Path) -> None:
    schemas = schemas_in(real_charts / f"base-{version}.tgz")
    for name, manifest in made():
        schema = schemas.get((manifest["apiVersion"], manifest["kind"]))
        assert schema, f"{name}: chart {version} does not serve {manifest['apiVersion']} {manifest['kind']}"
        spec = closed(schema)["properties"]["spec"]
        errors = [
            f"{error.json_path}: {error.message}" for error in Draft202012Validator(spec).iter_errors(manifest["spec"])
        ]
        assert not errors, f"{name} {manifest['kind']} on {version}: {errors}"


def test_a_key_that_a_crd_does_not_have_would_be_found(real_charts: Path) -> None:
    schema = schemas_in(real_charts / "base-1.30.2.tgz")["networking.istio.io/v1beta1", "VirtualService"]
    spec = closed(schema)["properties"]["spec"]
    assert list(Draft202012Validator(spec).iter_errors({"hosts": ["reviews"], "http": [{"timeOut": "2s"}]}))
