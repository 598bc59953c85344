"""The sweeps of a results folder: one by its name, the newest, or all of them with their state, size and age.

Reads only.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sweep.clock import seconds_since
from sweep.errors import MachineError, Outcome, Problem, UsageError
from sweep.store.history import History, read_history
from sweep.store.workspace import Workspace, list_workspaces, open_workspace


@dataclass(frozen=True)
class SweepSummary:
    """One sweep at a glance. `age_seconds` counts from its last start, `started_at` as it is recorded; `problem` says
    why there is none to be read. `is_mixed`: some trials were trained on another set-up than the first.
    """

    name: str
    recipe: str
    num_trials: int
    num_finished: int
    num_failed: int
    is_running: bool
    num_bytes: int
    started_at: str | None
    age_seconds: float | None
    problem: str | None = None
    is_mixed: bool = False


def read_sweep(results: Path, name: str | None) -> tuple[Workspace, History]:
    """The sweep called `name` under `results`, by default the newest: the one whose last start is the latest as the
    clock on the wall showed it then.

    Raises:
        UsageError: there is none.
        MachineError: its journal cannot be read.
    """
    if name is None:
        return _newest(results)
    workspace = open_workspace(results, name, where="SWEEP")
    history = read_history(workspace.journal)
    check_readable(workspace, history)
    if not history.starts:
        raise nothing_trained(name) if history.pilots else no_such_sweep(results, name)
    return workspace, history


def check_readable(workspace: Workspace, history: History) -> None:
    """Pass in silence.

    Raises:
        MachineError: there are records, and none is whole that says what was asked for.
    """
    if history.damaged_lines and not history.starts:
        raise MachineError(Problem("damaged beyond reading", where=str(workspace.journal), fix="sweep run repairs it"))


def no_such_sweep(results: Path, name: str) -> UsageError:
    """What to raise where there is none called `name`: it says which there are."""
    known = ", ".join(workspace.name for workspace in list_workspaces(results)) or "none"
    return UsageError(Problem(f"there is no sweep {name!r} in {results}", where="SWEEP", fix=f"there: {known}"))


def nothing_trained(name: str) -> UsageError:
    """What to raise where there is no more than an estimate."""
    return UsageError(Problem(f"{name!r} was estimated, and nothing of it is trained yet", "SWEEP", fix="sweep run"))


def _newest(results: Path) -> tuple[Workspace, History]:
    # Not a list: a long history takes hundreds of megabytes.
    found = ((workspace, read_history(workspace.journal)) for workspace in list_workspaces(results))
    begun = (pair for pair in found if pair[1].starts)
    newest = max(begun, key=lambda pair: pair[1].starts[-1].started_at, default=None)
    if newest is None:
        raise UsageError(Problem(f"there is no sweep in {results}", where="--results", fix="make one with: sweep run"))
    return newest


def list_sweeps(results: Path) -> list[SweepSummary]:
    """Every sweep under `results`, the newest first; at the end those that cannot be read."""
    found = [_summary(workspace) for workspace in list_workspaces(results)]
    return sorted(found, key=lambda sweep: sweep.started_at or "", reverse=True)


def _summary(workspace: Workspace) -> SweepSummary:
    problem: str | None = None
    try:
        history = read_history(workspace.journal)
    except MachineError as error:
        history, problem = History((), {}, ()), error.problems[0].message
    if not history.starts and problem is None:
        problem = "estimated only" if history.pilots and not history.damaged_lines else "damaged"
    outcomes = [result.outcome for result in history.results]
    start = history.last_start
    return SweepSummary(
        name=workspace.name,
        recipe=start.recipe_name if start else "",
        num_trials=len(outcomes),
        num_finished=outcomes.count(Outcome.FINISHED),
        num_failed=sum(outcome.is_failure for outcome in outcomes),
        is_running=workspace.is_locked(),
        num_bytes=workspace.num_bytes(),
        started_at=start.started_at if start else None,
        age_seconds=seconds_since(start.started_at) if start else None,
        problem=problem,
        is_mixed=any(result.other_set_up for result in history.results),
    )
