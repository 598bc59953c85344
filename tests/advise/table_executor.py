"""Searches through the journal, whose runs answer from a table."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "run"))

from fake_executor import FakeExecutor, measured

from sweep.advise.goal import SearchRequest
from sweep.advise.search import search
from sweep.errors import Outcome
from sweep.request import SweepRequest
from sweep.run.messages import StageDone

RATIOS = "0.25:1:0.125"
STEPS_PER_EPOCH, EPOCHS = 23, 8  # of the recipe `smoke`


class TableExecutor(FakeExecutor):
    """A run of so many epochs and that seed measures what `table(epochs, seed)` says, in a second an epoch."""

    def __init__(self, table, endings=None, figure="accuracy", **options):
        super().__init__(endings=endings, **options)
        self.table = table
        self.figure = figure

    def receive(self, timeout_seconds):
        jobs = {job.stage: job for job in self.waiting}
        done = super().receive(timeout_seconds)
        if not isinstance(done, StageDone) or done.outcome is not Outcome.FINISHED:
            return done
        job = jobs[done.stage]
        epochs, measurement = job.stop_step // STEPS_PER_EPOCH, measured(job)
        values = (self.table(epochs, job.seed),) * len(job.eval_steps)
        evaluations = measurement.evaluations.model_copy(update={self.figure: values})
        update = {"train_seconds": float(epochs), "evaluations": evaluations}
        return done.model_copy(update={"measurement": measurement.model_copy(update=update)})


def rising(epochs, seed):
    """93.0 % at 2 epochs, 96.0 % at 4, 97.5 % at 8; seeds differ by 0.1 points."""
    return 0.99 - 0.12 / epochs + (seed % 3 - 1) * 0.001


def request_of(tmp_path, target=None, within_points=None, confidence=0.9, max_cost=None, **sweep):
    asked = {"recipe": "smoke", "ratios": RATIOS, "results": tmp_path, **sweep}
    return SearchRequest(SweepRequest(**asked), target, within_points, confidence, max_cost)


def find(tmp_path, executor, tell=lambda event: None, **asked):
    return search(request_of(tmp_path, **asked), tell, make_executor=lambda *placed: executor)


def runs(executor):
    """What was trained, as epochs and seeds."""
    return [(job.stop_step // STEPS_PER_EPOCH, job.seed) for job in executor.submitted]
