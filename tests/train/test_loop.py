"""One Stage: equal bit for bit whatever is done beside the steps, honest about time, and stopped when it diverges."""

import math
from collections import Counter

import numpy as np
import pytest
import torch
from plain_loop import train_plainly
from slow_tasks import slowed
from small_stages import DrawingTask, curve, digits, sha256, smoke_job, smoke_recipe, smoke_task, spiked, train
from torch.overrides import TorchFunctionMode

from sweep.api import run_request
from sweep.errors import Outcome
from sweep.request import SweepRequest
from sweep.run.executors.inline import InlineExecutor
from sweep.store.records import decode_rates
from sweep.train import data, loop, warm_up
from sweep.train.loop import READ_EVERY, start_stage, train_steps, weights_sha256
from sweep.train.task import ImageTask

EPOCH = 23  # steps of an epoch of smoke


class RecordingTask(ImageTask):
    """Keeps the model, the examples of every batch, and every evaluation."""

    def __init__(self, recipe, data):
        super().__init__(recipe, data)
        self.seen_examples = []
        self.evaluations = []
        self._made = []  # the examples of batches that are still to come: several can be made at once
        batch = self.source.batch

        def recorded(examples, draws):
            self._made += examples.tolist()
            return batch(examples, draws)

        self.source.batch = recorded

    def batches(self, *span):
        for images, labels in super().batches(*span):
            self.seen_examples.append(self._made[: len(labels)])
            del self._made[: len(labels)]
            yield images, labels

    def build_model(self, seed):
        self.model = super().build_model(seed)
        return self.model

    def evaluate(self, model, *note_progress):
        self.evaluations.append(super().evaluate(model, *note_progress))
        return self.evaluations[-1]


@pytest.fixture
def no_warm_up(monkeypatch):
    monkeypatch.setattr(warm_up, "_batches", lambda *arguments: ())


# Equal bit for bit


def test_training_twice_gives_the_same_weights_and_evaluations():
    first, second = train(smoke_job()), train(smoke_job())
    assert sha256(first) == sha256(second)
    assert first.measurement.evaluations == second.measurement.evaluations


def test_another_seed_gives_other_weights():
    assert sha256(train(smoke_job(seed=0))) != sha256(train(smoke_job(seed=1)))


@pytest.mark.parametrize("kind", [ImageTask, DrawingTask])
@pytest.mark.parametrize("eval_steps", [(23, 46), (1, 10, 22, 24, 45, 46), tuple(range(1, 47))])
def test_evaluating_on_the_way_changes_nothing(kind, eval_steps):
    once = train(smoke_job(), smoke_task(kind=kind))
    often = train(smoke_job(eval_steps=eval_steps), smoke_task(kind=kind))
    assert often.measurement.evaluations.steps == eval_steps
    assert curve(often.measurement.evaluations)[-1:] == curve(once.measurement.evaluations)
    assert sha256(often) == sha256(once)


@pytest.mark.parametrize("kind", [ImageTask, DrawingTask])
def test_an_evaluation_on_the_way_sees_what_a_run_that_ends_there_has_reached(kind):
    rates = decode_rates(smoke_job().rates)
    shorter = train(smoke_job(num_steps=30, rates=rates[:30]), smoke_task(kind=kind))
    longer = train(smoke_job(eval_steps=(30, 46)), smoke_task(kind=kind))
    assert curve(longer.measurement.evaluations)[:1] == curve(shorter.measurement.evaluations)


def test_warm_up_steps_leave_no_trace(monkeypatch):
    hashes, states = set(), []
    for steps in (0, 1, 5):
        monkeypatch.setattr(warm_up, "_NUM_STEPS", steps)
        hashes.add(sha256(train(smoke_job(), smoke_task(kind=DrawingTask))))
        states.append(torch.get_rng_state())
    assert len(hashes) == 1
    assert all(torch.equal(state, states[0]) for state in states)


def test_what_was_trained_before_leaves_no_trace():
    task = smoke_task(kind=DrawingTask)
    alone = sha256(train(smoke_job(), task))
    train(smoke_job(seed=5), task)
    torch.rand(3)
    assert sha256(train(smoke_job(), task)) == alone


def test_steps_take_the_batches_of_their_own_epochs(no_warm_up):
    task = smoke_task(kind=RecordingTask)
    train(smoke_job(eval_steps=(10, 30, 46)), task)
    orders = [task.source.order(0, epoch, 1442).tolist() for epoch in (0, 1)]
    assert task.seen_examples == [order[first : first + 64] for order in orders for first in range(0, 1442, 64)]


def test_a_stage_that_starts_in_mid_epoch_takes_the_batches_from_there(no_warm_up):
    whole, part = smoke_task(kind=RecordingTask), smoke_task(kind=RecordingTask)
    train(smoke_job(), whole)
    done = train(smoke_job(num_steps=40, start_step=30, rates=[0.1] * 10, eval_steps=(35, 40)), part)
    assert part.seen_examples == whole.seen_examples[30:40]
    assert (done.measurement.steps, done.measurement.images) == (10, 640)


@pytest.mark.parametrize("start_step", [0, 30])
def test_a_rate_belongs_to_its_own_step(start_step):
    """One step at full rate among steps at none moves the weights wherever it stands, each time to other ones."""

    def parameters(rates):
        task = smoke_task("opt=sgd", "momentum=0", kind=RecordingTask)
        train(smoke_job(num_steps=start_step + 10, start_step=start_step, rates=rates), task)
        return torch.cat([parameter.flatten() for parameter in task.model.parameters()])

    still = parameters([0.0] * 10)
    assert torch.equal(still, torch.cat([p.flatten() for p in smoke_task().build_model(0).parameters()]))
    moved = [parameters([0.1 if step == k else 0.0 for step in range(10)]) for k in (0, 4, 9)]
    assert all(not torch.equal(weights, other) for i, weights in enumerate(moved) for other in [still, *moved[:i]])


def test_what_a_stage_has_cost_in_steps_and_images_is_counted():
    measurement = train(smoke_job(num_steps=EPOCH + 2)).measurement
    assert (measurement.steps, measurement.images) == (EPOCH + 2, 1442 + 2 * 64)


def test_the_hash_covers_every_tensor_of_the_model_the_buffers_too():
    model = smoke_task().build_model(0)
    hashes = {weights_sha256(model)}
    for tensor in model.state_dict().values():
        tensor.view(-1)[-1] += 1
        hashes.add(weights_sha256(model))
    assert len(hashes) == 1 + len(model.state_dict())


def test_two_runs_that_advance_in_turn_train_what_each_trains_alone():
    """What a benchmark does: a step of one, a step of the other."""
    seeds = (0, 1)
    runs = [start_stage(smoke_job(seed=seed), smoke_task(), lambda progress: None) for seed in seeds]
    steps = [train_steps(run, 46) for run in runs]
    done = [tuple(next(run_steps) for run_steps in steps) for _ in range(46)]
    assert done == [(step, step) for step in range(1, 47)]
    assert [next(run_steps, None) for run_steps in steps] == [None, None]
    assert [weights_sha256(run.model) for run in runs] == [sha256(train(smoke_job(seed=seed))) for seed in seeds]


def test_the_batches_are_given_up_when_a_stage_ends_however_it_ends(no_warm_up):
    closed = []

    class Watched(ImageTask):
        def batches(self, *span):
            try:
                yield from super().batches(*span)
            finally:
                closed.append(span)

    train(smoke_job(), smoke_task(kind=Watched))
    train(smoke_job(num_steps=120, rates=spiked(60)), smoke_task(kind=Watched))
    with pytest.raises(IndexError):
        train(smoke_job(rates=[0.1]), smoke_task(kind=Watched))
    assert closed == [(0, 1442, 0, 46), (0, 1442, 0, 120), (0, 1442, 0, 46)]


# Divergence


@pytest.mark.parametrize("spike", [0, READ_EVERY - 2, READ_EVERY - 1, READ_EVERY, 70, 118])
def test_a_stage_diverges_at_the_first_step_whose_loss_is_not_finite(spike):
    rates = spiked(spike)
    plain = train_plainly(smoke_recipe(), digits(), rates, seed=0, num_examples=1442)
    eval_steps = tuple(range(3, 121, 3))
    trained = train(smoke_job(num_steps=120, rates=rates, eval_steps=eval_steps))
    bad = plain.first_bad_step
    assert bad is not None
    assert bad > spike
    assert (trained.outcome, trained.reason) == (Outcome.DIVERGED, f"diverged at step {bad}")
    assert trained.measurement.weights_sha256 is None
    assert bad < trained.measurement.steps <= bad + 50
    assert trained.measurement.evaluations.steps == tuple(step for step in eval_steps if step <= bad)


def test_a_loss_that_is_not_finite_after_the_last_step_is_found_by_the_last_evaluation():
    rates = spiked(spike=45, num_steps=46)
    plain = train_plainly(smoke_recipe(), digits(), rates, seed=0, num_examples=1442)
    assert plain.first_bad_step is None
    trained = train(smoke_job(rates=rates, eval_steps=(23, 46)))
    assert (trained.outcome, trained.reason) == (Outcome.DIVERGED, "diverged at step 45")
    assert trained.measurement.steps == 46
    assert trained.measurement.evaluations.steps == (23,)
    assert trained.measurement.weights_sha256 is None


def test_an_evaluation_on_the_way_that_is_not_finite_does_not_end_a_stage():
    """It is kept without a loss: only what training itself computes, or the final weights, can say that it diverged."""

    class Stumbling(ImageTask):
        def evaluate(self, model, *note_progress):
            values = super().evaluate(model, *note_progress)
            self.seen = getattr(self, "seen", 0) + 1
            return values | {"loss": math.inf} if self.seen == 1 else values

    trained = train(smoke_job(eval_steps=(23, 46)), smoke_task(kind=Stumbling))
    assert trained.outcome is Outcome.FINISHED
    assert [loss is None for loss in trained.measurement.evaluations.loss] == [True, False]


def test_a_trial_that_diverged_has_no_accuracy(tmp_path):
    request = SweepRequest("smoke", "0.5,1", results=tmp_path, settings=("lr=1e30",))
    run = run_request(request, make_executor=lambda *placed: InlineExecutor())
    assert not run.is_complete
    for result in run.history.results:
        assert result.outcome is Outcome.DIVERGED
        assert result.reason.startswith("diverged at step ")
        assert (result.accuracy, result.loss, result.weights_sha256, result.train_seconds) == (None,) * 4


# Waiting for the device


class Readings(TorchFunctionMode):
    """Counts what makes the host wait for a device: whatever takes a tensor's values out of it."""

    METHODS = frozenset(("tolist", "item", "cpu", "numpy", "nonzero", "equal"))
    OPERATORS = frozenset(("__bool__", "__float__", "__int__", "__index__", "__array__", "__repr__", "__format__"))

    def __init__(self):
        super().__init__()
        self.counted = Counter()
        self.pauses = 0

    def __torch_function__(self, function, types, args=(), kwargs=None):
        name = getattr(function, "__name__", "")
        if name in self.METHODS | self.OPERATORS and not self.pauses:
            self.counted[name] += 1
        return function(*args, **(kwargs or {}))

    def unseen(self, function):
        """`function`, whose own readings are not counted."""

        def call(*args):
            self.pauses += 1
            try:
                return function(*args)
            finally:
                self.pauses -= 1

        return call


def test_the_counter_of_readings_sees_every_way_to_read():
    tensor = torch.ones(1)
    ways = (
        torch.Tensor.tolist,
        torch.Tensor.item,
        torch.Tensor.cpu,
        torch.Tensor.numpy,
        bool,
        float,
        int,
        math.isfinite,
    )
    with Readings() as readings:
        for way in ways:
            way(tensor)
    assert readings.counted.total() == len(ways)


@pytest.mark.parametrize("num_steps", [46, READ_EVERY, 120, 150])
def test_training_reads_from_the_device_once_in_fifty_steps(monkeypatch, num_steps):
    readings = Readings()
    task = smoke_task("hflip_prob=0.5")
    monkeypatch.setattr(task, "evaluate", readings.unseen(task.evaluate))
    monkeypatch.setattr(loop, "weights_sha256", readings.unseen(weights_sha256))
    job = smoke_job(num_steps=num_steps, eval_steps=(*range(7, num_steps, 7), num_steps))
    with readings:
        trained = train(job, task)
    assert trained.outcome is Outcome.FINISHED
    assert 1 <= readings.counted.total() <= num_steps / 50 + 1
    assert readings.counted["tolist"] == math.ceil(num_steps / READ_EVERY)


# Time, by a clock that only a test moves


@pytest.fixture
def slow_task(hands):
    return slowed(smoke_task(), hands)


class OverwritingTask(ImageTask):
    """Writes over the loss that it gave before, as what is compiled with CUDA graphs does."""

    _given = None

    def loss(self, logits, labels):
        if self._given is not None:
            self._given.fill_(math.nan)
        loss = super().loss(logits, labels)
        self._given = loss.detach()
        return loss


def test_a_loss_that_its_task_writes_over_later_is_read_as_it_was():
    assert train(smoke_job(num_steps=5), smoke_task(kind=OverwritingTask)).outcome is Outcome.FINISHED


def test_every_batch_is_progress_of_training_and_of_evaluation(hands, monkeypatch):
    """Each takes a second: of ten steps the first is told of at once, and of the evaluation's four batches each is."""
    monkeypatch.setattr(data, "_EVAL_BATCH_SIZE", 100)
    task, told = slowed(smoke_task(), hands, {"loss": 1}), []
    evaluation_batches = task.source.evaluation_batches

    def slow_batches():
        for batch in evaluation_batches():
            hands.seconds += 1
            yield batch

    task.source.evaluation_batches = slow_batches
    train(smoke_job(num_steps=10), task, told.append)
    assert [progress.steps_done for progress in told] == [*range(1, 11), 10, 10, 10, 10]
    assert {progress.accuracy for progress in told} == {None}


def test_each_second_is_counted_where_it_belongs_and_once(slow_task, hands):
    """Two epochs: their orders and draws, and their batches, which are small enough to be made at once; 46 losses; two
    evaluations; the rest is start-up.
    """
    begun = hands.seconds
    measurement = train(smoke_job(eval_steps=(23, 46)), slow_task).measurement
    waiting = 2 * (0.125 + 0.25 + 1)
    assert measurement.data_wait_seconds == waiting
    assert measurement.train_seconds == waiting + 46 * 100
    assert measurement.eval_seconds == 2 * 100_000
    assert measurement.startup_seconds >= 10_000_000
    assert measurement.startup_seconds + measurement.train_seconds + measurement.eval_seconds == hands.seconds - begun


def test_evaluating_after_every_epoch_costs_no_training_time(slow_task):
    seldom = train(smoke_job(), slow_task).measurement
    often = train(smoke_job(eval_steps=(23, 46)), slow_task).measurement
    assert often.train_seconds == seldom.train_seconds
    assert often.eval_seconds == 2 * seldom.eval_seconds


def test_training_time_ends_when_the_device_is_done(slow_task, hands, monkeypatch):
    """What is still under way at the last step, or from the warm-up, is waited for before the clock is read."""
    without = train(smoke_job(eval_steps=(23, 46)), slow_task).measurement

    def wait(device):
        hands.seconds += 0.5

    monkeypatch.setattr(loop, "synchronize", wait)
    warm_up._warm.clear()
    measurement = train(smoke_job(eval_steps=(23, 46)), slow_task).measurement
    assert measurement.train_seconds == without.train_seconds + 2 * 0.5
    assert measurement.eval_seconds == without.eval_seconds
    assert measurement.startup_seconds == without.startup_seconds + 0.5


def test_warm_up_steps_are_no_training_time(slow_task, monkeypatch):
    measurements = []
    for steps in (0, 4):
        monkeypatch.setattr(warm_up, "_NUM_STEPS", steps)
        warm_up._warm.clear()
        measurements.append(train(smoke_job(), slow_task).measurement)
    without, with_warm_up = measurements
    assert with_warm_up.train_seconds == without.train_seconds
    assert with_warm_up.startup_seconds > without.startup_seconds


def test_what_was_trained_before_it_diverged_is_counted(slow_task):
    measurement = train(smoke_job(num_steps=120, rates=spiked(10)), slow_task).measurement
    assert measurement.steps == READ_EVERY
    assert measurement.train_seconds >= READ_EVERY * 100
    assert measurement.eval_seconds == 0


def test_progress_is_told_with_the_epoch_the_loss_read_last_and_the_speed(slow_task):
    told = []
    train(smoke_job(num_steps=2 * EPOCH + 10, eval_steps=(EPOCH, 2 * EPOCH + 10)), slow_task, told.append)
    of_evaluations = [told.pop(EPOCH), told.pop()]
    assert [progress.steps_done for progress in of_evaluations] == [EPOCH, 2 * EPOCH + 10]
    assert [progress.steps_done for progress in told] == list(range(1, 2 * EPOCH + 11))
    assert told[EPOCH - 1].epoch == 1
    assert told[2 * EPOCH - 1].epoch == 2
    assert [progress.accuracy is None for progress in told] == [True] * EPOCH + [False] * (EPOCH + 10)
    assert {progress.loss for progress in told[: READ_EVERY - 1]} == {None}
    assert all(math.isfinite(progress.loss) for progress in told[READ_EVERY - 1 :])
    assert told[9].images_per_second == 640 / (0.125 + 0.25 + 1 + 10 * 100)


def test_progress_is_told_ten_times_a_second_at_most(hands):
    told = []
    train(smoke_job(num_steps=32), slowed(smoke_task(), hands, {"loss": 1 / 32}), told.append)
    assert len(told) == 32 // 4, "one second of training, looked at every 1/32 of it: told at each 4/32"


def test_progress_of_a_run_that_diverges_holds_no_infinite_number(slow_task):
    told = []
    train(smoke_job(num_steps=120, rates=spiked(60)), slow_task, told.append)
    assert told
    assert all(progress.loss is None or math.isfinite(progress.loss) for progress in told)
    assert np.isfinite([progress.images_per_second for progress in told]).all()
