"""One Worker process on this machine. It lives as long as the sweep; one that dies takes only its own Stage along.

The Worker runs in a process group of its own, so that Ctrl-C reaches only the parent, and its threads are set in its
environment before torch starts.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from multiprocessing import Pipe
from pathlib import Path
from typing import Self

from sweep.errors import MachineError, Outcome, Problem
from sweep.run.messages import Job, Message, Prepared, Progressed, StageDone, decode_message, encode
from sweep.run.stop import StopRequest
from sweep.store.durable import open_log
from sweep.store.records import Environment, PrepareJob, StageJob
from sweep.store.workspace import Workspace

# Chosen: a Worker leaves by itself within milliseconds of its connection's end; one that is stuck is killed after this.
_SECONDS_TO_LEAVE = 2.0
# How soon Ctrl-C is noticed while a Worker starts.
_SECONDS_BETWEEN_LOOKS = 0.1
_LOG_LINES_SHOWN = 5


class LocalExecutor:
    """Trains one Stage at a time in a child process."""

    capacity = 1

    def __init__(self, workspace: Workspace) -> None:
        self._log = workspace.log(1)
        self._shown_log = workspace.relative(self._log)
        self._prepare_job: PrepareJob | None = None
        self._child: _Child | None = None
        self._training: str | None = None  # the Stage that was submitted and is not done

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        if self._child is not None:
            self._child.end()
            self._child = None

    def prepare(self, job: PrepareJob, stop: StopRequest) -> Environment:
        self._prepare_job = job
        child = self._start()
        while not child.has_news(_SECONDS_BETWEEN_LOOKS):
            stop.raise_if_requested()
        message = child.receive()
        if message is None:
            raise self._broken(child)
        assert isinstance(message, Prepared)
        if message.environment is None:
            raise MachineError(message.problems)
        return message.environment

    def submit(self, job: StageJob) -> None:
        child = self._child or self._start()
        self._training = job.stage
        child.send(job)

    def receive(self, timeout_seconds: float) -> Progressed | StageDone | None:
        child = self._child
        if child is None or not child.has_news(timeout_seconds):
            return None
        message = child.receive()
        if message is None:
            return self._lost(child)
        if isinstance(message, Prepared):  # of a Worker that replaces a lost one
            return self._unprepared(message) if message.environment is None else None
        if isinstance(message, StageDone):
            self._training = None
            return message.model_copy(update={"log": self._shown_log})
        return message

    def _start(self) -> _Child:
        assert self._prepare_job is not None, "prepare first"
        self._child = _Child(self._log, self._prepare_job.threads)
        self._child.send(self._prepare_job)
        return self._child

    def _lost(self, child: _Child) -> StageDone | None:
        """The Worker is gone: its Stage crashed, and the next one gets a new Worker."""
        reason = child.end()
        self._child = None
        return self._answer(Outcome.CRASHED, reason)

    def _unprepared(self, message: Prepared) -> StageDone | None:
        return self._answer(Outcome.FAILED, "; ".join(str(problem) for problem in message.problems))

    def _answer(self, outcome: Outcome, reason: str) -> StageDone | None:
        stage, self._training = self._training, None
        return StageDone(stage=stage, outcome=outcome, reason=reason, log=self._shown_log) if stage else None

    def _broken(self, child: _Child) -> MachineError:
        reason = child.end()
        self._child = None
        lines = self._log.read_text(encoding="utf-8", errors="replace").splitlines()[-_LOG_LINES_SHOWN:]
        return MachineError(Problem(f"the worker did not start: {reason}: {' / '.join(lines)}", where=str(self._log)))


class _Child:
    """The process and the connection to it."""

    def __init__(self, log: Path, threads: int) -> None:
        self._connection, theirs = Pipe()
        environment = os.environ | {name: str(threads) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS")}
        with open_log(log) as output, theirs:
            self._process = subprocess.Popen(
                # -P: a folder called `sweep` where the user stands is not imported in our place.
                [sys.executable, "-P", "-m", "sweep.run.worker", str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=environment,
                pass_fds=(theirs.fileno(),),
                process_group=0,
            )

    def send(self, job: Job) -> None:
        # A Worker that is gone is noticed by the one who receives.
        with contextlib.suppress(OSError):
            self._connection.send_bytes(encode(job))

    def has_news(self, timeout_seconds: float) -> bool:
        return self._connection.poll(timeout_seconds)

    def receive(self) -> Message | None:
        """The next message; None when the process is gone."""
        try:
            return decode_message(self._connection.recv_bytes())
        except (EOFError, OSError):
            return None

    def end(self) -> str:
        """End the process and all of its group; says how it ended."""
        self._connection.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_SECONDS_TO_LEAVE)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        return _describe(self._process.wait())


def _describe(exit_code: int) -> str:
    if exit_code >= 0:
        return f"crashed (exit code {exit_code})"
    name = signal.Signals(-exit_code).name
    hint = "; perhaps out of host memory" if name == "SIGKILL" else ""
    return f"crashed ({name}{hint})"
