"""What to train next and when the answer is known: without training anything."""

import dataclasses

import pytest

from sweep.advise.belief import Prior, Seen
from sweep.advise.decision import Funds, Next, Question, Verdict, decide

RATIOS = (0.25, 0.5, 0.75, 1.0)
PRIOR = Prior(RATIOS)
FUNDS = Funds(RATIOS)
REACH = Question(RATIOS, 0.9, 0.002, target=0.92)
STAY = Question(RATIOS, 0.9, 0.002, within=0.005, baseline=3)


def seen_of(*means, seeds=6):
    """So many seeds of each ratio that has a mean, an sd of 0.1 points apart."""
    return [
        Seen(place, mean + 0.001 * (-1) ** seed)
        for place, mean in enumerate(means)
        if mean is not None
        for seed in range(seeds)
    ]


def test_the_cheapest_ratio_is_the_first():
    assert decide(REACH, PRIOR, [], FUNDS) == Next(0)
    assert decide(REACH, PRIOR, [], FUNDS, frozenset({0, 1})) == Next(2)


@pytest.mark.parametrize(
    ("means", "place"),
    [
        ((0.93, 0.94, 0.95, 0.955), 0),
        ((0.90, 0.91, 0.93, 0.94), 2),
        ((0.90, 0.91, 0.912, 0.925), 3),
        ((0.90, 0.91, 0.912, 0.914), None),
        ((0.91, 0.93, 0.91, 0.90), 1),
        ((0.91, 0.90, 0.89, 0.88), None),
        ((0.93, 0.90, 0.89, 0.88), 0),
        ((0.91, 0.91, 0.91, 0.91), None),
    ],
)
def test_a_curve_that_is_known_is_answered_whatever_its_shape(means, place):
    verdict = decide(REACH, PRIOR, seen_of(*means), FUNDS)
    assert isinstance(verdict, Verdict)
    assert (verdict.place, verdict.is_known) == (place, True)
    assert 0.9 <= verdict.probability <= 1


@pytest.mark.parametrize(
    ("means", "place"),
    [
        ((0.93, 0.94, 0.948, 0.95), 2),
        ((0.93, 0.93, 0.93, 0.93), 0),
        ((0.8, 0.85, 0.88, 0.9), 3),
        ((0.95, 0.94, 0.93, 0.92), 0),
    ],
)
def test_within_points_moves_with_the_baseline(means, place):
    verdict = decide(STAY, PRIOR, seen_of(*means), FUNDS)
    assert isinstance(verdict, Verdict)
    assert (verdict.place, verdict.is_known) == (place, True)


def test_no_ratio_is_named_that_was_not_trained():
    seen = seen_of(0.90, None, 0.93, 0.935)
    seen += [Seen(0, 0.90)] * 20
    question = dataclasses.replace(REACH, target=0.905)
    decision = decide(question, PRIOR, seen, FUNDS)
    assert isinstance(decision, Next)
    assert decision.likely is not None
    assert (decision.place, decision.likely.place) == (1, 1)
    assert decision.likely.probability >= 0.9


def test_none_is_said_only_once_the_longest_was_trained():
    question = dataclasses.replace(REACH, target=0.999)
    decision = decide(question, PRIOR, seen_of(0.90, 0.901, 0.9015), FUNDS)
    assert isinstance(decision, Next)
    assert decision.place == 3


def test_within_points_nothing_is_said_before_the_baseline_was_trained():
    decision = decide(STAY, PRIOR, seen_of(0.92, 0.92, 0.92), FUNDS)
    assert isinstance(decision, Next)
    assert decision.place == 3


def test_a_tie_is_answered_by_either_and_not_trained_for_ever():
    verdict = decide(REACH, PRIOR, seen_of(0.90, 0.92, 0.93, 0.935, seeds=8), FUNDS)
    assert isinstance(verdict, Verdict)
    assert verdict.place in (1, 2)


def test_more_confidence_takes_more_runs():
    seen = seen_of(0.905, 0.917, seeds=1) + seen_of(None, None, 0.9225, seeds=1)
    unsure = decide(dataclasses.replace(REACH, confidence=0.51), PRIOR, seen, FUNDS)
    sure = decide(dataclasses.replace(REACH, confidence=0.999), PRIOR, seen, FUNDS)
    assert isinstance(unsure, Verdict)
    assert isinstance(sure, Next)


def test_only_what_can_be_paid_for_is_trained():
    seen = seen_of(0.90, 0.91, None, None, seeds=1)
    assert isinstance(decide(REACH, PRIOR, seen, FUNDS), Next)
    for left in (0.25, 0.6, 0.8):
        decision = decide(REACH, PRIOR, seen, Funds(RATIOS, left))
        assert isinstance(decision, Next)
        assert RATIOS[decision.place] <= left
    nothing = decide(REACH, PRIOR, seen, Funds(RATIOS, 0.2))
    assert isinstance(nothing, Verdict)
    assert not nothing.is_known
    assert nothing.probability < 0.9


def test_a_ratio_that_is_closed_is_neither_trained_nor_named():
    verdict = decide(REACH, PRIOR, seen_of(0.90, 0.93, 0.94, 0.95), FUNDS, frozenset({1}))
    assert isinstance(verdict, Verdict)
    assert verdict.place == 2
    assert decide(REACH, PRIOR, [], FUNDS, frozenset(range(4))) == Verdict(None, 1.0)


def test_the_same_runs_give_the_same_decision():
    seen = seen_of(0.90, 0.915, seeds=2)
    assert decide(REACH, PRIOR, seen, FUNDS) == decide(REACH, Prior(RATIOS), list(seen), FUNDS)
