"""Who is compared, by which names, and what is refused."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from histories import ENVIRONMENT, RECIPE, a_start, a_trial, ended, finished, make_history
from tables import make_frame

from sweep.errors import UsageError
from sweep.report.contender import line_up
from sweep.report.findings import Findings

Maker = Callable[..., Findings]


@pytest.fixture
def sweep_of(tmp_path: Path) -> Maker:
    """sweep_of(name, …): a sweep of one finished trial a method, trained as the keywords say."""

    def sweep_of(
        name: str, *methods: str, dataset: str = "digits", devices_per_trial: int = 1, **environment: Any
    ) -> Findings:
        trials = [a_trial("1.0", method=method) for method in methods or ("epochs",)]
        place = ENVIRONMENT.model_copy(update=environment)
        records = [finished(trial).model_copy(update={"environment": place}) for trial in trials]
        recipe = RECIPE.model_dump(mode="json") | {"dataset": dataset, "devices_per_trial": devices_per_trial}
        journal = tmp_path / f"{len(list(tmp_path.iterdir()))}.jsonl"
        history = make_history(journal, a_start(trials, recipe=recipe), *records)
        return replace(Findings.of_history(history), name=name)

    return sweep_of


def table_of(name: str, *recipes: str, **columns: Any) -> Findings:
    """A table of somebody else's."""
    trials = [{"recipe": recipe, "ratio": 1, "train_seconds": 10, "accuracy": 0.5, **columns} for recipe in recipes]
    return Findings(name, make_frame(*trials), 0.5)


def names(*findings: Findings) -> list[str]:
    return [contender.name for contender in line_up(findings).contenders]


def refusal(*findings: Findings) -> list[str]:
    with pytest.raises(UsageError) as caught:
        line_up(findings)
    return [str(problem) for problem in caught.value.problems]


def test_sweeps_are_called_by_their_names_and_methods_where_there_are_several(sweep_of: Maker) -> None:
    assert names(sweep_of("a"), sweep_of("b", "steps", "epochs")) == ["a", "b, epochs", "b, steps"]


def test_one_sweep_of_two_methods_is_two_contenders(sweep_of: Maker) -> None:
    assert names(sweep_of("a", "steps", "epochs")) == ["a, epochs", "a, steps"]


def test_a_tables_contenders_are_its_recipes() -> None:
    assert names(table_of("x.csv", "r50", "r18")) == ["r50", "r18"]


def test_equal_names_are_told_apart(sweep_of: Maker) -> None:
    assert names(table_of("x.csv", "r50"), table_of("y.csv", "r50")) == ["x.csv: r50", "y.csv: r50"]
    assert names(sweep_of("a"), sweep_of("a"), sweep_of("a")) == ["a", "a #2", "a #3"]
    assert names(sweep_of("a"), sweep_of("a"), sweep_of("a #2")) == ["a", "a #3", "a #2"]


def test_fewer_than_two_are_refused_with_what_was_found(sweep_of: Maker, tmp_path: Path) -> None:
    trial = a_trial()
    crashed = make_history(tmp_path / "crashed.jsonl", a_start([trial]), ended(trial))
    (message,) = refusal(sweep_of("a"), replace(Findings.of_history(crashed), name="b"))
    assert message == (
        "SWEEP: two curves are needed to compare; found: a, b (nothing measured) (name two sweeps, the reference first)"
    )
    assert "found: none" in refusal()[0]


def test_what_has_nothing_measured_is_left_out_and_said_so(sweep_of: Maker, tmp_path: Path) -> None:
    crashed = make_history(tmp_path / "crashed.jsonl", a_start([a_trial()]), ended(a_trial()))
    lineup = line_up([sweep_of("a"), replace(Findings.of_history(crashed), name="b"), sweep_of("c")])
    assert [contender.name for contender in lineup.contenders] == ["a", "c"]
    assert "b is left out: nothing of it has been measured" in lineup.remarks
    assert lineup.left_out == ("b",)


def test_a_sweep_without_any_curve_is_left_out_by_its_name(sweep_of: Maker) -> None:
    assert line_up([sweep_of("a"), Findings("none", make_frame(), 0.5), sweep_of("c")]).left_out == ("none",)


def test_a_reference_of_which_nothing_has_been_measured_is_refused(sweep_of: Maker, tmp_path: Path) -> None:
    crashed = make_history(tmp_path / "crashed.jsonl", a_start([a_trial()]), ended(a_trial()))
    assert refusal(replace(Findings.of_history(crashed), name="b"), sweep_of("a"), sweep_of("c")) == [
        "SWEEP: nothing of b has been measured, which is the reference "
        "(let a trial of it finish, or name another one first)"
    ]


@pytest.mark.parametrize(
    "changes", [{"device_kind": "cuda", "device_name": "A100"}, {"device_name": "Another CPU"}, {"threads": 2}]
)
def test_other_devices_are_refused_unless_that_is_allowed(sweep_of: Maker, changes: dict[str, Any]) -> None:
    one, other = sweep_of("a"), sweep_of("b", **changes)
    (message,) = refusal(one, other)
    assert "different devices" in message
    assert "a: cpu (Some CPU), 1 thread; b: " in message
    assert message.endswith("(--allow-mixed compares them all the same)")
    (remark,) = line_up([one, other], allow_mixed=True).remarks
    assert "different devices" in remark


def test_hours_of_several_devices_are_not_compared_with_hours_of_one(sweep_of: Maker) -> None:
    alone, together = sweep_of("a"), sweep_of("b", devices_per_trial=8)
    [problem] = refusal(alone, together)
    assert "times do not compare" in problem
    assert "b: cpu" in problem
    assert "8 devices a trial" in problem


def test_other_datasets_are_refused_too_at_once_with_devices(sweep_of: Maker) -> None:
    messages = refusal(sweep_of("a"), sweep_of("b", dataset="FashionMNIST", threads=2))
    assert ["different devices" in message for message in messages] == [True, False]
    assert "different datasets, whose accuracies do not compare: a: digits; b: FashionMNIST" in messages[1]


def test_a_tables_devices_are_compared_with_a_sweeps(sweep_of: Maker) -> None:
    assert "r50: cuda; a: cpu (Some CPU), 1 thread" in refusal(table_of("x", "r50", device="cuda"), sweep_of("a"))[0]
    assert names(table_of("x", "r50", device="cpu"), sweep_of("a")) == ["r50", "a"]


def test_a_device_that_is_not_known_is_no_refusal_and_is_said(sweep_of: Maker) -> None:
    lineup = line_up([sweep_of("a"), table_of("x", "r50")])
    texts = [f"the {subject} of r50 is not known" for subject in ("device", "dataset")]
    assert list(lineup.remarks) == [f"{text}: that all have the same was not checked" for text in texts]
