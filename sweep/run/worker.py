"""The child process: `python -m sweep.run.worker DESCRIPTOR`. It prepares (checks the model and the data, loads the
data), then trains one Stage after the other, until it is asked to stop; it is gone as soon as its parent is.

torch is imported here and nowhere above: inside the functions, once the environment has been set.
"""

from __future__ import annotations

import os
import queue
import select
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING

from sweep.errors import MachineError, Outcome, SweepError
from sweep.lifetime import end_with_parent
from sweep.recipe.datasets import DATASETS
from sweep.recipe.schema import Recipe
from sweep.run.messages import Message, Noted, Prepared, Progressed, StageDone, StopJob, decode_job, encode
from sweep.store.records import Environment, PrepareJob, StageJob
from sweep.store.states import StageStates
from sweep.store.workspace import Workspace

if TYPE_CHECKING:
    from sweep.train.keeper import Keeper
    from sweep.train.task import Data


class Worker:
    """Does one job at a time, and tells what came of it. Keeps the data between jobs."""

    def __init__(self, tell: Callable[[Message], None], sweep_pid: int) -> None:
        self._tell = tell
        self._sweep_pid = sweep_pid  # the process that all Workers of the sweep descend from
        self._stop = threading.Event()
        self._prepare_job: PrepareJob | None = None
        self._data: Data | None = None
        self._environment: Environment | None = None

    def stop(self) -> None:
        """From any thread: the Stage that is being trained is to end at its next step, and no other to begin."""
        self._stop.set()

    def do(self, job: PrepareJob | StageJob) -> None:
        """Do `job`; whatever goes wrong is told, with its traceback in the log."""
        if isinstance(job, PrepareJob):
            self._tell(self._prepare(job))
        else:
            self._tell(self._train(job))

    def _prepare(self, job: PrepareJob) -> Prepared:
        from sweep.train.device import choose_device, read_environment, set_threads
        from sweep.train.task import Data, model_problem

        self._prepare_job = job
        recipe = Recipe.model_validate(job.recipe, strict=False)
        data_path = Path(recipe.data_path)
        problems = DATASETS[recipe.dataset].problems(data_path)
        try:
            device = choose_device(job.device)
        except MachineError as error:
            problems += error.problems
        set_threads(job.threads)
        if problem := model_problem(recipe):
            problems.append(problem)
        if problems:
            return Prepared(problems=tuple(problems))
        self._data = Data.load(recipe.dataset, data_path, device)
        self._environment = read_environment(device)
        return Prepared(environment=self._environment)

    def _train(self, job: StageJob) -> StageDone:
        from sweep.train.loop import train_stage
        from sweep.train.task import ImageTask

        assert self._data is not None, "prepare first"
        recipe = Recipe.model_validate(job.recipe, strict=False)
        try:
            trained = train_stage(
                job,
                ImageTask(recipe, self._data),
                lambda progress: self._tell(Progressed(progress=progress)),
                self._sweep_pid,
                self._keeper(job.stage),
            )
        except Exception as error:
            traceback.print_exc()
            known = isinstance(error, SweepError)
            reason = _first_line(error) if known else f"{type(error).__name__}: {_first_line(error)}"
            return StageDone(stage=job.stage, outcome=Outcome.FAILED, reason=reason, environment=self._environment)
        return StageDone(
            stage=job.stage,
            outcome=trained.outcome,
            reason=trained.reason,
            measurement=trained.measurement,
            environment=self._environment,
        )

    def _keeper(self, stage: str) -> Keeper:
        from sweep.train.keeper import Keeper

        assert self._prepare_job is not None, "prepare first"
        folder, every_seconds = self._prepare_job.workspace, self._prepare_job.checkpoint_every
        states = StageStates(Workspace(Path(folder)).states(stage)) if folder is not None else None
        return Keeper(states, every_seconds, self._stop, lambda text: self._tell(Noted(stage=stage, text=text)))


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else ""


def main(descriptor: int) -> None:
    """Serve the connection until it is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    end_with_parent()
    connection = Connection(descriptor)
    jobs: queue.SimpleQueue[PrepareJob | StageJob] = queue.SimpleQueue()
    worker = Worker(lambda message: _send(connection, message), os.getppid())
    threading.Thread(target=_receive, args=(connection, jobs, worker.stop), daemon=True).start()
    while True:
        worker.do(jobs.get())


def _receive(connection: Connection, jobs: queue.SimpleQueue[PrepareJob | StageJob], stop: Callable[[], None]) -> None:
    """Hand on jobs. When the parent closes the connection or dies, this process ends at once, even in mid-step."""
    while True:
        try:
            job = decode_job(connection.recv_bytes())
        except (EOFError, OSError):
            os._exit(0)
        if isinstance(job, StopJob):
            stop()
        else:
            jobs.put(job)


def _send(connection: Connection, message: Message) -> None:
    # A parent that does not read must not hold up training: progress is dropped, results are not.
    if isinstance(message, Progressed) and not select.select([], [connection], [], 0)[1]:
        return
    connection.send_bytes(encode(message))


if __name__ == "__main__":
    main(int(sys.argv[1]))
