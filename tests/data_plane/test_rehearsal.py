"""What day two does to traffic: requests under way the whole time, through the gateway and from pod to pod."""

from __future__ import annotations

import logging
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from nksmesh.sandbox.sandbox import Sandbox
from tests.data_plane.bookinfo import NAMESPACE, Bookinfo, installed_bookinfo
from tests.data_plane.load import TWO_GATEWAYS, Load, deploy_ticker, under_load

pytestmark = [pytest.mark.cluster, pytest.mark.conformance]

OTHER = "registry.example/other/istio"
PROXIES = 8
"""Two gateways', and one of each of productpage, details, ratings and the three versions of reviews."""

LOG = logging.getLogger(__name__)
"""How many requests were lost: pytest shows it with ``--log-cli-level=INFO``."""


@pytest.fixture(scope="module")
def bookinfo(plane: Sandbox, tmp_path_factory: pytest.TempPathFactory, real_charts: Path) -> Iterator[Bookinfo]:
    """Give a mesh of 1.28.10 with two gateway pods, and Bookinfo in it."""
    with installed_bookinfo(plane, tmp_path_factory.mktemp("mesh"), real_charts, "1.28.10", *TWO_GATEWAYS) as found:
        deploy_ticker(found)
        yield found


def rehearsed(bookinfo: Bookinfo, *command: str) -> Load:
    """Run a command under load, and log what was lost."""
    with under_load(bookinfo) as load:
        bookinfo.mesh(*command)
    LOG.info("%s: %s", " ".join(command), load)
    return load


def test_bookinfo_answers_behind_charts_three_minors_older_than_istiod(bookinfo: Bookinfo) -> None:
    told = bookinfo.sandbox.status().data_plane

    assert told is not None
    images = {image.image.rpartition("/")[2]: image for image in told.images}
    assert (images["proxyv2:1.28.10"].kind, images["proxyv2:1.28.10"].containers) == ("real", PROXIES)
    assert "<title>Simple Bookstore App</title>" in bookinfo.until_whole()


def test_an_upgrade_and_its_rollback_lose_no_request(bookinfo: Bookinfo) -> None:
    upgrading = rehearsed(bookinfo, "upgrade", "--to", "1.29.6", "--restart-workloads", "--yes")
    going_back = rehearsed(bookinfo, "rollback", "--yes")

    assert (upgrading.lost, going_back.lost) == ([], [])


def test_a_canary_that_is_aborted_loses_no_request(bookinfo: Bookinfo) -> None:
    lost = [
        rehearsed(bookinfo, *command).lost
        for command in (
            ("canary", "start", "--to", "1.29.6"),
            ("canary", "move", NAMESPACE, "--yes"),
            ("canary", "abort", "--yes"),
        )
    ]

    assert lost == [[], [], []]


def test_a_canary_that_is_promoted_loses_no_request(bookinfo: Bookinfo) -> None:
    bookinfo.mesh("canary", "start", "--to", "1.29.6")

    assert rehearsed(bookinfo, "canary", "promote", "--restart-workloads", "--yes").lost == []


def test_the_end_of_another_istio_revision_loses_no_request(bookinfo: Bookinfo, helm3: str, real_charts: Path) -> None:
    where = ("--namespace", "istio-system", "--kubeconfig", bookinfo.sandbox.kubeconfig, "--wait")
    sets = ("--set", "revision=side", "--set", "global.hub=registry.example/istio")
    istiod = (helm3, "install", "istiod-side", real_charts / "istiod-1.29.6.tgz")
    subprocess.run([*istiod, *where, *sets], check=True, capture_output=True)

    assert rehearsed(bookinfo, "uninstall", "--revision", "side", "--yes").lost == []


def test_another_hub_loses_no_request(bookinfo: Bookinfo) -> None:
    assert rehearsed(bookinfo, "install", "--hub", OTHER, "--yes").lost == []
