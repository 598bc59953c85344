"""Learning-rate schedules as pure functions of integers, and their dilation.

A schedule gives the multiplier of the base learning rate at optimizer step t = 0 … N-1 of a run of N steps, w of them
warm-up. There is no state, so there is nothing to restore. With N and w the baseline's steps and warm-up, N_r and w_r
the run's, a position of the baseline is dilated exactly, as a fraction, and rounded once, half up:

- counted from the start of the run (steps, milestones): position × N_r / N;
- counted from the end of the warm-up (everything else): w_r + position × (N_r - w_r) / (N - w).

So the value that would follow the last step, at t = N_r, is the same at every ratio, and no decay is lost. What runs of
different length are meant to share (ramp, plateau, gamma^k) never touches N_r: it is equal to the last bit.

Shapes and names are torch's (`torch.optim.lr_scheduler`); wsd is the warm-up-stable-decay schedule of Hu et al. 2024
(MiniCPM, arXiv 2404.06395), its 1-sqrt cool-down that of Hägele et al. 2024 (arXiv 2405.18392).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from itertools import count
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from sweep.recipe.duration import Duration, Unit, exact, round_half_up

Steps = NDArray[np.int64]  # (n,) optimizer steps, counted from 0
Multipliers = NDArray[np.float64]  # (n,) multiples of the base learning rate


@dataclass(frozen=True)
class Dilation:
    """How one run stretches the baseline. All lengths are in optimizer steps.

    `steps_per_epoch` is the baseline's: an absolute time means the baseline's number of steps, whatever the method.
    """

    baseline_steps: int
    baseline_warmup_steps: int
    num_steps: int
    warmup_steps: int
    steps_per_epoch: int

    def baseline_length(self, duration: Duration) -> Fraction:
        """The length of `duration` in the baseline."""
        unit_steps = {Unit.EPOCH: self.steps_per_epoch, Unit.STEP: 1, Unit.RUN: self.baseline_steps}
        return duration.amount * unit_steps[duration.unit]

    def length(self, duration: Duration, from_warmup: bool) -> Fraction:
        """The length of `duration` in the run: dilated, or for a fraction of the run that fraction of this run."""
        if duration.unit is Unit.RUN:
            return duration.amount * self.num_steps
        return self.baseline_length(duration) * self._stretch(from_warmup)

    def interval(self, duration: Duration, from_warmup: bool) -> Fraction:
        """The length of an interval that repeats: dilated in every unit, so that each run holds as many of them."""
        return self.baseline_length(duration) * self._stretch(from_warmup)

    def origin(self, from_warmup: bool) -> int:
        """The step from which positions are counted."""
        return self.warmup_steps if from_warmup else 0

    def _stretch(self, from_warmup: bool) -> Fraction:
        if from_warmup:
            return Fraction(self.num_steps - self.warmup_steps, self.baseline_steps - self.baseline_warmup_steps)
        return Fraction(self.num_steps, self.baseline_steps)


class ScheduleKeys(Protocol):
    """The recipe keys that schedules read."""

    @property
    def lr(self) -> float: ...
    @property
    def lr_min(self) -> float: ...
    @property
    def lr_gamma(self) -> float: ...
    @property
    def lr_step_size(self) -> Duration: ...
    @property
    def lr_milestones(self) -> tuple[Duration, ...]: ...
    @property
    def lr_step_origin(self) -> str: ...
    @property
    def lr_t_0(self) -> Duration | None: ...
    @property
    def lr_t_mult(self) -> int: ...
    @property
    def lr_power(self) -> float: ...
    @property
    def lr_start_factor(self) -> float: ...
    @property
    def lr_end_factor(self) -> float: ...
    @property
    def lr_cooldown(self) -> Duration: ...
    @property
    def lr_cooldown_shape(self) -> str: ...
    @property
    def lr_pct_start(self) -> float: ...
    @property
    def lr_div_factor(self) -> float: ...
    @property
    def lr_final_div_factor(self) -> float: ...
    @property
    def lr_anneal(self) -> str: ...
    @property
    def lr_base_momentum(self) -> float: ...
    @property
    def lr_max_momentum(self) -> float: ...


class Shape(Protocol):
    """A schedule after its warm-up, for one run."""

    @property
    def positions(self) -> tuple[int, ...]:
        """The steps at which something sudden happens: a decay, a restart, the start of the cool-down."""
        ...

    def multipliers(self, steps: Steps) -> Multipliers: ...

    def prefix(self, stop: int) -> tuple[object, ...]:
        """The exact numbers that fix the multipliers of the steps before `stop`, of one recipe's runs: where they are
        equal, so are those multipliers, to the last bit."""
        ...

    @property
    def plateau(self) -> float:
        """How many steps from the start of the run every longer one has as well, were its warm-up the same."""
        ...


@dataclass(frozen=True)
class Decays:
    """gamma^k, with k the number of `positions` at or before the step (StepLR, MultiStepLR)."""

    positions: tuple[int, ...]
    gamma: float

    def multipliers(self, steps: Steps) -> Multipliers:
        # One scalar power for each k: the bits of gamma^k then depend on k alone.
        powers = np.array([self.gamma**k for k in range(len(self.positions) + 1)])
        values: Multipliers = powers[np.searchsorted(np.array(self.positions, dtype=np.int64), steps, side="right")]
        return values

    def prefix(self, stop: int) -> tuple[object, ...]:
        return tuple(position for position in self.positions if position < stop)

    @property
    def plateau(self) -> float:
        return self.positions[0] if self.positions else math.inf


@dataclass(frozen=True)
class _Stretched:
    """A shape that is stretched over the whole run, from `start` to `end`: runs of other lengths share none of it."""

    start: int
    end: int

    @property
    def positions(self) -> tuple[int, ...]:
        return ()

    def prefix(self, stop: int) -> tuple[object, ...]:
        return (self.start, self.end)

    @property
    def plateau(self) -> float:
        return self.start


@dataclass(frozen=True)
class Exponential(_Stretched):
    """gamma^e, with e the exact number of baseline epochs since the warm-up: `epochs` of them at the end of the run."""

    gamma: float
    epochs: Fraction

    def multipliers(self, steps: Steps) -> Multipliers:
        since = np.maximum(steps - self.start, 0)  # before that there is the warm-up, and powers that overflow
        elapsed = since * self.epochs.numerator / ((self.end - self.start) * self.epochs.denominator)
        values: Multipliers = np.power(self.gamma, elapsed)
        return values

    def prefix(self, stop: int) -> tuple[object, ...]:
        return (*super().prefix(stop), self.epochs)


@dataclass(frozen=True)
class Cosine(_Stretched):
    """Half a cosine from 1 at `start` to `floor` at `end` (CosineAnnealingLR)."""

    floor: float

    def multipliers(self, steps: Steps) -> Multipliers:
        return _cosine((steps - self.start) / (self.end - self.start), self.floor)


@dataclass(frozen=True)
class Restarts:
    """Cosines that start anew (CosineAnnealingWarmRestarts; Loshchilov & Hutter 2017).

    `starts` and `lengths` are exact fractions of steps; a cycle begins at its rounded start, and inside it progress is
    measured from the exact one, so that the end of the run meets the same point of the same cycle at every ratio.
    """

    starts: tuple[Fraction, ...]
    lengths: tuple[Fraction, ...]
    floor: float

    @cached_property
    def positions(self) -> tuple[int, ...]:
        return tuple(round_half_up(start) for start in self.starts[1:])

    def multipliers(self, steps: Steps) -> Multipliers:
        # Whole steps are subtracted as integers, so that the parts of one lose nothing. No common denominator: with
        # ten decimals in a recipe it is over 64 bits.
        whole = np.array([int(start) for start in self.starts], dtype=np.int64)
        part = np.array([float(start % 1) for start in self.starts])
        lengths = np.array([float(length) for length in self.lengths])
        cycle = np.searchsorted(np.array(self.positions, dtype=np.int64), steps, side="right")
        elapsed = np.maximum(steps - whole[cycle] - part[cycle], 0)
        return _cosine(elapsed / lengths[cycle], self.floor)

    def prefix(self, stop: int) -> tuple[object, ...]:
        begun = sum(position < stop for position in self.positions) + 1
        return (*self.starts[:begun], *self.lengths[:begun])

    @property
    def plateau(self) -> float:
        return int(self.starts[0])


@dataclass(frozen=True)
class Linear(_Stretched):
    """A straight line from `first` at `start` to `last` at `end` (LinearLR over the whole run)."""

    first: float
    last: float

    def multipliers(self, steps: Steps) -> Multipliers:
        progress = (steps - self.start) / (self.end - self.start)
        values: Multipliers = self.first + (self.last - self.first) * progress
        return values


@dataclass(frozen=True)
class Polynomial(_Stretched):
    """(1 - progress)^power (PolynomialLR)."""

    power: float

    def multipliers(self, steps: Steps) -> Multipliers:
        length = self.end - self.start
        values: Multipliers = np.power(np.minimum(self.end - steps, length) / length, self.power)
        return values


@dataclass(frozen=True)
class Constant:
    """1 throughout."""

    positions: tuple[int, ...] = ()

    def multipliers(self, steps: Steps) -> Multipliers:
        return np.ones(len(steps))

    def prefix(self, stop: int) -> tuple[object, ...]:
        return ()

    @property
    def plateau(self) -> float:
        return math.inf


@dataclass(frozen=True)
class StableDecay:
    """A plateau at 1, then a cool-down from `start` to `floor` at `end` (the stable and decay parts of wsd)."""

    start: int
    end: int
    floor: float
    shape: str

    @property
    def positions(self) -> tuple[int, ...]:
        return (self.start,)

    def multipliers(self, steps: Steps) -> Multipliers:
        values = np.ones(len(steps))
        cooling = steps > self.start
        progress = (steps[cooling] - self.start) / (self.end - self.start)
        left = 1 - np.sqrt(progress) if self.shape == "1-sqrt" else 1 - progress
        values[cooling] = self.floor + (1 - self.floor) * left
        return values

    def prefix(self, stop: int) -> tuple[object, ...]:
        return (self.start, self.end) if stop - 1 > self.start else ()  # the first step of a cool-down is still at 1

    @property
    def plateau(self) -> float:
        return self.start + 1


@dataclass(frozen=True)
class OneCycle(_Stretched):
    """From `first` up to 1 at the exact position `peak`, and down to `last` at `end`; momentum falls from `high` to
    `low` and rises again (OneCycleLR with its two phases; Smith & Topin 2017, arXiv 1708.07120)."""

    peak: Fraction
    first: float
    last: float
    anneal: str
    high: float
    low: float

    def multipliers(self, steps: Steps) -> Multipliers:
        return self._cycle(steps, self.first, 1.0, self.last)

    def momenta(self, steps: Steps) -> Multipliers:
        """The momentum at `steps`. Shape (n,) to (n,)."""
        return self._cycle(steps, self.high, self.low, self.high)

    def _cycle(self, steps: Steps, start: float, peak: float, end: float) -> Multipliers:
        values: Multipliers = np.full(len(steps), peak)
        rise, fall = float(self.peak), float(self.end - self.peak)
        rises, falls = steps < math.ceil(self.peak), steps > math.floor(self.peak)
        values[rises] = self._annealed(start, peak, steps[rises] / rise)
        values[falls] = self._annealed(peak, end, (steps[falls].astype(np.float64) - rise) / fall)
        return values

    def _annealed(self, start: float, end: float, progress: Multipliers) -> Multipliers:
        left: Multipliers = 1 - progress if self.anneal == "linear" else (1 + np.cos(np.pi * progress)) / 2
        return end + (start - end) * left


@dataclass(frozen=True)
class WarmedUp:
    """`shape`, with its first `warmup_steps` replaced by a ramp (torch's LinearLR) or a constant (ConstantLR).

    The ramp is decay + (1 - decay) t / w. A decay inside the warm-up takes effect when the warm-up ends.
    """

    shape: Shape
    warmup_steps: int
    method: str
    decay: float

    def multipliers(self, steps: Steps) -> Multipliers:
        """The multipliers of the base learning rate at `steps`, in any order. Shape (n,) to (n,)."""
        values = self.shape.multipliers(steps)
        warming = steps < self.warmup_steps
        if warming.any():
            ramp = steps[warming] / self.warmup_steps if self.method == "linear" else 0.0
            values[warming] = self.decay + (1 - self.decay) * ramp
        return values

    def prefix(self, stop: int) -> tuple[object, ...]:
        """As a Shape's."""
        return (self.warmup_steps, *(self.shape.prefix(stop) if stop > self.warmup_steps else ()))

    @property
    def plateau(self) -> float:
        """As a Shape's; the warm-up too has to be the longer run's."""
        return max(self.warmup_steps, self.shape.plateau)


@dataclass(frozen=True)
class Schedule:
    """One scheduler of the recipe: how to build its shape, the keys it reads, those it cannot do without, and the
    key of the length (if any) that has to be a step or longer."""

    build: Callable[[ScheduleKeys, Dilation], Shape]
    keys: frozenset[str] = frozenset()
    required: frozenset[str] = frozenset()
    interval: str | None = None


def _cosine(progress: Multipliers, floor: float) -> Multipliers:
    values: Multipliers = floor + (1 - floor) * (1 + np.cos(np.pi * progress)) / 2
    return values


def _floor(keys: ScheduleKeys) -> float:
    return keys.lr_min / keys.lr


def _counts_from_warmup(keys: ScheduleKeys) -> bool:
    return keys.lr_step_origin == "warmup"


def _decays(keys: ScheduleKeys, positions: list[Fraction]) -> Decays:
    return Decays(tuple(sorted(round_half_up(position) for position in positions)), keys.lr_gamma)


def _steplr(keys: ScheduleKeys, run: Dilation) -> Shape:
    from_warmup = _counts_from_warmup(keys)
    origin, interval = run.origin(from_warmup), run.interval(keys.lr_step_size, from_warmup)
    decays = (run.num_steps - origin) // interval
    return _decays(keys, [origin + k * interval for k in range(1, decays + 1)])


def exact_milestones(keys: ScheduleKeys, run: Dilation) -> list[Fraction]:
    """Where each milestone falls in the run, before rounding; a fraction of the run counts from its start."""
    from_warmup = _counts_from_warmup(keys)
    return [
        (0 if milestone.unit is Unit.RUN else run.origin(from_warmup)) + run.length(milestone, from_warmup)
        for milestone in keys.lr_milestones
    ]


def _multisteplr(keys: ScheduleKeys, run: Dilation) -> Shape:
    # Compared as exact fractions: one past the baseline's end is past the end of every run, never rounded into it.
    return _decays(keys, [at for at in exact_milestones(keys, run) if at <= run.num_steps])


def _exponentiallr(keys: ScheduleKeys, run: Dilation) -> Shape:
    epochs = Fraction(run.baseline_steps - run.baseline_warmup_steps, run.steps_per_epoch)
    return Exponential(run.warmup_steps, run.num_steps, keys.lr_gamma, epochs)


def _cosineannealinglr(keys: ScheduleKeys, run: Dilation) -> Shape:
    return Cosine(run.warmup_steps, run.num_steps, _floor(keys))


def _cosineannealingwarmrestarts(keys: ScheduleKeys, run: Dilation) -> Shape:
    assert keys.lr_t_0 is not None  # a required key
    first = run.interval(keys.lr_t_0, from_warmup=True)
    assert first > 0  # anything else is refused before it is built, and would never end
    starts, lengths = [Fraction(run.warmup_steps)], [first]
    for index in count(1):
        start = starts[-1] + lengths[-1]
        if start > run.num_steps:
            break
        starts.append(start)
        lengths.append(first * keys.lr_t_mult**index)
    return Restarts(tuple(starts), tuple(lengths), _floor(keys))


def _linearlr(keys: ScheduleKeys, run: Dilation) -> Shape:
    return Linear(run.warmup_steps, run.num_steps, keys.lr_start_factor, keys.lr_end_factor)


def _polynomiallr(keys: ScheduleKeys, run: Dilation) -> Shape:
    return Polynomial(run.warmup_steps, run.num_steps, keys.lr_power)


def _constantlr(keys: ScheduleKeys, run: Dilation) -> Shape:
    return Constant()


def _wsd(keys: ScheduleKeys, run: Dilation) -> Shape:
    # The cool-down is a length at the end of the run; a dilated one starts where the baseline's dilated start lies.
    start = round_half_up(run.num_steps - run.length(keys.lr_cooldown, from_warmup=True))
    return StableDecay(max(start, run.warmup_steps), run.num_steps, _floor(keys), keys.lr_cooldown_shape)


def _onecyclelr(keys: ScheduleKeys, run: Dilation) -> Shape:
    return OneCycle(
        start=0,
        end=run.num_steps,
        peak=exact(keys.lr_pct_start) * run.num_steps,
        first=1 / keys.lr_div_factor,
        last=1 / (keys.lr_div_factor * keys.lr_final_div_factor),
        anneal=keys.lr_anneal,
        high=keys.lr_max_momentum,
        low=keys.lr_base_momentum,
    )


SCHEDULES: dict[str, Schedule] = {
    "steplr": Schedule(
        _steplr,
        frozenset({"lr_step_size", "lr_gamma", "lr_step_origin"}),
        interval="lr_step_size",
    ),
    "multisteplr": Schedule(
        _multisteplr,
        frozenset({"lr_milestones", "lr_gamma", "lr_step_origin"}),
        required=frozenset({"lr_milestones"}),
    ),
    "exponentiallr": Schedule(_exponentiallr, frozenset({"lr_gamma"})),
    "cosineannealinglr": Schedule(_cosineannealinglr, frozenset({"lr_min"})),
    "cosineannealingwarmrestarts": Schedule(
        _cosineannealingwarmrestarts,
        frozenset({"lr_t_0", "lr_t_mult", "lr_min"}),
        required=frozenset({"lr_t_0"}),
        interval="lr_t_0",
    ),
    "linearlr": Schedule(_linearlr, frozenset({"lr_start_factor", "lr_end_factor"})),
    "polynomiallr": Schedule(_polynomiallr, frozenset({"lr_power"})),
    "constantlr": Schedule(_constantlr),
    "wsd": Schedule(
        _wsd,
        frozenset({"lr_cooldown", "lr_cooldown_shape", "lr_min"}),
        interval="lr_cooldown",
    ),
    "onecyclelr": Schedule(
        _onecyclelr,
        frozenset(
            {
                *("lr_pct_start", "lr_div_factor", "lr_final_div_factor", "lr_anneal"),
                *("lr_cycle_momentum", "lr_base_momentum", "lr_max_momentum"),
            }
        ),
    ),
}
