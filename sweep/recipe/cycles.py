"""Cycles: one run that stands in for runs of several lengths (after Portes et al. 2022, arXiv 2206.00832).

A run of N steps is n cycles, each twice as long as the one before: cycle k of 1 … n ends at N (2^k - 1) / (2^n - 1),
and the last one with the run. In each the rate comes down as it does in a whole run. What was trained up to the end of
a cycle then stands in for a run of that length, whose rate would have come down once.

A warm-up is at the beginning of the run alone: the first cycle is the run that it stands in for, step for step, and in
those that follow the network is no new one.

How many cycles follows from the recipe alone, so that a run of one length is always the same run.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

import numpy as np

from sweep.recipe.duration import round_half_up
from sweep.recipe.schedule import Multipliers, Shape, Steps

# Chosen: two points are no curve, and the first of seven cycles would be less than a hundredth of the run.
MIN_CYCLES, MAX_CYCLES = 3, 6
# Chosen: of a shorter cycle the warm-up is more than half, and what comes after it hardly trains.
_WARMUPS_IN_FIRST = 2
# Those whose rate comes down from the top to the bottom of a run, once. The others have cycles of their own, or none.
FALLING = ("cosineannealinglr", "linearlr", "polynomiallr", "exponentiallr", "steplr", "multisteplr", "wsd")


def end_ratios(num_cycles: int) -> tuple[Fraction, ...]:
    """Where each of so many cycles ends, as a share of the run; ascending, the last one is 1."""
    return tuple(Fraction(2**k - 1, 2**num_cycles - 1) for k in range(1, num_cycles + 1))


def end_steps(num_cycles: int, num_steps: int) -> tuple[int, ...]:
    """How many steps of a run of `num_steps` are done at the end of each cycle."""
    return tuple(round_half_up(end * num_steps) for end in end_ratios(num_cycles))


def shortest_first(steps_per_epoch: int, warmup_steps: Fraction) -> Fraction:
    """The fewest steps of a first cycle: an epoch, and twice the warm-up."""
    return max(Fraction(steps_per_epoch), _WARMUPS_IN_FIRST * warmup_steps)


def count_cycles(num_steps: int, shortest: Fraction) -> int:
    """How many cycles a run of `num_steps` has: as many as leave the first one `shortest` steps or more; 0 where there
    is no room for `MIN_CYCLES`."""
    fitting = (n for n in range(MAX_CYCLES, MIN_CYCLES - 1, -1) if end_ratios(n)[0] * num_steps >= shortest)
    return next(fitting, 0)


@dataclass(frozen=True)
class Cycles:
    """A Shape of Shapes: `shapes[k]` from step `starts[k]` on, with its own steps counted from there."""

    starts: tuple[int, ...]
    shapes: tuple[Shape, ...]

    @cached_property
    def positions(self) -> tuple[int, ...]:
        """Where the rate jumps: to the top at the start of a cycle, and inside a cycle where its shape says so."""
        return tuple(sorted({*self.starts[1:], *self._inside()}))

    def _inside(self) -> Iterator[int]:
        ends = (*self.starts[1:], math.inf)
        for start, end, shape in zip(self.starts, ends, self.shapes, strict=True):
            yield from (start + position for position in shape.positions if start + position < end)

    def multipliers(self, steps: Steps) -> Multipliers:
        values: Multipliers = np.empty(len(steps))
        cycle = np.searchsorted(np.array(self.starts, dtype=np.int64), steps, side="right") - 1
        for k in np.unique(cycle).tolist():
            inside = cycle == k
            values[inside] = self.shapes[k].multipliers(steps[inside] - self.starts[k])
        return values

    def prefix(self, stop: int) -> tuple[object, ...]:
        """As a Shape's: the cycles that begin before `stop`."""
        return tuple(
            number
            for start, shape in zip(self.starts, self.shapes, strict=True)
            if start < stop
            for number in (start, *shape.prefix(stop - start))
        )

    @property
    def plateau(self) -> float:
        """As a Shape's: a longer run has these cycles, and then others."""
        return math.inf
