"""Train one Stage: state and values in, state and measurements out. Knows no schedule: the rates are given.

Nothing inside a step waits for the device: losses stay there, and are read every `READ_EVERY` steps, and before a
checkpoint. `train_stage` is the whole of it; `start_stage` and `train_steps` let two runs be advanced in turn, a step
at a time.
"""

from __future__ import annotations

import copy
import hashlib
import math
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from sweep.clock import Stopwatch, monotonic_seconds
from sweep.errors import Outcome
from sweep.events import Progress
from sweep.plan.lengths import steps_in_epoch
from sweep.store.records import Evaluations, Measurement, StageJob, TakenOver, decode_rates
from sweep.train.checkpoint import Checkpoint, SoFar, State
from sweep.train.contention import Contention, highest
from sweep.train.data import Batch
from sweep.train.device import synchronize
from sweep.train.energy import EnergyMeter, gpu_counter
from sweep.train.keeper import Keeper
from sweep.train.task import ImageTask

# A loss that is not finite is noticed so many steps later at most.
READ_EVERY = 50
# Chosen: the first steps allocate memory and choose kernels; three were enough to reach the steady time.
_WARM_UP_STEPS = 3
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
    task: ImageTask
    model: nn.Module
    optimizer: Optimizer
    rates: list[float]
    batches: Generator[Batch, None, None]  # of the steps from `step` on
    losses: Tensor  # (READ_EVERY,) of the steps since the last reading, on the device
    tell: Callable[[Progress], None]
    energy: EnergyMeter  # of the spans of `train`
    step: int
    unread_from: int
    diverged_at: int | None = None  # the first step whose loss is not finite, once it is known
    train: Stopwatch = field(default_factory=Stopwatch)
    data_wait: Stopwatch = field(default_factory=Stopwatch)
    evaluation: Stopwatch = field(default_factory=Stopwatch)
    checkpoint: Stopwatch = field(default_factory=Stopwatch)
    images: int = 0
    mean_loss: float | None = None
    told_at_seconds: float = -math.inf  # the first step is told of at once
    evaluations: list[tuple[int, float, float]] = field(default_factory=list)
    startup_seconds: float = 0.0
    before: SoFar = field(default_factory=SoFar)  # by earlier attempts; what adds up is in the rest already
    contention: Contention | None = None

    @property
    def steps_per_epoch(self) -> int:
        return steps_in_epoch(self.job.num_examples, self.task.recipe.batch_size)


def train_stage(
    job: StageJob,
    task: ImageTask,
    tell: Callable[[Progress], None],
    sweep_pid: int,
    keeper: Keeper | None = None,
    parent: State | None = None,
) -> Trained:
    """Train steps `start_step` … `stop_step - 1` and evaluate on the way; `tell` hears of progress in both.

    Goes on from the checkpoint that `keeper` has, else from the state `parent`, else from the one that `keeper` has of
    the Stage before; ends early when it is asked to. `sweep_pid` is the process that everything this sweep runs
    descends from: the rest is contention.

    Raises:
        UnusableState: the state that it begins with is gone.
    """
    keeper = keeper or Keeper()
    with Stopwatch() as startup:
        run = start_stage(job, task, tell, _beginning(job, keeper, parent))
    run.startup_seconds += startup.seconds
    run.contention = Contention(sweep_pid) if task.device.type == "cpu" else None
    with closing(run.batches):
        return _train_and_evaluate(run, keeper) or _trained(run)


def _beginning(job: StageJob, keeper: Keeper, parent: State | None) -> Checkpoint | None:
    checkpoint = keeper.load(job.start_step, job.stop_step)
    if checkpoint is None and job.start_step > 0:
        checkpoint = Checkpoint(parent or keeper.load_parent(job.start_step), SoFar())
    return checkpoint


def start_stage(
    job: StageJob, task: ImageTask, tell: Callable[[Progress], None], checkpoint: Checkpoint | None = None
) -> StageRun:
    """The Stage before its next step: model and optimizer made, the batches begun, the device warm."""
    step = checkpoint.state.step if checkpoint else job.start_step
    batches = task.batches(job.seed, job.num_examples, step, job.stop_step)
    model = task.build_model(job.seed).train()
    run = StageRun(
        job,
        task,
        model,
        task.build_optimizer(model),
        decode_rates(job.rates),
        batches,
        torch.zeros(READ_EVERY, device=task.device),
        tell,
        EnergyMeter(gpu_counter(task.device)),
        step=step,
        unread_from=step,
    )
    _warm_up(run)
    if checkpoint is not None:
        _resume(run, checkpoint)
    synchronize(task.device)
    return run


def _resume(run: StageRun, checkpoint: Checkpoint) -> None:
    checkpoint.state.restore(run.model, run.optimizer, run.task.device)
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


def _warm_up(run: StageRun) -> None:
    """A few steps on copies, outside the clock of training; generators and weights are as before."""
    model = copy.deepcopy(run.model)
    optimizer = run.task.build_optimizer(model)
    devices = [run.task.device] if run.task.device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        for _ in range(_WARM_UP_STEPS):
            _step(run.task, model, optimizer, *run.task.warm_up_batch(run.job.seed, run.job.num_examples))


def _train_and_evaluate(run: StageRun, keeper: Keeper) -> Trained | None:
    """Train to the end, or to a loss that is not finite; one that was asked to stop says how far it came."""
    job = run.job
    for stop in sorted({*job.eval_steps, *job.kept_steps, job.stop_step}):
        while run.step < stop and run.diverged_at is None:
            with run.energy, run.train:
                _train_until(run, stop, keeper)
                synchronize(run.task.device)
            if run.diverged_at is None and keeper.is_due(run.train.seconds):
                state = _capture(run)
                is_saved = state is not None and keeper.writes and _save(run, keeper, state)
                if keeper.is_stopping and run.diverged_at is None:
                    return Trained(Outcome.INTERRUPTED, _interrupted(run.step, is_saved), None)
        if run.diverged_at is not None:
            return None
        # What the run has passed without being evaluated stays blank: its weights of then are gone.
        if stop in job.eval_steps and stop == run.step and stop not in (step for step, _, _ in run.evaluations):
            with run.evaluation:
                run.evaluations.append((stop, *run.task.evaluate(run.model, lambda: _tell_progress(run))))
        if stop in job.kept_steps and stop == run.step < job.stop_step and (state := _capture(run)) is not None:
            _save(run, keeper, state)
    return _finish(run, keeper)


def _finish(run: StageRun, keeper: Keeper) -> Trained | None:
    """At the end: read the last losses, and keep what is to be kept."""
    state = _capture(run) if run.step in run.job.kept_steps else None
    if run.diverged_at is None and run.job.is_end:
        run.diverged_at = _diverged_at_the_end(run)
    if run.diverged_at is not None:
        return None
    if state is not None:
        _save(run, keeper, state)  # one that cannot be written serves a Stage that follows in this process
    return replace(_trained(run), state=state, weights=run.model.state_dict() if run.job.is_end else None)


def _train_until(run: StageRun, stop: int, keeper: Keeper) -> None:
    """Train up to step `stop`, or until a checkpoint is due."""
    for _ in train_steps(run, stop):
        if keeper.is_due(run.train.elapsed_seconds):
            return


def _capture(run: StageRun) -> State | None:
    """The state now; None where it turns out that there is nothing worth keeping."""
    if run.step > run.unread_from:
        run.diverged_at = _read_losses(run)
    if run.diverged_at is not None:
        return None
    with run.checkpoint:
        return State.capture(run.step, run.model, run.optimizer, run.task.device)


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
        with run.data_wait:
            images, labels = next(run.batches)
        for group in run.optimizer.param_groups:
            group["lr"] = run.rates[run.step - run.job.start_step]
        loss = _step(run.task, run.model, run.optimizer, images, labels)
        run.losses[run.step - run.unread_from] = loss
        run.step += 1
        run.images += len(labels)
        is_full = run.step - run.unread_from == READ_EVERY
        if is_full or run.step == run.job.stop_step:
            run.diverged_at = _read_losses(run)
            if run.diverged_at is not None:
                return
        _tell_progress(run)
        yield run.step


def _step(task: ImageTask, model: nn.Module, optimizer: Optimizer, images: Tensor, labels: Tensor) -> Tensor:
    optimizer.zero_grad(set_to_none=True)
    loss = task.loss(model(images), labels)
    loss.backward()
    optimizer.step()
    return loss.detach()


def _read_losses(run: StageRun) -> int | None:
    """Fetch the losses since the last reading: the only place that waits for the device inside training."""
    values = run.losses[: run.step - run.unread_from].tolist()
    first = run.unread_from
    run.unread_from = run.step
    run.mean_loss = sum(values) / len(values)
    return next((first + index for index, value in enumerate(values) if not math.isfinite(value)), None)


def _diverged_at_the_end(run: StageRun) -> int | None:
    """The last update can be the one that spoils the weights: then only the final evaluation shows it."""
    return None if math.isfinite(run.evaluations[-1][2]) else run.job.stop_step - 1


def _tell_progress(run: StageRun) -> None:
    now = monotonic_seconds()
    if now - run.told_at_seconds < _SECONDS_BETWEEN_PROGRESS:
        return
    run.told_at_seconds = now
    seconds = run.train.elapsed_seconds
    run.tell(
        Progress(
            stage=run.job.stage,
            steps_done=run.step - run.job.start_step,
            epoch=run.step / run.steps_per_epoch,
            loss=run.mean_loss if run.mean_loss is not None and math.isfinite(run.mean_loss) else None,
            accuracy=run.evaluations[-1][1] if run.evaluations else None,
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
        weights_sha256=weights_sha256(run.model) if diverged_at is None else None,
        resumed_at=so_far.resumed_at,
        checkpoint_seconds=so_far.checkpoint_seconds,
        taken_over=TakenOver(**so_far.taken_over) if so_far.taken_over else None,
        joules=so_far.joules or None,  # a counter that never moved has measured nothing
    )
    if diverged_at is not None:
        return Trained(Outcome.DIVERGED, f"diverged at step {diverged_at}", measurement)
    return Trained(Outcome.FINISHED, None, measurement)


def _columns(rows: list[tuple[int, float, float]]) -> Evaluations:
    steps, accuracy, loss = zip(*rows, strict=True) if rows else ((), (), ())
    return Evaluations(
        steps=steps, accuracy=accuracy, loss=tuple(value if math.isfinite(value) else None for value in loss)
    )


def weights_sha256(model: nn.Module) -> str:
    """The hash of the raw bytes of the model's tensors, in the order of its state_dict."""
    digest = hashlib.sha256()
    for tensor in model.state_dict().values():
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
