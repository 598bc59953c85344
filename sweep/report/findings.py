"""What a report is made of: the curves, where their numbers come from, and what they are judged by."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import pandas as pd

from sweep.recipe.duration import Ratio
from sweep.report.analysis import Curve, make_curves
from sweep.report.approximation import method_text
from sweep.report.frame import trial_frame
from sweep.report.metric import ACCURACY, Metric
from sweep.report.verdict import verdict_text
from sweep.store.history import History

if TYPE_CHECKING:  # at run time it brings a quarter of a small report's imports along
    from sweep.report.csv_table import CsvTable


@dataclass(frozen=True)
class Findings:
    """`frame` has one row a trial. A sweep's own has a `history`; a table of somebody else's has none, and `remarks` on
    how it was read. `within_points` are the points that a shorter run may lose (None: the metric's own default),
    `wanted` the ratios that are asked of the fit."""

    name: str
    frame: pd.DataFrame
    within_points: float | None
    history: History | None = None
    remarks: tuple[str, ...] = ()
    wanted: tuple[Ratio, ...] = ()
    metric: Metric = ACCURACY

    def __post_init__(self) -> None:
        self.metric.check_within(self.within_points)

    @classmethod
    def of_history(
        cls, history: History, within_points: float | None = None, wanted: tuple[Ratio, ...] = ()
    ) -> Findings:
        """What a sweep has measured.

        Raises:
            UsageError: `within_points` are more percentage points than there are.
        """
        name, metric = history.starts[-1].recipe_name, Metric(history.metric, history.is_lower_better)
        return cls(name, trial_frame(history), within_points, history, wanted=wanted, metric=metric)

    @classmethod
    def of_table(cls, table: CsvTable, within_points: float | None = None, wanted: tuple[Ratio, ...] = ()) -> Findings:
        """What somebody else has measured.

        Raises:
            UsageError: as of a history.
        """
        return cls(table.source, table.frame, within_points, remarks=table.remarks, wanted=wanted, metric=table.metric)

    def of_method(self, method: str) -> Findings:
        """What of it was trained by one method."""
        return replace(self, frame=self.frame[self.frame["method"] == method])

    @cached_property
    def curves(self) -> tuple[Curve, ...]:
        return make_curves(self.frame, self.metric)

    @cached_property
    def set_ups(self) -> tuple[str, ...]:
        """Where the finished trials were trained, as far as that is known; times of two of them do not compare."""
        return tuple(dict.fromkeys(name for curve in self.curves for name in curve.set_ups.names))

    @property
    def has_set_ups(self) -> bool:
        """Whether there are several, so that each row names its own."""
        return len(self.set_ups) > 1

    @cached_property
    def has_recipes(self) -> bool:
        """Whether there are several recipes in it, so that each row names its own."""
        return len({curve.recipe for curve in self.curves}) > 1

    @cached_property
    def has_methods(self) -> bool:
        """Whether each row names its method: there are several, or one whose figures approximate others."""
        return len({curve.method for curve in self.curves}) > 1 or self.is_approximate

    @cached_property
    def is_approximate(self) -> bool:
        """Whether any of its curves is an approximation."""
        return any(curve.is_approximate for curve in self.curves)

    def label(self, curve: Curve) -> str:
        """What tells a curve from the others; empty where there is one."""
        parts = [curve.recipe] * self.has_recipes + [method_text(curve.method)] * self.has_methods
        return ", ".join(parts)

    def labelled(self, curve: Curve, text: str) -> str:
        """A sentence on a curve, with what tells it from the others before it."""
        label = self.label(curve)
        return f"{label}: {text}" if label else text

    @cached_property
    def verdicts(self) -> list[str]:
        """A sentence on each curve."""
        return [self.labelled(curve, verdict_text(curve, self.within_points)) for curve in self.curves]
