"""Which single ratio to train at: the longest run that fits into a budget, by the speed that a pilot has measured."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from math import ceil

from sweep.errors import Problem, RecipeError, UsageError
from sweep.events import Listener
from sweep.limit import Limit
from sweep.piloting import speed_of
from sweep.plan.checks import refusals
from sweep.plan.lengths import Lengths
from sweep.plan.lengths import measure as measure_lengths
from sweep.plan.rungs import Rungs, num_lengths, ratio_of
from sweep.plan.scaled import ScaledRecipe, scale
from sweep.plan.speed import Interval, Speed
from sweep.plan.stages import make_plan
from sweep.planning import examine
from sweep.recipe.duration import Ratio, parse_ratios
from sweep.recipe.library import LoadedRecipe
from sweep.report.cells import times_text
from sweep.request import SweepRequest, read_request
from sweep.within import Measure

# Chosen: a run of a hundred baselines is no scaled baseline any more.
MOST_TIMES = 100
# Chosen: more lengths in a row than any recipe refuses that has ones which it does not.
_MOST_TRIED = 10_000


@dataclass(frozen=True)
class Fitted:
    """`lengths` are those of the longest run that fits. It takes `seconds` of wall clock, start-up and evaluation
    included, and trains for `dollars`, where there is a price. `scaled` is the recipe which at ratio 1 is that run;
    None where no recipe can say it: then `unsaid` says why."""

    request: SweepRequest
    loaded: LoadedRecipe
    limit: Limit
    lengths: Lengths
    seconds: Interval
    dollars: Interval | None
    scaled: ScaledRecipe | None
    unsaid: tuple[Problem, ...] = ()

    @property
    def title(self) -> str:
        return f"{self.loaded.name}: the longest run within {self.limit.budget.text}"

    @property
    def notes(self) -> list[str]:
        """What there is to know of it, and how to train it."""
        ratio = self.lengths.ratio
        notes = ["the time is that of the whole command: start-up, training, and an evaluation after each epoch"]
        if ratio.value > 1:
            notes.append(f"all of the baseline fits: this is {times_text(float(self.lengths.realised))} its length")
        if ratio.value == MOST_TIMES:
            notes.append(f"more would fit: nothing over ratio {MOST_TIMES} is looked at")
        words = ["sweep", "run", str(self.request.recipe), "--ratios", ratio.text]
        words += ["--method", self.request.method] if self.request.method else []
        given = {"threads": self.request.threads, "data-path": self.request.data_path, "price": self.request.price}
        words += [word for name, value in given.items() if value is not None for word in (f"--{name}", str(value))]
        words += ["--device", self.request.device] if self.request.device != "auto" else []
        words += [word for setting in self.request.settings for word in ("--set", str(setting))]
        how = ", as does this recipe at ratio 1:" if self.scaled is not None else ""
        return [*notes, *map(str, self.unsaid), f"{shlex.join(words)} trains it{how}"]


def fit_recipe(request: SweepRequest, tell: Listener, measure: Measure = speed_of) -> Fitted:
    """The longest run of a recipe that fits `within` what the request says: the pilot is no part of it.

    Raises:
        UsageError: with every mistake in it, or not even the shortest run fits.
        MachineError: the speed cannot be measured.
    """
    asked = read_request(request)
    loaded, budget = asked.loaded, asked.budget
    assert budget is not None
    limit, (num_examples, _) = Limit.of(budget, loaded.recipe), examine(loaded, request.device)
    trainable = Rungs(loaded, num_examples).trainable or parse_ratios("1")
    speed = measure(asked, make_plan(loaded, trainable[-1:], 1, num_examples), limit.pilot_seconds, tell)
    lengths = longest_that(lambda run: _needs(run, limit, speed).high <= limit.seconds, loaded, num_examples)
    if lengths is None:
        raise _too_little(measure_lengths(loaded.recipe, trainable[0], num_examples), limit, speed)
    per_second = limit.dollars_per_second
    dollars = None if per_second is None else speed.step * lengths.num_steps * per_second
    scaled, unsaid = _scaled(loaded, lengths.ratio, num_examples)
    return Fitted(request, loaded, limit, lengths, run_seconds(lengths, speed), dollars, scaled, unsaid)


def run_seconds(run: Lengths, speed: Speed) -> Interval:
    """A run alone, from the command to the table: it is evaluated after each of its epochs, and at its end."""
    training = speed.step * run.num_steps + speed.evaluation * ceil(run.num_epochs)
    return training + speed.stage + speed.worker


def longest_that(fits: Callable[[Lengths], bool], loaded: LoadedRecipe, num_examples: int) -> Lengths | None:
    """The longest run that `fits` and can be trained, where what is longer than one that does not does not either."""
    most = num_lengths(loaded, num_examples)

    def run_of(length: int) -> Lengths:
        return measure_lengths(loaded.recipe, ratio_of(Fraction(length, most)), num_examples)

    low, too_long = 0, most * (1 if loaded.recipe.method in ("samples", "subset") else MOST_TIMES) + 1
    while too_long - low > 1:
        middle = (low + too_long) // 2
        low, too_long = (middle, too_long) if fits(run_of(middle)) else (low, middle)
    tried = (run_of(length) for length in range(low, max(0, low - _MOST_TRIED), -1))
    return next((run for run in tried if not refusals(loaded, (run,))), None)


def _needs(run: Lengths, limit: Limit, speed: Speed) -> Interval:
    return run_seconds(run, speed) if limit.is_time else speed.step * run.num_steps


def _scaled(loaded: LoadedRecipe, ratio: Ratio, num_examples: int) -> tuple[ScaledRecipe | None, tuple[Problem, ...]]:
    try:
        return scale(loaded, ratio, num_examples), ()
    except RecipeError as error:
        return None, error.problems


def _too_little(shortest: Lengths, limit: Limit, speed: Speed) -> UsageError:
    takes = limit.interval_text(_needs(shortest, limit, speed))
    message = f"{limit.budget.text} is too little: the shortest run, ratio {shortest.ratio}, takes about {takes}"
    return UsageError(Problem(message, "--within"))
