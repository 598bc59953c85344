"""How far other seeds would have moved a curve's means: the random part of a simulated repetition.

A seed moves its whole curve (lengths share their first steps, and their order of examples), and what is left over moves
each length by itself. The variances of the two are `Noise`'s: the one is single² - paired², the other paired².
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sweep.report.intervals import Noise, Sample, Spread
from sweep.report.summary import RatioSummary

_Floats = NDArray[np.float64]


def draw_moves(rows: Sequence[RatioSummary], noise: Noise, num: int, generator: np.random.Generator) -> _Floats:
    """What is added to the mean of each of `rows` (K) in `num` repetitions: (R, K). The noise's `single` is known.

    Where seeds are not compared with themselves, or not known, each length moves by itself.
    """
    assert noise.single is not None
    samples = [row.sample for row in rows]
    shared, rest = _variances(noise) if _are_seeds_known(samples) else (0.0, noise.single.sd**2)
    degrees = _degrees_of_freedom(noise.single, noise.paired) if shared else float(noise.single.degrees_of_freedom)
    alone = generator.standard_normal((num, len(samples))) * np.sqrt(rest / np.array([len(each) for each in samples]))
    together = np.sqrt(shared) * _of_seeds(samples, num, generator) if shared else 0.0
    # Once a repetition, so that a single mean moves as Student's t.
    return np.asarray((alone + together) * np.sqrt(degrees / generator.chisquare(degrees, (num, 1))))


def _are_seeds_known(samples: Sequence[Sample]) -> bool:
    return all(len(sample.by_seed) == len(sample) for sample in samples)


def _variances(noise: Noise) -> tuple[float, float]:
    """Of what a seed does to its whole curve, and of the rest of a single trial."""
    single, paired = noise.single, noise.paired
    assert single is not None
    if paired is None or paired.degrees_of_freedom >= single.degrees_of_freedom:
        return 0.0, single.sd**2
    return max(single.sd**2 - paired.sd**2, 0.0), paired.sd**2


def _degrees_of_freedom(single: Spread, paired: Spread | None) -> float:
    """Satterthwaite's of `single`: n - 1 where seeds do all of it, that of the pool where they do nothing."""
    assert paired is not None
    of_seeds = single.degrees_of_freedom - paired.degrees_of_freedom
    whole, rest = (spread.degrees_of_freedom * spread.sd**2 for spread in (single, paired))
    return whole**2 / ((whole - rest) ** 2 / of_seeds + rest**2 / paired.degrees_of_freedom)


def _of_seeds(samples: Sequence[Sample], num: int, generator: np.random.Generator) -> _Floats:
    """The means over each one's own seeds (R, K) of a standard normal deviate for every seed."""
    seeds = sorted({seed for sample in samples for seed in sample.by_seed})
    shares = np.array([[(seed in sample.by_seed) / len(sample) for sample in samples] for seed in seeds])  # (S, K)
    return np.asarray(generator.standard_normal((num, len(seeds))) @ shares)
