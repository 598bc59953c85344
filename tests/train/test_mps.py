"""Apple's GPU, by what torch says of one: nothing here has been trained on it."""

from functools import cache
from types import SimpleNamespace

import pytest
import torch
from small_stages import CPU, DrawingTask, sha256, smoke_job, smoke_recipe, smoke_task, train
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from sweep.api import run_request
from sweep.errors import MachineError
from sweep.request import SweepRequest
from sweep.run.executors.inline import InlineExecutor
from sweep.train.checkpoint import State
from sweep.train.device import choose_device, read_environment, sum_dtype, synchronize
from sweep.train.energy import gpu_counter
from sweep.train.generators import set_aside
from sweep.train.memory import is_out_of_memory, out_of_memory
from sweep.train.precision import choose_precision, precision_problems
from sweep.train.processes import process_options

MPS = torch.device("mps")


@pytest.fixture
def apple(monkeypatch):
    """torch as it is where there is such a GPU: its generator, and what it was asked to wait for."""
    gpu = SimpleNamespace(generator=torch.arange(44, dtype=torch.uint8), num_waits=0)
    monkeypatch.setattr(
        torch.backends.mps, "is_available", cache(lambda: True)
    )  # torch's own is cached, and torch looks inside it
    monkeypatch.setattr(torch.mps, "get_rng_state", lambda: gpu.generator.clone())
    monkeypatch.setattr(torch.mps, "set_rng_state", lambda state: setattr(gpu, "generator", state))
    monkeypatch.setattr(torch.mps, "synchronize", lambda: setattr(gpu, "num_waits", gpu.num_waits + 1))
    return gpu


def test_it_is_taken_where_it_is_named_and_never_otherwise(apple, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_device("mps") == MPS
    assert choose_device("auto") == CPU
    assert read_environment(MPS).device_kind == "mps"


def test_where_there_is_none_a_sweep_ends_before_it_trains(monkeypatch, tmp_path):
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    request = SweepRequest("smoke", "1", device="mps", results=tmp_path)
    with pytest.raises(MachineError, match=r"there is no device mps: torch .* finds no Apple GPU.*take --device cpu"):
        run_request(request, make_executor=lambda *placed: InlineExecutor())
    assert not (tmp_path / "smoke" / "journal.jsonl").exists()


def test_a_clock_that_is_read_next_waits_for_it(apple):
    synchronize(CPU)
    synchronize(MPS)
    assert apple.num_waits == 1


def test_its_generator_is_part_of_a_state_and_is_set_aside(apple):
    task = smoke_task()
    model = task.build_model(0)
    optimizer = task.build_optimizer(model)
    state = State.capture(3, model, optimizer, MPS)
    expected = apple.generator.clone()
    with set_aside(MPS):
        apple.generator = apple.generator + 1
    assert torch.equal(apple.generator, expected)
    apple.generator = apple.generator + 1
    state.restore(model, optimizer, MPS)
    assert torch.equal(apple.generator, expected)
    of_another_kind = State.capture(3, model, optimizer, CPU)
    for generator in (None, torch.zeros(16, dtype=torch.uint8)):
        vars(of_another_kind)["device_generator"] = generator
        of_another_kind.restore(model, optimizer, MPS)
        assert torch.equal(apple.generator, expected)


class WithoutFloat64(TorchDispatchMode):
    """No tensor of this thread is in float64, as on such a GPU."""

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        given = function(*args, **(kwargs or {}))
        if any(isinstance(leaf, torch.Tensor) and leaf.dtype is torch.float64 for leaf in tree_leaves(given)):
            raise TypeError(f"{function} makes float64")
        return given


EVERYTHING = (
    "swa=true",
    "swa_start=0.5dur",
    "swa_interval=1ba",
    "mixup_alpha=0.2",
    "cutmix_alpha=1.0",
    "label_smoothing=0.1",
    "clip_grad_norm=1",
    "random_crop_padding=1",
    "hflip_prob=0.5",
)


@pytest.mark.parametrize("settings", [(), ("opt=adamw",), ("model_ema=true", "model_ema_steps=1"), EVERYTHING])
def test_nothing_that_trains_or_evaluates_needs_float64_there(settings, monkeypatch):
    job, task = smoke_job(*settings, num_steps=6, swa_steps=(4, 6)), smoke_task(*settings, kind=DrawingTask)
    assert sum_dtype(CPU) is torch.float64
    with pytest.raises(TypeError, match="makes float64"), WithoutFloat64():
        train(job, task)
    expected = train(job, task)
    monkeypatch.setattr("sweep.train.task.sum_dtype", lambda device: sum_dtype(MPS))
    with WithoutFloat64():
        trained = train(job, task)
    assert sha256(trained) == sha256(expected)
    assert trained.measurement.evaluations.accuracy == expected.measurement.evaluations.accuracy
    assert trained.measurement.evaluations.loss == pytest.approx(expected.measurement.evaluations.loss, rel=1e-5)


@pytest.mark.parametrize("amp", ["bf16", "fp16"])
def test_it_trains_in_float32_and_refuses_what_was_never_tried(amp):
    [problem] = precision_problems(smoke_recipe(f"amp={amp}"), MPS)
    assert str(problem) == f"amp: {amp} is not for mps, where training is in float32 (take amp: none)"
    assert precision_problems(smoke_recipe("amp=none"), MPS) == precision_problems(smoke_recipe("amp=auto"), MPS) == []
    chosen = choose_precision(SimpleNamespace(device=MPS))
    assert (chosen.amp, chosen.why) == ("none", "on mps training is in float32")


def test_what_cannot_be_measured_there_is_not_known(apple):
    assert gpu_counter(MPS) is None
    assert process_options(2, MPS)["pin_memory"] is False


def test_memory_that_ran_out_is_told_by_what_it_had(monkeypatch):
    error = RuntimeError(
        "MPS backend out of memory (MPS allocated: 9.00 GB, other allocations: 1.00 GB, max allowed: …)"
    )
    monkeypatch.setattr(torch.mps, "driver_allocated_memory", lambda: 10_100_000_000)
    monkeypatch.setattr(torch.mps, "recommended_max_memory", lambda: 10_700_000_000)
    assert is_out_of_memory(error)
    assert out_of_memory(error, "mps") == "out of memory (peak 10.1 GB of 10.7 GB)"
