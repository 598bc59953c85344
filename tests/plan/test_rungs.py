"""The ratios that a grid is chosen from."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep.plan.checks import refusals
from sweep.plan.lengths import measure
from sweep.plan.rungs import Rungs, num_lengths, ratio_of
from sweep.recipe.library import load_recipe, parse_settings


def loaded(*settings, recipe="digits"):
    return load_recipe(recipe, parse_settings(settings))


def texts(ratios):
    return [ratio.text for ratio in ratios]


def test_of_epochs_they_are_those_of_whole_epochs_and_realised_as_they_are_asked_for():
    recipe = loaded("epochs=90", "lr_warmup_epochs=0")
    rungs = Rungs(recipe, 1442)
    assert len(rungs.trainable) == 90
    assert texts(rungs.trainable)[:3] == ["1/90", "1/45", "1/30"]
    assert all(measure(recipe.recipe, ratio, 1442).realised == ratio.value for ratio in rungs.trainable)


@pytest.mark.parametrize("method", ["steps", "samples"])
def test_of_steps_and_of_examples_they_are_thousandths(method):
    ratios = Rungs(loaded(f"method={method}", "epochs=100", "lr_warmup_epochs=0"), 1442).trainable
    assert {ratio.value.denominator for ratio in ratios} <= {n for n in range(1, 1001) if 1000 % n == 0}
    assert texts(ratios)[-2:] == ["0.999", "1.0"]


def test_a_recipe_of_fewer_steps_has_no_two_of_one_length():
    recipe = loaded("method=steps", "epochs=40ba", "lr_warmup_epochs=0")
    assert num_lengths(recipe, 1442) == 40
    assert [measure(recipe.recipe, ratio, 1442).num_steps for ratio in Rungs(recipe, 1442).trainable] == [*range(1, 41)]


def test_a_warm_up_fills_a_third_of_each_at_most_where_it_does_so_in_the_baseline():
    assert texts(Rungs(loaded("epochs=10", "lr_warmup_epochs=2"), 1442).trainable) == [
        "0.6",
        "0.7",
        "0.8",
        "0.9",
        "1.0",
    ]
    assert texts(Rungs(loaded("epochs=5", "lr_warmup_epochs=2"), 1442).trainable) == ["0.6", "0.8", "1.0"]


def test_where_nothing_can_be_trained_there_are_none():
    assert Rungs(loaded("lr_warmup_epochs=20"), 1442).trainable == ()


def test_a_grid_is_evenly_spaced_on_a_logarithmic_scale_from_a_tenth():
    rungs = Rungs(loaded("method=steps", "lr_warmup_epochs=0", "epochs=100"), 1442)
    assert texts(rungs.grid(ratio_of(Fraction(1)), 3)) == ["0.1", "0.316", "1.0"]
    assert texts(rungs.grid(ratio_of(Fraction(1, 2)), 3)) == ["0.05", "0.158", "0.5"]
    assert texts(rungs.grid(ratio_of(Fraction(1, 2)), 1)) == ["0.5"]
    assert texts(rungs.grid(ratio_of(Fraction(1)), 8)) == [
        *("0.1", "0.139", "0.193", "0.268", "0.373", "0.518", "0.72", "1.0")
    ]


def test_a_grid_that_has_no_room_for_so_many_is_none():
    rungs = Rungs(loaded("epochs=4", "lr_warmup_epochs=0"), 1442)
    assert texts(rungs.grid(ratio_of(Fraction(1)), 4)) == ["0.25", "0.5", "0.75", "1.0"]
    assert rungs.grid(ratio_of(Fraction(1)), 5) is None
    assert rungs.grid(ratio_of(Fraction(1, 4)), 2) is None


RECIPES = {
    (method, epochs, warmup): loaded(f"method={method}", f"epochs={epochs}", f"lr_warmup_epochs={warmup}")
    for method in ("epochs", "steps", "samples", "subset")
    for epochs in (1, 7, 90)
    for warmup in (0, 1)
    if warmup < epochs
}


RUNGS = {key: Rungs(recipe, 1442) for key, recipe in RECIPES.items()}


@given(st.sampled_from(sorted(RECIPES)), st.integers(0, 10**6), st.integers(1, 8))
def test_every_grid_can_be_trained_and_ascends_to_its_longest(key, place, count):
    rungs, recipe = RUNGS[key], RECIPES[key]
    longest = rungs.trainable[place % len(rungs.trainable)]
    grid = rungs.grid(longest, count)
    if grid is None:
        return
    assert len(grid) == count
    assert grid[-1] == longest
    assert grid[0].value >= longest.value / 10
    assert list(grid) == sorted(grid, key=lambda ratio: ratio.value)
    assert not refusals(recipe, tuple(measure(recipe.recipe, ratio, 1442) for ratio in grid))
