"""A place for one Worker process on this machine. A Worker that dies takes only its own Stage along, as does one that
makes no progress any more, which is ended; the next Stage gets a new one.

The Worker runs in a process group of its own, so that Ctrl-C reaches only the parent; its threads and its GPU are set
in its environment before torch starts.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path

from sweep import host_memory
from sweep.errors import MachineError, Outcome, Problem
from sweep.run.executors.patience import Patience
from sweep.run.messages import (
    Job,
    Message,
    Orphaned,
    Prepared,
    Probed,
    Progressed,
    Said,
    StageDone,
    StopJob,
    decode_message,
    encode,
)
from sweep.store.durable import open_log
from sweep.store.records import Environment, PrepareJob, ProbeJob, StageJob
from sweep.store.workspace import Workspace

# Chosen: a Worker leaves by itself within milliseconds of its connection's end; one that is stuck is killed after this.
SECONDS_TO_LEAVE = 2.0
_LOG_LINES_SHOWN = 5


class Seat:
    """The Worker with one number: its process, and the Stage that it is training."""

    def __init__(
        self, workspace: Workspace, number: int, environment: Mapping[str, str], stall_timeout: float | None = None
    ) -> None:
        self._log = workspace.log(number)
        self._shown_log = workspace.relative(self._log)
        self._environment = dict(environment)  # beside its threads
        self._prepare_job: PrepareJob | None = None
        self._child: Child | None = None
        self._training: str | None = None  # the Stage that was submitted and is not done
        self.trained: str | None = None  # the Stage that this Worker has trained last
        self._patience = Patience(stall_timeout)

    @property
    def is_free(self) -> bool:
        return self._training is None

    @property
    def connection(self) -> Connection | None:
        """What there is to listen to; None where no process runs."""
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
        assert not isinstance(message, Probed)
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
            self._child.connection.close()

    def end(self, seconds_to_leave: float = SECONDS_TO_LEAVE) -> None:
        """End the Worker: it has so long to leave by itself."""
        if self._child is not None:
            self._child.end(seconds_to_leave)
            self._child = None

    def _start(self) -> Child:
        assert self._prepare_job is not None, "prepare first"
        threads = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), str(self._prepare_job.threads))
        self._child, self.trained = Child(self._log, threads | self._environment), None
        self._child.send(self._prepare_job)
        return self._child

    def _lost(self, child: Child) -> StageDone | None:
        """The Worker is gone: its Stage crashed, or the kernel has ended it."""
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

    def _broken(self, child: Child) -> MachineError:
        reason = child.end()
        self._child = None
        lines = self._log.read_text(encoding="utf-8", errors="replace").splitlines()[-_LOG_LINES_SHOWN:]
        return MachineError(Problem(f"the worker did not start: {reason}: {' / '.join(lines)}", where=str(self._log)))


class Child:
    """The process and the connection to it."""

    def __init__(self, log: Path, environment: Mapping[str, str]) -> None:
        self.connection, theirs = Pipe()
        self._oom_kills_before = host_memory.num_oom_kills()
        with open_log(log) as output, theirs:
            self.process = subprocess.Popen(
                # -P: a folder called `sweep` where the user stands is not imported in our place.
                [sys.executable, "-P", "-m", "sweep.run.worker", str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=os.environ | environment,
                pass_fds=(theirs.fileno(),),
                process_group=0,
            )

    def send(self, job: Job) -> None:
        # A Worker that is gone is noticed by the one who receives.
        with contextlib.suppress(OSError):
            self.connection.send_bytes(encode(job))

    def receive(self) -> Message | None:
        """The next message; None when the process is gone."""
        try:
            return decode_message(self.connection.recv_bytes())
        except (EOFError, OSError):
            return None

    def end(self, seconds_to_leave: float = SECONDS_TO_LEAVE) -> str:
        """End the process and all of its group; says how it ended."""
        self.connection.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(seconds_to_leave)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        code = self.process.wait()
        return _ended_for_memory() if self.was_ended_for_memory else _describe(code)

    @property
    def was_ended_for_memory(self) -> bool:
        """Whether the kernel did, as far as it says: the process was killed, and ours has lost one for its memory."""
        kills = host_memory.num_oom_kills()
        is_counted = kills is not None and self._oom_kills_before is not None and kills > self._oom_kills_before
        return is_counted and self.process.returncode == -signal.SIGKILL


def _ended_for_memory() -> str:
    return f"out of memory (ended by the kernel; {host_memory.size_text(host_memory.total_bytes())} in all)"


def _describe(exit_code: int) -> str:
    if exit_code >= 0:
        return f"crashed (exit code {exit_code})"
    name = signal.Signals(-exit_code).name
    hint = "; perhaps out of host memory" if name == "SIGKILL" else ""
    return f"crashed ({name}{hint})"
