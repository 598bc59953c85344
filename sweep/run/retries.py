"""Which Stages are trained once more when their Worker is lost or hangs, and when there is no use in going on."""

from __future__ import annotations

from collections import Counter, defaultdict

from sweep.errors import Outcome, Problem, SweepError
from sweep.run.messages import StageDone
from sweep.store.history import History

_LOST = (Outcome.CRASHED, Outcome.STALLED)
# Chosen: one crash can be chance and two a coincidence; of three alike, the next would be a fourth.
_NUM_ALIKE = 3


class Retries:
    """Counts the attempts of one run of a sweep. A Stage that crashed or stalled is trained `num_retries` times more.

    One that diverged, ran out of memory or whose code failed is not: it would do so again.
    """

    def __init__(self, num_retries: int, history: History) -> None:
        self._num_retries = num_retries
        self._before = {stage: record.attempt for stage, record in history.stages.items()}
        self._ended: Counter[str] = Counter()  # attempts of each Stage, in this run
        self._first_losses: dict[str, list[StageDone]] = defaultdict(list)  # one a Stage, by the reason

    def attempt(self, stage: str) -> int:
        """The number of a Stage's present attempt, from 1, over all runs."""
        return self._before.get(stage, 0) + self._ended[stage] + 1

    def note(self, done: StageDone) -> bool:
        """Note how an attempt has ended; whether the Stage is to be trained again."""
        self._ended[done.stage] += 1
        if done.outcome not in _LOST:
            return False
        if self._ended[done.stage] == 1:
            self._first_losses[done.reason or ""].append(done)
        return self._ended[done.stage] <= self._num_retries

    @property
    def cause(self) -> SweepError | None:
        """Why the sweep stops: the first attempts at several Stages have ended alike."""
        for reason, losses in self._first_losses.items():
            if len(losses) >= _NUM_ALIKE:
                message = f"stopped: the first attempts at {len(losses)} trials ended alike: {reason}"
                log = f"see {losses[-1].log} in the sweep's folder; " if losses[-1].log else ""
                fix = f"{log}the same command goes on"
                return SweepError(Problem(message, fix=fix))
        return None
