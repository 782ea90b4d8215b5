"""From what the user said to the mesh."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from nksmesh.domain.common.errors import ConfigError
from nksmesh.domain.mesh.catalog import Catalog, Environment, ValuesFile
from nksmesh.domain.mesh.location import Location
from nksmesh.domain.mesh.mesh import GatewaySpec, IstioVersion, Mesh, Network
from nksmesh.domain.mesh.record import Record
from nksmesh.domain.mesh.request import Recorded, Request
from nksmesh.domain.mesh.resolve import resolve
from nksmesh.domain.values.layers import LayerKind, compose
from nksmesh.domain.values.set_values import SetKind, parse_set


def values(mesh: Mesh, release: str) -> Any:
    return compose(mesh.layers[release]).values


def test_with_a_region_alone_everything_else_has_a_default(catalog: Catalog) -> None:
    resolved = resolve(Request(region="kr1"), catalog)
    mesh = resolved.mesh
    assert (mesh.version, mesh.profile, mesh.network, mesh.namespace) == (
        "1.20.0",
        "default",
        Network.PUBLIC,
        "istio-system",
    )
    assert mesh.hub == "public-kr1.example.com/istio"
    assert [(release.component, release.name, release.namespace) for release in mesh.releases] == [
        ("base", "istio-base", "istio-system"),
        ("istiod", "istiod", "istio-system"),
        ("gateway", "istio-ingressgateway", "istio-system"),
    ]
    assert resolved.notes == (
        "network public, the default",
        "profile default, the default",
        "version 1.20.0, the default",
    )


def test_each_chart_gets_only_keys_it_has(catalog: Catalog) -> None:
    mesh = resolve(Request(region="kr1"), catalog).mesh
    assert values(mesh, "istio-base") == {}
    assert values(mesh, "istio-ingressgateway") == {}
    assert values(mesh, "istiod")["global"] == {
        "hub": "public-kr1.example.com/istio",
        "tag": "1.20.0",
        "proxy": {"image": "proxyv2"},
        "proxy_init": {"image": "proxyv2"},
    }


def test_full_paths_carry_the_tag_for_both_images(catalog: Catalog) -> None:
    environment = Environment(name="x", path="p", region="kr1", full_image_paths=True)
    told = values(resolve(Request(), catalog, environment).mesh, "istiod")["global"]
    assert told["proxy"]["image"] == told["proxy_init"]["image"] == "public-kr1.example.com/istio/proxyv2:1.20.0"


def test_pull_secrets_are_names_for_istiod_and_objects_for_gateways(catalog: Catalog, prod: Environment) -> None:
    mesh = resolve(Request(), catalog, prod).mesh
    assert values(mesh, "istio-base") == {"global": {"imagePullSecrets": ["key"]}}
    assert values(mesh, "istiod")["global"]["imagePullSecrets"] == ["key"]
    assert values(mesh, "edge")["imagePullSecrets"] == [{"name": "key"}]


def test_the_control_plane_moves(catalog: Catalog) -> None:
    mesh = resolve(Request(region="kr1", namespace="mesh"), catalog).mesh
    assert {release.namespace for release in mesh.releases} == {"mesh"}
    assert values(mesh, "istio-base") == {"global": {"istioNamespace": "mesh"}}
    assert values(mesh, "istiod")["global"]["istioNamespace"] == "mesh"
    assert values(mesh, "istio-ingressgateway") == {}


def test_layers_stand_in_the_order_of_the_design(catalog: Catalog, prod: Environment) -> None:
    request = Request(
        values_files=(("gateway", ValuesFile(path="a.yaml", values={"d": 1})),),
        sets=(parse_set("istio-egressgateway:d=2"), parse_set("gateway:e=3")),
    )
    mesh = resolve(request, catalog, prod).mesh
    assert [layer.name for layer in mesh.layers["istio-egressgateway"]] == [
        "profile demo (gateway.yaml)",
        "profile demo (istio-egressgateway.yaml)",
        "region kr2",
        "environment prod (gateway.yaml)",
        "environment prod (istio-egressgateway.yaml)",
        "environment prod (mesh.yaml)",
        "-f gateway=a.yaml",
        "--set istio-egressgateway:d",
        "--set gateway:e",
    ]
    assert [layer.name for layer in mesh.layers["istiod"]] == [
        "values/istiod.yaml",
        "profile demo (istiod.yaml)",
        "region kr2",
        "environment prod (istiod.yaml)",
    ]
    told = values(mesh, "istio-egressgateway")
    assert (told["a"], told["b"], told["c"], told["d"], told["e"]) == ("demo", 5, 4, 2, 3)
    assert values(mesh, "istiod")["pilot"] == {"x": "prod"}
    assert [layer.ours for layer in mesh.layers["istiod"]] == [True, True, True, False]


def test_a_set_sees_the_layers_beneath_it(catalog: Catalog) -> None:
    file = ValuesFile(path="a.yaml", values={"ports": [{"port": 80}, {"port": 443}]})
    request = Request(region="kr1", values_files=(("gateway", file),), sets=(parse_set("gateway:ports[1].port=8443"),))
    mesh = resolve(request, catalog).mesh
    assert values(mesh, "istio-ingressgateway")["ports"] == [{"port": 80}, {"port": 8443}]


def test_options_beat_the_environment_which_beats_the_record(catalog: Catalog, prod: Environment) -> None:
    recorded = Recorded(region="kr1", version="1.18.0", profile="default", namespace="recorded")
    resolved = resolve(Request(version="1.20.0"), catalog, prod, recorded)
    mesh = resolved.mesh
    assert (mesh.version, mesh.region, mesh.profile, mesh.namespace) == ("1.20.0", "kr2", "demo", "recorded")
    assert mesh.hub == "private-kr2.example.com/istio"
    assert resolved.notes == (
        "region kr2, from environment prod",
        "network private, from environment prod",
        "profile demo, from environment prod",
        "namespace recorded, as installed",
    )


def test_without_options_a_run_means_as_installed(catalog: Catalog, prod: Environment) -> None:
    first = resolve(Request(sets=(parse_set("istiod:pilot.y=1"),)), catalog, prod).mesh
    again = resolve(Request(), catalog, recorded=Recorded.of(first))
    assert replace(again.mesh, environment="prod") == first
    assert "version 1.19.0, as installed" in again.notes
    assert any("environment prod (istiod.yaml)" in note and note.endswith("as installed") for note in again.notes)


def test_values_hold_on_until_their_option_is_given_again(catalog: Catalog) -> None:
    file = ValuesFile(path="a.yaml", values={"f": 1})
    first = resolve(
        Request(region="kr1", values_files=(("istiod", file),), sets=(parse_set("istiod:s=1"),)), catalog
    ).mesh
    again = resolve(Request(sets=(parse_set("istiod:t=2"),)), catalog, recorded=Recorded.of(first))
    told = values(again.mesh, "istiod")
    assert (told["f"], told["t"], "s" in told) == (1, 2, False)
    assert "the values of --set istiod:s no longer apply: they were not given again" in again.notes


def test_the_kinds_of_set_are_laid_in_helms_order(catalog: Catalog) -> None:
    told = [("--set-file", "=f"), ("--set-string", "=2"), ("--set-json", "=null"), ("--set", "=1")]
    sets = [parse_set(f"istiod:{key}{text}", SetKind(kind), str) for key in "ab" for kind, text in told]
    mesh = resolve(Request(region="kr1", sets=tuple(sets)), catalog).mesh
    kinds = [layer.name.split()[0] for layer in mesh.layers["istiod"] if layer.option]
    assert kinds == [kind for kind in ("--set-json", "--set", "--set-string", "--set-file") for _ in "ab"]
    assert values(mesh, "istiod")["a"] == "f"
    weaker = resolve(Request(region="kr1", sets=tuple(sets[1:4])), catalog).mesh
    assert values(weaker, "istiod")["a"] == "2"


@pytest.mark.parametrize("again", SetKind)
@pytest.mark.parametrize("before", SetKind)
def test_one_kind_of_set_given_again_drops_them_all(catalog: Catalog, before: SetKind, again: SetKind) -> None:
    first = resolve(Request(region="kr1", sets=(parse_set("istiod:a=1", before, str),)), catalog).mesh
    kept = resolve(Request(), catalog, recorded=Recorded.of(first))
    assert kept.mesh.layers == first.layers
    request = Request(sets=(parse_set("istiod:b=1", again, str),))
    later = resolve(request, catalog, recorded=Recorded.of(first))
    assert ("a" in values(later.mesh, "istiod"), "b" in values(later.mesh, "istiod")) == (False, True)
    assert f"the values of {before} istiod:a no longer apply: they were not given again" in later.notes


def test_an_environment_replaces_all_values_of_the_last_run(catalog: Catalog, prod: Environment) -> None:
    first = resolve(Request(region="kr1", sets=(parse_set("istiod:s=1"),)), catalog).mesh
    assert "s" not in values(resolve(Request(), catalog, prod, Recorded.of(first)).mesh, "istiod")


def test_recorded_gateways_hold_until_a_profile_or_an_environment_is_named(catalog: Catalog, prod: Environment) -> None:
    recorded = Recorded(region="kr1", profile="default", gateways=(GatewaySpec(name="edge", namespace="edge"),))
    assert [gateway.name for gateway in resolve(Request(), catalog, recorded=recorded).mesh.gateways] == ["edge"]
    named = resolve(Request(profile="demo"), catalog, recorded=recorded).mesh
    assert [gateway.name for gateway in named.gateways] == ["istio-ingressgateway", "istio-egressgateway"]
    silent = replace(prod, gateways=None, files={})
    assert len(resolve(Request(), catalog, silent, recorded).mesh.gateways) == 2


def balanced(catalog: Catalog, prod: Environment, **said: Any) -> tuple[Environment, Mesh]:
    gateway = GatewaySpec(name="edge", values={"service": {"type": "LoadBalancer"}}, load_balancer=said)
    environment = replace(prod, gateways=(gateway,), files={})
    return environment, resolve(Request(), catalog, environment).mesh


def test_a_load_balancer_lies_below_every_values_file_and_holds_until_the_next_environment(
    catalog: Catalog, prod: Environment
) -> None:
    environment, mesh = balanced(catalog, prod, name="own", proxy_protocol=True, keep_address=True)
    kinds = [layer.kind for layer in mesh.layers["edge"]]
    assert kinds.index(LayerKind.LOAD_BALANCER) < kinds.index(LayerKind.ENVIRONMENT)
    annotations = values(mesh, "edge")["service"]["annotations"]
    assert annotations == {
        "loadbalancer.openstack.org/keep-floatingip": "true",
        "loadbalancer.nhncloud/loadbalancer-name": "own",
        "loadbalancer.nhncloud/proxy-protocol": "true",
    }
    both_sides = values(mesh, "edge")["podAnnotations"]["proxy.istio.io/config"]
    assert json.loads(both_sides) == {"gatewayTopology": {"proxyProtocol": {}}}
    # as installed, from the record's own form
    recorded = Record.from_data(json.loads(json.dumps(Record(settings=Recorded.of(mesh), hub="h").to_data()))).settings
    assert values(resolve(Request(), catalog, None, recorded).mesh, "edge") == values(mesh, "edge")
    said = {"proxy.istio.io/config": json.dumps({"concurrency": 2})}
    setting = parse_set(f"edge:podAnnotations={json.dumps(said)}", SetKind.JSON)
    text = values(resolve(Request(sets=(setting,)), catalog, None, recorded).mesh, "edge")["podAnnotations"]
    merged = json.loads(text["proxy.istio.io/config"])
    assert merged == {"concurrency": 2, "gatewayTopology": {"proxyProtocol": {}}}
    silent = replace(environment, gateways=(GatewaySpec(name="edge"),))
    assert "service" not in values(resolve(Request(), catalog, silent, recorded).mesh, "edge")


def test_a_hub_of_ones_own_needs_no_region(catalog: Catalog) -> None:
    mesh = resolve(Request(hub="registry.example.com:5000/istio/"), catalog).mesh
    assert (mesh.hub, mesh.own_hub, mesh.region) == ("registry.example.com:5000/istio", True, "")
    assert [layer.name for layer in mesh.layers["istiod"]][1] == "hub registry.example.com:5000/istio"


@pytest.mark.parametrize(
    ("request_", "environment", "recorded", "hub"),
    [
        (Request(region="kr1"), Environment(name="e", path="p", hub="own.example.com/e"), None, "public-kr1"),
        (Request(region="kr1"), None, Recorded(region="kr2", hub="own.example.com/r"), "public-kr1"),
        (Request(hub="own.example.com/o"), Environment(name="e", path="p", region="kr1"), None, "own.example.com/o"),
        (Request(), None, Recorded(region="kr2", hub="own.example.com/r"), "own.example.com/r"),
        (Request(), Environment(name="e", path="p", region="kr1"), Recorded(hub="own.example.com/r"), "public-kr1"),
        (Request(region="kr2", hub="own.example.com/o"), None, None, "own.example.com/o"),
    ],
)
def test_the_strongest_word_on_region_or_hub_decides(
    catalog: Catalog, request_: Request, environment: Environment | None, recorded: Recorded | None, hub: str
) -> None:
    assert resolve(request_, catalog, environment, recorded).mesh.hub.startswith(hub)


def test_the_region_that_was_read_is_the_default(catalog: Catalog, prod: Environment) -> None:
    where = Location(host="a", region="kr2", read_from="the API server's host")
    resolved = resolve(Request(), catalog, location=where)
    assert (resolved.mesh.region, resolved.region_read) == ("kr2", True)
    assert resolved.notes[0] == "region kr2, read from the API server's host"
    for named in (
        resolve(Request(region="kr1"), catalog, location=where),
        resolve(Request(), catalog, replace(prod, region="kr1"), location=where),
        resolve(Request(), catalog, recorded=Recorded(region="kr1"), location=where),
    ):
        assert (named.mesh.region, named.region_read) == ("kr1", False)
    assert resolve(Request(hub="own.example.com/istio"), catalog, location=where).mesh.region == ""


def test_without_a_region_the_error_says_what_was_looked_at(catalog: Catalog) -> None:
    where = Location(host="10.0.0.4", zones=("kr-pub-a", "kr2-pub-a"))
    with pytest.raises(ConfigError) as raised:
        resolve(Request(), catalog, location=where)
    assert raised.value.message.endswith(
        "read from the API server's host (10.0.0.4) or the nodes' zones (kr-pub-a, kr2-pub-a)"
    )


@pytest.mark.parametrize(
    ("kubernetes", "version", "why"),
    [
        ("v1.33.4", "1.30.2", "of the newest minor version known to nksmesh that supports Kubernetes 1.33"),
        ("v1.28.15", "1.20.0", "of the newest minor version known to nksmesh that supports Kubernetes 1.28"),
        ("v1.40.0", "1.30.2", "of the newest minor version known to nksmesh"),
        ("", "1.30.2", "of the newest minor version known to nksmesh"),
    ],
)
def test_of_a_hub_of_ones_own_the_version_that_fits_the_cluster_is_the_default(
    catalog: Catalog, kubernetes: str, version: str, why: str
) -> None:
    newer = IstioVersion(
        minor="1.30",
        kubernetes_min="1.32",
        kubernetes_max="1.36",
        kubernetes_floor="1.32",
        versions=("1.30.1", "1.30.2", "1.30.3"),
        tested=("1.30.2",),
    )
    known = replace(catalog, versions=(*catalog.versions, newer))
    own = Request(hub="own.example.com/istio")
    resolved = resolve(own, known, kubernetes=kubernetes)
    assert resolved.mesh.version == version
    assert f"version {version}, {why}" in resolved.notes
    # what is installed stays, whatever would fit better; and what is asked for is taken
    assert resolve(own, known, recorded=Recorded(version="1.19.0"), kubernetes=kubernetes).mesh.version == "1.19.0"
    assert resolve(replace(own, version="1.30.3"), known, kubernetes=kubernetes).mesh.version == "1.30.3"


def test_without_region_and_hub_the_error_lists_the_regions(catalog: Catalog) -> None:
    with pytest.raises(ConfigError) as raised:
        resolve(Request(), catalog, location=Location(host="127.0.0.1"))
    assert "kr1 is KR1; kr2 is KR2" in raised.value.hint


@pytest.mark.parametrize(
    ("request_", "message", "hint"),
    [
        (Request(region="kr3"), "there is no region 'kr3'", "kr1, kr2"),
        (Request(region="kr1", profile="dmo"), "there is no profile 'dmo'", "Did you mean 'demo'?"),
        (Request(region="kr1", version="1.20"), "'1.20' is not an Istio version", "X.Y.Z"),
        (Request(region="kr1", namespace="a;b"), "namespace: 'a;b'", "a-z, 0-9 and -"),
        (Request(region="kr1", namespace="x" * 64), "namespace:", "at most 63"),
        (Request(hub="https://x.example.com/istio"), "--hub: 'https://x.example.com/istio'", "without https://"),
        (Request(hub="$(id)/istio"), "--hub:", "registry.example.com"),
        (Request(hub="x.example.com/istio:1.20.0"), "--hub:", "without a tag"),
        (Request(region="kr1", sets=(parse_set("istoid:a=1"),)), "--set istoid:a:", "Did you mean 'istiod'?"),
        (
            Request(region="kr1", values_files=(("gatway", ValuesFile(path="g.yaml", values={})),)),
            "-f gatway=g.yaml: there is no component or release 'gatway'",
            "Did you mean 'gateway'?",
        ),
    ],
)
def test_what_is_unknown_or_no_name_is_refused(catalog: Catalog, request_: Request, message: str, hint: str) -> None:
    with pytest.raises(ConfigError) as raised:
        resolve(request_, catalog)
    assert message in raised.value.message
    assert hint in raised.value.hint


@pytest.mark.parametrize(
    "name", ["a b", "A", "-x", "x;rm", "$(id)", "istiod", "istio-base", "gateway", "base", "", "x" * 54]
)
def test_gateways_need_names_of_their_own_that_kubernetes_takes(catalog: Catalog, name: str) -> None:
    environment = Environment(name="e", path="p", region="kr1", gateways=(GatewaySpec(name=name),))
    with pytest.raises(ConfigError, match="gateway"):
        resolve(Request(), catalog, environment)


def test_two_gateways_of_one_name_are_refused(catalog: Catalog) -> None:
    twice = (GatewaySpec(name="edge"), GatewaySpec(name="edge", namespace="other"))
    with pytest.raises(ConfigError, match="'edge': the name is already used"):
        resolve(Request(region="kr1"), catalog, Environment(name="e", path="p", gateways=twice))


def test_an_environments_file_for_nothing_is_refused(catalog: Catalog, prod: Environment) -> None:
    file = ValuesFile(path="values/environments/prod/istoid.yaml", values={})
    with pytest.raises(ConfigError) as raised:
        resolve(Request(), catalog, replace(prod, files={"istoid": file}))
    assert raised.value.message.startswith("values/environments/prod/istoid.yaml: there is no component")


def test_an_environments_file_for_a_gateway_of_another_profile_waits(catalog: Catalog) -> None:
    file = ValuesFile(path="values/environments/e/istio-egressgateway.yaml", values={"x": 1})
    environment = Environment(name="e", path="p", region="kr1", files={"istio-egressgateway": file})
    assert len(resolve(Request(), catalog, environment).mesh.releases) == 3


def test_a_password_of_the_charts_is_used_but_neither_noted_nor_recorded(catalog: Catalog, prod: Environment) -> None:
    source = "https://bob:hunter2@charts.example.com/istio?token=tok123"
    for mesh, notes in (
        (one.mesh, one.notes)
        for one in (
            resolve(Request(region="kr1", charts=source), catalog),
            resolve(Request(), catalog, replace(prod, charts=source)),
        )
    ):
        assert mesh.chart_source == source
        recorded = Recorded.of(mesh)
        assert recorded.charts == "https://charts.example.com/istio"
        for said in (*notes, repr(mesh), repr(recorded)):
            assert "hunter2" not in said
            assert "tok123" not in said


def test_a_registry_of_ncr_has_a_private_address_for_the_private_network(catalog: Catalog) -> None:
    own = "0a1b2c3d-kr1-registry.container.nhncloud.com/team/istio"
    private = resolve(Request(hub=own, network=Network.PRIVATE), catalog)
    assert (private.mesh.hub, private.mesh.own_hub) == (f"private-{own}", True)
    assert f"hub private-{own}, for the private network" in private.notes
    recorded = Recorded.of(private.mesh)
    assert resolve(Request(), catalog, recorded=recorded).mesh.hub == f"private-{own}"
    assert resolve(Request(network=Network.PUBLIC), catalog, recorded=recorded).mesh.hub == own
    # whoever names the private address has it, whatever the default is
    assert resolve(Request(hub=f"private-{own}"), catalog).mesh.hub == f"private-{own}"
