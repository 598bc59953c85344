"""What a sweep has cost itself, from journals made by hand."""

import json
from collections.abc import Callable
from dataclasses import asdict, replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from histories import ENVIRONMENT, RECIPE, a_measurement, a_start, a_trial, ended, finished, make_history
from tables import table_of

from sweep.errors import Outcome
from sweep.report.bill import Bill, bill_text, make_bill
from sweep.report.export_json import to_json
from sweep.report.findings import Findings
from sweep.store.history import History
from sweep.store.records import StageRecord, StartRecord, TakenOver

Maker = Callable[..., History]
Biller = Callable[..., Bill]
# Two runs, of 100 and of 200 steps, that have the first 80 in common.
HALF = a_trial("0.5", stages=("root", "short"), stops=(80, 100))
WHOLE = a_trial("1.0", stages=("root", "long"), stops=(80, 200))
BOTH = a_start([HALF, WHOLE])
STEPS = {"root": 80, "short": 20, "long": 120}


def done(stage: str, attempt: int = 1, outcome: Outcome = Outcome.FINISHED, **changes: Any) -> StageRecord:
    """A Stage that was trained to its end: two steps a second, by a quarter of that an evaluation."""
    steps = changes.pop("steps", STEPS.get(stage, 0))
    measurement = a_measurement(steps, 0.9, steps / 2, **{"checkpoint_seconds": 0.25} | changes)
    return StageRecord(stage=stage, attempt=attempt, outcome=outcome, measurement=measurement, environment=ENVIRONMENT)


def lost(stage: str, reached: int | None, attempt: int = 1, outcome: Outcome = Outcome.CRASHED) -> StageRecord:
    return StageRecord(stage=stage, attempt=attempt, outcome=outcome, reason="lost", reached_step=reached)


@pytest.fixture
def bill_of(tmp_path: Path) -> Biller:
    """bill_of(record, …): the bill of a journal of these records."""
    numbers = count()

    def bill_of(*records: StartRecord | StageRecord) -> Bill:
        bill = make_bill(make_history(tmp_path / f"{next(numbers)}.jsonl", *records))
        assert bill is not None
        return bill

    return bill_of


def test_shared_steps_are_paid_once_and_counted_for_each_trial_alone(bill_of: Biller) -> None:
    bill = bill_of(BOTH, done("root"), done("short"), done("long"))
    assert (bill.steps, bill.alone_steps) == (220, 300)
    assert (bill.train_seconds, bill.alone_seconds) == (110.0, 150.0)
    assert (bill.eval_seconds, bill.startup_seconds, bill.checkpoint_seconds) == (27.5, 1.5, 0.75)
    assert (bill.steps_again, bill.dollars, bill.alone_dollars) == (0, None, None)


def test_the_trials_alone_are_the_sum_of_the_tables_own_times(history_of: Maker) -> None:
    history = history_of(BOTH, done("root"), done("short", curve={100: 0.9}), done("long", curve={200: 0.9}))
    bill = make_bill(history)
    assert bill is not None
    assert bill.alone_seconds == sum(result.train_seconds or 0 for result in history.results)


def test_a_price_makes_dollars_of_both(bill_of: Biller) -> None:
    bill = bill_of(BOTH.model_copy(update={"price": 36.0}), done("root"), done("short"), done("long"))
    assert (bill.dollars, bill.alone_dollars) == (pytest.approx(1.1), pytest.approx(1.5))


def test_an_hour_of_several_devices_costs_as_many_hours(bill_of: Biller) -> None:
    together = {**RECIPE.model_dump(mode="json"), "devices_per_trial": 4}
    start = BOTH.model_copy(update={"price": 36.0, "recipe": together})
    bill = bill_of(start, done("root"), done("short"), done("long"))
    assert (bill.dollars, bill.alone_dollars) == (pytest.approx(4.4), pytest.approx(6.0))
    assert (bill.train_seconds, bill.alone_seconds) == (110.0, 150.0)


def test_a_stage_that_was_trained_twice_since_its_state_was_lost_is_paid_twice(bill_of: Biller) -> None:
    bill = bill_of(BOTH, done("root"), done("short"), done("root", 2), done("long"))
    assert (bill.steps, bill.steps_again, bill.alone_steps) == (300, 80, 300)
    assert (bill.train_seconds, bill.alone_seconds) == (150.0, 150.0)


def test_of_one_that_went_on_from_what_was_left_only_the_rest_was_trained_twice(bill_of: Biller) -> None:
    bill = bill_of(BOTH, done("root"), done("short"), done("root", 2, resumed_at=(60,)), done("long"))
    assert (bill.steps, bill.steps_again) == (240, 20)
    assert bill.train_seconds == pytest.approx(120.0)
    assert bill.startup_seconds == pytest.approx(0.5 * 3.25)


def test_one_that_had_gone_on_before_was_trained_again_from_where_it_went_on_again(bill_of: Biller) -> None:
    first, again = done("root", resumed_at=(30,)), done("root", 3, resumed_at=(30, 60))
    assert bill_of(BOTH, first, again).steps_again == 20
    assert bill_of(BOTH, first, lost("root", 60, 2, Outcome.INTERRUPTED), again).steps_again == 50


OTHER = TakenOver(
    stage="long", steps=60, train_seconds=30, eval_seconds=8, startup_seconds=0.25, checkpoint_seconds=0.125
)
LONGER = a_trial("2.0", stages=("root", "longer"), stops=(80, 400))


def test_what_was_taken_over_from_another_stage_is_paid_once(bill_of: Biller) -> None:
    begun = (BOTH, done("root"), done("short"), done("long"), a_start([HALF, WHOLE, LONGER]))
    bill = bill_of(*begun, done("longer", steps=320, taken_over=OTHER))
    assert (bill.steps, bill.train_seconds) == (220 + 260, 110.0 + 130.0)
    assert (bill.alone_steps, bill.alone_seconds) == (300 + 400, 150.0 + 200.0)
    assert (bill.eval_seconds, bill.startup_seconds) == (27.5 + 32.0, 1.5 + 0.25)
    assert bill.checkpoint_seconds == 0.75 + 0.125
    assert bill.steps_again == 0


def test_what_was_taken_over_from_a_stage_that_never_ended_is_paid_by_the_first_that_took_it(bill_of: Biller) -> None:
    twice = a_trial("4.0", stages=("root", "longest"), stops=(80, 800))
    begun = (a_start([LONGER, twice]), done("root"), lost("long", 140, outcome=Outcome.INTERRUPTED))
    first = done("longer", steps=320, taken_over=OTHER)
    assert bill_of(*begun, first).steps == 80 + 320
    assert bill_of(*begun, first, done("longest", steps=720, taken_over=OTHER)).steps == 80 + 320 + 660


def long_attempts(*reached: int | None, resumed_at: tuple[int, ...]) -> list[StartRecord | StageRecord]:
    attempts = [lost("long", step, number) for number, step in enumerate(reached, 1)]
    return [BOTH, done("root"), *attempts, done("long", len(reached) + 1, resumed_at=resumed_at)]


@pytest.mark.parametrize(
    ("reached", "resumed_at", "steps_again"),
    [
        ((150,), (140,), 10),
        ((150,), (), 70),  # from the beginning of its Stage, at step 80
        ((150, 190), (140, 180), 20),
        ((150, 170), (140,), 10 + 30),  # one checkpoint served twice
        ((150, 170), (160,), 70 + 10),  # the first time from the beginning
        ((140,), (140,), 0),
        ((138,), (140,), 0),  # the last word of it was not heard
        ((None,), (), 0),  # nothing was heard
        ((), (140,), 0),  # the sweep itself was killed: nobody knows how far it had come
        ((150,), (120, 140), 10),
    ],
)
def test_steps_behind_a_checkpoint_that_were_lost_are_counted(
    bill_of: Biller, reached: tuple[int | None, ...], resumed_at: tuple[int, ...], steps_again: int
) -> None:
    bill = bill_of(*long_attempts(*reached, resumed_at=resumed_at))
    assert (bill.steps, bill.steps_again) == (200, steps_again)


def test_an_attempt_that_nothing_has_followed_yet_has_lost_nothing_yet(bill_of: Biller) -> None:
    bill = bill_of(BOTH, done("root"), lost("long", 150))
    assert (bill.steps, bill.steps_again) == (80, 0)


def test_what_diverged_was_trained_all_the_same(bill_of: Biller) -> None:
    bill = bill_of(BOTH, done("root"), done("short", outcome=Outcome.DIVERGED, steps=10), done("long"))
    assert (bill.steps, bill.alone_steps) == (210, 290)


def test_of_trials_that_are_not_done_both_sides_count_what_is(bill_of: Biller) -> None:
    bill = bill_of(BOTH, done("root"))
    assert (bill.steps, bill.alone_steps) == (80, 160)


def test_writing_that_was_not_measured_is_not_known(bill_of: Biller) -> None:
    assert bill_of(BOTH, done("root"), done("short", checkpoint_seconds=None)).checkpoint_seconds is None
    old = a_trial("1.0")  # of a journal that knew no shared Stages
    bill = bill_of(a_start([old]), finished(old))
    assert (bill.steps, bill.alone_steps, bill.checkpoint_seconds) == (200, 200, None)


@pytest.mark.parametrize("records", [[], [ended(WHOLE)]])
def test_where_nothing_was_measured_there_is_no_bill(history_of: Maker, records: list[StageRecord]) -> None:
    history = history_of(BOTH, *records)
    assert make_bill(history) is None
    assert not any(note.startswith("the sweep itself") for note in table_of(history).notes)
    assert json.loads(to_json(Findings.of_history(history)))["sweep"] is None


def test_of_seconds_that_no_number_holds_there_is_no_bill(history_of: Maker) -> None:
    huge = [done(stage, train_seconds=1e308) for stage in ("root", "long")]
    history = history_of(BOTH, *huge)
    assert make_bill(history) is None
    assert json.loads(to_json(Findings.of_history(history)))["sweep"] is None


def test_the_bill_is_a_line_below_the_table_and_stands_in_json(history_of: Maker) -> None:
    history = history_of(BOTH, done("root"), done("short"), done("long"))
    bill = make_bill(history)
    assert bill is not None
    assert bill_text(bill) in table_of(history).notes
    assert json.loads(to_json(Findings.of_history(history)))["sweep"] == asdict(bill)


SAVED = Bill(190.0, 220, 0, 20.0, 4.0, 0.3, 542.0, 300, None, None)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        (
            {"steps_again": 120},
            "3m 10s of training (9m 02s if each trial were trained alone: 65 % saved), 20.0 s of evaluation, "
            "4.00 s of start-up, 0.30 s of writing states; 120 steps trained twice",
        ),
        (
            {"dollars": 1.9, "alone_dollars": 5.42, "checkpoint_seconds": None},
            "3m 10s of training for $1.9 (9m 02s for $5.42 if each trial were trained alone: 65 % saved), "
            "20.0 s of evaluation, 4.00 s of start-up",
        ),
        (
            {"alone_steps": 220, "alone_seconds": 190.0, "checkpoint_seconds": 0.001},
            "3m 10s of training, 20.0 s of evaluation, 4.00 s of start-up",
        ),
        (
            {"alone_steps": 200, "alone_seconds": 180.0, "checkpoint_seconds": None, "steps_again": 20},
            "3m 10s of training (3m 00s if each trial were trained alone), 20.0 s of evaluation, 4.00 s of start-up; "
            "20 steps trained twice",
        ),
    ],
)
def test_a_bill_is_one_calm_sentence(changes: dict[str, Any], text: str) -> None:
    assert bill_text(replace(SAVED, **changes)) == f"the sweep itself: {text}"
