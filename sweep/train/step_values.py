"""What is given for each step of a Stage: its learning rate, its momentum, and the values of the recipe's methods."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection
from dataclasses import dataclass

from sweep.store.records import StageJob, decode_rates


@dataclass(frozen=True)
class StepValues:
    """The values of the steps from `start_step` on. `momenta`: None where they are the optimizer's own.

    `changes` holds, by name, (first step, value) pairs in order: each holds up to the next.
    """

    start_step: int
    rates: list[float]
    momenta: list[float] | None
    changes: dict[str, tuple[tuple[int, float], ...]]

    @classmethod
    def of(cls, job: StageJob) -> StepValues:
        momenta = None if job.momenta is None else decode_rates(job.momenta)
        return cls(job.start_step, decode_rates(job.rates), momenta, job.values)

    def rate(self, step: int) -> float:
        return self.rates[step - self.start_step]

    def momentum(self, step: int) -> float | None:
        return None if self.momenta is None else self.momenta[step - self.start_step]

    def at(self, name: str, step: int) -> float | None:
        """The value called `name`; None where its method is off."""
        changes = self.changes.get(name)
        if changes is None:
            return None
        return changes[bisect_right(changes, step, key=lambda change: change[0]) - 1][1]

    def steps_of_change(self, names: Collection[str]) -> list[int]:
        """The first step, and every one at which a value of these names changes, ascending."""
        changes = (self.changes.get(name, ()) for name in names)
        return sorted({self.start_step, *(step for of_one in changes for step, _ in of_one)})
