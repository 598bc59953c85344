"""What the mean scores of all ratios may be, given the few runs that have finished.

score = top - drop x shape(ratio) + deviation + what a seed does. The shape is that of the report's fit, a power of the
ratio, shifted and scaled to 1 at the shortest and 0 at the longest ratio, where the score is `top`. The deviation is a
Gaussian process over the logarithm of the ratio (Matérn 3/2): so a curve that rises and falls again, or bends otherwise
than a power, is no surprise. Exponent, size of the drop, size of the deviation and the sd of seeds are a grid of cases,
each weighted by how well it explains what was seen; within a case everything is Gaussian, and exact.

Seeds are taken as independent of each other, with one sd at all ratios.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# All sizes are in units: the sd that seeds are expected to have before any has been seen, see goal.py.
# Chosen: from a curve that is nearly a logarithm to one that is nearly a step.
_EXPONENTS = (0.1, 0.5, 1.0, 1.5, 2.5)
# Chosen: of an accuracy, from 0.2 to 51 points. A drop is Gaussian with a mean of its size, so that five curves of six
# rise.
_DROPS = (1.0, 4.0, 16.0, 64.0, 256.0)
# Chosen: of an accuracy 0.14, 0.4 and 1.2 points. Measured: with half of these, one answer in five on a curve that
# is no power is wrong.
_DEVIATIONS = (0.7, 2.0, 6.0)
_LENGTH = 1.0  # Chosen: of the deviation, in logarithms of the ratio; it forgets itself over a factor of e or two.
# Chosen: the expected sd is within a factor of 2 of the true one in two cases of three.
_SEED_SDS = tuple(2.0**power for power in range(-3, 4))
_WIDE = 1000.0  # the sd of `top`: nothing is known of it
_JITTER = 1e-4  # so that what is known exactly has a Cholesky factor
_LEAST_WEIGHT = 1e-4
# Chosen: a probability of 0.9 is then known to 0.008. Measured: with 4,000 searches are no cheaper.
_NUM_DRAWS = 1500


@dataclass(frozen=True)
class Seen:
    """A run that has finished: the place of its ratio among all, and its score."""

    place: int
    score: float


@dataclass(frozen=True)
class Belief:
    """Draws of what may be, in scores: `means` has a row for each and a column a ratio, `seed_sds` one sd for each."""

    means: Floats
    seed_sds: Floats

    @cached_property
    def seed_sd(self) -> float:
        """The middle of what it may be."""
        return float(np.median(self.seed_sds))


class Prior:
    """What may be before anything was seen, at `ratios`, ascending."""

    def __init__(self, ratios: Sequence[float]) -> None:
        self._num_ratios = len(ratios)
        exponents, drops, deviations, places = (
            axis.ravel()
            for axis in np.meshgrid(_EXPONENTS, _DROPS, _DEVIATIONS, np.arange(len(_SEED_SDS)), indexing="ij")
        )
        shapes, lengths = _shapes(np.asarray(ratios), exponents), np.log(np.asarray(ratios))
        self._seed_sds: Floats = np.asarray(_SEED_SDS)[places.astype(int)]
        self._log_weights: Floats = -0.5 * np.log2(self._seed_sds) ** 2
        self._means: Floats = -drops[:, None] * shapes
        self._covariances: Floats = (
            _WIDE**2
            + (drops**2)[:, None, None] * shapes[:, :, None] * shapes[:, None, :]
            + (deviations**2)[:, None, None] * _matern(np.abs(lengths[:, None] - lengths[None, :]) / _LENGTH)
        )

    def given(self, seen: Sequence[Seen], unit: float) -> Belief:
        """What may be once some runs, one at least, have finished. `unit` is the expected sd of seeds, in scores.

        The same runs give the same draws.
        """
        places, which, counts = np.unique([each.place for each in seen], return_inverse=True, return_counts=True)
        scores = np.array([each.score for each in seen])
        means = np.bincount(which, scores) / counts
        scatter = float(((scores - means[which]) ** 2).sum()) / unit**2
        origin = means[-1]

        noise = (self._seed_sds**2)[:, None] / counts
        factors = np.linalg.cholesky(
            self._covariances[:, places][:, :, places] + noise[:, :, None] * np.eye(len(places))
        )
        off = (means - origin) / unit - self._means[:, places]
        whitened = np.linalg.solve(factors, off[:, :, None])[:, :, 0]
        log_likelihoods = (
            -0.5 * ((whitened**2).sum(axis=1) + scatter / self._seed_sds**2)
            - np.log(np.diagonal(factors, axis1=1, axis2=2)).sum(axis=1)
            - (len(scores) - len(places)) * np.log(self._seed_sds)
        )
        weights = np.exp(self._log_weights + log_likelihoods - (self._log_weights + log_likelihoods).max())
        cases = np.flatnonzero(weights > _LEAST_WEIGHT * weights.sum())

        gains = np.linalg.solve(factors[cases], self._covariances[cases][:, places])
        centres = self._means[cases] + np.einsum("cpr,cp->cr", gains, whitened[cases])
        spreads = self._covariances[cases] - np.einsum("cpr,cps->crs", gains, gains)
        roots = np.linalg.cholesky(spreads + _JITTER * np.eye(self._num_ratios))
        drawn = _spread_out(weights[cases])
        shocks = np.random.default_rng(0).standard_normal((_NUM_DRAWS, self._num_ratios))
        curves = centres[drawn] + np.einsum("nrs,ns->nr", roots[drawn], shocks)
        return Belief(origin + unit * curves, unit * self._seed_sds[cases][drawn])


def _shapes(ratios: Floats, exponents: Floats) -> Floats:
    """Shape (exponents, ratios)."""
    powers = ratios ** -exponents[:, None]
    heights = powers[:, :1] - powers[:, -1:]
    shapes: Floats = (powers - powers[:, -1:]) / np.where(heights > 0, heights, 1.0)
    return shapes


def _matern(distances: Floats) -> Floats:
    scaled = np.sqrt(3) * distances
    correlations: Floats = (1 + scaled) * np.exp(-scaled)
    return correlations


def _spread_out(weights: Floats) -> NDArray[np.intp]:
    """As many places as there are draws, each as often as its weight says."""
    ends = np.cumsum(weights) / weights.sum()
    marks = (np.arange(_NUM_DRAWS) + 0.5) / _NUM_DRAWS
    return np.minimum(np.searchsorted(ends, marks), len(weights) - 1)
