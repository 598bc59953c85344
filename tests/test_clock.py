import re
import time
from datetime import datetime

import pytest

from sweep import clock
from sweep.clock import Stopwatch, local_text, monotonic_seconds, seconds_since, utc_now


def test_a_stopwatch_adds_up_its_spans_and_nothing_between_them(hands):
    watch = Stopwatch()
    for _ in range(3):
        hands.seconds += 100
        with watch:
            hands.seconds += 2
    hands.seconds += 100
    assert watch.seconds == watch.elapsed_seconds == 6


def test_elapsed_seconds_include_the_span_that_is_running(hands):
    watch = Stopwatch()
    assert watch.elapsed_seconds == 0
    with watch:
        hands.seconds += 2
        assert (watch.seconds, watch.elapsed_seconds) == (0, 2)
    with watch:
        hands.seconds += 3
        assert (watch.seconds, watch.elapsed_seconds) == (2, 5)


def test_a_span_that_ends_in_an_error_counts(hands):
    watch = Stopwatch()

    def fails():
        with watch:
            hands.seconds += 2
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fails()
    hands.seconds += 100
    assert watch.elapsed_seconds == 2


def test_the_wall_clock_cannot_change_a_duration(hands):
    """The stand-in has no other hand than the monotonic one: reading another would fail."""
    before = monotonic_seconds()
    hands.seconds += 7
    assert monotonic_seconds() - before == 7


def test_the_label_of_now_is_utc_to_the_millisecond():
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00", utc_now())


@pytest.mark.parametrize(
    ("moment", "age"),
    [
        ("2026-01-01T00:00:00.000+00:00", 60.0),
        ("2026-01-01T02:00:30.000+02:00", 30.0),
        ("2026-01-02T00:00:00.000+00:00", 0.0),  # the clock was set back meanwhile
        ("2026-01-01T00:00:00", None),
        ("yesterday", None),
    ],
)
def test_the_age_of_a_moment_is_never_negative_and_of_no_moment_not_known(moment, age, monkeypatch):
    class Noon(datetime):
        @classmethod
        def now(cls, tz=None):
            return cls(2026, 1, 1, 0, 1, tzinfo=tz)

    monkeypatch.setattr(clock, "datetime", Noon)
    assert seconds_since(moment) == age


def test_a_moment_is_told_in_local_time_and_with_the_day_when_that_is_another_one(monkeypatch):
    monkeypatch.setenv("TZ", "Asia/Kolkata")
    time.tzset()
    try:
        assert local_text("2026-01-01T20:00:00.000+00:00") == "2026-01-02 01:30"
        assert re.fullmatch(r"\d\d:\d\d", local_text(utc_now()))
    finally:
        monkeypatch.undo()
        time.tzset()
    with pytest.raises(ValueError, match="noon"):
        local_text("noon")
