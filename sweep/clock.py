"""The only file that reads a clock.

Durations come from the monotonic clock, so setting the machine's clock changes no result; the wall clock only labels.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

# For those who have to say how long they would wait at most, and would for good.
A_MONTH = timedelta(days=30)


def utc_now() -> str:
    """The wall-clock time as ISO 8601 in UTC, to the millisecond: a label, never a measurement."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def seconds_since(moment: str) -> float | None:
    """How long ago a moment of `utc_now` was, for a reader; None where the text is no moment."""
    try:
        age = datetime.now(UTC) - datetime.fromisoformat(moment)
    except (TypeError, ValueError):  # a moment without a time zone cannot be compared
        return None
    return max(age.total_seconds(), 0.0)


def local_text(moment: str) -> str:
    """A moment of `utc_now` as the clock on the wall shows it: `12:03`, of another day `2026-01-31 12:03`.

    Raises:
        ValueError: the text is no moment.
    """
    local = datetime.fromisoformat(moment).astimezone()
    is_today = local.date() == datetime.now().astimezone().date()
    return local.strftime("%H:%M" if is_today else "%Y-%m-%d %H:%M")


def monotonic_seconds() -> float:
    return time.perf_counter()


class Stopwatch:
    """Adds up spans of monotonic time: `with watch: …` counts, what lies between does not."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._started: float | None = None

    def __enter__(self) -> Stopwatch:
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    def start(self) -> None:
        self._started = time.perf_counter()

    def stop(self) -> None:
        self.seconds = self.elapsed_seconds
        self._started = None

    @property
    def is_running(self) -> bool:
        return self._started is not None

    @property
    def elapsed_seconds(self) -> float:
        """`seconds`, and what of the present span has passed."""
        return self.seconds + (time.perf_counter() - self._started if self._started is not None else 0.0)
