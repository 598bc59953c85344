"""A clock that only a test moves."""

import pytest

from sweep import clock


class Hands:
    """A clock that stands still until it is told."""

    def __init__(self):
        self.seconds = 1000.0

    def perf_counter(self):
        return self.seconds


@pytest.fixture
def hands(monkeypatch):
    hands = Hands()
    monkeypatch.setattr(clock, "time", hands)
    return hands
