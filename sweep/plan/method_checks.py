"""What is refused and warned of in the times of training methods, and in a momentum that is scheduled."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

from sweep.errors import Problem
from sweep.plan.lengths import Lengths
from sweep.plan.methods import TIMES, Times, is_on, unused_keys
from sweep.plan.problems import problem
from sweep.plan.timeline import Timeline
from sweep.recipe.duration import round_half_up
from sweep.recipe.library import LoadedRecipe


def recipe_refusals(loaded: LoadedRecipe) -> Iterator[Problem]:
    """What no ratio can be trained with."""
    recipe = loaded.recipe
    if recipe.lr_scheduler == "onecyclelr" and recipe.lr_warmup_epochs.amount > 0:
        message = "onecyclelr has a warm-up of its own: the first lr_pct_start of the run"
        yield problem(loaded, "lr_warmup_epochs", message, fix="leave it out")


def method_refusals(loaded: LoadedRecipe, run: Lengths) -> Iterator[Problem]:
    """What this run cannot be trained with."""
    recipe, times = loaded.recipe, Times(loaded.recipe, run)
    for method in ("swa", "progressive_resizing"):
        if is_on(recipe, method):
            yield from _order(loaded, times, *TIMES[method][:2])
    if recipe.swa and (interval := times.steps("swa_interval")) < 1:
        message = f"an interval of {float(interval):.3g} steps is under one step"
        yield problem(loaded, "swa_interval", message, run, "take a longer one, or a larger ratio")


def _order(loaded: LoadedRecipe, times: Times, start: str, end: str) -> Iterator[Problem]:
    first, last = times.steps(start), times.steps(end)
    if last < first < times.lengths.num_steps:  # a start past the run's end is warned of
        message = f"step {_step(first)} lies after {end}, step {_step(last)}"
        yield problem(loaded, start, message, times.lengths, "give both in dur, or both in epochs")


def _step(position: Fraction) -> str:
    return f"{float(position):.10g}"


def ignored_keys(loaded: LoadedRecipe) -> Iterator[Problem]:
    """Keys that only a method which is off reads."""
    recipe = loaded.recipe
    for key, reason in unused_keys(recipe).items():
        if key in loaded.places:
            yield problem(loaded, key, f"ignored: {reason}")
    if recipe.lr_scheduler != "onecyclelr":
        return
    if recipe.lr_cycle_momentum and recipe.opt != "adamw" and "momentum" in loaded.places:
        yield problem(loaded, "momentum", "ignored: lr_scheduler onecyclelr cycles it")
    if not recipe.lr_cycle_momentum:
        for key in sorted({"lr_base_momentum", "lr_max_momentum"} & loaded.places.keys()):
            yield problem(loaded, key, "ignored: lr_cycle_momentum is off")


def method_warnings(loaded: LoadedRecipe, timeline: Timeline) -> Iterator[Problem]:
    """What is trained, but perhaps not as it was meant."""
    checks = {
        "mixup_off": _mixup,
        "swa": _averaging,
        "progressive_resizing": _image_size,
        "layer_freezing": _frozen_share,
    }
    for method, check in checks.items():
        if is_on(loaded.recipe, method):
            yield from check(loaded, timeline)
    if loaded.recipe.model_ema and loaded.recipe.model_ema_steps > timeline.num_steps:
        message = f"the run of {timeline.num_steps} steps ends before the first update of the average"
        yield problem(loaded, "model_ema_steps", message, timeline.lengths)


def _past(loaded: LoadedRecipe, timeline: Timeline, key: str, effect: str) -> list[Problem]:
    """A time that lies past the end of the run."""
    run = timeline.lengths
    if Times(loaded.recipe, run).steps(key) <= run.num_steps:
        return []
    message = f"{getattr(loaded.recipe, key)} lies past the end of the run: {effect}"
    fix = None if loaded.recipe.scale_methods else "give it in dur, or set scale_methods: true"
    return [problem(loaded, key, message, run, fix)]


def _unreached(loaded: LoadedRecipe, timeline: Timeline, key: str, effect: str) -> list[Problem]:
    """A time from which something holds, and that no step of the run reaches."""
    run, time = timeline.lengths, getattr(loaded.recipe, key)
    if past := _past(loaded, timeline, key, effect):
        return past
    if round_half_up(Times(loaded.recipe, run).steps(key)) < run.num_steps:
        return []
    message = f"{time} falls on the end of the run, step {run.num_steps}: {effect}"
    return [problem(loaded, key, message, run)]


def _mixup(loaded: LoadedRecipe, timeline: Timeline) -> Iterator[Problem]:
    yield from _unreached(loaded, timeline, "mixup_off", "images are mixed throughout")
    if not timeline.methods.tracks["mixup"].at(0):
        yield problem(loaded, "mixup_off", "falls on step 0: images are never mixed", timeline.lengths)


def _averaging(loaded: LoadedRecipe, timeline: Timeline) -> Iterator[Problem]:
    if past := _past(loaded, timeline, "swa_start", "no weights are averaged"):
        yield from past
        return
    yield from _past(loaded, timeline, "swa_end", "weights are averaged up to that end")
    steps = timeline.methods.swa_steps
    if len(steps) < 2:
        found = f"the weights after step {steps[0]} are alone in their average" if steps else "no weights are averaged"
        yield problem(loaded, "swa_interval", f"{loaded.recipe.swa_interval}: {found}", timeline.lengths)


def _image_size(loaded: LoadedRecipe, timeline: Timeline) -> Iterator[Problem]:
    if unreached := _unreached(loaded, timeline, "progressive_resizing_start", "images keep their first size"):
        yield from unreached
        return
    yield from _past(loaded, timeline, "progressive_resizing_end", "images do not reach their full size before it")
    if len(timeline.methods.tracks["image_size"].changes) == 1:
        yield problem(loaded, "progressive_resizing", "every image has one size", timeline.lengths)


def _frozen_share(loaded: LoadedRecipe, timeline: Timeline) -> Iterator[Problem]:
    if unreached := _unreached(loaded, timeline, "layer_freezing_start", "no layer is frozen"):
        yield from unreached
    elif len(timeline.methods.tracks["frozen_share"].changes) == 1:
        message = "no epoch begins with a layer frozen"
        yield problem(loaded, "layer_freezing", message, timeline.lengths)
