from collections.abc import Callable
from statistics import mean, stdev

import pytest
from histories import a_start, a_trial, ended, finished
from tables import rows_of

from sweep.errors import Outcome
from sweep.report.analysis import Curve, make_curves, max_contention, score_at
from sweep.report.frame import trial_frame
from sweep.store.history import History

Maker = Callable[..., History]
HALVES = [a_trial("0.5", seed) for seed in range(3)]
WHOLES = [a_trial("1.0", seed) for seed in range(3)]
LOW, HIGH = (0.5, 0.625, 0.875), (0.875, 0.9375, 1.0)


def curves(history: History) -> tuple[Curve, ...]:
    return make_curves(trial_frame(history))


@pytest.fixture
def whole_sweep(history_of: Maker) -> History:
    return history_of(
        a_start(HALVES + WHOLES),
        *(finished(trial, accuracy, seconds=20.0) for trial, accuracy in zip(HALVES, LOW, strict=True)),
        *(finished(trial, accuracy, seconds=50.0) for trial, accuracy in zip(WHOLES, HIGH, strict=True)),
    )


def test_a_ratio_is_the_mean_and_the_spread_of_its_seeds(whole_sweep: History) -> None:
    half, whole = rows_of(whole_sweep)
    assert half.score == pytest.approx(mean(LOW), rel=1e-15)
    assert half.sd == pytest.approx(stdev(LOW), rel=1e-12)  # n - 1
    assert (half.num_trials, half.num_finished, half.failures) == (3, 3, ())
    assert (half.steps, half.epochs, half.ratio) == (100, 10.0, 0.5)
    assert whole.score == pytest.approx(mean(HIGH), rel=1e-15)


def test_cost_and_points_are_against_the_baseline(whole_sweep: History) -> None:
    half, whole = rows_of(whole_sweep)
    assert half.relative_cost == pytest.approx(0.4)
    assert half.points == pytest.approx(100 * (mean(LOW) - mean(HIGH)))
    assert (whole.relative_cost, whole.points) == (1.0, None)


def test_one_seed_has_no_spread(history_of: Maker) -> None:
    (half,) = rows_of(history_of(a_start([HALVES[0]]), finished(HALVES[0])))
    assert (half.score, half.sd) == (0.9, None)


@pytest.mark.parametrize("outcome", [outcome for outcome in Outcome if outcome is not Outcome.FINISHED])
def test_a_trial_that_did_not_finish_takes_no_part_and_is_counted(history_of: Maker, outcome: Outcome) -> None:
    records = [] if outcome is Outcome.MISSING else [ended(HALVES[1], outcome, "the reason")]
    others = [finished(HALVES[0], 0.5, 20.0), finished(HALVES[2], 0.75, 30.0)]
    (half,) = rows_of(history_of(a_start(HALVES), *others, *records))
    assert (half.num_trials, half.num_finished) == (3, 2)
    assert (half.score, half.train_seconds) == (0.625, 25.0)
    assert half.sd == pytest.approx(stdev([0.5, 0.75]))
    assert half.failures == ("seed 1: missing" if outcome is Outcome.MISSING else "seed 1: the reason",)


def test_a_ratio_of_which_nothing_finished_has_no_numbers(history_of: Maker) -> None:
    half, _ = rows_of(history_of(a_start([HALVES[0], WHOLES[0]]), ended(HALVES[0]), finished(WHOLES[0])))
    assert (half.score, half.sd, half.train_seconds) == (None, None, None)
    assert (half.relative_cost, half.points, half.dollars, half.truncated_score) == (None, None, None, None)


@pytest.mark.parametrize("baseline", [[], [WHOLES[0]]])
def test_without_a_finished_baseline_nothing_is_relative(history_of: Maker, baseline: list[object]) -> None:
    history = history_of(a_start([HALVES[0], *baseline]), finished(HALVES[0]))
    half = rows_of(history)[0]
    assert half.score == 0.9
    assert (half.relative_cost, half.points) == (None, None)


def test_each_method_has_its_own_baseline(history_of: Maker) -> None:
    trials = {name: [a_trial(ratio, method=name) for ratio in ("0.5", "1.0")] for name in ("epochs", "steps")}
    history = history_of(
        a_start(trials["epochs"] + trials["steps"]),
        finished(trials["epochs"][0], seconds=10.0),
        finished(trials["epochs"][1], seconds=20.0),
        finished(trials["steps"][0], seconds=10.0),
        finished(trials["steps"][1], seconds=40.0),
    )
    costs = [(curve.method, row.relative_cost) for curve in curves(history) for row in curve.rows]
    assert costs == [("epochs", 0.5), ("epochs", 1.0), ("steps", 0.25), ("steps", 1.0)]


def test_shares_of_the_examples_with_as_many_batches_stay_apart(history_of: Maker) -> None:
    whole = a_trial("1.0", method="samples")
    nearly = a_trial("0.99", method="samples", realised="1", num_steps=200, num_examples=633, stages=("nearly",))
    nearly = nearly.model_copy(update={"key": "nearly"})
    history = history_of(a_start([whole, nearly]), finished(whole, 0.75, 40.0), finished(nearly, 0.5, 30.0))
    rows = [(row.ratio_text, row.num_trials, row.relative_cost, row.points) for row in rows_of(history)]
    assert rows == [("0.99", 1, 0.75, -25.0), ("1.0", 1, 1.0, None)]
    assert score_at(curves(history), 1.0) == 0.75


def test_the_largest_contention_is_told(history_of: Maker) -> None:
    history = history_of(
        a_start([*HALVES, WHOLES[0]]),
        *(finished(trial, contention=share) for trial, share in zip(HALVES, (0.125, 0.25, None), strict=True)),
        ended(WHOLES[0]),
    )
    assert max_contention(trial_frame(history)) == 0.25


def test_contention_that_nobody_measured_is_not_known(history_of: Maker) -> None:
    assert max_contention(trial_frame(history_of(a_start(HALVES), finished(HALVES[0], contention=None)))) is None


def test_accuracy_at_a_ratio_is_the_mean_there(whole_sweep: History) -> None:
    assert score_at(curves(whole_sweep), 0.5) == pytest.approx(mean(LOW))
    assert score_at(curves(whole_sweep), 0.25) is None


def test_a_ratio_is_found_as_asked_before_as_realised(history_of: Maker) -> None:
    asked = a_trial("0.52")  # 10 epochs
    other = a_trial("0.5", realised="9/20", num_steps=90, stages=("other",), key="other")
    only_asked = history_of(a_start([asked]), finished(asked, 0.5))
    assert score_at(curves(only_asked), 0.5) == score_at(curves(only_asked), 0.52) == 0.5
    both = history_of(a_start([asked, other]), finished(other, 0.25))
    assert score_at(curves(both), 0.5) == 0.25


@pytest.mark.parametrize("unfinished", ["epochs", "steps"])
def test_where_one_of_two_methods_has_not_finished_there_is_no_accuracy(history_of: Maker, unfinished: str) -> None:
    trials = {name: a_trial("1.0", method=name) for name in ("epochs", "steps")}
    done = next(trial for name, trial in trials.items() if name != unfinished)
    history = history_of(a_start(trials.values()), finished(done, 0.75))
    assert score_at(curves(history), 1.0) is None


def test_of_two_methods_the_lower_accuracy_counts(history_of: Maker) -> None:
    epochs, steps = a_trial("1.0"), a_trial("1.0", method="steps")
    history = history_of(a_start([epochs, steps]), finished(epochs, 0.75), finished(steps, 0.5))
    assert score_at(curves(history), 1.0) == 0.5
