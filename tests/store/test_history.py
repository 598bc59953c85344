import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from histories import ENVIRONMENT, a_pilot, a_start, a_trial, ended, finished, make_history
from hypothesis import given, settings
from hypothesis import strategies as st

from sweep.errors import Outcome
from sweep.store.history import History
from sweep.store.records import StageRecord, StartRecord, TrialEntry

Maker = Callable[..., History]
HALF, WHOLE, TWICE = a_trial("0.5"), a_trial("1.0"), a_trial("2.0")
CURVE = {50: 0.5, 100: 0.75}


def outcomes(history: History) -> dict[str, str]:
    return {result.entry.key: str(result.outcome) for result in history.results}


def test_without_a_journal_there_is_nothing(history_of: Maker) -> None:
    history = history_of()
    assert (history.first_start, history.last_start, history.trials, history.results) == (None, None, (), ())


def test_what_was_planned_and_has_no_result_is_missing(history_of: Maker) -> None:
    history = history_of(a_start([HALF, WHOLE]), finished(HALF))
    assert outcomes(history) == {HALF.key: "finished", WHOLE.key: "missing"}
    missing = history.results[1]
    assert (missing.accuracy, missing.train_seconds, missing.environment) == (None, None, None)


def test_the_grids_of_all_runs_are_united(history_of: Maker) -> None:
    seed = a_trial("0.5", seed=1)
    steps = a_trial("0.5", method="steps")
    history = history_of(a_start([WHOLE, TWICE]), finished(WHOLE), a_start([HALF, WHOLE]), a_start([seed, steps]))
    assert history.trials == (HALF, seed, WHOLE, TWICE, steps)  # by method, length and seed
    assert outcomes(history)[WHOLE.key] == "finished"


def test_a_trial_asked_for_by_another_ratio_is_the_same_trial(history_of: Maker) -> None:
    history = history_of(a_start([a_trial("0.5")]), finished(HALF), a_start([a_trial("50%"), a_trial("0.52")]))
    (result,) = history.results
    assert (result.entry.ratio, result.outcome) == ("0.52", Outcome.FINISHED)


def test_a_retry_that_finishes_counts(history_of: Maker) -> None:
    history = history_of(a_start([HALF]), ended(HALF), finished(HALF, accuracy=0.75, attempt=2))
    assert history.results[0].accuracy == 0.75
    assert history.stages[HALF.stages[0]].attempt == 2


def test_the_latest_of_several_failures_counts(history_of: Maker) -> None:
    history = history_of(
        a_start([HALF]), ended(HALF, reason="first"), ended(HALF, Outcome.INTERRUPTED, "second", attempt=2)
    )
    (result,) = history.results
    assert (result.outcome, result.reason, result.accuracy) == (Outcome.INTERRUPTED, "second", None)
    assert history.stages[HALF.stages[0]].attempt == 2


def test_a_finished_record_is_never_displaced(history_of: Maker) -> None:
    history = history_of(
        a_start([HALF]), finished(HALF, 0.75), ended(HALF, attempt=2), finished(HALF, 0.25, attempt=3), ended(HALF)
    )
    assert history.results[0].accuracy == 0.75


@pytest.mark.parametrize("outcome", [outcome for outcome in Outcome if outcome is not Outcome.MISSING])
def test_what_finished_or_diverged_is_not_trained_again(history_of: Maker, outcome: Outcome) -> None:
    record = finished(HALF) if outcome is Outcome.FINISHED else ended(HALF, outcome)
    history = history_of(a_start([HALF]), record)
    assert history.is_final(HALF.stages[0]) == (outcome in (Outcome.FINISHED, Outcome.DIVERGED))
    assert not history.is_final("never heard of")


def test_a_trial_costs_the_sum_of_the_stages_on_its_path(history_of: Maker) -> None:
    trial = WHOLE.model_copy(update={"stages": ("trunk", "tip")})
    parts = {"trunk": (0.5, 20.0, 0.125, "logs/worker-1.log"), "tip": (0.75, 5.0, 0.0625, "logs/worker-2.log")}
    records = [
        finished(WHOLE, accuracy, seconds, contention=contention, images=6400).model_copy(
            update={"stage": stage, "log": log}
        )
        for stage, (accuracy, seconds, contention, log) in parts.items()
    ]
    (result,) = history_of(a_start([trial]), *records).results
    assert (result.train_seconds, result.eval_seconds, result.data_wait_seconds) == (25.0, 6.25, 3.125)
    assert (result.images, result.contention) == (12800, 0.125)
    assert (result.accuracy, result.log) == (0.75, "logs/worker-2.log")


@pytest.mark.parametrize(
    ("trunk", "tip", "total"),
    [(20.5, 5.25, 25.75), (None, 5.25, None), (20.5, None, None), (None, None, None)],
)
def test_a_trials_joules_are_known_where_those_of_its_whole_path_are(
    history_of: Maker, trunk: float | None, tip: float | None, total: float | None
) -> None:
    trial = WHOLE.model_copy(update={"stages": ("trunk", "tip")})
    records = [
        finished(WHOLE, joules=joules).model_copy(update={"stage": stage})
        for stage, joules in (("trunk", trunk), ("tip", tip))
    ]
    (result,) = history_of(a_start([trial]), *records).results
    assert result.joules == total


@pytest.mark.parametrize(
    ("tip", "outcome"), [(None, Outcome.MISSING), (Outcome.CRASHED, Outcome.CRASHED), (Outcome.DIVERGED,) * 2]
)
def test_a_trial_is_not_done_before_the_whole_path_is(history_of: Maker, tip: Outcome | None, outcome: Outcome) -> None:
    trial = WHOLE.model_copy(update={"stages": ("trunk", "tip")})
    records = [finished(trial.model_copy(update={"stages": ("trunk",)}))] + ([ended(trial, tip)] if tip else [])
    (result,) = history_of(a_start([trial]), *records).results
    assert (result.outcome, result.accuracy, result.train_seconds) == (outcome, None, None)


def test_a_failed_stage_is_the_outcome_of_every_trial_on_it(history_of: Maker) -> None:
    trials = [trial.model_copy(update={"stages": ("trunk", trial.stages[0])}) for trial in (HALF, WHOLE)]
    trunk = ended(HALF, reason="out of memory").model_copy(update={"stage": "trunk"})
    results = history_of(a_start(trials), trunk).results
    assert [(result.outcome, result.reason) for result in results] == [(Outcome.CRASHED, "out of memory")] * 2


def test_contention_and_loss_that_were_not_measured_stay_unknown(history_of: Maker) -> None:
    (result,) = history_of(a_start([HALF]), finished(HALF, contention=None, loss=None)).results
    assert (result.contention, result.loss) == (None, None)


def judged(metric: str, mode: str, *trials: TrialEntry) -> StartRecord:
    """A start whose recipe is judged by another metric."""
    start = a_start(trials)
    return start.model_copy(update={"recipe": start.recipe | {"metric": metric, "mode": mode}})


def with_metric(record: StageRecord, **columns: tuple[float | None, ...]) -> StageRecord:
    """The same with further metrics in its evaluations, and no accuracy."""
    assert record.measurement is not None
    evaluations = record.measurement.evaluations.model_copy(update={"accuracy": (), "metrics": columns})
    return record.model_copy(update={"measurement": record.measurement.model_copy(update={"evaluations": evaluations})})


def test_a_trial_is_judged_by_the_metric_that_the_recipe_names(history_of: Maker) -> None:
    history = history_of(
        judged("f1", "max", HALF, WHOLE),
        with_metric(finished(HALF), f1=(0.5,), other=(3.0,)),
        with_metric(finished(WHOLE, curve=CURVE), f1=(-0.5, 0.25, 0.75), other=(1.0, 2.0, 3.0)),
    )
    half, whole = history.results
    assert (half.quality, half.truncated_quality, half.accuracy) == (0.5, 0.25, None)
    assert (whole.quality, whole.truncated_quality, whole.loss) == (0.75, None, 0.25)
    assert (history.metric, history.is_lower_better) == ("f1", False)


def test_the_loss_is_a_metric_like_any_other(history_of: Maker) -> None:
    history = history_of(judged("loss", "min", HALF), finished(HALF, accuracy=0.75, loss=0.125))
    assert (history.results[0].quality, history.results[0].accuracy) == (0.125, 0.75)
    assert (history.metric, history.is_lower_better) == ("loss", True)


@pytest.mark.parametrize("value", [None, 1e31, -1e300])
def test_a_metric_that_is_no_number_to_compute_with_is_a_trial_that_diverged(
    history_of: Maker, value: float | None
) -> None:
    history = history_of(judged("f1", "max", HALF), with_metric(finished(HALF), f1=(value,)))
    (result,) = history.results
    assert (result.outcome, result.quality) == (Outcome.DIVERGED, None)
    assert result.reason == "its f1 at the end is no finite number"
    assert history.has_ended(HALF)


@pytest.mark.parametrize("recipe", [{"metric": 3, "mode": []}, {"metric": "", "mode": "max"}, {}])
def test_a_recipe_that_names_no_metric_is_judged_by_accuracy(history_of: Maker, recipe: dict[str, object]) -> None:
    history = history_of(a_start([HALF]).model_copy(update={"recipe": recipe}), finished(HALF, accuracy=0.75))
    assert (history.metric, history.is_lower_better, history.results[0].quality) == ("accuracy", False, 0.75)


def test_what_a_command_did_not_measure_stays_unknown(history_of: Maker) -> None:
    unknown = dict.fromkeys(("images", "data_wait_seconds", "eval_seconds", "startup_seconds"))
    start = a_start([HALF])
    history = history_of(
        start.model_copy(update={"recipe": start.recipe | {"command": "train"}}),
        finished(HALF, train_seconds_source="wall", **unknown),
    )
    (result,) = history.results
    assert (result.images, result.data_wait_seconds, result.eval_seconds) == (None, None, None)
    assert (result.train_seconds, result.train_seconds_source) == (25.0, "wall")
    assert history.is_of_a_command


def truncated(history: History) -> dict[str, float | None]:
    return {result.entry.key: result.truncated_quality for result in history.results}


def test_the_truncated_control_is_the_same_seeds_baseline_after_as_many_steps(history_of: Maker) -> None:
    other_half, other_whole = a_trial("0.5", seed=1), a_trial("1.0", seed=1)
    history = history_of(
        a_start([HALF, WHOLE, TWICE, other_half, other_whole]),
        finished(WHOLE, curve=CURVE),
        finished(other_whole, curve={100: 0.625}),
        *(finished(trial) for trial in (HALF, TWICE, other_half)),
    )
    expected = {WHOLE.key: None, TWICE.key: None, HALF.key: 0.75, other_half.key: 0.625, other_whole.key: None}
    assert truncated(history) == expected


@pytest.mark.parametrize("baseline", [None, ended(WHOLE), ended(WHOLE, Outcome.DIVERGED)])
def test_without_a_finished_baseline_there_is_no_truncated_control(
    history_of: Maker, baseline: StageRecord | None
) -> None:
    other = a_trial("1.0", seed=1)
    records = [finished(HALF), finished(other, curve=CURVE)] + ([baseline] if baseline else [])
    assert truncated(history_of(a_start([HALF, WHOLE, other]), *records))[HALF.key] is None


def test_a_length_that_the_baseline_was_never_evaluated_at_has_no_truncated_control(history_of: Maker) -> None:
    quarter = a_trial("0.25")
    history = history_of(a_start([quarter, HALF, WHOLE]), finished(WHOLE, curve={100: 0.75}), finished(quarter))
    assert truncated(history)[quarter.key] is None


def test_the_baseline_of_another_method_is_no_control(history_of: Maker) -> None:
    steps = a_trial("1.0", method="steps")
    history = history_of(a_start([HALF, steps]), finished(HALF), finished(steps, curve=CURVE))
    assert truncated(history)[HALF.key] is None


def test_a_share_of_the_examples_with_as_many_batches_is_no_control(history_of: Maker) -> None:
    half = a_trial("0.5", method="subset", num_examples=320)
    whole = a_trial("1.0", method="subset")
    nearly = a_trial("0.99", method="subset", realised="1", num_steps=200, num_examples=633, stages=("nearly",))
    history = history_of(
        a_start([half, whole, nearly.model_copy(update={"key": "nearly"})]),
        *(finished(half), finished(whole, curve={100: 0.75}), finished(nearly, curve={100: 0.25})),
    )
    assert truncated(history)[half.key] == 0.75


def test_a_damaged_line_costs_its_own_record_alone(tmp_path: Path) -> None:
    journal = tmp_path / "journal.jsonl"
    make_history(journal, a_start([HALF, WHOLE]), finished(HALF), finished(WHOLE))
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(lines[0] + lines[1].replace(b"0.9", b"0.8") + lines[2])
    history = make_history(journal)
    assert history.damaged_lines == (2,)
    assert outcomes(history) == {HALF.key: "missing", WHOLE.key: "finished"}


TRIALS = tuple(a_trial(ratio, seed) for ratio in ("0.5", "1.0") for seed in (0, 1))
START_RECORDS = st.lists(st.sampled_from(TRIALS), max_size=4, unique=True).map(a_start)
ENDINGS = st.sampled_from([outcome for outcome in Outcome if outcome not in (Outcome.FINISHED, Outcome.MISSING)])
STAGE_RECORDS = st.one_of(
    st.builds(ended, st.sampled_from(TRIALS), ENDINGS),
    st.builds(finished, st.sampled_from(TRIALS), st.sampled_from([0.25, 0.5])),
)


def expected_result(trial: TrialEntry, records: list[StartRecord | StageRecord]) -> tuple[str, float | None]:
    """The first that finished, else the last that did not."""
    mine = [record for record in records if isinstance(record, StageRecord) and record.stage == trial.stages[0]]
    done = [record.measurement for record in mine if record.outcome is Outcome.FINISHED]
    if done and done[0] is not None:
        return "finished", done[0].evaluations.accuracy[-1]
    return (str(mine[-1].outcome) if mine else "missing"), None


@settings(max_examples=40)
@given(st.lists(st.one_of(START_RECORDS, STAGE_RECORDS), max_size=10))
def test_whatever_was_recorded_every_planned_trial_has_one_result(records: list[StartRecord | StageRecord]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        history = make_history(Path(folder) / "journal.jsonl", *records)
    planned = {trial for record in records if isinstance(record, StartRecord) for trial in record.trials}
    assert len(history.results) == len(planned)
    assert {result.entry for result in history.results} == planned
    for result in history.results:
        assert (str(result.outcome), result.accuracy) == expected_result(result.entry, records)


def test_where_a_trial_was_trained_is_said(history_of: Maker) -> None:
    elsewhere = ENVIRONMENT.model_copy(update={"device_name": "Another CPU"})
    record = finished(HALF).model_copy(update={"environment": elsewhere})
    assert history_of(a_start([HALF]), record).results[0].environment == elsewhere


def test_a_record_is_entered_without_a_copy_of_the_others_and_what_they_make_is_made_anew(history_of: Maker) -> None:
    history = history_of(a_start([HALF, WHOLE]), finished(HALF))
    stages, attempts = history.stages, history.attempts
    assert [result.outcome for result in history.results] == [Outcome.FINISHED, Outcome.MISSING]
    history.add(finished(WHOLE))
    assert history.stages is stages
    assert history.attempts is attempts
    assert len(stages) == len(attempts) == 2
    assert [result.outcome for result in history.results] == [Outcome.FINISHED, Outcome.FINISHED]


def test_a_pilot_is_no_result_and_changes_none(tmp_path: Path) -> None:
    start, *stages = a_start([HALF, WHOLE]), finished(HALF), ended(WHOLE)
    plain = make_history(tmp_path / "plain.jsonl", start, *stages)
    piloted = make_history(tmp_path / "piloted.jsonl", a_pilot(), start, a_pilot(is_made_up=True), *stages)
    assert piloted.pilots == (a_pilot(), a_pilot(is_made_up=True))
    assert (plain.pilots, piloted.results, piloted.mixed) == ((), plain.results, plain.mixed)
    assert make_history(tmp_path / "only.jsonl", a_pilot()).first_start is None
