"""What a cyclic run cannot be trained with: one run stands in for several, and what follows the length of a run would
have to follow each of theirs.
"""

from __future__ import annotations

from collections.abc import Iterator

from sweep.errors import Problem
from sweep.plan.lengths import Lengths, ratios_of
from sweep.plan.methods import TIMES, Times, is_on
from sweep.plan.problems import problem
from sweep.recipe.cycles import FALLING, MIN_CYCLES, end_ratios, end_steps
from sweep.recipe.library import LoadedRecipe

_INSTEAD = "or train scaled runs, without --mode cyclic"


def cycle_refusals(loaded: LoadedRecipe, runs: tuple[Lengths, ...]) -> Iterator[Problem]:
    """Everything that `runs` of `method: cyclic` are refused for beside what any run is."""
    yield from _scheduler(loaded)
    yield from _methods(loaded, runs[0])
    if not runs[0].num_cycles:
        yield _no_room(loaded, runs[0])
        return
    yield from _no_ends(runs)
    yield from _inside_epochs(loaded, runs[0])


def _scheduler(loaded: LoadedRecipe) -> Iterator[Problem]:
    scheduler = loaded.recipe.lr_scheduler
    if scheduler not in FALLING:
        why = "its rate never falls" if scheduler == "constantlr" else "it has cycles of its own"
        yield problem(loaded, "lr_scheduler", f"{scheduler} makes no cycles: {why}", fix=f"take another, {_INSTEAD}")


def _methods(loaded: LoadedRecipe, run: Lengths) -> Iterator[Problem]:
    """Methods that go by a run's length, of which a cyclic run stands in for several."""
    recipe, times = loaded.recipe, Times(loaded.recipe, run)
    for method in ("swa", "layer_freezing"):
        if is_on(recipe, method):
            message = "goes by the end of a run, and a cyclic run stands in for several"
            yield problem(loaded, method, message, fix=f"turn it off, {_INSTEAD}")
    for method in ("mixup_off", "progressive_resizing"):
        for key in TIMES[method] if is_on(recipe, method) else ():
            if times.follow_run(key):
                message = "follows the length of a run, and a cyclic run stands in for several"
                yield problem(loaded, key, message, fix=f"give an absolute time, {_INSTEAD}")


def _no_room(loaded: LoadedRecipe, run: Lengths) -> Problem:
    first = float(run.in_epochs(1) * end_ratios(MIN_CYCLES)[0] * run.dilation.baseline_steps)
    message = f"no room for {MIN_CYCLES} cycles: the first would have {first:.3g} epochs"
    fix = f"it needs one at least, and twice the warm-up: take a longer baseline or a shorter warm-up, {_INSTEAD}"
    return problem(loaded, "epochs", message, fix=fix)


def _no_ends(runs: tuple[Lengths, ...]) -> Iterator[Problem]:
    ends = end_steps(runs[0].num_cycles, runs[0].dilation.baseline_steps)
    names = ",".join(ratio.text for ratio in ratios_of(runs[0].num_cycles))
    for run in runs:
        if run.num_steps not in ends:
            message, fix = "no cycle ends there", f"take some of {names}, or leave --ratios out"
            yield Problem(message, where="--ratios", ratio=run.ratio.text, fix=fix)


def _inside_epochs(loaded: LoadedRecipe, run: Lengths) -> Iterator[Problem]:
    """With one rate an epoch the rest of an epoch in which a cycle begins would have the rate of the one before."""
    ends = end_steps(run.num_cycles, run.dilation.baseline_steps)
    if loaded.recipe.lr_interval == "epoch" and any(end % run.steps_per_epoch for end in ends):
        whole = (2**run.num_cycles) - 1
        message = "the rate changes once an epoch, and cycles begin inside epochs"
        fix = f"take lr_interval: step, or a baseline of {whole}, {2 * whole}, … epochs"
        yield problem(loaded, "lr_interval", message, fix=fix)
