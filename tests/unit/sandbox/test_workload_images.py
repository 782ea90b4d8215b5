from __future__ import annotations

from pathlib import Path

import pytest

from nksmesh.domain.common.errors import ConfigError
from nksmesh.sandbox.builds import CACHE_VARIABLE
from nksmesh.sandbox.workloads import productpage
from nksmesh.sandbox.workloads.images import Kind, program_of


@pytest.fixture
def samples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path))
    productpage.source().mkdir(parents=True)
    (productpage.source() / "requirements.txt").write_text("flask==3.1.0\n")
    return tmp_path


@pytest.mark.parametrize(
    ("image", "port", "variables"),
    [
        ("docker.io/istio/examples-bookinfo-details-v1:1.18.0", 9080, {"SERVICE_VERSION": "v1"}),
        ("127.0.0.1:5000/mesh/examples-bookinfo-ratings-v1@sha256:" + "0" * 64, 9080, {"SERVICE_VERSION": "v1"}),
        ("examples-bookinfo-ratings-v-faulty", 9080, {"SERVICE_VERSION": "v-faulty"}),
        (
            "registry.istio.io/release/examples-bookinfo-reviews-v1:1.20.3",
            9080,
            {"SERVICE_VERSION": "v1", "ENABLE_RATINGS": "false", "STAR_COLOR": "black"},
        ),
        (
            "registry.istio.io/release/examples-bookinfo-reviews-v3:1.20.3",
            9080,
            {"SERVICE_VERSION": "v3", "ENABLE_RATINGS": "true", "STAR_COLOR": "red"},
        ),
        ("curlimages/curl", 80, {}),
        ("registry.example.com/tools/sleep:1", 80, {}),
    ],
)
def test_a_small_server_runs_in_place_of_an_image_from_any_registry(
    image: str, port: int, variables: dict[str, str]
) -> None:
    program = program_of(image)
    assert program is not None
    assert program.kind is Kind.SMALL_SERVER
    assert (program.port, program.environment) == (port, variables)
    assert program.command[-2:] == ("0.0.0.0", str(port))  # noqa: S104 - every address of a pod


@pytest.mark.parametrize(
    "image",
    [
        "nginx",
        "docker.io/istio/proxyv2:1.30.2",
        "examples-bookinfo-details-v2",  # it asks Google Books
        "examples-bookinfo-ratings-v2",  # it asks a database
        "examples-bookinfo-mongodb",
        "my-examples-bookinfo-details-v1",
        "curl/other",
        "Not An Image",
    ],
)
def test_other_images_are_simulated(image: str) -> None:
    assert program_of(image) is None


def test_productpage_is_its_own_program_in_an_environment_of_its_own(samples: Path) -> None:
    program = program_of("registry.example.com/x/examples-bookinfo-productpage-v1:1.20.3", host="127.0.0.1", port=81)
    assert program is not None
    assert (program.kind, program.port, program.folder) == (Kind.REAL, 81, productpage.source())
    assert program.environment["FLOOD_FACTOR"] == "0"
    python = Path(program.command[0])
    assert python.is_relative_to(samples)
    assert "127.0.0.1:81" in program.command
    (productpage.source() / "requirements.txt").write_text("flask==3.1.1\n")
    assert productpage.environment() / "bin" / "python" != python, "other packages need another environment"


def test_productpage_without_the_samples_names_the_command_that_brings_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path))
    with pytest.raises(ConfigError, match="No such file") as refused:
        program_of("examples-bookinfo-productpage-v1")
    assert refused.value.hint == "Run nksmesh sandbox build --data-plane."
