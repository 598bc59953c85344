"""The table of a comparison, one row a contender, with what it says in sentences below."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sweep.printable import one_line
from sweep.report.cells import duration_text, times_text
from sweep.report.comparison import Comparison
from sweep.report.comparison_notes import (
    change_text,
    comparison_notes,
    ends_text,
    is_above_with_cheapest,
    points_ends_text,
)
from sweep.report.contender import Lineup
from sweep.report.grid import Grid
from sweep.report.metric import Metric
from sweep.report.replicates import Interval


def comparison_table(lineup: Lineup, comparisons: Sequence[Comparison]) -> Grid:
    """Each comparison is with the line-up's reference."""
    others = ", ".join(other.name for other in lineup.others)
    rows = [_reference_row(comparisons[0]), *(_row(comparison) for comparison in comparisons)]
    return Grid(
        one_line(f"{lineup.reference.name} against {others}: at equal quality and at equal cost"),
        tuple(one_line(header) for header in _headers(comparisons[0])),
        tuple(tuple(one_line(cell) for cell in row) for row in rows),
        notes=tuple(one_line(note) for note in comparison_notes(lineup, comparisons)),
        texts=frozenset({"recipe", "crossings"}),
    )


def _headers(comparison: Comparison) -> tuple[str, ...]:
    metric, cost = comparison.metric, duration_text(comparison.anchor.train_seconds)
    quality, gain = metric.value_text(comparison.anchor.score), "points" if metric.is_share else "change"
    at_equal = (f"time to {quality}", "cheaper", f"{metric.name} at {cost}", gain)
    return ("recipe", *at_equal, "mean cost", f"mean {gain}", "crossings")


def _reference_row(comparison: Comparison) -> tuple[str, ...]:
    time, quality = duration_text(comparison.old_seconds), comparison.metric.value_text(comparison.anchor.score)
    return (comparison.old.name, time, "", quality, "", "", "", "")


def _row(comparison: Comparison) -> tuple[str, ...]:
    return (
        comparison.new.name,
        _time_cell(comparison),
        _cell(comparison.times_cheaper, times_text),
        comparison.metric.value_text(comparison.new_score),
        _points_cell(comparison.metric, comparison.points),
        _cell(comparison.cost_change, change_text),
        _points_cell(comparison.metric, comparison.mean_points),
        ", ".join(duration_text(crossing.train_seconds.value) for crossing in comparison.crossings),
    )


def _time_cell(comparison: Comparison) -> str:
    if comparison.new_seconds is None:
        cheapest = comparison.new.points[0]
        return f"under {duration_text(cheapest.train_seconds)}" if is_above_with_cheapest(comparison) else "never"
    return duration_text(comparison.new_seconds)


def _points_cell(metric: Metric, points: Interval | None) -> str:
    if points is None:
        return ""
    ends = points_ends_text(metric, points)
    return f"{metric.signed_text(points.value)} ({ends})" if ends else metric.signed_text(points.value)


def _cell(interval: Interval | None, text: Callable[[float], str]) -> str:
    if interval is None:
        return ""
    ends = ends_text(interval, text)
    return f"{text(interval.value)} ({ends})" if ends else text(interval.value)
