"""A Trial that is somebody else's process: starts it, watches it, and reads what it measured. Without torch.

It computes on the device that it is given, in the folder that the sweep was started in, with a folder and a log of its
own. Ended, with all that it has started, when the sweep is stopped, at its time limit, or when it hangs: when it prints
nothing and uses no CPU time.
"""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sweep import host_memory
from sweep.clock import utc_now
from sweep.errors import MachineError, Outcome, Problem
from sweep.events import Progress
from sweep.recipe.command import OwnCommand
from sweep.recipe.duration import Ratio
from sweep.recipe.placeholders import epochs_of_run
from sweep.recipe.schema import Recipe
from sweep.run.figures import FileState, NoFigure, live_figure, read_figures
from sweep.run.machine import Device
from sweep.run.messages import Message, Progressed, StageDone
from sweep.run.output import Output
from sweep.run.spent import Spent
from sweep.run.warded import End, WardedCommand
from sweep.run.watch import Watch
from sweep.store.durable import discard_folder, make_folder, open_log
from sweep.store.records import Environment, Evaluations, Measurement, PrepareJob, StageJob
from sweep.store.workspace import Workspace
from sweep.train.contention import Contention

_SECONDS_BETWEEN_LOOKS = 0.25
# Chosen: ten seconds, more than a warden takes.
_LOOKS_AT_THE_REST = 40
# Chosen: what is lost of the time of a trial whose Worker is killed.
_SECONDS_BETWEEN_NOTES = 5.0


def command_problems(recipe: Recipe) -> list[Problem]:
    """Why the recipe's command cannot be started here."""
    program = program_of(recipe)
    if "{" in program or shutil.which(program) is not None:
        return []
    fix = "the command begins with a program, or with the path of one"
    return [Problem(f"there is no program {program!r} to run", key="command", fix=fix)]


def program_of(recipe: Recipe) -> str:
    """The program that the command begins with."""
    own = OwnCommand.of(recipe)
    return own.fill(own.arguments, 1)[0]


@dataclass(frozen=True)
class CommandSetUp:
    """What all commands of a sweep have in common. `sweep_pid` is the process that all Workers descend from."""

    prepare_job: PrepareJob
    device: Device
    environment: Environment
    sweep_pid: int

    @property
    def workspace(self) -> Workspace:
        assert self.prepare_job.workspace is not None, "a command's output needs a place"
        return Workspace(Path(self.prepare_job.workspace))

    def variables(self) -> dict[str, str]:
        """The environment variables of a command."""
        threads = str(self.prepare_job.threads)
        found = os.environ | {"OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads}
        found.setdefault("PYTHONUNBUFFERED", "1")  # so that its log can be followed
        return found if self.device.visible is None else found | {"CUDA_VISIBLE_DEVICES": self.device.visible}


class CommandTrial:
    """One attempt at one Trial."""

    def __init__(self, set_up: CommandSetUp, job: StageJob, tell: Callable[[Message], None]) -> None:
        recipe = Recipe.model_validate(job.recipe, strict=False)
        self._set_up = set_up
        self._job = job
        self._tell = tell
        self._recipe = recipe
        self._own = OwnCommand.of(recipe)
        self._epochs = epochs_of_run(recipe, Ratio.parse(job.ratio))
        workspace, name = set_up.workspace, f"{self._epochs}-epochs-seed-{job.seed}"
        self._output_dir = workspace.output(name)
        self._log = workspace.trial_log(name)
        self._shown_log = workspace.relative(self._log)
        self._spent = Spent(workspace.states / job.stage)
        self._running: WardedCommand | None = None
        self._was_told_to_leave = False

    def run(self, stop: threading.Event) -> StageDone:
        """Run it to its end, or until `stop` is set."""
        try:
            return self._run(stop).model_copy(update={"environment": self._set_up.environment, "log": self._shown_log})
        except MachineError as error:
            return self._done(Outcome.FAILED, str(error))

    def leave(self) -> None:
        """From any thread: the Worker is about to be gone."""
        self._was_told_to_leave = True
        if self._running is not None:
            self._running.leave()

    def _run(self, stop: threading.Event) -> StageDone:
        goes_on = self._begin()
        arguments = self._filled("command") + (self._filled("resume_args") if goes_on else [])
        paths = self._filled("metrics")
        file = Path(paths[0]) if paths else None
        before = FileState.of(file)
        contention = Contention(self._set_up.sweep_pid)
        oom_kills = host_memory.num_oom_kills()
        with open_log(self._log) as log:
            log.write(f"[sweep] {utc_now()} {shlex.join(arguments)}\n".encode("utf-8", "backslashreplace"))
            output = Output(self._log, os.fstat(log.fileno()).st_size)
            self._running = WardedCommand(arguments, log, self._set_up.variables())
        if self._was_told_to_leave:
            self._running.leave()
        watch = Watch(self._running, output, self._recipe.time_limit, self._set_up.prepare_job.stall_timeout)
        with self._running:
            end = self._wait(watch, output, stop)
            share = contention.share()
            self._wait_for_the_rest(watch, output)
        if end.seconds is not None:
            self._spent.note(end.seconds)
        if watch.cause is not None:
            return self._done(*watch.cause)
        if end.code != 0:
            return self._done(*_failure(end, output, oom_kills))
        return self._measured(output, file, before, share)

    def _begin(self) -> bool:
        """Make the output folder; whether this attempt goes on with what an earlier one has left in it."""
        was_begun = self._spent.is_begun
        if was_begun and self._own.resume.arguments and _holds_something(self._output_dir):
            return True
        discard_folder(self._output_dir)  # what is in it would pass for what this attempt writes
        make_folder(self._output_dir)
        self._spent.begin()
        return False

    def _filled(self, key: str) -> list[str]:
        template = self._own.templates.get(key)
        if template is None:
            return []
        of_the_run = {
            "seed": str(self._job.seed),
            "ratio": repr(float(Ratio.parse(self._job.ratio).value)),
            "output_dir": str(self._output_dir),
            "device": self._set_up.device.kind,
            "threads": str(self._set_up.prepare_job.threads),
        }
        return self._own.fill(template, self._epochs, of_the_run)

    def _wait(self, watch: Watch, output: Output, stop: threading.Event) -> End:
        """Look after it until it has ended."""
        assert self._running is not None
        noted_at = 0.0
        while (end := self._running.wait(_SECONDS_BETWEEN_LOOKS)) is None:
            if watch.should_end(stop.is_set()):
                self._running.ask_to_end()
            if watch.elapsed_seconds - noted_at >= _SECONDS_BETWEEN_NOTES:
                noted_at = watch.elapsed_seconds
                self._spent.note(noted_at)
            self._tell(Progressed(progress=self._progress(watch.elapsed_seconds, output)))
        return end

    def _wait_for_the_rest(self, watch: Watch, output: Output) -> None:
        """The warden ends what the command has left behind, which may take its grace; that is no hang."""
        assert self._running is not None
        for _ in range(_LOOKS_AT_THE_REST):
            if self._running.is_gone(_SECONDS_BETWEEN_LOOKS):
                return
            self._tell(Progressed(progress=self._progress(watch.elapsed_seconds, output)))

    def _progress(self, elapsed_seconds: float, output: Output) -> Progress:
        judged = live_figure(self._own.figures, output)
        return Progress(
            stage=self._job.stage,
            steps_done=0,
            epoch=0.0,
            loss=None,
            accuracy=judged if self._recipe.metric == "accuracy" else None,
            quality=judged,
            images_per_second=None,
            elapsed_seconds=elapsed_seconds,
        )

    def _measured(self, output: Output, file: Path | None, before: FileState, contention: float | None) -> StageDone:
        try:
            figures = read_figures(self._own.figures, output, file, before)
        except NoFigure as missing:
            ending = output.ending()
            printed = f"; it printed last: {ending}" if ending else "; it printed nothing"
            return self._done(Outcome.FAILED, f"{missing}{printed}")
        named = figures.pop("train_seconds", None)
        train_seconds = self._spent.seconds if named is None else named
        measurement = Measurement(
            steps=self._epochs,
            images=None,
            train_seconds=train_seconds,
            train_seconds_source="wall" if named is None else "metric",
            data_wait_seconds=None,
            eval_seconds=None,
            startup_seconds=None,
            contention=contention,
            evaluations=_evaluations(self._epochs, figures),
            weights_sha256=None,
        )
        return StageDone(stage=self._job.stage, outcome=Outcome.FINISHED, measurement=measurement)

    def _done(self, outcome: Outcome, reason: str) -> StageDone:
        return StageDone(stage=self._job.stage, outcome=outcome, reason=reason)


def _holds_something(folder: Path) -> bool:
    return folder.is_dir() and any(folder.iterdir())


def _evaluations(epochs: int, figures: dict[str, float]) -> Evaluations:
    """The one row of a command: what it was at its end."""
    accuracy = figures.pop("accuracy", None)
    return Evaluations(
        steps=(epochs,),
        accuracy=() if accuracy is None else (accuracy,),
        loss=(figures.pop("loss", None),),
        metrics={name: (value,) for name, value in figures.items()},
    )


def _failure(end: End, output: Output, oom_kills: int | None) -> tuple[Outcome, str]:
    """What is said of a command that did not end well."""
    if end.error is not None:
        return Outcome.FAILED, f"it cannot be started: {end.error}"
    if end.code is None:
        return Outcome.CRASHED, "the process that watched over it was ended"
    ending = output.ending()
    said = f": {ending}" if ending else ", having printed nothing"
    if end.code > 0:
        return Outcome.FAILED, f"exit code {end.code}{said}"
    now = host_memory.num_oom_kills()
    if end.code == -signal.SIGKILL and now is not None and oom_kills is not None and now > oom_kills:
        return Outcome.OUT_OF_MEMORY, f"out of memory (ended by the kernel){said}"
    return Outcome.CRASHED, f"ended by {signal_name(-end.code)}{said}"


def signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # a real-time signal has no name
        return f"signal {number}"
