"""What every executor does: place Stages on Workers, and pass on what they say."""

from __future__ import annotations

from typing import Protocol, Self

from sweep.run.messages import Said
from sweep.run.stop import StopRequest
from sweep.store.records import Environment, PrepareJob, StageJob


class Executor(Protocol):
    """A context manager; leaving it ends every Worker, whatever it is doing."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *error: object) -> None: ...

    @property
    def capacity(self) -> int:
        """How many Stages can be trained at once."""
        ...

    def prepare(self, job: PrepareJob, stop: StopRequest) -> Environment:
        """Start, and have the data checked and loaded.

        Raises:
            MachineError: with what is wrong with the machine or its data.
            RecipeError: with what is wrong with the recipe, or with the code that it names.
            Interrupted: `stop` was requested meanwhile.
        """
        ...

    def submit(self, job: StageJob) -> None:
        """Have a Stage trained; at most `capacity` of them are submitted and not done."""
        ...

    def stop(self) -> None:
        """Have every Worker write a checkpoint of what it trains and stop; nothing is submitted any more.

        Each Stage that is under way is answered as ever: as interrupted, or by how it ended meanwhile.
        """
        ...

    def receive(self, timeout_seconds: float) -> Said | None:
        """What a Worker says next; None when nothing was said in that time.

        Every submitted Stage is answered by exactly one StageDone, also when its Worker is lost or hangs, or by one
        Orphaned.
        """
        ...
