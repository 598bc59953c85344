"""A callback for Lightning: `Trainer(callbacks=[ScaleTraining(0.5)])` trains half as long, schedules dilated.

The Trainer and the module say what the baseline is, and stay as they are. Needs Lightning: pip install lightning.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from math import ceil, floor
from pathlib import Path
from typing import Any

try:
    from lightning.pytorch import Callback, LightningModule, Trainer
except ImportError as error:
    raise ImportError("sweep.integrations.lightning needs Lightning: pip install lightning") from error

from sweep.clock import Stopwatch
from sweep.errors import Complaints, Problem, UsageError
from sweep.integrations.told import told_ratio, write_metrics
from sweep.recipe.duration import Ratio
from sweep.train.device import synchronize
from sweep.train.schedulers import scale_scheduler


@dataclass(frozen=True)
class _Length:
    """The baseline's epochs where they limit it, its steps where they are known, and how far it is really stretched."""

    epochs: int | None
    steps: int | None
    realised: Fraction


class ScaleTraining(Callback):
    """Scales `max_epochs` or `max_steps`, and every scheduler that the module configures, when a fit begins.

    `ratio` is a number, a text or a Fraction, by default what SWEEP_RATIO in the environment says. The run is
    floor(max_epochs x ratio) epochs, or floor(max_steps x ratio) steps. With `metrics_path` the end of the fit writes
    the metrics that were logged last, and `train_seconds`, there as JSON. Seconds leave validation out; the waiting
    for data and Lightning's saving of checkpoints are in them.

    Raises:
        UsageError: at once for what is no ratio; when the fit begins for what cannot be scaled, all of it.
    """

    def __init__(
        self, ratio: object = None, metrics_path: str | Path | None = None, scale_warmup: bool = False
    ) -> None:
        self._ratio = told_ratio(ratio)
        self._metrics_path = Path(metrics_path) if metrics_path is not None else None
        self._scale_warmup = scale_warmup
        self._watch = Stopwatch()
        self._has_scaled = False

    @property
    def train_seconds(self) -> float:
        """Seconds of training so far, those before a resumption too."""
        return self._watch.seconds

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self._has_scaled:
            fix = "make the Trainer and the callback anew"
            raise UsageError(Problem("has scaled a fit already, and the Trainer's limits with it", "fit", fix=fix))
        length = _measure(trainer, self._ratio)
        _scale_schedulers(trainer, pl_module, length, self._scale_warmup)
        _scale_limits(trainer, length)
        self._has_scaled = True

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._start(trainer)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not trainer.sanity_checking:
            self._stop(trainer)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not trainer.sanity_checking and trainer.state.fn == "fit":
            self._start(trainer)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._stop(trainer)

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self._metrics_path is not None and trainer.is_global_zero:
            write_metrics(self._metrics_path, _metrics(trainer), self.train_seconds)

    def state_dict(self) -> dict[str, Any]:
        return {"ratio": str(self._ratio.value), "train_seconds": self._watch.elapsed_seconds}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        if (saved := Fraction(state_dict["ratio"])) != self._ratio.value:
            raise UsageError(Problem(f"the checkpoint is of ratio {saved}", "ratio", ratio=self._ratio.text))
        self._watch.seconds = float(state_dict["train_seconds"])

    def _start(self, trainer: Trainer) -> None:
        synchronize(trainer.strategy.root_device)
        self._watch.start()

    def _stop(self, trainer: Trainer) -> None:
        synchronize(trainer.strategy.root_device)
        self._watch.stop()


def _measure(trainer: Trainer, ratio: Ratio) -> _Length:
    """How long the baseline is, by what limits it first."""
    total, epochs, max_steps = trainer.estimated_stepping_batches, trainer.max_epochs, trainer.max_steps
    steps = int(total) if math.isfinite(total) else None
    if max_steps != -1 and (steps is None or steps >= max_steps):
        return _Length(None, max_steps, _realised(max_steps, ratio, "max_steps"))
    if epochs is None or epochs < 0:
        raise UsageError(Problem("this Trainer has no end to scale", "max_epochs", fix="give max_epochs or max_steps"))
    return _Length(epochs, steps, _realised(epochs, ratio, "max_epochs"))


def _realised(length: int, ratio: Ratio, key: str) -> Fraction:
    scaled = floor(length * ratio.value)
    if scaled == 0:
        fix = f"take a ratio of at least 1/{length}" if length else "train some"
        raise UsageError(Problem(f"of {length} that is none", key, ratio=ratio.text, fix=fix))
    return Fraction(scaled, length)


def _scale_schedulers(trainer: Trainer, module: LightningModule, length: _Length, scale_warmup: bool) -> None:
    complaints = Complaints()
    for config in trainer.lr_scheduler_configs:
        total = length.steps if config.interval == "step" else length.epochs
        if not module.automatic_optimization:
            total = None  # the module itself steps it, who knows when
        with complaints:
            whole = total // config.frequency if total is not None else None
            scale_scheduler(config.scheduler, length.realised, whole or None, scale_warmup)
    complaints.raise_any()


def _scale_limits(trainer: Trainer, length: _Length) -> None:
    """What limits the baseline is met exactly; another limit only has to stay out of the way."""
    loop, realised = trainer.fit_loop, length.realised
    if length.epochs is not None:
        loop.max_epochs = int(length.epochs * realised)
    elif loop.max_epochs is not None and loop.max_epochs > 0:
        loop.max_epochs = ceil(loop.max_epochs * realised)
    if trainer.max_steps != -1:
        loop.epoch_loop.max_steps = ceil(trainer.max_steps * realised)
    for holder, key in ((loop, "min_epochs"), (loop.epoch_loop, "min_steps")):
        if (least := getattr(holder, key)) is not None:
            setattr(holder, key, floor(least * realised))


def _metrics(trainer: Trainer) -> dict[str, float]:
    return {name: float(value) for name, value in trainer.callback_metrics.items()}
