"""Keeps a sweep's folder and the one that stands in for it on another machine alike: the states here that a job needs
go there, and what a Worker keeps there is kept here, under the same name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from sweep.run.executors.mirror import Change, Printed, Removed, Written
from sweep.run.messages import Job
from sweep.store.durable import discard_file, make_folder, open_log, read_file, write_own
from sweep.store.records import PrepareJob, StageJob
from sweep.store.states import CHECKSUM_CHARS, StageStates
from sweep.store.workspace import Workspace


class Courier:
    """To and from `scratch`, a folder over there; `log` is that of its Worker here."""

    def __init__(self, scratch: str, log: Path) -> None:
        self._scratch = scratch
        self._log = log
        self._workspace: Workspace | None = None  # None: nothing is kept
        self._over_there: dict[str, bytes] = {}  # the states, each by its checksum

    def address(self, job: Job) -> Job:
        """The same job for a Worker over there."""
        if not isinstance(job, PrepareJob) or job.workspace is None:
            return job
        self._workspace = Workspace(Path(job.workspace))
        return job.model_copy(update={"workspace": self._scratch})

    def pack(self, job: StageJob) -> Mapping[str, bytes | None]:
        """The states that a Stage needs, by their paths in the folder; None of those that are over there already."""
        packed: dict[str, bytes | None] = {}
        there: dict[str, bytes] = {}
        for path in self._needed(job) if self._workspace is not None else ():
            try:
                content = read_file(path)
            except OSError:  # the Worker tells of what is missing
                continue
            name, checksum = self._name(path), content[:CHECKSUM_CHARS]
            packed[name] = None if self._over_there.get(name) == checksum else content
            there[name] = checksum
        self._over_there = there
        return packed

    def deliver(self, change: Change) -> None:
        """Have the sweep's folder follow.

        Raises:
            MachineError: it cannot be written.
        """
        if isinstance(change, Printed):
            with open_log(self._log) as log:
                log.write(change.content)
            return
        assert self._workspace is not None, "a Worker without a workspace keeps nothing"
        path = self._workspace.folder / change.path
        if isinstance(change, Removed):
            self._over_there.pop(change.path, None)
            discard_file(path)
        else:
            self._write(path, change)

    def _write(self, path: Path, written: Written) -> None:
        assert self._workspace is not None
        if path.is_relative_to(self._workspace.states):
            StageStates(path.parent).begin()
            self._over_there[written.path] = written.content[:CHECKSUM_CHARS]
        make_folder(path.parent)
        write_own(path, written.content)

    def _needed(self, job: StageJob) -> Iterator[Path]:
        own = self._states(job.stage)
        yield from map(own.path, own.steps())
        if job.parent is not None:
            yield self._states(job.parent).path(job.start_step)
        if job.checkpoint is not None:
            yield self._states(job.checkpoint.stage).path(job.checkpoint.step)

    def _states(self, stage: str) -> StageStates:
        assert self._workspace is not None
        return StageStates(self._workspace.states / stage)

    def _name(self, path: Path) -> str:
        assert self._workspace is not None
        return self._workspace.relative(path)
