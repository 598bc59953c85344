"""Train one Stage: state and values in, state and measurements out. Knows no schedule: the rates are given.

Nothing inside a step waits for the device: losses stay there, and are read every `READ_EVERY` steps.
"""

from __future__ import annotations

import copy
import hashlib
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from sweep.clock import Stopwatch, monotonic_seconds
from sweep.errors import Outcome
from sweep.events import Progress
from sweep.plan.lengths import steps_in_epoch
from sweep.store.records import Evaluations, Measurement, StageJob, decode_rates
from sweep.train.contention import Contention
from sweep.train.data import Draws
from sweep.train.device import synchronize
from sweep.train.task import ImageTask

# A loss that is not finite is noticed so many steps later at most.
READ_EVERY = 50
# Chosen: the first steps allocate memory and choose kernels; three were enough to reach the steady time.
_WARM_UP_STEPS = 3
_SECONDS_BETWEEN_PROGRESS = 0.1


@dataclass(frozen=True)
class Trained:
    """How the Stage ended, and what it cost and gave."""

    outcome: Outcome
    reason: str | None
    measurement: Measurement


@dataclass
class _Run:
    """The Stage that is being trained, between its steps."""

    job: StageJob
    task: ImageTask
    model: nn.Module
    optimizer: Optimizer
    rates: list[float]
    losses: Tensor  # (READ_EVERY,) of the steps since the last reading, on the device
    tell: Callable[[Progress], None]
    step: int
    unread_from: int
    train: Stopwatch = field(default_factory=Stopwatch)
    data_wait: Stopwatch = field(default_factory=Stopwatch)
    evaluation: Stopwatch = field(default_factory=Stopwatch)
    images: int = 0
    mean_loss: float | None = None
    told_at_seconds: float = field(default_factory=monotonic_seconds)
    evaluations: list[tuple[int, float, float]] = field(default_factory=list)

    @property
    def steps_per_epoch(self) -> int:
        return steps_in_epoch(self.job.num_examples, self.task.recipe.batch_size)


def train_stage(job: StageJob, task: ImageTask, tell: Callable[[Progress], None], sweep_pid: int) -> Trained:
    """Train steps `start_step` … `stop_step - 1` and evaluate on the way; `tell` hears of progress.

    `sweep_pid` is the process that everything this sweep runs descends from: the rest is contention.
    """
    with Stopwatch() as startup:
        run = _start(job, task, tell)
        _warm_up(run)
        synchronize(task.device)
    contention = Contention(sweep_pid) if task.device.type == "cpu" else None
    diverged_at = None
    for stop in job.eval_steps:
        with run.train:
            diverged_at = _train_until(run, stop)
            synchronize(task.device)
        if diverged_at is not None:
            break
        with run.evaluation:
            run.evaluations.append((stop, *task.evaluate(run.model)))
    else:
        diverged_at = _diverged_at_the_end(run)
    return _trained(run, diverged_at, startup.seconds, contention.share() if contention else None)


def _start(job: StageJob, task: ImageTask, tell: Callable[[Progress], None]) -> _Run:
    model = task.build_model(job.seed).train()
    losses = torch.zeros(READ_EVERY, device=task.device)
    return _Run(
        job,
        task,
        model,
        task.build_optimizer(model),
        decode_rates(job.rates),
        losses,
        tell,
        step=job.start_step,
        unread_from=job.start_step,
    )


def _warm_up(run: _Run) -> None:
    """A few steps on copies, outside the clock of training; generators and weights are as before."""
    model = copy.deepcopy(run.model)
    optimizer = run.task.build_optimizer(model)
    examples = torch.arange(min(run.task.recipe.batch_size, run.job.num_examples), device=run.task.device)
    draws = run.task.draws(run.job.seed, 0)
    devices = [run.task.device] if run.task.device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        for _ in range(_WARM_UP_STEPS):
            _step(run.task, model, optimizer, *run.task.batch(examples, draws))


def _train_until(run: _Run, stop: int) -> int | None:
    """Train up to step `stop`; the first step whose loss is not finite, once it is known, ends it."""
    for examples, draws in _batches(run, stop):
        with run.data_wait:
            images, labels = run.task.batch(examples, draws)
        for group in run.optimizer.param_groups:
            group["lr"] = run.rates[run.step - run.job.start_step]
        loss = _step(run.task, run.model, run.optimizer, images, labels)
        run.losses[run.step - run.unread_from] = loss
        run.step += 1
        run.images += len(labels)
        is_full = run.step - run.unread_from == READ_EVERY
        if (is_full or run.step == run.job.stop_step) and (bad := _read_losses(run)) is not None:
            return bad
        _tell_progress(run)
    return None


def _step(task: ImageTask, model: nn.Module, optimizer: Optimizer, images: Tensor, labels: Tensor) -> Tensor:
    optimizer.zero_grad(set_to_none=True)
    loss = task.loss(model(images), labels)
    loss.backward()
    optimizer.step()
    return loss.detach()


def _batches(run: _Run, stop: int) -> Iterator[tuple[Tensor, Draws]]:
    """The examples of each step from the present one to `stop - 1`, with their epoch's augmentation."""
    size, num_examples = run.task.recipe.batch_size, run.job.num_examples
    while run.step < stop:
        epoch, first = divmod(run.step, run.steps_per_epoch)
        with run.data_wait:
            batches = run.task.order(run.job.seed, epoch, num_examples).split(size)
            draws = run.task.draws(run.job.seed, epoch)
        for examples in batches[first : first + stop - run.step]:
            yield examples, draws


def _read_losses(run: _Run) -> int | None:
    """Fetch the losses since the last reading: the only place that waits for the device inside training."""
    values = run.losses[: run.step - run.unread_from].tolist()
    first = run.unread_from
    run.unread_from = run.step
    run.mean_loss = sum(values) / len(values)
    return next((first + index for index, value in enumerate(values) if not math.isfinite(value)), None)


def _diverged_at_the_end(run: _Run) -> int | None:
    """The last update can be the one that spoils the weights: then only the final evaluation shows it."""
    return None if math.isfinite(run.evaluations[-1][2]) else run.job.stop_step - 1


def _tell_progress(run: _Run) -> None:
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


def _trained(run: _Run, diverged_at: int | None, startup_seconds: float, contention: float | None) -> Trained:
    # Whatever was evaluated after the first bad step says nothing.
    kept = [row for row in run.evaluations if diverged_at is None or row[0] <= diverged_at]
    measurement = Measurement(
        steps=run.step - run.job.start_step,
        images=run.images,
        train_seconds=run.train.seconds,
        data_wait_seconds=run.data_wait.seconds,
        eval_seconds=run.evaluation.seconds,
        startup_seconds=startup_seconds,
        contention=contention,
        evaluations=_columns(kept),
        weights_sha256=weights_sha256(run.model) if diverged_at is None else None,
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
