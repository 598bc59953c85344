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

from sweep.errors import MachineError, Outcome, Problem, SweepError
from sweep.lifetime import end_with_parent
from sweep.lossy import lossy
from sweep.recipe.datasets import DATASETS
from sweep.recipe.schema import Recipe
from sweep.run.messages import Message, Noted, Orphaned, Prepared, Progressed, StageDone, StopJob, decode_job, encode
from sweep.store.durable import make_folder, write_own
from sweep.store.records import Environment, PrepareJob, StageJob
from sweep.store.states import StageStates, UnusableState
from sweep.store.workspace import Workspace

if TYPE_CHECKING:
    from sweep.train.checkpoint import State
    from sweep.train.keeper import Keeper
    from sweep.train.loop import Trained
    from sweep.train.task import Data


class Worker:
    """Does one job at a time, and tells what came of it. Keeps the data between jobs."""

    def __init__(self, tell: Callable[[Message], None], sweep_pid: int) -> None:
        self._tell = tell
        self._sweep_pid = sweep_pid  # the process that all Workers of the sweep descend from
        self._stop = threading.Event()
        self._prepare_job: PrepareJob | None = None
        self._device = ""
        self._data: Data | None = None
        self._environment: Environment | None = None
        self._last: tuple[str, State] | None = None  # the Stage that was trained last, and the state at its end

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
        from sweep.train.memory import out_of_memory

        self._prepare_job = job
        try:
            return self._check_and_load(job)
        except Exception as error:
            memory = out_of_memory(error, self._device)
            if memory is None:
                raise
            traceback.print_exc()
            problem = Problem(f"{memory} before anything trained", fix="take a machine with more, or fewer --jobs")
            return Prepared(problems=(problem,))

    def _check_and_load(self, job: PrepareJob) -> Prepared:
        from sweep.train.device import choose_device, read_environment, set_threads
        from sweep.train.task import Data, model_problem

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
        self._device = str(device)
        self._data = Data.load(recipe.dataset, data_path, device)
        self._environment = read_environment(device)
        return Prepared(environment=self._environment)

    def _train(self, job: StageJob) -> StageDone | Orphaned:
        from sweep.train.loop import train_stage
        from sweep.train.task import ImageTask

        assert self._data is not None, "prepare first"
        recipe = Recipe.model_validate(job.recipe, strict=False)
        parent = self._last[1] if self._last and self._last[0] == job.parent else None
        self._last = None  # one state at a time is enough memory
        try:
            trained = train_stage(
                job,
                ImageTask(recipe, self._data),
                lambda progress: self._tell(Progressed(progress=progress)),
                self._sweep_pid,
                self._keeper(job),
                parent,
            )
            self._keep(job, trained)
        except UnusableState as unusable:
            return Orphaned(stage=job.stage, reason=str(unusable))
        except Exception as error:
            traceback.print_exc()
            outcome, reason = self._what_failed(error)
            return StageDone(stage=job.stage, outcome=outcome, reason=reason, environment=self._environment)
        return StageDone(
            stage=job.stage,
            outcome=trained.outcome,
            reason=trained.reason,
            measurement=trained.measurement,
            environment=self._environment,
        )

    def _what_failed(self, error: Exception) -> tuple[Outcome, str]:
        from sweep.train.memory import out_of_memory

        if memory := out_of_memory(error, self._device):
            return Outcome.OUT_OF_MEMORY, f"{memory}; lower batch_size"
        known = isinstance(error, SweepError)
        return Outcome.FAILED, _first_line(error) if known else f"{type(error).__name__}: {_first_line(error)}"

    def _keep(self, job: StageJob, trained: Trained) -> None:
        """Keep the state for the Stage that follows, and the final weights where they are asked for."""
        from sweep.train.checkpoint import encode_weights

        if trained.state is not None:
            self._last = job.stage, trained.state
        if trained.weights is not None and job.weights_files:
            content = encode_weights(trained.weights)
            try:
                for name in job.weights_files:
                    path = self._workspace.weights(name)
                    make_folder(path.parent)
                    write_own(path, content)
            except MachineError as error:  # the result is worth more than its weights
                self._tell(Noted(stage=job.stage, text=f"warning: the final weights cannot be kept: {error}"))

    @property
    def _workspace(self) -> Workspace:
        assert self._prepare_job is not None, "prepare first"
        assert self._prepare_job.workspace is not None
        return Workspace(Path(self._prepare_job.workspace))

    def _keeper(self, job: StageJob) -> Keeper:
        from sweep.train.keeper import Keeper

        assert self._prepare_job is not None, "prepare first"
        if self._prepare_job.workspace is None:
            return Keeper(stop=self._stop)
        other = job.checkpoint
        return Keeper(
            self._states(job.stage),
            self._prepare_job.checkpoint_every,
            self._stop,
            lambda text: self._tell(Noted(stage=job.stage, text=text)),
            others=[(self._states(other.stage), other.step)] if other else [],
            parent=(self._states(job.parent), job.start_step) if job.parent else None,
        )

    def _states(self, stage: str) -> StageStates:
        return StageStates(self._workspace.states / stage)


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else ""


def main(descriptor: int) -> None:
    """Serve the connection until it is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    end_with_parent()
    sys.stdout, sys.stderr = lossy(sys.stdout), lossy(sys.stderr)  # both are the log
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
