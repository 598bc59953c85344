"""Sweeps, and what a machine has, as tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from sweep.printable import one_line
from sweep.report.cells import age_text, size_text
from sweep.report.grid import Grid

if TYPE_CHECKING:  # at run time it brings the packages along that the doctor may find missing
    from sweep.store.catalogue import SweepSummary


def sweeps_grid(sweeps: list[SweepSummary], results: Path) -> Grid:
    """A row for each sweep."""
    rows = tuple(
        tuple(
            one_line(cell)
            for cell in (
                *(sweep.name, sweep.recipe, _state(sweep), f"{sweep.num_finished} of {sweep.num_trials}"),
                *(size_text(sweep.num_bytes), age_text(sweep.age_seconds)),
            )
        )
        for sweep in sweeps
    )
    headers = ("sweep", "recipe", "state", "finished", "size", "begun")
    title = f"sweeps in {results}" if rows else f"there is no sweep in {results}: make one with: sweep run"
    return Grid(one_line(title), headers, rows, texts=frozenset({"sweep", "recipe", "state"}))


def _state(sweep: SweepSummary) -> str:
    if sweep.problem is not None:
        return sweep.problem
    if sweep.is_running:
        return "running"
    if sweep.num_finished == sweep.num_trials:
        return "complete"
    return f"{sweep.num_failed} failed" if sweep.num_failed else "incomplete"


def recipes_grid(summaries: Mapping[str, str]) -> Grid:
    """A row for each shipped recipe: its name, and what it is."""
    headers = ("recipe", "what it is")
    return Grid("recipes", headers, tuple(summaries.items()), texts=frozenset(headers))


def findings_grid(findings: Iterable[tuple[str, str, str, str | None]]) -> Grid:
    """Subject, state and detail of each finding; below them how to mend what can be mended."""
    findings = list(findings)
    rows = tuple(tuple(one_line(cell) for cell in finding[:3]) for finding in findings)
    notes = tuple(one_line(f"{subject}: {fix}") for subject, _, _, fix in findings if fix)
    headers = ("what", "state", "detail")
    return Grid("this machine", headers, rows, notes, texts=frozenset(headers))
