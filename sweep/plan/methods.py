"""The training methods' scheduled values, as exact functions of the step: Recipe x Lengths -> Methods.

A time in `dur` follows the run; an absolute one keeps the baseline's number of steps at every ratio, unless
`scale_methods` is set. Times stay exact fractions, and each is rounded to a step once.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from sweep.plan.lengths import Lengths
from sweep.plan.tracks import Averaging, Track, shared_averages
from sweep.recipe.datasets import DATASETS
from sweep.recipe.duration import Duration, Unit, exact, round_half_up
from sweep.recipe.schema import Recipe

# The keys of each method's times.
TIMES = {
    "mixup_off": ("mixup_off",),
    "swa": ("swa_start", "swa_end", "swa_interval"),
    "progressive_resizing": ("progressive_resizing_start", "progressive_resizing_end"),
    "layer_freezing": ("layer_freezing_start",),
}

# What else only a method that is on reads.
_KEYS = {
    "progressive_resizing": ("progressive_resizing_initial_scale", "progressive_resizing_increment"),
    "layer_freezing": ("layer_freezing_level",),
    "model_ema": ("model_ema_steps", "model_ema_decay"),
}


def mixes(recipe: Recipe) -> bool:
    """Whether images are mixed, by mixup or by cutmix."""
    return recipe.mixup_alpha > 0 or recipe.cutmix_alpha > 0


def is_on(recipe: Recipe, method: str) -> bool:
    """Whether one of the methods of `TIMES` has times in this recipe."""
    return mixes(recipe) and recipe.mixup_off is not None if method == "mixup_off" else bool(getattr(recipe, method))


def unused_keys(recipe: Recipe) -> dict[str, str]:
    """The keys that nothing in this recipe reads, since methods are off, each with the reason."""
    unused = {
        key: f"{method} is off"
        for keys in (_KEYS, TIMES)
        for method in keys
        if method != "mixup_off" and not getattr(recipe, method)
        for key in keys[method]
    }
    if not mixes(recipe):
        unused["mixup_off"] = "no images are mixed"
    times = [getattr(recipe, key) for method, keys in TIMES.items() if is_on(recipe, method) for key in keys]
    if all(time.unit is Unit.RUN for time in times):
        unused["scale_methods"] = "no method has an absolute time"
    return unused


def follows_run(recipe: Recipe, key: str) -> bool:
    """Whether a method's time is scaled with the run, rather than keeping its number of steps."""
    time: Duration = getattr(recipe, key)
    return recipe.scale_methods or time.unit is Unit.RUN


def _full_side(recipe: Recipe) -> int:
    """The side of a training image in pixels."""
    dataset = DATASETS[recipe.builtin_dataset]
    return recipe.train_crop_size if dataset.image_files else dataset.shape[-1]


@dataclass(frozen=True)
class Methods:
    """One run's values: `tracks` by name, those of methods that are on, and when its weights are averaged.

    Names: `image_size`, the side of a training image in pixels; `frozen_share`, the share of the network's layers that
    are frozen, from its beginning; `mixup`, 1 while images are mixed and 0 afterwards.
    """

    tracks: dict[str, Track] = field(default_factory=dict)
    averaging: Averaging | None = None

    @property
    def swa_steps(self) -> tuple[int, ...]:
        """The numbers of steps done after which the weights enter their average."""
        return self.averaging.steps if self.averaging else ()

    def swa_steps_of(self, start: int, stop: int) -> tuple[int, ...]:
        """Those after one of the steps `start` … `stop - 1`."""
        steps = self.swa_steps
        return steps[bisect_right(steps, start) : bisect_right(steps, stop)]

    def values(self, start: int, stop: int) -> dict[str, tuple[tuple[int, float], ...]]:
        """By name: the value at step `start`, and every change before `stop`."""
        return {name: track.between(start, stop) for name, track in self.tracks.items()}

    @property
    def plateau(self) -> float:
        """How many steps from the start of the run every longer one has as well."""
        averaging = self.averaging.plateau if self.averaging else math.inf
        return min((averaging, *(track.plateau for track in self.tracks.values())))

    def prefix(self, stop: int) -> Iterator[object]:
        """The exact numbers that fix the values of the steps before `stop`, of one recipe's runs."""
        for name, track in self.tracks.items():
            yield from (name, *(number for change in track.before(stop) for number in change))
        if self.averaging:
            yield from ("swa", *self.swa_steps_of(0, stop))

    def at(self, step: int) -> tuple[object, ...]:
        """The values at `step`: equal where runs do the same."""
        return (bool(self.swa_steps_of(step, step + 1)), *(track.at(step) for track in self.tracks.values()))

    def shared_with(self, other: Methods) -> float:
        """How many steps from the start have the same values in both, runs of one recipe."""
        tracks = (track.shared_with(other.tracks[name]) for name, track in self.tracks.items())
        return min((shared_averages(self.swa_steps, other.swa_steps), *tracks))


def schedule_methods(recipe: Recipe, lengths: Lengths) -> Methods:
    """The values of the methods that `recipe` turns on; a command schedules its own."""
    if recipe.kind == "command":
        return Methods()
    times = Times(recipe, lengths)
    tracks: dict[str, Track] = {}
    if recipe.progressive_resizing:
        tracks["image_size"] = _image_size(times)
    if recipe.layer_freezing:
        tracks["frozen_share"] = _frozen_share(times)
    if mixes(recipe):
        tracks["mixup"] = _mixup(times)
    return Methods(tracks, _averaging(times) if recipe.swa else None)


@dataclass(frozen=True)
class Times:
    """A recipe's times as exact positions in one run, in steps."""

    recipe: Recipe
    lengths: Lengths

    def steps(self, key: str) -> Fraction:
        """Where the time `key` falls, or how long it is."""
        steps = self.lengths.dilation.baseline_length(getattr(self.recipe, key))
        return steps * self.lengths.realised if self.follow_run(key) else steps

    def follow_run(self, *keys: str) -> bool:
        """Whether any of these times is another one in a longer run."""
        return any(follows_run(self.recipe, key) for key in keys)


def _track(changes: Sequence[tuple[int, Fraction]], num_steps: int, follows_run: bool) -> Track:
    """Of changes at one step the last one counts; what changes nothing, or after the run, is none."""
    kept: list[tuple[int, Fraction]] = []
    for step, value in dict(changes).items():
        if step < num_steps and (not kept or kept[-1][1] != value):
            kept.append((step, value))
    # A longer run never changes earlier.
    first = next((step for step, value in changes if value != changes[0][1]), num_steps)
    return Track(tuple(kept), first if follows_run else math.inf)


def _mixup(times: Times) -> Track:
    changes = [(0, Fraction(1))]
    if times.recipe.mixup_off is not None:
        changes.append((round_half_up(times.steps("mixup_off")), Fraction(0)))
    return _track(changes, times.lengths.num_steps, is_on(times.recipe, "mixup_off") and times.follow_run("mixup_off"))


def first_side(recipe: Recipe) -> int:
    """The side of a training image with progressive resizing, before it grows: its smallest."""
    full = _full_side(recipe)
    first = full * exact(recipe.progressive_resizing_initial_scale)
    return int(_side(first, recipe.progressive_resizing_increment, full))


def _image_size(times: Times) -> Track:
    """From the initial scale at the start to the full side at the end, to the nearest multiple of the increment."""
    recipe, full = times.recipe, _full_side(times.recipe)
    increment, first = recipe.progressive_resizing_increment, full * exact(recipe.progressive_resizing_initial_scale)
    start = times.steps("progressive_resizing_start")
    end = max(start, times.steps("progressive_resizing_end"))  # of a start past the run's end
    changes = [(0, _side(first, increment, full))]
    for middle in _middles(first, increment, full):
        at = start + (end - start) * (middle - first) / (full - first)
        changes.append((round_half_up(at), _side(middle, increment, full)))
    changes.append((round_half_up(end), Fraction(full)))
    return _track(changes, times.lengths.num_steps, times.follow_run(*TIMES["progressive_resizing"]))


def _side(pixels: Fraction, increment: int, full: int) -> Fraction:
    return Fraction(min(full, max(1, round_half_up(pixels / increment)) * increment))


def _middles(first: Fraction, increment: int, full: int) -> Iterator[Fraction]:
    """The sides from `first` to `full` at which the nearest multiple becomes the next one."""
    for multiple in range(round_half_up(first / increment) + 1, round_half_up(Fraction(full, increment)) + 1):
        yield (multiple - Fraction(1, 2)) * increment


def _frozen_share(times: Times) -> Track:
    """From nothing at the start to the level at the run's end; an epoch keeps what it begins with."""
    start, level = times.steps("layer_freezing_start"), exact(times.recipe.layer_freezing_level)
    end = times.lengths.num_steps
    epochs = range(0, end, times.lengths.steps_per_epoch)
    shares = [(step, level * (step - start) / (end - start) if step > start else Fraction(0)) for step in epochs]
    return _track(shares, end, follows_run=True)  # the run's end is in every share


def _averaging(times: Times) -> Averaging:
    end = min(times.steps("swa_end"), Fraction(times.lengths.num_steps))
    return Averaging(times.steps("swa_start"), times.steps("swa_interval"), end, _alike(times, end))


def _alike(times: Times, end: Fraction) -> float:
    """How many steps from the start every longer run averages alike: up to its first average that can be another."""
    start, interval = times.steps("swa_start"), times.steps("swa_interval")
    if times.follow_run("swa_start"):
        differs = start
    elif times.follow_run("swa_interval"):
        differs = start + interval
    elif times.follow_run("swa_end") or times.steps("swa_end") > end:
        differs = start + max(0, (end - start) // interval + 1) * interval
    else:
        return math.inf
    return max(0, round_half_up(differs) - 1)
