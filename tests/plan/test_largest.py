"""The grid that is chosen is the largest that fits: none that the rule puts before it does."""

from fractions import Fraction
from functools import cache

from hypothesis import given
from hypothesis import strategies as st

from sweep.plan.largest import FEWEST_RATIOS, MOST_RATIOS, MOST_SEEDS, Grid, largest_grid
from sweep.plan.rungs import Rungs
from sweep.plan.stages import make_plan
from sweep.recipe.library import load_recipe, parse_settings


def rungs_of(*settings, recipe="digits"):
    loaded = load_recipe(recipe, parse_settings(settings))
    rungs = Rungs(loaded, 1442)
    return rungs, cache(lambda grid: make_plan(loaded, grid.ratios, grid.seeds, 1442).num_steps)


DIGITS = {
    "cosine": rungs_of(),
    "wsd": rungs_of("lr_scheduler=wsd", "min_shared_steps=1"),
    "steps": rungs_of("method=steps", "epochs=40ba", "lr_warmup_epochs=0"),
}
BASELINE = 460


def chosen(budget, seeds=None, which="cosine"):
    rungs, steps = DIGITS[which]
    found = largest_grid(rungs, seeds, lambda grid: steps(grid) <= budget)
    return found and ([ratio.text for ratio in found.ratios], found.seeds)


def test_first_the_baseline_then_ratios_then_seeds():
    assert chosen(0.14 * BASELINE) is None
    assert chosen(0.2 * BASELINE) == (["0.2"], 1)
    assert chosen(0.4 * BASELINE) == (["0.15", "0.25"], 1)
    assert chosen(0.7 * BASELINE) == (["0.15", "0.2", "0.3"], 1)
    assert chosen(1.6 * BASELINE) == (["0.15", "0.4", "1.0"], 1)
    assert chosen(2.2 * BASELINE) == (["0.15", "0.3", "0.55", "1.0"], 1)
    eight = ["0.15", "0.2", "0.25", "0.35", "0.45", "0.6", "0.75", "1.0"]
    assert chosen(3.8 * BASELINE) == (eight, 1)
    assert chosen(6.7 * BASELINE) == (eight, 1)
    assert chosen(6.9 * BASELINE) == (eight, 2)
    assert chosen(1000 * BASELINE) == (eight, 3)


def test_seeds_that_are_asked_for_are_kept():
    assert chosen(3.2 * BASELINE, seeds=2) == (["0.15", "0.4", "1.0"], 2)
    assert chosen(0.25 * BASELINE, seeds=2) is None
    assert chosen(1000 * BASELINE, seeds=5)[1] == 5


def all_grids(rungs, seeds):
    """Every grid of the rule, each with its rank: the higher, the larger."""
    for longest in rungs.trainable:
        for count in range(1, MOST_RATIOS + 1):
            if (ratios := rungs.grid(longest, count)) is not None:
                for number in [seeds] if seeds else range(1, MOST_SEEDS + 1):
                    yield (min(count, FEWEST_RATIOS), longest.value, count, number), Grid(ratios, number)


@given(st.sampled_from(["cosine", "steps", "wsd"]), st.floats(0.01, 15), st.sampled_from([None, None, 1, 2, 4]))
def test_no_larger_grid_by_the_rule_fits(which, baselines, seeds):
    rungs, steps = DIGITS[which]
    budget = baselines * steps(Grid(rungs.trainable[-1:], 1))
    found = largest_grid(rungs, seeds, lambda grid: steps(grid) <= budget)
    fitting = {rank: grid for rank, grid in all_grids(rungs, seeds) if steps(grid) <= budget}
    if found is None:
        assert not fitting
        return
    assert steps(found) <= budget
    assert fitting[max(fitting)] == found


@given(st.floats(0.01, 15), st.floats(0.01, 15))
def test_a_larger_budget_never_chooses_a_smaller_grid(one, other):
    small, large = (chosen(budget * BASELINE) for budget in sorted((one, other)))
    if small is not None:
        assert rank(large) >= rank(small)


def rank(choice):
    ratios, seeds = choice
    return min(len(ratios), FEWEST_RATIOS), Fraction(ratios[-1]), len(ratios), seeds
