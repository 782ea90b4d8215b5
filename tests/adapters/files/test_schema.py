"""mesh.yaml against its published schema, by our reading of it and by jsonschema's."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nksmesh.adapters.files.documents import parse_document
from nksmesh.adapters.files.schema import KEYWORDS, SCHEMAS, check_document, schema_named
from nksmesh.domain.common.errors import ConfigError

NAMES = sorted(path.name.removesuffix(".schema.json") for path in SCHEMAS.iterdir())

GOOD = """\
context: my-cluster
region: kr1
network: private
version: 1.20.0
profile: demo
full_image_paths: true
pull_secrets: [registry-key]
gateways:
  - name: istio-ingressgateway
  - name: edge
    namespace: edge
    values: {service: {type: ClusterIP}}
    load_balancer:
      address: 10.0.0.7
      connection_limit: 60000
      keepalive_timeout: 0
      listeners:
        443: {protocol: TERMINATED_HTTPS, certificate_manager_name: shop, tls_version: TLSv1.0_2016}
        65535: {}
      health: {port: 0, interval: 5000, timeout: 1, retries: 10}
"""


@pytest.mark.parametrize("name", NAMES)
def test_whatever_is_required_is_described(name: str) -> None:
    for part in schemas_in(schema_named(name)):
        assert all(part["properties"][key]["description"] for key in part.get("required", ()))


def schemas_in(schema: Any) -> Iterator[dict[str, Any]]:
    yield schema
    for inner in (*schema.get("properties", {}).values(), schema.get("items"), schema.get("additionalProperties")):
        if isinstance(inner, dict):
            yield from schemas_in(inner)


@pytest.mark.parametrize("name", NAMES)
def test_the_published_schemas_are_schemas_and_use_only_what_we_read(name: str) -> None:
    schema = schema_named(name)
    jsonschema.Draft202012Validator.check_schema(schema)
    for part in schemas_in(schema):
        assert set(part) <= KEYWORDS


def test_every_key_of_mesh_yaml_is_described() -> None:
    assert all(one["description"] for one in schema_named("mesh")["properties"].values())


def test_a_good_mesh_is_admitted() -> None:
    document = parse_document(GOOD.encode(), "mesh.yaml")
    assert check_document(document, "mesh") is document
    jsonschema.validate(document.values, schema_named("mesh"))


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("a: 1\nregoin: kr1\n", "mesh.yaml, line 1: there is no key 'a'", "The keys are"),
        ("region: kr1\nregoin: kr1\n", "mesh.yaml, line 2: there is no key 'regoin'", "Did you mean 'region'?"),
        ("network: privat\n", "mesh.yaml, line 1: network cannot be 'privat'", "Did you mean 'private'?"),
        ("\nversion: 1.20\n", "mesh.yaml, line 2: version must be a string, not the number 1.2", "Put it in quotes."),
        ("version: '1.20'\n", "mesh.yaml, line 1: version cannot be '1.20'", "such as 1.20.0"),
        ("full_image_paths: 'yes'\n", "full_image_paths must be true or false, not the string 'yes'", "full paths"),
        ("region:\n", "mesh.yaml, line 1: region must be a string, not empty", "nksmesh regions"),
        ("region: [kr1]\n", "region must be a string, not a list", "NKS region"),
        ("gateways: istio\n", "gateways must be a list, not the string 'istio'", "instead of the profile's"),
        ("gateways:\n  - namespace: x\n", "mesh.yaml, line 2: gateways[0] lacks the key 'name'", "Add name:"),
        ("gateways:\n  - name: a\n    vlaues: {}\n", "line 3: there is no key 'gateways[0].vlaues'", "'values'"),
        ("gateways:\n  - name: a;rm -rf\n", "line 2: gateways[0].name cannot be 'a;rm -rf'", "Helm release"),
        ("namespace: $(id)\n", "namespace cannot be '$(id)'", "control plane"),
        ('namespace: "a\\n"\n', "namespace cannot be 'a\\n'", "control plane"),
        ("sandbox: ../x\n", "sandbox cannot be '../x'", "sandbox"),
        ("pull_secrets: [1]\n", "pull_secrets[0] must be a string, not the number 1", "quotes"),
        *(
            (
                f"gateways:\n  - name: a\n    load_balancer:\n      {text}\n",
                f"line 4: {message.format(key='gateways[0].load_balancer')}",
                hint,
            )
            for text, message, hint in (
                ("intern: true", "there is no key '{key}.intern'", "internal"),
                ("internal: 'true'", "{key}.internal must be true or false", "inside the VPC"),
                ("address: 10.0.0.256", "{key}.address cannot be '10.0.0.256'", "IPv4 address"),
                ("address: 1.2.3", "{key}.address cannot be '1.2.3'", "IPv4 address"),
                ("keep_address: 1", "{key}.keep_address must be true or false", "keep-floatingip"),
                ("subnet_id: abc", "{key}.subnet_id cannot be 'abc'", "UUID"),
                ("network_id: 1", "{key}.network_id must be a string", "quotes"),
                ("name: a b", "{key}.name cannot be 'a b'", "A-Z, a-z"),
                (f"name: {'x' * 256}", "{key}.name cannot be", "at most 255"),
                ("type: physical", "{key}.type cannot be 'physical'", "shared"),
                ("algorithm: RANDOM", "{key}.algorithm cannot be 'RANDOM'", "ROUND_ROBIN"),
                (
                    "session_persistence: COOKIE",
                    "{key}.session_persistence cannot be 'COOKIE'",
                    "SOURCE_IP",
                ),
                ("connection_limit: 0", "{key}.connection_limit cannot be 0", "1 to 60000"),
                ("connection_limit: 60001", "{key}.connection_limit cannot be 60001", "1 to 60000"),
                (
                    "connection_limit: '9'",
                    "{key}.connection_limit must be a whole number, not the string '9'",
                    "60000",
                ),
                (
                    "connection_limit: true",
                    "{key}.connection_limit must be a whole number, not true",
                    "60000",
                ),
                ("keepalive_timeout: -1", "{key}.keepalive_timeout cannot be -1", "0 to 3600"),
                ("keepalive_timeout: 3601", "{key}.keepalive_timeout cannot be 3601", "0 to 3600"),
                (
                    "proxy_protocol: v2",
                    "{key}.proxy_protocol must be true or false",
                    "client's address",
                ),
                (
                    "listeners: {0: {}}",
                    "{key}.listeners.0 the key does not look like",
                    "1 to 65535",
                ),
                (
                    "listeners: {65536: {}}",
                    "{key}.listeners.65536 the key does not look like",
                    "port",
                ),
                ("listeners: {https: {}}", "{key}.listeners.https the key does not look", "port"),
                (
                    "listeners: {443: {protocol: TLS}}",
                    "{key}.listeners.443.protocol cannot be 'TLS'",
                    "TERMINATED_HTTPS",
                ),
                (
                    "listeners: {443: {tls_version: '1.2'}}",
                    "{key}.listeners.443.tls_version cannot be '1.2'",
                    "TLSv1.2",
                ),
                (
                    "listeners: {443: {certificate_manager_name: ''}}",
                    "{key}.listeners.443.certificate_manager_name cannot be ''",
                    "NHN",
                ),
                ("listeners: {443: {key: x}}", "there is no key '{key}.listeners.443.key'", ""),
                ("health: {type: UDP}", "{key}.health.type cannot be 'UDP'", "TCP"),
                ("health: {path: x}", "{key}.health.path cannot be 'x'", "begins with /"),
                ("health: {port: 65536}", "{key}.health.port cannot be 65536", "0 to 65535"),
                ("health: {interval: 0}", "{key}.health.interval cannot be 0", "1 to 5000"),
                ("health: {timeout: 5001}", "{key}.health.timeout cannot be 5001", "1 to 5000"),
                ("health: {retries: 11}", "{key}.health.retries cannot be 11", "1 to 10"),
            )
        ),
        (f"namespace: {'x' * 64}\n", "namespace cannot be", "namespace"),
    ],
)
def test_mistakes_are_told_with_file_line_and_key(text: str, message: str, hint: str) -> None:
    document = parse_document(text.encode(), "mesh.yaml")
    with pytest.raises(ConfigError) as raised:
        check_document(document, "mesh")
    assert message in raised.value.message
    assert hint in raised.value.hint


ANYTHING = (
    st.none() | st.booleans() | st.integers(0, 2) | st.sampled_from(["", "kr1", "public", "1.20.0", "A b", "a\n"])
)
LISTS = st.lists(
    ANYTHING | st.dictionaries(st.sampled_from(["name", "namespace", "values", "x"]), ANYTHING), max_size=2
)


@given(
    values=st.dictionaries(st.sampled_from([*schema_named("mesh")["properties"], "x"]), ANYTHING | LISTS, max_size=4)
)
def test_our_verdict_is_jsonschemas(values: dict[str, Any]) -> None:
    document = parse_document(json.dumps(values).encode(), "mesh.yaml")
    theirs = jsonschema.Draft202012Validator(schema_named("mesh")).is_valid(values)
    try:
        check_document(document, "mesh")
        ours = True
    except ConfigError:
        ours = False
    # A last newline passes $ in Python, and so in jsonschema's reading of a pattern; we refuse it.
    if any("\n" in text for text in json.loads(json.dumps(list(_texts(values))))):
        assert theirs or not ours
    else:
        assert ours == theirs


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _texts(inner)
