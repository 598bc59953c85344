"""A clock that only a test moves."""

import pytest
from slow_tasks import Hands

from sweep import clock


@pytest.fixture
def hands(monkeypatch):
    hands = Hands()
    monkeypatch.setattr(clock, "time", hands)
    return hands
