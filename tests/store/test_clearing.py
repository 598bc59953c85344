"""States are counted and removed; what was recorded stays, and so does what is no sweep's own."""

import pytest
from histories import a_start, a_trial, finished, make_history

from sweep.errors import MachineError, UsageError
from sweep.store.clearing import find_states, remove_states
from sweep.store.states import Origin, StageStates
from sweep.store.workspace import Workspace

WHOLE, TWICE = a_trial("1.0"), a_trial("2.0")
[DONE], [BEGUN] = WHOLE.stages, TWICE.stages


def leave_states(folder, *steps):
    stage = folder.name
    origin = Origin(stage=stage, method="epochs", ratio="1.0", seed=0, start_step=0, stop_step=400, is_end=True)
    for step in steps:
        StageStates(folder).write(step, b"x" * 1000, origin, kept=steps)


@pytest.fixture
def results(tmp_path):
    """A sweep that is done, one with a trial under way as well, and one without states; each has weights and a log."""
    for name in ("done", "mixed", "bare"):
        folder = tmp_path / name
        for made in ("logs", "weights"):
            (folder / made).mkdir(parents=True)
            (folder / made / "file").write_bytes(b"kept")
        make_history(folder / "journal.jsonl", a_start([WHOLE, TWICE]), finished(WHOLE))
    leave_states(tmp_path / "done" / "states" / DONE, 100, 160)
    leave_states(tmp_path / "mixed" / "states" / DONE, 160)
    leave_states(tmp_path / "mixed" / "states" / BEGUN, 230, 240)
    return tmp_path


def found_in(results, name=None):
    return {left.workspace.name: left for left in find_states(results, name)}


def files(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_every_sweep_that_has_states_is_found_with_their_number_and_size(results):
    before = files(results)
    found = found_in(results)
    assert {name: (left.num_states, left.num_stages, left.num_begun) for name, left in found.items()} == {
        "done": (2, 1, 0),
        "mixed": (3, 2, 1),
    }
    sizes = [path.stat().st_size for path in (results / "done" / "states" / DONE).iterdir()]
    assert found["done"].num_bytes == sum(sizes) > 2000
    assert list(found_in(results, "mixed")) == ["mixed"]
    assert found_in(results, "bare") == {}
    assert files(results) == before


def test_the_states_go_and_everything_else_stays(results):
    before = files(results)
    told = []
    remove_states(find_states(results, None), told.append)
    assert [left.workspace.name for left in told] == ["done", "mixed"]
    left = files(results)
    assert {path: content for path, content in before.items() if "states" not in path.parts} == {
        path: content for path, content in left.items() if path.name not in ("lock", "owner")
    }
    assert find_states(results, None) == []


def test_what_a_killed_process_was_writing_goes_too(results):
    torn = results / "bare" / "states" / "a stage" / ".100.state.x1"
    torn.parent.mkdir(parents=True)
    torn.write_bytes(b"torn")
    [found] = find_states(results, "bare")
    assert (found.num_states, found.num_bytes) == (0, 4)
    remove_states([found], lambda left: None)
    assert not torn.parent.exists()


def test_of_a_sweep_that_is_running_nothing_is_removed_and_the_others_go(results):
    told = []
    with Workspace(results / "done").locked():
        found = find_states(results, None)
        assert [left.is_running for left in found] == [True, False]
        with pytest.raises(MachineError, match="in use by process"):
            remove_states(found, told.append)
    assert [left.workspace.name for left in told] == ["mixed"]
    assert list(found_in(results)) == ["done"]


def test_links_lead_nowhere(results, tmp_path_factory):
    outside = tmp_path_factory.mktemp("outside")
    leave_states(outside / "states" / "a stage", 100)
    (outside / "journal.jsonl").write_bytes((results / "done" / "journal.jsonl").read_bytes())
    before = files(outside)
    (results / "linked").symlink_to(outside)
    (results / "bare" / "states").symlink_to(outside / "states")
    (results / "done" / "states" / "a stage").symlink_to(outside / "states" / "a stage")
    (results / "mixed" / "states" / DONE / "100.state").symlink_to(outside / "states" / "a stage" / "100.state")
    (results / "mixed" / "states" / DONE / "folder").symlink_to(outside / "states")
    assert list(found_in(results)) == ["done", "mixed"]
    with pytest.raises(UsageError, match="is a link"):
        find_states(results, "linked")
    remove_states(find_states(results, None), lambda left: None)
    assert files(outside) == before
    assert find_states(results, None) == []


def test_a_reference_is_left_alone(results):
    (results / "done").rename(results / "reference-done")
    assert list(found_in(results)) == ["mixed"]
    assert found_in(results, "reference-done") == {}


def test_a_sweep_that_is_not_there_is_named_with_those_that_are(results):
    with pytest.raises(UsageError, match=r"there is no sweep 'other'.*bare, done, mixed"):
        find_states(results, "other")
    assert find_states(results / "absent", None) == []


def test_a_journal_that_nobody_can_read_keeps_no_state_from_being_removed(results):
    (results / "done" / "journal.jsonl").write_bytes(b"nothing that makes sense\n")
    [found] = find_states(results, "done")
    assert found.num_begun == found.num_stages == 1
    remove_states([found], lambda left: None)
    assert find_states(results, "done") == []
