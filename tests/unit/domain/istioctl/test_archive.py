"""Istio's archives: what they are called, which one a machine needs, and one that is not what it is called."""

from __future__ import annotations

import pytest

from nksmesh.domain.common.errors import IstioctlError
from nksmesh.domain.istioctl.archive import (
    IstioctlArchive,
    archive_named,
    archive_of_file,
    check_contents,
    platform_of,
)
from tests.istio_archives import program

ARCHIVE = IstioctlArchive(version="1.20.0", platform="linux-amd64")


@pytest.mark.parametrize(
    ("machine", "platform"), [("x86_64", "linux-amd64"), ("aarch64", "linux-arm64"), ("arm64", "linux-arm64")]
)
def test_the_machine_decides_which_archive(machine: str, platform: str) -> None:
    assert platform_of("Linux", machine) == platform


@pytest.mark.parametrize(("system", "machine"), [("Darwin", "arm64"), ("Linux", "riscv64"), ("Windows", "AMD64")])
def test_a_machine_without_an_archive_is_named(system: str, machine: str) -> None:
    with pytest.raises(IstioctlError, match=f"this machine \\({system} {machine}\\)"):
        platform_of(system, machine)


def test_a_name_is_read_as_istio_writes_it() -> None:
    assert archive_named("istio-1.20.0-linux-amd64.tar.gz") == ARCHIVE
    assert ARCHIVE.name == "istio-1.20.0-linux-amd64.tar.gz"
    assert archive_of_file("istio-1.31.0-rc.0-linux-arm64.tar.gz").version == "1.31.0-rc.0"


@pytest.mark.parametrize(
    "name",
    ["istio-1.20.0-osx.tar.gz", "istioctl-1.20.0-linux-amd64.tar.gz", "istio-1.20-linux-amd64.tar.gz", "../x", ""],
)
def test_another_name_is_none(name: str) -> None:
    assert archive_named(name) is None
    with pytest.raises(IstioctlError, match="is not the name of an Istio release archive"):
        archive_of_file(name)


def test_contents_that_fit_are_taken() -> None:
    check_contents(ARCHIVE, "istio-1.20.0", program()[:20], "it")


@pytest.mark.parametrize(
    ("top", "header", "words"),
    [
        ("istio-1.19.0", program(), "holds the folder istio-1.19.0, not istio-1.20.0: it is another version"),
        ("istio-1.20.0", program("linux-arm64"), "is for linux-arm64, and linux-amd64 is needed"),
        ("istio-1.20.0", b"\x7fELF" + bytes(16), "is another platform, and linux-amd64"),
        ("istio-1.20.0", b"\xcf\xfa\xed\xfe" + bytes(16), "is no Linux program"),
        ("istio-1.20.0", b"", "is no Linux program"),
    ],
)
def test_contents_of_another_version_or_platform_are_refused(top: str, header: bytes, words: str) -> None:
    with pytest.raises(IstioctlError, match=words):
        check_contents(ARCHIVE, top, header, "it")
