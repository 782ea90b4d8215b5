"""What a bundle brings is what somebody outside of it vouches for, and never passes for more than that."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

from nksmesh.adapters.bundles.folder import values_for
from nksmesh.adapters.bundles.tar import Bundle, open_bundle, write
from nksmesh.adapters.charts.store import ChartStore
from nksmesh.domain.bundles.contents import BundleContents, BundledChart, BundledImage
from nksmesh.domain.bundles.layout import blob_path
from nksmesh.domain.charts.chart import BUNDLED_SOURCE
from nksmesh.domain.charts.lock import Lock
from nksmesh.domain.common.errors import BundleError, ChartError
from nksmesh.engine.bundles import Parts, admit, check_layout, parts_of

SOURCE = "https://charts.example"
INDEX = "application/vnd.oci.image.index.v1+json"


def archive(name: str, more: str = "") -> bytes:
    """Pack a chart."""
    out = io.BytesIO()
    with gzip.GzipFile(fileobj=out, mode="wb", mtime=0) as zipped, tarfile.open(fileobj=zipped, mode="w") as tar:
        content = f"apiVersion: v2\nname: {name}\nversion: 1.20.0\n{more}".encode()
        info = tarfile.TarInfo(f"{name}/Chart.yaml")
        info.size = len(content)
        tar.addfile(info, io.BytesIO(content))
    return out.getvalue()


def digest_of(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


async def bundle_of(
    path: Path, chart: BundledChart, content: bytes, more: Parts | None = None, **changed: object
) -> Bundle:
    parts = parts_of({chart.path: content, "charts.lock": b"nksmesh: 1\n"}) | (more or parts_of({}))
    contents = BundleContents(
        version="1.20.0", environment="", hub="registry.example/istio", charts=(chart,), files=parts.files
    )
    await write(path, replace(contents, **changed), parts.content, lambda _: None)  # type: ignore[arg-type]  # of tests
    return open_bundle(path)


OWN = archive("istiod")
CHART = BundledChart(name="istiod", version="1.20.0", source=SOURCE, digest=digest_of(OWN))


async def test_a_chart_that_only_claims_the_digest_which_a_lock_pins_is_refused(tmp_path: Path) -> None:
    store = ChartStore(cache=tmp_path / "cache")
    foreign = archive("istiod", "description: another one\n")
    with (
        await bundle_of(tmp_path / "a.tar", CHART, foreign) as bundle,
        pytest.raises(BundleError, match="is not the chart that it lists"),
    ):
        admit(bundle, Lock(entries={CHART.ref: CHART.digest}), store, sha256="")
    with open_bundle(tmp_path / "a.tar") as bundle, pytest.raises(BundleError, match="is not what"):
        await bundle.verify()
    with pytest.raises(ChartError, match="has another digest"):
        store.keep(CHART.ref, foreign, CHART.digest, known=True)
    assert not store.cached(CHART.ref, Lock())


@pytest.mark.parametrize(
    ("lock", "with_sha256", "known", "warned"),
    [
        (Lock(entries={CHART.ref: CHART.digest}), False, True, "covers its charts alone"),
        (Lock(), True, True, ""),
        (Lock(), False, False, "covers not its charts either"),
    ],
)
async def test_what_nobody_vouches_for_is_not_taken_for_its_sources_own_later(
    tmp_path: Path, lock: Lock, with_sha256: bool, known: bool, warned: str
) -> None:
    store = ChartStore(cache=tmp_path / "cache", offline=True)
    with await bundle_of(tmp_path / "a.tar", CHART, OWN) as bundle:
        findings = admit(bundle, lock, store, sha256=bundle.digest() if with_sha256 else "")
    assert [warned in finding.message for finding in findings] == ([True] if warned else [])
    assert store.cached(CHART.ref, Lock()) is known
    pinned = await store.fetch([CHART.ref], lock=Lock(entries={CHART.ref: CHART.digest}))
    assert pinned[CHART.ref].digest == CHART.digest


async def test_charts_of_a_folder_have_a_source_of_their_own(tmp_path: Path) -> None:
    store, local = ChartStore(cache=tmp_path / "cache"), replace(CHART, source=BUNDLED_SOURCE)
    with pytest.raises(ChartError, match="came in a bundle, and is not in the cache"):
        await store.fetch([local.ref], lock=Lock())
    with await bundle_of(tmp_path / "a.tar", local, OWN) as bundle:
        admit(bundle, Lock(), store, sha256=bundle.digest())
    assert (await store.fetch([local.ref], lock=Lock()))[local.ref].digest == local.digest


async def test_an_index_that_names_itself_is_refused(tmp_path: Path) -> None:
    nested: dict[str, bytes] = {}
    inner = json.dumps({"manifests": [{"digest": digest_of(b"x"), "size": 1}]}).encode()
    for _ in range(6):
        nested[blob_path(digest_of(inner))] = inner
        inner = json.dumps({"manifests": [{"digest": digest_of(inner), "size": len(inner)}]}).encode()
    nested[blob_path(digest_of(inner))] = inner
    image = BundledImage(name="pilot:1", source="x/pilot:1", digest=digest_of(inner), media_type=INDEX)
    with (
        await bundle_of(tmp_path / "a.tar", CHART, OWN, parts_of(nested), images=(image,)) as bundle,
        pytest.raises(BundleError, match="stand in each other"),
    ):
        await check_layout(bundle)


def test_values_of_one_environment_go_in_and_nothing_that_is_none(tmp_path: Path) -> None:
    home = tmp_path / "values" / "environments"
    for name in ("prod", "other"):
        (home / name).mkdir(parents=True)
        (home / name / "mesh.yaml").write_text("hub: registry.example/istio\n")
    (home / "prod" / "istiod.yaml").write_text("env:\n  API_TOKEN: of nobody\n")
    (home / "prod" / "kubeconfig").write_text("users: []\n")
    (home / "prod" / "istiod.yaml~").write_text("")
    (tmp_path / "elsewhere.yaml").write_text("x: 1\n")
    (home / "prod" / "link.yaml").symlink_to(tmp_path / "elsewhere.yaml")
    found = values_for(tmp_path, "prod")
    own = {name for name in found.files if name.startswith("values/environments/")}
    assert own == {"values/environments/prod/mesh.yaml", "values/environments/prod/istiod.yaml"}
    assert "values/versions.yaml" in found.files  # the catalog that the mesh was resolved with
    assert not [name for name in found.files if name.startswith("values/recipes/")]
    assert found.secrets == ("env.API_TOKEN in values/environments/prod/istiod.yaml",)
