from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nksmesh.domain.common.durations import LONGEST, parse_duration, spoken
from nksmesh.domain.common.errors import ConfigError

READ = {
    "90s": 90.0,
    "5m": 300.0,
    "1m30s": 90.0,
    "500ms": 0.5,
    "1.5m": 90.0,
    "24h": LONGEST,
    "0": 0.0,
    "0s": 0.0,
    " 5M ": 300.0,
}


@pytest.mark.parametrize(("text", "seconds"), READ.items())
def test_read(text: str, seconds: float) -> None:
    assert parse_duration(text, "--timeout") == pytest.approx(seconds)


@pytest.mark.parametrize(
    "text",
    ["", " ", "5", "-5m", "+5m", "m", "5 m", "5m 30s", "5x", "1e3s", "inf", "nan", "1..5s", ".5s", "5m;ls", "1d"],
)
def test_what_is_no_duration_is_refused_and_quoted(text: str) -> None:
    with pytest.raises(ConfigError, match="is not a duration") as caught:
        parse_duration(text, "--timeout")
    assert caught.value.message.startswith(f"--timeout: {text!r}")


@pytest.mark.parametrize("text", ["25h", "86401s", "9" * 400 + "s"])
def test_longer_than_a_day_is_a_slip_of_the_pen(text: str) -> None:
    with pytest.raises(ConfigError, match="longer than a day"):
        parse_duration(text, "--timeout")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0, "0.0s"), (0.84, "0.8s"), (9.96, "10.0s"), (42.4, "42s"), (59.6, "1m00s"), (90.0, "1m30s")],
)
def test_spoken(seconds: float, text: str) -> None:
    assert spoken(seconds) == text


@given(st.floats(min_value=0, max_value=LONGEST - 1))
def test_what_is_spoken_reads_back_as_the_same_to_the_precision_spoken(seconds: float) -> None:
    precision = 0.05 if seconds < 10 else 0.5
    assert parse_duration(spoken(seconds), "--timeout") == pytest.approx(seconds, abs=precision + 1e-6)


@given(hours=st.integers(0, 20), minutes=st.integers(0, 59), seconds=st.integers(0, 59), millis=st.integers(0, 999))
def test_parts_add_up(hours: int, minutes: int, seconds: int, millis: int) -> None:
    text = f"{hours}h{minutes}m{seconds}s{millis}ms"
    assert parse_duration(text, "--timeout") == pytest.approx(hours * 3600 + minutes * 60 + seconds + millis / 1000)


@given(st.text(max_size=12))
def test_any_text_is_a_duration_or_a_config_error(text: str) -> None:
    try:
        assert 0 <= parse_duration(text, "--timeout") <= LONGEST
    except ConfigError as error:
        assert error.hint  # noqa: PT017 - either outcome is right


def test_a_number_without_a_unit_is_told_which_it_may_mean() -> None:
    with pytest.raises(ConfigError) as caught:
        parse_duration("5", "--timeout")
    assert "5s is seconds" in caught.value.hint


def test_a_duration_may_have_a_least() -> None:
    assert parse_duration("1s", "--timeout", least=1.0) == pytest.approx(1.0)
    for text in ("0", "999ms"):
        with pytest.raises(ConfigError, match=r"shorter than 1\.0s"):
            parse_duration(text, "--timeout", least=1.0)
