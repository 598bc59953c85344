"""The longest single run that fits into a budget."""

import json
from fractions import Fraction

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from sweep.errors import UsageError
from sweep.fitting import fit_recipe, longest_that, run_seconds
from sweep.plan.checks import refusals
from sweep.plan.lengths import measure
from sweep.plan.rungs import num_lengths, ratio_of
from sweep.plan.speed import Interval, Speed
from sweep.plan.stages import make_plan
from sweep.recipe.duration import Ratio
from sweep.recipe.library import load_recipe, parse_settings
from sweep.request import SweepRequest
from sweep.run.duration import sweep_seconds

SPEED = Speed(Interval(0.5, 1.0, 2.0), Interval.exactly(3.0), Interval.exactly(1.0), Interval(4.0, 5.0, 6.0))


def fitted(within, **more):
    request = SweepRequest(**{"recipe": "digits", "within": within, **more})
    return fit_recipe(request, lambda event: None, lambda *asked: SPEED)


def test_of_epochs_it_is_whole_ones():
    found = fitted("10m")
    # 23 steps of 2 s and an evaluation of 3 s an epoch; 7 s beside them.
    assert (found.lengths.ratio.text, found.lengths.num_epochs) == ("0.6", 12)
    assert found.seconds == Interval(5 + 12 * (11.5 + 3), 6 + 12 * 26, 7 + 12 * 49)
    assert found.dollars is None
    assert found.scaled is not None
    assert found.scaled.recipe.epochs.amount == 12


def test_of_steps_it_is_to_the_step_and_its_ratio_is_one_that_can_be_asked_for():
    found = fitted("10m", method="steps")
    assert found.lengths.num_steps == 277
    assert (Ratio.parse(found.lengths.ratio.text).value, found.lengths.ratio.text) == (Fraction(277, 460), "277/460")
    assert str(found.scaled.recipe.epochs) == "277ba"


def test_it_may_be_longer_than_the_baseline_up_to_a_hundred_times():
    assert fitted("1h").lengths.ratio.text == "3.65"
    assert "all of the baseline fits: this is 3.65x its length" in fitted("1h").notes
    assert fitted("300d").lengths.ratio.text == "100.0"
    assert "more would fit: nothing over ratio 100 is looked at" in fitted("300d").notes


def test_examples_are_no_more_than_there_are_and_no_recipe_says_fewer_of_them():
    assert fitted("300d", method="subset").lengths.ratio.text == "1.0"
    few = fitted("10m", method="subset")
    assert few.lengths.ratio.value < 1
    assert few.scaled is None
    assert "no recipe can say that" in few.notes[-2]


def test_dollars_are_of_training_alone_and_shown_beside_the_time():
    found = fitted("$1", price=3.6)
    assert found.lengths.num_steps == 483  # 1,000 s of training at most, by the high end: 21 epochs
    assert found.dollars.high == pytest.approx(2 * 483 * 3.6 / 3600)
    assert fitted("1h", price=3.6).dollars is not None


def test_how_to_train_it_is_said_with_the_options_that_were_given():
    notes = fitted("10m", method="steps", settings=("lr=0.2", "weight_decay=0")).notes
    words = "sweep run digits --ratios 277/460 --method steps --set lr=0.2 --set weight_decay=0"
    assert notes[-1].startswith(words)


@pytest.mark.parametrize("within", ["10s", "$0.001"])
def test_too_little_is_refused_with_what_the_shortest_run_would_take(within):
    with pytest.raises(UsageError, match=r"is too little: the shortest run, ratio 0\.15, takes about"):
        fitted(within, price=3.6)


LOADED = {
    method: load_recipe("digits", parse_settings((f"method={method}",)))
    for method in ("epochs", "steps", "samples", "subset")
}


@given(st.sampled_from(sorted(LOADED)), st.integers(60, 100_000))
def test_it_fits_and_the_next_longer_one_that_can_be_trained_does_not(method, seconds):
    loaded = LOADED[method]
    found = longest_that(lambda run: run_seconds(run, SPEED).high <= seconds, loaded, 1442)
    if found is None:
        return
    assert run_seconds(found, SPEED).high <= seconds
    whole = num_lengths(loaded, 1442)
    most = whole if method in ("samples", "subset") else 100 * whole
    longer = range(int(found.ratio.value * whole) + 1, min(most, int(found.ratio.value * whole) + 50) + 1)
    for length in longer:
        run = measure(loaded.recipe, ratio_of(Fraction(length, whole)), 1442)
        assert run_seconds(run, SPEED).high > seconds or refusals(loaded, (run,))


@given(st.sampled_from(sorted(LOADED)), st.integers(150, 999))
def test_a_run_takes_what_a_sweep_of_it_takes(method, thousandths):
    ratio = ratio_of(Fraction(thousandths, 1000))
    assume(not refusals(LOADED[method], (measure(LOADED[method].recipe, ratio, 1442),)))
    plan = make_plan(LOADED[method], (ratio,), 1, 1442)
    alone, sweep = run_seconds(plan.longest.lengths, SPEED), sweep_seconds(plan, SPEED, 1)
    assert (alone.low, alone.value, alone.high) == pytest.approx((sweep.low, sweep.value, sweep.high))


@pytest.mark.slow
def test_the_command_answers_with_a_recipe_that_trains_as_long(sweep, tmp_path):
    words = ("fit", "smoke", "--within", "90s", "--threads", "1", "--results", tmp_path / "results")
    shown = sweep(*words, "--price", "3")
    assert shown.returncode == 0, shown.stderr
    assert "smoke: the longest run within 90s" in shown.stdout
    ratio, epochs = shown.stdout.splitlines()[4].split()[:2]
    assert "estimate: the recipe is tried out" in shown.stderr
    alone = sweep(*words, "--format", "yaml")
    recipe = tmp_path / "scaled.yaml"
    recipe.write_text(alone.stdout)
    assert f"epochs: {epochs}\n" in alone.stdout
    plans = [
        json.loads(sweep("plan", which, "--ratios", at, "--format", "json").stdout)["total_steps"]
        for which, at in ((recipe, "1"), ("smoke", ratio))
    ]
    assert plans[0] == plans[1] == 23 * int(epochs)


def test_the_command_refuses_what_is_no_budget_and_wants_one(sweep, tmp_path):
    for words, said in ((("--within", "4 parsecs"), "'parsecs' is no unit of time"), ((), "--within")):
        run = sweep("fit", "smoke", *words, "--results", tmp_path / "results")
        assert (run.returncode, run.stdout) == (2, "")
        assert said in run.stderr
    assert not list(tmp_path.iterdir())
