"""Whose turn it is to begin a Stage, of sweeps that train side by side.

Of all of them together no more Stages are trained at a time than there are jobs. The next one is begun by the sweep
that has begun the smallest share of its steps, so that a drift of the machine meets all of them alike.
"""

from __future__ import annotations


class Turn:
    """One sweep's place among them: how many Stages it trains, and the share of its steps that it has begun where it
    waits to begin another one."""

    def __init__(self, turns: Turns) -> None:
        self._turns = turns
        self.num_running = 0
        self.share_begun: float | None = None

    @property
    def is_waiting(self) -> bool:
        return self.share_begun is not None

    def ask(self, share_begun: float, num_running: int) -> bool:
        """Whether it may begin a Stage now; where not, it waits for that."""
        self.share_begun, self.num_running = share_begun, num_running
        return self._turns.is_next(self)

    def pass_on(self, num_running: int) -> None:
        """It has nothing to begin now."""
        self.share_begun, self.num_running = None, num_running


class Turns:
    """So many `jobs` at a time; None: as many as each sweep has Workers."""

    def __init__(self, jobs: int | None = None) -> None:
        self._jobs = jobs
        self._sweeps: list[Turn] = []

    def join(self) -> Turn:
        """Of sweeps that have begun equal shares, whoever joins first is first."""
        self._sweeps.append(Turn(self))
        return self._sweeps[-1]

    def is_next(self, turn: Turn) -> bool:
        """Whether there is room, and nobody who waits has begun less."""
        if self._jobs is not None and sum(each.num_running for each in self._sweeps) >= self._jobs:
            return False
        waiting = [(each.share_begun, place) for place, each in enumerate(self._sweeps) if each.share_begun is not None]
        return self._sweeps[min(waiting)[1]] is turn
