"""What recipes make, against the schemas of the CRDs in Istio's own charts: the oldest and the newest."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from nksmesh.domain.kube.objects import Manifest
from nksmesh.domain.traffic.objects import Subject, make_objects
from tests.unit.fakes.bookinfo import recipe, recipes

REVIEWS = Subject(service="reviews", namespace="default", selector={"app": "reviews"}, versions=("v1", "v2", "v3"))
EVERYTHING = Subject(service="*", namespace="default", selector={})

APPLIED = {
    "shift": ["v1=80 v2=20"],
    "header": ["header=end-user value=jason to=v3 match=prefix"],
    "timeout": ["timeout=2s"],
    "retry": ["attempts=2 per_try=500ms"],
    "circuit-breaker": ["connections=1 pending=1 per_connection=1 interval=1s ejection=3m most_ejected=100"],
    "delay": ["delay=2s percent=0.5"],
    "abort": ["status=500 percent=10"],
    "failover": [""],
    "rate-limit": ["requests=4 per=1m"],
    "mutual-tls": ["mode=STRICT"],
    "jwt": ['issuer=https://a.example jwks={"keys":[]} audiences=a,b', "issuer=a jwks_uri=https://a.example/keys"],
    "authorization": ["from=default/sleep,edge/* methods=GET paths=/reviews/*", "from=a/b action=DENY"],
    "access-log": ["filter=response.code>=400"],
    "tracing": ["percent=0.5 provider=jaeger"],
}
"""Each recipe with every parameter that it has, so that no key of its objects is left out."""


@cache
def crds(archive: Path) -> dict[tuple[str, str], dict[str, Any]]:
    """Read the schemas of the CRDs in a base chart, by (apiVersion, kind)."""
    with tarfile.open(archive) as chart:
        names = [name for name in chart.getnames() if name.endswith("/crd-all.gen.yaml")]
        texts = [chart.extractfile(name) for name in names]
        documents = [found for text in texts if text for found in yaml.safe_load_all(text.read()) if found]
    return {
        (f"{crd['spec']['group']}/{version['name']}", crd["spec"]["names"]["kind"]): version["schema"][
            "openAPIV3Schema"
        ]
        for crd in documents
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
    schemas = crds(real_charts / f"base-{version}.tgz")
    for name, manifest in made():
        schema = schemas.get((manifest["apiVersion"], manifest["kind"]))
        assert schema, f"{name}: chart {version} does not serve {manifest['apiVersion']} {manifest['kind']}"
        spec = closed(schema)["properties"]["spec"]
        errors = [
            f"{error.json_path}: {error.message}" for error in Draft202012Validator(spec).iter_errors(manifest["spec"])
        ]
        assert not errors, f"{name} {manifest['kind']} on {version}: {errors}"
