"""An executor whose Workers train nothing: what they would have measured is made up, as of digits."""

from __future__ import annotations

import random
import sys
from pathlib import Path
from time import perf_counter
from typing import Self

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "store"))

from histories import ENVIRONMENT

from sweep.errors import Outcome
from sweep.run.messages import StageDone
from sweep.run.stop import StopRequest
from sweep.store.records import Environment, Evaluations, Measurement, PrepareJob, StageJob

# Accuracies and losses, of which each Stage has some: to draw them anew would take longer than the rest.
NUM_DRAWN = 2000


class UntrainedExecutor:
    """When a Stage is answered is for those who inherit from it to say. `dispatch_seconds` is from the first Stage to
    the end."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.num_stages, self.dispatch_seconds = 0, 0.0
        self._began = 0.0
        self._draw = random.Random(0)
        self._accuracies = tuple(round(self._draw.uniform(0.98, 0.99), 4) for _ in range(NUM_DRAWN))
        self._losses = tuple(self._draw.uniform(0.03, 0.04) for _ in range(NUM_DRAWN))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.dispatch_seconds = perf_counter() - self._began

    def prepare(self, job: PrepareJob, stop: StopRequest) -> Environment:
        return ENVIRONMENT

    def submit(self, job: StageJob) -> None:
        self._began = self._began or perf_counter()
        self.num_stages += 1

    def stop(self) -> None:
        pass

    def done(self, job: StageJob, seconds: float) -> StageDone:
        """A Stage that has finished, after so many seconds of training."""
        num_steps, num_rows, draw = job.stop_step - job.start_step, len(job.eval_steps), self._draw
        first = draw.randrange(NUM_DRAWN - num_rows)
        measurement = Measurement(
            steps=num_steps,
            images=64 * num_steps,
            train_seconds=seconds,
            data_wait_seconds=seconds / 40,
            eval_seconds=0.05 * num_rows,
            startup_seconds=0.02,
            contention=0.02,
            evaluations=Evaluations(
                steps=job.eval_steps,
                accuracy=self._accuracies[first : first + num_rows],
                loss=self._losses[first : first + num_rows],
            ),
            weights_sha256=f"{draw.getrandbits(256):064x}" if job.is_end else None,
            checkpoint_seconds=0.01,
        )
        return StageDone(
            stage=job.stage,
            outcome=Outcome.FINISHED,
            measurement=measurement,
            environment=ENVIRONMENT,
            log="logs/worker-1.log",
        )
