"""When a Worker has been without progress for too long, by a clock that only a test moves."""

import pytest

from sweep.run.executors.patience import Patience


def looks_until_over(patience, hands, seconds=0.5):
    """How many looks, so far apart, until patience is over."""
    for number in range(1, 10_000):
        hands.seconds += seconds
        if patience.is_over():
            return number
    raise AssertionError("it never ended")


def at_work(stall_timeout):
    patience = Patience(stall_timeout)
    patience.note_progress()
    return patience


@pytest.mark.parametrize("stall_timeout", [1, 7, 600])
def test_it_is_over_after_so_many_seconds_without_progress(hands, stall_timeout):
    assert looks_until_over(at_work(stall_timeout), hands) == 2 * stall_timeout


def test_progress_begins_it_anew(hands):
    patience = at_work(10)
    for _ in range(5):
        for _ in range(18):
            hands.seconds += 0.5
            assert not patience.is_over()
        patience.note_progress()
    assert looks_until_over(patience, hands) == 20


def test_until_the_first_step_there_are_ten_minutes_at_least(hands):
    assert looks_until_over(Patience(7), hands) == 1200
    assert looks_until_over(Patience(900), hands) == 1800
    patience = at_work(7)
    patience.begin()
    assert looks_until_over(patience, hands) == 1200


def test_what_it_says_of_its_limit_is_what_was_waited_for(hands):
    patience = Patience(7)
    assert patience.limit_seconds == 600
    patience.note_progress()
    assert patience.limit_seconds == 7


def test_never_is_never(hands):
    patience = at_work(None)
    with pytest.raises(AssertionError, match="never ended"):
        looks_until_over(patience, hands)


@pytest.mark.parametrize("hours", [1, 100])
def test_while_nobody_was_awake_to_look_no_time_has_passed(hands, hours):
    patience = at_work(10)
    for _ in range(8):
        hands.seconds += 1
        assert not patience.is_over()
        hands.seconds += 3600 * hours
        assert not patience.is_over()
    assert looks_until_over(patience, hands) == 4
