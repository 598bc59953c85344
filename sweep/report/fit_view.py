"""The run that fits into a budget, as a table of one row."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction

from sweep.plan.lengths import Lengths
from sweep.plan.speed import Interval
from sweep.printable import one_line
from sweep.recipe.duration import decimal_text
from sweep.report.cells import duration_text
from sweep.report.grid import Grid


def fit_grid(title: str, run: Lengths, seconds: Interval, dollars: Interval | None, notes: Iterable[str]) -> Grid:
    """`seconds` is what it takes by the clock on the wall; `notes` stand below."""
    headers = ["ratio", "epochs", "steps", "time", "95 % interval"]
    low, value, high = map(duration_text, (seconds.low, seconds.value, seconds.high))
    row = [run.ratio.text, _number(run.num_epochs), str(run.num_steps), value, f"{low} to {high}"]
    if dollars is not None:
        headers.append("dollars")
        row.append(f"${dollars.value:.3g} (${dollars.low:.3g} to ${dollars.high:.3g})")
    return Grid(one_line(title), tuple(headers), (tuple(row),), tuple(map(one_line, notes)))


def _number(value: Fraction) -> str:
    return decimal_text(value, 3).removesuffix(".0")
