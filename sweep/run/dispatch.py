"""Hands the Stages that are to be trained to an executor, and hears what becomes of them, until all have ended or the
sweep is stopped. Then their Workers are asked for a checkpoint first.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass

from sweep.clock import Stopwatch
from sweep.errors import Outcome
from sweep.events import Listener, Noticed, StageEnded, StageStarted
from sweep.plan.stages import Plan, Stage
from sweep.run.allowance import Allowance
from sweep.run.executors.protocol import Executor
from sweep.run.ledger import Ledger, forest_of, record_of, stage_name
from sweep.run.messages import Noted, Orphaned, Progressed, Said, StageDone
from sweep.run.order import choose_next
from sweep.run.retries import Retries
from sweep.run.stop import StopRequest
from sweep.run.turns import Turn
from sweep.run.waiting import Waiting

# How long Ctrl-C waits to be noticed while nothing is heard from a Worker.
_SECONDS_BETWEEN_LOOKS = 0.1
# Chosen: enough to write a checkpoint of several hundred MB. With the 2 s that a stuck Worker has to leave, all are
# gone within five.
_SECONDS_TO_SAVE = 2.0
# Chosen: many times what Workers say at once, and heard in some milliseconds; who talks without end keeps nobody from
# what is to be written down.
_MOST_AT_ONCE = 1000

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
    """One plan's Stages on their way. `saves` says whether checkpoints are written; `turn` when one may begin; with an
    `allowance` only what fits is begun, the cheapest first."""

    def __init__(
        self,
        executor: Executor,
        plan: Plan,
        ledger: Ledger,
        retries: Retries,
        saves: bool,
        tell: Listener,
        stop: StopRequest,
        turn: Turn,
        allowance: Allowance | None = None,
    ) -> None:
        self._executor = executor
        self._plan = plan
        self._ledger = ledger
        self._retries = retries
        self._saves = saves
        self._tell = tell
        self._stop = stop
        self._allowance = allowance
        self._turn = turn
        self._waiting = Waiting(plan.stages, plan.children)
        self._num_steps = self._waiting.num_steps
        self._running: dict[str, _Running] = {}
        self._orphans: dict[str, str] = {}  # Stages that had nothing to begin with, and why
        self._forest = forest_of(plan, ledger)
        if allowance is not None:
            allowance.take_up(plan, ledger.steps_saved)

    def looks(self) -> Generator[None, None, dict[str, str]]:
        """Train until nothing is left that can be trained, a look at what goes on at a time: between two of them, other
        sweeps have theirs. Returns the Stages that had nothing to begin with, and why: what is missing then has to be
        planned anew.

        Raises:
            SweepError: there is no use in going on; what was under way is recorded as interrupted.
        """
        try:
            while (self._waiting or self._running) and not self._is_stopping:
                self._begin_what_can()
                if self._running:
                    self._hear()
                elif not self._turn.is_waiting:
                    break
                yield
            if self._running:
                yield from self._stop_all()
        finally:
            self._turn.pass_on(0)
        if self._retries.cause is not None:
            raise self._retries.cause
        if self._allowance is not None and not self._orphans and not self._is_stopping:
            self._leave(self._allowance)
        return self._orphans

    @property
    def _is_stopping(self) -> bool:
        return self._stop.signal_number is not None or self._retries.cause is not None

    def _begin_what_can(self) -> None:
        busy = {stage: running.steps_left for stage, running in self._running.items()}
        while (chosen := self._next(busy)) is not None:
            if not self._turn.ask(1 - self._waiting.num_steps / self._num_steps, len(busy)):
                return
            self._begin(self._waiting.take(chosen))
            busy[chosen] = self._running[chosen].steps_left
        self._turn.pass_on(len(busy))

    def _next(self, busy: Mapping[str, int]) -> str | None:
        """The Stage to begin now; None where none can be, or waiting is better."""
        num_free, waiting = self._executor.capacity - len(busy), self._waiting
        if self._orphans or num_free <= 0 or not waiting.ready:
            return None
        if self._allowance is not None:
            return self._allowance.choose(waiting.ready)
        return choose_next(self._forest, waiting.ready, busy, num_free, len(waiting), waiting.num_steps)

    def _begin(self, stage: Stage) -> None:
        saved = self._ledger.steps_saved(stage)
        self._running[stage.id] = running = _Running(stage, saved)
        if self._allowance is not None:
            self._allowance.begin(stage.id, running.steps_left)
        lengths, seed = stage.trial.timeline.lengths, stage.trial.seed
        epochs = float(lengths.num_epochs)
        self._tell(StageStarted(stage.id, lengths.ratio.text, seed, epochs, stage.num_steps, saved, stage.num_trials))
        self._executor.submit(self._ledger.job(stage))

    def _hear(self) -> None:
        """Hear all that has been said; what it says of Stages that have ended is written down together."""
        ended: list[StageDone] = []
        for message in self._said():
            if isinstance(message, Progressed):
                self._running[message.progress.stage].steps_done = message.progress.steps_done
                self._tell(message.progress)
            elif isinstance(message, Noted):
                self._tell(Noticed(f"{stage_name(self._running[message.stage].stage)}: {message.text}"))
            elif isinstance(message, Orphaned):
                self._orphans[message.stage] = message.reason
                del self._running[message.stage]
                if self._allowance is not None:
                    self._allowance.forget(message.stage)
            else:
                ended.append(message)
        if ended:
            self._end(ended)

    def _said(self) -> Iterator[Said]:
        """The next message, which is waited for, and those that are there with it; none where nobody says anything."""
        num_unanswered, timeout_seconds = len(self._running), _SECONDS_BETWEEN_LOOKS
        for _ in range(_MOST_AT_ONCE):
            message = self._executor.receive(timeout_seconds) if num_unanswered else None
            if message is None:
                return
            yield message
            num_unanswered -= isinstance(message, StageDone | Orphaned)
            timeout_seconds = 0.0

    def _end(self, ended: Sequence[StageDone]) -> None:
        """All into the journal first, and only then told."""
        if self._allowance is not None:
            for done in ended:
                self._allowance.end(done)
        running = [self._running.pop(done.stage) for done in ended]
        records = [
            record_of(done, self._retries.attempt(done.stage), _reached(done, ran))
            for done, ran in zip(ended, running, strict=True)
        ]
        stages = [ran.stage for ran in running]
        self._ledger.record(stages, records)
        for stage, done in zip(stages, ended, strict=True):
            self._go_on(stage, done)

    def _go_on(self, stage: Stage, done: StageDone) -> None:
        """Tell of a Stage that has ended, and see to those that follow on it; or have it tried again."""
        if self._retries.note(done) and not self._is_stopping:
            self._tell(Noticed(f"{stage_name(stage)}: {done.reason}; trying again"))
            self._waiting.put_first(stage)
            return
        self._tell(StageEnded(stage.id, done.outcome, done.reason))
        if done.outcome is Outcome.INTERRUPTED:
            self._tell(Noticed(f"{stage_name(stage)}: {done.reason}"))
        else:
            self._ledger.tell_trials(stage, done.outcome)
        if done.outcome is Outcome.FINISHED:
            self._waiting.follow(stage)
        else:
            self._waiting.drop(self._plan.below(stage))

    def _leave(self, allowance: Allowance) -> None:
        """What still waits is not trained: it would not fit."""
        allowance.num_left = num_left = self._waiting.num_trials
        if num_left:
            were, they = ("was", "it") if num_left == 1 else ("were", "they")
            count = f"{num_left} of {len(self._ledger.entries)} trials {were} not begun"
            self._tell(Noticed(f"{count}: {they} would not fit in what is left of {allowance.text}"))

    def _stop_all(self) -> Generator[None, None, None]:
        """Have every Worker write a checkpoint and stop; who does not in time is interrupted where it is."""
        self._turn.pass_on(len(self._running))
        self._tell(Noticed("stopping" + (" after a checkpoint" if self._saves else "") + ", again to stop now"))
        self._executor.stop()
        with Stopwatch() as watch:
            while self._running and not self._stop.is_urgent and watch.elapsed_seconds < _SECONDS_TO_SAVE:
                self._hear()
                yield
        if self._running:
            self._end([_interrupted(stage) for stage in self._running])


def _interrupted(stage: str) -> StageDone:
    return StageDone(stage=stage, outcome=Outcome.INTERRUPTED, reason="interrupted")


def _reached(done: StageDone, ran: _Running) -> int | None:
    """The step that an attempt which was cut short had come to, as far as was heard."""
    is_known = done.outcome in _CUT_SHORT and ran.steps_done
    return ran.stage.start_step + ran.steps_done if is_known else None
