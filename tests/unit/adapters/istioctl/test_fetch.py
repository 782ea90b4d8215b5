"""What is asked for, and what is held against charts.lock, before and after an archive is fetched."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from nksmesh.adapters.charts.lockfile import LockFile
from nksmesh.adapters.files.folders import ValuesFolders
from nksmesh.adapters.files.mesh_files import MeshFiles
from nksmesh.adapters.istioctl.cache import IstioctlCache
from nksmesh.commands.istioctl.fetch import FetchOptions, IstioctlFetched, fetch_from_registry
from nksmesh.domain.common.errors import CheckError, DeniedImageError, IstioctlError
from nksmesh.domain.common.events import unheard
from nksmesh.domain.images.login import Login
from nksmesh.domain.images.manifest import Descriptor, FoundManifest, Manifest
from nksmesh.domain.images.reference import Reference
from nksmesh.domain.istioctl.artifact import manifest_of
from nksmesh.domain.mesh.request import Request
from nksmesh.engine.request import MeshRequest
from tests.istio_archives import VERSION, archive, digest_of

HUB = "registry.example.com/istio"
INDEX = "application/vnd.oci.image.index.v1+json"
PLATFORMS = ("linux-amd64", "linux-arm64")


@dataclass
class Registries:
    """Registries that have manifests and blobs.

    Attributes:
        manifests: By digest or tag.
        blobs: By digest.
        asked: The names of the manifests and the digests of the blobs that were read.
    """

    manifests: dict[str, Manifest] = field(default_factory=dict)
    blobs: dict[str, bytes] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    denies: bool = False

    @asynccontextmanager
    async def open(self, hub: str) -> AsyncIterator[Registries]:
        assert hub
        yield self

    async def login(self, image: Reference, *, stored: bool = True) -> Login | None:
        assert image.host
        assert stored
        return None

    async def find(self, image: Reference, login: Login | None) -> FoundManifest:
        raise AssertionError(f"{image} is read, not looked for ({login})")

    def at(self, image: Reference, login: Login | None) -> Registries:
        assert image.repository.endswith("/istioctl-tool")
        assert login is None
        return self

    async def digest(self, image: Reference) -> str:
        return self.manifests[image.at].digest

    async def read(self, image: Reference) -> Manifest:
        self.asked.append(str(image))
        if self.denies:
            raise DeniedImageError("denied", hint="x")
        return self.manifests[image.at]

    async def pull(self, image: Reference, blob: Descriptor, begun: int = 0) -> AsyncGenerator[bytes, None]:
        assert image.tag == VERSION
        self.asked.append(blob.digest)
        yield self.blobs[blob.digest][begun:]

    def add(self, platform: str, at: str) -> bytes:
        """Add an artifact with an archive for a platform."""
        content = archive(VERSION, platform)
        self.blobs[digest_of(content)] = content
        blob = Descriptor(digest=digest_of(content), size=len(content))
        manifest = manifest_of({f"istio-{VERSION}-{platform}.tar.gz": blob})
        self.manifests[at or manifest.digest] = manifest
        return content

    async def write(self, image: Reference, manifest: Manifest) -> None:
        raise AssertionError((image, manifest))

    async def has(self, image: Reference, blob: Descriptor) -> bool:
        raise AssertionError((image, blob))

    async def push(self, *_: object, **__: object) -> bool:
        raise AssertionError("nothing is pushed")


@dataclass
class Fetch:
    """Fetches into a folder, with a charts.lock in it."""

    folder: Path
    registries: Registries
    options: FetchOptions

    async def __call__(
        self, platform: str = "linux-amd64", *, hub: str = HUB, region: str = "", locked: bool = False
    ) -> IstioctlFetched:
        request = MeshRequest(
            options=Request(hub=hub, region=region, version=VERSION),
            catalog=MeshFiles(folders=ValuesFolders(user=None)).catalog(),
        )
        options = replace(self.options, platform=platform, locked=locked)
        cache = IstioctlCache(self.folder)
        return await fetch_from_registry(request, None, self.registries.open, cache, options, listener=unheard)


@pytest.fixture
def fetch(tmp_path: Path) -> Fetch:
    (tmp_path / "charts.lock").write_text("nksmesh: 1\ncharts: []\n")
    options = FetchOptions(platform="", locks=LockFile(tmp_path / "charts.lock"), pin=True)
    return Fetch(tmp_path, Registries(), options)


@pytest.mark.parametrize("platform", PLATFORMS)
async def test_of_an_index_the_artifact_for_this_platform_is_taken(platform: str, fetch: Fetch) -> None:
    contents = {name: fetch.registries.add(name, "") for name in PLATFORMS}
    entries = [
        {
            "digest": digest,
            "size": len(manifest.content),
            "platform": {"os": "linux", "architecture": name.removeprefix("linux-")},
        }
        for name, (digest, manifest) in zip(PLATFORMS, list(fetch.registries.manifests.items()), strict=True)
    ]
    index = Manifest(content=json.dumps({"manifests": entries}).encode(), media_type=INDEX)
    fetch.registries.manifests[VERSION] = index
    found = await fetch(platform)
    assert (found.digest, found.platform) == (digest_of(contents[platform]), platform)
    assert found.manifest == entries[PLATFORMS.index(platform)]["digest"]


async def test_what_is_pinned_and_in_the_cache_is_asked_of_nobody(fetch: Fetch) -> None:
    content = fetch.registries.add("linux-amd64", VERSION)
    assert (await fetch()).fetched
    assert fetch.registries.asked == [f"{HUB}/istioctl-tool:{VERSION}", digest_of(content)]
    fetch.registries.asked.clear()
    again = await fetch(locked=True)
    assert (again.fetched, again.pinned, fetch.registries.asked) == (False, True, [])
    other_hub = await fetch(hub="mirror.example.com/istio")
    assert (other_hub.fetched, other_hub.source) == (False, "mirror.example.com/istio")
    assert [pin.source for pin in fetch.options.locks.read().istioctl] == ["mirror.example.com/istio", HUB]


async def test_a_lock_that_is_not_the_users_own_is_not_written(fetch: Fetch) -> None:
    fetch.registries.add("linux-amd64", VERSION)
    fetch.options = replace(fetch.options, pin=False)
    assert (await fetch()).pinned is False
    assert fetch.options.locks.read().istioctl == ()
    with pytest.raises(IstioctlError, match="--locked requires it"):
        await fetch(locked=True)


async def test_another_artifact_than_the_pinned_one_is_not_even_pulled(fetch: Fetch) -> None:
    fetch.registries.add("linux-amd64", VERSION)
    await fetch()
    (pin,) = fetch.options.locks.read().istioctl
    changed = replace(pin, digest=f"sha256:{'1' * 64}")
    fetch.options.locks.write(replace(fetch.options.locks.read(), istioctl=(changed,)))
    fetch.registries.asked.clear()
    with pytest.raises(IstioctlError, match=r"is not the archive that .*charts\.lock pins"):
        await fetch()
    assert fetch.registries.asked == [f"{HUB}/istioctl-tool:{VERSION}"]


async def test_a_region_names_the_hub_and_provides_some_versions_only(fetch: Fetch) -> None:
    fetch.registries.add("linux-amd64", VERSION)
    found = await fetch(hub="", region="kr1")
    assert found.source == "dfe965c3-kr1-registry.container.nhncloud.com/container_service/istio"
    request = MeshRequest(
        options=Request(region="kr1", version="1.30.2"), catalog=MeshFiles(folders=ValuesFolders(user=None)).catalog()
    )
    request = replace(request, force_version=True)  # as the command line asks, for own registries
    options = replace(fetch.options, platform="linux-amd64")
    with pytest.raises(CheckError, match=r"does not provide Istio 1\.30\.2"):
        await fetch_from_registry(
            request, None, fetch.registries.open, IstioctlCache(fetch.folder), options, listener=unheard
        )


async def test_a_registry_that_denies_names_the_login(fetch: Fetch) -> None:
    fetch.registries.denies = True
    with pytest.raises(DeniedImageError) as denied:
        await fetch()
    assert denied.value.hint.startswith("Run nksmesh registry login registry.example.com")
