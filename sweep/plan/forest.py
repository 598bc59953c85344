"""Timelines -> Branches: the spans of steps that they have in common. Exact numbers say how far the rates are the same
at least; from there on they are compared step by step.

A step's identity, for one seed, is every scheduled value and its batch; the rest is the recipe's. Timelines that are
the same up to a step are the same computation up to it.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sweep.plan.timeline import SPAN_STEPS, Timeline

# Chosen: where exact numbers differ, rates mostly do at once.
_FIRST_SPAN_STEPS = 16
_GROWTH = 16


@dataclass(frozen=True)
class Branch:
    """Steps `start_step` … `stop_step - 1`, which are the same in `num_members` runs.

    Runs are named by their place in the sequence of Timelines: `member` is the longest of them, `ends` are those that
    are over at `stop_step`. `parent` is the place of the Branch that this one follows on, in the list that holds both.
    """

    start_step: int
    stop_step: int
    member: int
    ends: tuple[int, ...]
    num_members: int
    parent: int | None


@dataclass(frozen=True)
class _Bush:
    """Runs, the longest first, that are the same up to `equal_to` and are to be divided from `start` on."""

    members: tuple[int, ...]
    equal_to: int
    start: int
    parent: int | None


def find_branches(
    timelines: Sequence[Timeline], members: Sequence[int], start_step: int, min_shared_steps: int
) -> list[Branch]:
    """Divide the runs `members` of `timelines`, all the same up to `start_step`, from there on.

    Steps are shared where that saves `min_shared_steps` or more at a fork. A parent stands before its children.
    """
    longest_first = tuple(sorted(members, key=lambda member: -timelines[member].num_steps))
    found: list[Branch] = []
    bushes = [_Bush(longest_first, start_step, start_step, None)]
    while bushes:
        bushes += _grow(timelines, bushes.pop(), min_shared_steps, found)
    return found


def _grow(timelines: Sequence[Timeline], bush: _Bush, min_shared_steps: int, found: list[Branch]) -> list[_Bush]:
    """Add to `found` the Branches on the way of the bush's longest run; returns what leaves that way."""
    longest, start, parent = bush.members[0], bush.start, bush.parent
    num_staying = len(bush.members)
    bushes: list[_Bush] = []
    for step, leaving in _leaving(timelines, bush):
        parts = _parts(timelines, leaving, step)
        if (step - start) * len(parts) >= max(1, min_shared_steps):
            ends = tuple(member for member in leaving if timelines[member].num_steps == step)
            found.append(Branch(start, step, longest, ends, num_staying, parent))
            start, parent = step, len(found) - 1
        bushes += [_Bush(part, step, start, parent) for part in parts if timelines[part[0]].num_steps > start]
        num_staying -= len(leaving)
    found.append(Branch(start, timelines[longest].num_steps, longest, (longest,), num_staying, parent))
    return bushes


def _leaving(timelines: Sequence[Timeline], bush: _Bush) -> list[tuple[int, list[int]]]:
    """The steps at which members are no longer the same as the longest of them, and which they are; ascending."""
    shared = _shared_with_first(timelines, bush)
    leaving: dict[int, list[int]] = {}
    for member in bush.members[1:]:
        leaving.setdefault(shared[member], []).append(member)
    return sorted(leaving.items())


def _shared_with_first(timelines: Sequence[Timeline], bush: _Bush) -> dict[int, int]:
    """The number of steps that each other member has in common with the first one, from the start of both."""
    first = timelines[bush.members[0]]
    return {member: _shared(first, timelines[member], bush.equal_to) for member in bush.members[1:]}


def _shared(first: Timeline, other: Timeline, equal_to: int) -> int:
    """The number of steps that both have in common, `equal_to` of which are known to be.

    Where exact numbers say that the rates are the same they need not be computed; beyond, steps are compared one by
    one, in spans that grow: most runs part right there.
    """
    last = int(min(first.num_steps, other.shareable_steps, _alike_but_for_rates(first, other)))
    start, length = _same_numbers(first, other, equal_to, last), _FIRST_SPAN_STEPS
    while start < last:
        stop = min(start + length, last)
        differs = np.flatnonzero(_rates_differ(first, other, start, stop))
        if differs.size:
            return start + int(differs[0])
        start, length = stop, min(length * _GROWTH, SPAN_STEPS)
    return start


def _same_numbers(one: Timeline, other: Timeline, low: int, high: int) -> int:
    """The most steps, from `low` to `high`, whose rates and momenta exact numbers fix alike; `low` where none are.

    Numbers that differ for so many steps differ for more of them. Near steps have few numbers, and are tried first.
    """

    def differ(stop: int) -> bool:
        return one.rate_numbers(stop) != other.rate_numbers(stop)

    length = _FIRST_SPAN_STEPS
    while low + length < high and not differ(low + length):
        low, length = low + length, length * _GROWTH
    return low + bisect_left(range(low + 1, min(low + length, high) + 1), True, key=differ)


def _rates_differ(one: Timeline, other: Timeline, start: int, stop: int) -> NDArray[np.bool_]:
    """At which of the steps `start` … `stop - 1` learning rate or momentum differ. Shape (n,)."""
    differs: NDArray[np.bool_] = one.rates(start, stop) != other.rates(start, stop)
    mine, theirs = one.momenta(start, stop), other.momenta(start, stop)
    return differs if mine is None or theirs is None else differs | (mine != theirs)


def _alike_but_for_rates(one: Timeline, other: Timeline) -> float:
    """The number of steps, from the start, whose batches and whose methods' values are the same in both."""
    has_same_batches = one.lengths.num_examples == other.lengths.num_examples
    batches = math.inf if has_same_batches else min(one.own_batches_from, other.own_batches_from)
    return min(batches, one.methods.shared_with(other.methods))


def _parts(timelines: Sequence[Timeline], members: list[int], step: int) -> list[tuple[int, ...]]:
    """`members`, which are the same before `step`, in parts that are the same at it, or are over."""
    parts: dict[object, list[int]] = {}
    for member in members:
        timeline = timelines[member]
        own = timeline.lengths.num_examples if step >= timeline.own_batches_from else None
        parts.setdefault((_values(timeline, step), own), []).append(member)
    return [tuple(part) for part in parts.values()]


def _values(timeline: Timeline, step: int) -> object:
    """Every scheduled value at `step`; None where the run is over."""
    if timeline.num_steps <= step:
        return None
    momenta = timeline.momenta(step, step + 1)
    momentum = None if momenta is None else momenta[0]
    return timeline.rates(step, step + 1)[0], momentum, timeline.methods.at(step)
