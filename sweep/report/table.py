"""The table of cost and quality, one row a length."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from sweep.printable import one_line
from sweep.report.analysis import Curve
from sweep.report.approximation import method_text
from sweep.report.cells import duration_text, energy_text, number_text, ratio_text
from sweep.report.findings import Findings
from sweep.report.gains import make_gains
from sweep.report.grid import Grid
from sweep.report.metric import Metric
from sweep.report.notes import make_notes
from sweep.report.summary import RatioSummary

_Cell = Callable[[Curve, RatioSummary], str]


def make_tables(findings: Findings) -> list[Grid]:
    """All lengths of all curves, what each further one buys, and the verdict and the notes below them."""
    gains = make_gains(findings)
    tables = [_lengths(findings), *([gains] if gains is not None else [])]
    notes = tuple(one_line(note) for note in make_notes(findings))
    return [*tables[:-1], replace(tables[-1], notes=notes)]


def _lengths(findings: Findings) -> Grid:
    rows = [(curve, row) for curve in findings.curves for row in curve.rows]
    columns, always = _columns(findings), {*_ALWAYS, quality_header(findings.metric)}
    cells = [[one_line(cell(curve, row)) for _, cell in columns] for curve, row in rows]
    kept = [place for place, (name, _) in enumerate(columns) if name in always or any(row[place] for row in cells)]
    return Grid(
        one_line(f"{findings.name}: what training costs, and what it gives"),
        tuple(one_line(columns[place][0]) for place in kept),
        tuple(tuple(row[place] for place in kept) for row in cells),
        texts=frozenset({"recipe", "method", "set-up", "outcome"}),
    )


# Columns that no row has anything to say in are left out, but for these.
_ALWAYS = ("ratio", "train time", "cost", "vs 1.0")


def quality_header(metric: Metric) -> str:
    """`accuracy (seeds)`."""
    return f"{metric.name} (seeds)"


def _columns(findings: Findings) -> list[tuple[str, _Cell]]:
    return [
        ("recipe", lambda curve, row: curve.recipe if findings.has_recipes else ""),
        ("method", lambda curve, row: method_text(curve.method) if findings.has_methods else ""),
        ("ratio", lambda curve, row: ratio_text(row.ratio_text, row.realised_ratio)),
        ("epochs", lambda curve, row: number_text(row.epochs, "{:.4g}")),
        ("steps", lambda curve, row: number_text(row.steps, "{}")),
        ("set-up", lambda curve, row: _set_up_cell(findings, row)),
        ("train time", lambda curve, row: ", ".join(map(duration_text, row.measured_seconds.values()))),
        ("cost", lambda curve, row: number_text(row.relative_cost, "{:.2f}x")),
        ("dollars", lambda curve, row: number_text(row.dollars, "${:.4g}")),
        ("energy", lambda curve, row: energy_text(row.joules)),
        (quality_header(findings.metric), lambda curve, row: _quality_cell(curve.metric, row)),
        ("sd", lambda curve, row: curve.metric.spread_text(row.sd)),
        ("vs 1.0", lambda curve, row: curve.metric.signed_text(row.points, row.points_ci95)),
        ("truncated", lambda curve, row: curve.metric.value_text(row.truncated_score)),
        ("outcome", lambda curve, row: _outcome_cell(row)),
    ]


def _quality_cell(metric: Metric, row: RatioSummary) -> str:
    """The mean with its interval, and how many seeds it is of: where some did not finish, of how many."""
    if row.score is None:
        return ""
    count = str(row.num_finished) if row.num_finished == row.num_trials else f"{row.num_finished} of {row.num_trials}"
    return f"{metric.value_text(row.score, row.ci95)} ({count})"


def _set_up_cell(findings: Findings, row: RatioSummary) -> str:
    """Where it was trained, by the numbers that the notes explain."""
    if not findings.has_set_ups:
        return ""
    return ", ".join(
        str(findings.set_ups.index(name) + 1) if name is not None else "several" for name in row.measured_seconds
    )


def _seed_text(seed: int | None) -> str:
    return "not known" if seed is None else str(seed)


def _outcome_cell(row: RatioSummary) -> str:
    """Empty where all has finished as it should."""
    finished = [f"{row.num_finished} of {row.num_trials} finished"] if row.failures else []
    mixed = [f"other set-up: seed {', '.join(_seed_text(seed) for seed in row.mixed_seeds)}"] if row.mixed_seeds else []
    return "; ".join([*finished, *mixed, *row.failures])
