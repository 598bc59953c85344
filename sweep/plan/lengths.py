"""How long each run is: Recipe x Ratio x number of examples -> optimizer steps, epochs, examples, warm-up. Exact.

- `epochs`: floor(epochs x ratio) whole epochs. `steps`: floor(steps x ratio) steps, the last epoch cut short.
- `samples`, `subset`: the same epochs, each of floor(examples x ratio) examples.
- `cyclic`: the baseline's steps up to the end of one of its cycles (sweep/recipe/cycles.py), rounded half up.

A step is an optimizer step, over batch_size x devices_per_trial x gradient_accumulation_steps examples. Steps per epoch
= ceil(examples / those): the last, smaller one is trained too.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from math import floor

from sweep.recipe.cycles import count_cycles, end_ratios, end_steps, shortest_first
from sweep.recipe.duration import Ratio, Unit, decimal_text, round_half_up
from sweep.recipe.schedule import Dilation
from sweep.recipe.schema import Recipe


@dataclass(frozen=True)
class Lengths:
    """One run's lengths. `num_examples` is what an epoch draws, of `dataset_examples` that there are.
    `num_cycles` is how many a cyclic baseline has, 0 where it has no room for them or is none."""

    ratio: Ratio
    dataset_examples: int
    num_examples: int
    steps_per_epoch: int
    dilation: Dilation
    num_cycles: int = 0

    @property
    def num_steps(self) -> int:
        return self.dilation.num_steps

    @property
    def warmup_steps(self) -> int:
        return self.dilation.warmup_steps

    @property
    def num_epochs(self) -> Fraction:
        return self.in_epochs(self.num_steps)

    @property
    def realised(self) -> Fraction:
        """The ratio of steps that the run really has to the baseline's: asked 0.33 of 20 epochs, realised 6/20."""
        return Fraction(self.num_steps, self.dilation.baseline_steps)

    @cached_property
    def cycles(self) -> tuple[tuple[int, Lengths], ...]:
        """Those of a cyclic run: from which step each begins, and its lengths as a run of its own. The first one is the
        run that it stands in for; those that follow have no warm-up."""
        if not self.num_cycles:
            return ()
        ends = end_steps(self.num_cycles, self.dilation.baseline_steps)
        named = zip((0, *ends), ends, ratios_of(self.num_cycles), strict=False)
        return tuple((start, self._cycle(ratio, start, end)) for start, end, ratio in named if end <= self.num_steps)

    def _cycle(self, ratio: Ratio, start: int, end: int) -> Lengths:
        warmup_steps = 0 if start else self.warmup_steps
        dilation = replace(self.dilation, num_steps=end - start, warmup_steps=warmup_steps)
        return replace(self, ratio=ratio, dilation=dilation, num_cycles=0)

    def in_epochs(self, steps: int) -> Fraction:
        """`steps` in this run's own epochs."""
        return Fraction(steps, self.steps_per_epoch) if self.steps_per_epoch else Fraction(0)


def examples_per_batch(recipe: Recipe) -> int:
    """How many examples a trial's devices take at a time, `batch_size` each."""
    return recipe.batch_size * recipe.devices_per_trial


def examples_per_step(recipe: Recipe) -> int:
    """How many examples an optimizer step takes; the last one of an epoch can have fewer."""
    return examples_per_batch(recipe) * recipe.gradient_accumulation_steps


def steps_in_epoch(num_examples: int, size: int) -> int:
    """Steps of an epoch that take `size` examples each, the last, smaller one included; batches likewise."""
    return -(-num_examples // size)


def batches_before(recipe: Recipe, num_examples: int, step: int) -> int:
    """How many batches the steps before `step` take, in epochs of `num_examples`."""
    epoch, index = divmod(step, steps_in_epoch(num_examples, examples_per_step(recipe)))
    return epoch * steps_in_epoch(num_examples, examples_per_batch(recipe)) + index * recipe.gradient_accumulation_steps


def epochs_of(start: int, stop: int, per_epoch: int) -> Iterator[tuple[int, range]]:
    """Steps, or batches, `start` … `stop - 1` of a run, by epoch: its number, and which of its own they are."""
    while start < stop:
        epoch, first = divmod(start, per_epoch)
        last = min(per_epoch, first + stop - start)
        yield epoch, range(first, last)
        start += last - first


def measure(recipe: Recipe, ratio: Ratio, dataset_examples: int) -> Lengths:
    """The lengths of `recipe` at `ratio`. They may be zero or make no sense: plan/checks.py tells."""
    size = examples_per_step(recipe)
    baseline_epoch = steps_in_epoch(dataset_examples, size)
    baseline_steps = _baseline_steps(recipe, baseline_epoch)
    num_examples = dataset_examples
    match recipe.method:
        case "epochs":
            num_steps = floor(recipe.epochs.amount * ratio.value) * baseline_epoch
        case "steps":
            num_steps = floor(baseline_steps * ratio.value)
        case "samples" | "subset":
            num_examples = floor(dataset_examples * ratio.value)
            num_steps = int(recipe.epochs.amount) * steps_in_epoch(num_examples, size)
        case "cyclic":
            return _measure_cyclic(recipe, ratio, dataset_examples)
    dilation = _dilation(recipe, baseline_steps, num_steps, baseline_epoch)
    return Lengths(ratio, dataset_examples, num_examples, steps_in_epoch(num_examples, size), dilation)


def _measure_cyclic(recipe: Recipe, ratio: Ratio, dataset_examples: int) -> Lengths:
    """As `measure`. The warm-up is that of the first cycle, whichever is the last one."""
    steps_per_epoch = steps_in_epoch(dataset_examples, examples_per_step(recipe))
    baseline_steps = _baseline_steps(recipe, steps_per_epoch)
    num_steps = round_half_up(baseline_steps * ratio.value)
    num_cycles = _count_cycles(recipe, baseline_steps, steps_per_epoch)
    first_steps = end_steps(num_cycles, baseline_steps)[0] if num_cycles else num_steps
    dilation = replace(_dilation(recipe, baseline_steps, first_steps, steps_per_epoch), num_steps=num_steps)
    return Lengths(ratio, dataset_examples, dataset_examples, steps_per_epoch, dilation, num_cycles)


def cycle_ratios(recipe: Recipe, dataset_examples: int) -> tuple[Ratio, ...]:
    """The ratios at which the cycles of `recipe` end; 1 alone where the baseline has no room for them."""
    steps_per_epoch = steps_in_epoch(dataset_examples, examples_per_step(recipe))
    num_cycles = _count_cycles(recipe, _baseline_steps(recipe, steps_per_epoch), steps_per_epoch)
    return ratios_of(num_cycles or 1)


def ratios_of(num_cycles: int) -> tuple[Ratio, ...]:
    """Those at which so many cycles end."""
    return tuple(Ratio(end, decimal_text(end)) for end in end_ratios(num_cycles))


def _count_cycles(recipe: Recipe, baseline_steps: int, steps_per_epoch: int) -> int:
    # A warm-up that follows the run is as small a part of the first cycle as of the baseline.
    warmup = Fraction(0) if follows_run(recipe) else _baseline_warmup(recipe, baseline_steps, steps_per_epoch)
    return count_cycles(baseline_steps, shortest_first(steps_per_epoch, warmup))


def baseline_warmup_steps(recipe: Recipe, dataset_examples: int) -> int:
    """Steps of the baseline's warm-up."""
    steps_per_epoch = steps_in_epoch(dataset_examples, examples_per_step(recipe))
    return round_half_up(_baseline_warmup(recipe, _baseline_steps(recipe, steps_per_epoch), steps_per_epoch))


def _baseline_steps(recipe: Recipe, steps_per_epoch: int) -> int:
    return int(recipe.epochs.amount) * (1 if recipe.epochs.unit is Unit.STEP else steps_per_epoch)


def _baseline_warmup(recipe: Recipe, baseline_steps: int, steps_per_epoch: int) -> Fraction:
    return Dilation(baseline_steps, 0, baseline_steps, 0, steps_per_epoch).baseline_length(recipe.lr_warmup_epochs)


def _dilation(recipe: Recipe, baseline_steps: int, num_steps: int, steps_per_epoch: int) -> Dilation:
    warmup = _baseline_warmup(recipe, baseline_steps, steps_per_epoch)
    run_warmup = warmup * Fraction(num_steps, baseline_steps) if follows_run(recipe) else warmup
    return Dilation(baseline_steps, round_half_up(warmup), num_steps, round_half_up(run_warmup), steps_per_epoch)


def follows_run(recipe: Recipe) -> bool:
    """Whether the warm-up is scaled with the run, rather than keeping its length."""
    return recipe.scale_warmup or recipe.lr_warmup_epochs.unit is Unit.RUN
