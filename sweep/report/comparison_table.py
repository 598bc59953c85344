"""The table of a comparison, one row a contender, with what it says in sentences below."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sweep.printable import one_line
from sweep.report.cells import duration_text, percent_text, signed_text, times_text
from sweep.report.comparison import Comparison
from sweep.report.comparison_notes import (
    change_text,
    comparison_notes,
    ends_text,
    is_above_with_cheapest,
)
from sweep.report.contender import Lineup
from sweep.report.grid import Grid
from sweep.report.replicates import Interval


def comparison_table(lineup: Lineup, comparisons: Sequence[Comparison]) -> Grid:
    """Each comparison is with the line-up's reference."""
    others = ", ".join(other.name for other in lineup.others)
    rows = [_reference_row(comparisons[0]), *(_row(comparison) for comparison in comparisons)]
    return Grid(
        one_line(f"{lineup.reference.name} against {others}: at equal quality and at equal cost"),
        _headers(comparisons[0]),
        tuple(tuple(one_line(cell) for cell in row) for row in rows),
        notes=tuple(one_line(note) for note in comparison_notes(lineup, comparisons)),
        texts=frozenset({"recipe", "crossings"}),
    )


def _headers(comparison: Comparison) -> tuple[str, ...]:
    quality, cost = percent_text(comparison.anchor.accuracy), duration_text(comparison.anchor.train_seconds)
    at_equal = (f"time to {quality}", "cheaper", f"accuracy at {cost}", "points")
    return ("recipe", *at_equal, "mean cost", "mean points", "crossings")


def _reference_row(comparison: Comparison) -> tuple[str, ...]:
    time, accuracy = duration_text(comparison.old_seconds), percent_text(comparison.anchor.accuracy)
    return (comparison.old.name, time, "", accuracy, "", "", "", "")


def _row(comparison: Comparison) -> tuple[str, ...]:
    return (
        comparison.new.name,
        _time_cell(comparison),
        _cell(comparison.times_cheaper, times_text),
        percent_text(comparison.new_accuracy),
        _cell(comparison.points, signed_text),
        _cell(comparison.cost_change, change_text),
        _cell(comparison.mean_points, signed_text),
        ", ".join(duration_text(crossing.train_seconds.value) for crossing in comparison.crossings),
    )


def _time_cell(comparison: Comparison) -> str:
    if comparison.new_seconds is None:
        cheapest = comparison.new.points[0]
        return f"under {duration_text(cheapest.train_seconds)}" if is_above_with_cheapest(comparison) else "never"
    return duration_text(comparison.new_seconds)


def _cell(interval: Interval | None, text: Callable[[float], str]) -> str:
    if interval is None:
        return ""
    ends = ends_text(interval, text)
    return f"{text(interval.value)} ({ends})" if ends else text(interval.value)
