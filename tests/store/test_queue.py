"""What is out, and what was left: found whole, or not at all."""

import pytest

from sweep.errors import MachineError
from sweep.store.queue import Note, Outbox, Queue, QueuedJob, Slip, Ticket, Unreadable, is_out
from sweep.store.records import PrepareJob
from sweep.store.workspace import Workspace

SLIP = Slip("0123456789abcdef", 2)
TICKET = Ticket(name=SLIP.name, attempt=2)
JOB = QueuedJob(prepare=PrepareJob(recipe={}, device="cpu", threads=1), work=None, stall_timeout=60.0)


@pytest.fixture
def workspace(tmp_path):
    return Workspace(tmp_path / "smoke")


@pytest.fixture
def queue(workspace):
    return Queue.of(workspace)


@pytest.fixture
def outbox(workspace):
    return Outbox.of(workspace)


def damage(folder, pattern):
    [path] = folder.glob(pattern)
    content = bytearray(path.read_bytes())
    content[-2] ^= 1
    path.write_bytes(content)


def test_what_is_put_is_found_and_what_is_removed_is_gone(queue):
    assert (queue.tickets(), queue.ticket(SLIP.name)) == ([], None)
    queue.put(TICKET, JOB)
    assert queue.tickets() == [TICKET]
    assert queue.job(SLIP) == JOB
    queue.note(TICKET.model_copy(update={"job_id": "7"}))
    assert queue.ticket(SLIP.name).job_id == "7"
    queue.remove(SLIP.name)
    assert list(queue.folder.iterdir()) == []


def test_a_new_attempt_takes_the_place_of_the_old_one(queue):
    queue.put(TICKET, JOB)
    queue.put(Ticket(name=SLIP.name, attempt=3), JOB)
    assert [ticket.attempt for ticket in queue.tickets()] == [3]
    with pytest.raises(MachineError, match="cannot be read"):
        queue.job(SLIP)


def test_a_damaged_ticket_is_none_and_a_damaged_job_an_error(queue):
    queue.put(TICKET, JOB)
    damage(queue.folder, "*.job")
    with pytest.raises(MachineError, match="damaged"):
        queue.job(SLIP)
    damage(queue.folder, "*.ticket")
    assert queue.tickets() == []


def test_an_answer_is_found_whole_or_is_unreadable(outbox):
    outbox.leave(SLIP, b"all\nof it")
    assert (outbox.answered(), outbox.answer(SLIP), outbox.is_answered(SLIP)) == ([SLIP], b"all\nof it", True)
    damage(outbox.folder, "*.answer")
    with pytest.raises(Unreadable, match="damaged"):
        outbox.answer(SLIP)
    outbox.discard(SLIP)
    assert outbox.answered() == []
    with pytest.raises(Unreadable, match="No such file"):
        outbox.answer(SLIP)


def test_progress_says_whose_job_it_is_from_its_beginning_on(outbox):
    assert outbox.progress(SLIP) is None
    outbox.note(SLIP, Note("7"))
    assert outbox.progress(SLIP) == Note("7", b"")
    outbox.note(SLIP, Note("7", b"step 3\n"))
    assert outbox.progress(SLIP) == Note("7", b"step 3\n")
    damage(outbox.folder, "*.progress")
    assert outbox.progress(SLIP) is None


def test_names_that_are_nobodys_are_left_alone(outbox):
    outbox.leave(SLIP, b"an answer")
    for name in ("notes.txt", "x.answer", "-1.answer", f".{SLIP}.answer.tmp"):
        (outbox.folder / name).write_text("?")
    assert outbox.answered() == [SLIP]


def test_jobs_are_out_while_a_stage_is_and_was_not_told_to_stop(workspace, queue):
    queue.put(Ticket(name="~prepare", attempt=1), JOB)
    assert not is_out(workspace)
    queue.put(TICKET, JOB)
    assert is_out(workspace)
    queue.note(TICKET.model_copy(update={"is_to_stop": True}))
    assert not is_out(workspace)


def test_a_link_in_the_place_of_a_folder_is_refused(workspace, tmp_path):
    workspace.folder.mkdir()
    for folder in (workspace.queue, workspace.outbox):
        folder.symlink_to(tmp_path)
        with pytest.raises(MachineError, match="is a link"), workspace.locked():
            pass
        folder.unlink()
