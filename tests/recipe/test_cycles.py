"""Cycles: where they end, what the rate does in each, and that a shorter cyclic run is the beginning of a longer."""

from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from sweep.plan.lengths import cycle_ratios, measure
from sweep.plan.timeline import Timeline
from sweep.recipe.cycles import FALLING, MAX_CYCLES, MIN_CYCLES, count_cycles, end_ratios, end_steps, shortest_first
from sweep.recipe.duration import Ratio, round_half_up
from sweep.recipe.schema import Recipe

LR = 0.3
KEYS: dict[str, dict[str, Any]] = {
    "cosineannealinglr": {"lr_min": 0.01},
    "linearlr": {"lr_start_factor": 0.9, "lr_end_factor": 0.1},
    "polynomiallr": {"lr_power": 2.5},
    "exponentiallr": {"lr_gamma": 0.8},
    "steplr": {"lr_step_size": 3, "lr_gamma": 0.3},
    "multisteplr": {"lr_milestones": [4, "0.75dur"], "lr_gamma": 0.3},
    "wsd": {"lr_cooldown": 2, "lr_min": 0.001},
}

num_cycles = st.integers(MIN_CYCLES, MAX_CYCLES)
schedulers = st.sampled_from(sorted(KEYS))


def recipe_of(**keys: Any) -> Recipe:
    """Batches of one, so that an epoch has as many steps as there are examples."""
    fixed = {"model": "small_cnn", "dataset": "digits", "batch_size": 1, "lr": LR, "method": "cyclic"}
    return Recipe.model_validate(fixed | keys)


def run_of(recipe: Recipe, ratio: Fraction, steps_per_epoch: int) -> Timeline:
    return Timeline(recipe, measure(recipe, Ratio(ratio, str(ratio)), steps_per_epoch))


def ends_of(recipe: Recipe, steps_per_epoch: int) -> list[Timeline]:
    return [run_of(recipe, ratio.value, steps_per_epoch) for ratio in cycle_ratios(recipe, steps_per_epoch)]


def rates(run: Timeline) -> np.ndarray:
    return run.rates(0, run.num_steps)


@given(num_cycles)
def test_each_cycle_is_twice_as_long_as_the_one_before_and_together_they_are_the_run(n: int) -> None:
    ends = end_ratios(n)
    lengths = [end - start for start, end in pairwise((Fraction(0), *ends))]
    assert len(ends) == n
    assert all(later == 2 * earlier for earlier, later in pairwise(lengths))
    assert sum(lengths) == ends[-1] == 1


@given(num_cycles, st.integers(63, 100_000))
def test_ends_are_rounded_once_and_no_cycle_is_empty(n: int, num_steps: int) -> None:
    ends = end_steps(n, num_steps)
    assert ends == tuple(round_half_up(Fraction((2**k - 1) * num_steps, 2**n - 1)) for k in range(1, n + 1))
    assert all(start < end for start, end in pairwise((0, *ends)))
    assert ends[-1] == num_steps


@given(st.integers(1, 100_000), st.integers(1, 2_000), st.fractions(0, 1_000, max_denominator=100))
def test_there_are_as_many_cycles_as_leave_the_first_one_an_epoch_and_two_warm_ups(
    num_steps: int, steps_per_epoch: int, warmup: Fraction
) -> None:
    n = count_cycles(num_steps, shortest_first(steps_per_epoch, warmup))

    def is_enough(n: int) -> bool:
        first = Fraction(num_steps, 2**n - 1)
        return first >= steps_per_epoch and first >= 2 * warmup

    if n:
        assert is_enough(n)
        assert n == MAX_CYCLES or not is_enough(n + 1)
    else:
        assert not is_enough(MIN_CYCLES)


@pytest.mark.parametrize(
    ("epochs", "warmup", "ends"),
    [
        (16, 1, ["1/7", "3/7", "1.0"]),
        (90, 5, ["1/7", "3/7", "1.0"]),
        (15, 0, ["1/15", "0.2", "7/15", "1.0"]),
        (300, 0, ["1/63", "1/21", "1/9", "5/21", "31/63", "1.0"]),
        (6, 0, ["1.0"]),  # no room for three
    ],
)
def test_the_recipe_alone_says_at_which_ratios_cycles_end(epochs: int, warmup: int, ends: list[str]) -> None:
    recipe = recipe_of(epochs=epochs, lr_warmup_epochs=warmup)
    assert [ratio.text for ratio in cycle_ratios(recipe, 10)] == ends


def test_every_scheduler_that_falls_is_tried_here() -> None:
    assert set(FALLING) == KEYS.keys()


@given(schedulers, st.integers(7, 70), st.integers(1, 12))
def test_without_a_warm_up_each_cycle_has_the_rates_of_a_scaled_run_of_its_length(
    scheduler: str, epochs: int, steps_per_epoch: int
) -> None:
    keys = {"lr_scheduler": scheduler, "epochs": epochs, **KEYS[scheduler]}
    whole = ends_of(recipe_of(**keys), steps_per_epoch)[-1]
    bounds = (0, *(run.num_steps for run in ends_of(recipe_of(**keys), steps_per_epoch)))
    for start, end in pairwise(bounds):
        scaled = run_of(
            recipe_of(**keys | {"method": "steps"}), Fraction(end - start, whole.num_steps), steps_per_epoch
        )
        assert scaled.num_steps == end - start
        np.testing.assert_array_equal(whole.rates(start, end), rates(scaled))


@given(schedulers, st.integers(14, 70), st.integers(2, 12), st.booleans())
def test_the_first_cycle_is_the_scaled_run_of_its_length_to_the_last_bit(
    scheduler: str, epochs: int, steps_per_epoch: int, scales_warmup: bool
) -> None:
    warmup = {"lr_warmup_epochs": 1, "lr_warmup_method": "linear", "scale_warmup": scales_warmup}
    keys = {"lr_scheduler": scheduler, "epochs": epochs, **KEYS[scheduler], **warmup}
    first, *_, whole = ends_of(recipe_of(**keys), steps_per_epoch)
    scaled = run_of(recipe_of(**keys | {"method": "steps"}), first.lengths.realised, steps_per_epoch)
    assert scaled.lengths.warmup_steps == first.lengths.warmup_steps
    np.testing.assert_array_equal(rates(first), rates(scaled))
    np.testing.assert_array_equal(whole.rates(0, first.num_steps), rates(scaled))


@given(st.integers(14, 70), st.integers(2, 12))
def test_after_the_first_cycle_the_rate_comes_down_from_the_top_without_a_warm_up(
    epochs: int, steps_per_epoch: int
) -> None:
    recipe = recipe_of(lr_scheduler="cosineannealinglr", epochs=epochs, lr_warmup_epochs=1)
    runs = ends_of(recipe, steps_per_epoch)
    for before, run in pairwise(runs):
        start, length = before.num_steps, run.num_steps - before.num_steps
        steps = np.arange(length)
        expected = LR * (1 + np.cos(np.pi * steps / length)) / 2
        np.testing.assert_allclose(run.rates(start, run.num_steps), expected, rtol=0, atol=1e-12)


@given(schedulers, st.integers(7, 70), st.integers(1, 12), st.data())
def test_a_shorter_cyclic_run_is_the_beginning_of_every_longer_one(
    scheduler: str, epochs: int, steps_per_epoch: int, data: st.DataObject
) -> None:
    most = Fraction(epochs, 14)  # of warm-up: half of the first of three cycles
    warmup = data.draw(st.integers(0, int(most * steps_per_epoch)))
    keys = {"lr_scheduler": scheduler, "epochs": epochs, **KEYS[scheduler], "lr_warmup_epochs": f"{warmup}ba"}
    runs = ends_of(recipe_of(**keys), steps_per_epoch)
    assume(len(runs) > 1)
    for shorter, longer in pairwise(runs):
        assert shorter.num_steps < longer.num_steps
        np.testing.assert_array_equal(rates(shorter), longer.rates(0, shorter.num_steps))
        for stop in {1, warmup, shorter.num_steps // 2, shorter.num_steps} - {0}:
            assert shorter.prefix(stop) == longer.prefix(stop)
            assert shorter.rate_numbers(stop) == longer.rate_numbers(stop)
        assert shorter.plateau_steps == shorter.num_steps
    assert runs[-1].plateau_steps == 0  # nothing is longer
    assert runs[-1].lengths.realised == 1


def test_the_rate_jumps_at_the_start_of_each_cycle_and_where_its_own_schedule_says() -> None:
    recipe = recipe_of(lr_scheduler="multisteplr", lr_milestones=[7], epochs=14)
    run = ends_of(recipe, 10)[-1]
    # Cycles of 20, 40 and 80 steps, with a decay in the middle of each.
    assert run.positions == (10, 20, 40, 60, 100)
    assert run.peak == LR
