"""What is said of keys that a chart does not read, against what Helm renders with them."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from nksmesh.adapters.charts.store import ChartStore
from nksmesh.domain.charts.chart import Chart, ChartRef
from nksmesh.domain.charts.known_keys import has_key, known_tree, unknown_keys
from nksmesh.domain.charts.lock import Lock
from nksmesh.domain.values.layers import Layer, compose
from nksmesh.domain.values.layers import Path as KeyPath

FOLDER = os.environ.get("NKSMESH_TEST_CHARTS", "")
COMPONENTS = ("base", "istiod", "gateway", "cni", "ztunnel")
HELM = shutil.which("helm") or ""


def numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))


VERSIONS = sorted((path.stem.removeprefix("istiod-") for path in Path(FOLDER).glob("istiod-*.tgz")), key=numbers)

pytestmark = [
    pytest.mark.conformance,
    pytest.mark.skipif(not FOLDER or not VERSIONS, reason="NKSMESH_TEST_CHARTS names no folder of Istio's charts"),
]

FOREIGN = (
    ("zzz",),
    ("global", "zzz"),
    ("global", "proxy", "imgae"),
    ("pilot", "zzz"),
    ("cni", "zzz"),
    ("defaults", "zzz"),
    ("global", "platfrom"),
)

REFUSED = re.compile(r"[Aa]dditional propert(?:y|ies) (.*?) (?:is |are )?not allowed|\.(\w+) is removed")
"""What Helm says of a key that the chart's schema or its NOTES.txt refuses: such a key is not passed over."""

READ_SINCE = {
    ("istiod", "global.agentgateway"): "1.28",
    ("istiod", "global.trustBundleName"): "1.28",
    ("istiod", "global.ipFamilies"): "1.24",
    ("istiod", "pdb.minAvailable"): "1.28",
    ("istiod", "trafficDistribution"): "1.28",
    ("istiod", "traceSampling"): "1.24",
    ("istiod", "cni.enabled"): "1.24",
    ("istiod", "pilot.cni.enabled"): "1.22",
    ("istiod", "pilot.tolerations"): "1.19",
    ("istiod", "global.proxy.variant"): "1.19",
    ("gateway", "service.allocateLoadBalancerNodePorts"): "1.21",
    ("gateway", "service.internalTrafficPolicy"): "1.28",
    ("gateway", "global.platform"): "1.22",
    ("cni", "global.platform"): "1.22",
    ("cni", "hub"): "1.24",
    ("cni", "cni.hub"): "1.19",
    ("ztunnel", "global.platform"): "1.22",
    ("ztunnel", "global.hub"): "1.22",
    ("ztunnel", "resourceName"): "1.28",
}
"""The minor version of the first chart that reads a key."""

READ_UNTIL = {
    ("base", "base.validateGateway"): "1.20",
    ("istiod", "istio_cni.enabled"): "1.23",
    ("istiod", "pilot.enabled"): "1.23",
    ("cni", "cni.logLevel"): "1.22",
}
"""The minor version of the last chart that reads a key."""


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("charts")


async def charts_of(component: str, cache: Path) -> dict[str, Chart]:
    refs = [ChartRef(name=component, version=version, source=FOLDER) for version in VERSIONS]
    fetched = await ChartStore(cache=cache).fetch(refs, lock=Lock())
    return {ref.version: fetched[ref] for ref in refs}


def told(values: Mapping[str, Any], chart: Chart) -> list[str]:
    return [finding.message for finding in unknown_keys([Layer(name="-f", values=values)], chart)]


def tree(path: KeyPath, value: Any) -> dict[str, Any]:
    for key in reversed(path):
        value = {key: value}
    return dict(value)


def leaves(known: Mapping[str, Any]) -> Iterator[KeyPath]:
    for path, _, _ in compose([Layer(name="known", values=known)]).leaves():
        yield path


def other_than(value: Any) -> Any:
    match value:
        case bool():
            return not value
        case int() | float():
            return value + 7
        case list():
            return [*value, "other"]
        case {}:
            return {"other": "other"}
    return "other"


def rendered(chart: Chart, values: Mapping[str, Any]) -> tuple[str, str]:
    """Render a chart; what istiod's charts hand on as it is (to the injector, and for debugging) is cut out.

    Returns:
        The manifests, and Helm's error where it has one.
    """
    done = subprocess.run(
        [HELM, "template", "istiod", str(chart.folder), "-n", "istio-system", "-f", "-"],
        input=json.dumps(values),
        capture_output=True,
        text=True,
        check=False,
    )
    handed_on = r"^  (?:values|original-values|merged-values): \|-\n(?:    .*\n|\s*\n)+"
    return re.sub(handed_on, "", done.stdout, flags=re.MULTILINE), done.stderr if done.returncode else ""


@pytest.mark.skipif(not HELM, reason="there is no helm on PATH")
@pytest.mark.parametrize("component", COMPONENTS)
async def test_whatever_is_told_to_be_read_by_no_template_changes_no_render(component: str, cache: Path) -> None:
    charts = await charts_of(component, cache)
    known = {version: known_tree(chart) for version, chart in charts.items()}
    # Every key that any version reads or lists, where another one may have it, and keys of nobody.
    every = dict.fromkeys(FOREIGN)
    for version, chart in charts.items():
        for path in (*leaves(known[version]), *leaves(chart.defaults)):
            bare = path[1:] if path[0] in {"defaults", "_internal_defaults_do_not_set"} else path
            every.update(dict.fromkeys((bare, ("global", *bare), ("pilot", *bare), ("cni", *bare))))
    for version, chart in charts.items():
        told_of: dict[str, Any] = {}
        for path in every:
            if path and not has_key(known[version], path) and not clashes(told_of, path):
                told_of = joined(told_of, path, other_than(default_of(chart, path)))
        assert len(list(leaves(told_of))) > 10
        assert told(told_of, chart)
        plain, failed = rendered(chart, {})
        assert not failed
        changed, failed = rendered(chart, told_of)
        for _ in range(3):
            refused = {name for found in REFUSED.findall(failed) for name in re.findall(r"\w+", " ".join(found))}
            told_of = without(told_of, refused)
            if refused:
                changed, failed = rendered(chart, told_of)
        assert not failed, version
        lines = set(changed.splitlines()) ^ set(plain.splitlines())
        assert changed == plain, (version, sorted(lines)[:10])


def without(values: Mapping[str, Any], names: set[str]) -> dict[str, Any]:
    return {
        key: without(value, names) if isinstance(value, Mapping) else value
        for key, value in values.items()
        if key not in names
    }


def joined(values: dict[str, Any], path: KeyPath, value: Any) -> dict[str, Any]:
    inner = values
    for key in path[:-1]:
        inner = inner.setdefault(key, {})
    inner[path[-1]] = value
    return values


def clashes(values: Mapping[str, Any], path: KeyPath) -> bool:
    """Whether a path leads through a value, or to a map, that is there."""
    inner: Any = values
    for key in path:
        if not isinstance(inner, Mapping):
            return True
        if key not in inner:
            return False
        inner = inner[key]
    return True


def default_of(chart: Chart, path: KeyPath) -> Any:
    for nest in ((), ("defaults",), ("_internal_defaults_do_not_set",)):
        inner: Any = chart.defaults
        for key in (*nest, *path):
            inner = inner.get(key) if isinstance(inner, Mapping) else None
        if inner is not None:
            return inner
    return None


def minor(version: str) -> tuple[int, ...]:
    return numbers(version)[:2]


@pytest.mark.parametrize(("component", "key"), [*READ_SINCE, *READ_UNTIL])
async def test_a_key_is_told_of_on_the_versions_that_do_not_read_it(component: str, key: str, cache: Path) -> None:
    since, until = READ_SINCE.get((component, key), "0"), READ_UNTIL.get((component, key), "9.9")
    for version, chart in (await charts_of(component, cache)).items():
        reads = numbers(since) <= minor(version) and (until == "9.9" or minor(version) <= numbers(until))
        messages = told(tree(tuple(key.split(".")), "other"), chart)
        assert bool(messages) is not reads, (version, messages)
        assert all(
            f"of chart {component} {version} reads" in message or "but no template" in message for message in messages
        )


@pytest.mark.parametrize("component", COMPONENTS)
async def test_a_key_that_is_proposed_is_read(component: str, cache: Path) -> None:
    proposals = 0
    for chart in (await charts_of(component, cache)).values():
        known = known_tree(chart)
        paths = [path for path in leaves(known) if path]
        for path in paths[:: max(1, len(paths) // 4)]:
            misspelt = (*path[:-1], path[-1][:-1] + "q")
            if has_key(known, misspelt):
                continue
            (finding,) = unknown_keys([Layer(name="-f", values=tree(misspelt, "other"))], chart)
            if finding.hint.startswith("Did you mean "):
                proposals += 1
                proposed = finding.hint.removeprefix("Did you mean ").removesuffix("?")
                assert told(tree(tuple(proposed.split(".")), "other"), chart) == [], (chart.ref, finding)
    assert proposals
