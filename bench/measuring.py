"""How two things are compared here, on a machine that does other things meanwhile.

Loops are advanced alternately in one process, one step at a time, in an order drawn anew for every round; whole
commands are run in turn, likewise. So whatever the machine does meets all of them alike. What is compared is the median
step time, or the median over the rounds of the ratio of two whole commands' times; the interval beside it is a 95 %
bootstrap one over the rounds. One side is also run against itself: how far two equal things come out apart.
"""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

NUM_RESAMPLES = 2000

Seconds = NDArray[np.float64]  # (rounds,) of one contender in each round


@dataclass(frozen=True)
class Ratio:
    """How many times one thing is another, with its 95 % interval."""

    value: float
    low: float
    high: float

    def at_least(self, wanted: float) -> str:
        """The verdict where more is better: "met", "missed" or "cannot tell"."""
        if self.low >= wanted:
            return "met"
        return "missed" if self.high < wanted else "cannot tell"

    def at_most(self, wanted: float) -> str:
        """The verdict where less is better."""
        if self.high <= wanted:
            return "met"
        return "missed" if self.low > wanted else "cannot tell"

    def __str__(self) -> str:
        return f"{self.value:.3f} ({self.low:.3f} to {self.high:.3f})"


def step_times(loops: Sequence[Iterator[object]], num_rounds: int, num_warm_up: int) -> list[Seconds]:
    """The seconds of each loop's step in each round, after `num_warm_up` rounds that do not count."""
    times = np.zeros((len(loops), num_rounds))
    order = list(range(len(loops)))
    for index in range(-num_warm_up, num_rounds):
        random.shuffle(order)
        for number in order:
            start = perf_counter()
            next(loops[number])
            if index >= 0:
                times[number, index] = perf_counter() - start
    return list(times)


def ratio_of_medians(these: Seconds, those: Seconds) -> Ratio:
    """The median of `these` over that of `those`; whole rounds are resampled."""
    drawn = _resampled(len(these))
    ratios = np.median(these[drawn], axis=1) / np.median(those[drawn], axis=1)
    return Ratio(float(np.median(these) / np.median(those)), *_interval(ratios))


def command_times(
    commands: Mapping[str, Sequence[str]], num_rounds: int, cwd: Path, log: Path | None = None
) -> dict[str, Seconds]:
    """The seconds of each whole command in each round; what they print goes to `log`, or nowhere.

    A command that fails ends the bench.
    """
    times: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(num_rounds):
        for name in random.sample(list(commands), len(commands)):
            with open(log or "/dev/null", "ab") as output:
                start = perf_counter()
                done = subprocess.run(commands[name], cwd=cwd, stdout=output, stderr=output, check=False)
                times[name].append(perf_counter() - start)
            if done.returncode:
                sys.exit(f"error: {' '.join(commands[name])}: exit code {done.returncode}; see {log or 'its output'}")
    return {name: np.array(seconds) for name, seconds in times.items()}


def median_of_ratios(these: Seconds, those: Seconds) -> Ratio:
    """The median over the rounds of `these` over `those` of the same round."""
    ratios = these / those
    return Ratio(float(np.median(ratios)), *_interval(np.median(ratios[_resampled(len(ratios))], axis=1)))


def median_of(values: Seconds) -> Ratio:
    """The median over the rounds of a figure by itself."""
    return Ratio(float(np.median(values)), *_interval(np.median(values[_resampled(len(values))], axis=1)))


def growth_exponent(sizes: Sequence[int], values: NDArray[np.float64]) -> Ratio:
    """The k of values that grow as size ** k beyond the first, smallest size: the slope of the line through the
    logarithms of what the medians have more than that one's, over what the sizes have more.

    `values`: (rounds, sizes). Sizes at which there is no more, but for noise, are left out.
    """
    drawn = values[_resampled(len(values))]  # (resamples, rounds, sizes)
    slopes = [_slope(sizes, medians) for medians in np.median(drawn, axis=1)]
    return Ratio(_slope(sizes, np.median(values, axis=0)), *_interval(np.array(slopes)))


def _slope(sizes: Sequence[int], values: NDArray[np.float64]) -> float:
    more, size = values[1:] - values[0], np.array(sizes[1:]) - sizes[0]
    grows = more > 0
    if grows.sum() < 2:
        return 0.0
    return float(np.polyfit(np.log(size[grows]), np.log(more[grows]), 1)[0])


def _resampled(num_rounds: int) -> NDArray[np.int64]:
    return np.random.default_rng(0).integers(0, num_rounds, (NUM_RESAMPLES, num_rounds))


def _interval(values: NDArray[np.float64]) -> tuple[float, float]:
    low, high = np.quantile(values, (0.025, 0.975))
    return float(low), float(high)
