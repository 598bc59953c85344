"""Stages that end together are written down together, before any of them is told of."""

import errno
import os
import signal
from collections import Counter

import pytest
from fake_executor import FakeExecutor, run
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sweep.errors import MachineError, Outcome
from sweep.events import Progress, StageEnded, TrialEnded
from sweep.run.messages import Progressed, StageDone
from sweep.store import durable
from sweep.store.journal import replay
from sweep.store.records import StageRecord

RATIOS = "0.25,0.5,0.75,1.0"


@pytest.fixture
def journal(tmp_path):
    return tmp_path / "smoke" / "journal.jsonl"


@pytest.fixture
def synced(journal, monkeypatch):
    """What was in the journal each time that it was on the disk for sure."""
    contents, fsync = [], os.fsync

    def noted(descriptor):
        fsync(descriptor)
        if journal.exists() and os.path.samestat(os.fstat(descriptor), journal.stat()):
            contents.append(journal.read_bytes())

    monkeypatch.setattr(durable.os, "fsync", noted)
    return contents


def stage_records(journal):
    return [record for record in replay(journal).records if isinstance(record, StageRecord)]


@pytest.mark.parametrize(("capacity", "num_groups"), [(1, 8), (4, 2), (8, 1)])
def test_stages_that_end_together_share_one_fsync(tmp_path, journal, synced, capacity, num_groups):
    executor = FakeExecutor(capacity=capacity, answers_together=True)
    assert run(tmp_path, executor, ratios=RATIOS, seeds=2).is_complete
    assert len(synced) == 1 + num_groups  # the start is the first
    assert len(stage_records(journal)) == 8


def test_none_is_told_of_before_all_are_on_the_disk(tmp_path, synced):
    told = []

    def tell(event):
        if isinstance(event, StageEnded | TrialEnded):
            told.append(event)
        if isinstance(event, StageEnded):
            assert event.stage.encode() in synced[-1].split(b"\n", 1)[1]

    run(tmp_path, FakeExecutor(capacity=4, answers_together=True), tell, ratios=RATIOS)
    assert [type(event) for event in told] == [StageEnded, TrialEnded] * 4


def test_where_the_disk_fails_nothing_of_the_group_is_told_of_or_kept(tmp_path, journal, monkeypatch):
    events = []
    with monkeypatch.context() as patched:
        fsync, num_appends = os.fsync, Counter()

        def fail_at_the_second(descriptor):
            num_appends["journal"] += journal.exists() and os.path.samestat(os.fstat(descriptor), journal.stat())
            if num_appends["journal"] == 3:  # the start, one group, and another
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            fsync(descriptor)

        patched.setattr(durable.os, "fsync", fail_at_the_second)
        with pytest.raises(MachineError, match="disk full") as caught:
            run(tmp_path, FakeExecutor(capacity=2, answers_together=True), events.append, ratios=RATIOS)
    assert caught.value.exit_code == 3
    told = [event.stage for event in events if isinstance(event, StageEnded)]
    assert [record.stage for record in stage_records(journal)] == told
    assert len(told) == 2
    again = FakeExecutor(capacity=2, answers_together=True)
    assert run(tmp_path, again, ratios=RATIOS).is_complete
    assert len(again.submitted) == 2


class Grouping(FakeExecutor):
    """Says with each message whether another has come with it: `together` holds what it answers, the last one first."""

    def __init__(self, together, **options):
        super().__init__(**options, answers_together=True)
        self.together = list(together)

    def receive(self, timeout_seconds):
        if timeout_seconds == 0 and not (self.together.pop() if self.together else False):
            return None
        return super().receive(timeout_seconds)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(together=st.lists(st.booleans(), max_size=12), capacity=st.integers(1, 5), crashes=st.booleans())
def test_however_messages_are_grouped_the_same_is_written_down(
    tmp_path_factory, monkeypatch, together, capacity, crashes
):
    monkeypatch.setattr(durable.os, "fsync", lambda descriptor: None)
    found = []
    for grouped in ([], together):
        folder = tmp_path_factory.mktemp("sweep")
        endings = {(92, 0): [Outcome.CRASHED, Outcome.FINISHED], (138, 0): Outcome.FAILED} if crashes else {}
        executor = Grouping(grouped, capacity=capacity, endings=endings)
        run(folder, executor, ratios=RATIOS, seeds=2, retries=1, settings=("lr_scheduler=wsd", "min_shared_steps=1"))
        records = stage_records(folder / "smoke" / "journal.jsonl")
        found.append(sorted(record.model_dump_json() for record in records))
    assert found[0] == found[1]


class Talking(FakeExecutor):
    """A Worker that tells of its progress without end, until it is asked to stop."""

    def receive(self, timeout_seconds):
        self.on_receive()
        job = self.waiting[0]
        if self.was_asked_to_stop:
            self.waiting.popleft()
            return StageDone(stage=job.stage, outcome=Outcome.INTERRUPTED, reason="interrupted")
        progress = Progress(stage=job.stage, steps_done=1, epoch=0.1, loss=None, accuracy=None, images_per_second=None)
        return Progressed(progress=progress)


def test_who_talks_without_end_keeps_nobody_from_stopping_the_sweep(tmp_path):
    calls = Counter()

    def interrupt():
        calls["receive"] += 1
        if calls["receive"] == 1:
            os.kill(os.getpid(), signal.SIGINT)

    executor = Talking(on_receive=interrupt)
    assert run(tmp_path, executor, ratios="0.25").stopped_by == signal.SIGINT
    assert executor.was_asked_to_stop
