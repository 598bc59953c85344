"""What changes now and then in a run: a value that holds from one change to the next, and the moments at which weights
are averaged. Exact numbers, so that runs can be compared in them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from itertools import zip_longest

Changes = tuple[tuple[int, Fraction], ...]


@dataclass(frozen=True)
class Track:
    """A value that holds from each of its `changes` to the next: (step, value), the first one at step 0.

    `plateau` is how many steps from the start of the run every longer one has as well.
    """

    changes: Changes
    plateau: float = math.inf

    def before(self, stop: int) -> Changes:
        """The changes at steps before `stop`."""
        return tuple((step, value) for step, value in self.changes if step < stop)

    def at(self, step: int) -> Fraction:
        """The value at `step`."""
        return self.before(step + 1)[-1][1]

    def between(self, start: int, stop: int) -> tuple[tuple[int, float], ...]:
        """Steps `start` … `stop - 1`: the value at the first one, and every change after it."""
        later = ((step, float(value)) for step, value in self.before(stop) if step > start)
        return ((start, float(self.at(start))), *later)

    def shared_with(self, other: Track) -> float:
        """How many steps from the start have the same value in both."""
        for mine, theirs in zip_longest(self.changes, other.changes):
            if mine != theirs:
                return min(change[0] for change in (mine, theirs) if change is not None)
        return math.inf


@dataclass(frozen=True)
class Averaging:
    """When the weights enter their average (SWA): every `interval`, a step or more, from `start` to `end`, in steps of
    the run.

    `plateau` is a Track's.
    """

    start: Fraction
    interval: Fraction
    end: Fraction
    plateau: float = math.inf

    @cached_property
    def steps(self) -> tuple[int, ...]:
        """The numbers of steps done after which they do, ascending. What has no step before it is no training."""
        doubled = 2 * math.lcm(self.start.denominator, self.interval.denominator)
        first, interval, end = (int(time * doubled) for time in (self.start, max(self.interval, Fraction(1)), self.end))
        # Halves upwards, in whole numbers alone: there can be millions of them.
        done = ((position + doubled // 2) // doubled for position in range(first, end + 1, interval))
        return tuple(step for step in done if step > 0)


def shared_averages(ours: Sequence[int], theirs: Sequence[int]) -> float:
    """How many steps from the start two runs have in common that average after these steps."""
    for mine, other in zip_longest(ours, theirs, fillvalue=math.inf):
        if mine != other:
            return min(mine, other) - 1
    return math.inf
