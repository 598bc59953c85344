"""How long each run is, exactly."""

from fractions import Fraction
from math import ceil, floor
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep.plan.lengths import Lengths, batches_before, measure, steps_in_epoch
from sweep.recipe.duration import Ratio
from sweep.recipe.schema import Recipe


def lengths(ratio: str | Fraction = "1", examples: int = 1000, **keys: Any) -> Lengths:
    fixed = {"model": "small_cnn", "dataset": "digits", "batch_size": 10}
    parsed = Ratio.parse(ratio) if isinstance(ratio, str) else Ratio(ratio, str(ratio))
    return measure(Recipe.model_validate(fixed | keys), parsed, examples)


@pytest.mark.parametrize(("epochs", "ratio", "expected"), [(90, "0.7", 63), (100, "0.29", 29), (90, "70%", 63)])
def test_a_ratio_of_the_epochs_is_the_fraction_that_was_typed(epochs: int, ratio: str, expected: int) -> None:
    assert lengths(ratio, epochs=epochs).num_epochs == expected


@given(epochs=st.integers(1, 1000), hundredths=st.integers(1, 300), examples=st.integers(1, 5000))
def test_epochs_are_floored_exactly(epochs: int, hundredths: int, examples: int) -> None:
    run = lengths(f"{hundredths / 100}", examples, epochs=epochs)
    assert run.num_steps == (epochs * hundredths // 100) * run.steps_per_epoch
    assert run.num_examples == examples


@pytest.mark.parametrize("epochs", [49, 90, 100])
def test_a_ratio_that_means_whole_epochs_gives_them(epochs: int) -> None:
    for run_epochs in range(1, 2 * epochs + 1):
        assert lengths(f"{run_epochs}/{epochs}", epochs=epochs).num_epochs == run_epochs


@given(epochs=st.integers(1, 200), ratio=st.fractions(Fraction(1, 1000), 3, max_denominator=1000))
def test_steps_are_floored_exactly(epochs: int, ratio: Fraction) -> None:
    assert lengths(ratio, epochs=epochs, method="steps").num_steps == floor(epochs * 100 * ratio)


@pytest.mark.parametrize("method", ["samples", "subset"])
@given(
    examples=st.integers(1, 100_000),
    ratio=st.fractions(Fraction(1, 1000), 1, max_denominator=1000),
    batch_size=st.integers(1, 300),
)
def test_examples_are_floored_exactly_and_the_epochs_stay(
    method: str, examples: int, ratio: Fraction, batch_size: int
) -> None:
    run = lengths(ratio, examples, epochs=7, method=method, batch_size=batch_size)
    assert run.num_examples == floor(examples * ratio)
    assert run.steps_per_epoch == ceil(Fraction(run.num_examples, batch_size))
    assert run.num_steps == 7 * run.steps_per_epoch


@pytest.mark.parametrize(
    ("method", "examples", "ratio", "expected"), [("steps", 900, "0.7", 63), ("steps", 1000, "0.29", 29)]
)
def test_a_ratio_of_the_steps_is_the_fraction_that_was_typed(
    method: str, examples: int, ratio: str, expected: int
) -> None:
    assert lengths(ratio, examples, epochs=1, method=method).num_steps == expected


@pytest.mark.parametrize("method", ["samples", "subset"])
def test_a_ratio_of_the_examples_is_the_fraction_that_was_typed(method: str) -> None:
    assert lengths("0.7", 90, epochs=1, method=method).num_examples == 63


@pytest.mark.parametrize(("examples", "expected"), [(1000, 16), (1024, 16), (1025, 17), (1, 1), (64, 1), (65, 2)])
def test_the_last_smaller_batch_is_a_step(examples: int, expected: int) -> None:
    assert steps_in_epoch(examples, 64) == expected
    assert lengths(examples=examples, batch_size=64, epochs=3).num_steps == 3 * expected


def test_the_last_smaller_batch_is_a_step_of_a_drawn_epoch_too() -> None:
    assert lengths("0.5", 1001, epochs=2, method="samples", batch_size=64).num_steps == 2 * 8  # 500 examples


def test_a_baseline_in_steps_is_that_many_steps() -> None:
    assert lengths("0.29", epochs="100ba", method="steps").num_steps == 29
    assert lengths(epochs="100ba", method="steps").num_epochs == 1
    assert lengths("1.5", epochs="100ba", method="steps").num_epochs == Fraction(3, 2)


def test_the_realised_ratio_is_that_of_the_steps() -> None:
    assert lengths("0.33", epochs=20).realised == Fraction(6, 20)
    assert lengths("0.33", epochs=20, method="steps").realised == Fraction(33, 100)
    assert lengths("2.5", epochs=20).realised == Fraction(5, 2)
    assert lengths("0.5", 101, epochs=20, method="samples").realised == Fraction(5, 11)  # 50 of 101 examples


@pytest.mark.parametrize("ratio", ["0.25", "0.5", "1", "2"])
def test_a_warm_up_keeps_its_length(ratio: str) -> None:
    assert lengths(ratio, epochs=20, lr_warmup_epochs=2).warmup_steps == 200
    assert lengths(ratio, epochs=20, lr_warmup_epochs="150ba").warmup_steps == 150


@pytest.mark.parametrize("method", ["samples", "subset"])
def test_a_warm_up_means_the_baselines_epochs_whatever_the_method(method: str) -> None:
    run = lengths("0.25", epochs=20, lr_warmup_epochs=2, method=method)
    assert run.warmup_steps == 200
    assert run.in_epochs(run.warmup_steps) == 8


@pytest.mark.parametrize(("ratio", "expected"), [("0.25", 50), ("1", 200), ("2", 400)])
def test_scale_warmup_scales_it_by_the_realised_ratio(ratio: str, expected: int) -> None:
    assert lengths(ratio, epochs=20, lr_warmup_epochs=2, scale_warmup=True).warmup_steps == expected


@pytest.mark.parametrize(("ratio", "expected"), [("0.25", 50), ("1", 200), ("2", 400)])
def test_a_warm_up_in_dur_follows_the_run(ratio: str, expected: int) -> None:
    assert lengths(ratio, epochs=20, lr_warmup_epochs="0.1dur").warmup_steps == expected


def test_a_scaled_warm_up_is_rounded_half_up() -> None:
    keys = {"epochs": "100ba", "method": "steps", "lr_warmup_epochs": "5ba", "scale_warmup": True}
    assert lengths("0.5", **keys).warmup_steps == 3
    assert lengths("0.49", **keys).warmup_steps == 2


def test_a_fractional_warm_up_is_exact_before_it_is_rounded() -> None:
    keys = {"epochs": 10, "batch_size": 1, "examples": 10, "scale_warmup": True}
    run = lengths("10", lr_warmup_epochs=0.55, **keys)
    assert run.dilation.baseline_warmup_steps == 6  # 5.5
    assert run.warmup_steps == 55


@given(
    examples=st.integers(1, 2000),
    batch_size=st.integers(1, 300),
    accumulated=st.integers(1, 8),
    devices=st.integers(1, 8),
    steps=st.integers(1, 40),
)
def test_steps_over_several_batches_take_the_batches_of_their_epochs_in_order(
    examples: int, batch_size: int, accumulated: int, devices: int, steps: int
) -> None:
    keys = {"gradient_accumulation_steps": accumulated, "devices_per_trial": devices, "batch_size": batch_size}
    run = lengths(examples=examples, epochs=3, **keys)
    whole = lengths(examples=examples, epochs=3, batch_size=batch_size * devices * accumulated)
    assert run.num_steps == whole.num_steps
    recipe = Recipe.model_validate({"model": "small_cnn", "dataset": "digits", "epochs": 3, **keys})
    per_epoch = ceil(Fraction(examples, batch_size * devices))
    first, last = (batches_before(recipe, examples, step) for step in (steps, steps + 1))
    epoch, index = divmod(steps, run.steps_per_epoch)
    assert first == epoch * per_epoch + min(index * accumulated, per_epoch)
    is_last = index == run.steps_per_epoch - 1
    assert last - first == (per_epoch - index * accumulated if is_last else accumulated)
