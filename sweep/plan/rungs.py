"""The ratios that a grid can be chosen from, and grids of them that are evenly spaced on a logarithmic scale.

Where the method scales epochs they are those of whole epochs, so that each is realised as it is asked for; else, and of
more than a thousand epochs, thousandths.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from fractions import Fraction
from functools import cached_property

from sweep.plan.checks import refusals
from sweep.plan.lengths import measure
from sweep.recipe.duration import Ratio, decimal_text
from sweep.recipe.library import LoadedRecipe

# Chosen: ratios of three decimals, and few enough to try each of them as the longest.
_MOST = 1000
# Chosen: below a tenth of the longest, most schedules are hardly more than their warm-up.
_SPAN = 10


class Rungs:
    """Of a recipe over `dataset_examples` training examples, up to its baseline."""

    def __init__(self, loaded: LoadedRecipe, dataset_examples: int) -> None:
        self._loaded = loaded
        self._dataset_examples = dataset_examples

    @cached_property
    def trainable(self) -> tuple[Ratio, ...]:
        """Those that can be trained, ascending: without those of which a warm-up fills over a third, where the
        baseline's does not."""
        most = min(num_lengths(self._loaded, self._dataset_examples), _MOST)
        ratios = [ratio_of(Fraction(rung, most)) for rung in range(1, most + 1)]
        allowed = [ratio for ratio in ratios if not self.refuses(ratio)]
        return tuple(filter(self._has_room, allowed)) or tuple(allowed)

    def refuses(self, ratio: Ratio) -> bool:
        """Whether it cannot be trained."""
        return bool(refusals(self._loaded, (measure(self._loaded.recipe, ratio, self._dataset_examples),)))

    def _has_room(self, ratio: Ratio) -> bool:
        run = measure(self._loaded.recipe, ratio, self._dataset_examples)
        return 3 * run.warmup_steps <= run.num_steps

    def grid(self, longest: Ratio, count: int) -> tuple[Ratio, ...] | None:
        """`count` of those that can be trained, from a tenth of `longest`, which is one, up to it: each the nearest to
        where even spacing on a logarithmic scale would have it. None where these are not so many."""
        if count == 1:
            return (longest,)
        choice = self.trainable[: self.trainable.index(longest) + 1]
        choice = choice[bisect_left(choice, longest.value / _SPAN, key=lambda ratio: ratio.value) :]
        shortest = choice[0]
        factor = float(longest.value / shortest.value)
        places = (float(shortest.value) * factor ** (place / (count - 1)) for place in range(1, count - 1))
        found = {shortest, *(min(choice, key=_distance_to(place)) for place in places), longest}
        return tuple(sorted(found, key=lambda ratio: ratio.value)) if len(found) == count else None


def num_lengths(loaded: LoadedRecipe, dataset_examples: int) -> int:
    """How many lengths up to the baseline its method knows: that many epochs, steps or examples."""
    recipe = loaded.recipe
    if recipe.method == "epochs":
        return int(recipe.epochs.amount)
    if recipe.method == "steps":
        return measure(recipe, ratio_of(Fraction(1)), dataset_examples).dilation.baseline_steps
    return dataset_examples


def ratio_of(value: Fraction) -> Ratio:
    """Exactly `value`."""
    return Ratio(value, decimal_text(value))


def _distance_to(place: float) -> Callable[[Ratio], float]:
    return lambda ratio: abs(float(ratio.value) - place)
