"""What a report is made of: the curves, where their numbers come from, and what they are judged by."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import pandas as pd

from sweep.recipe.duration import Ratio
from sweep.report.analysis import Curve, make_curves
from sweep.report.frame import trial_frame
from sweep.report.verdict import WITHIN_POINTS, verdict_text
from sweep.store.history import History

if TYPE_CHECKING:  # at run time it brings a quarter of a small report's imports along
    from sweep.report.csv_table import CsvTable


@dataclass(frozen=True)
class Findings:
    """`frame` has one row a trial. A sweep's own has a `history`; a table of somebody else's has none, and `remarks` on
    how it was read. `within_points` are the percentage points that a shorter run may lose, `wanted` the ratios that
    are asked of the fit."""

    name: str
    frame: pd.DataFrame
    within_points: float
    history: History | None = None
    remarks: tuple[str, ...] = ()
    wanted: tuple[Ratio, ...] = ()

    @classmethod
    def of_history(
        cls, history: History, within_points: float = WITHIN_POINTS, wanted: tuple[Ratio, ...] = ()
    ) -> Findings:
        return cls(history.starts[-1].recipe_name, trial_frame(history), within_points, history, wanted=wanted)

    @classmethod
    def of_table(
        cls, table: CsvTable, within_points: float = WITHIN_POINTS, wanted: tuple[Ratio, ...] = ()
    ) -> Findings:
        return cls(table.source, table.frame, within_points, remarks=table.remarks, wanted=wanted)

    @cached_property
    def curves(self) -> tuple[Curve, ...]:
        return make_curves(self.frame)

    @cached_property
    def has_recipes(self) -> bool:
        """Whether there are several recipes in it, so that each row names its own."""
        return len({curve.recipe for curve in self.curves}) > 1

    @cached_property
    def has_methods(self) -> bool:
        return len({curve.method for curve in self.curves}) > 1

    def label(self, curve: Curve) -> str:
        """What tells a curve from the others; empty where there is one."""
        parts = [curve.recipe] * self.has_recipes + [curve.method] * self.has_methods
        return ", ".join(parts)

    def labelled(self, curve: Curve, text: str) -> str:
        """A sentence on a curve, with what tells it from the others before it."""
        label = self.label(curve)
        return f"{label}: {text}" if label else text

    @cached_property
    def verdicts(self) -> list[str]:
        """A sentence on each curve."""
        return [self.labelled(curve, verdict_text(curve, self.within_points)) for curve in self.curves]
