"""Which checkpoint is gone on from: never a damaged one, never another's, and no code in one ever runs."""

import errno
import io
import os
import pickle
import random
import subprocess

import pytest
import torch
from interrupted_stages import attempt, stages_states, train_in_parts
from small_stages import sha256, smoke_job, train
from torch import nn

from sweep.errors import Outcome
from sweep.store import durable
from sweep.store.states import StageStates
from sweep.train.checkpoint import Checkpoint, SoFar, State, UnusableState, decode_checkpoint
from sweep.train.keeper import Keeper, origin_of

CPU = torch.device("cpu")


def tiny_checkpoint(step):
    """Of a model with one weight, which is the step."""
    model = nn.Linear(1, 1, bias=False)
    with torch.no_grad():
        model.weight.fill_(step)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    return Checkpoint(State.capture(step, model, optimizer, CPU), SoFar(images=step))


@pytest.fixture
def states(tmp_path):
    return StageStates(tmp_path / "states" / "a stage")


@pytest.fixture
def kept(states):
    """The folder with the checkpoints of steps 400 and 450."""
    keeper = Keeper(states, 60.0)
    for step in (350, 400, 450):
        assert keeper.save(tiny_checkpoint(step), smoke_job())
    return states


def load(states):
    """The step that is gone on from (None: the start), and what the user is told."""
    told = []
    checkpoint = Keeper(states, 60.0, tell=told.append).load(0, 450)
    if checkpoint is not None:
        assert checkpoint.state.model["weight"].item() == checkpoint.state.step == checkpoint.so_far.images
    return checkpoint and checkpoint.state.step, told


def path_of(states, step):
    return states.folder / f"{step}.state"


def test_the_newest_is_taken(kept):
    assert load(kept) == (450, [])


def test_without_one_it_begins_at_the_start(states):
    assert load(states) == (None, [])
    assert states.is_begun


def test_a_cut_never_loads_wrong_values_and_the_one_before_is_used(kept):
    written = path_of(kept, 450).read_bytes()
    for cut in [*range(0, len(written), 7), len(written) - 1]:
        path_of(kept, 450).write_bytes(written[:cut])
        assert load(kept) == (400, ["checkpoint damaged, using the one before (step 400)"])


def test_200_flips_never_load_wrong_values(kept):
    written = path_of(kept, 450).read_bytes()
    positions = random.Random(0)
    for _ in range(200):
        flipped = bytearray(written)
        flipped[positions.randrange(len(written))] ^= 1 << positions.randrange(8)
        path_of(kept, 450).write_bytes(flipped)
        assert load(kept) == (400, ["checkpoint damaged, using the one before (step 400)"])


def test_with_both_damaged_it_begins_at_the_start(kept):
    for step in (400, 450):
        path_of(kept, step).write_bytes(b"\0" * 1000)
    assert load(kept) == (None, ["checkpoint damaged, checkpoint damaged, starting from the beginning"])
    assert load(kept) == (None, [])


def test_another_stages_is_not_taken(kept, tmp_path):
    other = StageStates(tmp_path / "states" / "another stage")
    other.begin()
    for step in (400, 450):
        path_of(kept, step).rename(path_of(other, step))
    step, [told] = load(other)
    assert step is None
    assert "of another stage" in told


def test_one_of_another_step_than_it_says_or_than_the_stage_has_is_not_taken(kept):
    kept.write(450, tiny_checkpoint(449).encode(), origin_of(smoke_job()))
    path_of(kept, 400).unlink()
    kept.write(451, tiny_checkpoint(451).encode(), origin_of(smoke_job()))
    step, [told] = load(kept)
    assert step is None
    assert told.count("of another stage") == 2


class Bomb:
    """Unpickled, it runs a command."""

    def __init__(self, trace):
        self.trace = trace

    def __reduce__(self):
        return subprocess.check_call, (["touch", str(self.trace)],)


@pytest.mark.parametrize("pack", ["pickle", "torch", "inside"])
def test_a_pickle_in_a_checkpoint_is_refused_and_its_code_never_runs(kept, tmp_path, pack):
    """Whoever can write the file can write its checksum too."""
    trace = tmp_path / "trace"
    if pack == "pickle":
        content = pickle.dumps(Bomb(trace), protocol=2)  # of a newer one torch warns as well
    else:
        buffer = io.BytesIO()
        checkpoint = tiny_checkpoint(450)
        state = vars(checkpoint.state) | {"optimizer": Bomb(trace)}
        torch.save(Bomb(trace) if pack == "torch" else {"state": state, "so_far": vars(checkpoint.so_far)}, buffer)
        content = buffer.getvalue()
    kept.write(450, content, origin_of(smoke_job()))
    assert load(kept) == (400, ["checkpoint refused (UnpicklingError), using the one before (step 400)"])
    assert not trace.exists()
    if pack == "pickle":  # it is a live one
        pickle.loads(content)
    else:
        torch.load(io.BytesIO(content), weights_only=False)
    assert trace.exists()


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", {}, {"state": {}, "so_far": {}}, [1], None, torch.zeros(2)])
def test_whatever_else_is_in_one_is_refused(content):
    if not isinstance(content, bytes):
        buffer = io.BytesIO()
        torch.save(content, buffer)
        content = buffer.getvalue()
    with pytest.raises(UnusableState, match="refused"):
        decode_checkpoint(content)


def test_a_stage_whose_newest_checkpoint_is_damaged_loses_only_what_lies_behind_the_one_before(tmp_path):
    whole = train(smoke_job())
    for step in (10, 20):
        attempt(smoke_job(), tmp_path, step)
    newest = stages_states(tmp_path, smoke_job()).folder / "20.state"
    newest.write_bytes(newest.read_bytes()[:-1])
    told = []
    again = attempt(smoke_job(), tmp_path, tell=told.append)
    assert told == ["checkpoint damaged, using the one before (step 10)"]
    assert sha256(again) == sha256(whole)
    assert (again.measurement.resumed_at, again.measurement.images) == ((10,), whole.measurement.images)


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_disk_that_is_full_for_a_while_is_a_warning_and_training_goes_on(tmp_path, monkeypatch, call):
    """At every third write: told when it begins, each time; the weights are as ever."""
    real, calls, told = getattr(os, call), [], []

    def fail_at_times(*arguments):
        calls.append(arguments)
        if len(calls) % 3 == 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(*arguments)

    monkeypatch.setattr(durable.os, call, fail_at_times)
    trained = attempt(smoke_job(), tmp_path, every_seconds=1e-9, tell=told.append)
    assert sha256(trained) == sha256(train(smoke_job()))
    assert len(told) > 5
    assert all(text.startswith("warning: no checkpoint can be written, and training goes on") for text in told)
    assert "disk full: needs about 1 MB in " in told[0]


def test_a_disk_that_stays_full_is_told_of_once(tmp_path, monkeypatch):
    def fail(*arguments):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(durable.os, "fsync", fail)
    told = []
    trained = attempt(smoke_job(), tmp_path, every_seconds=1e-9, tell=told.append)
    assert trained.outcome is Outcome.FINISHED
    assert len(told) == 1
    assert stages_states(tmp_path, smoke_job()).steps() == []
    stopped = attempt(smoke_job(), tmp_path, 10)
    assert (stopped.outcome, stopped.reason) == (Outcome.INTERRUPTED, "interrupted")


def test_a_file_in_the_way_of_the_checkpoints_is_a_warning_too(tmp_path):
    (tmp_path / "results").write_text("a file")
    told = []
    trained = attempt(smoke_job(), tmp_path / "results", every_seconds=1e-9, tell=told.append)
    assert sha256(trained) == sha256(train(smoke_job()))
    assert len(told) == 1


def small_disk(folder):
    """A file system of 512 KB, where this user may mount one."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", folder]
    return subprocess.run(command, stderr=subprocess.DEVNULL).returncode == 0


def test_a_real_disk_that_is_too_small_costs_only_the_checkpoints(tmp_path):
    disk = tmp_path / "disk"
    if not small_disk(disk):
        pytest.skip("needs to mount a tmpfs, as root may")
    try:
        told = []
        (disk / "filling").write_bytes(b"\0" * 500_000)
        parts = attempt(smoke_job(), disk, every_seconds=1e-9, tell=told.append)
        assert sha256(parts) == sha256(train(smoke_job()))
        assert len(told) == 1
        assert "disk full: needs about 1 MB in " in told[0]
        assert stages_states(disk, smoke_job()).steps() == []
        (disk / "filling").unlink()
        parts = train_in_parts(smoke_job(), disk, (10, 20, 30))
        assert sha256(parts) == sha256(train(smoke_job()))
        assert parts.measurement.resumed_at == (10, 20, 30)
    finally:
        subprocess.run(["umount", disk], check=True)
