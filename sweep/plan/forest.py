"""Timelines -> Branches: the spans of steps that they have in common, found by comparing them step by step.

A step's identity, for one seed, is its learning rate and its batch; the rest is the recipe's. Timelines that are the
same up to a step are the same computation up to it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sweep.plan.timeline import Timeline


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
    shared = dict.fromkeys(bush.members[1:], bush.equal_to)
    undecided = list(shared)
    for start, rates in first.spans(bush.equal_to):
        for member in undecided:
            other = timelines[member]
            last = max(start, int(min(start + len(rates), other.num_steps, _shared_batches(first, other))))
            differs = np.flatnonzero(rates[: last - start] != other.rates(start, last))
            shared[member] = start + int(differs[0]) if differs.size else last
        undecided = [member for member in undecided if shared[member] == start + len(rates)]
    return shared


def _shared_batches(one: Timeline, other: Timeline) -> float:
    """The number of steps, from the start, whose batches are the same in both."""
    if one.lengths.num_examples == other.lengths.num_examples:
        return math.inf
    return min(one.own_batches_from, other.own_batches_from)


def _parts(timelines: Sequence[Timeline], members: list[int], step: int) -> list[tuple[int, ...]]:
    """`members`, which are the same before `step`, in parts that are the same at it, or are over."""
    parts: dict[object, list[int]] = {}
    for member in members:
        timeline = timelines[member]
        is_over = timeline.num_steps <= step
        rate = None if is_over else timeline.rates(step, step + 1)[0]
        own = timeline.lengths.num_examples if step >= timeline.own_batches_from else None
        parts.setdefault((rate, own), []).append(member)
    return [tuple(part) for part in parts.values()]
