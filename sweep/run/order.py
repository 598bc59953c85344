"""Which Stage a free Worker takes next.

In the planned order, which is shuffled, so that a drift of the machine does not line up with length; until another one
has to go first for the sweep to finish soonest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sweep.run.makespan import Forest, Situation

# Chosen: with more Stages than these still to be begun, looking ahead takes too long for what it gains.
_MAX_LOOKAHEAD = 500
# Chosen: with this many times the longest way of work left for each Worker, the longest can still go in time later on.
_PLENTY = 8
# With so few, the best order is found, not guessed.
_MAX_SEARCHED = 12


def choose_next(
    forest: Forest,
    ready: Sequence[str],
    busy: Mapping[str, int],
    num_free: int,
    num_waiting: int,
    steps_waiting: int,
) -> str | None:
    """The Stage to begin now, of those that are `ready`, which stand in the planned order; None: it is better to wait
    for one that is being trained.

    `busy` says how many steps each of these has left; `num_free` Workers have nothing to do; `num_waiting` Stages, of
    `steps_waiting` in all, are still to be begun.
    """
    num_workers = num_free + len(busy)
    if num_workers == 1:
        return ready[0]
    if num_waiting > _MAX_LOOKAHEAD:
        is_plenty = steps_waiting >= _PLENTY * forest.longest_way_of_all * num_workers
        return ready[0] if is_plenty else max(ready, key=forest.tails.__getitem__)
    running = tuple(sorted((left, stage) for stage, left in busy.items()))
    now = Situation(0, running, frozenset(ready), num_free)
    if forest.work_left(now) >= _PLENTY * forest.longest_way(now) * num_workers:
        return ready[0]
    at_best, is_searched = forest.at_best(now), num_waiting <= _MAX_SEARCHED
    tried = ready if is_searched else list(dict.fromkeys((ready[0], max(ready, key=forest.tails.__getitem__))))
    if len(tried) == 1 and not is_searched:
        return ready[0]
    then: dict[str | None, Situation] = {}
    ends: dict[str | None, int] = {}
    for stage in tried:
        then[stage] = forest.begin(now, stage)
        ends[stage] = forest.end_by_rule(then[stage])
        if ends[ready[0]] == at_best:
            return ready[0]
    if is_searched:
        _search(forest, ends, then | ({None: forest.wait(now)} if running else {}), planned=ready[0])
    # The first of equals: the planned one, where it finishes as soon as any.
    return min(ends, key=ends.__getitem__)


def _search(
    forest: Forest, ends: dict[str | None, int], then: Mapping[str | None, Situation], planned: str | None
) -> None:
    """Put into `ends` whichever begins a better order than is known; of equals the planned one."""
    for stage, situation in then.items():
        bound = min(ends.values()) + (stage == planned)
        if (found := forest.earliest_end(situation, bound)) < bound:
            ends[stage] = found
