"""What every executor does: place Stages on Workers, and pass on what they say."""

from __future__ import annotations

from typing import Protocol, Self

from sweep.run.messages import Probed, Said
from sweep.run.stop import StopRequest
from sweep.store.records import Environment, PrepareJob, ProbeJob, StageJob


class Executor(Protocol):
    """A context manager; leaving it ends every Worker, whatever it is doing."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *error: object) -> None: ...

    @property
    def capacity(self) -> int:
        """How many Stages can be trained at once."""
        ...

    def prepare(self, job: PrepareJob, stop: StopRequest) -> Environment:
        """Start, or once more with other threads, and have the data checked and loaded.

        Raises:
            MachineError: with what is wrong with the machine or its data.
            RecipeError: with what is wrong with the recipe, or with the code that it names.
            Interrupted: `stop` was requested meanwhile.
        """
        ...

    def probe(self, job: ProbeJob, num_workers: int, stop: StopRequest) -> list[Probed]:
        """What each of the first so many Workers, which are prepared and have no Stage, finds when all of them train
        at the same time. One that is lost or hangs has a reason for not saying.

        Raises:
            Interrupted: `stop` was requested meanwhile.
        """
        ...

    def keep(self, num_workers: int) -> None:
        """Let all Workers but the first so many go: the capacity from now on."""
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
