"""Asks a Worker what the recipe does not tell: how many examples its training data has, and what is wrong with the code
that it names. Nothing stays of it.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from sweep.errors import MachineError, Problem
from sweep.run.executors.child import Child
from sweep.run.executors.patience import SECONDS_TO_START
from sweep.run.messages import Prepared
from sweep.store.records import PrepareJob

_LOG_LINES_SHOWN = 5


def ask(job: PrepareJob, timeout_seconds: float = SECONDS_TO_START) -> Prepared:
    """What a Worker answers to `job`; it is gone then.

    Raises:
        MachineError: it does not start, dies over it, or has no answer after so many seconds.
    """
    with tempfile.TemporaryDirectory(prefix="sweep-") as folder:
        log = Path(folder) / "worker.log"
        child = Child(log, job.threads)
        try:
            child.send(job)
            has_answered = child.connection.poll(timeout_seconds)
            message = child.receive() if has_answered else None
        finally:
            ended = child.end(0.0)
        if message is None:
            ended = ended if has_answered else f"has no answer after {timeout_seconds:g} s"
            lines = log.read_text(encoding="utf-8", errors="replace").splitlines()[-_LOG_LINES_SHOWN:]
            while_at = f" while it tried out the task {task}" if (task := job.recipe.get("task")) else ""
            said = f": {' / '.join(lines)}" if lines else ", having printed nothing"
            raise MachineError(Problem(f"the worker {ended}{while_at}{said}", where="preparing"))
        assert isinstance(message, Prepared)
        return message
