"""The catalog's commands, over files that are only described."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from contextlib import nullcontext
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from nksmesh.commands.catalog import list_regions, list_versions, look_at
from nksmesh.commands.env import list_environments, show_environment, write_starter
from nksmesh.commands.values import ValuesQuestion, show_values
from nksmesh.domain.common.data import data_of
from nksmesh.domain.common.errors import ConfigError, UnreachableError
from nksmesh.domain.mesh.catalog import Catalog, Environment
from nksmesh.domain.mesh.request import Request
from nksmesh.domain.values.set_values import SetKind, parse_set
from nksmesh.engine.request import MeshRequest
from nksmesh.report.text import show
from tests.unit.fakes.cluster import FakeCluster


class DescribedFiles:
    """Files of meshes without files."""

    folder = "meshes"

    def __init__(self, catalog: Catalog, *environments: Environment) -> None:
        self._catalog = catalog
        self._environments = {environment.name: environment for environment in environments}

    def catalog(self) -> Catalog:
        return self._catalog

    def environment_names(self) -> tuple[str, ...]:
        return (*self._environments, "broken")

    def environment(self, name: str) -> Environment:
        if name == "broken":
            raise ConfigError("values/environments/broken/mesh.yaml, line 3: there is no key 'regoin'", hint="region")
        return self._environments[name]

    def write_starter(self, folder: Path) -> tuple[str, ...]:
        return (f"{folder.name}.txt",)

    def write_environment(self, name: str, documents: Mapping[str, Mapping[str, Any]]) -> tuple[str, ...]:
        return tuple(f"{name}/{file}" for file in documents)


def test_regions_and_versions_say_who_provides_what(catalog: Catalog) -> None:
    files = DescribedFiles(catalog)
    regions = data_of(list_regions(files))["regions"]
    assert [region["name"] for region in regions] == ["kr1", "kr2"]
    assert regions[0]["registries"] == {
        "public": "public-kr1.example.com/istio",
        "private": "private-kr1.example.com/istio",
    }
    (version,) = data_of(list_versions(files))["versions"]
    assert version == {
        "minor": "1.20",
        "kubernetes": {"lowest": "1.25", "highest": "1.29"},
        "floor": "1.25",
        "support_ends": "",
        "planned": False,
        "fits": None,
        "versions": [{"version": "1.20.0", "regions": ["kr1", "kr2"], "tested": False}],
    }


@pytest.mark.parametrize(("kubernetes", "fits"), [("v1.28.15", True), ("v1.33.4", False)])
async def test_versions_say_what_fits_the_cluster_that_answers(catalog: Catalog, kubernetes: str, fits: bool) -> None:
    cluster = FakeCluster()
    cluster.kubernetes = kubernetes
    look = await look_at(lambda: nullcontext(cluster))
    data = data_of(list_versions(DescribedFiles(catalog), look))
    assert data["cluster"] == {"context": "test", "kubernetes": kubernetes}
    assert [version["fits"] for version in data["versions"]] == [fits]


class DeafCluster(FakeCluster):
    """A cluster that takes a minute to answer, or nothing of which answers."""

    def __init__(self, error: UnreachableError | None) -> None:
        super().__init__()
        self._error = error

    async def version(self) -> str:
        if self._error:
            raise self._error
        await asyncio.sleep(60)
        return await super().version()


@pytest.mark.parametrize(
    ("error", "problem"),
    [
        (None, "did not answer within"),
        (UnreachableError("nothing answers at 10.0.0.9", hint=""), "nothing answers at 10.0.0.9"),
    ],
)
async def test_versions_are_listed_without_a_cluster(
    catalog: Catalog, error: UnreachableError | None, problem: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nksmesh.commands.catalog.LONGEST_LOOK", 0.01)
    look = await look_at(lambda: nullcontext(DeafCluster(error)))
    data = data_of(list_versions(DescribedFiles(catalog), look))
    assert (data["cluster"], [version["fits"] for version in data["versions"]]) == (None, [None])
    assert problem in data["problem"]


def test_a_broken_environment_is_listed_with_what_is_wrong(catalog: Catalog, prod: Environment) -> None:
    data = data_of(list_environments(DescribedFiles(catalog, prod)))
    assert [
        (environment["name"], environment["region"], "line 3" in environment["problem"])
        for environment in data["environments"]
    ] == [
        ("prod", "kr2", False),
        ("broken", "", True),
    ]


def test_an_environment_is_shown_in_full(catalog: Catalog, prod: Environment) -> None:
    data = data_of(show_environment(DescribedFiles(catalog, prod), "prod"))
    assert (data["network"], data["pull_secrets"]) == ("private", ["key"])
    assert [gateway["name"] for gateway in data["gateways"]] == ["istio-egressgateway", "edge"]
    assert [file["for"] for file in data["files"]] == ["istiod", "gateway", "istio-egressgateway"]


def test_a_starter_says_what_it_wrote(catalog: Catalog) -> None:
    assert data_of(write_starter(DescribedFiles(catalog), Path("x/meshes"))) == {
        "folder": "x/meshes",
        "files": ["meshes.txt"],
    }


async def test_every_key_is_shown_with_its_layer(catalog: Catalog, prod: Environment) -> None:
    request = Request(sets=(parse_set(r"gateway:podAnnotations.a\.b/c=1"),))
    asked = MeshRequest(options=request, catalog=catalog, environment=prod)
    shown = data_of(await show_values(ValuesQuestion(target="gateway", request=asked), None))
    assert [release["release"] for release in shown["releases"]] == ["istio-egressgateway", "edge"]
    assert {one["key"]: (one["value"], one["layer"]) for one in shown["releases"][1]["keys"]} == {
        "a": ("edge", "environment prod (mesh.yaml)"),
        "b": (3, "environment prod (gateway.yaml)"),
        "c": (3, "environment prod (gateway.yaml)"),
        "imagePullSecrets": ([{"name": "key"}], "region kr2"),
        "podAnnotations.a\\.b/c": (1, r"--set gateway:podAnnotations.a\.b/c"),
    }


async def test_no_secret_is_shown(catalog: Catalog) -> None:
    key = "-----BEGIN PRIVATE KEY-----\nhunter2\n"
    sets = (
        parse_set("istiod:pilot.key=x", SetKind.FILE, lambda _: key),
        parse_set("istiod:pilot.env.TOKEN=hunter2", SetKind.STRING),
    )
    question = ValuesQuestion(
        target="istiod", request=MeshRequest(options=Request(region="kr1", sets=sets), catalog=catalog)
    )
    shown = await show_values(question, None)
    console = Console(file=StringIO(), record=True, width=400)
    show(shown, console)
    for told in (json.dumps(data_of(shown)), console.export_text()):
        assert "hunter2" not in told
        assert told.count("(hidden)") == 2


async def test_one_key_is_shown_with_what_is_below_it(catalog: Catalog) -> None:
    asked = MeshRequest(options=Request(region="kr1"), catalog=catalog)
    question = ValuesQuestion(target="istiod", request=asked, key="global.proxy")
    (release,) = data_of(await show_values(question, None))["releases"]
    assert release["keys"] == [{"key": "global.proxy.image", "value": "proxyv2", "layer": "region kr1"}]


@pytest.mark.parametrize(
    ("target", "key", "message", "hint"),
    [
        ("gatway", "", "there is no component or release 'gatway'", "Did you mean 'gateway'?"),
        ("istiod", "global.hbu", "no layer sets global.hbu for istiod", "Did you mean 'global.hub'?"),
    ],
)
async def test_what_is_not_there_is_told_with_the_nearest(
    catalog: Catalog, target: str, key: str, message: str, hint: str
) -> None:
    asked = MeshRequest(options=Request(region="kr1"), catalog=catalog)
    with pytest.raises(ConfigError) as raised:
        await show_values(ValuesQuestion(target=target, request=asked, key=key), None)
    assert message in raised.value.message
    assert hint in raised.value.hint
