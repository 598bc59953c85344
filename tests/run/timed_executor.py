"""An executor whose Stages take as long as a test says, by a clock that stands still meanwhile."""

from collections import deque
from contextlib import contextmanager

import pytest
from fake_executor import FakeExecutor

from sweep import clock
from sweep.run.messages import StageDone


class Hands:
    """Those of a clock that stands still until somebody moves them."""

    def __init__(self):
        self.seconds = 1000.0

    def perf_counter(self):
        return self.seconds


@contextmanager
def standing_clock():
    """Has every clock of the tool stand still, in each example of a property."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(clock, "time", hands := Hands())
        yield hands


class TimedExecutor(FakeExecutor):
    """`seconds_of` a job says how long its steps take. `spans` are from when to when each Stage was trained, in the
    order in which they began, since the executor was made."""

    def __init__(self, hands, seconds_of, **more):
        super().__init__(**more)
        self.hands, self.seconds_of = hands, seconds_of
        self.made_at, self.ends, self.spans = hands.seconds, {}, []

    def submit(self, job):
        super().submit(job)
        now = self.hands.seconds
        self.ends[job.stage] = now + self.seconds_of(job)
        self.spans.append((now - self.made_at, self.ends[job.stage] - self.made_at))
        self.waiting = deque(sorted(self.waiting, key=lambda job: self.ends[job.stage]))

    def receive(self, timeout_seconds):
        if timeout_seconds and self.waiting:
            self.hands.seconds = max(self.hands.seconds, self.ends[self.waiting[0].stage])
        job = self.waiting[0] if self.waiting else None
        message = super().receive(timeout_seconds)
        if not isinstance(message, StageDone) or message.measurement is None:
            return message
        took = {"train_seconds": self.seconds_of(job), "eval_seconds": 0.0, "startup_seconds": 0.0}
        return message.model_copy(update={"measurement": message.measurement.model_copy(update=took)})
