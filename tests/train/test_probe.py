"""Steps that are trained for nothing: they take time, and leave no trace."""

import pytest
import torch
from small_stages import DrawingTask, smoke_job, smoke_task

from sweep.train import loop, probe
from sweep.train.generators import read_generators
from sweep.train.loop import train_stage
from sweep.train.probe import Probe


def test_a_burst_is_of_one_step_at_least_and_gives_the_mean(monkeypatch):
    stepped = []
    step = loop._step
    monkeypatch.setattr(loop, "_step", lambda run: stepped.append(run.step) or step(run))
    probed = Probe(smoke_job(), smoke_task())
    assert probed.step_seconds(0.0) > 0
    assert stepped == [0]
    assert 0 < probed.step_seconds(0.05) <= 0.5
    assert len(stepped) > 1


def test_a_stage_that_is_at_its_end_begins_again(monkeypatch):
    stepped = []
    step = loop._step
    monkeypatch.setattr(loop, "_step", lambda run: stepped.append(run.step) or step(run))
    probed = Probe(smoke_job(num_steps=3), smoke_task())
    for _ in range(7):
        probed.step_seconds(0.0)
    assert stepped == [0, 1, 2, 0, 1, 2, 0]
    probed.close()


@pytest.mark.parametrize("num_steps", [1, 2])
def test_one_whose_loss_is_not_finite_goes_on_all_the_same(monkeypatch, num_steps):
    stepped = []
    step = loop._step
    monkeypatch.setattr(loop, "_step", lambda run: stepped.append(run.step) or step(run) * float("nan"))
    probed = Probe(smoke_job(num_steps=num_steps), smoke_task())
    for count in range(1, 8):
        assert len(stepped) == count - 1  # each of them is counted
        probed.step_seconds(0.0)


def test_it_leaves_the_generators_and_what_is_trained_after_it_as_they_were():
    task, job = smoke_task(kind=DrawingTask), smoke_job()
    alone = train_stage(job, task, lambda progress: None, 0).measurement.weights_sha256
    torch.manual_seed(7)
    before = read_generators()
    probed = Probe(job, task)
    probed.step_seconds(0.05)
    after = read_generators()
    assert torch.equal(before[0], after[0])
    assert before[2] == after[2]
    assert (before[1]["state"]["key"] == after[1]["state"]["key"]).all()
    assert train_stage(job, task, lambda progress: None, 0).measurement.weights_sha256 == alone
    probed.close()


def test_the_device_is_waited_for_before_either_reading_of_the_clock(monkeypatch):
    waited = []
    probed = Probe(smoke_job(), smoke_task())
    monkeypatch.setattr(probe, "synchronize", waited.append)
    probed.step_seconds(0.0)
    assert waited == [torch.device("cpu")] * 2
