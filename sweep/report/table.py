"""The table of cost and quality, and the lines below it."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd

from sweep.printable import one_line
from sweep.report.analysis import RatioSummary, max_contention, summarise
from sweep.report.bill import bill_text, make_bill
from sweep.report.cells import duration_text, number_text, percent_text, ratio_text
from sweep.report.frame import trial_frame
from sweep.report.grid import Grid
from sweep.store.history import History

# Above this share of other processes' CPU time, the line below the table says that the times are not clean.
_NOTABLE_CONTENTION = 0.10

_Column = tuple[str, Callable[[RatioSummary], str]]


def make_table(history: History) -> Grid:
    """The whole sweep, one row a ratio."""
    frame = trial_frame(history)
    summaries = summarise(frame)
    columns = _columns(summaries)
    return Grid(
        one_line(f"{history.starts[-1].recipe_name}: what training costs, and what it gives"),
        tuple(header for header, _ in columns),
        tuple(tuple(one_line(cell(summary)) for _, cell in columns) for summary in summaries),
        tuple(one_line(note) for note in _notes(history, frame, summaries)),
        texts=frozenset({"method", "outcome"}),
    )


def _columns(summaries: list[RatioSummary]) -> list[_Column]:
    """Columns that no row has anything to say in are left out: dollars, and the method where there is one."""
    columns: list[_Column] = [
        ("ratio", lambda row: ratio_text(row.ratio_text, row.realised_ratio)),
        ("epochs", lambda row: f"{row.epochs:.4g}"),
        ("steps", lambda row: str(row.steps)),
        ("train time", lambda row: duration_text(row.train_seconds)),
        ("cost", lambda row: number_text(row.relative_cost, "{:.2f}x")),
        ("accuracy (seeds)", _accuracy_cell),
        ("vs 1.0", lambda row: number_text(row.points, "{:+.2f}")),
        ("truncated", lambda row: percent_text(row.truncated_accuracy)),
        ("outcome", _outcome_cell),
    ]
    if any(row.dollars is not None for row in summaries):
        columns.insert(5, ("dollars", lambda row: number_text(row.dollars, "${:.4g}")))
    if len({row.method for row in summaries}) > 1:
        columns.insert(0, ("method", lambda row: row.method))
    return columns


def _accuracy_cell(row: RatioSummary) -> str:
    if row.accuracy is None:
        return ""
    spread = "" if row.accuracy_sd is None else f" ± {100 * row.accuracy_sd:.2f}"
    return f"{100 * row.accuracy:.2f}{spread} % ({row.num_finished})"


def _outcome_cell(row: RatioSummary) -> str:
    finished = f"{row.num_finished} of {row.num_trials} finished" if row.failures else "finished"
    mixed = [f"other set-up: seed {', '.join(map(str, row.mixed_seeds))}"] if row.mixed_seeds else []
    return "; ".join([finished, *mixed, *row.failures])


def _notes(history: History, frame: pd.DataFrame, summaries: list[RatioSummary]) -> list[str]:
    start = history.starts[-1]
    notes = [
        f"recipe {start.recipe_name} ({start.fingerprint}), {_setup(history)}",
        _contention(max_contention(frame)),
    ]
    if (bill := make_bill(history)) is not None:
        notes.append(bill_text(bill))
    if not any(row.is_baseline for row in summaries):
        notes.append("no trial has ratio 1.0: cost, vs 1.0 and truncated need one (run with --ratios …,1.0)")
    elif not any(row.is_baseline and row.num_finished for row in summaries):
        notes.append("no trial at ratio 1.0 has finished: cost, vs 1.0 and truncated need one")
    elif any(row.truncated_accuracy is not None for row in summaries):
        notes.append(
            "cost and vs 1.0 (percentage points) are against ratio 1.0; truncated is what ratio 1.0 had reached "
            "after as many steps of its own schedule"
        )
    if any(_lacks_its_control(row, summaries) for row in summaries):
        notes.append("truncated is blank where ratio 1.0 was trained before that length was asked for")
    if changes := dict.fromkeys(change for result in history.results for change in result.other_set_up):
        notes.append(
            f"other set-up than the first run's ({'; '.join(changes)}): these trials need not have the bits that they "
            "would have had on it, and their times and costs do not compare"
        )
    if history.damaged_lines:
        lines = ", ".join(str(line) for line in history.damaged_lines)
        notes.append(f"damaged records in the journal were ignored (line {lines})")
    return notes


def _lacks_its_control(row: RatioSummary, summaries: list[RatioSummary]) -> bool:
    baseline_finished = any(other.is_baseline and other.num_finished for other in summaries)
    return baseline_finished and bool(row.num_finished) and row.realised_ratio < 1 and row.truncated_accuracy is None


def _setup(history: History) -> str:
    """Where it was trained, marked trials apart: threads and torch are the same, and GPUs may be of several kinds."""
    results = [result for result in history.results if result.environment and not result.other_set_up]
    environments = [result.environment for result in results if result.environment] or [history.starts[0].environment]
    first = environments[0]
    names = ", ".join(dict.fromkeys(environment.device_name for environment in environments))
    threads = f"{first.threads} thread{'s' if first.threads > 1 else ''}"
    most = max(start.jobs for start in history.starts)
    jobs = f", up to {most} trials at a time" if most > 1 else ""
    return f"{first.device_kind} ({names}), {threads}, torch {first.torch}{jobs}"


def _contention(share: float | None) -> str:
    if share is None:
        return "contention: not known"
    text = f"contention: other processes used up to {100 * share:.0f} % of the CPU time while training"
    return f"{text}: the times are not clean" if share > _NOTABLE_CONTENTION else text
