"""Times of several set-ups: each is measured by the ratio 1 of its own, and nothing else makes two of them compare."""

import json
import math
from collections.abc import Callable

import pandas as pd
import pytest
from histories import ENVIRONMENT, a_start, a_trial, finished
from hypothesis import given
from hypothesis import strategies as st
from tables import curve_of, make_frame, rows_of, table_of

from sweep.report.analysis import make_curves
from sweep.report.bill import make_bill
from sweep.report.cost_model import cost_model
from sweep.report.csv_table import read_table
from sweep.report.export_csv import to_csv
from sweep.report.export_json import to_json
from sweep.report.findings import Findings
from sweep.report.frame import trial_frame
from sweep.report.plotted import Series
from sweep.report.set_ups import SetUps
from sweep.report.table import make_tables
from sweep.report.verdict import verdict_text
from sweep.store.history import History
from sweep.store.identity import set_up_text
from sweep.store.records import Environment, StageRecord

Maker = Callable[..., History]
HALF, WHOLE, TWICE = a_trial("0.5"), a_trial("1.0"), a_trial("2.0")
OTHER = ENVIRONMENT.model_copy(update={"device_kind": "cuda", "device_name": "Some GPU"})
HERE, THERE = set_up_text(ENVIRONMENT), set_up_text(OTHER)


def on(environment: Environment, record: StageRecord) -> StageRecord:
    return record.model_copy(update={"environment": environment})


@pytest.fixture
def two_machines(history_of: Maker) -> History:
    """0.5 and 1.0 here, 1.0 (another seed) and 2.0 there, where everything takes a tenth of the time and some more."""
    seed = a_trial("1.0", seed=1)
    return history_of(
        a_start([HALF, WHOLE], price=3.6),
        finished(HALF, 0.8, 60.0),
        finished(WHOLE, 0.9, 100.0),
        a_start([seed, TWICE], price=36.0, environment=OTHER),
        on(OTHER, finished(seed, 0.9, 10.0)),
        on(OTHER, finished(TWICE, 0.95, 25.0)),
    )


def test_the_cost_is_against_ratio_1_of_the_same_set_up(two_machines: History) -> None:
    rows = rows_of(two_machines)
    assert [row.relative_cost for row in rows] == [0.6, 1.0, 2.5]
    assert [row.measured_seconds for row in rows] == [{HERE: 60.0}, {HERE: 100.0, THERE: 10.0}, {THERE: 25.0}]
    assert [row.train_seconds for row in rows] == [60.0, 100.0, 250.0]
    assert [row.is_scaled for row in rows] == [False, True, True]
    assert all(row.is_on_front for row in rows)


def test_the_table_shows_the_times_as_measured_and_where(two_machines: History) -> None:
    table = table_of(two_machines)
    shown = [dict(zip(table.headers, cells, strict=True)) for cells in table.rows]
    assert [row["set-up"] for row in shown] == ["1", "1, 2", "2"]
    assert [row["train time"] for row in shown] == ["1m 00s", "1m 40s, 10.0 s", "25.0 s"]
    assert [row["cost"] for row in shown] == ["0.60x", "1.00x", "2.50x"]
    said = "\n".join(table.notes)
    assert f"trained on 2 set-ups, whose times do not compare: 1: {HERE}; 2: {THERE}" in said
    assert "cost is the share of the ratio 1.0 of the same set-up" in said
    assert f"take the times of other set-ups as that share of the ratio 1.0 on {HERE}" in said
    assert "no ratio 1.0 has finished" not in said


def test_the_verdict_says_that_times_are_of_several_set_ups(two_machines: History) -> None:
    curve = curve_of(two_machines)
    text = verdict_text(curve, 10)
    assert text.startswith("0.5 is the cheapest ratio within 10 points of 1.0: 1.67x cheaper")
    assert "some of that was trained on another set-up, whose times count as shares of its own ratio 1.0" in text


def test_pictures_have_one_axis_of_time(two_machines: History) -> None:
    series = Series("", curve_of(two_machines))
    assert [point.seconds for point in series.points] == [60.0, 100.0, 250.0]
    assert [seed.seconds for seed in series.seeds] == [60.0, 100.0, 100.0, 250.0]


def test_what_a_step_takes_is_told_of_one_set_up(two_machines: History) -> None:
    model = cost_model(curve_of(two_machines))
    assert model is not None
    assert model.seconds_per_unit == pytest.approx(0.4)  # (100 - 60) s / 100 steps


def test_a_device_has_its_own_price(two_machines: History) -> None:
    assert list(trial_frame(two_machines)["dollars"]) == [0.06, 0.1, 0.1, 0.25]
    bill = make_bill(two_machines)
    assert bill is not None
    assert (bill.train_seconds, bill.dollars) == (195.0, None)


def test_a_later_price_of_one_device_replaces_the_earlier_whatever_the_threads(history_of: Maker) -> None:
    more = ENVIRONMENT.model_copy(update={"threads": 2})
    history = history_of(
        a_start([HALF], price=3.6),
        finished(HALF, 0.8, 10.0),
        a_start([HALF, WHOLE], price=7.2, environment=more),
        on(more, finished(WHOLE, 0.9, 10.0)),
    )
    assert list(trial_frame(history)["dollars"]) == [0.02, 0.02]
    bill = make_bill(history)
    assert bill is not None
    assert bill.dollars == 0.04


def test_without_a_ratio_1_of_its_own_a_set_up_has_no_cost(history_of: Maker) -> None:
    history = history_of(
        a_start([HALF, WHOLE, TWICE]),
        finished(HALF, 0.8, 60.0),
        finished(WHOLE, 0.9, 100.0),
        on(OTHER, finished(TWICE, 0.95, 25.0)),
    )
    *_, last = rows_of(history)
    assert (last.relative_cost, last.train_seconds, last.measured_seconds) == (None, None, {THERE: 25.0})
    assert last.score == 0.95
    assert last.points == pytest.approx(5)
    assert not last.is_on_front
    said = "\n".join(table_of(history).notes)
    assert f"no ratio 1.0 has finished on {THERE}: what was trained there has no cost" in said
    assert "best: 2.0" not in said


def test_the_set_up_that_has_a_ratio_1_is_the_one_that_the_others_are_measured_by(history_of: Maker) -> None:
    history = history_of(a_start([HALF, WHOLE]), finished(HALF, 0.8, 60.0), on(OTHER, finished(WHOLE, 0.9, 10.0)))
    assert curve_of(history).set_ups == SetUps((THERE, HERE), {THERE: 10.0})
    assert [row.relative_cost for row in rows_of(history)] == [None, 1.0]


def test_without_any_ratio_1_the_times_of_the_first_set_up_count(history_of: Maker) -> None:
    half = a_trial("0.5", seed=1)
    history = history_of(
        a_start([HALF, half, TWICE]),
        on(OTHER, finished(HALF, 0.8, 5.0)),
        finished(half, 0.8, 60.0),
        finished(TWICE, 0.9, 200.0),
    )
    assert [(row.train_seconds, row.relative_cost) for row in rows_of(history)] == [(60.0, None), (200.0, None)]
    assert curve_of(history).set_ups.lacking == (HERE, THERE)


def test_a_trial_of_parts_from_several_set_ups_compares_with_none(history_of: Maker) -> None:
    parts = a_trial("0.5", stages=("first", "second"), stops=(50, 100))
    first = a_trial("0.25", stages=("first",))
    history = history_of(
        a_start([parts, WHOLE]), finished(first), on(OTHER, finished(parts, 0.8, 30.0)), finished(WHOLE, 0.9, 100.0)
    )
    half, whole = rows_of(history)
    assert (half.train_seconds, half.relative_cost, half.score, whole.relative_cost) == (None, None, 0.8, 1.0)
    assert list(half.measured_seconds) == [None]
    assert "trained in parts on several set-ups, and so without a cost: ratio 0.5" in table_of(history).notes


def test_what_went_on_from_a_checkpoint_that_may_be_from_elsewhere_compares_with_none(history_of: Maker) -> None:
    more = ENVIRONMENT.model_copy(update={"threads": 2})
    history = history_of(
        a_start([WHOLE]),
        finished(WHOLE, 0.9, 100.0),
        a_start([HALF, WHOLE], environment=more),
        finished(HALF, 0.8, 60.0, resumed_at=(50,)),
    )
    assert [row.relative_cost for row in rows_of(history)] == [None, 1.0]


def test_a_whole_other_machine_that_went_on_from_its_own_checkpoints_compares(history_of: Maker) -> None:
    history = history_of(
        a_start([HALF]),
        finished(HALF, 0.8, 60.0),
        a_start([WHOLE], environment=OTHER),
        on(OTHER, finished(WHOLE, 0.9, 10.0, resumed_at=(50,))),
    )
    assert [row.relative_cost for row in rows_of(history)] == [None, 1.0]


def test_machines_that_are_alike_are_pooled(history_of: Maker) -> None:
    seed = a_trial("1.0", seed=1)
    history = history_of(
        a_start([HALF, WHOLE]),
        finished(HALF, 0.8, 60.0),
        finished(WHOLE, 0.9, 100.0),
        a_start([seed], environment=ENVIRONMENT.model_copy(update={"platform": "another Linux"})),
        finished(seed, 0.9, 140.0),
    )
    assert [row.train_seconds for row in rows_of(history)] == [60.0, 120.0]
    assert [row.relative_cost for row in rows_of(history)] == [0.5, 1.0]
    assert "set-up" not in table_of(history).headers
    assert not [note for note in table_of(history).notes if "set-up" in note]


def test_json_has_no_mean_over_several_set_ups_and_says_where_each_trial_was_trained(two_machines: History) -> None:
    document = json.loads(to_json(Findings.of_history(two_machines)))
    assert [row["train_seconds"] for row in document["rows"]] == [60.0, None, 25.0]
    assert [row["relative_cost"] for row in document["rows"]] == [0.6, 1.0, 2.5]
    assert [trial["set_up"] for trial in document["trials"]] == [HERE, HERE, THERE, THERE]
    assert [trial["train_seconds"] for trial in document["trials"]] == [60.0, 100.0, 10.0, 25.0]


def test_a_csv_that_was_written_of_them_says_the_same(
    two_machines: History, tmp_path_factory: pytest.TempPathFactory
) -> None:
    findings = Findings.of_history(two_machines)
    path = tmp_path_factory.mktemp("csv") / "both.csv"
    path.write_text(to_csv(findings))
    again = Findings.of_table(read_table(path, {}))
    assert make_tables(again)[0].rows == make_tables(findings)[0].rows
    said = "\n".join(make_tables(again)[-1].notes)
    assert "trained on 2 set-ups" in said
    assert "trained on cpu and cuda" not in said


_SECONDS = st.floats(0.01, 1e6)


@given(st.lists(st.tuples(st.sampled_from([0.25, 0.5, 2.0]), st.sampled_from("abc"), _SECONDS), max_size=8), _SECONDS)
def test_a_set_up_that_is_as_fast_everywhere_changes_no_cost(
    trials: list[tuple[float, str, float]], whole: float
) -> None:
    """Where each of three machines is another one by a factor, all costs are as if there were one machine."""
    speeds = {"a": 1.0, "b": 0.125, "c": 16.0}
    lengths = [*((1.0, name, whole) for name in speeds), *trials]

    def costs(is_several: bool) -> dict[float, float | None]:
        frame = make_frame(
            *(
                {
                    "ratio": ratio,
                    "train_seconds": seconds * (speeds[name] if is_several else 1.0),
                    "accuracy": 0.5,
                    "seed": seed,
                    "steps": 100 * ratio,
                    "set_up": name if is_several else "a",
                }
                for seed, (ratio, name, seconds) in enumerate(lengths)
            )
        )
        (curve,) = make_curves(frame)
        return {row.ratio: row.relative_cost for row in curve.rows}

    assert costs(True) == pytest.approx(costs(False))


@given(st.lists(st.tuples(st.sampled_from([0.5, 1.0]), st.sampled_from(["a", "b", None]), _SECONDS), min_size=1))
def test_a_factor_is_known_of_the_reference_and_of_what_has_a_ratio_1(
    trials: list[tuple[float, str | None, float]],
) -> None:
    frame: pd.DataFrame = make_frame(
        *(
            {"ratio": ratio, "train_seconds": seconds, "accuracy": 0.5, "set_up": name, "seed": seed}
            for seed, (ratio, name, seconds) in enumerate(trials)
        )
    )
    set_ups = SetUps.of(frame)
    assert set(set_ups.names) == {name for _, name, _ in trials if name is not None}
    assert set(set_ups.baseline_seconds) == {name for ratio, name, _ in trials if name is not None and ratio == 1}
    for name in ("a", "b", None):
        factor = set_ups.factor(name)
        is_reference = not set_ups.names or name == set_ups.names[0]
        assert math.isnan(factor) != (is_reference or {name, set_ups.names[0]} <= set_ups.baseline_seconds.keys())
        assert not is_reference or factor == 1.0
