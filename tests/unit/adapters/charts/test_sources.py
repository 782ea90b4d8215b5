"""A source of charts means the same from everywhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from nksmesh.domain.charts.chart import placed_source


@pytest.mark.parametrize(
    ("written", "placed"),
    [
        ("", ""),
        ("./charts", "/home/me/charts"),
        ("../charts", "/home/me/../charts"),
        ("/srv/charts", "/srv/charts"),
        ("https://charts.example.com/istio", "https://charts.example.com/istio"),
        ("file:///srv/charts", "file:///srv/charts"),
    ],
)
def test_a_folder_becomes_absolute_and_a_url_stays(written: str, placed: str) -> None:
    assert placed_source(written, Path("/home/me")) == placed


def test_a_home_is_resolved(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/other")
    assert placed_source("~/charts", Path("/home/me")) == "/home/other/charts"
