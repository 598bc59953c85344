"""Train one Stage: state and values in, state and measurements out. Knows no schedule: every step's values are given.

Nothing inside a step waits for the device: losses stay there, and are read every `READ_EVERY` steps, and before a
checkpoint. `train_stage` is the whole of it; `start_stage` and `train_steps` let two runs be advanced in turn, a step
at a time.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from sweep.clock import Stopwatch, monotonic_seconds
from sweep.errors import Outcome
from sweep.events import Progress
from sweep.plan.lengths import batches_before, examples_per_batch, examples_per_step, steps_in_epoch
from sweep.store.records import Evaluations, Measurement, StageJob, TakenOver
from sweep.train.allocator import keep_freed_memory
from sweep.train.batch_methods import BatchMethods
from sweep.train.checkpoint import Checkpoint, Evaluation, SoFar, State
from sweep.train.contention import Contention, highest
from sweep.train.device import synchronize
from sweep.train.energy import EnergyMeter, gpu_counter
from sweep.train.group import ALONE, Group
from sweep.train.keeper import Keeper
from sweep.train.learner import Learner
from sweep.train.nested import num_examples
from sweep.train.step_values import StepValues
from sweep.train.trainable import AnyBatch, Trainable
from sweep.train.warm_up import warm_up

# A loss that is not finite is noticed so many steps later at most.
READ_EVERY = 50
_SECONDS_BETWEEN_PROGRESS = 0.1


@dataclass(frozen=True)
class Trained:
    """How the Stage ended, and what it cost and gave; of one that was interrupted that is in its checkpoint.

    `state` is that at its end, where it is kept; `weights` are those of a run that is over.
    """

    outcome: Outcome
    reason: str | None
    measurement: Measurement | None
    state: State | None = None
    weights: dict[str, Tensor] | None = None


@dataclass
class StageRun:
    """A Stage that is being trained, between its steps."""

    job: StageJob
    task: Trainable
    learner: Learner
    values: StepValues
    methods: BatchMethods
    batches: Generator[AnyBatch, None, None]  # of the steps from `step` on
    tell: Callable[[Progress], None]
    energy: EnergyMeter  # of the spans of `train`
    group: Group
    step: int
    losses: list[Tensor] = field(default_factory=list)  # of the steps since the last reading, scalars on the device
    diverged_at: int | None = None  # the first step whose loss is not finite, once it is known
    train: Stopwatch = field(default_factory=Stopwatch)
    data_wait: Stopwatch = field(default_factory=Stopwatch)
    evaluation: Stopwatch = field(default_factory=Stopwatch)
    checkpoint: Stopwatch = field(default_factory=Stopwatch)
    images: int = 0
    mean_loss: float | None = None
    told_at_seconds: float = -math.inf  # the first step is told of at once
    evaluations: list[Evaluation] = field(default_factory=list)
    startup_seconds: float = 0.0
    before: SoFar = field(default_factory=SoFar)  # by earlier attempts; what adds up is in the rest already
    contention: Contention | None = None
    deployed: nn.Module | None = None  # SWA's network, at the end of a run

    @property
    def model(self) -> nn.Module:
        return self.learner.model

    @property
    def optimizer(self) -> Optimizer:
        return self.learner.optimizer

    @property
    def judged(self) -> nn.Module:
        """The network that an evaluation is of."""
        return self.deployed or self.learner.judged

    @property
    def is_divided(self) -> bool:
        """Whether a step takes several batches: one after the other, or each process one of its own."""
        return self.task.recipe.gradient_accumulation_steps > 1 or not self.group.is_alone

    def batches_of(self, step: int) -> tuple[int, int]:
        """How many batches a step takes one after the other, and of how many examples in all."""
        recipe, num_examples = self.task.recipe, self.job.num_examples
        size = examples_per_step(recipe)
        left = num_examples - step % self.steps_per_epoch * size
        first, last = (batches_before(recipe, num_examples, which) for which in (step, step + 1))
        return last - first, min(size, left)

    def is_evaluated(self, step: int) -> bool:
        return any(step == done for done, _ in self.evaluations)

    @property
    def steps_per_epoch(self) -> int:
        return steps_in_epoch(self.job.num_examples, examples_per_step(self.task.recipe))


def train_stage(
    job: StageJob,
    task: Trainable,
    tell: Callable[[Progress], None],
    sweep_pid: int,
    keeper: Keeper | None = None,
    parent: State | None = None,
    group: Group = ALONE,
    shares_device: bool = False,
) -> Trained:
    """Train steps `start_step` … `stop_step - 1` and evaluate on the way; `tell` hears of progress in both.

    Goes on from the checkpoint that `keeper` has, else from the state `parent`, else from the one that `keeper` has of
    the Stage before; ends early when it is asked to. `sweep_pid` is the process that everything this sweep runs
    descends from: the rest is contention. With `shares_device` others of its Workers may compute on the same device,
    whose energy is then not this Stage's.

    Each process of a `group` trains on its share of every batch. What rank 0 gives is of them all, and it alone keeps
    states, evaluates and is asked to stop.

    Raises:
        UnusableState: the state that it begins with is gone.
    """
    keeper = keeper or Keeper()
    with Stopwatch() as startup:
        beginning = group.shared(lambda: _beginning(job, keeper, parent))
        run = start_stage(job, task, tell, beginning, group)
    run.startup_seconds += startup.seconds
    if shares_device:
        run.energy.joules = None  # for good
    run.contention = Contention(sweep_pid) if task.device.type == "cpu" else None
    with closing(run.batches):
        return _train_and_evaluate(run, keeper) or _trained(run)


def _beginning(job: StageJob, keeper: Keeper, parent: State | None) -> Checkpoint | None:
    checkpoint = keeper.load(job.start_step, job.stop_step)
    if checkpoint is None and job.start_step > 0:
        checkpoint = Checkpoint(parent or keeper.load_parent(job.start_step), SoFar())
    return checkpoint


def start_stage(
    job: StageJob,
    task: Trainable,
    tell: Callable[[Progress], None],
    checkpoint: Checkpoint | None = None,
    group: Group = ALONE,
) -> StageRun:
    """The Stage before its next step: model and optimizer made, the batches begun, the device warm."""
    keep_freed_memory()
    step = checkpoint.state.step if checkpoint else job.start_step
    batches = task.batches(job.seed, job.num_examples, step, job.stop_step)
    run = StageRun(
        job,
        task,
        Learner(task, task.build_model(job.seed).train(), group),
        StepValues.of(job),
        BatchMethods(task, job.seed),
        batches,
        tell,
        EnergyMeter(gpu_counter(*group.devices_told_of(task.device))),
        group,
        step=step,
    )
    group.seed(job.seed)
    warm_up(job, task, run.model, run.values, run.methods, group)
    run.learner.keep_averages(job.swa_steps)
    if checkpoint is not None:
        _resume(run, checkpoint)
    synchronize(task.device)
    return run


def _resume(run: StageRun, checkpoint: Checkpoint) -> None:
    run.learner.restore(checkpoint.state)
    so_far = checkpoint.so_far
    run.train.seconds = so_far.train_seconds
    run.energy.joules = so_far.joules
    run.data_wait.seconds = so_far.data_wait_seconds
    run.evaluation.seconds = so_far.eval_seconds
    run.startup_seconds = so_far.startup_seconds
    run.checkpoint.seconds = so_far.checkpoint_seconds
    run.images = so_far.images
    run.evaluations = list(so_far.evaluations)
    went_on = (run.step,) if run.step > run.job.start_step else ()
    run.before = replace(so_far, resumed_at=(*so_far.resumed_at, *went_on))


def _train_and_evaluate(run: StageRun, keeper: Keeper) -> Trained | None:
    """Train to the end, or to a loss that is not finite; one that was asked to stop says how far it came."""
    job = run.job
    for stop in sorted({*job.eval_steps, *job.kept_steps, job.stop_step}):
        while run.step < stop and run.diverged_at is None:
            with run.energy, run.train:
                _train_until(run, stop, keeper)
                synchronize(run.task.device)
            if run.diverged_at is None and _is_due(run, keeper) and (ended := _pause(run, keeper)):
                return ended
        if run.diverged_at is not None:
            return None
        if stop == job.stop_step and job.is_end and not _deploy(run, keeper):
            return _pause(run, keeper)
        # What the run has passed without being evaluated stays blank: its weights of then are gone.
        if stop in job.eval_steps and stop == run.step and not run.is_evaluated(stop):
            with run.evaluation:
                run.evaluations.append((stop, run.group.shared(lambda: _evaluate(run))))
        if stop in job.kept_steps and stop == run.step < job.stop_step and (state := _capture(run)) is not None:
            _save(run, keeper, state)
    return _finish(run, keeper)


def _evaluate(run: StageRun) -> dict[str, float]:
    return run.learner.evaluate(run.judged, lambda: _tell_progress(run))


def _is_due(run: StageRun, keeper: Keeper) -> bool:
    return run.group.agreed(keeper.is_due(run.train.elapsed_seconds))


def _is_stopping(run: StageRun, keeper: Keeper) -> bool:
    return run.group.agreed(keeper.is_stopping)


def _pause(run: StageRun, keeper: Keeper) -> Trained | None:
    """Keep the state now; how the attempt ends, if it is asked to."""
    state = _capture(run)
    is_saved = state is not None and keeper.writes and _save(run, keeper, state)
    if _is_stopping(run, keeper) and run.diverged_at is None:
        return Trained(Outcome.INTERRUPTED, _interrupted(run.step, is_saved), None)
    return None


def _deploy(run: StageRun, keeper: Keeper) -> bool:
    """At the end of a run, make the network that SWA deploys: that is training time. Whether it was not asked to stop.

    The state is as before, and other Stages may go on from it.
    """
    if not run.learner.has_averaged:
        return True
    watches = run.train, run.data_wait
    before = [watch.seconds for watch in watches], run.energy.joules
    with run.energy, run.train:
        run.deployed = run.learner.averaged(_inputs_of_an_epoch(run, keeper))
        synchronize(run.task.device)
    is_stopping = _is_stopping(run, keeper)
    if is_stopping or run.is_evaluated(run.step):  # lost, or counted by the attempt that has evaluated it
        for watch, seconds in zip(watches, before[0], strict=True):
            watch.seconds = seconds
        run.energy.joules = before[1]
    return not is_stopping


def _inputs_of_an_epoch(run: StageRun, keeper: Keeper) -> Iterator[Any]:
    """What the first epoch's batches hold, as they come from the data; it ends early when it is asked to stop."""
    with closing(run.task.batches(run.job.seed, run.job.num_examples, 0, run.steps_per_epoch)) as batches:
        while not _is_stopping(run, keeper):
            with run.data_wait:
                batch = next(batches, None)
            if batch is None:
                return
            yield batch[0]
            _tell_progress(run)


def _finish(run: StageRun, keeper: Keeper) -> Trained | None:
    """At the end: read the last losses, and keep what is to be kept."""
    state = _capture(run) if run.step in run.job.kept_steps else None
    if run.diverged_at is None and run.job.is_end:
        run.diverged_at = _diverged_at_the_end(run)
    if run.diverged_at is not None:
        return None
    if state is not None:
        _save(run, keeper, state)  # one that cannot be written serves a Stage that follows in this process
    return replace(_trained(run), state=state, weights=run.judged.state_dict() if run.job.is_end else None)


def _train_until(run: StageRun, stop: int, keeper: Keeper) -> None:
    """Train up to step `stop`, or until a checkpoint is due."""
    for _ in train_steps(run, stop):
        if _is_due(run, keeper):
            return


def _capture(run: StageRun) -> State | None:
    """The state now; None where it turns out that there is nothing worth keeping."""
    if run.losses:
        run.diverged_at = _read_losses(run)
    if run.diverged_at is not None:
        return None
    with run.checkpoint:
        return run.learner.capture(run.step)


def _save(run: StageRun, keeper: Keeper, state: State) -> bool:
    """Write a checkpoint; whether that went well."""
    with run.checkpoint:
        return keeper.has_states and keeper.save(Checkpoint(state, _so_far(run)), run.job)


def _so_far(run: StageRun) -> SoFar:
    return SoFar(
        train_seconds=run.train.seconds,
        data_wait_seconds=run.data_wait.seconds,
        eval_seconds=run.evaluation.seconds,
        startup_seconds=run.startup_seconds,
        checkpoint_seconds=run.checkpoint.seconds,
        images=run.images,
        joules=run.energy.joules,
        contention=highest(run.before.contention, run.contention.share() if run.contention else None),
        evaluations=tuple(run.evaluations),
        resumed_at=run.before.resumed_at,
        taken_over=run.before.taken_over,
    )


def _interrupted(step: int, is_saved: bool) -> str:
    return f"interrupted; goes on at step {step}" if is_saved else "interrupted"


def train_steps(run: StageRun, stop: int) -> Iterator[int]:
    """Train up to step `stop`, giving the number of steps done after each.

    The first step whose loss is not finite, once it is known, ends it and is in `run.diverged_at`.
    """
    while run.step < stop:
        run.losses.append(_step(run))
        run.step += 1
        if len(run.losses) == READ_EVERY or run.step == run.job.stop_step:
            run.diverged_at = _read_losses(run)
            if run.diverged_at is not None:
                return
        _tell_progress(run)
        yield run.step


def _step(run: StageRun) -> Tensor:
    """One optimizer step, over as many batches as it takes; returns the mean loss of its examples, on the device: of
    several processes this one's part of it."""
    learner, values, step = run.learner, run.values, run.step
    learner.begin(values.rate(step), values.momentum(step), values.at("frozen_share", step))
    loss = _learn_from_several(run) if run.is_divided else _learn(run, 0, None)
    learner.update()
    learner.average(step + 1)
    return loss


def _learn_from_several(run: StageRun) -> Tensor:
    """Learn from the batches of a step, each by its share of the examples."""
    num_batches, size = run.batches_of(run.step)
    seen, losses = run.images, []
    for part in range(num_batches):
        losses.append(_learn(run, part, size, part == num_batches - 1))
        _tell_progress(run)  # a step can take long
    loss, count = torch.stack(losses).sum(), run.images - seen
    if count == size:
        return loss
    run.learner.rescale(size / count)  # a loader's last batch may hold less than is known beforehand
    return loss * (size / count)


def _learn(run: StageRun, part: int, size: int | None, is_last: bool = True) -> Tensor:
    """Learn from the next batch, that of number `part` in a step of `size` examples; None: it is all of the step."""
    with run.data_wait:
        inputs, targets = next(run.batches)
    count = num_examples((inputs, targets))
    run.images += count if size is None or run.group.is_alone else _examples_of_all(run, part, size)
    share = 1.0 if size is None else count / size
    return run.learner.learn(*run.methods(inputs, targets, run.values, run.step, part), share, is_last)


def _examples_of_all(run: StageRun, part: int, size: int) -> int:
    """How many examples the batch of number `part` holds over all processes, in a step of `size`."""
    per_batch = examples_per_batch(run.task.recipe)
    return min(per_batch, size - part * per_batch)


def _read_losses(run: StageRun) -> int | None:
    """Fetch the losses since the last reading: the only place that waits for the device inside training."""
    values = run.group.summed(torch.stack(run.losses)).tolist()
    first = run.step - len(values)
    run.losses.clear()
    run.mean_loss = sum(values) / len(values)
    return next((first + index for index, value in enumerate(values) if not math.isfinite(value)), None)


def _diverged_at_the_end(run: StageRun) -> int | None:
    """The last update can be the one that spoils the weights: then only the final evaluation shows it."""
    return None if math.isfinite(run.evaluations[-1][1]["loss"]) else run.job.stop_step - 1


def _tell_progress(run: StageRun) -> None:
    now = monotonic_seconds()
    if now - run.told_at_seconds < _SECONDS_BETWEEN_PROGRESS:
        return
    run.told_at_seconds = now
    seconds = run.train.elapsed_seconds
    values = run.evaluations[-1][1] if run.evaluations else {}
    run.tell(
        Progress(
            stage=run.job.stage,
            steps_done=run.step - run.job.start_step,
            epoch=run.step / run.steps_per_epoch,
            loss=run.mean_loss if run.mean_loss is not None and math.isfinite(run.mean_loss) else None,
            accuracy=values.get("accuracy"),
            quality=values.get(run.task.recipe.metric),
            images_per_second=run.images / seconds if seconds > 0 else 0.0,
        )
    )


def _trained(run: StageRun) -> Trained:
    so_far, diverged_at = _so_far(run), run.diverged_at
    # Whatever was evaluated after the first bad step says nothing.
    kept = [row for row in so_far.evaluations if diverged_at is None or row[0] <= diverged_at]
    measurement = Measurement(
        steps=run.step - run.job.start_step,
        images=so_far.images,
        train_seconds=so_far.train_seconds,
        data_wait_seconds=so_far.data_wait_seconds,
        eval_seconds=so_far.eval_seconds,
        startup_seconds=so_far.startup_seconds,
        contention=so_far.contention,
        evaluations=_columns(kept),
        weights_sha256=weights_sha256(run.judged) if diverged_at is None else None,
        resumed_at=so_far.resumed_at,
        checkpoint_seconds=so_far.checkpoint_seconds,
        taken_over=TakenOver(**so_far.taken_over) if so_far.taken_over else None,
        joules=so_far.joules or None,  # a counter that never moved has measured nothing
    )
    if diverged_at is not None:
        return Trained(Outcome.DIVERGED, f"diverged at step {diverged_at}", measurement)
    return Trained(Outcome.FINISHED, None, measurement)


def _columns(rows: list[Evaluation]) -> Evaluations:
    """By name, a number that is not finite as None; without an accuracy that should be there a row says nothing."""
    rows = [row for row in rows if math.isfinite(row[1].get("accuracy", 0.0))]
    names = rows[0][1] if rows else {}
    columns = {name: tuple(_finite(values[name]) for _, values in rows) for name in names}
    return Evaluations(
        steps=tuple(step for step, _ in rows),
        accuracy=columns.pop("accuracy", ()),
        loss=columns.pop("loss", ()),
        metrics=columns,
    )


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def weights_sha256(model: nn.Module) -> str:
    """The hash of the raw bytes of the model's tensors, in the order of its state_dict."""
    digest = hashlib.sha256()
    for tensor in model.state_dict().values():
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
