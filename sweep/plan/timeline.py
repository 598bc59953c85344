"""The value of everything that is scheduled, at every optimizer step of one run: Recipe x Lengths -> Timeline.

Compiled without torch. Values are computed for the steps that are asked for, a span at a time: forty ImageNet runs
are 18 million steps. Numpy's powers and cosines can differ in their last bits between processors, so a rate is computed
in the parent process alone, and a Worker is sent the values.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from sweep.plan.lengths import Lengths
from sweep.recipe.schedule import SCHEDULES, Shape, Steps, WarmedUp
from sweep.recipe.schema import Recipe

# Chosen: half a megabyte of rates, and few enough spans that a run of millions of steps is planned in seconds.
_SPAN_STEPS = 65_536

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
    def shape(self) -> Shape:
        return SCHEDULES[self.recipe.lr_scheduler].build(self.recipe, self.lengths.dilation)

    @property
    def positions(self) -> tuple[int, ...]:
        """The steps at which the rate jumps: decays, restarts, the start of a cool-down."""
        return self.shape.positions

    @property
    def epoch_ends(self) -> tuple[int, ...]:
        """How many steps are done after each epoch and at the end of the run, ascending."""
        ends = range(self.lengths.steps_per_epoch, self.num_steps, self.lengths.steps_per_epoch)
        return (*ends, self.num_steps)

    def rates_at(self, steps: Steps) -> Rates:
        """The learning rate at each of `steps`. Shape (n,) to (n,)."""
        if self.recipe.lr_interval == "epoch":
            steps = steps - steps % self.lengths.steps_per_epoch  # an epoch has the value of its first step
        rates: Rates = self.recipe.lr * self._warmed_up.multipliers(steps)
        return rates

    def rates(self, start: int, stop: int) -> Rates:
        """The learning rate at steps `start` … `stop - 1`."""
        return self.rates_at(np.arange(start, stop, dtype=np.int64))

    def spans(self) -> Iterator[tuple[int, Rates]]:
        """The whole run in spans: the first step and the learning rates of each."""
        for start in range(0, self.num_steps, _SPAN_STEPS):
            yield start, self.rates(start, min(start + _SPAN_STEPS, self.num_steps))

    @cached_property
    def _warmed_up(self) -> WarmedUp:
        recipe = self.recipe
        return WarmedUp(self.shape, self.lengths.warmup_steps, recipe.lr_warmup_method, recipe.lr_warmup_decay)
