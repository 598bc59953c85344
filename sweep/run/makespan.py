"""How soon a forest of Stages can be done by several Workers: by rule of thumb, and for few Stages exactly.

Time is counted in steps: Workers are alike, and a Stage's time is proportional to its steps.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from heapq import heapify, heappop, heappush

# Chosen: some tenths of a second at most; plans of twelve Stages hardly ever need a tenth of it.
_MAX_SEARCHED = 2_000

Children = Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class Situation:
    """Stages under way with the time at which they end, in ascending order; Stages that could begin; idle Workers."""

    now: int
    running: tuple[tuple[int, str], ...]
    ready: frozenset[str]
    num_free: int


class Forest:
    """Stages that follow on one another: `steps` are those of each, `children` those that can begin once it is done."""

    def __init__(self, steps: Mapping[str, int], children: Children) -> None:
        self.steps = dict(steps)
        self._children = children
        self.tails: dict[str, int] = {}  # the steps of the longest way on from a Stage, its own included
        self._sums: dict[str, int] = {}  # the steps of a Stage and of all that follow on it
        for stage in _children_first(steps, children):
            below = children.get(stage, ())
            self.tails[stage] = steps[stage] + max((self.tails[child] for child in below), default=0)
            self._sums[stage] = steps[stage] + sum(self._sums[child] for child in below)
        self.longest_way_of_all = max(self.tails.values(), default=0)
        self._ranks = (self.tails,) if self.tails == self._sums else (self.tails, self._sums)

    def begin(self, situation: Situation, stage: str) -> Situation:
        """The situation once a free Worker has begun `stage`."""
        running = sorted((*situation.running, (situation.now + self.steps[stage], stage)))
        return Situation(situation.now, tuple(running), situation.ready - {stage}, situation.num_free - 1)

    def wait(self, situation: Situation) -> Situation:
        """The situation when the next Stage has ended."""
        now = situation.running[0][0]
        ended = [stage for end, stage in situation.running if end == now]
        begins = {child for stage in ended for child in self._children.get(stage, ())}
        return Situation(
            now, situation.running[len(ended) :], situation.ready | begins, situation.num_free + len(ended)
        )

    def end_by_rule(self, situation: Situation) -> int:
        """When all have ended, if a free Worker always begins the Stage with the longest way, or with the most work,
        below it (Graham 1969): whichever of the two rules ends sooner."""
        ends: list[int] = []
        for rank in self._ranks:
            ends.append(self._simulate(situation, rank))
            if ends[-1] == self.at_best(situation):
                break
        return min(ends)

    def end_in_order(self, situation: Situation, order: Sequence[str]) -> int:
        """When all have ended, if a free Worker always begins the first in `order` of those that could begin."""
        return self._simulate(situation, {stage: -place for place, stage in enumerate(order)})

    def _simulate(self, situation: Situation, rank: Mapping[str, int]) -> int:
        now, running, free = situation.now, list(situation.running), situation.num_free
        waiting = [(-rank[stage], stage) for stage in situation.ready]
        heapify(waiting)
        while running or waiting:
            while free and waiting:
                stage = heappop(waiting)[1]
                heappush(running, (now + self.steps[stage], stage))
                free -= 1
            now, ended = heappop(running)
            free += 1
            for child in self._children.get(ended, ()):
                heappush(waiting, (-rank[child], child))
        return now

    def earliest_end(self, situation: Situation, bound: int) -> int:
        """When all have ended at best, or `bound` where that is no later: by branch and bound over every order, in
        which Workers may also wait. Gives up after so many situations, with the best that was found."""
        best, searched = bound, 0
        seen: dict[object, int] = {}
        stack = [situation]
        while stack and searched < _MAX_SEARCHED:
            here = stack.pop()
            searched += 1
            if not here.running and not here.ready:
                best = min(best, here.now)
                continue
            alike = here.ready, tuple((end - here.now, stage) for end, stage in here.running)
            if self.at_best(here) >= best or seen.get(alike, here.now + 1) <= here.now:
                continue
            seen[alike] = here.now
            stack += [self.wait(here)] if here.running else []
            if here.num_free:
                stack += [self.begin(here, stage) for stage in sorted(here.ready, key=self.tails.__getitem__)]
        return best

    def at_best(self, here: Situation) -> int:
        """No order ends sooner: neither the longest way nor the work shared by all Workers allows it."""
        num_workers = here.num_free + len(here.running)
        return here.now + max(self.longest_way(here), -(-self.work_left(here) // num_workers))

    def longest_way(self, here: Situation) -> int:
        """The steps of the longest way that is left."""
        under_way = [end - here.now + self.tails[stage] - self.steps[stage] for end, stage in here.running]
        return max(under_way + [self.tails[stage] for stage in here.ready])

    def work_left(self, here: Situation) -> int:
        """The steps that are left, all in all."""
        under_way = sum(end - here.now + self._sums[stage] - self.steps[stage] for end, stage in here.running)
        return under_way + sum(self._sums[stage] for stage in here.ready)


def _children_first(stages: Collection[str], children: Children) -> list[str]:
    """Every Stage, behind all that follow on it."""
    below = {child for following in children.values() for child in following}
    waiting = [stage for stage in stages if stage not in below]
    parents_first: list[str] = []
    while waiting:
        parents_first.append(stage := waiting.pop())
        waiting += children.get(stage, ())
    return parents_first[::-1]
