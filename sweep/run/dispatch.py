"""Hands the Stages that are to be trained to an executor, and hears what becomes of them, until all have ended or the
sweep is stopped. Then their Workers are asked for a checkpoint first.
"""

from __future__ import annotations

from dataclasses import dataclass

from sweep.clock import Stopwatch
from sweep.errors import Outcome
from sweep.events import Listener, Noticed, StageEnded, StageStarted
from sweep.plan.stages import Plan, Stage
from sweep.run.executors.protocol import Executor
from sweep.run.ledger import Ledger, stage_name
from sweep.run.makespan import Forest
from sweep.run.messages import Noted, Orphaned, Progressed, StageDone
from sweep.run.order import choose_next
from sweep.run.retries import Retries
from sweep.run.stop import StopRequest

# How long Ctrl-C waits to be noticed while nothing is heard from a Worker.
_SECONDS_BETWEEN_LOOKS = 0.1
# Chosen: enough to write a checkpoint of several hundred MB. With the 2 s that a stuck Worker has to leave, all are
# gone within five.
_SECONDS_TO_SAVE = 2.0

_CUT_SHORT = (Outcome.CRASHED, Outcome.STALLED, Outcome.OUT_OF_MEMORY, Outcome.INTERRUPTED)


@dataclass
class _Running:
    """A Stage that a Worker trains, and how much of it is done, as far as was heard."""

    stage: Stage
    steps_done: int = 0

    @property
    def steps_left(self) -> int:
        return self.stage.num_steps - self.steps_done


class Dispatch:
    """One plan's Stages on their way. `saves` says whether checkpoints are written."""

    def __init__(
        self,
        executor: Executor,
        plan: Plan,
        ledger: Ledger,
        retries: Retries,
        saves: bool,
        tell: Listener,
        stop: StopRequest,
    ) -> None:
        self._executor = executor
        self._plan = plan
        self._ledger = ledger
        self._retries = retries
        self._saves = saves
        self._tell = tell
        self._stop = stop
        self._waiting = {stage.id: stage for stage in plan.stages}  # in the planned order
        self._running: dict[str, _Running] = {}
        self._orphans: dict[str, str] = {}  # Stages that had nothing to begin with, and why
        steps = {stage.id: stage.num_steps - ledger.steps_saved(stage) for stage in plan.stages}
        children = {parent: [stage.id for stage in stages] for parent, stages in plan.children.items()}
        self._forest = Forest(steps, {parent: below for parent, below in children.items() if parent in steps})

    def run(self) -> dict[str, str]:
        """Train until nothing is left that can be trained; returns the Stages that had nothing to begin with, and why:
        what is missing then has to be planned anew.

        Raises:
            SweepError: there is no use in going on; what was under way is recorded as interrupted.
        """
        while (self._waiting or self._running) and not self._is_stopping:
            self._begin_what_can()
            if not self._running:
                break
            self._hear()
        if self._running:
            self._stop_all()
        if self._retries.cause is not None:
            raise self._retries.cause
        return self._orphans

    @property
    def _is_stopping(self) -> bool:
        return self._stop.signal_number is not None or self._retries.cause is not None

    def _begin_what_can(self) -> None:
        while not self._orphans and len(self._running) < self._executor.capacity and (ready := self._ready()):
            busy = {stage: running.steps_left for stage, running in self._running.items()}
            num_free = self._executor.capacity - len(busy)
            chosen = choose_next(self._forest, ready, busy, num_free, len(self._waiting))
            if chosen is None:
                return
            self._begin(self._waiting.pop(chosen))

    def _ready(self) -> list[str]:
        """The Stages whose parents are done, in the planned order."""
        return [
            stage.id
            for stage in self._waiting.values()
            if stage.parent not in self._waiting and stage.parent not in self._running
        ]

    def _begin(self, stage: Stage) -> None:
        saved = self._ledger.steps_saved(stage)
        self._running[stage.id] = _Running(stage, saved)
        lengths, seed = stage.trial.timeline.lengths, stage.trial.seed
        epochs = float(lengths.num_epochs)
        self._tell(StageStarted(stage.id, lengths.ratio.text, seed, epochs, stage.num_steps, saved, stage.num_trials))
        self._executor.submit(self._ledger.job(stage))

    def _hear(self) -> None:
        message = self._executor.receive(_SECONDS_BETWEEN_LOOKS)
        if isinstance(message, Progressed):
            self._running[message.progress.stage].steps_done = message.progress.steps_done
            self._tell(message.progress)
        elif isinstance(message, Noted):
            self._tell(Noticed(f"{stage_name(self._running[message.stage].stage)}: {message.text}"))
        elif isinstance(message, Orphaned):
            self._orphans[message.stage] = message.reason
            self._waiting[message.stage] = self._running.pop(message.stage).stage
        elif message is not None:
            self._end(message)

    def _end(self, done: StageDone) -> None:
        """Into the journal first, and only then told."""
        running = self._running.pop(done.stage)
        stage = running.stage
        is_cut_short = done.outcome in _CUT_SHORT
        reached = stage.start_step + running.steps_done if is_cut_short and running.steps_done else None
        self._ledger.record(stage, done, self._retries.attempt(stage.id), reached)
        if self._retries.note(done) and not self._is_stopping:
            self._tell(Noticed(f"{stage_name(stage)}: {done.reason}; trying again"))
            self._waiting = {stage.id: stage} | self._waiting
            return
        self._tell(StageEnded(stage.id, done.outcome, done.reason))
        if done.outcome is Outcome.INTERRUPTED:
            self._tell(Noticed(f"{stage_name(stage)}: {done.reason}"))
        else:
            self._ledger.tell_trials(stage, done.outcome)
        if done.outcome is not Outcome.FINISHED:
            for below in self._plan.below(stage):
                self._waiting.pop(below.id, None)

    def _stop_all(self) -> None:
        """Have every Worker write a checkpoint and stop; who does not in time is interrupted where it is."""
        self._tell(Noticed("stopping" + (" after a checkpoint" if self._saves else "") + ", again to stop now"))
        self._executor.stop()
        with Stopwatch() as watch:
            while self._running and not self._stop.is_urgent and watch.elapsed_seconds < _SECONDS_TO_SAVE:
                self._hear()
        for stage in list(self._running):
            self._end(StageDone(stage=stage, outcome=Outcome.INTERRUPTED, reason="interrupted"))
