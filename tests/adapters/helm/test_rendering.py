from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from nksmesh.adapters.helm.releases import Helm
from nksmesh.domain.charts.chart import Chart
from nksmesh.domain.common.errors import ChartError, ReleaseError
from tests.adapters.helm.conftest import RELEASE, make_chart


def helm(program: str = "") -> Helm:
    return Helm(program, kubeconfig=None, context="")


async def rendered(program: str, chart: Chart, values: dict[str, Any], **options: Any) -> dict[str, Any]:
    driven = helm(program)
    manifests = driven.parse(await driven.render(RELEASE, chart, values, **{"upgrade": False, **options}))
    return {str(manifest["kind"]): manifest for manifest in manifests}


async def test_a_chart_is_rendered_with_one_mapping_of_values(program: str, chart: Chart) -> None:
    found = await rendered(program, chart, {"greeting": "안녕 $HOME `id` ;"}, kubernetes="v1.28.15")
    assert found["ConfigMap"]["data"] == {"mode": "install", "kubernetes": "v1.28.15", "greeting": "안녕 $HOME `id` ;"}
    assert found["Secret"]["stringData"]["sign"] == "="
    assert len(found) == 2  # the empty document is left out


@pytest.mark.parametrize("stored", ["a: [", "- a list\n", "text\n"])
def test_what_are_no_objects_is_said_and_no_bug_of_ours(stored: str) -> None:
    with pytest.raises(ReleaseError, match="cannot be read as Kubernetes objects"):
        helm().parse(stored)


async def test_an_upgrade_renders_as_one(program: str, chart: Chart) -> None:
    assert (await rendered(program, chart, {}, upgrade=True))["ConfigMap"]["data"]["mode"] == "upgrade"


async def test_the_charts_crds_folder_is_left_out(program: str, chart: Chart) -> None:
    (chart.folder / "crds").mkdir()
    (chart.folder / "crds/x.yaml").write_text("kind: CustomResourceDefinition\nmetadata: {name: x}\n")
    assert "CustomResourceDefinition" not in await rendered(program, chart, {})


async def test_a_chart_that_does_not_render_is_a_chart_error_with_helms_words(program: str, chart: Chart) -> None:
    (chart.folder / "templates/broken.yaml").write_text('{{ fail "no such profile" }}')
    with pytest.raises(ChartError, match=r"chart tiny 1\.0\.0 does not render for release tiny") as caught:
        await rendered(program, chart, {})
    assert "no such profile" in caught.value.detail


STRICT = '{"type": "object", "properties": {"greeting": {}}, "additionalProperties": false}'


@pytest.mark.parametrize(
    ("version", "passed"),
    [
        ("1.20.0", False),
        ("1.21.0", True),
        ("1.24.6", True),
        ("1.25.4", True),
        ("1.25.5", False),
        ("1.26.3", True),
        ("1.26.4", False),
        ("1.27.0", True),
        ("1.27.1", False),
        ("1.28.10", False),
        ("not-a-version", False),
    ],
)
async def test_a_gateway_whose_own_schema_is_broken_is_not_checked_by_helm_4(
    helm4_program: str, tmp_path: Path, version: str, *, passed: bool
) -> None:
    gateway = make_chart(tmp_path / "gateway", name="gateway")
    object.__setattr__(gateway.ref, "version", version)
    (gateway.folder / "values.schema.json").write_text(STRICT)
    if passed:
        assert await rendered(helm4_program, gateway, {"misspelt": 1})
        return
    with pytest.raises(ChartError) as caught:
        await rendered(helm4_program, gateway, {"misspelt": 1})
    assert "misspelt" in caught.value.detail


async def test_helm_3_17_checks_every_schema(helm3: str, tmp_path: Path) -> None:
    gateway = make_chart(tmp_path / "gateway", name="gateway", version="1.24.6")
    (gateway.folder / "values.schema.json").write_text(STRICT)
    with pytest.raises(ChartError):
        await rendered(helm3, gateway, {"misspelt": 1})


async def test_another_charts_schema_holds_always(helm4_program: str, tmp_path: Path) -> None:
    base = make_chart(tmp_path / "base", name="base", version="1.24.6")
    (base.folder / "values.schema.json").write_text(STRICT)
    with pytest.raises(ChartError):
        await rendered(helm4_program, base, {"misspelt": 1})


@pytest.mark.conformance
@pytest.mark.parametrize("version", ["1.21.6", "1.22.8", "1.23.6", "1.24.6"])
async def test_istios_own_gateway_charts_render_with_helm_4(helm4_program: str, tmp_path: Path, version: str) -> None:
    folder = os.environ.get("NKSMESH_TEST_CHARTS")
    if not folder:
        pytest.skip("NKSMESH_TEST_CHARTS names no folder of Istio's charts")
    gateway = make_chart(tmp_path / "gateway", name="gateway", version=version)
    object.__setattr__(gateway, "folder", Path(folder) / f"gateway-{version}.tgz")
    assert "Deployment" in await rendered(helm4_program, gateway, {})


def test_documents_are_read_as_helm_means_them() -> None:
    text = "---\n---\na: =\nb: {c: [=, x]}\n---\n# only words\n---\nnull\n---\nd: on\n"
    assert helm().parse(text) == ({"a": "=", "b": {"c": ["=", "x"]}}, {"d": True})
    assert helm().parse("") == ()


def test_a_manifest_is_written_in_its_own_order_and_lines_stay_lines() -> None:
    text = helm().dump({"kind": "ConfigMap", "apiVersion": "v1", "data": {"a": "one\ntwo\n", "b": "x" * 300}})
    assert text.startswith("kind: ConfigMap\napiVersion: v1\n")
    assert "  a: |\n    one\n    two\n" in text
    assert f"  b: {'x' * 300}\n" in text


def test_a_text_that_helm_would_read_as_a_number_is_quoted() -> None:
    assert helm().parse(helm().dump({"commit": "12e4", "zero": "0E0"})) == ({"commit": "12e4", "zero": "0E0"},)


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc=.-", min_size=1), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text("abc", min_size=1), PLAIN, min_size=1, max_size=3))
def test_what_is_written_reads_back_the_same(manifest: dict[str, Any]) -> None:
    assert helm().parse(helm().dump(manifest)) == (manifest,)
    assert yaml.safe_load(helm().dump({"a": 1})) == {"a": 1}
