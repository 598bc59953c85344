"""A callback for Hugging Face's Trainer: `Trainer(…, callbacks=[ScaleTraining(0.5)])` trains half as long.

The Trainer makes its schedule of `num_train_epochs` or `max_steps` when it trains: so these are scaled as soon as it is
made, and a schedule of its own needs nothing more; `warmup_steps` keep their length. A scheduler of torch's that was
given to the Trainer is scaled in place. Needs transformers and accelerate: pip install transformers accelerate.
"""

from __future__ import annotations

import copy
from fractions import Fraction
from math import ceil, floor
from pathlib import Path
from typing import Any

try:
    from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments
except ImportError as error:
    message = "sweep.integrations.hugging_face needs transformers: pip install transformers accelerate"
    raise ImportError(message) from error

from sweep.clock import Stopwatch
from sweep.errors import Complaints, Problem, UsageError
from sweep.integrations.told import told_ratio, write_metrics
from sweep.recipe.duration import Ratio, exact
from sweep.train.device import synchronize
from sweep.train.scaling import steps_made
from sweep.train.schedulers import scale_scheduler

_PREFIX = "eval_"
_SAVED = "sweep"  # what a checkpoint calls our own entry
_MARK = "_sweep_ratio"  # on arguments that were scaled: in place, so a second time would scale the scaled ones


class ScaleTraining(TrainerCallback):
    """Scales `num_train_epochs` or `max_steps` when the Trainer is made, and checks what it then makes of them.

    `ratio` is a number, a text or a Fraction, by default what SWEEP_RATIO in the environment says. Epochs have to
    stay whole; steps are floor(max_steps x ratio). With `metrics_path` the end of the training, and each evaluation
    after it, writes the last evaluation's metrics (without `eval_`) and `train_seconds` there as JSON. Seconds leave
    evaluation and the saving of checkpoints out; the waiting for data is in them, and those before a resumption are.

    Raises:
        UsageError: at once for what is no ratio; when the Trainer is made, or begins, for what cannot be scaled.
    """

    def __init__(
        self, ratio: object = None, metrics_path: str | Path | None = None, scale_warmup: bool = False
    ) -> None:
        self._ratio = told_ratio(ratio)
        self._metrics_path = Path(metrics_path) if metrics_path is not None else None
        self._scale_warmup = scale_warmup
        self._watch = Stopwatch()
        self._realised: Fraction | None = None
        self._given_scheduler: Any = None
        self._as_given: Any = None
        self._metrics: dict[str, float] = {}
        self._is_training = False
        self._has_ended = False

    @property
    def train_seconds(self) -> float:
        """Seconds of training so far."""
        return self._watch.elapsed_seconds

    def on_init_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **given: Any) -> None:
        if self._realised is not None:
            raise UsageError(Problem("belongs to another Trainer already", "ScaleTraining", fix="make one for each"))
        if hasattr(args, _MARK):
            message = f"were scaled already, by {getattr(args, _MARK)}, for another Trainer"
            raise UsageError(Problem(message, "TrainingArguments", fix="make them anew for each Trainer"))
        complaints = Complaints()
        with complaints:
            _check_schedule(args, self._ratio)
        with complaints:
            self._realised = _scale_length(args, self._ratio)
        complaints.raise_any()
        setattr(args, _MARK, self._ratio.text)
        self._given_scheduler = given.get("lr_scheduler")
        if self._given_scheduler is not None:
            self._as_given = copy.deepcopy(self._given_scheduler.state_dict())

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **given: Any
    ) -> None:
        if self._realised is None:
            message = "came too late: the Trainer was there already"
            raise UsageError(Problem(message, "ScaleTraining", fix="pass it as Trainer(callbacks=[…])"))
        if state.global_step > 0:
            self._go_on(state)
        if self._given_scheduler is not None:
            self._scale_given(ceil(state.max_steps / self._realised), given["optimizer"])
        elif (warmup := args.get_warmup_steps(state.max_steps)) >= state.max_steps:
            message = f"the warm-up of {warmup} steps fills the run of {state.max_steps}"
            raise UsageError(Problem(message, "warmup_steps", ratio=self._ratio.text, fix="shorten it"))
        self._is_training = True
        self._start(args)

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **given: Any) -> None:
        self._stop_before_others(args, state, control)

    def on_epoch_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **given: Any) -> None:
        self._stop_before_others(args, state, control)

    def on_prediction_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **given: Any
    ) -> None:
        self._stop(args)  # an evaluation that nothing has announced

    def on_evaluate(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **given: Any) -> None:
        numbers = {key: value for key, value in given.get("metrics", {}).items() if isinstance(value, int | float)}
        self._metrics = {key.removeprefix(_PREFIX): float(value) for key, value in numbers.items()}
        if self._has_ended:
            self._write(state)
        elif not control.should_save:
            self._start(args)

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **given: Any) -> None:
        self._start(args)

    def on_train_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **given: Any) -> None:
        self._stop(args)
        self._is_training, self._has_ended = False, True
        self._write(state)

    def _go_on(self, state: TrainerState) -> None:
        saved = _kept_in(state).get(_SAVED)
        if saved is None or Fraction(saved["ratio"]) != self._ratio.value:
            message = f"the checkpoint is of ratio {saved['ratio']}" if saved else "the checkpoint is of no scaled run"
            raise UsageError(Problem(message, "ratio", ratio=self._ratio.text, fix="begin anew, in another folder"))
        self._watch.seconds = float(saved["train_seconds"])

    def _scale_given(self, total: int, optimizer: Any) -> None:
        """Scale it as it was given. What a checkpoint has put into it is of the scaled one, and goes back into that."""
        scheduler, loaded = self._given_scheduler, None
        if steps_made(scheduler) > 0:
            loaded = copy.deepcopy((scheduler.state_dict(), [group["lr"] for group in optimizer.param_groups]))
            scheduler.load_state_dict(copy.deepcopy(self._as_given))
        scale_scheduler(scheduler, self._realised, total, self._scale_warmup)
        if loaded is not None:
            scheduler.load_state_dict(loaded[0])
            for group, rate in zip(optimizer.param_groups, loaded[1], strict=True):
                group["lr"] = rate

    def _stop_before_others(self, args: TrainingArguments, state: TrainerState, control: TrainerControl) -> None:
        if control.should_evaluate or control.should_save:
            self._stop(args)
        _kept_in(state)[_SAVED] = {"ratio": str(self._ratio.value), "train_seconds": self.train_seconds}

    def _start(self, args: TrainingArguments) -> None:
        if self._is_training and not self._watch.is_running:  # evaluations before it begins are none of it
            synchronize(args.device)
            self._watch.start()

    def _stop(self, args: TrainingArguments) -> None:
        if self._watch.is_running:
            synchronize(args.device)
            self._watch.stop()

    def _write(self, state: TrainerState) -> None:
        if self._metrics_path is not None and state.is_world_process_zero:
            write_metrics(self._metrics_path, self._metrics, self.train_seconds)


def _kept_in(state: TrainerState) -> dict[str, Any]:
    """What checkpoints keep of callbacks, by name."""
    kept: Any = state.stateful_callbacks  # declared as a list, which is what a state is made of
    assert isinstance(kept, dict)
    return kept


def _check_schedule(args: TrainingArguments, ratio: Ratio) -> None:
    """Refuse what Transformers itself would not stretch."""
    name = str(getattr(args.lr_scheduler_type, "value", args.lr_scheduler_type))
    problems = []
    if name == "reduce_lr_on_plateau":
        message = "follows what is measured and has no length to scale"
        problems.append(Problem(message, "lr_scheduler_type", ratio=ratio.text, fix="take another one, such as cosine"))
    options = args.lr_scheduler_kwargs
    for key in options if isinstance(options, dict) else ():
        if key.endswith("_steps") or key == "timescale":
            message = f"{key} would stay as it is while the run is scaled"
            problems.append(
                Problem(message, "lr_scheduler_kwargs", ratio=ratio.text, fix="scale it yourself, or leave it out")
            )
    if problems and ratio.value != 1:
        raise UsageError(problems)


def _scale_length(args: TrainingArguments, ratio: Ratio) -> Fraction:
    """Scale what the baseline's length is given by; returns how far it is really stretched."""
    if args.max_steps > 0:
        scaled = floor(args.max_steps * ratio.value)
        if scaled == 0:
            fix = f"take a ratio of at least 1/{args.max_steps}"
            raise UsageError(Problem(f"of {args.max_steps} steps that is none", "max_steps", ratio=ratio.text, fix=fix))
        realised, args.max_steps = Fraction(scaled, args.max_steps), scaled
        return realised
    epochs = exact(args.num_train_epochs)
    if (epochs * ratio.value).denominator != 1 and ratio.value != 1:
        message = f"of {float(epochs):g} epochs that is {float(epochs * ratio.value):g}, no whole number"
        fix = f"take a ratio such as {1 / epochs}, or give max_steps instead"
        raise UsageError(Problem(message, "num_train_epochs", ratio=ratio.text, fix=fix))
    args.num_train_epochs = float(epochs * ratio.value)
    return ratio.value
