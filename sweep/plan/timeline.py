"""The value of everything that is scheduled, at every optimizer step of one run: Recipe x Lengths -> Timeline.

Compiled without torch. Values are computed for the steps that are asked for, a span at a time: forty ImageNet runs
are 18 million steps. Numpy's powers and cosines can differ in their last bits between processors, so a rate is computed
in the parent process alone, and a Worker is sent the values.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from sweep.plan.lengths import Lengths, examples_per_step, follows_run
from sweep.plan.methods import Methods, schedule_methods
from sweep.recipe.cycles import Cycles
from sweep.recipe.schedule import SCHEDULES, OneCycle, Shape, Steps, WarmedUp
from sweep.recipe.schema import Recipe

# Chosen: half a megabyte of rates, and few enough spans that a run of millions of steps is planned in seconds.
SPAN_STEPS = 65_536

Rates = NDArray[np.float64]  # (n,) learning rates


@dataclass(frozen=True)
class Timeline:
    """One run's scheduled values as functions of the step. Steps count from 0; the last one is `num_steps - 1`."""

    recipe: Recipe
    lengths: Lengths

    @property
    def num_steps(self) -> int:
        return self.lengths.num_steps

    @cached_property
    def fingerprint(self) -> str:
        """The recipe's, computed once: every Trial's key and every Stage's id is made of it."""
        return self.recipe.fingerprint

    @cached_property
    def written_recipe(self) -> dict[str, object]:
        """The recipe as Workers are told of it, made once."""
        return self.recipe.model_dump(mode="json")

    @cached_property
    def shape(self) -> Shape:
        build = SCHEDULES[self.recipe.lr_scheduler].build
        if not self.lengths.cycles:
            return build(self.recipe, self.lengths.dilation)
        starts, runs = zip(*self.lengths.cycles, strict=True)
        return Cycles(starts, tuple(build(self.recipe, run.dilation) for run in runs))

    @property
    def shareable_steps(self) -> int:
        """How many steps another run may have in common: with SWA the last one is the run's own, since what follows on
        it, the averaged network's pass over the data and its evaluation, is part of no longer run.
        """
        return self.num_steps - 1 if self.recipe.swa else self.num_steps

    @property
    def positions(self) -> tuple[int, ...]:
        """The steps at which the rate jumps: decays, restarts, the start of a cool-down."""
        return self.shape.positions

    @cached_property
    def methods(self) -> Methods:
        """The values of the training methods that are on."""
        return schedule_methods(self.recipe, self.lengths)

    @property
    def epoch_ends(self) -> tuple[int, ...]:
        """How many steps are done after each epoch and at the end of the run, ascending."""
        ends = range(self.lengths.steps_per_epoch, self.num_steps, self.lengths.steps_per_epoch)
        return (*ends, self.num_steps)

    def rates_at(self, steps: Steps) -> Rates:
        """The learning rate at each of `steps`. Shape (n,) to (n,)."""
        rates: Rates = self.recipe.lr * self._warmed_up.multipliers(self._looked_up(steps))
        return rates

    def _looked_up(self, steps: Steps) -> Steps:
        """The steps whose values those at `steps` have: with `lr_interval: epoch` an epoch has that of its first."""
        return steps if self.recipe.lr_interval == "step" else steps - steps % self.lengths.steps_per_epoch

    def rates(self, start: int, stop: int) -> Rates:
        """The learning rate at steps `start` … `stop - 1`."""
        return self.rates_at(np.arange(start, stop, dtype=np.int64))

    @property
    def cycles_momentum(self) -> bool:
        """Whether momentum (AdamW's beta1) is scheduled."""
        return isinstance(self.shape, OneCycle) and self.recipe.lr_cycle_momentum

    def momenta(self, start: int, stop: int) -> Rates | None:
        """The momentum at steps `start` … `stop - 1`; None where it is not scheduled."""
        if not (isinstance(self.shape, OneCycle) and self.cycles_momentum):
            return None
        return self.shape.momenta(self._looked_up(np.arange(start, stop, dtype=np.int64)))

    def rate_numbers(self, stop: int) -> tuple[object, ...]:
        """The exact numbers that fix rates and momenta of the steps before `stop`, of one recipe's runs: where they are
        equal, so are those, to the last bit."""
        numbers = self._warmed_up.prefix(stop)
        return numbers if self.recipe.lr_interval == "step" else (*numbers, self.lengths.steps_per_epoch)

    @cached_property
    def peak(self) -> float:
        """The highest learning rate of the run: between its landmarks the rate only rises or only falls."""
        landmarks = [0, self.lengths.warmup_steps, *self.positions, self.num_steps]
        if isinstance(self.shape, OneCycle):
            landmarks += [math.floor(self.shape.peak), math.ceil(self.shape.peak)]
        at = np.array(landmarks, dtype=np.int64)
        epoch_after = at + -at % self.lengths.steps_per_epoch  # with `lr_interval: epoch` the rate waits for it
        steps = np.concatenate([at - 1, at, at + 1, epoch_after])
        return float(self.rates_at(steps.clip(0, self.num_steps - 1)).max())

    def spans(self) -> Iterator[tuple[int, Rates]]:
        """The run in spans: the first step and the learning rates of each."""
        for start in range(0, self.num_steps, SPAN_STEPS):
            yield start, self.rates(start, min(start + SPAN_STEPS, self.num_steps))

    @cached_property
    def own_batches_from(self) -> float:
        """The first step whose batch depends on how many examples an epoch draws: infinite where none does.

        `samples` draws the first so many of a shuffled epoch: up to the last whole step, a longer epoch's are the
        same. A `subset` shuffles its own.
        """
        lengths = self.lengths
        match self.recipe.method:
            case "epochs" | "steps" | "cyclic":
                return math.inf
            case "samples":
                return lengths.num_examples // examples_per_step(self.recipe)
            case "subset":
                return 0

    @cached_property
    def plateau_steps(self) -> int:
        """How many steps from the start every longer run of the recipe has as well: its state then serves those."""
        if self.recipe.kind == "command":
            return 0
        if self.recipe.method == "cyclic":
            return self.num_steps if self.lengths.realised < 1 else 0
        # A warm-up that follows the run can round to nothing here, and to a step in a longer one.
        warms_up_with_run = follows_run(self.recipe) and self.recipe.lr_warmup_epochs.amount > 0
        if self.recipe.method in ("samples", "subset") or warms_up_with_run:
            return 0
        return int(min(self._warmed_up.plateau, self.methods.plateau, self.shareable_steps))

    def prefix(self, stop: int) -> str:
        """What the steps before `stop` depend on beside the recipe and the seed, in exact numbers.

        Runs that agree in it are the same computation up to there, on any processor and in any version.
        """
        lengths = self.lengths
        if self.recipe.kind == "command":
            return f"command,{lengths.num_steps}"
        numbers: tuple[object, ...] = (lengths.dataset_examples, *self._warmed_up.prefix(stop))
        if stop > self.own_batches_from or self.recipe.lr_interval == "epoch":
            numbers += (lengths.num_examples,)
        numbers += tuple(self.methods.prefix(stop))
        return ",".join(map(str, (self.recipe.method, *numbers)))

    @cached_property
    def _warmed_up(self) -> WarmedUp:
        recipe = self.recipe
        return WarmedUp(self.shape, self.lengths.warmup_steps, recipe.lr_warmup_method, recipe.lr_warmup_decay)
