"""The child process: `python -m sweep.run.worker DESCRIPTOR SWEEP_PID`. It prepares (checks the model and the data,
loads the data), then trains one Stage after the other, until it is asked to stop; it is gone as soon as its parent is.

torch is imported here and nowhere above: inside the functions, once the environment has been set.
"""

from __future__ import annotations

import os
import queue
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING

from sweep.errors import MachineError, Outcome, Problem, RecipeError, SweepError
from sweep.lifetime import end_with_parent
from sweep.lossy import lossy
from sweep.recipe.datasets import DATASETS
from sweep.recipe.schema import Recipe
from sweep.run.command import CommandSetUp, CommandTrial, command_problems, program_of
from sweep.run.machine import find_device, read_environment
from sweep.run.messages import (
    Message,
    Noted,
    Orphaned,
    Piloted,
    Prepared,
    Probed,
    Progressed,
    StageDone,
    StopJob,
    decode_job,
    send,
)
from sweep.run.ranks import Ranks
from sweep.store.durable import make_folder, write_own
from sweep.store.records import Environment, PilotJob, PrepareJob, ProbeJob, StageJob
from sweep.store.states import StageStates, UnusableState
from sweep.store.workspace import Workspace

if TYPE_CHECKING:
    from sweep.train.checkpoint import State
    from sweep.train.group import Group
    from sweep.train.keeper import Keeper
    from sweep.train.loop import Trained
    from sweep.train.probe import Probe
    from sweep.train.task import Data, ImageTask
    from sweep.train.trainable import Trainable
    from sweep.train.user_task import UserTask


class Worker:
    """Does one job at a time, and tells what came of it. Keeps the data between jobs.

    Where a trial takes several devices, it has others train, each of them a Worker that is one of a `group`.
    """

    def __init__(self, tell: Callable[[Message], None], sweep_pid: int, group: Group | None = None) -> None:
        self._tell = tell
        self._sweep_pid = sweep_pid  # the process that all Workers of the sweep descend from
        self._group = group
        self._ranks: Ranks | None = None  # while a Stage is trained by several
        self._stop = threading.Event()
        self._prepare_job: PrepareJob | None = None
        self._device = ""
        self._data: Data | None = None
        self._user_task: UserTask | None = None
        self._image_task: ImageTask | None = None
        self._environment: Environment | None = None
        self._commands: CommandSetUp | None = None  # where the recipe is a command
        self._command: CommandTrial | None = None
        self._probe: Probe | None = None  # from one ProbeJob to the next
        self._last: tuple[str, State] | None = None  # the Stage that was trained last, and the state at its end

    def stop(self) -> None:
        """From any thread: the Stage that is being trained is to end at its next step, and no other to begin."""
        self._stop.set()
        if (ranks := self._ranks) is not None:
            ranks.stop()

    def do(self, job: PrepareJob | ProbeJob | PilotJob | StageJob) -> None:
        """Do `job`; whatever goes wrong is told, with its traceback in the log."""
        if isinstance(job, ProbeJob):
            self._tell(self._answer_probe(job))
            return
        self._end_probe()
        if isinstance(job, PilotJob):
            self._tell(self._try_out(job))
            return
        self._tell(self._prepare(job) if isinstance(job, PrepareJob) else self._train(job))

    def leave(self) -> None:
        """From any thread: this process is about to be gone, and so is what it has started."""
        if self._command is not None:
            self._command.leave()

    def _prepare_command(self, job: PrepareJob, recipe: Recipe) -> Prepared:
        """Nothing is loaded for a command, torch included."""
        problems = command_problems(recipe)
        try:
            device = find_device(job.device)
        except MachineError as error:
            problems += error.problems
        if problems:
            return Prepared(problems=tuple(problems))
        environment = read_environment(device, job.threads, program_of(recipe))
        self._commands = CommandSetUp(job, device, environment, self._sweep_pid)
        return Prepared(environment=environment)

    def _run_command(self, job: StageJob) -> StageDone:
        assert self._commands is not None, "prepare first"
        try:
            self._command = CommandTrial(self._commands, job, self._tell)
            return self._command.run(self._stop)
        except Exception as error:
            traceback.print_exc()
            reason = f"{type(error).__name__}: {_first_line(error)}"
            return StageDone(stage=job.stage, outcome=Outcome.FAILED, reason=reason)

    def _prepare(self, job: PrepareJob) -> Prepared:
        recipe = Recipe.model_validate(job.recipe, strict=False)
        if recipe.kind == "command":
            return self._prepare_command(job, recipe)
        from sweep.train.memory import out_of_memory

        self._prepare_job = job
        try:
            return self._check_and_load(job, recipe)
        except Exception as error:
            memory = out_of_memory(error, self._device)
            if memory is None:
                raise
            traceback.print_exc()
            problem = Problem(f"{memory} before anything trained", fix="take a machine with more, or fewer --jobs")
            return Prepared(problems=(problem,))

    def _check_and_load(self, job: PrepareJob, recipe: Recipe) -> Prepared:
        from sweep.train.device import set_threads

        set_threads(job.threads)
        return self._load_task(recipe, job) if recipe.kind == "task" else self._load_data(recipe, job)

    def _load_data(self, recipe: Recipe, job: PrepareJob) -> Prepared:
        from sweep.train.device import choose_device, read_environment
        from sweep.train.group import ALONE, group_problems
        from sweep.train.precision import precision_problems
        from sweep.train.task import Data, model_problem

        data_path = Path(recipe.data_path)
        dataset = DATASETS[recipe.builtin_dataset]
        problems = dataset.problems(data_path)
        made_up_folder = job.made_up_folder if problems and not dataset.is_open else None
        if made_up_folder is not None:
            problems = []
        try:
            device = choose_device(job.device)
            problems += [*precision_problems(recipe, device), *group_problems(recipe, device)]
            device = (self._group or ALONE).own_device(device)
        except MachineError as error:
            problems += error.problems
        mistakes = [problem] if (problem := model_problem(recipe)) else []
        if problems or mistakes:
            return Prepared(problems=tuple(problems), mistakes=tuple(mistakes))
        self._device = str(device)
        self._image_task = None  # of other data
        if made_up_folder is not None:
            self._data = Data.made_up(dataset.name, Path(made_up_folder), device)
        else:
            self._data = Data.load(dataset.name, data_path, device)
        self._environment = read_environment(device).model_copy(update={"data_sha256": self._data.sha256})
        self._choose_precision(recipe)
        return Prepared(environment=self._environment, is_made_up=made_up_folder is not None)

    def _load_task(self, recipe: Recipe, job: PrepareJob) -> Prepared:
        from sweep.train.device import choose_device, read_environment
        from sweep.train.group import ALONE, group_problems
        from sweep.train.precision import precision_problems
        from sweep.train.task_checks import check_task
        from sweep.train.task_module import code_sha256, load_task

        folders = [Path(folder) for folder in job.folders]
        try:
            device = choose_device(job.device)
            if problems := [*precision_problems(recipe, device), *group_problems(recipe, device)]:
                return Prepared(problems=tuple(problems))
            group = self._group or ALONE
            device = group.own_device(device)
            self._device = str(device)
            self._user_task = check_task(recipe, load_task(recipe, folders), device, group)
        except MachineError as error:
            return Prepared(problems=error.problems)
        except RecipeError as error:
            traceback.print_exc()
            return Prepared(mistakes=error.problems)
        environment = read_environment(device)
        self._environment = environment.model_copy(update={"code_sha256": code_sha256(recipe, folders)})
        self._choose_precision(recipe)
        return Prepared(environment=self._environment, num_examples=self._user_task.num_train)

    def _answer_probe(self, job: ProbeJob) -> Probed:
        from sweep.train.device import set_threads
        from sweep.train.probe import Probe

        assert self._prepare_job is not None, "prepare first"
        if _num_devices(job.like) > 1:
            return Probed(reason="how trials of several devices distort each other's times is not measured")
        try:
            set_threads(job.threads or self._prepare_job.threads)
            if self._probe is None:
                self._probe = Probe(job.like, self._task(Recipe.model_validate(job.like.recipe, strict=False)))
            return Probed(step_seconds=self._probe.step_seconds(job.seconds))
        except Exception as error:
            traceback.print_exc()
            self._end_probe()
            return Probed(reason=self._what_failed(error)[1])
        finally:
            set_threads(self._prepare_job.threads)

    def _try_out(self, job: PilotJob) -> Piloted:
        from sweep.train.pilot import try_out

        try:
            task = self._task(Recipe.model_validate(job.like[0].recipe, strict=False))
            return Piloted(measures=try_out(job.like, task, job.seconds))
        except Exception as error:
            traceback.print_exc()
            return Piloted(reason=self._what_failed(error)[1])

    def _end_probe(self) -> None:
        if self._probe is not None:
            self._probe.close()
            self._probe = None  # and its memory is free

    def _choose_precision(self, recipe: Recipe) -> None:
        """What `amp: auto` comes to here is part of the set-up."""
        from sweep.train.precision import choose_precision

        if recipe.amp == "auto":
            assert self._environment is not None
            chosen = choose_precision(self._task(recipe))
            self._environment = self._environment.model_copy(update={"precision": chosen})
            if self._user_task is not None:
                self._user_task.recipe = self._settled(recipe)

    def _train(self, job: StageJob) -> StageDone | Orphaned:
        if self._commands is not None:
            return self._run_command(job)
        if self._group is None and _num_devices(job) > 1:
            return self._train_together(job)
        from sweep.train.group import ALONE
        from sweep.train.loop import train_stage

        parent = self._last[1] if self._last and self._last[0] == job.parent else None
        self._last = None  # one state at a time is enough memory
        try:
            trained = train_stage(
                job,
                self._task(Recipe.model_validate(job.recipe, strict=False)),
                lambda progress: self._tell(Progressed(progress=progress)),
                self._sweep_pid,
                self._keeper(job),
                parent,
                self._group or ALONE,
                self._prepare_job is not None and self._prepare_job.shares_device,
            )
            self._keep(job, trained)
        except UnusableState as unusable:
            return Orphaned(stage=job.stage, reason=str(unusable))
        except Exception as error:
            # torch can tell of a lost process of data twice: the second time by a signal, wherever that comes.
            try:
                outcome, reason = self._what_failed(error)
            except RuntimeError as again:
                outcome, reason = self._what_failed(again)
            with suppress(RuntimeError):
                traceback.print_exc()
            return StageDone(stage=job.stage, outcome=outcome, reason=reason, environment=self._environment)
        return StageDone(
            stage=job.stage,
            outcome=trained.outcome,
            reason=trained.reason,
            measurement=trained.measurement,
            environment=self._environment,
        )

    def _train_together(self, job: StageJob) -> StageDone | Orphaned:
        """Have one process a device train it."""
        assert self._prepare_job is not None, "prepare first"
        try:
            self._ranks = Ranks(self._prepare_job, job, Worker, self._sweep_pid)
            if self._stop.is_set():
                self._ranks.stop()
            return self._ranks.train(self._tell)
        except Exception as error:
            traceback.print_exc()
            reason = f"{type(error).__name__}: {_first_line(error)}"
            return StageDone(stage=job.stage, outcome=Outcome.FAILED, reason=reason)
        finally:
            self._ranks = None

    def _task(self, recipe: Recipe) -> Trainable:
        from sweep.train.group import ALONE
        from sweep.train.task import ImageTask

        if self._user_task is not None:
            return self._user_task
        assert self._data is not None, "prepare first"
        recipe = self._settled(recipe)
        if self._image_task is None or self._image_task.recipe != recipe:
            self._image_task = None  # its images need not be there twice
            self._image_task = ImageTask(recipe, self._data, self._group or ALONE)
        return self._image_task

    def _settled(self, recipe: Recipe) -> Recipe:
        """The recipe in the precision that was chosen for it, if any was."""
        chosen = self._environment.precision if self._environment else None
        return recipe.model_copy(update={"amp": chosen.amp}) if chosen else recipe

    def _what_failed(self, error: Exception) -> tuple[Outcome, str]:
        from sweep.train.blame import blame, lost_process
        from sweep.train.group import is_of_a_lost_rank
        from sweep.train.memory import out_of_memory

        if memory := out_of_memory(error, self._device):
            return Outcome.OUT_OF_MEMORY, f"{memory}; lower batch_size"
        if lost := lost_process(error):
            return Outcome.CRASHED, lost
        if self._group is not None and is_of_a_lost_rank(error):
            return Outcome.CRASHED, f"lost the other ranks ({_first_line(error)})"
        return Outcome.FAILED, _first_line(error) if isinstance(error, SweepError) else blame(error)

    def _keep(self, job: StageJob, trained: Trained) -> None:
        """Keep the state for the Stage that follows, and the final weights where they are asked for."""
        from sweep.train.checkpoint import encode_weights

        if trained.state is not None:
            self._last = job.stage, trained.state
        if trained.weights is not None and job.weights_files and self._is_first:
            content = encode_weights(trained.weights)
            try:
                for name in job.weights_files:
                    path = self._workspace.weights(name)
                    make_folder(path.parent)
                    write_own(path, content)
            except MachineError as error:  # the result is worth more than its weights
                self._tell(Noted(stage=job.stage, text=f"warning: the final weights cannot be kept: {error}"))

    @property
    def _is_first(self) -> bool:
        """Whether it is this process that keeps what is trained."""
        return self._group is None or self._group.rank == 0

    @property
    def _workspace(self) -> Workspace:
        assert self._prepare_job is not None, "prepare first"
        assert self._prepare_job.workspace is not None
        return Workspace(Path(self._prepare_job.workspace))

    def _keeper(self, job: StageJob) -> Keeper:
        from sweep.train.keeper import Keeper

        assert self._prepare_job is not None, "prepare first"
        if self._prepare_job.workspace is None or not self._is_first:
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


def _num_devices(job: StageJob) -> int:
    return Recipe.model_validate(job.recipe, strict=False).devices_per_trial


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else ""


def main(descriptor: int, sweep_pid: int) -> None:
    """Serve the connection until it is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    end_with_parent()
    sys.stdout, sys.stderr = lossy(sys.stdout), lossy(sys.stderr)  # both are the log
    connection = Connection(descriptor)
    jobs: queue.SimpleQueue[PrepareJob | ProbeJob | PilotJob | StageJob] = queue.SimpleQueue()
    worker = Worker(lambda message: send(connection, message), sweep_pid)
    threading.Thread(target=_receive, args=(connection, jobs, worker), daemon=True).start()
    while True:
        worker.do(jobs.get())


def _receive(
    connection: Connection, jobs: queue.SimpleQueue[PrepareJob | ProbeJob | PilotJob | StageJob], worker: Worker
) -> None:
    """Hand on jobs. When the parent closes the connection or dies, this process ends at once, even in mid-step."""
    while True:
        try:
            job = decode_job(connection.recv_bytes())
        except (EOFError, OSError):
            worker.leave()
            os._exit(0)
        if isinstance(job, StopJob):
            worker.stop()
        else:
            jobs.put(job)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
