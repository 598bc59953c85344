"""Sweeps, and what a machine has, as tables."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from sweep.errors import Outcome
from sweep.printable import one_line
from sweep.report.cells import age_text, size_text
from sweep.report.grid import Grid

if TYPE_CHECKING:  # at run time it brings the packages along that the doctor may find missing
    from sweep.store.catalogue import SweepSummary
    from sweep.store.clearing import LeftStates
    from sweep.store.merge import Merged


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
    unfinished = f"{sweep.num_failed} failed" if sweep.num_failed else "incomplete"
    state = "complete" if sweep.num_finished == sweep.num_trials else unfinished
    return f"{state}, mixed set-ups" if sweep.is_mixed else state


def states_grid(found: list[LeftStates], results: Path) -> Grid:
    """A row for each of some sweeps that have states, with what it costs to remove them."""
    rows = tuple(
        (one_line(left.workspace.name), str(left.num_states), size_text(left.num_bytes), _without(left))
        for left in found
    )
    headers = ("sweep", "states", "size", "without them")
    total = f"{size_text(sum(left.num_bytes for left in found))} in all; results, logs and weights stay"
    return Grid(one_line(f"states in {results}"), headers, rows, (total,), texts=frozenset({"sweep", "without them"}))


def _without(left: LeftStates) -> str:
    if left.is_running:
        return "it is running: they cannot be removed"
    longer = "the next longer or denser grid"
    if not left.num_begun:
        return f"{longer} trains from the beginning"
    if left.num_begun == left.num_stages:
        return "what was interrupted trains from the beginning"
    return f"what was interrupted, and {longer}, train from the beginning"


def merged_grid(merged: Merged) -> Grid:
    """A row for each sweep that was merged; below them what there is to know of the new one."""
    rows = tuple(
        (
            one_line(part.name),
            *(str(number) for number in (len(part.keys), part.num_finished, counted)),
            one_line("; ".join(part.set_ups)),
        )
        for part, counted in zip(merged.parts, merged.num_counted, strict=True)
    )
    outcomes = [result.outcome for result in merged.history.results]
    title = f"{merged.workspace.name}: {len(outcomes)} trials, {outcomes.count(Outcome.FINISHED)} finished"
    notes = tuple(one_line(note) for note in _merging_notes(merged))
    headers = ("sweep", "trials", "finished", "counted", "trained on")
    return Grid(one_line(title), headers, rows, notes, texts=frozenset({"sweep", "trained on"}))


def _merging_notes(merged: Merged) -> Iterator[str]:
    first, *others = merged.parts
    if number := merged.num_in_several:
        yield f"{number} in several of them: of each, that of the first named that has finished it counts"
    for entry in merged.disagreements:
        yield f"ratio {entry.ratio}, seed {entry.seed}: other weights on the same set-up, which should not be"
    for part in others:
        if changes := merged.changes(part):
            yield f"{part.name}: another set-up than that of {first.name} ({'; '.join(changes)}): its trials are marked"
    if len({set_up for part in merged.parts for set_up in part.set_ups}) > 1:
        yield "times of several set-ups do not compare: each counts as a share of its own set-up's ratio 1.0"
    for part in merged.parts:
        if lines := ", ".join(map(str, part.history.damaged_lines)):
            yield f"{part.name}: damaged records were ignored ({part.workspace.journal}:{lines})"
    yield "states, weights, logs and what commands wrote are not copied: they stay in the sweeps' own folders"


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
