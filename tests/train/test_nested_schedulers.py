"""Schedulers within schedulers, scaled in place, against what is written down here by counting."""

import math
import warnings
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from torch.optim import lr_scheduler as theirs

from sweep import scale_scheduler
from sweep.recipe.duration import round_half_up

BASE = 0.1

# torch 2.7 warns of what its SequentialLR itself does.
pytestmark = pytest.mark.filterwarnings("ignore:The epoch parameter in `scheduler.step")


def steplr(size, length):
    return (
        lambda opt: theirs.StepLR(opt, size, 0.5),
        lambda f: lambda t: 0.5 ** sum(round_half_up(k * size * f) <= t for k in range(1, t + 2)),
        lambda f: size * f >= 1,
    )


def multisteplr(at, length):
    return (
        lambda opt: theirs.MultiStepLR(opt, [at, at + 3], 0.5),
        lambda f: lambda t: 0.5 ** sum(round_half_up(position * f) <= t for position in (at, at + 3)),
        lambda f: True,
    )


def exponentiallr(number, length):
    return lambda opt: theirs.ExponentialLR(opt, 0.95), lambda f: lambda t: 0.95 ** float(t / f), lambda f: True


def linearlr(end, length):
    return (
        lambda opt: theirs.LinearLR(opt, 1.0, 0.25, end),
        lambda f: lambda t: 1 - 0.75 * min(1, t / round_half_up(end * f)),
        lambda f: round_half_up(end * f) > 0,
    )


def cosine(number, length):
    return (
        lambda opt: theirs.CosineAnnealingLR(opt, length),
        lambda f: lambda t: (1 + math.cos(math.pi * t / float(length * f))) / 2,
        lambda f: True,
    )


def restarts(first, length):
    def value(f, t):
        start, cycle = Fraction(0), first * f
        while round_half_up(start + cycle) <= t:
            start, cycle = start + cycle, 2 * cycle
        return (1 + math.cos(math.pi * max(0.0, float(t - start)) / float(cycle))) / 2

    return (
        lambda opt: theirs.CosineAnnealingWarmRestarts(opt, first, 2),
        lambda f: lambda t: value(f, t),
        lambda f: first * f >= 1,
    )


MULTIPLYING = [steplr, multisteplr, exponentiallr, linearlr]
ALL = [*MULTIPLYING, cosine, restarts]


def compare(scheduler, optimizer, run, expected):
    total, ratio, num_steps = run
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # merged and lost milestones
        assert scale_scheduler(scheduler, ratio, total) == num_steps
    found = []
    for _ in range(num_steps):
        assert scheduler.get_last_lr() == [optimizer.param_groups[0]["lr"]]
        found += scheduler.get_last_lr()
        optimizer.step()
        scheduler.step()
    np.testing.assert_allclose(found, [BASE * expected(t) for t in range(num_steps)], rtol=1e-12, atol=1e-15)


@st.composite
def runs(draw):
    total = draw(st.integers(10, 80))
    ratio = draw(st.fractions(Fraction(1, 5), 3, max_denominator=20))
    assume(total * ratio >= 3)
    return total, ratio, math.floor(total * ratio)


@given(runs(), st.data())
def test_each_scheduler_of_a_sequence_is_stretched_to_its_own_span(run, data):
    total, _, num_steps = run
    warmup = data.draw(st.integers(0, total // 3))
    assume(num_steps > warmup)
    stretch = Fraction(num_steps - warmup, total - warmup)
    bounds = [warmup, *sorted(data.draw(st.sets(st.integers(warmup + 1, total - 1), min_size=2, max_size=2))), total]
    scaled = [warmup + round_half_up((bound - warmup) * stretch) for bound in bounds]
    assume(all(start < end for start, end in pairwise(scaled)))
    kinds = [data.draw(st.sampled_from(ALL)) for _ in range(3)]
    parts = [
        kind(data.draw(st.integers(1, 20)), end - start)
        for kind, (start, end) in zip(kinds, pairwise(bounds), strict=True)
    ]
    stretches = [Fraction(d - c, b - a) for (a, b), (c, d) in zip(pairwise(bounds), pairwise(scaled), strict=True)]
    assume(all(has_room(f) for (_, _, has_room), f in zip(parts, stretches, strict=True)))
    values = [value(f) for (_, value, _), f in zip(parts, stretches, strict=True)]

    def expected(t):
        if t < warmup:
            return 0.5 + 0.5 * t / warmup
        index = max(index for index in range(3) if scaled[index] <= t)
        return values[index](t - scaled[index])

    opt = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=BASE)
    first = [theirs.LinearLR(opt, 0.5, 1.0, warmup)] if warmup else []
    milestones = bounds[:-1] if warmup else bounds[1:-1]
    compare(theirs.SequentialLR(opt, first + [make(opt) for make, _, _ in parts], milestones), opt, run, expected)


@given(runs(), st.lists(st.tuples(st.sampled_from(MULTIPLYING), st.integers(1, 20)), min_size=1, max_size=3))
def test_all_schedulers_of_a_chain_are_stretched_from_the_start(run, chain):
    total, _, num_steps = run
    assume(num_steps > 4)
    parts = [kind(number, total) for kind, number in chain]
    stretch = Fraction(num_steps, total)
    assume(all(has_room(stretch) for _, _, has_room in parts))
    values = [value(stretch) for _, value, _ in parts]
    opt = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=BASE)
    scheduler = theirs.ChainedScheduler([theirs.LinearLR(opt, 0.5, 1.0, 4), *(make(opt) for make, _, _ in parts)])
    compare(scheduler, opt, run, lambda t: (0.5 + 0.5 * min(t, 4) / 4) * math.prod(value(t) for value in values))
