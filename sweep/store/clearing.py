"""The states that sweeps have left on the disk: counted, and removed. What was recorded stays, and so do weights."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from sweep.errors import MachineError, Problem
from sweep.store.catalogue import no_such_sweep
from sweep.store.history import History, read_history
from sweep.store.queue import refuse_if_out
from sweep.store.states import all_states
from sweep.store.workspace import Workspace, list_workspaces, open_workspace


@dataclass(frozen=True)
class LeftStates:
    """A sweep's states, of `num_stages` Stages; `num_begun` of these are not done, and would begin again."""

    workspace: Workspace
    num_states: int
    num_bytes: int
    num_stages: int
    num_begun: int
    is_running: bool


def find_states(results: Path, name: str | None) -> list[LeftStates]:
    """The states of the sweep called `name`, by default of every one under `results`; of those that have any. Sweeps
    that are kept as references are left alone, and so are links. Writes nothing.

    Raises:
        UsageError: there is no such sweep.
    """
    there = list_workspaces(results)
    if name is not None:
        workspace = open_workspace(results, name, where="SWEEP")
        if workspace not in there:
            raise no_such_sweep(results, name)
        there = [workspace]
    own = [workspace for workspace in there if not workspace.is_reference and not workspace.folder.is_symlink()]
    return [left for left in map(_left, own) if left.num_stages]


def _left(workspace: Workspace) -> LeftStates:
    try:
        history = read_history(workspace.journal)
    except MachineError:  # of a newer version: nobody knows which of its Stages are done
        history = History((), {}, ())
    stages = list(all_states(workspace.states))
    return LeftStates(
        workspace=workspace,
        num_states=sum(len(states.steps()) for states in stages),
        num_bytes=sum(states.num_bytes() for states in stages),
        num_stages=len(stages),
        num_begun=sum(not history.is_final(states.folder.name) for states in stages),
        is_running=workspace.is_locked(),
    )


def remove_states(found: Iterable[LeftStates], tell: Callable[[LeftStates], None]) -> None:
    """Remove the states of these sweeps; `tell` hears of each that is done.

    Raises:
        MachineError: with every sweep that is running, or whose states cannot be removed; the others' are gone.
    """
    problems: list[Problem] = []
    for left in found:
        try:
            _remove(left.workspace)
        except MachineError as error:
            problems += error.problems
        else:
            tell(left)
    if problems:
        raise MachineError(problems)


def _remove(workspace: Workspace) -> None:
    with workspace.locked():
        refuse_if_out(workspace)
        for states in all_states(workspace.states):
            states.remove_all_but(())
        if stays := list(all_states(workspace.states)):
            raise MachineError(Problem("cannot be removed", where=str(stays[0].folder)))
