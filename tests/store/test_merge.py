"""Sweeps that were trained apart become one: nothing is lost or counted twice, and no trial is of two machines."""

import itertools
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from histories import ENVIRONMENT, RECIPE, a_start, a_trial, ended, finished, write_journal
from hypothesis import given
from hypothesis import strategies as st

from sweep.errors import MachineError, Outcome, SweepError, UsageError
from sweep.report.listing import merged_grid
from sweep.store.history import History, TrialResult, history_of, read_history
from sweep.store.identity import set_up_text
from sweep.store.journal import Replay, line_of, replay
from sweep.store.merge import Merged, merge_records, merge_sweeps
from sweep.store.records import FORMAT, Environment, StageRecord, StartRecord, TakenOver, TrialEntry
from sweep.store.workspace import Workspace

Records = list[StartRecord | StageRecord]
HALF, WHOLE, TWICE = a_trial("0.5"), a_trial("1.0"), a_trial("2.0")
THERE = ENVIRONMENT.model_copy(update={"threads": 2})
LOSS = RECIPE.model_dump(mode="json") | {"metric": "loss", "mode": "min"}
GOLDEN = sorted((Path(__file__).parents[1] / "golden").glob("*.jsonl"))


def begun(hour: int, trials: list[TrialEntry], environment: Environment = ENVIRONMENT, **changes: Any) -> StartRecord:
    """Each sweep is begun at an hour of its own."""
    at = f"2026-01-01T{hour:02}:00:00.000+00:00"
    return a_start(trials, started_at=at, environment=environment, **changes)


def on(environment: Environment, record: StageRecord) -> StageRecord:
    return record.model_copy(update={"environment": environment})


def make(results: Path, **sweeps: Records) -> Path:
    for name, records in sweeps.items():
        (results / name).mkdir(parents=True)
        write_journal(results / name / "journal.jsonl", *records)
    return results


def merged(results: Path, *names: str) -> Merged:
    return merge_sweeps(results, names, "both")


def result_of(history: History, trial: TrialEntry) -> TrialResult:
    return next(result for result in history.results if result.entry.key == trial.key)


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """`a` has trained 0.5 and 1.0, and `b` 1.0 and 2.0 on another set-up."""
    return make(
        tmp_path,
        a=[begun(1, [HALF, WHOLE]), finished(HALF, 0.8, 50.0), finished(WHOLE, 0.9, 100.0)],
        b=[
            begun(2, [WHOLE, TWICE], THERE),
            on(THERE, finished(WHOLE, 0.91, 60.0)),
            on(THERE, finished(TWICE, 0.92, 120.0)),
        ],
    )


def test_a_merged_sweep_has_the_trials_of_both_each_once_and_as_it_was_measured(results: Path) -> None:
    done = merged(results, "a", "b")
    history = read_history(results / "both" / "journal.jsonl")
    assert history == done.history
    found = [(result.entry.ratio, result.train_seconds, result.accuracy) for result in history.results]
    assert found == [("0.5", 50.0, 0.8), ("1.0", 100.0, 0.9), ("2.0", 120.0, 0.92)]
    assert [result.environment for result in history.results] == [ENVIRONMENT, ENVIRONMENT, THERE]
    assert [start.environment for start in history.starts] == [ENVIRONMENT, THERE]
    assert [result.other_set_up for result in history.results] == [(), (), ("threads was 1, now 2",)]
    assert (done.num_counted, done.num_in_several, done.disagreements) == ((2, 1), 1, ())


def test_of_a_trial_that_both_have_finished_the_first_named_counts(results: Path) -> None:
    history = merged(results, "b", "a").history
    assert result_of(history, WHOLE).train_seconds == 60.0
    assert history.starts[0].environment == THERE


def test_the_sweeps_themselves_stay_as_they_are(results: Path) -> None:
    before = {name: (results / name / "journal.jsonl").read_bytes() for name in ("a", "b")}
    merged(results, "a", "b")
    assert {name: (results / name / "journal.jsonl").read_bytes() for name in before} == before
    assert sorted(path.name for path in (results / "a").iterdir()) == ["journal.jsonl"]


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        (Outcome.CRASHED, Outcome.FINISHED, Outcome.FINISHED),
        (Outcome.DIVERGED, Outcome.FINISHED, Outcome.FINISHED),
        (Outcome.FINISHED, Outcome.DIVERGED, Outcome.FINISHED),
        (Outcome.DIVERGED, Outcome.CRASHED, Outcome.DIVERGED),
        (Outcome.CRASHED, Outcome.DIVERGED, Outcome.DIVERGED),
        (Outcome.CRASHED, Outcome.MISSING, Outcome.CRASHED),
        (Outcome.MISSING, Outcome.CRASHED, Outcome.CRASHED),
    ],
)
def test_what_says_more_of_a_trial_counts(tmp_path: Path, first: Outcome, second: Outcome, expected: Outcome) -> None:
    def of(hour: int, outcome: Outcome) -> Records:
        if outcome is Outcome.FINISHED:
            return [begun(hour, [HALF]), finished(HALF)]
        return [begun(hour, [HALF]), *([ended(HALF, outcome, "why")] if outcome is not Outcome.MISSING else [])]

    make(tmp_path, a=of(1, first), b=of(2, second))
    assert [result.outcome for result in merged(tmp_path, "a", "b").history.results] == [expected]


def test_a_trial_that_was_measured_to_be_no_number_does_not_count_before_one_that_was(tmp_path: Path) -> None:
    make(
        tmp_path,
        a=[begun(1, [HALF], recipe=LOSS), finished(HALF, loss=None)],
        b=[begun(2, [HALF], recipe=LOSS), finished(HALF, loss=0.5)],
    )
    assert [result.quality for result in merged(tmp_path, "a", "b").history.results] == [0.5]


def test_a_trial_is_never_of_two_sweeps_even_where_neither_has_finished_it(tmp_path: Path) -> None:
    """One has its first part, the other its last: together that would look like a whole one."""
    trial = a_trial("1.0", stages=("first", "second"), stops=(100, 200))
    first, second = (a_trial("1.0", stages=(stage,)) for stage in trial.stages)
    make(
        tmp_path,
        a=[begun(1, [trial]), finished(first)],
        b=[begun(2, [trial]), on(THERE, finished(second))],
    )
    history = merged(tmp_path, "a", "b").history
    assert [result.outcome for result in history.results] == [Outcome.MISSING]
    assert len(history.attempts) == 2


def test_what_a_checkpoint_was_taken_over_from_is_still_found(tmp_path: Path) -> None:
    source = TakenOver(
        stage=HALF.stages[0],
        steps=50,
        train_seconds=5,
        eval_seconds=0,
        startup_seconds=0,
        checkpoint_seconds=0,
    )
    make(
        tmp_path,
        a=[begun(1, [HALF]), finished(HALF)],
        b=[begun(2, [HALF, WHOLE]), finished(HALF), finished(WHOLE, taken_over=source)],
    )
    history = merged(tmp_path, "a", "b").history
    [record] = [record for record in history.attempts if record.measurement and record.measurement.taken_over]
    assert record.measurement is not None
    assert record.measurement.taken_over is not None
    known = history.stages[record.measurement.taken_over.stage]
    assert (known.stage, record.stage) == (f"{HALF.stages[0]}~2", f"{WHOLE.stages[0]}~2")


def test_what_was_merged_can_be_merged_again(results: Path) -> None:
    make(results, c=[begun(3, [HALF, TWICE]), finished(HALF, 0.1, 1.0), finished(TWICE, 0.2, 2.0)])
    merge_sweeps(results, ["a", "b"], "ab")
    merge_sweeps(results, ["ab", "c"], "abc")
    merge_sweeps(results, ["c", "ab"], "cab")
    assert (results / "abc" / "journal.jsonl").read_bytes() == (
        b"".join(line_of(record) + b"\n" for record in flat([read(results, name) for name in "abc"]))
    )
    found = [result.train_seconds for result in read_history(results / "cab" / "journal.jsonl").results]
    assert found == [1.0, 100.0, 2.0]


def test_the_journal_of_a_sweep_of_an_older_version_is_taken_along(tmp_path: Path) -> None:
    """In the format of now, with all that it says."""
    for path in GOLDEN:
        (tmp_path / "old").mkdir()
        shutil.copy(path, tmp_path / "old" / "journal.jsonl")
        old = read_history(path)
        other = old.starts[0].model_copy(update={"started_at": "2027-01-01T00:00:00.000+00:00", "trials": ()})
        last = old.starts[-1]
        other = other.model_copy(update={"recipe": last.recipe, "fingerprint": last.fingerprint})
        make(tmp_path, new=[other])
        history = merged(tmp_path, "old", "new").history
        assert [result.quality for result in history.results] == [result.quality for result in old.results]
        assert [result.outcome for result in history.results] == [result.outcome for result in old.results]
        assert {record.format for record in (*history.starts, *history.attempts, *history.pilots)} == {FORMAT}
        assert [pilot.step for pilot in history.pilots] == [pilot.step for pilot in old.pilots]
        for name in ("old", "new", "both"):
            shutil.rmtree(tmp_path / name)


def test_other_bits_on_one_set_up_are_told_and_the_first_counts(tmp_path: Path) -> None:
    make(
        tmp_path,
        a=[begun(1, [HALF, WHOLE]), finished(HALF), finished(WHOLE, 0.9)],
        b=[begun(2, [HALF, WHOLE]), finished(HALF), finished(WHOLE, 0.8, weights_sha256="cd" * 32)],
        c=[begun(3, [HALF]), on(THERE, finished(HALF, weights_sha256="ef" * 32))],
    )
    done = merge_sweeps(tmp_path, ["a", "b", "c"], "both")
    assert [entry.key for entry in done.disagreements] == [WHOLE.key]
    assert result_of(done.history, WHOLE).accuracy == 0.9
    assert done.num_in_several == 2
    assert "ratio 1.0, seed 0: other weights on the same set-up, which should not be" in merged_grid(done).notes


def test_a_grid_says_what_came_of_it(results: Path) -> None:
    with (results / "b" / "journal.jsonl").open("ab") as file:
        file.write(b"0123456789abcdef {torn\n")
    grid = merged_grid(merged(results, "a", "b"))
    assert grid.title == "both: 3 trials, 3 finished"
    assert [row[:4] for row in grid.rows] == [("a", "2", "2", "2"), ("b", "2", "2", "1")]
    assert [row[4] for row in grid.rows] == [set_up_text(ENVIRONMENT), set_up_text(THERE)]
    said = "\n".join(grid.notes)
    assert "1 in several of them: of each, that of the first named that has finished it counts" in said
    assert "b: another set-up than that of a (threads was 1, now 2): its trials are marked" in said
    assert "times of several set-ups do not compare" in said
    assert f"b: damaged records were ignored ({results}/b/journal.jsonl:4)" in said
    assert "are not copied" in said
    assert not replay(results / "both" / "journal.jsonl").damaged_lines


def test_nothing_is_said_of_set_ups_where_there_is_one(tmp_path: Path) -> None:
    make(tmp_path, a=[begun(1, [HALF]), finished(HALF)], b=[begun(2, [WHOLE]), finished(WHOLE)])
    notes = merged_grid(merged(tmp_path, "a", "b")).notes
    assert [note for note in notes if "set-up" in note or "several" in note] == []


def refused(results: Path, *names: str, kind: type[SweepError] = UsageError, name: str = "both") -> str:
    before = sorted(results.rglob("*"))
    with pytest.raises(kind) as caught:
        merge_sweeps(results, names, name)
    assert sorted(results.rglob("*")) == before
    return str(caught.value)


def test_another_recipe_is_refused_with_each_difference(results: Path) -> None:
    other = RECIPE.model_copy(update={"lr": 0.7, "batch_size": 32})
    recorded = {"recipe": other.model_dump(mode="json"), "fingerprint": other.fingerprint}
    make(results, other=[begun(3, [HALF], **recorded)])
    said = refused(results, "a", "other", "b")
    assert "other: of another recipe than a: batch_size was 64, now 32" in said
    assert f"other: of another recipe than a: lr was {RECIPE.lr}, now 0.7" in said
    assert "b:" not in said


def test_one_sweep_is_too_few(results: Path) -> None:
    assert "two sweeps are needed" in refused(results, "a")


@pytest.mark.parametrize("name", ["a", "../both", "reference-both", ""])
def test_a_name_that_is_taken_or_is_none_is_refused(results: Path, name: str) -> None:
    refused(results, "a", "b", name=name)


def test_the_same_training_is_refused_whatever_its_folder_is_called(results: Path) -> None:
    shutil.copytree(results / "a", results / "copy")
    write_journal(results / "copy" / "journal.jsonl", begun(9, [HALF, TWICE]))
    (results / "link").symlink_to(results / "a")
    merge_sweeps(results, ["b", "a"], "ba")
    for name in ("a", "copy", f"{results}/a/", f"{results}/link", "ba"):
        assert f"{name}: holds training that a holds too" in refused(results, "a", name)


def test_what_is_not_there_is_refused_all_at_once(results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(results / "further", c=[begun(3, [HALF])])
    monkeypatch.chdir(results / "further")
    said = refused(results, "a", "nonsense", "./nowhere", "c", "..")
    assert "there is no sweep 'nonsense'" in said
    assert "there is no sweep in ./nowhere" in said
    assert "'c' is no sweep under --results (the folder is ./c)" in said
    assert "'..' is no name for a sweep" in said


def test_a_folder_elsewhere_is_named_by_its_path(results: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = make(tmp_path_factory.mktemp("elsewhere"), c=[begun(3, [TWICE]), finished(TWICE)])
    done = merge_sweeps(results, ["a", f"{elsewhere}/c"], "both")
    assert done.num_counted == (2, 1)


def test_a_sweep_that_is_running_is_refused(results: Path) -> None:
    with Workspace(results / "b").locked():
        assert "in use by process" in refused(results, "a", "b", kind=MachineError)


def test_a_journal_that_is_damaged_beyond_reading_is_refused(results: Path) -> None:
    (results / "b" / "journal.jsonl").write_bytes(b"nonsense\n")
    assert "damaged beyond reading" in refused(results, "a", "b", kind=MachineError)


# Random sweeps: some trials of some seeds, each of two Stages of which those of one seed share the first one.

OUTCOMES = (Outcome.FINISHED, Outcome.CRASHED, Outcome.DIVERGED, Outcome.MISSING)
KEYS = [(ratio, seed) for ratio in ("0.5", "1.0", "2.0") for seed in (0, 1)]
SWEEPS = st.lists(st.dictionaries(st.sampled_from(KEYS), st.sampled_from(OUTCOMES), min_size=1), min_size=1, max_size=4)


def a_sweep(place: int, trials: dict[tuple[str, int], Outcome]) -> Records:
    """Times and quality tell which sweep they are of."""
    entries = {key: path_of(*key) for key in trials}
    seeds = {seed for (_, seed), outcome in trials.items() if outcome is not Outcome.MISSING}
    records: Records = [begun(place, list(entries.values()))]
    records += [finished(a_trial("0.25", stages=(f"shared-{seed}",)), seconds=10.0 + place) for seed in seeds]
    for key, outcome in trials.items():
        if outcome is Outcome.FINISHED:
            records.append(finished(entries[key], place / 10, 100.0 * (place + 1), weights_sha256=f"{place}" * 64))
        elif outcome is not Outcome.MISSING:
            records.append(ended(entries[key], outcome, f"of {place}"))
    return records


def path_of(ratio: str, seed: int) -> TrialEntry:
    whole = a_trial(ratio, seed)
    return a_trial(ratio, seed, stages=(f"shared-{seed}", whole.stages[0]), stops=(50, whole.num_steps))


def flat(sweeps: list[Records]) -> Records:
    return [record for records in merge_records(sweeps) for record in records]


def together(sweeps: list[Records]) -> History:
    return history_of(Replay(tuple(flat(sweeps)), ()))


def read(results: Path, name: str) -> Records:
    return list(replay(results / name / "journal.jsonl").records)


def told(result: TrialResult) -> tuple[object, ...]:
    """What was measured, and how it ended."""
    return result.outcome, result.reason, result.train_seconds, result.quality, result.weights_sha256


@given(SWEEPS)
def test_of_random_sweeps_nothing_is_lost_and_nothing_counts_twice(
    drawn: list[dict[tuple[str, int], Outcome]],
) -> None:
    sweeps = [a_sweep(place, trials) for place, trials in enumerate(drawn)]
    alone = [{result.entry.key: result for result in together([records]).results} for records in sweeps]
    history = together(sweeps)
    keys = [result.entry.key for result in history.results]
    assert len(keys) == len(set(keys))
    assert set(keys) == {key for results in alone for key in results}
    for result in history.results:
        candidates = [results[result.entry.key] for results in alone if result.entry.key in results]
        done = [candidate for candidate in candidates if candidate.outcome is Outcome.FINISHED]
        # Whole, as one of the sweeps has it: of finished ones as the first.
        assert told(result) in [told(candidate) for candidate in done[:1] or candidates]
    measured = Counter(str(record.measurement) for records in sweeps for record in records[1:])  # type: ignore[union-attr]
    assert Counter(str(record.measurement) for record in history.attempts) == measured


@given(SWEEPS)
def test_the_order_of_random_sweeps_chooses_only_among_those_that_have_finished_a_trial(
    drawn: list[dict[tuple[str, int], Outcome]],
) -> None:
    sweeps = [a_sweep(place, trials) for place, trials in enumerate(drawn)]
    one_way = {result.entry.key: result for result in together(sweeps).results}
    for order in itertools.islice(itertools.permutations(sweeps), 24):
        other_way = {result.entry.key: result for result in together(list(order)).results}
        assert one_way.keys() == other_way.keys()
        for key, result in one_way.items():
            times = sum(trials.get(_key_of(result.entry)) is Outcome.FINISHED for trials in drawn)
            assert (other_way[key].outcome is Outcome.FINISHED) == (times > 0)
            assert times != 1 or told(other_way[key]) == told(result)


@given(SWEEPS)
def test_random_sweeps_merged_one_after_the_other_are_merged_at_once(
    drawn: list[dict[tuple[str, int], Outcome]],
) -> None:
    sweeps = [a_sweep(place, trials) for place, trials in enumerate(drawn)]
    by_and_by = sweeps[0]
    for records in sweeps[1:]:
        by_and_by = flat([by_and_by, records])
    assert [told(result) for result in together([by_and_by]).results] == [
        told(result) for result in together(sweeps).results
    ]


def _key_of(entry: TrialEntry) -> tuple[str, int]:
    return entry.ratio, entry.seed
