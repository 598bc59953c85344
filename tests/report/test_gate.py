from collections.abc import Callable

import pytest
from histories import a_start, a_trial, ended, finished

from sweep.errors import Outcome, SweepError, UsageError
from sweep.report.findings import Findings
from sweep.report.gate import Gate
from sweep.report.metric import ACCURACY
from sweep.store.history import History

Maker = Callable[..., History]
HALF = a_trial("0.5")
WHOLES = [a_trial("1.0", seed) for seed in range(3)]


@pytest.mark.parametrize(
    ("text", "accuracy"), [("0.97", 0.97), ("97%", 0.97), ("90.7%", 0.907), ("0", 0.0), ("1", 1.0), ("100%", 1.0)]
)
def test_an_accuracy_is_read_as_a_share_or_in_percent(text: str, accuracy: float) -> None:
    assert Gate.parse(text, "1.0").value == accuracy


@pytest.mark.parametrize("text", ["97", "abc", "1.5", "101%", "-0.5", "", "nan", "inf", "1e-1", "0.9.7", "٠", "0,97"])
def test_what_is_no_accuracy_is_refused(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        Gate.parse(text, "1.0").check_metric(ACCURACY)
    assert caught.value.exit_code == 2
    (problem,) = caught.value.problems
    assert (problem.where, problem.fix) == ("--fail-under", "write 0.97 or 97%")
    assert repr(text) in problem.message


def test_a_wrong_accuracy_and_a_wrong_ratio_are_reported_at_once() -> None:
    with pytest.raises(UsageError) as caught:
        Gate.parse("a lot", "-1")
    assert [problem.where for problem in caught.value.problems] == ["--fail-under", "--at"]


@pytest.mark.parametrize("text", ["0.75", "75%", "0.5", "0"])
def test_an_accuracy_that_is_reached_passes(history_of: Maker, text: str) -> None:
    history = history_of(a_start(WHOLES), *(finished(trial, 0.75) for trial in WHOLES))
    Gate.parse(text, "1.0").check(Findings.of_history(history).curves)


def test_an_accuracy_that_is_not_reached_fails_with_both_numbers(history_of: Maker) -> None:
    history = history_of(a_start(WHOLES), *(finished(trial, 0.96998) for trial in WHOLES))
    with pytest.raises(SweepError) as caught:
        Gate.parse("97%", "1.0").check(Findings.of_history(history).curves)
    assert caught.value.exit_code == 1
    assert str(caught.value) == "--fail-under: ratio 1.0: mean accuracy 96.998 % is under 97 %"


def test_the_rounding_of_a_mean_fails_no_gate(history_of: Maker) -> None:
    history = history_of(a_start(WHOLES), *(finished(trial, 0.173) for trial in WHOLES))
    Gate.parse("0.173", "1.0").check(Findings.of_history(history).curves)


def test_the_gate_looks_at_the_ratio_it_was_given(history_of: Maker) -> None:
    history = history_of(a_start([HALF, WHOLES[0]]), finished(HALF, 0.5), finished(WHOLES[0], 0.75))
    Gate.parse("0.6", "100%").check(Findings.of_history(history).curves)
    with pytest.raises(SweepError, match="ratio 1/2: mean accuracy 50 % is under 60 %"):
        Gate.parse("0.6", "1/2").check(Findings.of_history(history).curves)


@pytest.mark.parametrize("outcome", [outcome for outcome in Outcome if outcome is not Outcome.FINISHED])
def test_a_gate_fails_where_a_trial_has_not_finished(history_of: Maker, outcome: Outcome) -> None:
    records = [] if outcome is Outcome.MISSING else [ended(WHOLES[2], outcome)]
    history = history_of(a_start(WHOLES), finished(WHOLES[0], 1.0), finished(WHOLES[1], 1.0), *records)
    with pytest.raises(SweepError, match="there is no such trial, or not every one has finished") as caught:
        Gate.parse("0", "1.0").check(Findings.of_history(history).curves)
    assert caught.value.exit_code == 1


def test_a_gate_fails_where_there_is_no_such_ratio(history_of: Maker) -> None:
    history = history_of(a_start([HALF]), finished(HALF, 1.0))
    with pytest.raises(SweepError, match=r"ratio 1\.0: there is no such trial"):
        Gate.parse("0", "1.0").check(Findings.of_history(history).curves)
