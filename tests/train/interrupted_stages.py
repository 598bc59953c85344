"""Stages that are stopped at chosen steps and go on from their checkpoints, in this process."""

from pathlib import Path
from threading import Event

from small_stages import smoke_task

from sweep.errors import Outcome
from sweep.plan.lengths import batches_before
from sweep.store.records import StageJob
from sweep.store.states import StageStates
from sweep.train.keeper import Keeper
from sweep.train.loop import Trained, train_stage
from sweep.train.task import ImageTask


def stages_states(folder: Path, job: StageJob) -> StageStates:
    return StageStates(folder / job.stage)


def stop_after(task: ImageTask, step: int | None, stop: Event) -> ImageTask:
    """`task`, which sets `stop` while the last of the first `step` steps is trained."""
    batches = task.batches

    def watched(seed, num_examples, start, last):
        at = None if step is None else batches_before(task.recipe, num_examples, step)
        first = batches_before(task.recipe, num_examples, start)
        for done, batch in enumerate(batches(seed, num_examples, start, last), first + 1):
            if done == at:
                stop.set()
            yield batch

    task.batches = watched
    return task


def attempt(
    job: StageJob,
    folder: Path,
    stop_step: int | None = None,
    task: ImageTask | None = None,
    every_seconds: float | None = 1e9,
    tell=lambda text: None,
) -> Trained:
    """One attempt at a Stage; asked to stop when `stop_step` steps are done."""
    stop = Event()
    keeper = Keeper(stages_states(folder, job), every_seconds, stop, tell)
    return train_stage(job, stop_after(task or smoke_task(), stop_step, stop), lambda progress: None, 1, keeper)


def train_in_parts(job: StageJob, folder: Path, stops: tuple[int, ...], make_task=smoke_task, **options) -> Trained:
    """Interrupted at each of `stops`, with a new task each time, and then trained to its end."""
    for step in stops:
        trained = attempt(job, folder, step, make_task(), **options)
        assert (trained.outcome, trained.reason) == (Outcome.INTERRUPTED, f"interrupted; goes on at step {step}")
    return attempt(job, folder, None, make_task(), **options)
