"""Who is tried again, how the attempts are counted, and when a sweep gives up."""

import pytest

from sweep.errors import Outcome
from sweep.run.messages import StageDone
from sweep.run.retries import Retries
from sweep.store.history import History
from sweep.store.records import StageRecord

NOTHING = History((), {}, ())


def crashed(stage, reason="crashed (SIGKILL)", outcome=Outcome.CRASHED):
    return StageDone(stage=stage, outcome=outcome, reason=reason, log="logs/worker-1.log")


@pytest.mark.parametrize("outcome", [Outcome.CRASHED, Outcome.STALLED])
@pytest.mark.parametrize("num_retries", [0, 1, 3])
def test_a_stage_whose_worker_crashed_or_hung_is_tried_so_many_times_more(num_retries, outcome):
    retries = Retries(num_retries, NOTHING)
    tried = [retries.note(crashed("a", outcome=outcome)) for _ in range(num_retries + 1)]
    assert tried == [True] * num_retries + [False]
    assert retries.note(crashed("b")) == (num_retries > 0)  # counted for each Stage alone


@pytest.mark.parametrize("outcome", [Outcome.DIVERGED, Outcome.OUT_OF_MEMORY, Outcome.FAILED, Outcome.INTERRUPTED])
def test_what_would_end_the_same_way_is_not_tried_again(outcome):
    retries = Retries(5, NOTHING)
    assert not retries.note(StageDone(stage="a", outcome=outcome, reason="why"))
    for stage in "bcd":
        retries.note(StageDone(stage=stage, outcome=outcome, reason="why"))
    assert retries.cause is None


def test_attempts_are_counted_on_from_what_the_journal_says():
    before = StageRecord(stage="a", attempt=2, outcome=Outcome.CRASHED, reason="x")
    retries = Retries(1, History((), {"a": before}, ()))
    assert (retries.attempt("a"), retries.attempt("b")) == (3, 1)
    retries.note(crashed("a"))
    assert (retries.attempt("a"), retries.attempt("b")) == (4, 1)


def test_an_attempt_is_counted_once_whether_its_record_is_entered_or_not():
    history = History((), {}, ())
    retries = Retries(1, history)
    history.add(StageRecord(stage="a", attempt=1, outcome=Outcome.CRASHED, reason="x"))
    retries.note(crashed("a"))
    assert retries.attempt("a") == 2


@pytest.mark.parametrize("outcome", [Outcome.CRASHED, Outcome.STALLED])
def test_three_stages_whose_first_attempts_end_alike_are_a_cause_to_stop(outcome):
    retries = Retries(1, NOTHING)
    for stage in "ab":
        retries.note(crashed(stage, outcome=outcome))
        assert retries.cause is None
    retries.note(crashed("c", outcome=outcome))
    assert retries.cause.exit_code == 1
    assert str(retries.cause).startswith("stopped: the first attempts at 3 trials ended alike: crashed (SIGKILL)")
    assert "logs/worker-1.log" in str(retries.cause)


def test_a_loss_without_a_log_names_none():
    retries = Retries(1, NOTHING)
    for stage in "abc":
        retries.note(crashed(stage).model_copy(update={"log": None}))
    assert str(retries.cause).endswith("(the same command goes on)")


def test_later_attempts_and_other_reasons_are_none():
    retries = Retries(5, NOTHING)
    for stage, reason in (("a", "x"), ("a", "x"), ("a", "x"), ("b", "x"), ("c", "y"), ("d", "y"), ("c", "x")):
        retries.note(crashed(stage, reason))
    assert retries.cause is None
