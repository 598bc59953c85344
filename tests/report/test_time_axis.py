"""The axis of times has few ticks, all of them round, whatever the times are."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep.report.time_axis import padded, tick_text, time_ticks

TIMES = st.floats(min_value=1e-9, max_value=1e11)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (1e-6, "1 us"),
        (2e-3, "2 ms"),
        (0.01, "0.01 s"),
        (0.1, "0.1 s"),
        (1, "1 s"),
        (30, "30 s"),
        (60, "1 min"),
        (600, "10 min"),
        (3600, "1 h"),
        (86400, "1 d"),
        (86400e4, "10,000 d"),
    ],
)
def test_a_tick_says_a_time_in_the_longest_unit_that_it_fills(seconds: float, text: str) -> None:
    assert tick_text(seconds) == text


def test_a_wide_range_has_a_tick_at_the_start_of_each_unit() -> None:
    texts = [tick_text(tick) for tick in time_ticks(0.05, 200_000)]
    assert texts == ["0.1 s", "1 s", "10 s", "1 min", "10 min", "1 h", "10 h", "1 d"]


def test_a_narrow_range_has_finer_ticks() -> None:
    assert [tick_text(tick) for tick in time_ticks(25, 130)] == ["30 s", "1 min", "2 min"]


@given(TIMES, TIMES)
def test_there_are_ticks_in_any_padded_range_and_never_too_many(one: float, other: float) -> None:
    low, high = padded(min(one, other), max(one, other))
    ticks = time_ticks(low, high)
    assert 1 <= len(ticks) <= 8
    assert ticks == sorted(set(ticks))
    assert all(low <= tick <= high for tick in ticks)
    assert low < min(one, other) <= max(one, other) < high
    assert math.log(high / low) >= math.log(4) * 0.999


@given(TIMES, TIMES)
def test_no_two_ticks_say_the_same(one: float, other: float) -> None:
    texts = [tick_text(tick) for tick in time_ticks(*padded(min(one, other), max(one, other)))]
    assert len(set(texts)) == len(texts)
