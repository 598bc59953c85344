"""What was estimated, beside what the runs took."""

from collections.abc import Callable
from typing import Any

import pytest
from histories import ENVIRONMENT, a_pilot, a_start, a_trial, ended, finished
from tables import table_of

from sweep.report.estimate_note import estimate_notes
from sweep.store.history import History

Maker = Callable[..., History]
HALF, WHOLE = a_trial("0.5"), a_trial("1.0")
BOTH = a_start([HALF, WHOLE])
ELSEWHERE = ENVIRONMENT.model_copy(update={"threads": 2})


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (30.0, "300 ms: 20.0 % longer than estimated, outside its interval"),
        (26.0, "260 ms: 4.0 % longer than estimated, inside its interval"),
        (24.5, "245 ms: 2.0 % shorter than estimated, inside its interval"),
        (25.0, "250 ms: inside its interval"),
        (1e12, "2777777h 47m: "),
    ],
)
def test_the_runs_steps_are_compared_with_the_pilots(history_of: Maker, seconds: float, said: str) -> None:
    [note] = estimate_notes(history_of(a_pilot(), BOTH, finished(HALF, seconds=seconds)))
    # 400 steps of the pilot, 100 of the run: the interval is sqrt(5) times as wide.
    assert note.startswith("estimate: 250 ms a step (205 ms to 295 ms); the runs took ")
    assert said in note


def test_the_more_was_trained_the_narrower_is_the_interval(history_of: Maker) -> None:
    [note] = estimate_notes(history_of(a_pilot(), BOTH, finished(HALF), finished(WHOLE)))
    assert note == "estimate: 250 ms a step (219 ms to 281 ms); the runs took 250 ms: inside its interval"


def test_what_was_trained_before_the_pilot_was_not_estimated(history_of: Maker) -> None:
    assert estimate_notes(history_of(BOTH, finished(HALF), a_pilot())) == []
    [note] = estimate_notes(history_of(BOTH, finished(HALF, seconds=1.0), a_pilot(), finished(WHOLE)))
    assert "the runs took 250 ms" in note


def test_one_on_made_up_data_says_so(history_of: Maker) -> None:
    [note] = estimate_notes(history_of(a_pilot(is_made_up=True), BOTH, finished(HALF)))
    assert "(205 ms to 295 ms, on made-up data)" in note


@pytest.mark.parametrize(
    "records",
    [
        (BOTH, finished(HALF)),
        (a_pilot(), BOTH),
        (a_pilot(), BOTH, ended(HALF)),
        (a_pilot(fingerprint="another"), BOTH, finished(HALF)),
        (a_pilot(environment=ELSEWHERE), BOTH, finished(HALF)),
    ],
)
def test_without_a_pilot_of_what_was_trained_there_is_nothing_to_say(history_of: Maker, records: Any) -> None:
    assert estimate_notes(history_of(*records)) == []


def test_the_last_one_that_was_made_where_it_was_trained_counts(history_of: Maker) -> None:
    records = (a_pilot(step=(1.0, 2.0, 3.0)), a_pilot(), a_pilot(environment=ELSEWHERE), BOTH, finished(HALF))
    assert estimate_notes(history_of(*records))[0].startswith("estimate: 250 ms a step")


def test_it_stands_below_the_table(history_of: Maker) -> None:
    notes = table_of(history_of(a_pilot(), BOTH, finished(HALF))).notes
    assert [note for note in notes if note.startswith("estimate: ")]


def test_nothing_expected_is_no_division_by_zero(history_of: Maker) -> None:
    [note] = estimate_notes(history_of(a_pilot(step=(0.0, 0.0, 0.0)), BOTH, finished(HALF)))
    assert note.endswith("longer than estimated, outside its interval")
