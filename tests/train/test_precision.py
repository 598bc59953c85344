"""What a step computes in. fp16 with its scaler is for GPUs; here the scaler is torch's own for the CPU."""

from pathlib import Path

import pytest
import torch
from interrupted_stages import attempt, train_in_parts
from plain_loop import hash_plainly
from plain_methods import train_with_methods
from small_stages import digits, sha256, smoke_job, smoke_recipe, smoke_task, train
from torch import nn

from sweep.api import run_request
from sweep.errors import MachineError
from sweep.request import SweepRequest
from sweep.run.executors.inline import InlineExecutor
from sweep.train.loop import start_stage, train_steps
from sweep.train.precision import precision_problems
from sweep.train.task import Data, ImageTask

FP16 = ("amp=fp16", "clip_grad_norm=1")


class Noting(nn.Module):
    """Notes what its network answers in."""

    def __init__(self, model, noted):
        super().__init__()
        self.model = model
        self.noted = noted

    def forward(self, images):
        logits = self.model(images)
        self.noted.add((self.training, logits.dtype))
        return logits


@pytest.mark.parametrize(("amp", "dtype"), [("none", torch.float32), ("bf16", torch.bfloat16), ("fp16", torch.float16)])
def test_training_and_evaluation_compute_in_the_recipes_precision(amp, dtype, monkeypatch):
    task, noted = smoke_task(f"amp={amp}"), set()
    build_model = task.build_model
    monkeypatch.setattr(task, "build_model", lambda seed: Noting(build_model(seed), noted))
    trained = train(smoke_job(f"amp={amp}", num_steps=3), task)
    assert noted == {(True, dtype), (False, dtype)}
    assert {tensor.dtype for tensor in trained.weights.values()} == {torch.float32, torch.int64}


@pytest.mark.parametrize("settings", [("amp=fp16",), FP16])
def test_fp16_trains_what_a_plain_loop_with_a_scaler_does(settings):
    job = smoke_job(*settings)
    plain = train_with_methods(job, digits())
    assert sha256(train(job, smoke_task(*settings))) == hash_plainly(plain.model)


def test_a_scalers_state_goes_on_where_it_was(tmp_path, monkeypatch):
    """One that grows and shrinks every few steps."""
    make = torch.amp.GradScaler
    monkeypatch.setattr(
        "sweep.train.precision.GradScaler", lambda device: make(device, init_scale=2.0**20, growth_interval=3)
    )
    job = smoke_job(*FP16)
    whole = train(job, smoke_task(*FP16))
    parts = train_in_parts(job, tmp_path, (2, 5, 31), lambda: smoke_task(*FP16))
    assert sha256(parts) == sha256(whole)
    run = start_stage(job, smoke_task(*FP16), lambda progress: None)
    scales = [run.learner.precision.scaler.get_scale() for _ in train_steps(run, 30)]
    assert min(scales) < 2.0**20 or max(scales) > 2.0**20


def test_a_step_that_the_scaler_skips_is_a_step():
    """With a scale beyond float16 every gradient overflows: no weight moves, and the steps count."""
    run = start_stage(smoke_job(*FP16), smoke_task(*FP16), lambda progress: None)
    run.learner.precision.scaler.load_state_dict(
        {"scale": 2.0**60, "growth_factor": 2.0, "backoff_factor": 0.5, "growth_interval": 2000, "_growth_tracker": 0}
    )
    before = [parameter.detach().clone() for parameter in run.model.parameters()]
    assert list(train_steps(run, 3)) == [1, 2, 3]
    assert all(torch.equal(a, b) for a, b in zip(run.model.parameters(), before, strict=True))
    assert run.learner.precision.scaler.get_scale() == 2.0**57


def test_fp16_needs_a_gpu():
    [problem] = precision_problems(smoke_task("amp=fp16").recipe, torch.device("cpu"))
    assert (problem.key, problem.message) == ("amp", "fp16 trains on a GPU only")
    assert precision_problems(smoke_task("amp=fp16").recipe, torch.device("cuda")) == []
    for amp in ("none", "bf16"):
        assert precision_problems(smoke_task(f"amp={amp}").recipe, torch.device("cpu")) == []


def test_fp16_without_a_gpu_is_refused_before_anything_trains(tmp_path):
    request = SweepRequest("smoke", "1", results=tmp_path, settings=("amp=fp16",), device="cpu")
    with pytest.raises(MachineError, match="fp16 trains on a GPU only"):
        run_request(request, make_executor=lambda *placed: InlineExecutor())
    assert not list(tmp_path.glob("*/journal.jsonl"))


def test_the_norm_of_a_steps_gradient_is_clipped_over_all_its_batches(monkeypatch):
    settings = ("clip_grad_norm=0.01", "gradient_accumulation_steps=3", "batch_size=20", "opt=sgd", "momentum=0")
    run = start_stage(smoke_job(*settings, rates=[1.0] * 5, num_steps=5), smoke_task(*settings), lambda progress: None)
    for _ in train_steps(run, 5):
        norm = torch.cat([parameter.grad.flatten() for parameter in run.model.parameters()]).norm()
        assert norm.item() == pytest.approx(0.01, rel=1e-3)


def test_in_channels_last_network_and_batches_are(tmp_path, monkeypatch):
    task, seen = smoke_task("channels_last=true", "batch_size=7"), set()
    build_model = task.build_model

    def watched(seed):
        model = build_model(seed)
        for layer in (model[0][0], model[1][0]):
            layer.register_forward_pre_hook(
                lambda layer, inputs: (
                    seen.add(inputs[0].is_contiguous(memory_format=torch.channels_last)) if layer.training else None
                )
            )
        return model

    monkeypatch.setattr(task, "build_model", watched)
    attempt(smoke_job("channels_last=true", "batch_size=7", num_steps=3), tmp_path, task=task)
    assert seen == {True}


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
@pytest.mark.parametrize("settings", [FP16, ("amp=bf16", "channels_last=true", "mixup_alpha=0.2", "model_ema=true")])
def test_a_gpu_trains_in_mixed_precision_and_goes_on_where_it_was(settings, tmp_path):
    def task():
        return ImageTask(smoke_recipe(*settings), Data.load("digits", Path("data"), torch.device("cuda")))

    job = smoke_job(*settings, values={"mixup": ((0, 1.0),)} if "mixup_alpha=0.2" in settings else {})
    whole = train(job, task())
    parts = train_in_parts(job, tmp_path, (11, 30), task)
    [accuracy] = whole.measurement.evaluations.accuracy
    assert accuracy > 0.5
    assert parts.measurement.evaluations.accuracy[0] == pytest.approx(accuracy, abs=0.05)
