"""Two of torch's schedulers with an interval that is no whole number of steps.

torch restarts and decays at whole multiples of a whole interval. These take an exact fraction: what falls between two
steps is rounded once, half up, as everywhere; after a restart, progress counts from the exact one. A live scheduler
becomes one of them in place, by its class.
"""

from __future__ import annotations

from fractions import Fraction
from math import ceil, floor

from torch import Tensor
from torch.optim.lr_scheduler import CosineAnnealingWarmRestarts, StepLR

from sweep.recipe.duration import round_half_up

_HALF = Fraction(1, 2)


class DilatedStepLR(StepLR):
    """Decays at the step nearest to each multiple of `exact_interval`, a fraction as (numerator, denominator)."""

    exact_interval: tuple[int, int]  # no Fraction: a state has to be loaded by torch.load(weights_only=True)

    def get_lr(self) -> list[float | Tensor]:
        factor = self.gamma ** (self._decays(self.last_epoch) - self._decays(self.last_epoch - 1))
        return [group["lr"] * factor for group in self.optimizer.param_groups]

    def _get_closed_form_lr(self) -> list[float | Tensor]:
        return [rate * self.gamma ** self._decays(self.last_epoch) for rate in self.base_lrs]

    def _decays(self, step: int) -> int:
        return _multiples(Fraction(*self.exact_interval), step)


class DilatedWarmRestarts(CosineAnnealingWarmRestarts):
    """Starts anew at the step nearest to the end of each cycle; the first is `exact_interval` long."""

    exact_interval: tuple[int, int]
    exact_step: float = 0  # as the last `step` said it: it may be a fraction of an epoch

    def step(self, epoch: float | None = None) -> None:
        self.exact_step = self.last_epoch + 1 if epoch is None else epoch
        super().step(epoch)

    def get_lr(self) -> list[float | Tensor]:
        # Within a SequentialLR the first step is set from outside.
        step = self.exact_step if floor(self.exact_step) == self.last_epoch else self.last_epoch
        start, length = self._cycle(step)
        values = {"T_cur": max(0.0, float(Fraction(step) - start)), "T_i": float(length)}
        self.__dict__.update(values)  # torch declares them as whole numbers
        return super().get_lr()

    def _cycle(self, step: float) -> tuple[Fraction, Fraction]:
        """Where the cycle of `step` starts, and how long it is. Exact."""
        length = Fraction(*self.exact_interval)
        if self.T_mult == 1:
            return _multiples(length, floor(step)) * length, length
        start = Fraction(0)
        while round_half_up(start + length) <= step:
            start, length = start + length, length * self.T_mult
        return start, length


def _multiples(interval: Fraction, step: int) -> int:
    """How many multiples k = 1, 2, … of `interval` have round_half_up(k x interval) <= step."""
    return max(0, ceil((step + _HALF) / interval) - 1)
