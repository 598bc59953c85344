"""Trials of several processes, really trained: as one device would, equal bit for bit, and honest about their ends."""

import sys
from pathlib import Path

import pytest
import torch
from executor_contract import answer, jobs_of, prepare_job

sys.path.append(str(Path(__file__).parent.parent / "train"))

from user_modules import as_a_worker, write_recipe

from sweep.api import run_request
from sweep.errors import MachineError, Outcome
from sweep.planning import plan_sweep
from sweep.planning import prepare_job as prepare_job_of
from sweep.recipe.library import load_recipe, parse_settings
from sweep.request import SweepRequest
from sweep.run.executors.local import LocalExecutor
from sweep.run.ledger import stage_job
from sweep.run.placement import Placement
from sweep.run.stop import StopRequest
from sweep.store.records import ProbeJob
from sweep.store.workspace import Workspace

pytestmark = pytest.mark.slow

# 149 examples in steps of 16: the last step of an epoch has 5, which are 3 and 2. In float64 rounding is far below.
PLAIN = """
def net():
    return nn.Sequential(nn.Linear(6, 16), nn.Tanh(), nn.Linear(16, 2)).double()


def make_task(recipe):
    inputs = X.double()
    return made((inputs[:149], Y[:149]), (inputs[149:], Y[149:]), model=net)
"""
# With BatchNorm and dropout, and a Dataset that draws.
DRAWING = """
class Noisy(torch.utils.data.Dataset):
    def __len__(self):
        return 149

    def __getitem__(self, index):
        return X[index] + 0.1 * torch.randn(6), Y[index]


def make_task(recipe):
    return made(Noisy())
"""
TWO = ("devices_per_trial=2", "batch_size=8")


def run(path, results, *settings, share=True):
    """A sweep of two ratios: each trial's result by its ratio, and the weights that it ended with."""
    request = SweepRequest(
        str(path), "0.5,1", method="steps", device="cpu", threads=1, results=results, settings=settings,
        keep="models", share=share,
    )  # fmt: skip
    with as_a_worker():
        done = run_request(request)
    assert done.is_complete, [result.reason for result in done.history.results]
    files = {result.entry.ratio: done.workspace.weights(result.entry.key) for result in done.history.results}
    weights = {ratio: torch.load(file, weights_only=True) for ratio, file in files.items()}
    return {result.entry.ratio: result for result in done.history.results}, weights


@pytest.mark.parametrize(
    "settings",
    [
        ("gradient_accumulation_steps=2", "clip_grad_norm=0.5", "model_ema=true", "model_ema_steps=3"),
        ("layer_freezing=true", "layer_freezing_start=0.2dur", "opt=adamw", "swa=true", "swa_interval=2ba"),
    ],
)
def test_two_devices_train_what_one_with_twice_the_batch_does(settings, tmp_path):
    """Each share of a step counts by its examples; names and shapes of the weights are those of the bare network."""
    path = write_recipe(tmp_path, PLAIN)
    together, weights = run(path, tmp_path / "two", *TWO, *settings)
    alone, expected = run(path, tmp_path / "one", "batch_size=16", *settings)
    for ratio, result in alone.items():
        assert weights[ratio].keys() == expected[ratio].keys()
        for name, tensor in expected[ratio].items():
            torch.testing.assert_close(weights[ratio][name], tensor, rtol=0, atol=1e-12)
        assert together[ratio].images == result.images
        assert together[ratio].entry.num_steps == result.entry.num_steps
        assert together[ratio].loss == pytest.approx(result.loss, abs=1e-12)


def test_trials_that_share_steps_are_equal_bit_for_bit_to_those_alone(tmp_path):
    path = write_recipe(tmp_path, DRAWING)
    shared, _ = run(path, tmp_path / "shared", *TWO)
    alone, _ = run(path, tmp_path / "alone", *TWO, share=False)
    assert [result.weights_sha256 for result in shared.values()] == [result.weights_sha256 for result in alone.values()]
    assert len({len(result.entry.stages) for result in (*shared.values(), *alone.values())}) == 2  # one way was divided
    assert [result.loss for result in shared.values()] == [result.loss for result in alone.values()]


def of_task(folder, body, *settings):
    """The preparation of a task's recipe, and the Stage of its baseline."""
    path = write_recipe(folder, body, "devices_per_trial: 2")
    with as_a_worker():
        plan = plan_sweep(SweepRequest(str(path), "1", settings=settings))
    loaded = load_recipe(str(path), parse_settings(settings))
    return prepare_job_of(loaded, "cpu", 1), stage_job(plan.stages[0])


def trained(folder, prepare, job, stops=False):
    with LocalExecutor(Workspace(folder), Placement(jobs=1, threads=1)) as executor:
        executor.prepare(prepare, StopRequest())
        if stops:
            executor.stop()
        executor.submit(job)
        return answer(executor)


def test_one_that_was_stopped_goes_on_to_the_same_bits(tmp_path):
    """Every process goes on with the draws of its own."""
    prepare, job = of_task(tmp_path, DRAWING)
    kept = prepare.model_copy(update={"workspace": str(tmp_path / "kept"), "checkpoint_every": 1e9})
    done, _ = trained(tmp_path, kept, job, stops=True)
    assert (done.outcome, done.reason) == (Outcome.INTERRUPTED, "interrupted; goes on at step 1")
    again, _ = trained(tmp_path, kept, job)
    whole, told = trained(tmp_path, prepare, job)
    assert [done.measurement.resumed_at for done in (again, whole)] == [(1,), ()]
    assert again.measurement.weights_sha256 == whole.measurement.weights_sha256
    assert again.measurement.evaluations == whole.measurement.evaluations
    assert all(message.progress.stage == job.stage for message in told)


def test_images_are_mixed_resized_and_averaged_over_both_and_again_to_the_same_bits(tmp_path):
    settings = ("devices_per_trial=2", "batch_size=32", "amp=bf16", "swa=true", "swa_start=0.1dur", "swa_interval=5ba")
    settings += ("mixup_alpha=0.2", "progressive_resizing=true", "channels_last=true", "random_erase=0.2")
    [stage] = plan_sweep(SweepRequest("smoke", "1/4", settings=settings)).stages
    prepare, job = prepare_job(*settings), stage_job(stage)
    first, second = (trained(tmp_path, prepare, job)[0] for _ in range(2))
    assert (first.outcome, first.reason) == (Outcome.FINISHED, None)
    assert first.measurement.weights_sha256 == second.measurement.weights_sha256
    assert first.measurement.evaluations == second.measurement.evaluations
    assert first.measurement.images == 1442 * job.stop_step // 23


# How they end

# From the twentieth time on, which is well within the training.
ENDING = """
import os
import signal

calls = 0


def loss(outputs, targets):
    global calls
    calls += 1
    if calls > 20 and os.environ.get("RANK") == "1":
        {what}
    return cross_entropy(outputs, targets)


def make_task(recipe):
    return made((X[:150], Y[:150]), loss=loss)
"""


@pytest.mark.parametrize(
    ("what", "outcome", "reason"),
    [
        ("raise ValueError('no such thing')", Outcome.FAILED, "rank 1: ValueError: no such thing ("),
        ("raise MemoryError", Outcome.OUT_OF_MEMORY, "rank 1: out of memory (peak "),
        ("os._exit(5)", Outcome.CRASHED, "rank 1: crashed (exit code 5)"),
        (
            "os.kill(os.getpid(), signal.SIGKILL)",
            Outcome.CRASHED,
            "rank 1: crashed (SIGKILL; perhaps out of host memory)",
        ),
    ],
)
def test_the_process_that_ends_a_trial_says_why(what, outcome, reason, tmp_path):
    prepare, job = of_task(tmp_path, ENDING.format(what=what))
    done, _ = trained(tmp_path, prepare, job)
    assert (done.stage, done.outcome, done.measurement) == (job.stage, outcome, None)
    assert done.reason.startswith(reason)
    assert done.reason.endswith("; lower batch_size") == (outcome is Outcome.OUT_OF_MEMORY)


def test_one_that_stands_still_is_found_by_the_want_of_progress(tmp_path, hands, wait_until):
    prepare, job = of_task(tmp_path, ENDING.format(what="os.kill(os.getpid(), signal.SIGSTOP)"), "epochs=1000")
    with LocalExecutor(Workspace(tmp_path), Placement(jobs=1, threads=1), stall_timeout=7.0) as executor:
        executor.prepare(prepare, StopRequest())
        executor.submit(job)
        heard = []

        def is_over():
            hands.seconds += 0.5
            heard.append(executor.receive(0.1))
            return getattr(heard[-1], "outcome", None) is Outcome.STALLED

        wait_until(is_over)


def test_a_stage_whose_beginning_is_gone_is_told_to_be(tmp_path):
    prepare, job = of_task(tmp_path, DRAWING)
    kept = prepare.model_copy(update={"workspace": str(tmp_path / "kept"), "checkpoint_every": 1e9})
    later = job.model_copy(update={"start_step": 5, "parent": "gone"})
    with LocalExecutor(Workspace(tmp_path), Placement(jobs=1, threads=1)) as executor:
        executor.prepare(kept, StopRequest())
        executor.submit(later)
        message = None
        for _ in range(1000):
            message = message or executor.receive(0.1)
    assert (message.kind, message.stage) == ("orphaned", job.stage)
    assert message.reason == "unreadable (No such file or directory)"


def test_what_several_devices_cannot_do_is_told_before_anything_trains(tmp_path):
    with LocalExecutor(Workspace(tmp_path), Placement(jobs=1, threads=1)) as executor:
        with pytest.raises(MachineError, match="sync_bn: torch has it on GPUs only"):
            executor.prepare(prepare_job("devices_per_trial=2", "sync_bn=true"), StopRequest())
        executor.prepare(prepare_job("devices_per_trial=2"), StopRequest())
        like = jobs_of("1/8")[0]
        like = like.model_copy(update={"recipe": like.recipe | {"devices_per_trial": 2}})
        [probed] = executor.probe(ProbeJob(like=like, seconds=0.0), 1, StopRequest())
        assert "not measured" in probed.reason
