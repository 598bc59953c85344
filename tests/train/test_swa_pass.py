"""What SWA deploys at the end of a run: its pass over the data is training time, and part of no state."""

from threading import Event

import pytest
import torch
from interrupted_stages import attempt, stages_states
from slow_tasks import slowed
from small_stages import sha256, smoke_job, smoke_task, train

from sweep.api import run_request
from sweep.errors import Outcome
from sweep.request import SweepRequest
from sweep.run.executors.inline import InlineExecutor
from sweep.train.checkpoint import decode_checkpoint
from sweep.train.keeper import Keeper
from sweep.train.learner import Learner
from sweep.train.loop import train_stage

SWA = ("swa=true",)
STEPS = (30, 40)


def swa_job(**fields):
    return smoke_job(*SWA, **{"swa_steps": STEPS, "kept_steps": (46,), "eval_steps": (23, 46)} | fields)


def test_the_pass_is_training_time_and_reads_an_epoch_of_data(hands):
    """The batches, the order and the draws of an epoch; what it takes on the way is nothing here."""
    without = train(swa_job(swa_steps=()), slowed(smoke_task(*SWA), hands)).measurement
    measured = train(swa_job(), slowed(smoke_task(*SWA), hands)).measurement
    an_epoch = 0.125 + 0.25 + 1
    assert measured.data_wait_seconds == without.data_wait_seconds + an_epoch
    assert measured.train_seconds == without.train_seconds + an_epoch
    assert measured.eval_seconds == without.eval_seconds
    assert measured.images == without.images == 2 * 1442


def test_where_nothing_was_averaged_the_weights_are_the_plain_ones():
    without = train(swa_job(swa_steps=()), smoke_task(*SWA))
    assert sha256(without) == sha256(train(smoke_job(), smoke_task()))


def test_evaluations_on_the_way_are_of_the_plain_weights_and_the_last_one_of_the_average():
    plain = train(smoke_job(eval_steps=(23, 35, 46)), smoke_task()).measurement.evaluations
    averaged = train(swa_job(eval_steps=(23, 35, 46)), smoke_task(*SWA)).measurement.evaluations
    assert averaged.loss[:2] == plain.loss[:2]
    assert averaged.loss[2] != plain.loss[2]


def test_a_stage_that_ends_no_run_deploys_nothing():
    plain = train(smoke_job(eval_steps=(46,)), smoke_task())
    trunk = train(swa_job(is_end=False), smoke_task(*SWA))
    assert sha256(trunk) == sha256(plain)


def test_the_state_at_the_end_is_that_of_the_run_without_its_pass():
    ended, trunk = (train(swa_job(is_end=is_end), smoke_task(*SWA)).state for is_end in (True, False))
    torch.testing.assert_close(dict(ended.model), dict(trunk.model), rtol=0, atol=0)
    assert ended.parts["swa"]["count"] == 2
    torch.testing.assert_close(dict(ended.parts["swa"]["module"]), dict(trunk.parts["swa"]["module"]), rtol=0, atol=0)
    assert torch.equal(ended.cpu_generator, trunk.cpu_generator)


def stopped_in_the_pass(task, monkeypatch):
    """`task`, asked to stop while the pass reads its data."""
    averaged = Learner.averaged

    def interrupted(self, inputs):
        for _ in range(3):
            next(inputs)
        task.stop.set()
        return averaged(self, inputs)

    monkeypatch.setattr(Learner, "averaged", interrupted)


def test_a_pass_that_is_interrupted_is_done_again_and_counted_once(tmp_path, monkeypatch, hands):
    whole = train(swa_job(), slowed(smoke_task(*SWA), hands))
    task = slowed(smoke_task(*SWA), hands)
    task.stop = Event()
    with monkeypatch.context() as patch:
        stopped_in_the_pass(task, patch)
        keeper = Keeper(stages_states(tmp_path, swa_job()), 1e9, task.stop)
        stopped = train_stage(swa_job(), task, lambda progress: None, 1, keeper)
    assert (stopped.outcome, stopped.reason) == (Outcome.INTERRUPTED, "interrupted; goes on at step 46")
    again = attempt(swa_job(), tmp_path, task=slowed(smoke_task(*SWA), hands))
    assert sha256(again) == sha256(whole)
    for name in ("train_seconds", "data_wait_seconds", "evaluations", "images", "steps"):
        assert getattr(again.measurement, name) == getattr(whole.measurement, name)


def test_a_run_that_was_saved_behind_its_evaluation_deploys_the_same_weights_at_no_cost(tmp_path, hands):
    """The state at its end was written, and its record was not."""
    first = attempt(swa_job(), tmp_path, task=slowed(smoke_task(*SWA), hands))
    [content] = [stages_states(tmp_path, swa_job()).read(46)]
    assert decode_checkpoint(content).so_far.train_seconds == first.measurement.train_seconds
    again = attempt(swa_job(), tmp_path, task=slowed(smoke_task(*SWA), hands))
    assert sha256(again) == sha256(first)
    assert again.measurement.train_seconds == first.measurement.train_seconds
    assert again.measurement.evaluations == first.measurement.evaluations


@pytest.mark.parametrize("share", [True, False])
def test_a_run_within_a_longer_one_has_its_own_end(share, tmp_path):
    """The longer one's control and its costs hold nothing of the shorter one's pass."""
    settings = ("epochs=4", "min_shared_steps=1", "lr_scheduler=constantlr", "lr_warmup_epochs=0", *SWA)
    settings += ("swa_start=0.5ep", "swa_interval=5ba", "swa_end=30ba")
    request = SweepRequest("smoke", "0.5,1", 1, "steps", results=tmp_path, settings=settings, share=share)
    done = run_request(request, make_executor=lambda *placed: InlineExecutor())
    assert done.is_complete
    plain = train(smoke_job(*settings, rates=[0.1] * 46), smoke_task(*settings))
    results = {result.entry.ratio: result for result in done.history.results}
    assert results["0.5"].truncated_quality == plain.measurement.evaluations.accuracy[0]
    assert done.plan.num_steps == (45 + 1 + 47 if share else 46 + 92)
