"""A place for one Worker, wherever it runs. A Worker that dies takes only its own Stage along, as does one that makes
no progress any more, which is ended; the next Stage gets a new one.
"""

from __future__ import annotations

from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Protocol

from sweep.errors import MachineError, Outcome, Problem
from sweep.run.executors.child import SECONDS_TO_LEAVE
from sweep.run.executors.patience import Patience
from sweep.run.messages import Job, Message, Orphaned, Piloted, Prepared, Probed, Progressed, Said, StageDone, StopJob
from sweep.store.records import Environment, PrepareJob, ProbeJob, StageJob
from sweep.store.workspace import Workspace

_LOG_LINES_SHOWN = 5


class WorkerLine(Protocol):
    """The way to one Worker, which runs until it is ended or lost."""

    @property
    def connection(self) -> Connection:
        """What there is to wait for: it is ready when `receive` has something to say."""
        ...

    def send(self, job: Job) -> None: ...

    def receive(self) -> Message | None:
        """The next message; None when the Worker is gone."""
        ...

    def dismiss(self) -> None:
        """Let it go, without waiting for that: nobody listens to it any more."""
        ...

    def end(self, seconds_to_leave: float = SECONDS_TO_LEAVE) -> str:
        """End it, with all that it has started; says how it ended."""
        ...

    @property
    def was_ended_for_memory(self) -> bool:
        """Whether it was, by whoever looks after the memory of its machine, as far as is known."""
        ...


# Given the log that the Worker's output goes to, and its number of threads.
StartWorker = Callable[[Path, int], WorkerLine]


class Seat:
    """The Worker with one number, and the Stage that it is training; `start` starts one."""

    def __init__(
        self, workspace: Workspace, number: int | str, start: StartWorker, stall_timeout: float | None = None
    ) -> None:
        self._log = workspace.log(number)
        self._shown_log = workspace.relative(self._log)
        self._start_worker = start
        self._prepare_job: PrepareJob | None = None
        self._child: WorkerLine | None = None
        self._training: str | None = None  # the Stage that was submitted and is not done
        self.trained: str | None = None  # the Stage that this Worker has trained last
        self._patience = Patience(stall_timeout)

    @property
    def is_free(self) -> bool:
        return self._training is None

    @property
    def connection(self) -> Connection | None:
        """What there is to listen to; None where no Worker runs."""
        return self._child.connection if self._child else None

    def prepare(self, job: PrepareJob) -> None:
        """Start the Worker, in the place of one that is there, and have it answer with a Prepared."""
        self.end()
        self._prepare_job = job
        self._start()

    def prepared(self) -> Environment:
        """Where the Worker computes, once there is news.

        Raises:
            MachineError: with what is wrong with the machine or its data, or with the Worker itself.
            RecipeError: with what is wrong with the recipe, or with the code that it names.
        """
        assert self._child is not None, "prepare first"
        message = self._child.receive()
        if message is None:
            raise self._broken(self._child)
        assert isinstance(message, Prepared)
        environment = message.raise_any()
        if self._prepare_job is not None and self._prepare_job.device == "auto":
            # A Worker that replaces this one chooses no other device.
            self._prepare_job = self._prepare_job.model_copy(update={"device": environment.device_kind})
        return environment

    def probe(self, job: ProbeJob) -> None:
        """Have the Worker, which is prepared, answer with a Probed."""
        assert self._child is not None, "prepare first"
        self._patience.begin()
        self._child.send(job)

    def probed(self) -> Probed:
        """What the Worker says, once there is news. One that is lost says how; the next Stage gets a new one."""
        assert self._child is not None, "probe first"
        message = self._child.receive()
        if message is None:
            reason = self._child.end()
            self._child = None
            return Probed(reason=f"a worker {reason}")
        assert isinstance(message, Probed)
        if message.reason is not None:
            self.end()  # what is left of it may be in pieces
        return message

    def give_up_probe(self) -> Probed | None:
        """Asked when there is no news: see `give_up`."""
        if not self._patience.is_over():
            return None
        self.end(seconds_to_leave=0.0)
        return Probed(reason=f"a worker made no progress for {self._patience.limit_seconds:g} s")

    def submit(self, job: StageJob) -> None:
        child = self._child or self._start()
        self._training = job.stage
        self._patience.begin()
        child.send(job)

    def stop(self) -> None:
        """Ask the Worker for a checkpoint and to stop."""
        if self._child is not None:
            self._child.send(StopJob())

    def receive(self) -> Said | None:
        """What the Worker says, once there is news; None where it concerns nobody else."""
        child = self._child
        if child is None:
            return None
        message = child.receive()
        if message is None:
            return self._lost(child)
        assert not isinstance(message, Probed | Piloted)
        if isinstance(message, Prepared):  # of a Worker that replaces a lost one
            self._patience.begin()
            return self._unprepared(message) if message.environment is None else None
        if isinstance(message, Progressed):
            self._patience.note_progress()
        if isinstance(message, Orphaned):
            self._training = None
        if isinstance(message, StageDone):
            self._training, self.trained = None, message.stage
            if message.outcome in (Outcome.OUT_OF_MEMORY, Outcome.CRASHED):
                self.end()  # what is left of it is in pieces; the next Stage gets a new Worker
            return message.model_copy(update={"log": message.log or self._shown_log})
        return message

    def give_up(self) -> StageDone | None:
        """Asked when there is no news. A Worker that has made no progress for too long is ended, and its Stage done."""
        if self._child is None or self._training is None or not self._patience.is_over():
            return None
        self.end(seconds_to_leave=0.0)
        return self._answer(Outcome.STALLED, f"no progress for {self._patience.limit_seconds:g} s, stopped")

    def dismiss(self) -> None:
        """Let the Worker go: from now on it has nobody to talk to."""
        if self._child is not None:
            self._child.dismiss()

    def end(self, seconds_to_leave: float = SECONDS_TO_LEAVE) -> None:
        """End the Worker: it has so long to leave by itself."""
        if self._child is not None:
            self._child.end(seconds_to_leave)
            self._child = None

    def _start(self) -> WorkerLine:
        assert self._prepare_job is not None, "prepare first"
        self._child, self.trained = self._start_worker(self._log, self._prepare_job.threads), None
        self._child.send(self._prepare_job)
        return self._child

    def _lost(self, child: WorkerLine) -> StageDone | None:
        """The Worker is gone: its Stage crashed, or was ended for the memory that it took."""
        reason = child.end()
        self._child = None
        if child.was_ended_for_memory:
            return self._answer(Outcome.OUT_OF_MEMORY, f"{reason}; lower batch_size")
        return self._answer(Outcome.CRASHED, reason)

    def _unprepared(self, message: Prepared) -> StageDone | None:
        self.end()  # it has nothing to train on; the next Stage gets a new one
        return self._answer(
            Outcome.FAILED, "; ".join(str(problem) for problem in (*message.mistakes, *message.problems))
        )

    def _answer(self, outcome: Outcome, reason: str) -> StageDone | None:
        stage, self._training = self._training, None
        return StageDone(stage=stage, outcome=outcome, reason=reason, log=self._shown_log) if stage else None

    def _broken(self, child: WorkerLine) -> MachineError:
        reason = child.end()
        self._child = None
        there = self._log.read_text(encoding="utf-8", errors="replace") if self._log.exists() else ""
        said = " / ".join(there.splitlines()[-_LOG_LINES_SHOWN:])
        message = ": ".join(filter(None, ("the worker did not start", reason, said)))
        return MachineError(Problem(message, where=str(self._log)))
