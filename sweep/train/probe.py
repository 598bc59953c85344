"""How long a step of a Stage takes, by training steps like its own. Nothing stays of them."""

from __future__ import annotations

from collections.abc import Callable, Generator

from sweep.clock import Stopwatch
from sweep.store.records import StageJob
from sweep.train.device import synchronize
from sweep.train.generators import set_aside
from sweep.train.loop import start_stage, train_steps, weights_sha256
from sweep.train.trainable import Trainable


class Probe:
    """A Stage that is trained over and over, in bursts: model, optimizer and batches as in earnest, the device warm.

    The generators are left as they were; no state is kept and no progress told.
    """

    def __init__(self, job: StageJob, task: Trainable) -> None:
        self._device = task.device
        with set_aside(self._device):
            self._run = start_stage(job, task, lambda progress: None)
        self._steps = self._endless_steps()

    def step_seconds(self, seconds: float) -> float:
        """Train for about `seconds`, one step at least: the mean seconds of a step, the waiting for data included."""
        num_steps = 0
        with set_aside(self._device):
            synchronize(self._device)
            with Stopwatch() as watch:
                while num_steps == 0 or watch.elapsed_seconds < seconds:
                    next(self._steps)
                    num_steps += 1
                synchronize(self._device)
        return watch.seconds / num_steps

    def burst(self, num_steps: int) -> float:
        """Train so many steps, one at least: the mean seconds of a step, the waiting for data included."""
        with set_aside(self._device):
            synchronize(self._device)
            with Stopwatch() as watch:
                for _ in range(num_steps):
                    next(self._steps)
                synchronize(self._device)
        return watch.seconds / num_steps

    def evaluate(self, note_progress: Callable[[], None] = lambda: None) -> None:
        """Evaluate the network as it is now, on all evaluation examples; `note_progress` hears of every batch."""
        with set_aside(self._device):
            self._run.learner.evaluate(self._run.judged, note_progress)
            synchronize(self._device)

    def read_weights(self) -> None:
        """What a Stage does at its end: its weights are hashed."""
        weights_sha256(self._run.judged)

    def close(self) -> None:
        """Give up whatever is under way."""
        self._steps.close()
        self._run.batches.close()

    def _endless_steps(self) -> Generator[int, None, None]:
        run, job = self._run, self._run.job
        while True:
            yield from train_steps(run, job.stop_step)
            if run.diverged_at is not None:
                yield run.step  # the step that showed it; a step takes as long with any loss
            run.batches.close()
            run.batches = run.task.batches(job.seed, job.num_examples, job.start_step, job.stop_step)
            run.step = job.start_step
            run.diverged_at = None
