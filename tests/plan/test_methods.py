"""What methods schedule, against the same written out step by step, and what a time does at a ratio."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from sweep.errors import RecipeError
from sweep.plan.methods import unused_keys
from sweep.plan.stages import make_plan
from sweep.plan.timeline import Timeline
from sweep.plan.values import column_names, step_values
from sweep.recipe.duration import parse_ratios, round_half_up
from sweep.recipe.library import LoadedRecipe
from sweep.recipe.schema import Recipe

Keys = dict[str, Any]

# 20 epochs of ten steps; digits are 8 pixels wide.
BASE: Keys = {"epochs": 20, "batch_size": 100, "lr_scheduler": "constantlr"}
SWA: Keys = {"swa": True}
RESIZING: Keys = {"progressive_resizing": True}
FREEZING: Keys = {"layer_freezing": True}
MIXUP: Keys = {"mixup_alpha": 0.2}


def run(ratio: str = "1", **keys: Any) -> Timeline:
    """The timeline at one ratio, of 1,000 examples."""
    recipe = Recipe.model_validate({"model": "small_cnn", "dataset": "digits"} | BASE | keys)
    return make_plan(LoadedRecipe(recipe, "r", Path("r.yaml"), {}), parse_ratios(ratio), 1, 1000).timelines[0]


def whole(timeline: Timeline, name: str) -> list[float]:
    return step_values(timeline, 0, timeline.num_steps)[name]


# Times.


@pytest.mark.parametrize(
    ("time", "baseline", "half", "half_scaled"),
    [("4ep", 40, 40, 20), (4, 40, 40, 20), ("33ba", 33, 33, 17), ("0.5dur", 100, 50, 50), ("1/3ep", 3, 3, 2)],
)
def test_a_time_in_dur_follows_the_run_and_an_absolute_one_where_it_is_told_to(
    time: str | int, baseline: int, half: int, half_scaled: int
) -> None:
    for ratio, scaled, step in (
        ("1", False, baseline),
        ("0.5", False, half),
        ("1", True, baseline),
        ("0.5", True, half_scaled),
    ):
        mixed = whole(run(ratio, **MIXUP, mixup_off=time, scale_methods=scaled), "mixup")
        assert mixed == [1] * step + [0] * (len(mixed) - step)


@pytest.mark.parametrize("method", ["samples", "subset", "steps"])
def test_an_absolute_time_is_the_baselines_steps_whatever_the_method(method: str) -> None:
    timeline = run("0.5", **MIXUP, mixup_off=4, method=method)
    assert sum(whole(timeline, "mixup")) == 40  # four of the baseline's epochs of ten steps, not of the run's of five


def test_what_is_not_rounded_is_exact() -> None:
    # 0.07 of 100 steps are 7, and in binary floating point a little more.
    assert run("0.5", **MIXUP, mixup_off="0.07dur").methods.tracks["mixup"].changes[1] == (7, 0)
    assert run("1", **SWA, swa_start="0.29dur", swa_end="0.57dur", swa_interval="1ba").methods.swa_steps == tuple(
        range(58, 115)
    )


# Each method, step by step.

TIMES = st.one_of(
    st.integers(0, 300).map(lambda steps: f"{steps}ba"),
    st.integers(0, 100).map(lambda percent: f"{percent / 100}dur"),
    st.sampled_from(["1/3ep", "22/3ep", "3.5ep"]),
)
INTERVALS = st.sampled_from(["1ba", "7ba", "4/3ep", "0.5ep", "1ep", "0.05dur", "1/30dur"])
RATIOS = st.sampled_from(["0.05", "0.25", "0.35", "1", "1.55"])


def exact_steps(text: str, timeline: Timeline) -> Fraction:
    """A time of a recipe that does not scale it."""
    number = Fraction(text.rstrip("adebpru"))
    return number * {"ba": 1, "ep": 10, "ur": timeline.num_steps}[text[-2:]]


def drawn(ratio: str, **keys: Any) -> Timeline:
    try:
        return run(ratio, method="steps", **keys)
    except RecipeError:
        assume(False)
        raise


@given(ratio=RATIOS, start=TIMES, end=TIMES, interval=INTERVALS)
def test_weights_are_averaged_every_interval_from_start_to_end(ratio: str, start: str, end: str, interval: str) -> None:
    timeline = drawn(ratio, **SWA, swa_start=start, swa_end=end, swa_interval=interval)
    at, step = exact_steps(start, timeline), exact_steps(interval, timeline)
    averaged = set()
    while at <= min(exact_steps(end, timeline), timeline.num_steps):
        averaged.add(round_half_up(at))
        at += step
    assert whole(timeline, "swa") == [int(done + 1 in averaged) for done in range(timeline.num_steps)]
    assert timeline.methods.swa_steps == tuple(sorted(averaged - {0}))


@given(
    ratio=RATIOS,
    start=TIMES,
    end=TIMES,
    scale=st.sampled_from([0.1, 0.5, 0.62, 1]),
    increment=st.sampled_from([1, 3, 4, 32, 300]),
    full=st.sampled_from([32, 33, 224]),
)
def test_images_grow_along_a_line_in_steps_of_the_increment(
    ratio: str, start: str, end: str, scale: float, increment: int, full: int
) -> None:
    keys = {f"progressive_resizing_{name}": value for name, value in (("start", start), ("end", end))}
    keys |= {"progressive_resizing_initial_scale": scale, "progressive_resizing_increment": increment}
    timeline = drawn(ratio, **RESIZING, **keys, model="resnet18", dataset="ImageNet", train_crop_size=full)
    begin, finish = exact_steps(start, timeline), exact_steps(end, timeline)
    sides = whole(timeline, "image_size")
    assert sides == sorted(sides)
    first = full * Fraction(str(scale))
    for step, side in enumerate(sides):
        assert side == full or side % increment == 0
        assert 1 <= side <= full
        progress = (step - begin) / (finish - begin) if finish > begin else Fraction(step >= begin)
        exact = first + (full - first) * min(max(progress, Fraction(0)), Fraction(1))
        # Half an increment by rounding the side, and what half a step is by rounding the step.
        half_step = (full - first) / (finish - begin) / 2 if finish > begin else full - first
        off = Fraction(increment, 2) + half_step
        assert side == increment or side - exact <= off or increment > full
        assert side == full or exact - side <= off
        if step < begin - Fraction(1, 2):
            assert side == sides[0]
        if step >= finish + Fraction(1, 2) and finish >= begin:
            assert side == full


@given(ratio=RATIOS, start=TIMES, level=st.sampled_from([0.3, 0.5, 1]))
def test_layers_freeze_along_a_line_that_is_looked_at_when_an_epoch_begins(
    ratio: str, start: str, level: float
) -> None:
    timeline = drawn(ratio, **FREEZING, layer_freezing_start=start, layer_freezing_level=level)
    begin, end = exact_steps(start, timeline), timeline.num_steps
    for step, share in enumerate(whole(timeline, "frozen_share")):
        epoch = step - step % timeline.lengths.steps_per_epoch
        assert share == pytest.approx(float(max(0, level * (epoch - begin) / (end - begin))) if epoch > begin else 0)


def test_the_frozen_share_of_a_subset_changes_with_its_own_epochs() -> None:
    timeline = run("0.5", **FREEZING, method="subset")
    assert [step for step, _ in timeline.methods.tracks["frozen_share"].changes] == [0, *range(55, 100, 5)]


@pytest.mark.parametrize(
    ("dataset", "more", "changes"),
    [
        ("digits", {}, [(0, 4), (130, 8)]),
        ("digits", {"progressive_resizing_increment": 2}, [(0, 4), (115, 6), (145, 8)]),
        ("FashionMNIST", {}, [(0, 16), (117, 20), (134, 24), (151, 28)]),
        ("CIFAR10", {"progressive_resizing_increment": 8}, [(0, 16), (115, 24), (145, 32)]),
        ("ImageNet", {"progressive_resizing_increment": 56}, [(0, 112), (115, 168), (145, 224)]),
        ("ImageNet", {"train_crop_size": 33, "progressive_resizing_increment": 32}, [(0, 32), (160, 33)]),
    ],
)
def test_the_full_side_is_that_of_a_training_image(dataset: str, more: Keys, changes: list[tuple[int, int]]) -> None:
    timeline = run(**RESIZING, **more, model="resnet18", dataset=dataset)
    assert list(timeline.methods.tracks["image_size"].changes) == changes


def test_images_whose_growth_begins_past_the_end_keep_their_first_size() -> None:
    timeline = run("0.5", **RESIZING, progressive_resizing_start=12, progressive_resizing_increment=1)
    assert set(whole(timeline, "image_size")) == {4}


# Parts of a run.


@given(data=st.data())
def test_the_values_of_a_span_are_those_of_the_run(data: st.DataObject) -> None:
    timeline = run("0.55", **SWA, **RESIZING, **FREEZING, **MIXUP, mixup_off=3, progressive_resizing_increment=1)
    start = data.draw(st.integers(0, timeline.num_steps - 1))
    stop = data.draw(st.integers(start + 1, timeline.num_steps))
    all_of_it = step_values(timeline, 0, timeline.num_steps)
    assert step_values(timeline, start, stop) == {name: column[start:stop] for name, column in all_of_it.items()}
    for name, changes in timeline.methods.values(start, stop).items():
        steps = [step for step, _ in changes]
        assert steps[0] == start
        assert steps == sorted(set(steps))
        assert steps[-1] < stop
        assert [all_of_it[name][step] for step in steps] == [value for _, value in changes]


def test_only_what_is_scheduled_has_a_column() -> None:
    assert column_names(run()) == ("lr",)
    assert column_names(run(**MIXUP)) == ("lr",)
    assert column_names(run(**MIXUP, mixup_off=3, **SWA, **RESIZING, **FREEZING)) == (
        *("lr", "image_size", "frozen_share", "mixup", "swa"),
    )
    assert column_names(run(lr_scheduler="onecyclelr")) == ("lr", "momentum")
    assert column_names(run(lr_scheduler="onecyclelr", lr_cycle_momentum=False)) == ("lr",)
    assert column_names(run(lr_scheduler="onecyclelr", opt="adamw")) == ("lr", "momentum")


def test_what_is_off_has_no_value() -> None:
    timeline = run(mixup_off=3, swa_start=2)
    assert (timeline.methods.tracks, timeline.methods.swa_steps) == ({}, ())
    assert run(**MIXUP).methods.values(3, 7) == {"mixup": ((3, 1.0),)}


def test_a_million_averages_are_found_in_no_time() -> None:
    timeline = run(epochs=10**6, **SWA, swa_interval="1ba", swa_start="0.8dur")
    steps = timeline.methods.swa_steps
    assert (len(steps), steps[0], steps[-1]) == (1_700_001, 8_000_000, 9_700_000)


# Which keys nothing reads.


def test_every_key_of_a_method_is_unused_while_that_is_off() -> None:
    off = unused_keys(Recipe(model="small_cnn", dataset="digits"))
    methods = ("swa", "progressive_resizing", "layer_freezing", "model_ema")
    keys = {key for key in Recipe.model_fields if key.startswith(tuple(f"{method}_" for method in methods))}
    assert off.keys() == keys | {"mixup_off", "scale_methods"}
    on = dict.fromkeys(methods, True) | {"mixup_alpha": 0.1}
    assert unused_keys(Recipe(model="small_cnn", dataset="digits", **on)) == {}
