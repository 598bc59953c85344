"""Histories made by hand, by the same hands as those of tests/store."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "store"))

from histories import make_history

from sweep.store.history import History
from sweep.store.records import StageRecord, StartRecord


@pytest.fixture
def history_of(tmp_path: Path) -> Callable[..., History]:
    """history_of(record, …): what a journal of these records says."""

    def history_of(*records: StartRecord | StageRecord) -> History:
        return make_history(tmp_path / "journal.jsonl", *records)

    return history_of
