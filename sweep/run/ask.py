"""Asks a Worker what the recipe does not tell: how many examples its training data has, what is wrong with the code
that it names, how fast it trains. Nothing stays of it.
"""

from __future__ import annotations

import signal
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from sweep.errors import MachineError, Problem
from sweep.run.executors.child import Child
from sweep.run.executors.patience import SECONDS_TO_START
from sweep.run.messages import Job, Message, Prepared
from sweep.store.records import PrepareJob

_LOG_LINES_SHOWN = 5


class AskedWorker:
    """A Worker that answers one job after the other; `folder` is there as long as it is."""

    def __init__(self, folder: Path, threads: int, environment: Mapping[str, str] | None = None) -> None:
        self.folder = folder
        self._log = folder / "worker.log"
        self._child = Child(self._log, threads, environment)
        self._ended: str | None = None

    def answer(self, job: Job, timeout_seconds: float, doing: str = "") -> Message:
        """What it says to `job`; `doing` says in a few words what it is about.

        Raises:
            MachineError: it does not start, dies over it, or has no answer after so many seconds.
        """
        self._child.send(job)
        has_answered = self._child.connection.poll(timeout_seconds)
        message = self._child.receive() if has_answered else None
        if message is None:
            ended = self.end()
            ended = ended if has_answered else f"has no answer after {timeout_seconds:g} s"
            lines = self._log.read_text(encoding="utf-8", errors="replace").splitlines()[-_LOG_LINES_SHOWN:]
            said = f": {' / '.join(lines)}" if lines else ", having printed nothing"
            raise MachineError(Problem(f"the worker {ended}{doing}{said}", where="preparing"))
        return message

    def end(self) -> str:
        """End it; says how it ended."""
        if self._ended is None:
            self._ended = self._child.end(0.0)
        return self._ended


@contextmanager
def _leaving_when_terminated() -> Iterator[None]:
    """Until the end of the block a request to terminate ends this program as Ctrl-C does, with nothing left behind;
    unless somebody else hears it, who will."""
    is_main = threading.current_thread() is threading.main_thread()
    is_ours = is_main and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    if is_ours:
        signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    try:
        yield
    finally:
        if is_ours:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)


@contextmanager
def asking(threads: int, environment: Mapping[str, str] | None = None) -> Iterator[AskedWorker]:
    """A Worker to be asked, which is gone when the block is left."""
    with _leaving_when_terminated(), tempfile.TemporaryDirectory(prefix="sweep-") as folder:
        asked = AskedWorker(Path(folder), threads, environment)
        try:
            yield asked
        finally:
            asked.end()


def ask(job: PrepareJob, timeout_seconds: float = SECONDS_TO_START) -> Prepared:
    """What a Worker answers to `job`; it is gone then.

    Raises:
        MachineError: it does not start, dies over it, or has no answer after so many seconds.
    """
    with asking(job.threads) as worker:
        return prepared(worker, job, timeout_seconds)


def prepared(worker: AskedWorker, job: PrepareJob, timeout_seconds: float = SECONDS_TO_START) -> Prepared:
    """What this Worker answers to `job`.

    Raises:
        MachineError: as `answer`.
    """
    task = job.recipe.get("task")
    message = worker.answer(job, timeout_seconds, f" while it tried out the task {task}" if task else "")
    assert isinstance(message, Prepared)
    return message
