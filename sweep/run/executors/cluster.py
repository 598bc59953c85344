"""What jobs are submitted to: Slurm, or what stands in for it in a test."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Protocol

from sweep.run.executors.queued import Errand


@dataclass(frozen=True)
class After:
    """A job begins once all of `ended` have ended, and all of `good` have ended well; never, where one has not."""

    ended: tuple[str, ...] = ()
    good: tuple[str, ...] = ()


class Cluster(Protocol):
    """Knows each job by a text.

    Every `seconds_between_looks` somebody looks for what jobs have left; every `seconds_between_asking` the cluster is
    asked which have ended. What one has left is seen at the latest `seconds_to_appear` after its end.
    """

    seconds_between_looks: float
    seconds_between_asking: float
    seconds_to_appear: float

    def check(self) -> None:
        """Raises MachineError where nothing can be submitted."""
        ...

    def submit(self, errand: Errand, after: After) -> str:
        """Have it done; raises MachineError where it is refused."""
        ...

    def ended(self, jobs: Collection[str]) -> Mapping[str, str]:
        """Those of `jobs` that are known to have ended, and what the cluster calls that; and those that cannot begin,
        and why."""
        ...

    def cancel(self, jobs: Collection[str]) -> None:
        """End them; those that run are given time to write a checkpoint. What has ended is no mistake."""
        ...
