"""Trials of one curve that were trained on several set-ups: whose times compare, and how those of the others count.

A time compares with those of its own set-up alone. As a share of the ratio 1 that was trained there it has a meaning
on any other one: so it counts as that share of the ratio 1 of one set-up, the reference.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import pandas as pd

from sweep.errors import Outcome


@dataclass(frozen=True)
class SetUps:
    """Where the finished trials of a curve were trained: `names`, as far as they are known, the reference first.
    `baseline_seconds` is the mean time of ratio 1 on each that has one: of its trials among them, or else of those that
    finished there and do not count, since another set-up's do."""

    names: tuple[str, ...]
    baseline_seconds: dict[str, float]

    @classmethod
    def of(cls, trials: pd.DataFrame) -> SetUps:
        """The reference is the set-up of a ratio 1; where several are, that with which the sweep was begun."""
        finished = trials[(trials["outcome"] == Outcome.FINISHED) & trials["set_up"].notna()]
        baselines = finished[finished["is_baseline"].astype(bool) & (finished["train_seconds"] > 0)]
        own_first = [*_own(baselines), *baselines["set_up"], *_own(finished), *finished["set_up"]]
        elsewhere = finished[finished["baseline_seconds"] > 0].groupby("set_up", sort=False)["baseline_seconds"].first()
        means = elsewhere.to_dict() | baselines.groupby("set_up", sort=False)["train_seconds"].mean().to_dict()
        return cls(tuple(dict.fromkeys(own_first)), {str(name): float(mean) for name, mean in means.items()})

    @property
    def lacking(self) -> tuple[str, ...]:
        """Those on which no ratio 1 has finished."""
        return tuple(name for name in self.names if name not in self.baseline_seconds)

    def factor(self, name: Any) -> float:
        """What a time on the set-up `name` is to be multiplied by to compare with the reference's; NaN where nothing
        makes it comparable. Where no set-up is known, all times count as they are."""
        if not self.names or name == self.names[0]:
            return 1.0
        reference, own = (self.baseline_seconds.get(of, math.nan) for of in (self.names[0], name))
        return reference / own

    def own(self, trials: pd.DataFrame) -> pd.Series[bool]:
        """Which of the curve's trials were trained on the reference; where that is not known, on no other set-up."""
        return trials["set_up"] == self.names[0] if self.names else trials["other_set_up"].isna()


def _own(trials: pd.DataFrame) -> pd.Series[str]:
    return trials.loc[trials["other_set_up"].isna(), "set_up"]
