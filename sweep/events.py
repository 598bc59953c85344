"""What a running sweep tells whoever listens, one frozen class each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from sweep.errors import Outcome


@dataclass(frozen=True)
class SweepStarted:
    """`num_steps` of optimizer steps are to be trained for `num_trials` trials; `num_done` trials are done already.

    `num_interrupted` Stages were begun by an earlier run; the steps that they go on from are not in `num_steps`.
    `num_shared` is how many more steps it would be if each trial were trained alone. `metric` is what the recipe is
    judged by: what `quality` is of in the events that follow. `unit`
    is what is counted: the epochs of a command, of whose steps nothing is known.
    """

    name: str
    num_trials: int
    num_done: int
    num_steps: int
    num_interrupted: int = 0
    num_shared: int = 0
    metric: str = "accuracy"
    unit: Literal["steps", "epochs"] = "steps"


@dataclass(frozen=True)
class Noticed:
    """Something that the user should know, and that stops nothing."""

    text: str


@dataclass(frozen=True)
class StageStarted:
    """A Stage was handed to a Worker: steps that `num_trials` trials of a seed have in common. `ratio` is that of the
    longest of them, as it was typed, and `epochs` its length.

    `steps_done` of the Stage's `num_steps` are in the checkpoint that it goes on from. It is told for every attempt.
    """

    stage: str
    ratio: str
    seed: int
    epochs: float
    num_steps: int
    steps_done: int = 0
    num_trials: int = 1


@dataclass(frozen=True)
class Progress:
    """Up to ten times a second. `loss` is the mean of the last steps read, `accuracy` and `quality` the last
    evaluation's.

    Of a command no more is known than what it has printed, and for how many `elapsed_seconds` it has run.
    """

    stage: str
    steps_done: int
    epoch: float
    loss: float | None
    accuracy: float | None
    images_per_second: float | None
    quality: float | None = None
    elapsed_seconds: float | None = None


@dataclass(frozen=True)
class StageEnded:
    """A Stage's record is in the journal."""

    stage: str
    outcome: Outcome
    reason: str | None


@dataclass(frozen=True)
class TrialEnded:
    """A trial has come to an end: its last Stage is done, or one on its way failed. Seconds are of training, what it
    would have taken alone; accuracy is in 0..1."""

    ratio: str
    seed: int
    outcome: Outcome
    reason: str | None
    train_seconds: float | None
    accuracy: float | None
    quality: float | None = None


@dataclass(frozen=True)
class SweepEnded:
    """The last event: how many of the trials asked for have finished, and the signal (if any) that ended it early."""

    name: str
    num_trials: int
    num_finished: int
    stopped_by: int | None


Event = SweepStarted | Noticed | StageStarted | Progress | StageEnded | TrialEnded | SweepEnded
Listener = Callable[[Event], None]
