"""A recipe x a ratio -> the recipe which at ratio 1 is that run: the same steps, and every value equal to the last bit
(for exponentiallr equal to rounding, since `lr_gamma` itself changes, as does the decay of `model_ema`).

Lengths that are dilated are written as exact fractions. What no recipe can say, fewer examples an epoch, is refused.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from math import pow

from sweep.errors import Complaints, Problem, RecipeError
from sweep.plan.lengths import Lengths, follows_run
from sweep.plan.methods import TIMES, Times, is_on
from sweep.plan.stages import make_plan
from sweep.recipe.check import check_recipe
from sweep.recipe.duration import Duration, Ratio, Unit, exact
from sweep.recipe.library import LoadedRecipe, shown_path
from sweep.recipe.schedule import SCHEDULES, Dilation
from sweep.recipe.schema import Recipe

# Written even where they are defaults, as is all that the scheduler reads: it is to be read elsewhere.
_ALWAYS = frozenset({"model", "dataset", "epochs", "lr_scheduler"})


@dataclass(frozen=True)
class ScaledRecipe:
    """`recipe` at ratio 1 is the run `lengths` of `loaded`. `warnings` are those of that run's plan."""

    loaded: LoadedRecipe
    lengths: Lengths
    recipe: Recipe
    warnings: tuple[Problem, ...]

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys to write: those that were given or are no defaults, and of the schedulers' those of its own."""
        read = SCHEDULES[self.recipe.lr_scheduler].keys
        ignored = frozenset().union(*(schedule.keys for schedule in SCHEDULES.values())) - read
        return tuple(key for key in Recipe.model_fields if key in read or (key not in ignored and self._is_told(key)))

    @property
    def times(self) -> tuple[str, ...]:
        """The keys that other ratios have other values of: its length, and what goes with it."""
        return tuple(_changed(self.loaded.recipe, self.lengths))

    def _is_told(self, key: str) -> bool:
        value = getattr(self.recipe, key)
        is_always = key in _ALWAYS and value is not None
        return is_always or key in self.loaded.places or value != Recipe.model_fields[key].default


def scale(loaded: LoadedRecipe, ratio: Ratio, dataset_examples: int) -> ScaledRecipe:
    """Write `loaded` at `ratio` as a recipe of its own, over `dataset_examples` training examples.

    Raises:
        RecipeError: with everything that cannot be trained, or cannot be said in a recipe.
    """
    complaints = Complaints()
    if loaded.recipe.method == "cyclic":
        raise RecipeError(_cyclic(loaded))
    with complaints:
        plan = make_plan(loaded, (ratio,), 1, dataset_examples)
    if ratio.value < 1 and loaded.recipe.method in ("samples", "subset"):
        complaints.problems.append(_fewer_examples(loaded, ratio))
    if complaints.problems:
        raise RecipeError(complaints.problems)
    [timeline] = plan.timelines
    dilation = timeline.lengths.dilation
    if loaded.recipe.model_ema and dilation.warmup_steps != dilation.baseline_warmup_steps:
        raise RecipeError(_other_warmup(loaded, timeline.lengths))
    return ScaledRecipe(loaded, timeline.lengths, _scaled(loaded, timeline.lengths), plan.warnings)


def _cyclic(loaded: LoadedRecipe) -> Problem:
    message = "a cyclic run comes down once a cycle, and no recipe can say that"
    return Problem(message, loaded.place("method"), "method", fix="scale it with --method epochs or steps")


def _fewer_examples(loaded: LoadedRecipe, ratio: Ratio) -> Problem:
    message = f"{loaded.recipe.method} draws fewer examples an epoch, and no recipe can say that"
    return Problem(message, loaded.place("method"), "method", ratio.text, "scale it with --method epochs or steps")


def _other_warmup(loaded: LoadedRecipe, run: Lengths) -> Problem:
    steps = run.dilation.baseline_warmup_steps
    message = f"its average begins when the baseline's warm-up ends, at step {steps}, and no recipe can say that"
    return Problem(message, loaded.place("model_ema"), "model_ema", run.ratio.text, "keep the warm-up's length")


def _scaled(loaded: LoadedRecipe, run: Lengths) -> Recipe:
    recipe = loaded.recipe
    changed = _changed(recipe, run)
    # As texts: so it is known that what is written can be read. A key at its default may be of no use to the recipe.
    values = recipe.model_dump(exclude_defaults=True) | {key: _text(value) for key, value in changed.items()}
    checked = check_recipe(values, loaded.places, default_place=shown_path(loaded.path))
    if isinstance(checked, list):
        fix = "no recipe can say what it would be at this ratio; take another one"
        raise RecipeError(replace(problem, ratio=run.ratio.text, fix=fix) for problem in checked)
    return checked


def _changed(recipe: Recipe, run: Lengths) -> dict[str, object]:
    return {
        "epochs": _length(recipe, run),
        "lr_warmup_epochs": _warmup(recipe, run),
        **_schedule(recipe, run),
        **_methods(recipe, run),
    }


def _text(value: object) -> object:
    if isinstance(value, list):
        return [_text(item) for item in value]
    return str(value) if isinstance(value, Duration) else value


def _length(recipe: Recipe, run: Lengths) -> Duration:
    in_steps = recipe.method == "steps"
    return Duration(Fraction(run.num_steps), Unit.STEP) if in_steps else Duration(run.num_epochs)


def _warmup(recipe: Recipe, run: Lengths) -> Duration:
    warmup = recipe.lr_warmup_epochs
    steps = run.dilation.baseline_length(warmup)
    return _respelled(warmup, steps * run.realised if follows_run(recipe) else steps, run)


def _schedule(recipe: Recipe, run: Lengths) -> dict[str, object]:
    """The keys of the scheduler that are other ones in the scaled recipe."""
    dilation, from_warmup = run.dilation, recipe.lr_step_origin == "warmup"
    match recipe.lr_scheduler:
        case "steplr":
            size = recipe.lr_step_size
            return {"lr_step_size": _respelled(size, dilation.interval(size, from_warmup), run)}
        case "multisteplr":
            lengths = ((at, dilation.length(at, from_warmup)) for at in recipe.lr_milestones)
            return {"lr_milestones": [_respelled(at, steps, run) for at, steps in lengths]}
        case "cosineannealingwarmrestarts":
            assert recipe.lr_t_0 is not None  # a required key
            return {"lr_t_0": _respelled(recipe.lr_t_0, dilation.interval(recipe.lr_t_0, from_warmup=True), run)}
        case "wsd":
            cooldown = recipe.lr_cooldown
            return {"lr_cooldown": _respelled(cooldown, dilation.length(cooldown, from_warmup=True), run)}
        case "exponentiallr":
            return {"lr_gamma": _gamma(recipe.lr_gamma, dilation)}
    return {}


def _methods(recipe: Recipe, run: Lengths) -> dict[str, object]:
    """The keys of the methods that are other ones in the scaled recipe: what follows the run."""
    times = Times(recipe, run)
    found: dict[str, object] = {
        key: _respelled(getattr(recipe, key), times.steps(key), run)
        for method, keys in TIMES.items()
        if is_on(recipe, method)
        for key in keys
    }
    if recipe.model_ema:
        # A shorter baseline's average would forget faster: what it forgets an epoch goes with the epochs.
        found["model_ema_decay"] = float(1 - (1 - exact(recipe.model_ema_decay)) * run.realised)
    return found


def _gamma(gamma: float, run: Dilation) -> float:
    """The factor of an epoch that makes the same of the scaled run's epochs after its warm-up."""
    stretch = Fraction(run.baseline_steps - run.baseline_warmup_steps, run.num_steps - run.warmup_steps)
    return pow(gamma, stretch)


def _respelled(duration: Duration, steps: Fraction, run: Lengths) -> Duration:
    """`steps` of the run as a duration: `duration` itself where it means them, else in its unit or in epochs."""
    dilation = run.dilation
    alone = replace(dilation, baseline_steps=dilation.num_steps, baseline_warmup_steps=dilation.warmup_steps)
    if alone.baseline_length(duration) == steps:
        return duration
    if duration.unit is Unit.STEP and steps.denominator == 1:
        return Duration(steps, Unit.STEP)
    return Duration(steps / dilation.steps_per_epoch)
