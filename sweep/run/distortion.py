"""How much longer a step takes while others train beside it: what a Worker needs alone and beside others, in turn."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean, median

MAX_DISTORTION = 0.05
# Chosen: long beside the hundredths of a second for which a system lets one process run while another one waits.
BURST_SECONDS = 0.25
MIN_ROUNDS = 6
MAX_ROUNDS = 16  # where fewer do not tell
_SIGNIFICANCE = 0.1

# Given how many Workers train at the same time, and for how many seconds: the seconds of a step in each of them.
Burst = Callable[[int, float], Sequence[float]]


@dataclass(frozen=True)
class Distortion:
    """How much longer a step takes beside others than alone, as a share: the median over the rounds, and an interval
    that holds it in nine of ten cases."""

    share: float
    low: float
    high: float

    @property
    def is_slight(self) -> bool:
        return self.high <= MAX_DISTORTION

    @property
    def is_settled(self) -> bool:
        return self.is_slight or self.low > MAX_DISTORTION

    @property
    def text(self) -> str:
        """What is wrong with it."""
        if self.share > MAX_DISTORTION:
            return f"would record times {self.share:.0%} too long"
        return f"may record times up to {self.high:.0%} too long, as far as this busy machine tells"


def measure(burst: Burst, num_workers: int) -> Distortion:
    """What `num_workers` do to each other: until it is clear which side of 5 % that is on, or it will not get clear."""
    ratios: list[float] = []
    while True:
        orders = (1, num_workers) if len(ratios) % 2 else (num_workers, 1)
        seconds = {number: fmean(burst(number, BURST_SECONDS)) for number in orders}
        ratios.append(seconds[num_workers] / seconds[1])
        distortion = _distortion(ratios)
        if len(ratios) >= MIN_ROUNDS and (distortion.is_settled or len(ratios) == MAX_ROUNDS):
            return distortion


def _distortion(ratios: Sequence[float]) -> Distortion:
    """The interval lies between order statistics, which holds for whatever distribution (the sign test's)."""
    count, ordered = len(ratios), sorted(ratios)
    outside, cut = 0, 0
    while (outside := outside + math.comb(count, cut)) <= _SIGNIFICANCE / 2 * 2**count:
        cut += 1
    cut = max(cut - 1, 0)
    return Distortion(median(ordered) - 1, ordered[cut] - 1, ordered[count - 1 - cut] - 1)
