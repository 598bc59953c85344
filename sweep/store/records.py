"""The facts that are written down and the jobs that are handed out, one frozen class each.

A number that was not measured is None, never 0.
"""

from __future__ import annotations

import base64
from fractions import Fraction
from itertools import pairwise
from typing import Annotated, Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_validator

from sweep.errors import Outcome
from sweep.recipe.duration import Ratio

FORMAT = 7


def _check_ratio(text: str) -> str:
    Ratio.parse(text)
    return text


# A journal may come from anywhere: what is computed from a text is held to its form when it is read.
_RatioText = Annotated[str, AfterValidator(_check_ratio)]
_Exact = Annotated[str, StringConstraints(pattern=r"^[0-9]{1,80}(/[1-9][0-9]{0,79})?$")]
_Count = Annotated[int, Field(ge=0, lt=1 << 63)]
_Share = Annotated[float, Field(ge=0, le=1)]
_Price = Annotated[float, Field(ge=0, le=1e9)]  # as in a recipe
_Seconds = Annotated[float, Field(ge=0, le=1e12)]  # 30,000 years: sums and squares of it are numbers still
_Joules = Annotated[float, Field(gt=0, le=1e18)]  # more than a counter of 64 bits of millijoules can hold

SecondsSource = Literal["measured", "metric", "wall"]


def _check_interval(ends: tuple[float, float, float]) -> tuple[float, float, float]:
    if not ends[0] <= ends[1] <= ends[2]:
        raise ValueError("an interval is (low, value, high)")
    return ends


# (low, value, high): 95 %.
SecondsInterval = Annotated[tuple[_Seconds, _Seconds, _Seconds], AfterValidator(_check_interval)]


class _Frozen(BaseModel):
    # Infinite numbers are no JSON; `ser_json_inf_nan` would silently write them as null.
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, defer_build=True)


class ChosenPrecision(_Frozen):
    """What `amp: auto` has come to where training ran, and why."""

    amp: Literal["none", "bf16"]
    why: str


class Environment(_Frozen):
    """Where training ran. `device_kind` is torch's device type; `git_commit` that of the folder it was started in.

    What a command trains with is not known: then `torch` and `torchvision` are None. `code_sha256` is the hash of the
    code of a user's own task, `data_sha256` that of the names of their own images. `precision` is None where the recipe
    names it.
    """

    sweep: str
    python: str
    torch: str | None
    torchvision: str | None
    numpy: str
    platform: str
    device_kind: str
    device_name: str
    threads: int
    git_commit: str | None = None
    code_sha256: str | None = None
    data_sha256: str | None = None
    precision: ChosenPrecision | None = None


class TrialEntry(_Frozen):
    """A trial of the plan. `realised` and `num_epochs` are exact fractions as text.

    `stages` are the Stages that make it up, one after the other, and `stops` the steps at which they end (empty in
    journals that knew no shared Stages).
    """

    key: str
    ratio: _RatioText
    realised: _Exact
    method: str
    seed: _Count
    num_epochs: _Exact
    num_steps: _Count
    num_examples: _Count
    stages: Annotated[tuple[str, ...], Field(min_length=1)]
    stops: tuple[_Count, ...] = ()

    @property
    def spans(self) -> tuple[tuple[int, int], ...]:
        """From which step to which each of its Stages reaches."""
        return tuple(pairwise((0, *self.stops)))

    @property
    def is_baseline(self) -> bool:
        """Whether this is the whole baseline: all its steps, and all its examples.

        0.99 of the examples can fill as many batches as all of them: realised 1 by its steps, and no baseline.
        """
        draws_examples = self.method in ("samples", "subset")
        return Fraction(self.realised) == 1 and not (draws_examples and Ratio.parse(self.ratio).value < 1)


class StartRecord(_Frozen):
    """One call of `sweep run` that had something new to say.

    `jobs` is how many Stages are trained at a time; `price` is dollars for an hour of one device. `chosen_for` is the
    budget that the trials were chosen for, and what else was asked for; None where they were asked for themselves.
    """

    kind: Literal["start"] = "start"
    format: int = FORMAT
    started_at: str
    recipe_name: str
    recipe: dict[str, Any]
    fingerprint: str
    trials: tuple[TrialEntry, ...]
    order_seed: int
    jobs: int = 1
    price: _Price | None
    environment: Environment
    chosen_for: str | None = None


class Evaluations(_Frozen):
    """Columns, one row an evaluation: steps done, accuracy in 0..1, mean loss, and every other metric by its name.

    A value is None where it was not measured or is not finite; `accuracy` is empty where the task has none.
    """

    steps: tuple[int, ...] = ()
    accuracy: tuple[_Share, ...] = ()
    loss: tuple[float | None, ...] = ()
    metrics: dict[str, tuple[float | None, ...]] = {}

    @model_validator(mode="after")
    def _columns_are_of_one_length(self) -> Self:
        if {"accuracy", "loss"} & self.metrics.keys():
            raise ValueError("accuracy and loss have columns of their own")
        columns = [self.loss, *([self.accuracy] if self.accuracy else []), *self.metrics.values()]
        if any(len(column) != len(self.steps) for column in columns):
            raise ValueError("an evaluation has steps, a loss, and a value of every metric")
        return self

    def column(self, name: str) -> tuple[float | None, ...]:
        """The values of "accuracy", "loss" or another metric, a row each; all None where there is no such one."""
        columns = {"loss": self.loss, "accuracy": self.accuracy, **self.metrics}
        return columns.get(name) or (None,) * len(self.steps)


class TakenOver(_Frozen):
    """What the Stage `stage` had measured up to a checkpoint that another one went on from: it is in both of them."""

    stage: str
    steps: int
    train_seconds: _Seconds
    eval_seconds: _Seconds
    startup_seconds: _Seconds
    checkpoint_seconds: _Seconds
    joules: _Joules | None = None


class Measurement(_Frozen):
    """What training a Stage cost and gave.

    train_seconds covers every optimizer step, the waiting for its data (`data_wait_seconds`) included. Beside it, never
    in it: `startup_seconds` (building the model, warm-up iterations) and `eval_seconds`. `contention` is the share of
    the machine's CPU time that other processes used meanwhile, in 0..1; of a GPU it is not known. `joules` is what the
    GPU's own counter added up over the spans of train_seconds; None where any of them was not counted.

    Of a command, `steps` are the epochs that it was told to train, and train_seconds are as it says itself ("metric")
    or else from its start to its end ("wall"): what it does beside training is then in them, and not known apart.

    A Stage that was interrupted goes on from a checkpoint, at the steps `resumed_at`. Its costs and images add up over
    all attempts, and its contention is the highest; what was trained behind a checkpoint and lost is in none.
    `checkpoint_seconds` is what writing its states took; `taken_over` is what of all that another Stage had measured.
    """

    steps: int
    images: int | None
    train_seconds: _Seconds
    data_wait_seconds: _Seconds | None
    eval_seconds: _Seconds | None
    startup_seconds: _Seconds | None
    contention: _Share | None
    evaluations: Evaluations
    weights_sha256: str | None
    resumed_at: tuple[int, ...] = ()
    checkpoint_seconds: _Seconds | None = None
    taken_over: TakenOver | None = None
    joules: _Joules | None = None
    train_seconds_source: SecondsSource = "measured"


class StageRecord(_Frozen):
    """How an attempt at a Stage ended. `reason` says why it did not finish; `log` is the worker's, relative to the
    workspace. `reached_step` is how far one had come that was lost or interrupted, as far as was heard: what lies
    between it and the next attempt's `resumed_at` was trained twice.
    """

    kind: Literal["stage"] = "stage"
    format: int = FORMAT
    stage: str
    attempt: int
    outcome: Outcome
    reason: str | None = None
    measurement: Measurement | None = None
    environment: Environment | None = None
    log: str | None = None
    reached_step: int | None = None

    @model_validator(mode="after")
    def _finished_means_measured(self) -> Self:
        if self.outcome is Outcome.FINISHED and not self.measurement:
            raise ValueError("a finished Stage has a measurement")
        return self


class PilotRecord(_Frozen):
    """What trying a recipe out has measured: steps of its training, that count for nothing, on `environment`.

    `step` is the mean of `num_steps` of them, taken in bursts, of which 95 in 100 lie within `spread` of it;
    `evaluation` is one evaluation, `stage` what a Stage takes beside both, `worker` what a Worker takes until it can
    train. `peak_bytes` of `total_bytes` is the memory that was held. What the steps depend on beside the recipe's
    fingerprint is how many `workers` make their data; with `is_made_up` it was not there, and random examples of its
    shape served. `varying` are the scheduled values that make some steps take longer than others: then `step` is the
    mean over a whole run.
    """

    kind: Literal["pilot"] = "pilot"
    format: int = FORMAT
    made_at: str
    fingerprint: str
    workers: int | None
    environment: Environment
    num_steps: Annotated[int, Field(ge=1, lt=1 << 63)]
    step: SecondsInterval
    evaluation: SecondsInterval
    stage: SecondsInterval
    worker: SecondsInterval
    spread: Annotated[float, Field(ge=0, le=1e12)]
    peak_bytes: _Count
    total_bytes: _Count
    is_made_up: bool = False
    varying: tuple[str, ...] = ()


Record = StartRecord | StageRecord | PilotRecord
AnyRecord = Annotated[Record, Field(discriminator="kind")]


class PrepareJob(_Frozen):
    """What a Worker is told first: the recipe whose model and data it checks, where to compute, and which workspace
    keeps its checkpoints (None: it keeps and reads none).

    `checkpoint_every` is seconds of training; None: none are written. `stall_timeout` is the seconds after which a
    command hangs that gives no sign of life; None: it never does. `folders` are where the module of a task is looked
    for, before what is installed. With `shares_device` other Workers may compute on the same one. With a
    `made_up_folder` a known dataset that is missing is made up in its shape, its files there.
    """

    kind: Literal["prepare"] = "prepare"
    recipe: dict[str, Any]
    device: str
    threads: int
    workspace: str | None = None
    checkpoint_every: float | None = None
    folders: tuple[str, ...] = ()
    stall_timeout: float | None = None
    shares_device: bool = False
    made_up_folder: str | None = None


class KeptState(_Frozen):
    """The state after `step` steps, in the folder of a Stage."""

    stage: str
    step: int


class StageJob(_Frozen):
    """One Stage to train. `rates` are the learning rates of its own steps, as little-endian float64 in base64.

    `momenta` are its momenta alike (AdamW's beta1), None where momentum is not scheduled. `values` holds what methods
    schedule, as (first step, value) pairs of which the first is of `start_step`: `image_size`, the side of a training
    image in pixels; `frozen_share`, the share of the layers that are frozen, from the network's beginning, in 0..1;
    `mixup`, 1 while images are mixed, else 0. After `swa_steps` steps of the run the weights enter their average.

    `ratio` is that of the longest run it is part of. It begins with the state at the end of `parent`, or goes on from
    `checkpoint`, another Stage's that came the same way, where it has none of its own. States are kept of `kept_steps`;
    with `is_end` a run is over at its end, and the final weights are written to `weights_files`, if any.
    """

    kind: Literal["stage"] = "stage"
    stage: str
    recipe: dict[str, Any]
    ratio: str
    seed: int
    num_examples: int
    start_step: int
    stop_step: int
    eval_steps: tuple[int, ...]
    rates: str
    momenta: str | None = None
    values: dict[str, tuple[tuple[int, float], ...]] = {}
    swa_steps: tuple[int, ...] = ()
    parent: str | None = None
    checkpoint: KeptState | None = None
    is_end: bool = True
    kept_steps: tuple[int, ...] = ()
    weights_files: tuple[str, ...] = ()


class ProbeJob(_Frozen):
    """How long a step takes: steps of a Stage `like` this are trained for about `seconds`, and count for nothing.

    `threads`: None for as many as the Worker trains with.
    """

    kind: Literal["probe"] = "probe"
    like: StageJob
    seconds: float
    threads: int | None = None


class PilotJob(_Frozen):
    """How a recipe trains here: steps of each of the Stages `like` these, one after the other, are trained for about
    `seconds` in all, and an evaluation is made. All of it counts for nothing."""

    kind: Literal["try"] = "try"
    like: Annotated[tuple[StageJob, ...], Field(min_length=1)]
    seconds: float


class Bursts(_Frozen):
    """What a step took, burst by burst, each the mean of `num_steps`."""

    num_steps: int
    step_seconds: tuple[float, ...]


class Measures(_Frozen):
    """What trying a recipe out has measured: the bursts of steps of each Stage that was asked for; the seconds of one
    evaluation, as often as there was time for one; of the first Stage's start-up and of a later one's; and of what
    comes at its end."""

    bursts: tuple[Bursts, ...]
    evaluation_seconds: tuple[float, ...]
    first_startup_seconds: float
    startup_seconds: float
    ending_seconds: float
    peak_bytes: int
    total_bytes: int


def encode_rates(rates: NDArray[np.float64]) -> str:
    """Bit for bit, and a third of the size of decimal text."""
    return base64.b64encode(rates.astype("<f8").tobytes()).decode("ascii")


def decode_rates(text: str) -> list[float]:
    """The rates as Python floats: a numpy scalar in an optimizer's state cannot be loaded again safely."""
    values: list[float] = np.frombuffer(base64.b64decode(text), dtype="<f8").tolist()
    return values
