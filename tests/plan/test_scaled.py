"""A scaled recipe at ratio 1 is the run that it was made from, to the last bit, for whatever a recipe can hold."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep.errors import RecipeError
from sweep.plan.lengths import measure
from sweep.plan.recipe_text import to_yaml
from sweep.plan.scaled import ScaledRecipe, scale
from sweep.plan.stages import make_plan
from sweep.plan.timeline import Timeline
from sweep.plan.values import step_values
from sweep.recipe.check import check_recipe
from sweep.recipe.datasets import DATASETS
from sweep.recipe.duration import Ratio
from sweep.recipe.library import LoadedRecipe, load_recipe, shipped_recipes
from sweep.recipe.schedule import SCHEDULES
from sweep.recipe.schema import Recipe
from sweep.recipe.strict_yaml import read_mapping

Keys = dict[str, Any]
Loader = Callable[..., LoadedRecipe]

LR = 0.3
ONE = Ratio.parse("1")


def loaded(**keys: Any) -> LoadedRecipe:
    given_keys = {"model": "small_cnn", "dataset": "digits", "lr": LR} | keys
    places = {key: f"r.yaml:{line}" for line, key in enumerate(given_keys, start=1)}
    return LoadedRecipe(Recipe.model_validate(given_keys), "r", Path("r.yaml"), places)


def read_back(scaled: ScaledRecipe) -> LoadedRecipe:
    """What the loader makes of the file."""
    values = read_mapping(to_yaml(scaled).encode(), "scaled.yaml").values
    recipe = check_recipe(values, {}, "scaled.yaml")
    assert isinstance(recipe, Recipe), recipe
    return LoadedRecipe(recipe, "scaled", Path("scaled.yaml"), dict.fromkeys(values, "scaled.yaml:1"))


# Durations in every unit, as decimals and as fractions; the longest run below has 40 epochs and 480 steps.
FRACTIONS = st.builds(lambda over, under: f"{over}/{under}", st.integers(1, 60), st.integers(1, 60))
TIMES = st.one_of(
    st.decimals("0.01", 12, places=2).map(lambda epochs: f"{epochs}ep"),
    FRACTIONS.map(lambda amount: f"{amount}ep"),
    st.integers(1, 150).map(lambda steps: f"{steps}ba"),
    st.decimals("0.01", 1, places=2).map(lambda share: f"{share}dur"),
    st.sampled_from(["1/3dur", "2/7dur"]),
)
WARMUPS = st.one_of(
    st.just("0ep"),
    st.decimals("0.01", 2, places=2).map(lambda epochs: f"{epochs}ep"),
    st.sampled_from(["1/3ep", "7/6ep", "1/7dur"]),
    st.integers(0, 12).map(lambda steps: f"{steps}ba"),
    st.decimals("0.01", "0.3", places=2).map(lambda share: f"{share}dur"),
)
ORIGINS = st.sampled_from(["start", "warmup"])
FLOORS = st.floats(0, LR)
OF_SCHEDULERS: dict[str, dict[str, st.SearchStrategy[Any]]] = {
    "steplr": {"lr_step_size": TIMES, "lr_gamma": st.floats(0.01, 1), "lr_step_origin": ORIGINS},
    "multisteplr": {
        "lr_milestones": st.lists(TIMES, min_size=1, max_size=4),
        "lr_gamma": st.floats(0.01, 1),
        "lr_step_origin": ORIGINS,
    },
    "exponentiallr": {"lr_gamma": st.floats(0.01, 1)},
    "cosineannealinglr": {"lr_min": FLOORS},
    "cosineannealingwarmrestarts": {"lr_t_0": TIMES, "lr_t_mult": st.integers(1, 3), "lr_min": FLOORS},
    "linearlr": {"lr_start_factor": st.floats(0, 2), "lr_end_factor": st.floats(0, 2)},
    "polynomiallr": {"lr_power": st.floats(0.1, 4)},
    "constantlr": {},
    "wsd": {"lr_cooldown": TIMES, "lr_cooldown_shape": st.sampled_from(["linear", "1-sqrt"]), "lr_min": FLOORS},
    "onecyclelr": {"lr_pct_start": st.floats(0, 1), "lr_anneal": st.sampled_from(["cos", "linear"])},
}


@st.composite
def baselines(draw: st.DrawFn, scheduler: str) -> tuple[LoadedRecipe, int]:
    """A recipe and the number of examples that it trains on."""
    method = draw(st.sampled_from(["epochs", "epochs", "steps", "steps", "samples", "subset"]))
    epochs: int | str = draw(st.integers(1, 20))
    if method == "steps" and draw(st.booleans()):
        epochs = f"{draw(st.integers(1, 240))}ba"
    keys = {
        "epochs": epochs,
        "method": method,
        "batch_size": draw(st.sampled_from([1, 4])),
        "lr_scheduler": scheduler,
        "lr_interval": draw(st.sampled_from(["step", "epoch"])),
        "lr_warmup_epochs": draw(WARMUPS),
        "lr_warmup_method": draw(st.sampled_from(["constant", "linear"])),
        "lr_warmup_decay": draw(st.floats(0, 1)),
        "scale_warmup": draw(st.booleans()),
    }
    of_scheduler = {key: draw(values) for key, values in OF_SCHEDULERS[scheduler].items()}
    return loaded(**keys, **of_scheduler), draw(st.integers(2, 12))


@st.composite
def ratios(draw: st.DrawFn, baseline: LoadedRecipe) -> Ratio:
    """A ratio that the method of `baseline` can be scaled by."""
    if baseline.recipe.method in ("samples", "subset"):
        return ONE
    value = Fraction(draw(st.integers(1, 60)), draw(st.integers(1, 30)))
    return Ratio(min(value, Fraction(2)), str(value))


def scaled_or_refused(baseline: LoadedRecipe, ratio: Ratio, examples: int) -> ScaledRecipe | None:
    """The scaled recipe; None where `sweep plan` refuses the ratio too."""
    try:
        return scale(baseline, ratio, examples)
    except RecipeError:
        with pytest.raises(RecipeError):
            make_plan(baseline, (ratio,), 1, examples)
        return None


def runs(scaled: ScaledRecipe, examples: int) -> tuple[Timeline, Timeline]:
    """The run that was asked for, and that of the scaled recipe's file at ratio 1."""
    alone = read_back(scaled).recipe
    return Timeline(scaled.loaded.recipe, scaled.lengths), Timeline(alone, measure(alone, ONE, examples))


@pytest.mark.parametrize("scheduler", SCHEDULES)
@given(data=st.data())
def test_a_scaled_recipe_at_ratio_1_is_the_run_to_the_last_bit(scheduler: str, data: st.DataObject) -> None:
    baseline, examples = data.draw(baselines(scheduler))
    scaled = scaled_or_refused(baseline, data.draw(ratios(baseline)), examples)
    if scaled is None:
        return
    asked, alone = runs(scaled, examples)
    assert alone.num_steps == asked.num_steps
    assert alone.lengths.warmup_steps == asked.lengths.warmup_steps
    assert alone.lengths.steps_per_epoch == asked.lengths.steps_per_epoch
    assert alone.lengths.num_examples == asked.lengths.num_examples
    assert alone.positions == asked.positions
    theirs, ours = asked.rates(0, asked.num_steps), alone.rates(0, alone.num_steps)
    if scheduler == "exponentiallr":
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-12 * LR)
    else:
        assert (ours == theirs).all()


@pytest.mark.parametrize("scheduler", SCHEDULES)
@given(data=st.data())
def test_the_file_of_a_scaled_recipe_is_read_back_as_it_is(scheduler: str, data: st.DataObject) -> None:
    baseline, examples = data.draw(baselines(scheduler))
    scaled = scaled_or_refused(baseline, data.draw(ratios(baseline)), examples)
    if scaled is not None:
        assert read_back(scaled).recipe == scaled.recipe
        again = scale(read_back(scaled), ONE, examples)
        assert again.recipe == scaled.recipe
        assert again.keys == scaled.keys


@pytest.mark.parametrize("scheduler", sorted(set(SCHEDULES) - {"exponentiallr"}))
@given(data=st.data())
def test_scaling_twice_by_whole_lengths_is_scaling_once(scheduler: str, data: st.DataObject) -> None:
    baseline, examples = data.draw(baselines(scheduler))
    if baseline.recipe.method in ("samples", "subset"):
        return
    first = scaled_or_refused(baseline, data.draw(ratios(baseline)), examples)
    if first is None:
        return
    # A ratio of the baseline's steps, exact for both: k steps of N, and of N x r.
    unit = 1 if baseline.recipe.method == "steps" else first.lengths.steps_per_epoch
    steps = unit * data.draw(st.integers(1, 40))
    total, shorter = first.lengths.dilation.baseline_steps, first.lengths.num_steps
    once = scaled_or_refused(baseline, Ratio(Fraction(steps, total), "once"), examples)
    if once is None:
        return
    twice = scale(read_back(first), Ratio(Fraction(steps, shorter), "twice"), examples)
    one, other = (Timeline(run.loaded.recipe, run.lengths) for run in (once, twice))
    assert one.num_steps == other.num_steps == steps
    assert (one.rates(0, steps) == other.rates(0, steps)).all()


METHODS: dict[str, dict[str, st.SearchStrategy[Any]]] = {
    "mixup": {"cutmix_alpha": st.just(0.3), "mixup_off": TIMES},
    "swa": {
        "swa": st.just(True),
        "swa_start": TIMES,
        "swa_end": st.one_of(TIMES, st.just("1dur")),
        "swa_interval": TIMES,
    },
    "progressive_resizing": {
        "progressive_resizing": st.just(True),
        "progressive_resizing_start": TIMES,
        "progressive_resizing_end": st.one_of(TIMES, st.just("1dur")),
        "progressive_resizing_increment": st.sampled_from([1, 2, 3]),
    },
    "layer_freezing": {
        "layer_freezing": st.just(True),
        "layer_freezing_start": TIMES,
        "layer_freezing_level": st.floats(0, 1),
    },
    "onecyclelr": {"lr_scheduler": st.just("onecyclelr"), "lr_pct_start": st.floats(0, 1)},
}


@st.composite
def with_methods(draw: st.DrawFn) -> tuple[LoadedRecipe, int]:
    """A recipe of any set of methods, and the number of examples that it trains on."""
    chosen = draw(st.sets(st.sampled_from(sorted(METHODS)), min_size=1))
    keys: Keys = {"epochs": draw(st.integers(1, 20)), "batch_size": draw(st.sampled_from([1, 4]))}
    keys |= {"method": draw(st.sampled_from(["epochs", "steps"])), "scale_methods": draw(st.booleans())}
    for name in sorted(chosen):
        keys |= {key: draw(values) for key, values in METHODS[name].items()}
    return loaded(**keys), draw(st.integers(2, 12))


@given(data=st.data())
def test_methods_do_in_a_scaled_recipe_what_they_do_at_the_ratio(data: st.DataObject) -> None:
    baseline, examples = data.draw(with_methods())
    scaled = scaled_or_refused(baseline, data.draw(ratios(baseline)), examples)
    if scaled is None:
        return
    asked, alone = runs(scaled, examples)
    assert step_values(alone, 0, alone.num_steps) == step_values(asked, 0, asked.num_steps)
    again = scale(read_back(scaled), ONE, examples)
    assert (again.recipe, again.keys) == (scaled.recipe, scaled.keys)


@pytest.mark.parametrize(
    ("keys", "key", "text"),
    [
        ({"swa": True}, "swa_start", "0.7dur"),
        ({"swa": True}, "swa_interval", "1ep"),
        ({"swa": True, "swa_start": 4}, "swa_start", "4ep"),
        ({"swa": True, "swa_start": 4, "scale_methods": True}, "swa_start", "2ep"),
        ({"swa": True, "scale_methods": True}, "swa_interval", "0.5ep"),
        ({"swa": True, "swa_start": "1000ba"}, "swa_start", "1000ba"),
        ({"swa": True, "swa_start": "1001ba", "scale_methods": True}, "swa_start", "5.005ep"),
        ({"mixup_alpha": 0.2, "mixup_off": 5}, "mixup_off", "5ep"),
        ({"mixup_alpha": 0.2, "mixup_off": 5, "scale_methods": True}, "mixup_off", "2.5ep"),
        ({"model_ema": True}, "model_ema_decay", "0.99999"),
        ({"model_ema": True, "model_ema_decay": 0.9}, "model_ema_decay", "0.95"),
    ],
)
def test_the_methods_of_half_of_twenty_epochs_are_written_exactly(keys: Keys, key: str, text: str) -> None:
    scaled = scale(loaded(epochs=20, batch_size=10, **keys), Ratio.parse("0.5"), 1000)
    assert str(getattr(scaled.recipe, key)) == text
    assert key in scaled.keys or key not in keys


def test_an_average_that_begins_with_another_warm_up_cannot_be_said() -> None:
    baseline = loaded(epochs=20, batch_size=10, model_ema=True, lr_warmup_epochs="0.1dur")
    with pytest.raises(RecipeError, match=r"model_ema: ratio 0.5: its average begins .* at step 200, and no recipe"):
        scale(baseline, Ratio.parse("0.5"), 1000)
    assert scale(baseline, ONE, 1000).recipe == baseline.recipe
    kept = loaded(epochs=20, batch_size=10, model_ema=True, lr_warmup_epochs=2)
    assert scale(kept, Ratio.parse("0.5"), 1000).lengths.warmup_steps == 200


@pytest.mark.parametrize("name", shipped_recipes())
@pytest.mark.parametrize("ratio", ["0.5", "1/3", "1.5"])
def test_a_shipped_recipe_is_scaled_to_the_last_bit(name: str, ratio: str) -> None:
    baseline = load_recipe(name)
    examples = DATASETS[baseline.recipe.dataset].num_train
    asked, alone = runs(scale(baseline, Ratio.parse(ratio), examples), examples)
    assert alone.num_steps == asked.num_steps > 0
    if baseline.recipe.lr_scheduler != "exponentiallr":
        assert all((ours[1] == theirs[1]).all() for ours, theirs in zip(alone.spans(), asked.spans(), strict=True))


# By hand.


@pytest.mark.parametrize(
    ("keys", "key", "text"),
    [
        ({"lr_scheduler": "steplr", "lr_step_size": 6}, "lr_step_size", "3ep"),
        ({"lr_scheduler": "steplr", "lr_step_size": "1/3ep"}, "lr_step_size", "1/6ep"),
        ({"lr_scheduler": "steplr", "lr_step_size": "150ba"}, "lr_step_size", "75ba"),
        ({"lr_scheduler": "steplr", "lr_step_size": "151ba"}, "lr_step_size", "0.755ep"),
        ({"lr_scheduler": "steplr", "lr_step_size": "0.3dur", "lr_warmup_epochs": 2}, "lr_step_size", "0.3dur"),
        ({"lr_scheduler": "steplr", "lr_step_size": "0.3dur", "lr_step_origin": "warmup"}, "lr_step_size", "0.3dur"),
        (
            # 6 of 20 epochs, stretched by 8 of 18
            {"lr_scheduler": "steplr", "lr_step_size": 6, "lr_step_origin": "warmup", "lr_warmup_epochs": 2},
            "lr_step_size",
            "8/3ep",
        ),
        (
            {"lr_scheduler": "steplr", "lr_step_size": "0.3dur", "lr_step_origin": "warmup", "lr_warmup_epochs": 2},
            "lr_step_size",
            "8/3ep",
        ),
        ({"lr_scheduler": "cosineannealingwarmrestarts", "lr_t_0": "0.3dur", "lr_warmup_epochs": 2}, "lr_t_0", "8/3ep"),
        ({"lr_scheduler": "cosineannealingwarmrestarts", "lr_t_0": "0.3dur"}, "lr_t_0", "0.3dur"),
        ({"lr_scheduler": "wsd"}, "lr_cooldown", "0.2dur"),
        ({"lr_scheduler": "wsd", "lr_cooldown": "9ep", "lr_warmup_epochs": 2}, "lr_cooldown", "4ep"),
        ({"lr_warmup_epochs": 2}, "lr_warmup_epochs", "2ep"),
        ({"lr_warmup_epochs": "33ba"}, "lr_warmup_epochs", "33ba"),
        ({"lr_warmup_epochs": "33ba", "scale_warmup": True}, "lr_warmup_epochs", "0.165ep"),
        ({"lr_warmup_epochs": "34ba", "scale_warmup": True}, "lr_warmup_epochs", "17ba"),
        ({"lr_warmup_epochs": "0.1dur"}, "lr_warmup_epochs", "0.1dur"),
        ({"lr_warmup_epochs": "0.1dur", "scale_warmup": True}, "lr_warmup_epochs", "0.1dur"),
        ({}, "epochs", "10ep"),
        ({"method": "steps"}, "epochs", "1000ba"),
    ],
)
def test_half_of_twenty_epochs_is_written_exactly(keys: Keys, key: str, text: str) -> None:
    scaled = scale(loaded(epochs=20, batch_size=10, **keys), Ratio.parse("0.5"), 1000)
    assert str(getattr(scaled.recipe, key)) == text
    assert key in scaled.keys


def test_milestones_are_written_one_by_one() -> None:
    keys = {"lr_scheduler": "multisteplr", "lr_milestones": ["7ep", "1001ba", "0.9dur"], "lr_warmup_epochs": 2}
    scaled = scale(loaded(epochs=20, batch_size=10, lr_step_origin="warmup", **keys), Ratio.parse("0.5"), 1000)
    assert [str(at) for at in scaled.recipe.lr_milestones] == ["28/9ep", "1001/225ep", "0.9dur"]


def test_gamma_of_an_exponential_decays_as_far_in_half_the_epochs() -> None:
    keys = {"lr_scheduler": "exponentiallr", "lr_gamma": 0.9, "lr_warmup_epochs": 2}
    scaled = scale(loaded(epochs=20, **keys), Ratio.parse("0.5"), 1000)
    assert scaled.recipe.lr_gamma == pytest.approx(0.9 ** (18 / 8), rel=1e-15)


def test_a_task_of_ones_own_is_scaled_with_its_arguments(load: Loader) -> None:
    arguments = {"width": 3, "names": ["a b", "null"], "deep": {"rate": 0.5, "on": True, "none": None}}
    recipe = Recipe(task="mine:make_task", task_args=arguments, epochs=20, metric="perplexity", mode="min")
    scaled = scale(LoadedRecipe(recipe, "r", Path("r.yaml"), {}), Ratio.parse("0.5"), 1000)
    assert read_back(scaled).recipe == scaled.recipe
    assert scaled.recipe.task_args == arguments
    assert not {"model", "dataset"} & set(scaled.keys)


def test_what_a_reader_elsewhere_could_take_otherwise_is_written_out() -> None:
    bare = LoadedRecipe(Recipe.model_validate({"model": "small_cnn", "dataset": "digits"}), "r", Path("r.yaml"), {})
    scaled = scale(bare, Ratio.parse("0.5"), 1000)
    assert scaled.keys == ("model", "dataset", "epochs", "lr_scheduler", "lr_step_size", "lr_gamma", "lr_step_origin")


def test_a_key_that_the_scheduler_ignores_is_not_written(load: Loader) -> None:
    scaled = scale(load(lr_scheduler="constantlr", lr_step_size=3, lr_min=0.01), Ratio.parse("0.5"), 1000)
    assert not {"lr_step_size", "lr_min", "lr_step_origin"} & set(scaled.keys)
    assert [problem.key for problem in scaled.warnings] == ["lr_min", "lr_step_size"]


@pytest.mark.parametrize("method", ["samples", "subset"])
def test_fewer_examples_an_epoch_are_refused_with_what_to_do(load: Loader, method: str) -> None:
    baseline = load(epochs=20, method=method)
    with pytest.raises(RecipeError) as refused:
        scale(baseline, Ratio.parse("0.5"), 1000)
    [problem] = refused.value.problems
    assert str(problem) == (
        f"r.yaml:4: method: ratio 0.5: {method} draws fewer examples an epoch, and no recipe can say that "
        "(scale it with --method epochs or steps)"
    )
    assert scale(baseline, ONE, 1000).recipe == baseline.recipe
    assert scale(load(epochs=20, method="steps"), Ratio.parse("0.5"), 1000).lengths.num_steps == 320


def test_everything_that_is_wrong_is_reported_at_once(load: Loader) -> None:
    with pytest.raises(RecipeError) as refused:
        scale(load(epochs=20, method="samples", batch_size=499, lr_warmup_epochs=20), Ratio.parse("0.5"), 1000)
    assert [problem.key for problem in refused.value.problems] == ["batch_size", "lr_warmup_epochs", "method"]


def test_what_plan_refuses_is_refused(load: Loader) -> None:
    with pytest.raises(RecipeError, match="of 20 epochs that is none"):
        scale(load(epochs=20), Ratio.parse("0.01"), 1000)
    with pytest.raises(RecipeError, match="the warm-up of 160 steps fills the run of 160"):
        scale(load(epochs=20, lr_warmup_epochs=5), Ratio.parse("0.25"), 1000)


def test_the_warnings_are_the_plans(load: Loader) -> None:
    baseline = load(epochs=20, lr_scheduler="cosineannealinglr", lr_warmup_epochs=5)
    ratio = Ratio.parse("0.5")
    assert scale(baseline, ratio, 1000).warnings == make_plan(baseline, (ratio,), 1, 1000).warnings
    assert [problem.key for problem in scale(baseline, ratio, 1000).warnings] == ["lr_warmup_epochs"]


def test_a_gamma_too_small_to_write_is_refused(load: Loader) -> None:
    baseline = load(epochs=100, lr_scheduler="exponentiallr", lr_gamma="1e-50")
    with pytest.raises(RecipeError, match=r"r.yaml:5: lr_gamma: ratio 0\.01: .* \(no recipe can say"):
        scale(baseline, Ratio.parse("0.01"), 1000)


def test_a_fraction_too_long_to_write_is_refused() -> None:
    size = f"{10**38 - 1}/{10**38 - 3}ep"
    baseline = loaded(epochs=20, lr_scheduler="steplr", lr_step_size=size)
    with pytest.raises(RecipeError, match=r"r.yaml:6: lr_step_size: ratio 7/20: .* \(no recipe can say"):
        scale(baseline, Ratio.parse("7/20"), 1000)


def test_the_longest_decimal_of_the_longest_run_can_be_written_and_scaled_again(tmp_path: Path) -> None:
    path = tmp_path / "long.yaml"
    path.write_text(
        "model: small_cnn\ndataset: digits\nbatch_size: 1\nepochs: 99999999ba\nmethod: steps\nlr_warmup_epochs: 7ba\n"
        "lr_scheduler: cosineannealingwarmrestarts\nlr_t_0: 0.123456789012347dur\n"
    )
    first = scale(load_recipe(str(path)), Ratio.parse("0.99999"), 59_999)
    path.write_text(to_yaml(first))
    again = scale(load_recipe(str(path)), Ratio.parse("0.99999"), 59_999)
    assert len(str(first.recipe.lr_t_0)) > 40
    assert len(str(again.recipe.lr_t_0)) <= 80
