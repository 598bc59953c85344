"""What more training buys: from each length to the next longer one."""

from __future__ import annotations

from itertools import pairwise

from sweep.printable import one_line
from sweep.report.analysis import Curve
from sweep.report.cells import duration_text, number_text
from sweep.report.findings import Findings
from sweep.report.grid import Grid
from sweep.report.summary import RatioSummary

# The longest unit that the longest run fills.
_UNITS = (("hour", 3600.0), ("minute", 60.0), ("second", 1.0))


def make_gains(findings: Findings) -> Grid | None:
    """A row for each step from a length to the next; None where no curve has two."""
    steps = [(curve, before, row) for curve in findings.curves for before, row in pairwise(_measured(curve))]
    if not steps:
        return None
    unit, seconds = _unit(findings)
    headers = ("ratio", "further time", findings.metric.unit, "per doubling", f"per {unit}", "per dollar")
    cells = [
        (
            findings.label(curve),
            f"{before.ratio_text} to {row.ratio_text}",
            *_cells(curve, before, row, seconds),
        )
        for curve, before, row in steps
    ]
    columns = [("recipe" if findings.has_recipes else "method"), *headers]
    kept = [place for place in range(len(columns)) if any(row[place] for row in cells)]
    return Grid(
        one_line(f"what more training buys, in {findings.metric.long_unit}"),
        tuple(one_line(columns[place]) for place in kept),
        tuple(tuple(one_line(row[place]) for place in kept) for row in cells),
        texts=frozenset({"recipe", "method", "ratio"}),
    )


def _measured(curve: Curve) -> list[RatioSummary]:
    """As long as they come, cheapest or not: what a longer run that was cheaper buys is blank."""
    return [row for row in curve.rows if row.is_measured]


def _unit(findings: Findings) -> tuple[str, float]:
    longest = max((row.train_seconds or 0.0 for curve in findings.curves for row in curve.measured), default=0.0)
    return next((unit for unit in _UNITS if longest >= unit[1]), _UNITS[-1])


def _cells(curve: Curve, before: RatioSummary, row: RatioSummary, seconds: float) -> tuple[str, ...]:
    further = (row.train_seconds or 0.0) - (before.train_seconds or 0.0)
    gain = curve.points_between(row, before)
    per_unit = row.points_per_hour * seconds / 3600 if row.points_per_hour is not None else None
    return (
        duration_text(further) if further > 0 else "",
        curve.metric.signed_text(gain.value, gain.ci95),
        curve.metric.signed_text(row.points_per_doubling, row.points_per_doubling_ci95),
        _rate_text(curve.metric.value(per_unit)),
        _rate_text(curve.metric.value(row.points_per_dollar)),
    )


def _rate_text(rate: float | None) -> str:
    """`+0.226`, `+41.1`, `+36,700`."""
    return number_text(rate, "{:+,.0f}" if abs(rate or 0.0) >= 999.5 else "{:+.3g}")
