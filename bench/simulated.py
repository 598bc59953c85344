"""An executor on a clock of its own, which is set to whatever happens next: a sweep of years is over in seconds."""

from __future__ import annotations

import random
from collections import deque
from dataclasses import dataclass
from heapq import heappop, heappush

from untrained import UntrainedExecutor

from sweep.events import Progress
from sweep.run.messages import Progressed, Said
from sweep.store.records import StageJob

MILLISECONDS_A_STEP = 100


@dataclass(frozen=True)
class Pace:
    """How long Stages take: so long for each step, `spread` of that more or less, as drawn for the Stage, and
    `milliseconds_to_begin` before the first one."""

    spread: float = 0.0
    milliseconds_to_begin: int = 0

    def milliseconds(self, stage: str, num_steps: int) -> int:
        """Of the Stage with this id, the same whenever it is asked."""
        factor = 1 + self.spread * random.Random(stage).uniform(-1, 1)
        return self.milliseconds_to_begin + max(1, round(MILLISECONDS_A_STEP * num_steps * factor))


@dataclass(frozen=True)
class _Running:
    job: StageJob
    first_step_at: int
    end: int

    def progress(self, now: int) -> Progressed:
        share = max(0.0, (now - self.first_step_at) / (self.end - self.first_step_at))
        steps = int((self.job.stop_step - self.job.start_step) * share)
        told = Progress(
            stage=self.job.stage, steps_done=steps, epoch=0.0, loss=None, accuracy=None, images_per_second=None
        )
        return Progressed(progress=told)


class SimulatedExecutor(UntrainedExecutor):
    """Workers that take the time that `pace` says, in whole milliseconds; `now` is how late it is.

    Whenever a Stage ends, all others have told before how far they are.
    """

    def __init__(self, capacity: int, pace: Pace) -> None:
        super().__init__(capacity)
        self.now = 0
        self._pace = pace
        self._running: dict[str, _Running] = {}
        self._ends: list[tuple[int, int, str]] = []  # when, and the how manyeth that was begun
        self._said: deque[Said] = deque()

    def submit(self, job: StageJob) -> None:
        assert len(self._running) < self.capacity
        super().submit(job)
        end = self.now + self._pace.milliseconds(job.stage, job.stop_step - job.start_step)
        self._running[job.stage] = _Running(job, self.now + self._pace.milliseconds_to_begin, end)
        heappush(self._ends, (end, self.num_stages, job.stage))

    def receive(self, timeout_seconds: float) -> Said | None:
        if not self._said and self._ends and timeout_seconds > 0:
            self._go_on()
        return self._said.popleft() if self._said else None

    def _go_on(self) -> None:
        self.now = self._ends[0][0]
        ended = []
        while self._ends and self._ends[0][0] == self.now:
            ended.append(self._running.pop(heappop(self._ends)[2]))
        self._said += [running.progress(self.now) for running in self._running.values()]
        self._said += [self.done(running.job, (running.end - running.first_step_at) / 1000) for running in ended]
