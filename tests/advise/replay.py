"""Searches played on curves that are known: a run scores what its curve has at that ratio, and what its seed does."""

import csv
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sweep.advise.belief import Prior, Seen
from sweep.advise.decision import Funds, Next, Question, decide
from sweep.report.fit import fit_curve

RATIOS = tuple(place / 10 for place in range(1, 11))
SEED_SD = 0.0015
_EPOCHS = 88
_TABLE = Path(__file__).parents[1] / "report" / "ffcv_imagenet.csv"


def _published(arch):
    """FFCV's curve, between what they measured straight over the logarithm of the ratio, below it by the fit."""
    rows = [row for row in csv.DictReader(_TABLE.read_text().splitlines()) if row["arch"] == arch]
    rows.sort(key=lambda row: int(row["epochs"]))
    ratios = np.array([int(row["epochs"]) / _EPOCHS for row in rows])
    scores = np.array([float(row["top1"]) for row in rows])
    fit = fit_curve(ratios, scores)
    between = np.interp(np.log(RATIOS), np.log(ratios), scores)
    return tuple(
        fit.score_at(ratio) if ratio < ratios[0] else float(score) for ratio, score in zip(RATIOS, between, strict=True)
    )


CURVES = {
    "ResNet-50": _published("ResNet-50"),
    "ResNet-18": _published("ResNet-18"),
    "saturating": tuple(0.93 - 0.06 * math.exp((0.1 - ratio) / 0.12) for ratio in RATIOS),
    "declining": tuple(
        0.90 + 0.03 * math.sqrt((ratio - 0.1) / 0.3) if ratio <= 0.4 else 0.93 - 0.025 * (ratio - 0.4) / 0.6
        for ratio in RATIOS
    ),
    "flat": (0.91,) * len(RATIOS),
}


@dataclass(frozen=True)
class Wish:
    """A target, or points (a share of 1) within which to stay of ratio 1."""

    curve: str
    target: float | None = None
    within: float | None = None

    @property
    def true_target(self):
        return self.target if self.within is None else CURVES[self.curve][-1] - self.within

    @property
    def tie(self):
        """One sd of what is compared: a run, or the difference of two."""
        return SEED_SD if self.within is None else math.sqrt(2) * SEED_SD

    @property
    def place(self):
        """The cheapest ratio that is good enough; None where none is."""
        return next((place for place, mean in enumerate(CURVES[self.curve]) if mean >= self.true_target), None)

    def is_right(self, place, tie):
        """Whether an answer is the right one, or a tie with it: by its own curve, whatever the search believes."""
        means = CURVES[self.curve]
        cheaper = means if place is None else means[:place]
        is_reached = place is None or means[place] >= self.true_target - tie
        return place == self.place or (is_reached and max(cheaper, default=-math.inf) < self.true_target + tie)


WISHES = [
    Wish("ResNet-50", target=0.74),
    Wish("ResNet-50", target=0.76),
    Wish("ResNet-50", target=0.775),
    Wish("ResNet-50", target=0.795),
    Wish("ResNet-50", within=0.005),
    Wish("ResNet-50", within=0.01),
    Wish("ResNet-18", target=0.70),
    Wish("ResNet-18", target=0.72),
    Wish("ResNet-18", within=0.005),
    Wish("ResNet-18", within=0.01),
    Wish("saturating", target=0.90),
    Wish("saturating", target=0.928),
    Wish("saturating", within=0.005),
    Wish("declining", target=0.92),
    Wish("declining", target=0.94),
    Wish("declining", within=0.005),
    Wish("flat", target=0.90),
    Wish("flat", target=0.91),
    Wish("flat", target=0.915),
    Wish("flat", within=0.005),
]


@dataclass(frozen=True)
class Played:
    place: int | None
    is_known: bool
    num_runs: int
    cost: float
    """As a share of one run of every ratio."""


def score(curve, place, seed, run):
    """What the `run`-th seed of a ratio scores in the world `seed`: the same whenever it is trained."""
    return CURVES[curve][place] + SEED_SD * np.random.default_rng([seed, place, run]).standard_normal()


_PRIOR = Prior(RATIOS)


def play(wish, seed, left=None):
    """Search the world `seed`; `left` may be spent at most."""
    baseline = None if wish.within is None else len(RATIOS) - 1
    question = Question(RATIOS, 0.9, 0.002, wish.target, wish.within, baseline)
    seen, spent = [], 0.0
    while True:
        decision = decide(question, _PRIOR, seen, Funds(RATIOS, None if left is None else left - spent))
        if not isinstance(decision, Next):
            return Played(decision.place, decision.is_known, len(seen), spent / sum(RATIOS))
        place = decision.place
        seen.append(Seen(place, score(wish.curve, place, seed, sum(each.place == place for each in seen))))
        spent += RATIOS[place]


def play_all(wish, num_seeds, first=0):
    """Of so many worlds: the share of exact answers, of right ones, of right ones by a run's sd; cost; runs."""
    played = [play(wish, seed) for seed in range(first, first + num_seeds)]
    return tuple(
        float(np.mean(values))
        for values in (
            [one.place == wish.place for one in played],
            [one.is_known and wish.is_right(one.place, wish.tie) for one in played],
            [one.is_known and wish.is_right(one.place, SEED_SD) for one in played],
            [one.cost for one in played],
            [one.num_runs for one in played],
        )
    )
