"""A folder that stands in for a sweep's own elsewhere: what one side keeps, the other one has."""

import pytest
from executor_contract import PREPARE, jobs_of

from sweep.run.executors.courier import Courier
from sweep.run.executors.mirror import Mirror, Printed, Removed, Written
from sweep.store.records import KeptState
from sweep.store.states import StageStates
from sweep.store.workspace import Workspace
from sweep.train.keeper import origin_of


@pytest.fixture
def here(tmp_path):
    return Workspace(tmp_path / "here")


@pytest.fixture
def there(tmp_path):
    return Workspace(tmp_path / "there")


@pytest.fixture
def mirror(there):
    there.folder.mkdir()
    return Mirror(there, there.folder / "worker-1.log")


@pytest.fixture
def courier(here, there):
    made = Courier(str(there.folder), here.log(1))
    addressed = made.address(PREPARE.model_copy(update={"workspace": str(here.folder)}))
    assert addressed.workspace == str(there.folder)
    return made


@pytest.fixture
def job():
    """A Stage that begins with another one's state, or goes on from a third one's checkpoint."""
    update = {"parent": "parent", "start_step": 7, "checkpoint": KeptState(stage="third", step=9)}
    return jobs_of()[0].model_copy(update=update)


def states_of(workspace, stage):
    return StageStates(workspace.states / stage)


def files_of(workspace):
    found = (path for path in workspace.folder.glob("*/*/*") if path.is_file())
    return {str(path.relative_to(workspace.folder)): path.read_bytes() for path in found}


def follow(courier, mirror):
    changes = mirror.changes()
    for change in changes:
        courier.deliver(change)
    return changes


def test_what_a_stage_needs_goes_there_and_only_that_stays(here, there, mirror, courier, job):
    for stage, step in (("parent", 7), ("parent", 5), ("third", 9), (job.stage, 8), ("other", 8)):
        states_of(here, stage).write(step, f"{stage} at {step}".encode(), origin_of(job))
    states_of(there, "old").write(3, b"of a Stage before", origin_of(job))
    mirror.fill(courier.pack(job))
    wanted = {"states/parent/7.state", "states/third/9.state", f"states/{job.stage}/8.state"}
    assert files_of(there) == {path: content for path, content in files_of(here).items() if path in wanted}
    assert mirror.changes() == []  # what was filled in, and what made room for it, is no news


def test_what_a_worker_keeps_and_removes_is_kept_and_removed_here(here, there, mirror, courier, job):
    states, kept = states_of(there, job.stage), states_of(here, job.stage)
    for step in (10, 20):
        states.write(step, b"a" * step, origin_of(job))
        assert all(isinstance(change, Written) for change in follow(courier, mirror))
    assert (kept.steps(), bytes(kept.read(20))) == ([20, 10], b"a" * 20)
    states.write(30, b"the third", origin_of(job))  # of the older ones the newest stays
    assert [type(change) for change in follow(courier, mirror)] == [Written, Removed]
    there.weights("trial").parent.mkdir()
    there.weights("trial").write_bytes(b"weights")
    follow(courier, mirror)
    assert here.weights("trial").read_bytes() == b"weights"
    assert files_of(here) == files_of(there)
    assert follow(courier, mirror) == []


def test_a_state_that_is_there_already_is_not_sent_again_unless_it_is_another_one_here(
    here, there, mirror, courier, job
):
    parent = job.model_copy(update={"stage": "parent"})
    states_of(there, "parent").write(7, b"trained there", origin_of(parent))
    states_of(there, job.stage).write(8, b"begun there", origin_of(job))
    follow(courier, mirror)
    states_of(here, job.stage).write(8, b"from another node", origin_of(job))
    packed = courier.pack(job)
    assert packed["states/parent/7.state"] is None
    assert packed[f"states/{job.stage}/8.state"].endswith(b"from another node")
    mirror.fill(packed)
    assert bytes(states_of(there, "parent").read(7)) == b"trained there"
    assert bytes(states_of(there, job.stage).read(8)) == b"from another node"
    assert set(courier.pack(job).values()) == {None}


def test_what_a_worker_prints_is_added_to_its_log_here(here, there, mirror, courier):
    log = there.folder / "worker-1.log"
    for text in ("one\n", "two\n"):
        with log.open("a") as file:
            file.write(text)
        assert [type(change) for change in follow(courier, mirror)] == [Printed]
    assert here.log(1).read_text() == "one\ntwo\n"


def test_a_file_that_goes_while_it_is_looked_at_was_never_there(there, mirror, job, monkeypatch):
    from sweep.run.executors import mirror as module

    states_of(there, job.stage).write(8, b"about to go", origin_of(job))

    def removed_first(path):
        path.unlink()
        raise FileNotFoundError

    with monkeypatch.context() as patch:
        patch.setattr(module, "read_file", removed_first)
        assert mirror.changes() == []
    assert mirror.changes() == []
