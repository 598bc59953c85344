"""Hands the Stages that are to be trained to an executor, and hears what becomes of them, until all have ended or the
sweep is stopped. Then their Workers are asked for a checkpoint first.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from sweep.clock import Stopwatch
from sweep.errors import Outcome
from sweep.events import Listener, Noticed, StageEnded, StageStarted
from sweep.plan.stages import Stage
from sweep.run.executors.protocol import Executor
from sweep.run.messages import Noted, Progressed, StageDone
from sweep.run.order import choose_next
from sweep.run.retries import Retries
from sweep.run.stop import StopRequest
from sweep.store.records import StageJob, encode_rates

# How long Ctrl-C waits to be noticed while nothing is heard from a Worker.
_SECONDS_BETWEEN_LOOKS = 0.1
# Chosen: enough to write a checkpoint of several hundred MB. With the 2 s that a stuck Worker has to leave, all are
# gone within five.
_SECONDS_TO_SAVE = 2.0


@dataclass
class _Running:
    """A Stage that a Worker trains, and how much of it is done, as far as was heard."""

    stage: Stage
    steps_done: int = 0

    @property
    def steps_left(self) -> int:
        return self.stage.num_steps - self.steps_done


@dataclass
class Dispatch:
    """One run's Stages on their way.

    `record(stage, done, reached_step)` writes down how an attempt has ended. `steps_saved` looks on the disk for how
    many of a Stage's steps it goes on from; `saved` is what that said of all that wait, by their ids. `saves` says
    whether checkpoints are written.
    """

    executor: Executor
    waiting: list[Stage]
    retries: Retries
    record: Callable[[Stage, StageDone, int | None], None]
    steps_saved: Callable[[Stage], int]
    saved: dict[str, int]
    saves: bool
    tell: Listener
    stop: StopRequest
    _running: dict[str, _Running] = field(default_factory=dict)

    def run(self) -> None:
        """Train until nothing is left to train.

        Raises:
            SweepError: there is no use in going on; what was under way is recorded as interrupted.
        """
        while (self.waiting or self._running) and not self._is_stopping:
            while self.waiting and len(self._running) < self.executor.capacity:
                self._begin(self._take_next())
            self._hear()
        if self._running:
            self._stop_all()
        if self.retries.cause is not None:
            raise self.retries.cause

    @property
    def _is_stopping(self) -> bool:
        return self.stop.signal_number is not None or self.retries.cause is not None

    def _take_next(self) -> Stage:
        """Remove from what waits the Stage to begin now."""
        free_beside = self.executor.capacity - len(self._running) - 1
        busy = [running.steps_left for running in self._running.values()] + [0] * free_beside
        left = [stage.num_steps - self.saved[stage.id] for stage in self.waiting]
        return self.waiting.pop(choose_next(left, busy))

    def _begin(self, stage: Stage) -> None:
        saved = self.saved[stage.id]
        self._running[stage.id] = _Running(stage, saved)
        lengths, seed = stage.trial.timeline.lengths, stage.trial.seed
        epochs = float(lengths.num_epochs)
        self.tell(StageStarted(stage.id, lengths.ratio.text, seed, epochs, stage.num_steps, saved))
        self.executor.submit(stage_job(stage))

    def _hear(self) -> None:
        message = self.executor.receive(_SECONDS_BETWEEN_LOOKS)
        if isinstance(message, Progressed):
            self._running[message.progress.stage].steps_done = message.progress.steps_done
            self.tell(message.progress)
        elif isinstance(message, Noted):
            self.tell(Noticed(f"{_name(self._running[message.stage].stage)}: {message.text}"))
        elif message is not None:
            self._end(message)

    def _end(self, done: StageDone) -> None:
        """Into the journal first, and only then told."""
        running = self._running.pop(done.stage)
        stage = running.stage
        is_cut_short = done.outcome in (Outcome.CRASHED, Outcome.INTERRUPTED)
        reached = stage.start_step + running.steps_done if is_cut_short and running.steps_done else None
        self.record(stage, done, reached)
        if self.retries.note(done) and not self._is_stopping:
            self.tell(Noticed(f"{_name(stage)}: {done.reason}; trying again"))
            self.saved[stage.id] = self.steps_saved(stage)  # the attempt may have written checkpoints
            self.waiting.insert(0, stage)
        else:
            self.tell(_ended(stage, done))

    def _stop_all(self) -> None:
        """Have every Worker write a checkpoint and stop; who does not in time is interrupted where it is."""
        self.tell(Noticed("stopping" + (" after a checkpoint" if self.saves else "") + ", again to stop now"))
        self.executor.stop()
        with Stopwatch() as watch:
            while self._running and not self.stop.is_urgent and watch.elapsed_seconds < _SECONDS_TO_SAVE:
                self._hear()
        for stage in list(self._running):
            self._end(StageDone(stage=stage, outcome=Outcome.INTERRUPTED, reason="interrupted"))


def _name(stage: Stage) -> str:
    return f"ratio {stage.trial.timeline.lengths.ratio.text}, seed {stage.trial.seed}"


def _ended(stage: Stage, done: StageDone) -> StageEnded:
    measured = done.measurement if done.outcome is Outcome.FINISHED else None
    return StageEnded(
        stage.id,
        stage.trial.timeline.lengths.ratio.text,
        stage.trial.seed,
        done.outcome,
        done.reason,
        measured.train_seconds if measured else None,
        measured.evaluations.accuracy[-1] if measured else None,
    )


def stage_job(stage: Stage) -> StageJob:
    """What a Worker is told to train a Stage: with the rates of its own steps."""
    timeline = stage.trial.timeline
    return StageJob(
        stage=stage.id,
        recipe=timeline.recipe.model_dump(mode="json"),
        seed=stage.trial.seed,
        num_examples=timeline.lengths.num_examples,
        start_step=stage.start_step,
        stop_step=stage.stop_step,
        eval_steps=stage.eval_steps,
        rates=encode_rates(timeline.rates(stage.start_step, stage.stop_step)),
    )
