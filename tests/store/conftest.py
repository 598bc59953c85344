"""Journals and histories made by hand."""

from collections.abc import Callable
from pathlib import Path

import pytest
from histories import make_history

from sweep.store.history import History
from sweep.store.records import Record


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    return tmp_path / "journal.jsonl"


@pytest.fixture
def history_of(journal: Path) -> Callable[..., History]:
    """history_of(record, …): what a journal of these records says."""

    def history_of(*records: Record) -> History:
        return make_history(journal, *records)

    return history_of
