"""What is left of a budget while a sweep runs: which Stage may still begin.

One may where the nearest end of a Trial behind it would come in time, by the high end of what is known of the speed. A
Stage that has begun is trained to its end: the budget is never exceeded by more than the Stages in hand.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sweep.clock import Stopwatch
from sweep.plan.speed import Interval, Speed
from sweep.plan.stages import Plan, Stage
from sweep.run.duration import sweep_seconds
from sweep.run.messages import StageDone
from sweep.run.pace import Pace
from sweep.run.ways import Way, in_turn, ways_to_an_end


@dataclass(frozen=True)
class _Begun:
    num_steps: int
    at_seconds: float  # by the allowance's watch


class Allowance:
    """A budget, `text` as it was typed: of `wall_seconds` by `watch`, which runs since the command began; or of
    `train_seconds`, those of all Stages added up. The other one is None.

    `num_left` is how many Trials were not begun, since they would not fit.
    """

    def __init__(
        self,
        text: str,
        speed: Speed,
        watch: Stopwatch,
        *,
        wall_seconds: float | None = None,
        train_seconds: float | None = None,
    ) -> None:
        self.text = text
        self.num_left = 0
        self._pace = Pace(speed)
        self._watch = watch
        self._wall_seconds = wall_seconds
        self._train_seconds = train_seconds
        self._trained_seconds = 0.0
        self._begun: dict[str, _Begun] = {}
        self._ways: dict[str, Way] = {}
        self._places: dict[str, int] = {}

    @property
    def left_seconds(self) -> float:
        """Of wall clock, or of training: what nobody has spent, nor is about to."""
        if self._wall_seconds is not None:
            return self._wall_seconds - self._watch.elapsed_seconds
        assert self._train_seconds is not None
        return self._train_seconds - self._trained_seconds - sum(map(self._reserved, self._begun.values()))

    def needs(self, plan: Plan, jobs: int) -> Interval:
        """The seconds of it that all of `plan` takes, `jobs` Stages at a time."""
        speed = self._pace.speed
        if self._wall_seconds is None:
            return speed.step * plan.num_steps
        return sweep_seconds(plan, speed, jobs, in_turn(plan, ways_to_an_end(plan)))

    def take_up(self, plan: Plan, steps_saved: Callable[[Stage], int]) -> None:
        """From now on these Stages are what is to be trained."""
        self._ways = ways_to_an_end(plan, steps_saved)
        self._places = {stage: place for place, stage in enumerate(in_turn(plan, self._ways))}

    def choose(self, ready: Sequence[str]) -> str | None:
        """The Stage to begin now of those that could: the first in turn that fits; None where none does."""
        left, speed = self.left_seconds, self._pace.speed
        in_turn = sorted(ready, key=self._places.__getitem__)
        return next((stage for stage in in_turn if self._needed(self._ways[stage], speed) <= left), None)

    def begin(self, stage: str, num_steps: int) -> None:
        """A Stage was handed out, `num_steps` of which are still to be trained."""
        self._begun[stage] = _Begun(num_steps, self._watch.elapsed_seconds)

    def end(self, done: StageDone) -> None:
        """It has ended, however it did."""
        begun = self._begun.pop(done.stage)
        wall_seconds = self._watch.elapsed_seconds - begun.at_seconds
        trained = done.measurement.train_seconds if done.measurement is not None else wall_seconds
        self._trained_seconds += min(trained, wall_seconds)  # what earlier calls have trained of it is theirs
        if done.measurement is not None:
            self._pace.note(done.measurement, wall_seconds, begun.num_steps)

    def forget(self, stage: str) -> None:
        """It had nothing to begin with."""
        self._begun.pop(stage)

    def _needed(self, way: Way, speed: Speed) -> float:
        return speed.step.high * way.num_steps if self._wall_seconds is None else way.seconds(speed).high

    def _reserved(self, begun: _Begun) -> float:
        expected = self._pace.speed.step.high * begun.num_steps
        return max(expected, self._watch.elapsed_seconds - begun.at_seconds)
