"""The largest grid that fits, by a rule, in this order.

The longest run is as long as it can be, up to the baseline, with three ratios and one seed; then there are as many
ratios as fit, eight at most; then as many seeds, three at most. Without the baseline there is nothing to compare with,
so it comes first. Ratios come before seeds: neighbours on a smooth curve vouch for each other, while a second seed of
three lengths leaves open where between them the curve bends. Where not even three ratios fit there are two, or one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from sweep.plan.rungs import Rungs
from sweep.recipe.duration import Ratio

FEWEST_RATIOS, MOST_RATIOS, MOST_SEEDS = 3, 8, 3


@dataclass(frozen=True)
class Grid:
    """`ratios` ascend; each has so many `seeds`."""

    ratios: tuple[Ratio, ...]
    seeds: int


Fits = Callable[[Grid], bool]


def largest_grid(rungs: Rungs, seeds: int | None, fits: Fits) -> Grid | None:
    """By the rule above, with so many `seeds` or as many as fit; None where not a single run does."""
    least = 1 if seeds is None else seeds
    longest_first = [ratio for ratio in reversed(rungs.trainable) if fits(Grid((ratio,), least))]
    for count in range(FEWEST_RATIOS, 0, -1):
        for longest in longest_first:
            if (smallest := _grid(rungs, longest, count, least, fits)) is not None:
                return _with_seeds(_with_ratios(rungs, smallest, fits), seeds, fits)
    return None


def _grid(rungs: Rungs, longest: Ratio, count: int, seeds: int, fits: Fits) -> Grid | None:
    ratios = rungs.grid(longest, count)
    return grid if ratios is not None and fits(grid := Grid(ratios, seeds)) else None


def _with_ratios(rungs: Rungs, grid: Grid, fits: Fits) -> Grid:
    """As many ratios up to the same longest one as fit."""
    counts = range(MOST_RATIOS, len(grid.ratios), -1)
    tried = (_grid(rungs, grid.ratios[-1], count, grid.seeds, fits) for count in counts)
    return next((found for found in tried if found is not None), grid)


def _with_seeds(grid: Grid, seeds: int | None, fits: Fits) -> Grid:
    more = range(MOST_SEEDS, 1, -1) if seeds is None else ()
    return next((found for number in more if fits(found := replace(grid, seeds=number))), grid)
