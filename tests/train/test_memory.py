"""Which errors say that memory ran out, and what is told of it."""

import re
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from small_stages import smoke_job, smoke_recipe

from sweep import host_memory
from sweep.errors import Outcome
from sweep.run.worker import Worker
from sweep.store.records import PrepareJob
from sweep.train import task
from sweep.train.memory import is_out_of_memory, out_of_memory

MUCH = 1 << 48  # no machine has it
OF_A_GPU = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")


def error_of(allocate):
    with pytest.raises(Exception) as raised:  # noqa: PT011 # which one it is, is the question
        allocate()
    return raised.value


@pytest.mark.parametrize(
    "allocate",
    [lambda: torch.empty(MUCH), lambda: bytearray(MUCH), lambda: np.empty(MUCH)],
    ids=["torch", "Python", "numpy"],
)
def test_what_the_host_really_cannot_give_is_out_of_memory(allocate):
    error = error_of(allocate)
    assert is_out_of_memory(error)
    peak, total = re.fullmatch(
        r"out of memory \(peak ([0-9.]+) GB of ([0-9.]+) GB\)", out_of_memory(error, "cpu")
    ).groups()
    assert float(peak) == pytest.approx(host_memory.peak_bytes() / 1e9, abs=0.06)
    assert float(total) == pytest.approx(host_memory.total_bytes() / 1e9, abs=0.06)


@pytest.mark.parametrize(
    "error",
    [ValueError("can't allocate memory"), RuntimeError("shape mismatch"), KeyError("CUDA error: out of memory")],
)
def test_any_other_error_is_none(error):
    assert not is_out_of_memory(error)
    assert out_of_memory(error, "cuda") is None


@pytest.fixture
def gpu(monkeypatch):
    """What torch says of a GPU whose 80 GB have not been enough."""
    monkeypatch.setattr(torch.cuda, "max_memory_reserved", lambda device: 79_400_000_000)
    monkeypatch.setattr(
        torch.cuda, "get_device_properties", lambda device: SimpleNamespace(total_memory=80_000_000_000)
    )


@pytest.mark.parametrize(
    "error",
    [
        OF_A_GPU,
        RuntimeError("CUDA error: out of memory\nCUDA kernel errors might be asynchronously reported"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    ],
)
def test_of_a_gpu_its_own_memory_is_told(gpu, error):
    assert out_of_memory(error, "cuda:1") == "out of memory (peak 79.4 GB of 80.0 GB)"


@pytest.fixture
def worker():
    """A Worker that has prepared, and what it tells."""
    told = []
    worker = Worker(told.append, 1)
    recipe = smoke_recipe().model_dump(mode="json")
    worker.do(PrepareJob(recipe=recipe, device="cpu", threads=torch.get_num_threads()))
    told.clear()
    return worker, told


def raising(error):
    def call(*arguments):
        raise error

    return call


def test_a_stage_that_ran_out_of_a_gpus_memory_says_so_and_what_to_do(worker, gpu, monkeypatch):
    worker, told = worker
    worker._device = "cuda"
    monkeypatch.setattr(task.ImageTask, "loss", raising(OF_A_GPU))
    worker.do(smoke_job())
    [done] = told
    assert (done.outcome, done.reason) == (
        Outcome.OUT_OF_MEMORY,
        "out of memory (peak 79.4 GB of 80.0 GB); lower batch_size",
    )
    assert done.measurement is None


@pytest.mark.parametrize("name", ["load_images", "_classify_nothing"])
def test_running_out_of_memory_while_preparing_is_a_problem_of_the_machine(worker, monkeypatch, name):
    """When the data is loaded, and when the model is tried: that is no fault of the model's."""
    worker, told = worker
    monkeypatch.setattr(task, name, lambda *arguments: torch.empty(MUCH))
    worker.do(worker._prepare_job)
    [prepared] = told
    [problem] = prepared.problems
    assert re.fullmatch(r"out of memory \(peak [0-9.]+ GB of [0-9.]+ GB\) before anything trained", problem.message)
    assert problem.fix == "take a machine with more, or fewer --jobs"


def test_what_else_goes_wrong_while_preparing_is_not_hidden(worker, monkeypatch):
    worker, _ = worker
    monkeypatch.setattr(task, "load_images", raising(ZeroDivisionError("a bug")))
    with pytest.raises(ZeroDivisionError):
        worker.do(worker._prepare_job)


def test_a_decoding_process_that_ran_out_of_memory_blames_no_image(monkeypatch):
    from sweep.train import folder

    monkeypatch.setattr(folder, "read_rgb", lambda path: bytearray(MUCH))
    files = SimpleNamespace(path=lambda example: "an image", labels=[0])
    with pytest.raises(MemoryError):
        folder._FileDecoder(files, None)[0]
