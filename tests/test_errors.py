"""What a user reads when something is wrong, and the exit code that goes with it."""

import signal

import pytest

from sweep.errors import Complaints, Interrupted, MachineError, Outcome, Problem, RecipeError, SweepError, UsageError


@pytest.mark.parametrize(
    ("problem", "text"),
    [
        (Problem("is wrong"), "is wrong"),
        (Problem("is wrong", where="r.yaml:3", key="lr"), "r.yaml:3: lr: is wrong"),
        (Problem("is wrong", where="--ratios", ratio="0.7"), "--ratios: ratio 0.7: is wrong"),
        (Problem("is wrong", key="lr", fix="write 0.1"), "lr: is wrong (write 0.1)"),
        (Problem("is wrong", "r.yaml:3", "lr", "0", "write 0.1"), "r.yaml:3: lr: ratio 0: is wrong (write 0.1)"),
    ],
)
def test_a_problem_says_where_which_key_which_ratio_what_and_what_to_do(problem, text):
    assert str(problem) == text


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (SweepError("x"), 1),
        (UsageError("x"), 2),
        (RecipeError("x"), 2),
        (MachineError("x"), 3),
        (Interrupted(signal.SIGINT), 130),
        (Interrupted(signal.SIGTERM), 143),
    ],
)
def test_every_way_to_fail_has_its_exit_code(error, code):
    assert error.exit_code == code


def test_an_error_shows_each_of_its_problems_on_a_line():
    error = UsageError(Problem(message, where="--seeds") for message in ("too few", "too many"))
    assert str(error) == "--seeds: too few\n--seeds: too many"
    assert [problem.message for problem in error.problems] == ["too few", "too many"]


def test_a_plain_text_and_a_single_problem_are_errors_of_one_problem():
    assert UsageError("wrong").problems == UsageError(Problem("wrong")).problems == (Problem("wrong"),)


def test_the_mistakes_of_several_steps_are_raised_together_and_in_order():
    complaints = Complaints()
    for message in ("first", "second"):
        with complaints:
            raise RecipeError([Problem(message), Problem(f"{message} again")])
    with pytest.raises(UsageError) as refused:
        complaints.raise_any()
    assert [problem.message for problem in refused.value.problems] == ["first", "first again", "second", "second again"]


def test_without_a_mistake_there_is_nothing_to_raise():
    complaints = Complaints()
    with complaints:
        pass
    complaints.raise_any()
    assert complaints.problems == []


@pytest.mark.parametrize("error", [MachineError("disk full"), Interrupted(signal.SIGINT), KeyError("a bug")])
def test_only_a_users_mistake_is_collected_and_anything_else_goes_on(error):
    complaints = Complaints()
    with pytest.raises(type(error)) as passed, complaints:
        raise error
    assert passed.value is error
    assert complaints.problems == []


def test_only_what_a_trial_itself_decided_is_final():
    assert {outcome for outcome in Outcome if outcome.is_final} == {Outcome.FINISHED, Outcome.DIVERGED}


def test_whoever_was_tried_and_gave_no_result_has_failed():
    no_failures = {Outcome.FINISHED, Outcome.INTERRUPTED, Outcome.MISSING}
    assert {outcome for outcome in Outcome if not outcome.is_failure} == no_failures
