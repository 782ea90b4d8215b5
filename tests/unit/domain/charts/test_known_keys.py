"""Keys that a chart does not read, and what is proposed instead."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest

from nksmesh.domain.charts.chart import Chart
from nksmesh.domain.charts.known_keys import has_key, known_tree, unknown_keys
from nksmesh.domain.common.findings import Finding
from nksmesh.domain.values.layers import Layer
from tests.unit.domain.meshes import chart

OF_PILOT: dict[str, Any] = {"traceSampling": 1.0, "env": {}, "replicaCount": None, "podAnnotations": {"a": "b"}}
PLAIN: dict[str, Any] = {
    "global": {"hub": "docker.io/istio", "proxy": {"image": "proxyv2", "resources": {"requests": {"cpu": "1"}}}},
    "meshConfig": {"enablePrometheusMerge": True},
}
READ = """
{{- define "mesh" }}{{ .Values.global.hub }}{{ end -}}
{{- $mesh := mergeOverwrite (include "mesh" . | fromYaml) .Values.meshConfig }}
{{ $mesh | toYaml | indent 4 }}
{{- with .Values.global.proxy }}{{ .image }}{{ with .resources }}{{ toYaml . | nindent 2 }}{{ end }}{{ end }}
"""
PILOT = """
{{ .Values.PILOT.traceSampling }}
{{- range $name, $value := .Values.PILOT.env }}{{ $name }}: {{ $value | quote }}{{ end }}
{{- if .Values.PILOT.replicaCount }}{{ .Values.PILOT.replicaCount }}{{ end }}
{{- if .Values.PILOT.podAnnotations }}{{ toYaml .Values.PILOT.podAnnotations | indent 8 }}{{ end }}
"""
LOADER = """
{{- $globals := $.Values.global | default dict | deepCopy }}
{{- $defaults := $.Values.NEST }}
{{- $_ := unset $.Values "NEST" }}
{{- $profile := dict }}
{{- with (coalesce ($.Values).profile ($.Values.global).profile) }}
{{- with $.Files.Get (printf "files/profile-%s.yaml" .) }}{{- $profile = (. | fromYaml) }}{{- end }}
{{- end }}
{{- if $profile }}{{- $a := mustMergeOverwrite $defaults $profile }}{{- end }}
{{- $b := set $ "Values" (mustMergeOverwrite $defaults $.Values) }}
"""
FLATTENED = LOADER.replace(
    "{{- $b", "{{- if true }}{{- $a := mustMergeOverwrite $defaults $globals }}{{- end }}\n{{- $b"
)
DESCOPED = '{{- $_ := mustMergeOverwrite $.Values (index $.Values "pilot") }}'


def made(defaults: Mapping[str, Any], version: str = "1.20.0", **templates: str) -> Chart:
    texts = {f"templates/{name}.yaml": text for name, text in templates.items()}
    return replace(chart("istiod", version=version), defaults=defaults, templates=texts)


def loading(nest: str, text: str = LOADER) -> str:
    return text.replace("NEST", nest)


OF_1_20 = made({**PLAIN, "pilot": OF_PILOT}, read=READ, pilot=PILOT.replace("PILOT", "pilot"))
OF_1_21 = made(
    {"defaults": OF_1_20.defaults},
    "1.21.6",
    read=READ,
    pilot=PILOT.replace("PILOT", "pilot"),
    zzz_profile=loading("defaults"),
)
OF_1_24 = made(
    {"_internal_defaults_do_not_set": {**PLAIN, **OF_PILOT}},
    "1.24.6",
    read=READ,
    pilot=PILOT.replace(".PILOT", ""),
    zzz_profile=loading("_internal_defaults_do_not_set"),
    zzy_descope_legacy=DESCOPED,
)
CHARTS = pytest.mark.parametrize("of", [OF_1_20, OF_1_21, OF_1_24], ids=["1.20", "1.21", "1.24"])


def findings(values: Mapping[str, Any], of: Chart, *, ours: bool = False, **more: Any) -> tuple[Finding, ...]:
    layer = Layer(name="environment prod (istiod.yaml)", values=values, ours=ours)
    found = unknown_keys([layer], of, **more)
    assert all(finding.subject == layer.name and layer.name in finding.message for finding in found)
    return found


def found(values: Mapping[str, Any], of: Chart) -> list[tuple[str, str]]:
    return [(finding.message.rpartition(" reads ")[2], finding.hint) for finding in findings(values, of)]


def keys(values: Mapping[str, Any], template: str, defaults: Mapping[str, Any] | None = None) -> list[str]:
    return [key for key, _ in found(values, made(defaults or {}, it=template))]


@CHARTS
def test_a_misspelt_key_is_told_with_the_nearest(of: Chart) -> None:
    assert found({"global": {"proxy": {"imgae": "x"}}}, of) == [
        ("global.proxy.imgae", "Did you mean global.proxy.image?")
    ]
    assert found({"pilot": {"traceSamplng": 5}}, of) == [("pilot.traceSamplng", "Did you mean pilot.traceSampling?")]
    assert found({"globl": {"hub": "x"}}, of) == [("globl", "Did you mean global?")]
    (finding,) = findings({"zzz": 1}, of)
    assert finding.message.endswith(f": no template of chart istiod {of.ref.version} reads zzz")


@CHARTS
@pytest.mark.parametrize(
    "values",
    [
        {"meshConfig": {"accessLogFile": "/dev/stdout", "any": {"thing": 1}}},
        {"pilot": {"env": {"PILOT_X": "1"}}},
        {"pilot": {"podAnnotations": {"c": "d"}}},
        {"pilot": {"replicaCount": {"odd": 1}}},
        {"global": {"proxy": {"resources": {"limits": {"cpu": "2"}}}}},
        {"global": None},
    ],
)
def test_open_maps_never_warn(values: dict[str, Any], of: Chart) -> None:
    assert found(values, of) == []


def test_a_key_in_the_wrong_place_is_told_its_place() -> None:
    assert found({"hub": "x"}, OF_1_20) == [("hub", "Did you mean global.hub?")]


def test_a_proposal_takes_the_whole_setting() -> None:
    # global.proxy is there, but reads no zzz; global.hub is no map
    assert "Did you mean" not in found({"proxy": {"zzz": 1}}, OF_1_20)[0][1]
    assert "Did you mean" not in found({"hub": {"name": "x"}}, OF_1_20)[0][1]
    assert found({"proxy": {"image": "x"}}, OF_1_20)[0][1] == "Did you mean global.proxy?"


def test_the_charts_own_nest_is_not_for_users() -> None:
    (finding,) = findings({"defaults": {"global": {}}}, OF_1_21)
    assert finding.message.endswith("chart istiod 1.21.6 keeps its own defaults below defaults")
    assert finding.hint.startswith("Set the keys of defaults at the top level")
    assert "no template" in findings({"defaults": {"global": {}}}, OF_1_20)[0].message


def test_istiods_settings_may_stand_at_the_top_only_where_the_chart_has_them_there() -> None:
    assert found({"traceSampling": 5}, OF_1_24) == []
    assert found({"pilot": {"traceSampling": 5, "global": {"hub": "x"}}}, OF_1_24) == []
    assert found({"traceSampling": 5}, OF_1_21) == [("traceSampling", "Did you mean pilot.traceSampling?")]
    assert found({"pilot": {"meshConfig": {}}}, OF_1_21)[0][0] == "pilot.meshConfig"


def test_what_a_loader_reads_is_known_and_what_it_flattens_too() -> None:
    assert found({"profile": "x", "global": {"profile": "x"}}, OF_1_21) == []
    assert found({"profile": "x", "platform": "x"}, OF_1_20) == [
        ("profile", found({"profile": "x"}, OF_1_20)[0][1]),
        ("platform", found({"platform": "x"}, OF_1_20)[0][1]),
    ]
    flattened = made({"defaults": {"hub": ""}}, it="{{ .Values.hub }}", zzz_profile=loading("defaults", FLATTENED))
    assert found({"hub": "x", "global": {"hub": "x"}}, flattened) == []
    assert found({"global": {"hob": "x"}}, flattened) == [("global.hob", "Did you mean global.hub?")]


def test_our_own_layers_never_warn_and_no_template_is_read_for_them() -> None:
    class Unread(dict[str, str]):
        def items(self) -> Any:
            raise AssertionError

    unread = replace(OF_1_20, templates=Unread())
    assert findings({"zzz": 1}, unread, ours=True) == ()
    assert unknown_keys([], unread) == ()


def test_what_the_former_chart_read_is_told() -> None:
    later = made({}, "1.30.2", it="{{ .Values.pilot.new }}")
    (finding,) = findings({"pilot": {"traceSampling": 1}}, later, former=OF_1_20)
    assert finding.message.endswith("chart istiod 1.30.2 reads pilot.traceSampling; 1.20.0 did")


def test_what_is_listed_and_never_read_is_told_where_it_is_changed() -> None:
    listing = made({"a": {"read": 1, "idle": 1, "empty": {}}}, it="{{ .Values.a.read }}")
    assert found({"a": {"read": 2, "idle": 1, "empty": {}}}, listing) == []
    (finding,) = findings({"a": {"idle": 2}}, listing)
    assert finding.message.endswith(
        "values.yaml of chart istiod 1.20.0 lists a.idle, but no template of it reads that key"
    )


def handing_on() -> Chart:
    text = '{{ pick .Values "global" "webhook" | toPrettyJson | indent 4 }}\n{{ .Files.Get "files/inject.yaml" }}'
    inject = "{{ if .Values.global.network }}{{ valueOrDefault .Values.webhook.port 1 }}{{ end }}{{ .Values.other }}"
    given = made({"global": {"listed": 1, "image": "x"}, "other": 1}, it=text)
    return replace(given, templates={**given.templates, "files/inject.yaml": inject})


def test_what_is_handed_on_is_read_by_the_templates_it_is_handed_to() -> None:
    of = handing_on()
    assert found({"global": {"network": "x", "listed": 2}, "webhook": {"port": 2}}, of) == []
    # In the ConfigMap, and read by nobody there; and read, but not handed on.
    assert found({"global": {"imgae": "x"}}, of) == [("global.imgae", "Did you mean global.image?")]
    assert "lists other, but" in findings({"other": 2}, of)[0].message
    # A user's own template for the injector reads what it reads.
    own = {"webhook": {"port": 1}, "global": {"team": "x", "taem": "x", "listed": "{{ .Values.global.team }}"}}
    assert [key for key, _ in found(own, of)] == ["global.taem"]
    # Without templates to hand it to, somebody else may read it.
    alone = replace(of, templates={name: text for name, text in of.templates.items() if name.startswith("templates/")})
    assert found({"global": {"imgae": "x"}}, alone) == []


@pytest.mark.parametrize(
    ("template", "read", "unread"),
    [
        ('{{ index .Values "a" "b" }}', ["a.b"], ["a.c"]),
        ('{{ dig "a" "b" true .Values }}', ["a.b"], ["a.c"]),
        ('{{ if hasKey .Values.a "b" }}x{{ end }}', ["a.b"], ["a.c"]),
        ("{{ with .Values.a }}{{ .b }}{{ $.Values.d }}{{ else }}{{ .Values.e }}{{ end }}", ["d", "e"], ["b", "f"]),
        ("{{ range $k, $v := .Values.a }}{{ $v.b }}{{ end }}", ["a.x.b"], ["b"]),
        ("{{ range .Values.a }}{{ . }}{{ end }}", ["a.x"], ["x"]),
        ("{{ $x := .Values.a }}{{ if true }}{{ $x = .Values.d }}{{ end }}{{ $x.b }}", ["a.b", "d.b"], ["a.c", "d.c"]),
        ('{{ define "t" }}{{ .c.Values.d }}{{ end }}{{ include "t" (dict "b" .Values.a "c" $) }}', ["d"], ["b"]),
        ('{{ define "t" }}{{ .Values.a.b }}{{ end }}{{ template "t" . }}', ["a.b"], ["a.c"]),
        ("{{ (.Values.a).b | default .Values.c.d | quote }}", ["a.b", "c.d"], ["a.c", "c.e"]),
        ("{{ default .Values.c.d ((.Values.a).b).x }}", ["a.b.x", "c.d"], ["a.b.y"]),
        ('{{ range $key := list "limits" "requests" }}{{ index $.Values.a $key }}{{ end }}', ["a.limits.cpu"], ["a.x"]),
        ("{{ index .Values.a .Values.which }}", ["a.x", "which"], ["x"]),
        ("{{ coalesce .Values.a.b .Values.c }}{{ ternary .Values.d .Values.e .Values.f }}", list("cdef"), ["a.c"]),
        ("{{ merge (deepCopy .Values.a.b) .Values.c.d | toYaml }}", ["a.b.x", "c.d.x"], ["a.c", "c.e"]),
        ('{{ (pick .Values.a "b").b }}', ["a.b"], ["a.c"]),
        ("{{/* .Values.a */}}{{ `{{ .Values.b }}` }}{{- .Values.c -}}", ["c"], ["a", "b"]),
        ("{{ if .Values.a }}{{ else if .Values.b }}{{ else }}{{ .Values.c }}{{ end }}", list("abc"), ["e"]),
        ("{{ $_ := mustMergeOverwrite .Values.a .Values.b }}{{ .Values.a.x }}", ["a.x", "b.x"], ["a.y", "b.y"]),
        ('{{ $_ := set .Values.a "b" .Values.c }}{{ .Values.a.b.x }}', ["c.x", "a.b.x"], ["c.y"]),
    ],
)  # fmt: skip
def test_what_a_template_reads(template: str, read: list[str], unread: list[str]) -> None:
    for key, expected in [*((key, []) for key in read), *((key, [key]) for key in unread)]:
        values: Any = 1
        for name in reversed(key.split(".")):
            values = {name: values}
        defaults = {"a": {"b": {"z": 1}}, "c": {"d": {"z": 1}}}
        told = [".".join(path) for path in unread_paths(values, template, defaults)]
        assert told == expected, key


def unread_paths(values: Mapping[str, Any], template: str, defaults: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    known = known_tree(made(defaults, it=template))

    def paths(inner: Mapping[str, Any], prefix: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
        for key, value in inner.items():
            if isinstance(value, Mapping):
                yield from paths(value, (*prefix, key))
            else:
                yield (*prefix, key)

    yield from (path for path in paths(values, ()) if not has_key(known, path))


@pytest.mark.parametrize(
    "template",
    [
        "{{ toYaml .Values }}",
        '{{ include (printf "%s" .Values.name) . }}',
        '{{ tpl (print "{{ .Values." .Values.name " }}") . }}',
        "{{ something . }}",
        "{{ index .Values .Values.name }}",
        "{{ if .Values.a }}",
        "{{ .Values.a ! }}",
        "{{ end }}",
        '{{ "open }}',
    ],
)
def test_of_what_cannot_be_told_nothing_is_said(template: str) -> None:
    assert keys({"zzz": 1, "a": {"zzz": 1}}, template, {"a": {"b": 1}}) == []


def test_of_a_chart_with_charts_of_its_own_nothing_is_said() -> None:
    of = replace(OF_1_20, templates={**OF_1_20.templates, "charts/other.tgz": "\x1f"})
    assert found({"zzz": 1}, of) == []


def test_notes_read_nothing_that_is_installed() -> None:
    of = replace(OF_1_20, templates={"templates/NOTES.txt": "{{ .Values.zzz }}"})
    assert found({"zzz": 1}, of)[0][0] == "zzz"
