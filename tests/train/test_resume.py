"""A Stage that was interrupted and goes on from its checkpoint is, bit for bit, the one that was not."""

import pytest
import torch
from interrupted_stages import attempt, stages_states, train_in_parts
from slow_tasks import slowed
from small_stages import DrawingTask, sha256, smoke_job, smoke_task, spiked, train
from torch import nn

from sweep.errors import Outcome
from sweep.store.states import StageStates
from sweep.train import loop
from sweep.train.checkpoint import Checkpoint, SoFar, State, decode_checkpoint
from sweep.train.loop import READ_EVERY, start_stage, train_steps, weights_sha256
from sweep.train.task import ImageTask

CPU = torch.device("cpu")
SCHEDULES = {
    "multi-step": ("lr_scheduler=multisteplr", "lr_milestones=[2, 3]"),
    "wsd": ("lr_scheduler=wsd",),
    "cosine with warm-up": (),
}
OPTIMIZERS = {"sgd_nesterov": (), "adamw": ("opt=adamw", "lr=0.003")}


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("schedule", SCHEDULES)
def test_a_stage_in_four_parts_gives_the_weights_of_one_in_one(schedule, optimizer, seed, tmp_path):
    """Stopped at the first step, in mid-epoch, at the end of an epoch before it is evaluated, and once more."""
    settings = ("epochs=4", *SCHEDULES[schedule], *OPTIMIZERS[optimizer])
    job = smoke_job(*settings, num_steps=92, seed=seed, eval_steps=(23, 46, 69, 92))
    whole = train(job, smoke_task(*settings))
    parts = train_in_parts(job, tmp_path, (1, 30, 46, 71), lambda: smoke_task(*settings))
    assert sha256(parts) == sha256(whole)
    assert parts.measurement.evaluations == whole.measurement.evaluations
    assert (parts.measurement.steps, parts.measurement.images) == (92, whole.measurement.images)
    assert parts.measurement.resumed_at == (1, 30, 46, 71)


@pytest.mark.parametrize("step", range(1, 25))
def test_wherever_it_is_stopped(step, tmp_path):
    job = smoke_job(num_steps=25, eval_steps=(10, 23, 25))
    whole = train(job)
    parts = train_in_parts(job, tmp_path, (step,))
    assert sha256(parts) == sha256(whole)
    assert parts.measurement.evaluations == whole.measurement.evaluations


def test_one_that_is_stopped_at_its_last_step_has_only_its_evaluation_left(tmp_path):
    parts = train_in_parts(smoke_job(), tmp_path, (46,), lambda: smoke_task(kind=DrawingTask))
    whole = train(smoke_job(), smoke_task(kind=DrawingTask))
    assert sha256(parts) == sha256(whole)
    assert parts.measurement.evaluations == whole.measurement.evaluations


def test_what_was_passed_without_being_evaluated_stays_blank(tmp_path):
    """Asked for after the attempt that came by: the weights of then are gone, and later ones say something else."""
    attempt(smoke_job(eval_steps=(46,)), tmp_path, stop_step=30)
    done = attempt(smoke_job(eval_steps=(20, 30, 35, 46)), tmp_path)
    assert done.measurement.evaluations.steps == (30, 35, 46)
    whole = train(smoke_job(eval_steps=(30, 35, 46)))
    assert done.measurement.evaluations == whole.measurement.evaluations


def test_dropout_goes_on_where_its_generator_was(tmp_path):
    whole = train(smoke_job(), smoke_task(kind=DrawingTask))
    after = torch.get_rng_state()
    parts = train_in_parts(smoke_job(), tmp_path, (5, 30), lambda: smoke_task(kind=DrawingTask))
    assert sha256(parts) == sha256(whole)
    assert torch.equal(torch.get_rng_state(), after)


@pytest.mark.parametrize("kind", [ImageTask, DrawingTask])
def test_checkpoints_leave_no_trace(kind, tmp_path):
    """One after every step, against none."""
    without = train(smoke_job(), smoke_task(kind=kind))
    often = attempt(smoke_job(), tmp_path, task=smoke_task(kind=kind), every_seconds=1e-9)
    assert stages_states(tmp_path, smoke_job()).steps() == [46, 45]
    assert sha256(often) == sha256(without)
    assert often.measurement.evaluations == without.measurement.evaluations
    assert often.measurement.resumed_at == ()


def test_a_lost_attempt_goes_on_from_its_newest_checkpoint(tmp_path, monkeypatch):
    """Killed, that is: nothing is written at the end. Here by an error in the middle of a step."""
    task = smoke_task(kind=DrawingTask)
    loss, calls = task.loss, []

    def stumble(*arguments):
        calls.append(1)
        if len(calls) == 4 + 31:  # behind the warm-up steps: three, and one with an epoch's last batch
            raise MemoryError
        return loss(*arguments)

    task.loss = stumble
    with pytest.raises(MemoryError):
        attempt(smoke_job(), tmp_path, task=task, every_seconds=1e-9)
    again = attempt(smoke_job(), tmp_path, task=smoke_task(kind=DrawingTask))
    whole = train(smoke_job(), smoke_task(kind=DrawingTask))
    assert again.measurement.resumed_at == (30,)
    assert sha256(again) == sha256(whole)
    assert again.measurement.images == whole.measurement.images


def test_a_stage_may_start_from_the_state_of_another_one():
    """In memory, and more than once: what goes on from a state does not change it."""
    whole = train(smoke_job(), smoke_task(kind=DrawingTask))
    trunk = start_stage(smoke_job(), smoke_task(kind=DrawingTask), lambda progress: None)
    assert list(train_steps(trunk, 30))[-1] == 30
    fork = Checkpoint(State.capture(30, trunk.model, trunk.optimizer, CPU), SoFar())
    assert list(train_steps(trunk, 46))[-1] == 46
    hashes = [weights_sha256(trunk.model)]
    rest = smoke_job().model_copy(update={"stage": "another stage", "eval_steps": (46,)})
    for _ in range(2):
        run = start_stage(rest, smoke_task(kind=DrawingTask), lambda progress: None, fork)
        assert list(train_steps(run, 46)) == list(range(31, 47))
        hashes.append(weights_sha256(run.model))
    assert set(hashes) == {sha256(whole)}


def test_a_state_does_not_change_with_the_run_that_it_was_taken_from():
    run = start_stage(smoke_job(), smoke_task(), lambda progress: None)
    list(train_steps(run, 3))
    state = State.capture(3, run.model, run.optimizer, CPU)
    before = Checkpoint(state, SoFar()).encode().tobytes()
    list(train_steps(run, 6))
    assert Checkpoint(state, SoFar()).encode().tobytes() == before


def test_every_part_of_the_state_matters(tmp_path):
    """Whichever is left as it is in a new run, the weights come out otherwise."""
    run = start_stage(smoke_job(), smoke_task(kind=DrawingTask), lambda progress: None)
    list(train_steps(run, 20))
    state = State.capture(20, run.model, run.optimizer, CPU)
    fresh = start_stage(smoke_job(), smoke_task(kind=DrawingTask), lambda progress: None)
    new = State.capture(0, fresh.model, fresh.optimizer, CPU)

    def weights(**changed):
        mixed = State(**vars(state) | changed)
        again = start_stage(
            smoke_job(), smoke_task(kind=DrawingTask), lambda progress: None, Checkpoint(mixed, SoFar())
        )
        list(train_steps(again, 46))
        return weights_sha256(again.model)

    buffers = {name: new.model[name] for name in new.model if "running" in name}
    hashes = [
        weights(),
        weights(step=21),
        weights(model=new.model),
        weights(model=state.model | buffers),
        weights(optimizer=new.optimizer),
        weights(cpu_generator=new.cpu_generator),
    ]
    assert len(set(hashes)) == len(hashes)
    assert hashes[0] == sha256(train(smoke_job(), smoke_task(kind=DrawingTask)))


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_strides_and_implementation_are_kept(layout):
    def make():
        torch.manual_seed(0)
        model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).to(memory_format=layout)
        return model, torch.optim.AdamW(model.parameters(), foreach=True)

    def step(model, optimizer, seed):
        images = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(seed))
        optimizer.zero_grad()
        model(images).square().mean().backward()
        optimizer.step()

    model, optimizer = make()
    step(model, optimizer, 0)
    loaded = decode_checkpoint(Checkpoint(State.capture(1, model, optimizer, CPU), SoFar()).encode()).state
    again, its_optimizer = make()
    its_optimizer.param_groups[0]["foreach"] = False
    loaded.restore(again, its_optimizer, CPU)
    assert its_optimizer.param_groups[0]["foreach"] is False
    for seed in (1, 2):
        step(model, optimizer, seed)
        step(again, its_optimizer, seed)
    assert weights_sha256(again) == weights_sha256(model)
    assert again[0].weight.stride() == model[0].weight.stride()
    assert (
        its_optimizer.state[again[0].weight]["exp_avg"].stride() == optimizer.state[model[0].weight]["exp_avg"].stride()
    )


def test_the_versions_that_modules_give_their_states_are_kept():
    """torchvision's MNASNet refuses a state that has none."""
    from torchvision.models import mnasnet0_5

    model = mnasnet0_5(weights=None)
    optimizer = torch.optim.SGD(model.parameters())
    state = State.capture(0, model, optimizer, CPU)
    for taken in (state, decode_checkpoint(Checkpoint(state, SoFar()).encode()).state):
        taken.restore(mnasnet0_5(weights=None), optimizer, CPU)


# What is measured


def test_seconds_and_images_add_up_and_a_checkpoint_costs_no_training_time(hands, tmp_path, monkeypatch):
    """Each part of the work takes a time of its own on a clock that stands still otherwise."""
    job = smoke_job(eval_steps=(23, 46))
    whole = train(job, slowed(smoke_task(), hands)).measurement
    write = StageStates.write

    def slow_write(*arguments):
        hands.seconds += 1e9
        write(*arguments)

    monkeypatch.setattr(StageStates, "write", slow_write)
    parts = train_in_parts(job, tmp_path, (30,), lambda: slowed(smoke_task(), hands), every_seconds=1000.0).measurement
    second_epoch_again = 0.125 + 0.25 + 1  # its order, its draws, and its batches, which are made at once
    assert parts.data_wait_seconds == whole.data_wait_seconds + second_epoch_again
    assert parts.train_seconds == whole.train_seconds + second_epoch_again
    assert parts.eval_seconds == whole.eval_seconds
    assert parts.images == whole.images
    assert parts.startup_seconds >= whole.startup_seconds + 10_000_000


def test_what_was_lost_behind_a_checkpoint_is_counted_once(hands, tmp_path):
    whole = train(smoke_job(), slowed(smoke_task(), hands)).measurement
    attempt(smoke_job(), tmp_path, 20, slowed(smoke_task(), hands))
    lost = slowed(smoke_task(), hands)
    lost.evaluate = None  # 26 steps further it fails, with no later checkpoint
    with pytest.raises(TypeError):
        attempt(smoke_job(), tmp_path, None, lost)
    again = attempt(smoke_job(), tmp_path, None, slowed(smoke_task(), hands)).measurement
    assert again.resumed_at == (20,)
    assert again.images == whole.images
    assert again.train_seconds == pytest.approx(whole.train_seconds, abs=2)


def test_a_checkpoint_is_due_after_so_many_seconds_of_training(hands, tmp_path, monkeypatch):
    """A step takes 100 s here, an evaluation 100,000."""
    written = []
    write = StageStates.write

    def noted_write(states, step, *content):
        written.append(step)
        write(states, step, *content)

    monkeypatch.setattr(StageStates, "write", noted_write)
    attempt(smoke_job(eval_steps=(5, 46)), tmp_path, task=slowed(smoke_task(), hands), every_seconds=1000.0)
    assert written == [10, 20, 30, 40]


def test_contention_is_the_highest_of_all_attempts(tmp_path, monkeypatch):
    shares = iter([0.25, 0.5, 0.125])
    monkeypatch.setattr(loop.Contention, "share", lambda self: next(shares))
    assert train_in_parts(smoke_job(), tmp_path, (10, 20)).measurement.contention == 0.5


# When it cannot be


def test_a_stage_that_has_diverged_is_not_saved(tmp_path):
    job = smoke_job(num_steps=120, rates=spiked(60))
    told = []
    trained = attempt(job, tmp_path, every_seconds=1e-9, tell=told.append)
    assert trained.outcome is Outcome.DIVERGED
    whole = train(job)
    assert trained.reason == whole.reason
    assert all(step <= int(whole.reason.split()[-1]) for step in stages_states(tmp_path, job).steps())
    resumed = train_in_parts(job, tmp_path / "stopped", (55,))
    assert (resumed.outcome, resumed.reason) == (Outcome.DIVERGED, whole.reason)


def test_a_stop_that_finds_a_bad_loss_ends_in_its_divergence(tmp_path):
    job = smoke_job(num_steps=120, rates=spiked(10))
    bad = int(train(job).reason.split()[-1])
    assert bad + 2 < READ_EVERY
    trained = attempt(job, tmp_path, bad + 2)
    assert (trained.outcome, trained.reason) == (Outcome.DIVERGED, f"diverged at step {bad}")


def test_without_checkpoints_a_stop_ends_at_the_next_step_and_writes_nothing(tmp_path):
    trained = attempt(smoke_job(), tmp_path, 10, every_seconds=None)
    assert (trained.outcome, trained.reason, trained.measurement) == (Outcome.INTERRUPTED, "interrupted", None)
    assert list(tmp_path.iterdir()) == []
