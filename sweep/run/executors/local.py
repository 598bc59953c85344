"""Worker processes on this machine, as many as the placement says. They live as long as the sweep."""

from __future__ import annotations

from functools import partial

from sweep.run.executors.child import Child
from sweep.run.executors.seat import Seat
from sweep.run.executors.seated import SeatedExecutor
from sweep.run.placement import Placement
from sweep.store.workspace import Workspace


class LocalExecutor(SeatedExecutor):
    """Trains in child processes, a Stage in each at a time. One without progress for `stall_timeout` seconds is ended:
    see Patience. `beside` are the executors of sweeps that train side by side."""

    def __init__(
        self,
        workspace: Workspace,
        placement: Placement,
        stall_timeout: float | None = None,
        beside: list[SeatedExecutor] | None = None,
    ) -> None:
        seats = (
            Seat(workspace, index + 1, partial(Child, environment=placement.environment(index)), stall_timeout)
            for index in range(placement.jobs)
        )
        super().__init__(seats, beside=beside)
