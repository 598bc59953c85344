"""How fast a sweep really goes: as fast as the pilot, until Stages have ended, and from then on as fast as they did."""

from __future__ import annotations

from sweep.plan.speed import Interval, Speed
from sweep.store.records import Measurement


class Pace:
    """`speed` is that of what has ended so far, as uncertain as the pilot's."""

    def __init__(self, pilot: Speed) -> None:
        self._pilot = pilot
        self._training = _Mean()
        self._evaluations = _Mean()
        self._beside = _Mean()

    @property
    def speed(self) -> Speed:
        return Speed(
            self._training.or_else(self._pilot.step),
            self._evaluations.or_else(self._pilot.evaluation),
            self._beside.or_else(self._pilot.stage),
            self._pilot.worker,
        )

    def note(self, measured: Measurement, wall_seconds: float, num_steps: int) -> None:
        """A Stage has ended, which took `wall_seconds` for `num_steps` of its steps: its measurement is of all."""
        share = num_steps / measured.steps if measured.steps else 1.0
        known = share * (measured.train_seconds + (measured.eval_seconds or 0.0))
        self._training.add(measured.train_seconds, measured.steps)
        if measured.eval_seconds is not None:
            self._evaluations.add(measured.eval_seconds, len(measured.evaluations.steps))
        self._beside.add(max(0.0, wall_seconds - known), 1)


class _Mean:
    def __init__(self) -> None:
        self._seconds = 0.0
        self._count = 0

    def add(self, seconds: float, count: int) -> None:
        self._seconds += seconds
        self._count += count

    def or_else(self, pilot: Interval) -> Interval:
        if not self._count:
            return pilot
        mean = self._seconds / self._count
        if not pilot.value:
            return Interval.exactly(mean)
        return Interval(mean * pilot.low / pilot.value, mean, mean * pilot.high / pilot.value)
