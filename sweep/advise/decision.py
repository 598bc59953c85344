"""What to train next, or what the answer is: a pure function of what has finished.

An answer is *right* where it is so up to noise: the ratio's mean is at most one tie below the target, and no cheaper
one's is a tie or more above it. A tie is what one run cannot tell: an sd of seeds against a target, somewhat more
against a baseline that was measured too. So two answers can be right; the likelier one is given. Measured: the cheaper
one of those that are probable enough is wrong more often.

What is trained next is what takes least to decide: for every ratio and for one, two, four or eight more seeds of it,
how much more probable the best answer is expected to become, for what that costs (Frazier & Powell 2010, "Paradoxes in
learning and the marginal value of information": KG(*)). One seed of the best is trained, and all is weighed anew.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sweep.advise.belief import Belief, Floats, Prior, Seen

# A difference of two runs has an sd of 1.41. Measured: with less the searches are dearer (1.0: by an eighth), with more
# one answer in nine on a curve that rises fast is wrong.
_TIE_OF_A_DIFFERENCE = 1.25
_SEEDS_AHEAD = (1, 2, 4, 8)
# Chosen: a run costs so much of the longest one beside its length, to start and to be looked at. Measured: without it
# searches train a run more, and are no cheaper.
_OVERHEAD = 0.1
# What a run may score is imagined at as many places of what its mean may be, from the lowest to the highest; noise of
# one sd is laid over them, in an order without a pattern.
_NOISE = np.array([0.27, -1.65, 0.81, -0.5, 1.65, -0.05, -1.1, 0.5, -0.27, 1.1, -0.81, 0.05])
# Chosen: a mean of so many is known to a fifth of a tie; what is not known then is no matter of seeds.
_MAX_SEEDS = 32

Truths = NDArray[np.bool_]


@dataclass(frozen=True)
class Question:
    """What is looked for among `ratios`, ascending: the cheapest with a mean score of `target`, or within `within` of
    the ratio at the place `baseline`; one of the two is None. `unit` is the sd that seeds are expected to have."""

    ratios: tuple[float, ...]
    confidence: float
    unit: float
    target: float | None = None
    within: float | None = None
    baseline: int | None = None


@dataclass(frozen=True)
class Funds:
    """What one run of each ratio costs, and how much may still be spent, in the same unit; `left` None: any amount."""

    costs: tuple[float, ...]
    left: float | None = None

    def allow(self, place: int) -> bool:
        return self.left is None or self.costs[place] <= self.left


@dataclass(frozen=True)
class Next:
    """Train one more seed of this ratio. `likely` is the answer so far."""

    place: int
    likely: Verdict | None = None


@dataclass(frozen=True)
class Verdict:
    """The answer: the cheapest ratio that is good enough, or None where none is; how probable it is that it is right;
    and whether that is as much as was asked for."""

    place: int | None
    probability: float
    is_known: bool = True


def decide(
    question: Question, prior: Prior, seen: Sequence[Seen], funds: Funds, closed: frozenset[int] = frozenset()
) -> Next | Verdict:
    """The next ratio, or the answer. `closed` are places that cannot be one, since a run of them has diverged."""
    is_open = np.array([place not in closed for place in range(len(question.ratios))])
    if not is_open.any():
        return Verdict(None, 1.0)
    if not seen:
        return Next(int(is_open.argmax()))
    belief = prior.given(seen, question.unit)
    rights = _rights(question, belief, is_open)
    verdict = _likeliest(rights)
    wanted = _witness(question, verdict, seen, is_open)
    if verdict.probability >= question.confidence and not wanted:
        return verdict
    affordable = [place for place in wanted or _trainable(seen, is_open) if funds.allow(place)]
    if not affordable:
        return Verdict(verdict.place, verdict.probability, is_known=False)
    values = _values(belief, rights, funds, affordable)
    return Next(max(affordable, key=values.__getitem__), verdict)


def _witness(question: Question, verdict: Verdict, seen: Sequence[Seen], is_open: Truths) -> list[int]:
    """A ratio of which a run has to finish before all else: the baseline, which the others are held against; and once
    the answer is sure, the ratio that it names, or the longest, where it is that none is good enough."""
    trained = {each.place for each in seen}
    if question.baseline is not None and question.baseline not in trained:
        return [question.baseline]
    if verdict.probability < question.confidence:
        return []
    named = verdict.place if verdict.place is not None else int(np.flatnonzero(is_open)[-1])
    return [] if named in trained else [named]


def _trainable(seen: Sequence[Seen], is_open: Truths) -> list[int]:
    counts = np.bincount([each.place for each in seen], minlength=len(is_open))
    places: list[int] = np.flatnonzero(is_open & (counts < _MAX_SEEDS)).tolist()
    return places


def _rights(question: Question, belief: Belief, is_open: Truths) -> Truths:
    """Whether each answer (a ratio, and last: none) is right, in each draw: shape (draws, ratios + 1)."""
    means = np.where(is_open, belief.means, -math.inf)
    if question.target is not None:
        targets = np.full((len(means), 1), question.target)
        tie = belief.seed_sd
    else:
        assert question.within is not None
        assert question.baseline is not None
        targets = belief.means[:, [question.baseline]] - question.within
        tie = _TIE_OF_A_DIFFERENCE * belief.seed_sd
    best_so_far = np.maximum.accumulate(means, axis=1)
    nothing = np.full((len(means), 1), -math.inf)
    none_cheaper = np.hstack([nothing, best_so_far]) < targets + tie
    reaches = np.hstack([means >= targets - tie, np.full((len(means), 1), True)])
    rights: Truths = none_cheaper & reaches
    return rights


def _likeliest(rights: Truths) -> Verdict:
    probabilities = rights.mean(axis=0)
    place = int(probabilities.argmax())
    return Verdict(place if place < len(probabilities) - 1 else None, float(probabilities[place]))


def _values(belief: Belief, rights: Truths, funds: Funds, places: Sequence[int]) -> dict[int, float]:
    """How much more probable the best answer is expected to be, for what it costs, at the best number of seeds."""
    now, weighed, overhead = rights.mean(axis=0).max(), rights.astype(np.float64), _OVERHEAD * max(funds.costs)
    return {
        place: max(
            (_expected(belief, weighed, place, seeds) - now) / (seeds * (funds.costs[place] + overhead))
            for seeds in _SEEDS_AHEAD
        )
        for place in places
    }


def _expected(belief: Belief, rights: Floats, place: int, num_seeds: int) -> float:
    """How probable the best answer will be, on average over what the mean of so many more seeds may turn out to be."""
    means, sds = belief.means[:, place], belief.seed_sds / math.sqrt(num_seeds)
    marks = (2 * np.arange(len(_NOISE)) + 1) * len(means) // (2 * len(_NOISE))
    imagined = np.sort(means)[marks] + belief.seed_sd / math.sqrt(num_seeds) * _NOISE
    exponents = -0.5 * ((imagined[:, None] - means) / sds) ** 2 - np.log(sds)
    weights = np.exp(exponents - exponents.max(axis=1, keepdims=True))
    return float(((weights @ rights).max(axis=1) / weights.sum(axis=1)).mean())
