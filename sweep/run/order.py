"""Which Stage a free Worker takes next.

In the planned order, which is shuffled, so that a drift of the machine does not line up with length; until the longest
one that waits has to go first for the sweep to finish soonest.
"""

from __future__ import annotations

from collections.abc import Sequence
from heapq import heapify, heapreplace

# Chosen: with more Stages than these waiting, what is begun now does not yet decide when the last one ends.
_MAX_LOOKAHEAD = 1000


def choose_next(waiting: Sequence[int], busy: Sequence[int]) -> int:
    """The place in `waiting` of the Stage to begin now.

    `waiting` are the steps of the Stages that wait, in the planned order; `busy` the steps that each other Worker has
    left to do (0 for one that is free as well).
    """
    if len(waiting) > _MAX_LOOKAHEAD:
        return 0
    longest_first = _steps_to_finish(waiting, [0, *busy])
    planned_first = _steps_to_finish(waiting[1:], [waiting[0], *busy])
    return 0 if planned_first <= longest_first else waiting.index(max(waiting))


def _steps_to_finish(waiting: Sequence[int], workers: list[int]) -> int:
    """When all have ended, if the longest of `waiting` always goes to the Worker that is free first (Graham 1969)."""
    heapify(workers)
    for steps in sorted(waiting, reverse=True):
        heapreplace(workers, workers[0] + steps)
    return max(workers)
