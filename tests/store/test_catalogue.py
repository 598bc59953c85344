"""Sweeps are found by name or age, and listed with what became of them."""

import hashlib
import os
from datetime import UTC, datetime, timedelta

import pytest
from histories import ENVIRONMENT, a_pilot, a_start, a_trial, ended, finished, make_history

from sweep.errors import Outcome, UsageError
from sweep.report.listing import sweeps_grid
from sweep.store.catalogue import list_sweeps, read_sweep
from sweep.store.journal import append
from sweep.store.workspace import Workspace

HALF, WHOLE = a_trial("0.5"), a_trial("1.0")


def begun(hours_ago):
    return {"started_at": (datetime.now(UTC) - timedelta(hours=hours_ago)).isoformat()}


@pytest.fixture
def results(tmp_path):
    """Three sweeps: an old and complete one, a newer one with a failure, and one with nothing done."""
    starts = {"old": 50, "failing": 5, "new": 0}
    records = {
        "old": [finished(HALF), finished(WHOLE)],
        "failing": [finished(HALF), ended(WHOLE, Outcome.CRASHED, "crashed")],
        "new": [],
    }
    for name, hours_ago in starts.items():
        (tmp_path / name).mkdir()
        start = a_start([HALF, WHOLE]).model_copy(update=begun(hours_ago))
        make_history(tmp_path / name / "journal.jsonl", start, *records[name])
    return tmp_path


def test_sweeps_are_listed_newest_first_with_what_became_of_them(results):
    listed = list_sweeps(results)
    assert [(s.name, s.num_finished, s.num_failed, s.num_trials) for s in listed] == [
        ("new", 0, 0, 2),
        ("failing", 1, 1, 2),
        ("old", 2, 0, 2),
    ]
    assert [round(s.age_seconds / 3600) for s in listed] == [0, 5, 50]
    assert {s.recipe for s in listed} == {"mine"}


def test_a_sweep_with_trials_of_another_set_up_says_so(results):
    elsewhere = {"environment": ENVIRONMENT.model_copy(update={"threads": 2})}
    append(results / "new" / "journal.jsonl", finished(HALF).model_copy(update=elsewhere))
    assert {sweep.name: sweep.is_mixed for sweep in list_sweeps(results)} == {
        "new": True,
        "failing": False,
        "old": False,
    }
    states = {row[0]: row[2] for row in sweeps_grid(list_sweeps(results), results).rows}
    assert states == {"new": "incomplete, mixed set-ups", "failing": "1 failed", "old": "complete"}


def test_a_sweeps_size_is_that_of_all_its_files(results):
    (results / "old" / "logs").mkdir()
    (results / "old" / "logs" / "worker-1.log").write_bytes(b"x" * 1000)
    journal = os.path.getsize(results / "old" / "journal.jsonl")
    assert next(s for s in list_sweeps(results) if s.name == "old").num_bytes == journal + 1000


def test_a_sweep_that_is_held_is_running_and_looking_writes_nothing(results):
    before = sorted(results.rglob("*"))
    assert not any(s.is_running for s in list_sweeps(results))
    assert sorted(results.rglob("*")) == before
    with Workspace(results / "new").locked():
        assert [s.name for s in list_sweeps(results) if s.is_running] == ["new"]
    assert not any(s.is_running for s in list_sweeps(results))


def test_looking_at_a_lock_does_not_keep_a_sweep_from_starting(results):
    with Workspace(results / "new").locked():
        pass
    for _ in range(50):
        assert not Workspace(results / "new").is_locked()
        with Workspace(results / "new").locked():
            pass


def test_the_newest_is_read_by_default_and_any_by_its_name(results):
    assert read_sweep(results, None)[0].name == "new"
    assert read_sweep(results, "old")[0].name == "old"
    with pytest.raises(UsageError, match=r"there is no sweep 'other'.*failing, new, old"):
        read_sweep(results, "other")


def test_where_there_is_no_folder_there_are_no_sweeps(tmp_path):
    assert list_sweeps(tmp_path / "absent") == []
    with pytest.raises(UsageError, match="there is no sweep"):
        read_sweep(tmp_path / "absent", None)


def test_a_damaged_start_makes_a_sweep_the_last_of_the_list(results):
    (results / "broken").mkdir()
    (results / "broken" / "journal.jsonl").write_bytes(b"nothing that makes sense\n")
    last = list_sweeps(results)[-1]
    assert (last.name, last.recipe, last.num_trials, last.age_seconds) == ("broken", "", 0, None)
    assert last.problem == "damaged"


def test_a_sweep_of_a_newer_version_hides_no_other(results):
    journal = results / "new" / "journal.jsonl"
    body = journal.read_bytes().partition(b" ")[2].rstrip(b"\n").replace(b'"format":', b'"format":99')
    journal.write_bytes(hashlib.sha256(body).hexdigest()[:16].encode() + b" " + body + b"\n")
    listed = {sweep.name: sweep.problem for sweep in list_sweeps(results)}
    assert listed["new"].startswith("made by a newer version (format 99")
    assert (listed["failing"], listed["old"]) == (None, None)


def test_one_that_was_estimated_only_is_no_sweep_yet(results):
    (results / "next").mkdir()
    make_history(results / "next" / "journal.jsonl", a_pilot())
    assert [(sweep.name, sweep.problem) for sweep in list_sweeps(results)][-1] == ("next", "estimated only")
    with pytest.raises(UsageError, match="'next' was estimated, and nothing of it is trained yet"):
        read_sweep(results, "next")
    assert read_sweep(results, None)[0].name == "new"
