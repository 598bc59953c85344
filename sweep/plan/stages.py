"""Timelines -> Stages: the spans of steps that are trained, and the Plan that holds Trials and Stages together.

Each Trial is a single Stage of its own.
"""

from __future__ import annotations

import hashlib
import random
from dataclasses import dataclass
from functools import cached_property

from sweep.errors import Problem, RecipeError
from sweep.plan.checks import refusals, warnings
from sweep.plan.grid import Trial, make_grid
from sweep.plan.lengths import measure
from sweep.plan.timeline import Timeline
from sweep.recipe.duration import Ratio
from sweep.recipe.library import LoadedRecipe
from sweep.recipe.schema import MAX_SEED


@dataclass(frozen=True)
class Stage:
    """Steps `start_step` … `stop_step - 1` of a trial. `eval_steps`: evaluate when so many steps are done."""

    id: str
    trial: Trial
    start_step: int
    stop_step: int
    eval_steps: tuple[int, ...]

    @property
    def num_steps(self) -> int:
        return self.stop_step - self.start_step


@dataclass(frozen=True)
class Plan:
    """What will run. `stages` stand in the order in which one Worker trains them, shuffled by `order_seed`."""

    loaded: LoadedRecipe
    timelines: tuple[Timeline, ...]
    trials: tuple[Trial, ...]
    stages: tuple[Stage, ...]
    order_seed: int
    warnings: tuple[Problem, ...]

    @property
    def num_steps(self) -> int:
        """Optimizer steps of the whole plan."""
        return sum(stage.num_steps for stage in self.stages)

    @cached_property
    def paths(self) -> dict[str, tuple[str, ...]]:
        """The Stages that make up each Trial, by its key: their ids in the order of training."""
        return {stage.trial.key: (stage.id,) for stage in self.stages}


def make_plan(loaded: LoadedRecipe, ratios: tuple[Ratio, ...], num_seeds: int, dataset_examples: int) -> Plan:
    """Plan `loaded` at every ratio with every seed.

    Raises:
        RecipeError: with everything that cannot be trained.
    """
    runs = tuple(measure(loaded.recipe, ratio, dataset_examples) for ratio in ratios)
    if problems := [*_seed_problems(loaded, num_seeds), *refusals(loaded, runs)]:
        raise RecipeError(problems)
    timelines = tuple(Timeline(loaded.recipe, run) for run in runs)
    trials = make_grid(timelines, num_seeds)
    # Any number serves, as long as it is recorded and the same whenever this recipe is planned.
    order_seed = int(loaded.recipe.fingerprint[:8], 16)
    stages = _shuffled(tuple(_stage(trial, timelines) for trial in trials), order_seed)
    return Plan(loaded, timelines, trials, stages, order_seed, tuple(warnings(loaded, timelines)))


def _seed_problems(loaded: LoadedRecipe, num_seeds: int) -> list[Problem]:
    # numpy would read a longer seed as two words, and its order of one epoch could be that of another seed's.
    last = loaded.recipe.seed + num_seeds - 1
    message = f"seeds up to {last}: the largest is {MAX_SEED}"
    return [Problem(message, loaded.place("seed"), "seed", fix="take a smaller seed")] if last > MAX_SEED else []


def _stage(trial: Trial, timelines: tuple[Timeline, ...]) -> Stage:
    """The whole trial as one Stage. Its id is made of exact numbers: a rate's last bits depend on the processor."""
    num_steps = trial.timeline.num_steps
    text = f"{trial.key}:0:{num_steps}"
    return Stage(hashlib.sha256(text.encode()).hexdigest()[:16], trial, 0, num_steps, _eval_steps(trial, timelines))


def _eval_steps(trial: Trial, timelines: tuple[Timeline, ...]) -> tuple[int, ...]:
    """After every epoch and at the end; in a baseline also at every shorter length, for the truncated control."""
    steps = set(trial.timeline.epoch_ends)
    if trial.timeline.lengths.realised == 1:
        steps |= {other.num_steps for other in timelines if other.num_steps < trial.timeline.num_steps}
    return tuple(sorted(steps))


def _shuffled(stages: tuple[Stage, ...], order_seed: int) -> tuple[Stage, ...]:
    """Seed by seed, the ratios of each in random order, so that a drift of the machine does not line up with length."""
    shuffled: list[Stage] = []
    for seed in dict.fromkeys(stage.trial.seed for stage in stages):
        group = [stage for stage in stages if stage.trial.seed == seed]
        random.Random(f"{order_seed}:{seed}").shuffle(group)
        shuffled += group
    return tuple(shuffled)
